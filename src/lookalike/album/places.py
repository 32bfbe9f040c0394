"""Files by an open folder and a name: what was checked is what is moved.

Between two calls a path may come to lead elsewhere; an open folder stays the folder that it was. So
folders of an album are opened one in the other, none of them through a symbolic link.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from lookalike.album.catalog import shown
from lookalike.store.digest import hasher

__all__ = [
    "Identity",
    "Missing",
    "Place",
    "Refused",
    "digest_of",
    "folder_at",
    "folder_in",
    "folder_made",
    "has",
    "identity",
    "opened",
    "place_at",
    "private",
    "read_together",
    "said",
    "same_file",
]

Identity = tuple[int, int]  # device and inode

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a FIFO would wait
_PIECE = 1 << 20  # bytes at a time


class Refused(Exception):
    """Why a file is left where it is: a clause about it."""


class Missing(Refused):
    """It is not there."""


class Place(NamedTuple):
    """A name in an open folder.

    Attributes
    ----------
    folder : int
        Its descriptor.
    name : bytes
    path : bytes
        The full path, for messages and for those who take nothing else.
    """

    folder: int
    name: bytes
    path: bytes

    def beside(self, name: bytes) -> Place:
        """Another name in the same folder."""
        return Place(self.folder, name, os.path.join(os.path.dirname(self.path), name))  # noqa: PTH118, PTH120

    def status(self) -> os.stat_result | None:
        """Of what has this name, a link for example; None if nothing has."""
        try:
            return os.stat(self.name, dir_fd=self.folder, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def unlink(self) -> None:
        """Take the name away."""
        os.unlink(self.name, dir_fd=self.folder)

    def sync(self) -> None:
        """Return when the names in the folder are on the disk."""
        os.fsync(self.folder)


def said(error: Refused | OSError) -> str:
    """Why, as a clause."""
    return str(error) if isinstance(error, Refused) else error.strerror or str(error)


def private(token: str) -> bytes:
    """A name that nobody else uses, and that sync does not see."""
    return b".lookalike-" + token.encode("ascii")


def identity(status: os.stat_result) -> Identity:
    """Which file it is, whatever its names."""
    return status.st_dev, status.st_ino


def same_file(one: os.stat_result | None, other: os.stat_result) -> bool:
    """Whether it is the same file, with nothing written to it since."""
    return (
        one is not None
        and identity(one) == identity(other)
        and (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)
    )


@contextlib.contextmanager
def folder_at(path: bytes) -> Iterator[int]:
    """Open a folder that the user or the journal names; links in its path are theirs."""
    folder = os.open(path, _FOLDER)
    try:
        yield folder
    finally:
        os.close(folder)


@contextlib.contextmanager
def place_at(path: bytes) -> Iterator[Place | None]:
    """A place by its full path; None where there is no such folder."""
    above, name = os.path.split(path)
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(folder_at(above))
        except (FileNotFoundError, NotADirectoryError):
            yield None
            return
        yield Place(folder, name, path)


@contextlib.contextmanager
def folder_in(
    top: int,
    names: Sequence[bytes],
    *,
    make: bool = False,
    look: Callable[[os.stat_result], None] | None = None,
) -> Iterator[int]:
    """Open a folder in a folder, through no symbolic link.

    Parameters
    ----------
    top : int
        Descriptor of the folder to begin with.
    names : sequence of bytes
        Of the folders, each in the one before.
    make : bool
        Make those that are not there.
    look : callable
        Called with the status of each.

    Raises
    ------
    Refused
        When there is no such folder, or a link in its place.
    """
    with contextlib.ExitStack() as stack:
        folder = top
        for name in names:
            folder = _open_below(folder, name, make=make)
            stack.callback(os.close, folder)
            if look is not None:
                look(os.fstat(folder))
        yield folder


@contextlib.contextmanager
def folder_made(path: bytes) -> Iterator[int]:
    """Open a folder, which is made if need be, with those above it."""
    above, names = path, list[bytes]()
    while not os.path.isdir(above):  # noqa: PTH112  # of bytes
        above, name = os.path.split(above)
        names.insert(0, name)
    with folder_at(above) as top, folder_in(top, names, make=True) as folder:
        yield folder


def _open_below(above: int, name: bytes, *, make: bool) -> int:
    assert name not in (b"", b".", b"..") and b"/" not in name, "paths were checked"  # noqa: PT018
    if make:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, dir_fd=above)
            os.fsync(above)  # or a file in it could be lost with it
    try:
        return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=above)
    except OSError as error:
        raise _refusal(Place(above, name, name), error) from error


@contextlib.contextmanager
def opened(place: Place) -> Iterator[int]:
    """Open a file to read it.

    Raises
    ------
    Refused
        When it is not there, is no file, or must not be read.
    """
    status = place.status()
    if status is not None and not stat.S_ISREG(status.st_mode):
        raise Refused("it is a symbolic link" if stat.S_ISLNK(status.st_mode) else "it is no file")
    try:
        file = os.open(place.name, _FILE, dir_fd=place.folder)
    except OSError as error:
        raise _refusal(place, error) from error
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise Refused("it is no file")
        yield file
    finally:
        os.close(file)


def _refusal(place: Place, error: OSError) -> Refused:
    status = None
    with contextlib.suppress(OSError):
        status = place.status()
    if status is not None and stat.S_ISLNK(status.st_mode):
        return Refused(f"{shown(place.name)} is a symbolic link")
    if isinstance(error, FileNotFoundError):
        return Missing("it is not there any more")
    return Refused(f"{shown(place.name)} cannot be opened: {error.strerror}")


def has(place: Place | None, digest: str) -> bool:
    """Whether a file with these bytes is there."""
    if place is None:
        return False
    try:
        with opened(place) as file:
            return digest_of(file) == digest
    except (Refused, OSError):
        return False


def digest_of(file: int) -> str:
    """Of all bytes of an open file."""
    own = hasher()
    for piece in _pieces(file):
        own.update(piece)
    return own.hexdigest()


def read_together(one: int, other: int) -> tuple[str, str, bool]:
    """Digests of two open files, and whether they have the same bytes."""
    digests = hasher(), hasher()
    pieces_of_other = _pieces(other)
    is_same = True
    for piece in _pieces(one):
        piece_of_other = next(pieces_of_other, b"")
        digests[0].update(piece)
        digests[1].update(piece_of_other)
        is_same = is_same and piece == piece_of_other
    for piece in pieces_of_other:
        digests[1].update(piece)
        is_same = False
    return digests[0].hexdigest(), digests[1].hexdigest(), is_same


def _pieces(file: int) -> Iterator[bytes]:
    at = 0
    while piece := _whole_piece(file, at):
        yield piece
        at += len(piece)


def _whole_piece(file: int, at: int) -> bytes:
    """As many bytes as were asked for, unless the file ends: pieces of two files are compared."""
    piece = os.pread(file, _PIECE, at)
    while 0 < len(piece) < _PIECE and (
        more := os.pread(file, _PIECE - len(piece), at + len(piece))
    ):
        piece += more
    return piece
