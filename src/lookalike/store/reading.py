"""How the store opens and reads a disk, and what it says when the system refuses.

Neither links nor pipes are followed, or waited for. What the system refuses for a reason of its own
(access, memory, too many open files) is never called damage: repair would drop what is whole.
"""

from __future__ import annotations

import errno
import os
import stat

import numpy as np
import numpy.typing as npt

from lookalike.errors import CorruptStore, UnreadableFile

__all__ = ["open_folder", "open_plain", "read_at", "refusal", "salvage", "small_file"]

_PLAIN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# What says that something is not there, is something else, or cannot be read from the drive. All
# other numbers, those that nobody has thought of too, are no fault of the file.
_DAMAGE = {
    getattr(errno, name, -1)
    for name in (
        *("ENOENT", "ENOTDIR", "EISDIR", "ELOOP", "ENXIO", "ENODEV", "EINVAL", "EOPNOTSUPP"),
        *("EIO", "EUCLEAN", "EBADMSG"),
    )
}


def refusal(about: str, error: OSError, what: str = "it cannot be read") -> UnreadableFile:
    """The error for something that the system does not open or read.

    Parameters
    ----------
    about : str
        How messages name it.
    error : OSError
    what : str
        Where it is damaged: what it then is not.
    """
    reason = error.strerror or str(error)
    if isinstance(error, FileNotFoundError):
        return CorruptStore(about, "it is missing")
    if error.errno in _DAMAGE:
        return CorruptStore(about, f"{what}: {reason}")
    return UnreadableFile(
        f"{about} must be readable by this process; the system refuses: {reason}. Nothing is said "
        "about what is in it: give access, or close other files, and try again."
    )


def open_plain(name: str, folder: int | None, about: str) -> int:
    """Descriptor of a file in an open folder, if it is a plain one.

    Raises
    ------
    CorruptStore
        When it is missing, or something else.
    UnreadableFile
        When the system refuses for another reason.
    """
    what = "it cannot be opened as a plain file"
    try:
        descriptor = os.open(name, _PLAIN, dir_fd=folder)
    except OSError as error:
        raise refusal(about, error, what) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise CorruptStore(about, what)
    return descriptor


def open_folder(name: str, above: int | None, about: str) -> int:
    """Descriptor of a folder in an open one; of the outermost a link is followed.

    Raises
    ------
    CorruptStore, UnreadableFile
        As above.
    """
    links = 0 if above is None else os.O_NOFOLLOW
    try:
        return os.open(name, _FOLDER | links, dir_fd=above)
    except OSError as error:
        raise refusal(about, error, "it cannot be opened as a folder") from error


def read_at(descriptor: int, count: int, start: int, about: str) -> bytes:
    """So many bytes of an open file, from this one on; fewer at its end.

    Raises
    ------
    CorruptStore
        When the drive cannot read them.
    UnreadableFile
        When the system refuses for another reason.
    """
    try:
        return os.pread(descriptor, count, start)
    except OSError as error:
        raise refusal(about, error) from error


def small_file(name: str, most: int, about: str) -> bytes:
    """The bytes of a plain file, of which there must not be more.

    Raises
    ------
    CorruptStore, UnreadableFile
        As above.
    """
    descriptor = open_plain(name, None, about)
    try:
        data = b""
        # A byte more than there should be: one that grows is read on, and no more than may be.
        wanted = min(os.fstat(descriptor).st_size, most) + 1
        while piece := read_at(descriptor, wanted - len(data), len(data), about):
            data += piece
            if len(data) == wanted:
                wanted = min(2 * wanted, most + 1)
    finally:
        os.close(descriptor)
    if len(data) > most:
        raise CorruptStore(about, f"it has more than {most:,} bytes")
    return data


def salvage(
    descriptor: int, start: int, size: int, block_bytes: int, about: str
) -> npt.NDArray[np.uint8]:
    """What can be read of an open file, with zeros for the blocks that cannot be.

    Parameters
    ----------
    descriptor : int
    start, size : int
        The first byte, and how many there should be; fewer come where the file ends early.
    block_bytes : int
        That are given up together.
    about : str

    Raises
    ------
    UnreadableFile
        When the system refuses for another reason than the drive.
    """
    there = max(0, min(size, os.fstat(descriptor).st_size - start))
    found = np.zeros(there, np.uint8)
    for first in range(0, there, block_bytes):
        block = found[first : first + block_bytes]
        try:
            _fill(descriptor, block, start + first, about)
        except CorruptStore:
            block[:] = 0
    return found


def _fill(descriptor: int, block: npt.NDArray[np.uint8], start: int, about: str) -> None:
    done = 0
    while done < len(block):
        piece = read_at(descriptor, len(block) - done, start + done, about)
        if not piece:
            raise CorruptStore(about, "it became shorter while it was read")
        block[done : done + len(piece)] = np.frombuffer(piece, np.uint8)
        done += len(piece)
