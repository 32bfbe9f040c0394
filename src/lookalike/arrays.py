"""Shape, dtype and value checks of every array that enters: one place, full messages.

The rule for shapes: an index has an *item shape*, fixed by its first batch, and every item
may also be given flat. So for items of shape (8, 8) a query of shape (8, 8) or (64,) is one
item, (n, 8, 8) or (n, 64) is a batch, and anything else is an error.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike.errors import InvalidInput

__all__ = [
    "are_whole_bytes",
    "as_array",
    "as_radius",
    "batch_shape",
    "count_of",
    "finite_floats",
    "packed_bits",
    "positive_integer",
    "real_number",
    "whole_bytes",
]

_SHOWN = 3  # positions listed in a message about bad values
_CHUNK = 4096  # items squared at a time
_TESTED = 1 << 20  # values looked at together
_READABLE = [np.dtype(t) for t in (np.uint8, np.int32, np.int64, np.float32, np.float64)]
_MOST_SQUARES = 8e37  # four times this is still a float32 (most_squares in items.h)
_LEAST_SQUARES = 1e-74  # the reciprocal of the root is still a float32


def as_array(values: object, what: str) -> npt.NDArray[Any]:
    """Return the values as a NumPy array of numbers or booleans, in native byte order.

    Parameters
    ----------
    values : array_like
        Lists, NumPy arrays, and whatever has ``__array__``; never an object array.
    what : str
        How the message calls it.

    Raises
    ------
    InvalidInput
        For ragged lists, objects, text, dates, complex numbers and a missing value.
    """
    if isinstance(values, np.ma.MaskedArray):
        raise InvalidInput(
            f"{what} must be a plain array; got a masked one, whose mask would be lost. Fill it "
            "with .filled(value), or leave the masked items out."
        )
    try:
        array = np.asarray(values)
    except Exception as failure:
        raise InvalidInput(
            f"{what} must be an array of numbers; got {type(values).__name__}, which NumPy "
            f"cannot convert ({failure}). Give an array with one shape."
        ) from None
    if array.dtype.kind not in "buif":
        raise InvalidInput(
            f"{what} must hold numbers or booleans; got dtype {array.dtype} from "
            f"{type(values).__name__}. Convert it, for instance with .astype(numpy.uint8)."
        )
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def batch_shape(array: npt.NDArray[Any], what: str) -> tuple[int, ...]:
    """Return the item shape of a first batch.

    Raises
    ------
    InvalidInput
        Unless the array has at least two axes and items of at least one value.
    """
    if array.ndim < 2:
        raise InvalidInput(
            f"{what} must be a batch: shape (n, d) or (n, height, width); got shape "
            f"{array.shape}. For a single item, add an axis: items[None]."
        )
    if 0 in array.shape[1:]:
        raise InvalidInput(
            f"{what} must have items of at least one value; got shape {array.shape}, whose "
            "items are empty. Check how the array was made."
        )
    return array.shape[1:]


def count_of(shape: tuple[int, ...], item_shape: tuple[int, ...], what: str) -> int | None:
    """Tell one item from a batch by its shape.

    Parameters
    ----------
    shape : tuple of int
        Of the array that came.
    item_shape : tuple of int
        Of the index.

    Returns
    -------
    int or None
        Number of items of a batch; None for one item.

    Raises
    ------
    InvalidInput
        When the shape is neither.
    """
    flat = (math.prod(item_shape),)
    if shape in (item_shape, flat):
        return None
    if shape[1:] in (item_shape, flat) and len(shape) > 1:
        return shape[0]
    one = " or ".join(str(s) for s in dict.fromkeys((item_shape, flat)))
    many = " or ".join(f"(n, {', '.join(map(str, s))})" for s in dict.fromkeys((item_shape, flat)))
    raise InvalidInput(
        f"{what} must have shape {one} for one item, or {many} for a batch, the item shape of "
        f"this index; got {shape}. Reshape it, or check that it is the same kind of item."
    )


def are_whole_bytes(array: npt.NDArray[Any], limit: int) -> bool:
    """Whether all values are whole numbers in [0, limit]."""
    if array.dtype.kind == "b":
        return limit >= 1
    if not (array.min(initial=0) >= 0 and array.max(initial=0) <= limit):  # NaN is not
        return False
    if array.dtype.kind != "f":
        return True
    # A part at a time: items that are no bytes show it soon, and a mask of all takes memory.
    flat = array.reshape(-1)
    parts = (flat[first : first + _TESTED] for first in range(0, flat.size, _TESTED))
    return all(bool((part == np.trunc(part)).all()) for part in parts)


def whole_bytes(array: npt.NDArray[Any], limit: int, what: str) -> npt.NDArray[np.uint8]:
    """Return integer-valued data as uint8, without loss.

    Parameters
    ----------
    array : ndarray, any shape
        Integers, booleans, or floats that hold whole numbers.
    limit : int
        The largest value allowed (``value_range``), at most 255.

    Raises
    ------
    InvalidInput
        For NaN, infinities, values outside [0, limit] and fractions, with their positions.
    """
    if array.dtype == np.uint8 and array.max(initial=0) <= limit:
        return array
    if array.dtype.kind == "f":
        _refuse(array, ~np.isfinite(array), "must be finite", "Remove or replace them.", what)
    _refuse(
        array,
        (array < 0) | (array > limit),
        f"must lie in [0, {limit}], the value range of this index",
        "Rescale them, or build the index with another value_range (at most 255).",
        what,
    )
    whole = array.astype(np.uint8)
    if array.dtype.kind == "f":
        _refuse(
            array,
            whole != array,
            "must hold whole numbers, because the items of this index are whole, stored as uint8",
            "Round them; an index whose items have fractions takes any.",
            what,
        )
    return whole


def finite_floats(
    array: npt.NDArray[Any], scale: float, *, lengths: bool, what: str
) -> npt.NDArray[Any]:
    """Return items that can be stored as float32, as the core reads them.

    Parameters
    ----------
    array : ndarray, shape (n, width)
    scale : float
        What they will be multiplied by.
    lengths : bool
        Whether items need a direction, and so must not be zero.

    Raises
    ------
    InvalidInput
        For NaN and infinities, for items whose squares overflow float32, and for zero vectors
        where a direction is needed; with their positions.
    """
    given = array
    if array.dtype not in _READABLE:
        array = array.astype(np.float64 if array.dtype.kind in "ui" else np.float32)
    squares = _sums_of_squares(array, scale)
    too_large = ~(squares <= _MOST_SQUARES)  # NaN is
    if given.dtype.kind == "f" and too_large.any():  # a mask of all values takes memory
        _refuse(given, ~np.isfinite(given), "must be finite", "Remove or replace them.", what)
    _refuse_items(
        too_large,
        "must have squares that float32 can add up",
        "whose sums of squares overflow it",
        "Divide all items by a constant.",
        what,
    )
    if lengths:
        _refuse_items(
            squares < _LEAST_SQUARES,
            "must have a direction for metric 'cosine'",
            "that are zero",
            "Remove them, or use metric 'l2'.",
            what,
        )
    return array


def _sums_of_squares(array: npt.NDArray[Any], scale: float) -> npt.NDArray[np.float64]:
    sums = np.empty(len(array))
    with np.errstate(over="ignore"):
        for first in range(0, len(array), _CHUNK):
            part = array[first : first + _CHUNK].astype(np.float64) * scale
            sums[first : first + _CHUNK] = np.einsum("ij,ij->i", part, part)
    return sums


def _refuse_items(
    bad: npt.NDArray[np.bool_], expected: str, which: str, remedy: str, what: str
) -> None:
    if bad.any():
        first = ", ".join(str(i) for i in np.flatnonzero(bad)[:_SHOWN])
        raise InvalidInput(
            f"{what} {expected}; got {int(bad.sum())} of {len(bad)} {which}, the first at "
            f"{first}. {remedy}"
        )


def packed_bits(array: npt.NDArray[Any], width_bits: int, what: str) -> npt.NDArray[np.uint8]:
    """Check packed bits, or pack booleans, in the order of ``numpy.packbits``.

    Parameters
    ----------
    array : ndarray of uint8 (..., ceil(width_bits / 8)) or bool (..., width_bits)
    width_bits : int
        Bits in an item.

    Returns
    -------
    ndarray of uint8, shape (..., ceil(width_bits / 8))

    Raises
    ------
    InvalidInput
        For another dtype, or a padding bit that is set.
    """
    if array.dtype == np.bool_:
        return np.packbits(array, axis=-1)
    if array.dtype != np.uint8:
        raise InvalidInput(
            f"{what} must be packed bits as uint8 in numpy.packbits order, or bool, for metric "
            f"'hamming'; got dtype {array.dtype}. Pack it with numpy.packbits(bits, axis=-1)."
        )
    padding = -width_bits % 8
    if padding:
        set_padding = (array[..., -1:] & ((1 << padding) - 1)) != 0
        if set_padding.any():
            raise InvalidInput(
                f"{what} must have its last {padding} bits zero, because width_bits is "
                f"{width_bits}; got {int(set_padding.sum())} items with padding bits set. "
                "Clear them, or give the full width_bits."
            )
    return array


def as_radius(radius: object, what: str = "radius") -> float:
    """Return the radius as a float.

    Raises
    ------
    InvalidInput
        Unless it is a number >= 0; infinity is allowed, NaN is not.
    """
    number = real_number(radius)
    if not number >= 0:  # phrased so that NaN fails as well
        raise InvalidInput(
            f"{what} must be a number >= 0, in units of the metric; got {radius!r}. "
            "Use 0 for exact copies."
        )
    return number


def real_number(value: object) -> float:
    """Return a number as a float, and NaN for whatever is no number, booleans included."""
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
        return float(value)
    return math.nan


def positive_integer(value: object, what: str, most: int | None = None) -> int:
    """Return the value as an int of at least 1, and at most ``most``.

    Raises
    ------
    InvalidInput
        For anything else, booleans and whole floats included.
    """
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = 0
    if isinstance(value, bool) or number < 1 or (most is not None and number > most):
        upper = "" if most is None else f" and at most {most}"
        raise InvalidInput(
            f"{what} must be a whole number of at least 1{upper}; got {value!r}. "
            f"Give {what} as an int."
        )
    return number


def _refuse(
    array: npt.NDArray[Any], bad: npt.NDArray[np.bool_], expected: str, remedy: str, what: str
) -> None:
    if bad.any():
        raise InvalidInput(f"{what} {expected}; got {_places(array, bad)}. {remedy}")


def _places(array: npt.NDArray[Any], bad: npt.NDArray[np.bool_]) -> str:
    """Describe bad values: how many, and the first few with their positions."""
    where = np.argwhere(bad)[:_SHOWN]
    shown = ", ".join(f"{array[tuple(p)]} at {tuple(int(i) for i in p)}" for p in where)
    count = int(bad.sum())
    return f"{count} of {array.size} values that are not, the first {shown}"
