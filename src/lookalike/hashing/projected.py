"""Hash functions of an item's products with drawn directions: what several families share."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike import native
from lookalike.hashing.family import HashFunctions
from lookalike.hashing.probing import Alternatives

__all__ = ["ProjectedFunctions"]

_OUTPUT_MULTIPLE = 16  # numbers that the core projects to together
_TOGETHER = 1 << 20  # projected numbers in memory at once


class ProjectedFunctions(HashFunctions):
    """Functions that see the products of an item with some directions each.

    Parameters
    ----------
    directions : ndarray of float32, shape (tables, bits, each, dimension)
    """

    def __init__(self, directions: npt.NDArray[np.float32]) -> None:
        tables, bits, self._each, self._dimension = directions.shape
        super().__init__(tables, bits)
        count = tables * bits * self._each
        outputs = -(-count // _OUTPUT_MULTIPLE) * _OUTPUT_MULTIPLE
        matrix = np.zeros((self._dimension, outputs), np.float32)
        matrix[:, :count] = directions.reshape(count, self._dimension).T
        # The core adds in one order at every CPU level, so that codes are the same everywhere.
        centre = np.zeros(self._dimension, np.float32)
        self._projection = native.Projection.of_floats(centre, matrix)

    def hash(self, items: npt.NDArray[Any], threads: int = 1) -> npt.NDArray[np.uint64]:
        """Hash a batch of numbers, converted to float32; see the base."""
        codes = np.empty((self.tables, len(items), self.words), np.uint64)
        together = max(1, _TOGETHER // self._projection.outputs)
        for first in range(0, len(items), together):
            part = slice(first, first + together)
            codes[:, part] = self._packed(self._values(self._products(items[part], threads)))
        return codes

    @abstractmethod
    def _values(self, products: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        """The functions' values, shape (tables, n, bits), of products as below."""

    @abstractmethod
    def _perturbed(self, products: npt.NDArray[np.float32]) -> Alternatives:
        """What these values may become, of products as below."""

    def _alternatives(self, items: npt.NDArray[Any], threads: int) -> Alternatives:
        return self._perturbed(self._products(items, threads))

    def _products(self, items: npt.NDArray[Any], threads: int) -> npt.NDArray[np.float32]:
        """Of items with all directions: shape (tables, n, bits, each)."""
        flat = np.ascontiguousarray(items, np.float32).reshape(-1, self._dimension)
        count, outputs = len(flat), self._projection.outputs
        products, rest = np.empty((count, outputs), np.float32), np.empty(count, np.float32)
        self._projection.apply(flat.view(np.uint8), outputs, threads, products, rest)
        own = products[:, : self.tables * self.bits * self._each]
        return own.reshape(count, self.tables, self.bits, self._each).transpose(1, 0, 2, 3)
