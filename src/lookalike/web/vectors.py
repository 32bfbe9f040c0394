"""Vectors that somebody sends, as numbers: checked, and made what an encoder makes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike.errors import InvalidInput

__all__ = ["checked_vector"]


def checked_vector(
    vector: npt.NDArray[Any], length: int, largest: int | None = None
) -> npt.NDArray[Any]:
    """A vector as an index takes it.

    Parameters
    ----------
    vector : ndarray
        Numbers.
    length : int
        That it must have.
    largest : int, optional
        Of whole numbers from 0, which become uint8; otherwise it becomes float32.

    Raises
    ------
    InvalidInput
    """
    if vector.shape != (length,):
        raise InvalidInput(
            f"a vector of this encoder must have {length:,} numbers; got "
            f"{' x '.join(map(str, vector.shape))}. Is it of another encoder?"
        )
    if largest is not None:
        if not np.all((vector >= 0) & (vector <= largest) & (vector == np.floor(vector))):
            raise InvalidInput(
                f"a vector of this encoder must have whole numbers from 0 to {largest}; got "
                "others. Is it of another encoder?"
            )
        return vector.astype(np.uint8)
    if not np.all(np.abs(vector) <= np.finfo(np.float32).max):
        raise InvalidInput(
            "a vector must have numbers that float32 can hold; got others. Scale it."
        )
    return vector.astype(np.float32)
