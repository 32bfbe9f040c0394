"""Hash families: random functions under which similar items collide more often."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["HashFamily", "HashFunctions"]


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
        return -(-self.bits // 64)

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


class HashFamily(ABC):
    """A family of hash functions for one metric.

    A family can draw functions from a seed, and says how probable it is that one drawn
    function gives two items the same bit, as a function of their distance alone.
    """

    @abstractmethod
    def draw(self, seed: int, *, tables: int, bits: int) -> HashFunctions:
        """Draw ``tables * bits`` functions; each table has a stream of its own.

        The first functions of a table do not depend on how many are drawn, nor on the other
        tables: more bits extend a code, more tables leave the earlier ones as they are.
        """

    @abstractmethod
    def collision_probability(self, distance: float) -> float:
        """Chance that one random function gives two items at this distance the same bit.

        The chance is over the draw of the function, not over the data.
        """
