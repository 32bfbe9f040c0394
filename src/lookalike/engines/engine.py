"""The contract that every engine keeps.

An engine is built over rows and does not change afterwards; rows that come later belong to
the next engine. It answers with *slots*, the numbers of rows, and knows nothing of user ids.

Every engine runs the same three steps: **hash** (which rows to look at), **filter** (discard
most of them cheaply), **verify** (exact distances of the rest). So, whatever the engine:

- distances are exact, and a radius includes its boundary;
- results ascend by (distance, slot), and the same call gives the same result;
- fewer than k results are filled up with slot -1 and distance infinity.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike.results import Step

__all__ = ["Engine", "Found", "Items", "Mask"]

Items = npt.NDArray[Any]
Mask = npt.NDArray[np.uint8]
Slots = npt.NDArray[np.int64]
Distances = npt.NDArray[np.float64]


class Found(NamedTuple):
    """Variable numbers of results: those of item i are at ``offsets[i]:offsets[i + 1]``."""

    offsets: Slots
    slots: Slots
    distances: Distances


class Engine(ABC):
    """Searches a fixed set of rows.

    Items are arrays that the core can read (C-contiguous; uint8, int32, int64, float32, float64)
    and, where rows are bytes, hold whole numbers. ``count`` is None for one item, else the number
    of a batch. ``allowed`` has a byte for each row, 0 for those that must not be found.
    """

    @abstractmethod
    def nearest(
        self,
        items: Items,
        count: int | None,
        k: int,
        threads: int,
        allowed: Mask | None = None,
        widened: Mask | None = None,
    ) -> tuple[Slots, Distances]:
        """The k nearest rows: slots and distances, shape (k,) or (count, k).

        ``widened``, zeros of shape (count,) or (1,), is set to 1 where the search was widened
        because the query is unlike those that its effort was measured on.

        Raises
        ------
        ValueError
            When an item could not be a row.
        """

    @abstractmethod
    def nearest_of_one(
        self, item: Items, k: int, allowed: Mask | None = None
    ) -> tuple[Slots, Distances, bool] | None:
        """The same for one item, for the least delay; and whether the search was widened.

        Returns
        -------
        tuple or None
            None when the core cannot read and check the array by itself, or the engine has
            nothing to hurry with; then convert it, and call :meth:`nearest`.
        """

    @abstractmethod
    def within(
        self, items: Items, radius: float, threads: int, allowed: Mask | None = None
    ) -> Found:
        """All rows at a distance of at most ``radius``, boundary included."""

    @abstractmethod
    def candidates(
        self, items: Items, threads: int, allowed: Mask | None = None
    ) -> tuple[Slots, Slots]:
        """Offsets and slots of the rows that hashing leaves, ascending for each item."""

    @abstractmethod
    def candidates_of_one(self, item: Items) -> Slots | None:
        """The same for one item; None as for :meth:`nearest_of_one`."""

    @abstractmethod
    def trace(self, item: Items, k: int, allowed: Mask | None = None) -> tuple[Step, ...]:
        """Search one item step by step, counting and timing each."""

    @property
    @abstractmethod
    def size_bytes(self) -> int:
        """Memory used beyond the rows."""
