"""The stored vectors, as engines verify against them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike import native

__all__ = ["Rows", "aligned_rows"]

_FIRST_CAPACITY = 64
_CACHE_LINE_BYTES = 64


def aligned_rows(count: int, stride: int) -> npt.NDArray[np.uint8]:
    """Memory for rows of bytes that starts at a cache line, not filled.

    NumPy aligns to 16 bytes, so that a row of 64 bytes would mostly lie in two lines.
    """
    memory = np.empty(count * stride + _CACHE_LINE_BYTES, np.uint8)
    start = -memory.__array_interface__["data"][0] % _CACHE_LINE_BYTES
    return memory[start : start + count * stride].reshape(count, stride)


class Rows:
    """A growing table of byte vectors, one row each, padded with zeros.

    Parameters
    ----------
    width : int
        Bytes of a vector.
    alignment : int
        A row's length is the next multiple of this.
    limit : int
        The largest value a byte may have.

    Notes
    -----
    Rows that are in use never move and never change: when the memory is full, all rows are
    copied to one twice as large, and engines keep the old one for as long as they use it.
    """

    def __init__(self, width: int, alignment: int, limit: int) -> None:
        self.width = width
        self.limit = limit
        self._stride = -(-width // alignment) * alignment
        self._memory = np.zeros((0, self._stride), np.uint8)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def array(self) -> npt.NDArray[np.uint8]:
        """The rows with their padding, shape (n, stride): a view."""
        return self._memory[: self._count]

    @property
    def vectors(self) -> npt.NDArray[np.uint8]:
        """The rows without their padding, shape (n, width): a view."""
        return self._memory[: self._count, : self.width]

    def append(self, items: npt.NDArray[Any]) -> None:
        """Add a batch, or nothing at all.

        Parameters
        ----------
        items : ndarray, C-contiguous, n * width values

        Raises
        ------
        ValueError, TypeError
            When a value is not a whole number in [0, limit], or the core cannot read the
            array. Nothing was added.
        """
        count = items.size // self.width
        if self._count + count > len(self._memory):
            self._grow(self._count + count)
        native.pack_rows(
            items, self.width, self.limit, self._memory[self._count : self._count + count]
        )
        self._count += count

    def _grow(self, needed: int) -> None:
        # The first batch is often the only one: it gets just its own room.
        capacity = needed if self._count == 0 else max(needed, 2 * self._count, _FIRST_CAPACITY)
        memory = aligned_rows(capacity, self._stride)
        memory[: self._count] = self.array
        self._memory = memory
