"""Move a file without ever losing it: at each instant its bytes are at the old place or the new.

No name is ever taken from another file. A name is taken away for good in two cases alone: when it
is one of lookalike's own beside the file, and the same bytes were just read at another place.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import itertools
import os
from collections.abc import Iterator
from typing import NamedTuple

from lookalike.album.catalog import shown
from lookalike.album.places import Place, Refused, has, identity, opened, private

__all__ = ["Settled", "drop", "free_names", "hold", "move", "put_back", "rename_new", "settle"]

_NOREPLACE = 1  # of renameat2(2)
_LONGEST_NAME = 255  # bytes
_UNKNOWN = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)  # says a file system that has it not
_PIECE = 1 << 20


def move(source: Place, target: Place, digest: str, token: str) -> None:
    """Move a file to a name that nothing has.

    Parameters
    ----------
    source, target : Place
    digest : str
        That it must have; what has another one when it arrives is moved back.
    token : str
        For names beside the two places.

    Raises
    ------
    FileExistsError
        When the name was taken meanwhile; nothing was done.
    Refused, OSError
        When it could not be done. Where the file is then has to be looked for.
    """
    try:
        _renameat2(source, target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, *_UNKNOWN):
            raise
        _move_by_copy(source, target, digest, token)
        return
    target.sync()
    source.sync()
    if not has(target, digest):
        back = put_back(target, source)
        raise Refused(f"it has changed just now; it is still there, as {shown(back.path)}")


def _move_by_copy(source: Place, target: Place, digest: str, token: str) -> None:
    """Move to another file system: the old name goes when the copy is on the disk, and was read.

    The old name is changed to a private one first. Were it removed by itself, a file that has just
    come to have it, from an editor that saves, would be lost.
    """
    part, held = target.beside(private(token)), source.beside(private(token))
    with opened(source) as file:
        try:
            _copy(file, part)
            if not has(part, digest):
                raise Refused("it has changed just now, or its copy is not like it")
            rename_new(part, target)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink()
            raise
    target.sync()
    os.rename(source.name, held.name, src_dir_fd=source.folder, dst_dir_fd=source.folder)
    if not drop(held, target, digest):
        raise Refused("it has changed just now")


def _copy(file: int, target: Place) -> None:
    """Copy an open file to a new one, with its times, its mode and its attributes, to the disk."""
    status = os.fstat(file)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    copy = os.open(target.name, flags, 0o600, dir_fd=target.folder)
    try:
        at = 0
        while piece := os.pread(file, _PIECE, at):
            at += os.write(copy, piece)
        with contextlib.suppress(OSError):  # where the file system has none
            for name in os.listxattr(file):
                os.setxattr(copy, name, os.getxattr(file, name))
        os.fchmod(copy, status.st_mode & 0o777)
        os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
        os.fsync(copy)
    finally:
        os.close(copy)


def rename_new(source: Place, target: Place) -> None:
    """Give a file that nobody else touches another name, if nothing has it.

    Raises
    ------
    FileExistsError
    OSError
        Also when the file system knows neither such a rename nor hard links.
    """
    try:
        _renameat2(source, target)
    except OSError as error:
        if error.errno not in _UNKNOWN:
            raise
        os.link(
            source.name,
            target.name,
            src_dir_fd=source.folder,
            dst_dir_fd=target.folder,
            follow_symlinks=False,
        )
        source.unlink()


def _renameat2(source: Place, target: Place) -> None:
    """rename(2), but for names that are taken: FileExistsError."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if call(source.folder, source.name, target.folder, target.name, ctypes.c_uint(_NOREPLACE)):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), shown(source.path), None, shown(target.path))


def drop(held: Place, proof: Place, digest: str) -> bool:
    """Take a private name away, if another place has its bytes.

    Parameters
    ----------
    held : Place
        The private name; it need not be there.
    proof : Place
        The other place.
    digest : str
        That both must have, unless they are the same file.

    Returns
    -------
    bool
        Whether nothing has the private name any more.
    """
    own, other = held.status(), proof.status()
    if own is None:
        return True
    if other is None:
        return False
    if identity(own) != identity(other) and not (has(held, digest) and has(proof, digest)):
        return False
    with opened(proof) as file:
        os.fsync(file)
    proof.sync()
    held.unlink()
    held.sync()
    return True


def hold(place: Place, token: str) -> Place:
    """Give a file a private name as well, while somebody else moves it by its own.

    Returns
    -------
    Place
        Nothing has this name where the file system has no hard links.
    """
    held = place.beside(private(token))
    with contextlib.suppress(OSError):
        os.link(
            place.name,
            held.name,
            src_dir_fd=place.folder,
            dst_dir_fd=place.folder,
            follow_symlinks=False,
        )
    return held


class Settled(NamedTuple):
    """How a move has ended.

    Attributes
    ----------
    is_moved : bool
    why : str or None
        Why not, and where the file is.
    """

    is_moved: bool
    why: str | None = None


_LOST = Settled(False, "it is neither where it was nor where it was to go")


def settle(source: Place | None, target: Place | None, digest: str, token: str) -> Settled:
    """End a move that was cut off or refused: see where the file is, and leave no traces.

    Parameters
    ----------
    source, target : Place or None
        Where it was and where it was to go, as far as these folders are there.
    digest, token : str
        As for :func:`move`.
    """
    if source is None:
        return Settled(True) if has(target, digest) else _LOST
    settled = _look(source, source.beside(private(token)), target, digest)
    if target is not None and settled is not _LOST:
        with contextlib.suppress(FileNotFoundError):
            target.beside(private(token)).unlink()  # a copy that was begun
    return settled


def _look(source: Place, held: Place, target: Place | None, digest: str) -> Settled:
    """See where a file is, and have its private name go, or become one that sync sees."""
    _try_to_drop(held, source, digest)
    there = f"; a copy of it is at {shown(target.path)}" if target and has(target, digest) else ""
    if has(source, digest):
        return Settled(False, "it was not moved" + there)
    if target is not None and there and _try_to_drop(held, target, digest):
        return Settled(True)
    if held.status() is not None:
        return Settled(False, f"it is back, as {shown(put_back(held, source).path)}" + there)
    return _LOST


def _try_to_drop(held: Place, proof: Place, digest: str) -> bool:
    try:
        return drop(held, proof, digest)
    except OSError:
        return False


def put_back(held: Place, place: Place) -> Place:
    """Give a file its name back, or a free one beside it: where it is now."""
    for free in free_names(place):
        try:
            rename_new(held, free)
        except FileExistsError:
            continue
        with contextlib.suppress(OSError):
            held.sync()
        return free
    raise AssertionError("there is always another name")


def free_names(place: Place) -> Iterator[Place]:
    """A name and others like it, as far as nothing has them now."""
    stem, ending = os.path.splitext(place.name)  # noqa: PTH122  # of bytes
    for number in itertools.count(1):
        mark = b"" if number == 1 else b" (%d)" % number
        own = place.beside(_cut(stem, _LONGEST_NAME - len(mark + ending)) + mark + ending)
        if own.status() is None:
            yield own


def _cut(stem: bytes, most: int) -> bytes:
    """At most so many bytes, and no part of a character."""
    try:
        return stem[:most].decode(errors="strict" if len(stem) <= most else "ignore").encode()
    except UnicodeDecodeError:
        return stem[:most]
