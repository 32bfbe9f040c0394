"""Hash families: random functions under which similar items collide more often."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from lookalike.hashing.probing import Alternatives, probed_values

__all__ = ["HashFamily", "HashFunctions", "bit_alternatives"]

_WORD_BITS = 64
_TOGETHER = 1 << 22  # values of probed codes in memory at once


class HashFunctions(ABC):
    """Hash functions drawn from a family: ``tables`` times ``bits`` of them.

    Parameters
    ----------
    tables, bits : int
        One code is made of ``bits`` functions, and an item has one code per table. The value of a
        function is a bit, or, in some families, a number.
    """

    value_bits: ClassVar[int] = 1  # that a function's value takes in a code: 1, 16 or 32

    def __init__(self, tables: int, bits: int) -> None:
        self.tables = tables
        self.bits = bits

    @property
    def words(self) -> int:
        """Words of 64 bits that a code takes."""
        return -(-self.bits * self.value_bits // _WORD_BITS)

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
            Values follow each other from the lowest bit of the first word on, each in
            ``value_bits`` bits; the unused bits of the last word are zero.
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
        codes = np.empty((self.tables, len(items), count, self.words), np.uint64)
        together = max(1, _TOGETHER // (self.tables * self.bits * count))
        for first in range(0, len(items), together):
            part = slice(first, first + together)
            probed = probed_values(self._alternatives(items[part], threads), count)
            packed = self._packed(probed.reshape(self.tables, -1, self.bits))
            codes[:, part] = packed.reshape(self.tables, -1, count, self.words)
        return codes

    @abstractmethod
    def _alternatives(self, items: npt.NDArray[Any], threads: int) -> Alternatives:
        """What the values of all codes may become: those of the first table first."""

    def _packed(self, values: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
        """Codes, shape (tables, n, words), from values of shape (tables, n, bits)."""
        kind = np.bool_ if self.value_bits == 1 else np.dtype(f"<i{self.value_bits // 8}")
        whole = np.zeros((*values.shape[:2], self.words * _WORD_BITS // self.value_bits), kind)
        whole[..., : self.bits] = values
        if self.value_bits == 1:
            whole = np.packbits(whole, axis=2, bitorder="little")
        return whole.view("<u8").astype(np.uint64)


def bit_alternatives(values: npt.NDArray[np.int64], costs: npt.NDArray[np.float64]) -> Alternatives:
    """Each bit may become the other one: values and costs of shape (..., bits)."""
    own, costs = values.reshape(-1, values.shape[-1]), costs.reshape(-1, values.shape[-1])
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
