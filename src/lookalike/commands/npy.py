"""Arrays from .npy files of strangers: mapped where that can be, and never unpickled."""

from __future__ import annotations

import io
import stat
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike.arrays import as_array
from lookalike.errors import InvalidInput, UnreadableFile

__all__ = ["read_npy", "read_rows"]

_MAGIC, _ZIP = b"\x93NUMPY", b"PK\x03\x04"
_EXPECTED = "must be a .npy file of one array, as numpy.save writes it"
_SAVE = "Write it with numpy.save(path, array)"


def read_npy(source: str) -> npt.NDArray[Any]:
    """The array of a .npy file.

    Parameters
    ----------
    source : str
        Path of a file, which is mapped and not read; or of a pipe, or "-" for standard input.

    Raises
    ------
    UnreadableFile
        When there is none, or it is of another kind, cut off or holds objects.
    """
    if source == "-":
        if sys.stdin.isatty():
            raise UnreadableFile(
                f"standard input {_EXPECTED}; it is a terminal. Pipe a file into it, or give a "
                "path instead of '-'."
            )
        return _loaded(sys.stdin.buffer.read(), "standard input")
    path = Path(source)
    try:
        mode = path.stat().st_mode
        if stat.S_ISFIFO(mode):
            return _loaded(path.read_bytes(), source)
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "no file"
            raise UnreadableFile(f"{source} {_EXPECTED}; it is {kind}. Check the path.")
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
    except UnreadableFile:
        raise
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        why = "there is none" if isinstance(error, FileNotFoundError) else str(error)
        raise UnreadableFile(f"{source} {_EXPECTED}; {why}. Check the path.") from None
    return _checked(path, start, source)


def read_rows(source: str) -> npt.NDArray[Any]:
    """The array of a .npy file that has vectors in its rows, and at least one.

    Parameters
    ----------
    source : str
        As above.

    Raises
    ------
    UnreadableFile
        As above.
    InvalidInput
        When it has other values than numbers, one axis, or no row.
    """
    name = "standard input" if source == "-" else source
    array = as_array(read_npy(source), name)
    if array.ndim < 2:
        raise InvalidInput(
            f"{name} must hold an array of shape (n, d) or (n, height, width), with a vector in "
            f"each of n rows; got shape {array.shape}. Save a single vector with shape (1, d)."
        )
    if not len(array):
        raise InvalidInput(
            f"{name} must hold an array with at least one row; got shape {array.shape}. Check how "
            "it was made."
        )
    return array


def _loaded(data: bytes, source: str) -> npt.NDArray[Any]:
    return _checked(io.BytesIO(data), data[: len(_MAGIC)], source)


def _checked(file: Path | io.BytesIO, start: bytes, source: str) -> npt.NDArray[Any]:
    """The array in a file, which starts with these bytes."""
    if start != _MAGIC:
        what = "is empty" if not start else "starts otherwise"
        if start.startswith(_ZIP):
            what = "is an archive, like those of numpy.savez"
        raise UnreadableFile(f"{source} {_EXPECTED}; it {what}. {_SAVE}.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # of headers that old versions wrote, and impossible ones
            array: npt.NDArray[Any] = np.load(
                file, mmap_mode="r" if isinstance(file, Path) else None, allow_pickle=False
            )
    except Exception as error:  # what NumPy raises for damaged headers is not documented
        if "Python objects" in str(error) or "Object arrays" in str(error):
            raise UnreadableFile(
                f"{source} must hold numbers; it holds Python objects, which are not loaded, "
                "because that could run a program. Convert them before saving, for instance with "
                "numpy.stack(list(array))."
            ) from None
        why = (str(error) or type(error).__name__).rstrip(".")
        raise UnreadableFile(
            f"{source} {_EXPECTED}; NumPy cannot read it: {why}. {_SAVE}, or copy it again."
        ) from None
    return array
