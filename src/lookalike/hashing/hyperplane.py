"""Hyperplanes: each bit of a code says on which side of a random plane an item lies.

The planes go through the origin, so an item's length does not matter: this is the family for the
cosine distance. Two items are separated by a plane whose normal vector points anywhere with equal
chance exactly when it cuts the angle between them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike import native
from lookalike.errors import InvalidInput
from lookalike.hashing.family import HashFamily, HashFunctions, bit_alternatives
from lookalike.hashing.probing import Alternatives
from lookalike.seeds import Purpose, normals

__all__ = ["Hyperplane", "HyperplaneFunctions"]

_OUTPUT_MULTIPLE = 16  # numbers that the core projects to together
_TOGETHER = 1 << 20  # projected numbers in memory at once


class Hyperplane(HashFamily):
    """The family for the cosine distance.

    Parameters
    ----------
    dimension : int
        Values in an item.

    Notes
    -----
    P[one bit agrees] is ``1 - angle / pi``, where ``angle = arccos(1 - distance)``. Charikar,
    "Similarity estimation techniques from rounding algorithms", STOC 2002.

    Examples
    --------
    >>> Hyperplane(dimension=64).collision_probability(1.0)  # a right angle
    0.5
    """

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension

    def draw(self, seed: int, *, tables: int, bits: int) -> HyperplaneFunctions:
        """Draw normal vectors of planes; the values of each are independent and normal."""
        planes = np.stack(
            [
                normals(bits * self.dimension, seed=seed, purpose=Purpose.HYPERPLANES, stream=table)
                for table in range(tables)
            ]
        )
        return HyperplaneFunctions(planes.reshape(tables, bits, self.dimension))

    def collision_probability(self, distance: float) -> float:
        """Chance that two items lie on the same side of one random plane.

        Parameters
        ----------
        distance : float
            Cosine distance, in [0, 2], ends included.

        Returns
        -------
        float
            ``1 - arccos(1 - distance) / pi``. The chance is over the draw of the plane.

        Raises
        ------
        InvalidInput
            Outside that range, and for NaN.
        """
        if not 0.0 <= distance <= 2.0:
            raise InvalidInput(
                f"distance must be in [0, 2], the range of the cosine distance; got {distance!r}. "
                "It is 1 - cosine, not an angle."
            )
        return 1.0 - math.acos(1.0 - distance) / math.pi


class HyperplaneFunctions(HashFunctions):
    """Drawn planes.

    Parameters
    ----------
    planes : ndarray of float32, shape (tables, bits, dimension)
        The normal vector of each.

    Notes
    -----
    An item that lies in a plane counts as above it. Lengths do not matter as long as the products
    fit float32, which the checks of an index see to.
    """

    def __init__(self, planes: npt.NDArray[np.float32]) -> None:
        tables, bits, dimension = planes.shape
        super().__init__(tables, bits)
        self._dimension = dimension
        squares = np.einsum("tbd,tbd->tb", planes, planes, dtype=np.float64)
        self._lengths = np.sqrt(squares)  # of the normal vectors
        outputs = -(-tables * bits // _OUTPUT_MULTIPLE) * _OUTPUT_MULTIPLE
        matrix = np.zeros((dimension, outputs), np.float32)
        matrix[:, : tables * bits] = planes.reshape(tables * bits, dimension).T
        # The core adds in one order at every CPU level, so that codes are the same everywhere.
        self._projection = native.Projection.of_floats(np.zeros(dimension, np.float32), matrix)

    def hash(self, items: npt.NDArray[Any], threads: int = 1) -> npt.NDArray[np.uint64]:
        """Hash a batch of numbers, converted to float32; see the base."""
        flat = np.ascontiguousarray(items, np.float32).reshape(-1, self._dimension)
        codes = np.empty((self.tables, len(flat), self.words), np.uint64)
        together = max(1, _TOGETHER // self._projection.outputs)
        for first in range(0, len(flat), together):
            part = slice(first, first + together)
            codes[:, part] = self._codes(flat[part], threads)
        return codes

    def _heights(self, items: npt.NDArray[np.float32], threads: int) -> npt.NDArray[np.float32]:
        """Of items above planes, times the lengths of the normals: (tables, n, bits)."""
        count, outputs = len(items), self._projection.outputs
        heights = np.empty((count, outputs), np.float32)
        rest = np.empty(count, np.float32)
        self._projection.apply(items.view(np.uint8), outputs, threads, heights, rest)
        own = heights[:, : self.tables * self.bits].reshape(count, self.tables, self.bits)
        return own.transpose(1, 0, 2)

    def _codes(self, items: npt.NDArray[np.float32], threads: int) -> npt.NDArray[np.uint64]:
        return self._packed((self._heights(items, threads) >= 0).astype(np.int64))

    def _alternatives(self, items: npt.NDArray[Any], threads: int) -> Alternatives:
        flat = np.ascontiguousarray(items, np.float32).reshape(-1, self._dimension)
        heights = self._heights(flat, threads)
        costs = (heights.astype(np.float64) / self._lengths[:, None]) ** 2
        above = heights >= 0
        return bit_alternatives(above.reshape(-1, self.bits), costs.reshape(-1, self.bits))
