"""Exact search of the rows that a filter allows."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns

import numpy as np

from lookalike.engines.engine import Distances, Engine, Found, Items, Mask, Slots
from lookalike.engines.exact import ExactEngine
from lookalike.engines.rows import Rows
from lookalike.results import Step

__all__ = ["FilteredEngine"]

_LISTED_SHARE = 4  # up to this part of all rows, those that are allowed are read one by one
_COPIED_FOR = 4  # queries that pay for a copy of the allowed rows, which are then read in a stream
_BOUND_FOR = 2000  # queries that pay for learning bounds of them


class FilteredEngine(Engine):
    """Compares each item with the rows of one filter, and gets quicker the longer it is used.

    Parameters
    ----------
    rows : Rows
        All rows.
    allowed : ndarray of uint8, shape (len(rows),)
        0 for those that must not be found.
    exact : callable
        Gives exact search of all rows, for filters that allow many of them.
    """

    def __init__(self, rows: Rows, allowed: Mask, exact: Callable[[], Engine]) -> None:
        self._rows = rows
        self._allowed = allowed.copy()
        self._bytes = allowed.tobytes()
        self._exact = exact
        self._slots = np.flatnonzero(allowed.view(np.bool_))
        self._queries = 0
        self._copy: Rows | None = None
        self._engine: ExactEngine | None = None

    def is_of(self, allowed: Mask) -> bool:
        """Whether this is the engine of that filter."""
        return self._bytes == allowed.tobytes()  # five times as fast as comparing arrays

    @property
    def size_bytes(self) -> int:
        copied = 0 if self._copy is None else self._copy.array.nbytes
        return 2 * self._allowed.nbytes + self._slots.nbytes + copied

    def nearest(
        self,
        items: Items,
        count: int | None,
        k: int,
        threads: int,
        allowed: Mask | None = None,
        widened: Mask | None = None,
    ) -> tuple[Slots, Distances]:
        if len(self._slots) * _LISTED_SHARE > len(self._rows):
            return self._exact().nearest(items, count, k, threads, self._both(allowed))
        before, self._queries = self._queries, self._queries + (1 if count is None else count)
        if not len(self._slots) or self._queries < _COPIED_FOR:
            plain = ExactEngine(self._rows, bounding=False)
            return plain.nearest_among(items, count, self._left(allowed), k, threads)
        copied = self._copy if self._copy is not None else self._rows.taken(self._slots)
        engine = self._engine
        if engine is None or before < _BOUND_FOR <= self._queries:
            engine = ExactEngine(copied, None if self._queries >= _BOUND_FOR else False)
        self._copy, self._engine = copied, engine
        of_copy = None if allowed is None else allowed[self._slots]
        places, distances = engine.nearest(items, count, k, threads, of_copy)
        return np.where(places >= 0, self._slots[places], -1), distances

    def nearest_of_one(
        self, item: Items, k: int, allowed: Mask | None = None
    ) -> tuple[Slots, Distances, bool] | None:
        if allowed is not None or self._engine is None:
            return None  # what is done for the first few queries takes longer than converting one
        self._queries += 1
        if self._queries == _BOUND_FOR:
            return None
        found = self._engine.nearest_of_one(item, k)
        if found is None:
            return None
        places, distances, widened = found
        slots = self._slots.take(places, mode="clip")
        if places[-1] < 0:
            slots[places < 0] = -1
        return slots, distances, widened

    def within(
        self, items: Items, radius: float, threads: int, allowed: Mask | None = None
    ) -> Found:
        return self._exact().within(items, radius, threads, self._both(allowed))

    def candidates(
        self, items: Items, threads: int, allowed: Mask | None = None
    ) -> tuple[Slots, Slots]:
        slots = self._left(allowed)
        count = items.size // self._rows.width
        return np.arange(count + 1, dtype=np.int64) * len(slots), np.tile(slots, count)

    def candidates_of_one(self, item: Items) -> Slots | None:
        return None

    def trace(self, item: Items, k: int, allowed: Mask | None = None) -> tuple[Step, ...]:
        start = perf_counter_ns()
        slots, _ = self.nearest(item, None, k, 1, allowed)
        microseconds = (perf_counter_ns() - start) / 1e3
        what = f"compare the {len(self._slots)} rows of the filter, keep the k nearest"
        return (Step("verify", what, int((slots >= 0).sum()), microseconds),)

    def _both(self, allowed: Mask | None) -> Mask:
        return self._allowed if allowed is None else self._allowed & (allowed != 0)

    def _left(self, allowed: Mask | None) -> Slots:
        return self._slots if allowed is None else self._slots[allowed[self._slots] != 0]
