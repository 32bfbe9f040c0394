"""What is kept of an index, by name: facts that JSON can say, and arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["Arrays", "Stored", "array_of", "count_of", "number_of"]

Arrays = Mapping[str, npt.NDArray[Any]]
_MOST = 2**53  # of a count: what JSON passes on everywhere


class Stored(NamedTuple):
    """Facts, as JSON can say them, and arrays by name.

    Both come from files of strangers: what reads them raises ValueError where they cannot be.
    """

    facts: dict[str, Any]
    arrays: dict[str, npt.NDArray[Any]]


def count_of(facts: Mapping[str, Any], key: str, most: int = _MOST) -> int:
    """A whole number from 0 to the most there can be.

    Raises
    ------
    ValueError
        When it is none.
    """
    value = facts.get(key)
    if type(value) is not int or not 0 <= value <= most:
        raise ValueError(f"{key} must be a number from 0 to {most}")
    return value


def number_of(facts: Mapping[str, Any], key: str) -> float:
    """A number that is not negative.

    Raises
    ------
    ValueError
        When it is none.
    """
    value = facts.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"{key} must be a number")
    if not 0 <= value < float("inf"):
        raise ValueError(f"{key} must be a number")
    return float(value)


def array_of(
    arrays: Arrays, name: str, dtype: Any, shape: tuple[int | None, ...]
) -> npt.NDArray[Any]:
    """An array of this dtype and shape, in which None stands for any size.

    Raises
    ------
    ValueError
        When there is none.
    """
    array = arrays.get(name)
    fits = (
        array is not None
        and array.dtype == np.dtype(dtype)
        and array.ndim == len(shape)
        and all(want in (None, size) for want, size in zip(shape, array.shape, strict=True))
    )
    if array is None or not fits:
        raise ValueError(f"there must be an array {name} of {np.dtype(dtype)} and shape {shape}")
    return array
