"""Hash families: random functions under which similar items collide more often."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike.hashing.probing import Alternatives, probed_values

__all__ = ["WORD_BITS", "HashFamily", "HashFunctions", "bit_alternatives"]

WORD_BITS = 64


class HashFunctions(ABC):
    """Hash functions drawn from a family: ``tables`` times ``bits`` of them.

    Parameters
    ----------
    tables, bits : int
        One code has ``bits`` bits, and an item has one code per table.
    """

    def __init__(self, tables: int, bits: int) -> None:
        self.tables = tables
        self.bits = bits

    @property
    def words(self) -> int:
        """Words of 64 bits that a code takes."""
        return -(-self.bits // WORD_BITS)

    @abstractmethod
    def hash(self, items: npt.NDArray[Any], threads: int = 1) -> npt.NDArray[np.uint64]:
        """Hash a batch.

        Parameters
        ----------
        items : ndarray, shape (n, d)
            As the family takes them.
        threads : int
            How many to use; the codes do not depend on it.

        Returns
        -------
        ndarray of uint64, shape (tables, n, words)
            Bit j of a code is bit ``j % 64`` of its word ``j // 64``; the unused bits of the
            last word are zero. ``words`` is ``ceil(bits / 64)``.
        """

    def probes(
        self, items: npt.NDArray[Any], count: int, threads: int = 1
    ) -> npt.NDArray[np.uint64]:
        """Codes of the buckets that near neighbours are most likely in.

        Parameters
        ----------
        items : ndarray, shape (n, d)
        count : int
            How many in each table; where there are not so many, the first fill up.
        threads : int

        Returns
        -------
        ndarray of uint64, shape (tables, n, count, words)
            The item's own code first, then by ascending cost; see :mod:`.probing`.
        """
        if count == 1:
            return self.hash(items, threads)[:, :, None]
        probed = probed_values(self._alternatives(items, threads), count)
        packed = self._packed(probed.reshape(self.tables, -1, self.bits))
        return packed.reshape(self.tables, -1, count, self.words)

    @abstractmethod
    def _alternatives(self, items: npt.NDArray[Any], threads: int) -> Alternatives:
        """What the values of all codes may become: those of the first table first."""

    def _packed(self, values: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
        """Codes from their values, which are single bits here: (tables, n, bits)."""
        whole = np.zeros((*values.shape[:2], self.words * WORD_BITS), np.bool_)
        whole[..., : self.bits] = values
        return np.packbits(whole, axis=2, bitorder="little").view("<u8").astype(np.uint64)


def bit_alternatives(values: npt.NDArray[np.bool_], costs: npt.NDArray[np.float64]) -> Alternatives:
    """Each bit may become the other one: values and costs of shape (codes, bits)."""
    own = values.astype(np.int64)
    functions = np.broadcast_to(np.arange(own.shape[1]), own.shape)
    return Alternatives(own, functions, 1 - own, costs)


class HashFamily(ABC):
    """A family of hash functions for one metric.

    A family can draw functions from a seed, and says how probable it is that one drawn
    function gives two items the same value, as a function of their distance alone.
    """

    @abstractmethod
    def draw(self, seed: int, *, tables: int, bits: int) -> HashFunctions:
        """Draw ``tables * bits`` functions; each table has a stream of its own.

        The first functions of a table do not depend on how many are drawn, nor on the other
        tables: more bits extend a code, more tables leave the earlier ones as they are.
        """

    @abstractmethod
    def collision_probability(self, distance: float) -> float:
        """Chance that one random function gives two items at this distance the same value.

        The chance is over the draw of the function, not over the data.
        """
