"""The stored vectors, as engines verify against them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike import native
from lookalike.errors import CorruptStore
from lookalike.native import Measure

__all__ = ["Rows", "aligned_rows"]

_FIRST_CAPACITY = 64
_CACHE_LINE_BYTES = 64
_FLOAT_BYTES = 4
_LARGEST_BYTE = 255

_BYTE_ALIGNMENT = {
    Measure.absolute_differences: 16,
    Measure.squared_differences: 16,
    Measure.differing_bits: 8,
}


def aligned_rows(count: int, stride: int) -> npt.NDArray[np.uint8]:
    """Memory for rows of bytes that starts at a cache line, not filled.

    NumPy aligns to 16 bytes, so that a row of 64 bytes would mostly lie in two lines.
    """
    memory = np.empty(count * stride + _CACHE_LINE_BYTES, np.uint8)
    start = -memory.__array_interface__["data"][0] % _CACHE_LINE_BYTES
    return memory[start : start + count * stride].reshape(count, stride)


class Rows:
    """A growing table of vectors, one row each, padded with zeros.

    Parameters
    ----------
    width : int
        Values of a vector.
    measure : Measure
        The kernel that will compare rows; it decides whether they are bytes or floats, and how
        they are padded. For angles the last float of a row is 1 / its length.
    limit : int
        The largest value a byte may have.
    scale : float
        A power of two that floats are multiplied by: float32 cannot square very small numbers.

    Notes
    -----
    Rows that are in use never move and never change: when the memory is full, all rows are
    copied to one twice as large, and engines keep the old one for as long as they use it.
    """

    def __init__(self, width: int, measure: Measure, limit: int = 255, scale: float = 1.0) -> None:
        self.width = width
        self.measure = measure
        self.limit = limit
        self.scale = scale
        self._stride = _stride_bytes(width, measure)
        self._memory = np.zeros((0, self._stride), np.uint8)
        self._count = 0

    @classmethod
    def of_memory(
        cls,
        memory: npt.NDArray[np.uint8],
        count: int,
        width: int,
        measure: Measure,
        limit: int = 255,
        scale: float = 1.0,
    ) -> Rows:
        """Rows that are in memory already, with their padding.

        Parameters
        ----------
        memory : ndarray of uint8, shape (capacity, stride)
            It starts at a cache line. Writable, unless it is full.
        count : int
            How many rows it holds.
        width, measure, limit, scale
            As above.

        Raises
        ------
        ValueError
            When such rows have another stride.
        """
        rows = cls(width, measure, limit, scale)
        if memory.ndim != 2 or memory.shape[1] != rows.stride:
            raise ValueError(f"such rows have {rows.stride} bytes, and not shape {memory.shape}")
        rows._memory, rows._count = memory, count
        return rows

    def __len__(self) -> int:
        return self._count

    @property
    def stride(self) -> int:
        """Bytes of a row with its padding."""
        return self._stride

    @property
    def are_floats(self) -> bool:
        """Whether values are float32; otherwise they are bytes."""
        return self.measure not in _BYTE_ALIGNMENT

    @property
    def array(self) -> npt.NDArray[np.uint8]:
        """The rows with their padding as bytes, shape (n, stride): a view."""
        return self._memory[: self._count]

    @property
    def floats(self) -> npt.NDArray[np.float32]:
        """The rows with their padding as float32, scaled: a view. For rows of floats."""
        return self.array.view(np.float32)

    @property
    def vectors(self) -> npt.NDArray[Any]:
        """The vectors as they came in, shape (n, width): uint8 (a view) or float32."""
        if not self.are_floats:
            return self._memory[: self._count, : self.width]
        vectors = self.floats[:, : self.width]
        return vectors if self.scale == 1.0 else vectors / np.float32(self.scale)

    def items(self, slots: Any) -> npt.NDArray[Any]:
        """Some rows as they came in, to be searched for.

        Parameters
        ----------
        slots : ndarray of int64, or slice

        Raises
        ------
        CorruptStore
            When one cannot have been an item: rows that are on a disk may be anything.
        """
        items = np.ascontiguousarray(self.vectors[slots])
        if not self.are_items(items):
            raise CorruptStore("a row of this index", "one that is searched for cannot be an item")
        return items

    def are_items(self, items: npt.NDArray[Any]) -> bool:
        """Whether the core takes these for items, shape (n, width): values of uint8 or float32."""
        if not self.are_floats and self.limit == _LARGEST_BYTE:
            return True
        packed = np.empty((len(items), self._stride), np.uint8)
        try:
            native.pack_items(items, self.width, self.measure, self.limit, self.scale, packed)
        except ValueError:
            return False
        return True

    def view(self, start: int, stop: int) -> Rows:
        """These rows as they are now; rows that are appended later are not seen."""
        rows = Rows(self.width, self.measure, self.limit, self.scale)
        rows._memory = self._memory[start:stop]
        rows._count = stop - start
        return rows

    def taken(self, slots: npt.NDArray[np.int64]) -> Rows:
        """A copy of some rows, in this order."""
        rows = Rows(self.width, self.measure, self.limit, self.scale)
        rows._memory = aligned_rows(len(slots), self._stride)
        np.take(self.array, slots, axis=0, out=rows._memory)
        rows._count = len(slots)
        return rows

    def cut(self, count: int) -> None:
        """Forget the rows from this one on, which no engine knows yet."""
        self._count = count

    def append(self, items: npt.NDArray[Any]) -> None:
        """Add a batch, or nothing at all.

        Parameters
        ----------
        items : ndarray, C-contiguous, n * width values

        Raises
        ------
        ValueError, TypeError
            When an item cannot be a row, or the core cannot read the array. Nothing was added.
        """
        count = items.size // self.width
        if self._count + count > len(self._memory):
            self._grow(self._count + count)
        room = self._memory[self._count : self._count + count]
        native.pack_items(items, self.width, self.measure, self.limit, self.scale, room)
        self._count += count

    def scan(self, bounds: native.Bounds | None = None) -> native.ExactScan:
        """Exact comparison with the rows present now, with bounds of these rows or without."""
        return native.ExactScan(
            self.array, self.width, self.measure, self.limit, self.scale, bounds
        )

    def _grow(self, needed: int) -> None:
        # The first batch is often the only one: it gets just its own room.
        capacity = needed if self._count == 0 else max(needed, 2 * self._count, _FIRST_CAPACITY)
        memory = aligned_rows(capacity, self._stride)
        memory[: self._count] = self.array
        self._memory = memory


def _stride_bytes(width: int, measure: Measure) -> int:
    if measure in _BYTE_ALIGNMENT:
        alignment = _BYTE_ALIGNMENT[measure]
        return -(-width // alignment) * alignment
    values = width + (measure == Measure.float_angles)
    return -(-values * _FLOAT_BYTES // _CACHE_LINE_BYTES) * _CACHE_LINE_BYTES
