"""Bit sampling: each bit of a code is one bit of the item, chosen at random.

For packed bits this is the family of Indyk and Motwani for the Hamming distance. An integer
vector becomes bits by writing each value in unary: with a value range of 16 the pixel 12 is
twelve ones and four zeros. The Hamming distance of two such strings is the L1 distance of the
vectors, so the same family serves L1. The string is never built: bit t of a pixel is 1
exactly when the pixel is greater than t.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike import native
from lookalike.errors import InvalidInput
from lookalike.hashing.family import HashFamily, HashFunctions, bit_alternatives
from lookalike.hashing.probing import Alternatives
from lookalike.seeds import Purpose, integers_below

__all__ = ["BitFunctions", "BitSampling", "threshold_functions"]


class BitSampling(HashFamily):
    """The family for packed bits (Hamming) and for integer vectors read in unary (L1).

    Parameters
    ----------
    dimension : int
        Values in an item; for packed bits, its bits.
    value_range : int or None
        The largest value (at most 255), for integer vectors; None for packed bits.

    Notes
    -----
    P[one bit agrees] is ``1 - distance / (dimension * value_range)``, for packed bits
    ``1 - distance / dimension``, exactly. Indyk and Motwani, "Approximate nearest
    neighbors: towards removing the curse of dimensionality", STOC 1998; Gionis, Indyk and
    Motwani, "Similarity search in high dimensions via hashing", VLDB 1999 (the unary code).

    Examples
    --------
    >>> family = BitSampling(dimension=64, value_range=16)
    >>> family.collision_probability(0.0), family.collision_probability(256.0)
    (1.0, 0.75)
    """

    def __init__(self, dimension: int, value_range: int | None = None) -> None:
        self.dimension = dimension
        self.value_range = value_range

    @property
    def string_bits(self) -> int:
        """Bits of the whole string that is sampled from."""
        return self.dimension * (self.value_range or 1)

    def draw(self, seed: int, *, tables: int, bits: int) -> BitFunctions:
        """Draw bits of the string, uniformly and with replacement."""
        chosen = np.stack(
            [
                integers_below(
                    self.string_bits, bits, seed=seed, purpose=Purpose.BIT_SAMPLING, stream=table
                )
                for table in range(tables)
            ]
        )
        if self.value_range is None:
            return _bit_functions(chosen, self.dimension)
        return threshold_functions(
            chosen // self.value_range,
            chosen % self.value_range,
            dimension=self.dimension,
            value_range=self.value_range,
        )

    def collision_probability(self, distance: float) -> float:
        """Chance that one sampled bit is the same in two items.

        Parameters
        ----------
        distance : float
            L1 or Hamming distance, in [0, string_bits], ends included.

        Returns
        -------
        float
            ``1 - distance / string_bits``. The chance is over the draw of the bit.

        Raises
        ------
        InvalidInput
            Outside that range, and for NaN.
        """
        if not 0.0 <= distance <= self.string_bits:
            raise InvalidInput(
                f"distance must be in [0, {self.string_bits}], the bits that this family samples "
                f"from; got {distance!r}. Check dimension and value_range."
            )
        return 1.0 - distance / self.string_bits


class BitFunctions(HashFunctions):
    """Drawn tests of single bits.

    Parameters
    ----------
    sampler : native.BitSampler
        The tests, compiled; items are bytes, or whole numbers in a wider dtype.
    positions : ndarray of int, shape (tables, bits)
        The value that each test reads, or the bit.
    thresholds : ndarray of int, same shape, or None
        What the value must exceed; None for bits, which have no distance from their boundary.
    """

    def __init__(
        self,
        sampler: native.BitSampler,
        positions: npt.NDArray[np.integer[Any]],
        thresholds: npt.NDArray[np.integer[Any]] | None = None,
    ) -> None:
        super().__init__(*positions.shape)
        self.sampler = sampler
        self._positions = positions
        self._thresholds = thresholds

    def hash(self, items: npt.NDArray[Any], threads: int = 1) -> npt.NDArray[np.uint64]:
        """Hash a batch of bytes, or of whole numbers in a wider dtype; see the base."""
        codes = np.empty((self.tables, len(items), self.words), np.uint64)
        self.sampler.codes(items, threads, codes)
        return codes

    def _alternatives(self, items: npt.NDArray[Any], threads: int) -> Alternatives:
        codes = self.hash(items, threads)
        bits = np.unpackbits(codes.astype("<u8").view(np.uint8), axis=2, bitorder="little")
        values = bits[:, :, : self.bits].astype(np.int64)
        if self._thresholds is None:
            return bit_alternatives(values, np.ones(values.shape))
        numbers = np.asarray(items, np.float64).reshape(len(items), -1)
        read = numbers[:, self._positions].transpose(1, 0, 2)
        # The boundary lies between two whole numbers. A threshold below all values has none.
        costs = (read - self._thresholds[:, None] - 0.5) ** 2
        costs[np.broadcast_to(self._thresholds[:, None] < 0, costs.shape)] = np.inf
        return bit_alternatives(values, costs)


def threshold_functions(
    positions: npt.NDArray[np.integer[Any]],
    thresholds: npt.NDArray[np.integer[Any]],
    *,
    dimension: int,
    value_range: int,
) -> BitFunctions:
    """Make hash functions from explicit pairs: bit = (item[position] > threshold).

    Parameters
    ----------
    positions : ndarray of int, shape (tables, bits)
        Which value of the item, in [0, dimension).
    thresholds : ndarray of int, same shape
        In [-1, 254]; with -1 the bit is always 1.
    dimension : int
        Values in an item.
    value_range : int
        The largest value allowed in an item, at most 255.

    Raises
    ------
    InvalidInput
        When the shapes differ or a number is out of range.
    """
    positions, thresholds = np.asarray(positions), np.asarray(thresholds)
    if positions.ndim != 2 or positions.shape != thresholds.shape or positions.size == 0:
        raise InvalidInput(
            "positions and thresholds must have one shape (tables, bits), neither 0; got "
            f"{positions.shape} and {thresholds.shape}. Give one pair for each bit."
        )
    if positions.min() < 0 or positions.max() >= dimension:
        raise InvalidInput(
            f"positions must be in [0, {dimension}); got {positions.min()} to {positions.max()}. "
            "Number the values of the flattened item from 0."
        )
    if thresholds.min() < -1 or thresholds.max() > 254:
        raise InvalidInput(
            f"thresholds must be in [-1, 254]; got {thresholds.min()} to {thresholds.max()}. "
            "Bit t of the unary code has threshold t."
        )
    sampler = native.BitSampler(
        np.ascontiguousarray(positions, np.uint32),
        np.full(positions.shape, 255, np.uint8),
        np.ascontiguousarray(thresholds + 1, np.uint8),
        dimension,
        value_range,
    )
    return BitFunctions(sampler, positions, thresholds)


def _bit_functions(chosen: npt.NDArray[np.int64], width_bits: int) -> BitFunctions:
    sampler = native.BitSampler(
        (chosen // 8).astype(np.uint32),
        (128 >> (chosen % 8)).astype(np.uint8),  # numpy.packbits puts the first bit highest
        np.ones(chosen.shape, np.uint8),
        -(-width_bits // 8),
        255,
    )
    return BitFunctions(sampler, chosen)
