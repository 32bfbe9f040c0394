"""The layout of an index: what an item looks like when it comes, and how it is stored."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike import arrays
from lookalike.errors import InvalidInput
from lookalike.metrics import Metric

__all__ = ["Layout"]


@dataclass(frozen=True, slots=True)
class Layout:
    """Fixed by the first batch of an index; everything later must fit it.

    Attributes
    ----------
    metric : Metric
    item_shape : tuple of int
        Shape of one item as stored; for packed bits, ``(bytes,)``.
    value_range : int
        The largest value of an integer item.
    width_bits : int or None
        Bits of an item, for packed bits; otherwise None.
    came_as : str
        Dtype of the first batch.
    """

    metric: Metric
    item_shape: tuple[int, ...]
    value_range: int
    width_bits: int | None
    came_as: str

    @classmethod
    def of(
        cls, batch: npt.NDArray[Any], metric: Metric, value_range: int, width_bits: int | None
    ) -> Layout:
        """Return the layout that a first batch fixes.

        Raises
        ------
        InvalidInput
            When it is no batch, or its width contradicts ``width_bits``.
        """
        shape = arrays.batch_shape(batch, "items")
        came_as = str(batch.dtype)
        if metric.name != "hamming":
            return cls(metric, shape, value_range, None, came_as)
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
        return cls(metric, (-(-bits // 8),), 255, bits, came_as)

    @property
    def width(self) -> int:
        """Bytes of a stored item."""
        return math.prod(self.item_shape)

    @property
    def stored_as(self) -> str:
        """How items are stored and what they were converted from, in words."""
        if self.width_bits is not None:
            return "packed bits" + (" from bool" if self.came_as == "bool" else "")
        return "uint8" + ("" if self.came_as == "uint8" else f" from {self.came_as}, without loss")

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

    def rows(self, array: npt.NDArray[Any], what: str) -> npt.NDArray[np.uint8]:
        """Check every value; return the items as bytes, shape (n, width).

        Raises
        ------
        InvalidInput, NotSupported
            When a value cannot be stored without loss.
        """
        if self.width_bits is None:
            stored = arrays.whole_bytes(array, self.value_range, what)
        else:
            stored = arrays.packed_bits(array, self.width_bits, what)
        return np.ascontiguousarray(stored).reshape(-1, self.width)

    def may_be_plain(self, item: npt.NDArray[Any]) -> bool:
        """Whether the core may read an array of the item shape, and check it, by itself.

        It does not look at padding bits, and it takes floats for bytes.
        """
        if self.width_bits is None:
            return True
        return item.dtype == np.uint8 and self.width_bits % 8 == 0
