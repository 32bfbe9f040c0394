"""The layout of an index: what an item looks like when it comes, and how it is stored."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike import arrays
from lookalike.errors import InvalidInput
from lookalike.metrics import Metric
from lookalike.native import Measure

__all__ = ["Layout"]

_WIDEST = 2**31  # values of an item that a file may speak of
_MOST_AXES = 63  # of an item: NumPy has 64, and a batch takes one
_LARGEST_SCALE = 2.0**120
_DTYPE = re.compile(r"bool|u?int(8|16|32|64)|float(16|32|64|96|128)")  # of batches
_LEAST_MAGNITUDE = 2.0**-40  # smaller values are scaled up: their squares would vanish in float32


@dataclass(frozen=True, slots=True)
class Layout:
    """Fixed by the first batch of an index; everything later must fit it.

    Attributes
    ----------
    metric : Metric
    measure : Measure
        The kernel for items stored like this.
    item_shape : tuple of int
        Shape of one item as stored; for packed bits, ``(bytes,)``.
    value_range : int
        The largest value of an item stored as bytes.
    width_bits : int or None
        Bits of an item, for packed bits; otherwise None.
    scale : float
        The power of two that floats are multiplied by.
    came_as : str
        Dtype of the first batch.
    """

    metric: Metric
    measure: Measure
    item_shape: tuple[int, ...]
    value_range: int
    width_bits: int | None
    scale: float
    came_as: str

    @classmethod
    def of(
        cls,
        batch: npt.NDArray[Any],
        metric: Metric,
        value_range: int | None = None,
        width_bits: int | None = None,
    ) -> Layout:
        """Return the layout that a first batch fixes.

        Items are stored as bytes where that loses nothing, otherwise as float32. A value range
        says that they are to be bytes.

        Raises
        ------
        InvalidInput
            When it is no batch, or its width contradicts ``width_bits``.
        """
        shape = arrays.batch_shape(batch, "items")
        if math.prod(shape) > _WIDEST:
            raise InvalidInput(
                f"items must have {_WIDEST:,} values at the most; got shape {shape}. Cut them up, "
                "or describe them by fewer numbers."
            )
        if metric.name == "hamming":
            return cls._of_bits(batch, shape, metric, width_bits)
        limit = 255 if value_range is None else value_range
        fits = value_range is not None or arrays.are_whole_bytes(batch, limit)
        if metric.of_bytes is not None and fits:
            measure, scale = metric.of_bytes, 1.0
        else:
            assert metric.of_floats is not None
            measure, scale = metric.of_floats, _scale_for(batch)
        return cls(metric, measure, shape, limit, None, scale, str(batch.dtype))

    @classmethod
    def _of_bits(
        cls,
        batch: npt.NDArray[Any],
        shape: tuple[int, ...],
        metric: Metric,
        width_bits: int | None,
    ) -> Layout:
        if len(shape) != 1:
            raise InvalidInput(
                f"items must have shape (n, bytes) or (n, bits) for metric 'hamming'; got "
                f"{batch.shape}. Flatten each item."
            )
        given = shape[0] if batch.dtype == np.bool_ else 8 * shape[0]
        bits = given if width_bits is None else width_bits
        if bits > given or (bits < given if batch.dtype == np.bool_ else bits <= given - 8):
            raise InvalidInput(
                f"items must have the {bits} bits that width_bits says; got {given} bits "
                f"from shape {batch.shape} of {batch.dtype}. Change width_bits or the items."
            )
        assert metric.of_bytes is not None
        return cls(metric, metric.of_bytes, (-(-bits // 8),), 255, bits, 1.0, str(batch.dtype))

    @property
    def width(self) -> int:
        """Values of a stored item."""
        return math.prod(self.item_shape)

    @property
    def are_floats(self) -> bool:
        """Whether items are stored as float32; otherwise as bytes."""
        return self.measure == self.metric.of_floats

    @property
    def stored_as(self) -> str:
        """How items are stored and what they were converted from, in words."""
        if self.width_bits is not None:
            return "packed bits" + (" from bool" if self.came_as == "bool" else "")
        if not self.are_floats:
            lossless = f"uint8 from {self.came_as}, without loss"
            return "uint8" if self.came_as == "uint8" else lossless
        if self.came_as in ("float32", "float16", "uint8", "bool"):
            return "float32" if self.came_as == "float32" else f"float32 from {self.came_as}"
        return f"float32 from {self.came_as}, rounded"

    def widened(self, batch: npt.NDArray[Any]) -> Layout:
        """The layout for the items so far, stored as bytes, and a batch that does not fit bytes."""
        assert self.metric.of_floats is not None
        came_as = str(np.result_type(np.dtype(self.came_as), batch.dtype))
        return replace(self, measure=self.metric.of_floats, came_as=came_as)

    def count(self, array: npt.NDArray[Any], what: str) -> int | None:
        """Number of items of a batch; None for one item.

        Raises
        ------
        InvalidInput
            When the shape is neither.
        """
        if self.width_bits is not None and array.dtype == np.bool_:
            return arrays.count_of(array.shape, (self.width_bits,), what)
        return arrays.count_of(array.shape, self.item_shape, what)

    def rows(self, array: npt.NDArray[Any], what: str) -> npt.NDArray[Any]:
        """Check every value; return the items as the core reads them, shape (n, width).

        Raises
        ------
        InvalidInput
            When a value cannot be stored.
        """
        if self.width_bits is not None:
            stored: npt.NDArray[Any] = arrays.packed_bits(array, self.width_bits, what)
        elif self.are_floats:
            flat = array.reshape(-1, self.width)
            stored = arrays.finite_floats(
                flat, self.scale, lengths=self.measure == Measure.float_angles, what=what
            )
        else:
            stored = arrays.whole_bytes(array, self.value_range, what)
        return np.ascontiguousarray(stored).reshape(-1, self.width)

    def check(self) -> None:
        """Check that the parts go together, where they come from a file.

        Raises
        ------
        ValueError
            When they do not.
        """
        sizes = self.item_shape
        possible = all(type(size) is int and 0 < size <= _WIDEST for size in sizes)
        # Few sizes: the product of very many takes for ever.
        if not possible or not 0 < len(sizes) <= _MOST_AXES or math.prod(sizes) > _WIDEST:
            raise ValueError(f"items cannot have {len(sizes)} axes of such sizes")
        if self.measure not in (self.metric.of_bytes, self.metric.of_floats):
            raise ValueError(f"metric {self.metric.name} has no measure {self.measure.name}")
        if (self.width_bits is not None) != (self.metric.name == "hamming"):
            raise ValueError("width_bits is of metric 'hamming'")
        if self.width_bits is not None and sizes != (-(-self.width_bits // 8),):
            raise ValueError(f"{self.width_bits} bits have no shape {sizes}")
        if self.value_range < 1 or math.frexp(self.scale)[0] != 0.5:
            raise ValueError("value_range must be positive and scale a power of two")
        if not 1.0 <= self.scale <= (_LARGEST_SCALE if self.are_floats else 1.0):
            raise ValueError("scale must be what small floats need, and 1 for bytes")
        if not isinstance(self.came_as, str) or not _DTYPE.fullmatch(self.came_as):
            raise ValueError("items must have come as numbers")

    def may_be_plain(self, item: npt.NDArray[Any]) -> bool:
        """Whether the core may read an array of the item shape, and check it, by itself.

        It does not look at padding bits, and it takes floats for bytes.
        """
        if self.width_bits is None:
            return True
        return item.dtype == np.uint8 and self.width_bits % 8 == 0


def _scale_for(batch: npt.NDArray[Any]) -> float:
    """A power of two that brings very small values near 1; otherwise 1."""
    with np.errstate(invalid="ignore"):
        largest = max(-float(batch.min(initial=0)), float(batch.max(initial=0)))
    if not 0.0 < largest < _LEAST_MAGNITUDE:
        return 1.0
    return min(float(2.0 ** -math.frexp(largest)[1]), _LARGEST_SCALE)
