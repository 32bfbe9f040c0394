"""One array in one file: NumPy's format 1.0, with a header that is known before it is read.

What a file has to hold, the manifest says: dtype and shape. From these the header follows byte by
byte, so that headers are compared and never parsed, and no file can say anything else.
"""

from __future__ import annotations

import math
import mmap
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike.errors import CorruptStore, UnreadableFile
from lookalike.store import disk
from lookalike.store.digest import Hasher, hasher
from lookalike.store.reading import open_plain, read_at, refusal

__all__ = ["DTYPES", "ArrayFile", "StoredArray", "header_of", "unmappable", "write_array"]

DTYPES = ("|i1", "|u1", "<u2", "<u4", "<u8", "<i4", "<i8", "<f4", "<f8")
_ALIGNMENT = 64  # of the first value in its file, and so in memory
_ENDS = 1 << 16  # bytes at either end of a file that its short digest is of
_PIECE = 1 << 22  # bytes that are hashed and written at a time

Progress = Callable[[int], None]  # called with the bytes that were done


@dataclass(frozen=True, slots=True)
class StoredArray:
    """What the manifest says of one file.

    Attributes
    ----------
    dtype : str
        As NumPy writes it, little-endian.
    shape : tuple of int
    digest : str
        xxh3-128 of the whole file, in hexadecimal digits.
    ends : str
        The same of its first and its last 64 KiB, which are the whole of a short file.
    """

    dtype: str
    shape: tuple[int, ...]
    digest: str
    ends: str

    @property
    def data_bytes(self) -> int:
        """Bytes of the values."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def file_bytes(self) -> int:
        """Bytes of the file."""
        return len(header_of(self.dtype, self.shape)) + self.data_bytes


def header_of(dtype: str, shape: tuple[int, ...]) -> bytes:
    """The header of an array file: it ends at a multiple of 64 bytes."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    length = -(-(10 + len(text) + 1) // _ALIGNMENT) * _ALIGNMENT
    padded = text.ljust(length - 10 - 1) + "\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded.encode("ascii")


def unmappable(about: str, why: Exception) -> UnreadableFile:
    """The error for a file that the system does not map."""
    return UnreadableFile(
        f"{about} must be mapped, to be read when it is used; the system refuses: {why}. Allow "
        "more address space (ulimit -v), or open the index in Python with map=False."
    )


def write_array(path: Path, array: npt.NDArray[Any], progress: Progress) -> StoredArray:
    """Write an array to a new file, and wait until it is on the disk.

    Parameters
    ----------
    path : Path
    array : ndarray, C-contiguous
        Of one of :data:`DTYPES`.
    progress : callable
    """
    dtype, shape = np.dtype(array.dtype).newbyteorder("<").str, array.shape
    assert dtype in DTYPES, f"no array of {dtype} is stored"
    assert array.flags.c_contiguous
    header = header_of(dtype, shape)
    values = memoryview(array.astype(dtype, copy=False).reshape(-1).view(np.uint8).data)
    whole = hasher(header)
    with disk.create(path) as file:
        disk.write(file, header)
        for start in range(0, len(values), _PIECE):
            piece = values[start : start + _PIECE]
            whole.update(piece)
            disk.write(file, piece)
            progress(len(piece))
        disk.sync(file)
    ends = _ends_of(header, values)
    return StoredArray(dtype, tuple(map(int, shape)), whole.hexdigest(), ends.hexdigest())


def _ends_of(header: bytes, values: memoryview) -> Hasher:
    """Digest of the ends of a file, from what it consists of."""
    size = len(header) + len(values)
    ends = hasher(header)
    ends.update(values[: max(0, min(size, _ENDS) - len(header))])
    # What is in both ends counts once.
    ends.update(values[max(0, max(_ENDS, size - _ENDS) - len(header)) :])
    return ends


class ArrayFile:
    """A file that was opened, and has the length and the header that it must have.

    Parameters
    ----------
    folder : int
        Descriptor of the folder.
    name : str
        Of the file in it.
    about : str
        How messages name it.
    stored : StoredArray

    Raises
    ------
    CorruptStore
        When it is missing, is no plain file, or is not of this length and header.
    UnreadableFile
        When the system refuses for another reason: no access, or too many files open.
    """

    def __init__(self, folder: int, name: str, about: str, stored: StoredArray) -> None:
        self.about, self.stored = about, stored
        self._header = header_of(stored.dtype, stored.shape)
        self._descriptor = open_plain(name, folder, about)
        try:
            self._check_length()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close it; arrays that are mapped stay."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> ArrayFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def descriptor(self) -> int:
        """Of the open file."""
        return self._descriptor

    @property
    def header_bytes(self) -> int:
        """Where the values begin."""
        return len(self._header)

    def _check_length(self) -> None:
        size, wanted = os.fstat(self._descriptor).st_size, self.stored.file_bytes
        if size != wanted:
            raise CorruptStore(self.about, f"it must have {wanted:,} bytes and has {size:,}")
        if read_at(self._descriptor, len(self._header), 0, self.about) != self._header:
            raise CorruptStore(self.about, "its header is not that of its dtype and shape")

    def check_ends(self) -> None:
        """Check the first and the last 64 KiB.

        Raises
        ------
        CorruptStore
            When their digest is another one.
        """
        size = self.stored.file_bytes
        found = hasher(self._read(0, min(size, _ENDS)))
        last = max(_ENDS, size - _ENDS)
        if last < size:
            found.update(self._read(last, size - last))
        if found.hexdigest() != self.stored.ends:
            raise CorruptStore(self.about, "the digest of its ends is another one")

    def check_whole(self, progress: Progress) -> None:
        """Check every byte.

        Raises
        ------
        CorruptStore
            When the digest is another one.
        """
        found = hasher()
        for piece in self._pieces():
            found.update(piece)
            progress(len(piece))
        if found.hexdigest() != self.stored.digest:
            raise CorruptStore(self.about, "its digest is another one")

    def mapped(self) -> npt.NDArray[Any]:
        """The array, read from the disk when it is used; not to be written to.

        Raises
        ------
        UnreadableFile
            When the system has no room for it among the addresses.
        """
        if self.stored.data_bytes == 0:
            return np.empty(self.stored.shape, self.stored.dtype)
        try:
            memory = mmap.mmap(self._descriptor, self.stored.file_bytes, access=mmap.ACCESS_READ)
        except OSError as error:
            raise unmappable(self.about, error) from error
        flat = np.frombuffer(memory, self.stored.dtype, offset=len(self._header))
        return flat.reshape(self.stored.shape)

    def read(self, out: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
        """The array in memory: new, or of the given one of as many bytes."""
        array = np.empty(self.stored.shape, self.stored.dtype) if out is None else out
        rest = array.reshape(-1).view(np.uint8).data
        offset = len(self._header)
        while rest:
            try:
                count = os.preadv(self._descriptor, [rest[:_PIECE]], offset)
            except OSError as error:
                raise refusal(self.about, error) from error
            if not count:
                raise CorruptStore(self.about, "it became shorter while it was read")
            rest, offset = rest[count:], offset + count
        return array

    def _read(self, start: int, count: int) -> bytes:
        found = read_at(self._descriptor, count, start, self.about)
        if len(found) != count:
            raise CorruptStore(self.about, "it became shorter while it was read")
        return found

    def _pieces(self) -> Iterator[bytes]:
        size = self.stored.file_bytes
        for start in range(0, size, _PIECE):
            yield self._read(start, min(_PIECE, size - start))
