"""Digests: xxh3-128, which finds damage; it is no signature, and keeps no one from forging."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["DIGITS", "ROWS_PER_DIGEST", "Hasher", "digests_of_rows", "hasher"]

DIGITS = 32  # hexadecimal, of a digest
ROWS_PER_DIGEST = 256


class Hasher(Protocol):
    """Digests what it is given, piece by piece."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Go on with these bytes."""

    def hexdigest(self) -> str:
        """Of all bytes so far."""


def digests_of_rows(rows: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """xxh3-64 of each 256 rows: where a file of rows is damaged, they tell which are lost.

    Parameters
    ----------
    rows : ndarray of uint8, shape (n, stride)
    """
    from xxhash import xxh3_64_intdigest  # noqa: PLC0415  # as below

    starts = range(0, len(rows), ROWS_PER_DIGEST)
    digests = (xxh3_64_intdigest(rows[at : at + ROWS_PER_DIGEST].data) for at in starts)
    return np.fromiter(digests, np.uint64, len(starts))


def hasher(data: bytes | memoryview = b"") -> Hasher:
    """A hasher that has seen these bytes."""
    from xxhash import xxh3_128  # noqa: PLC0415  # importing lookalike loads NumPy alone

    return xxh3_128(data)
