"""An engine and the rows that came after it was built."""

from __future__ import annotations

from time import perf_counter_ns

import numpy as np

from lookalike.engines.engine import Distances, Engine, Found, Items, Mask, Slots
from lookalike.engines.exact import ExactEngine
from lookalike.engines.rows import Rows
from lookalike.results import Step

__all__ = ["GrownEngine"]


class GrownEngine(Engine):
    """Searches with an engine, and compares every row that it does not know.

    Parameters
    ----------
    base : Engine
        Of the first rows.
    built : int
        How many these are.
    rows : Rows
        All rows.
    """

    def __init__(self, base: Engine, built: int, rows: Rows) -> None:
        self.base = base
        self.built = built
        self._tail = ExactEngine(rows.view(built, len(rows)), bounding=False)
        self._tail_rows = np.arange(built, len(rows), dtype=np.int64)

    @property
    def size_bytes(self) -> int:
        return self.base.size_bytes

    def nearest(
        self,
        items: Items,
        count: int | None,
        k: int,
        threads: int,
        allowed: Mask | None = None,
        widened: Mask | None = None,
    ) -> tuple[Slots, Distances]:
        first, rest = self._parts(allowed)
        near = self.base.nearest(items, count, k, threads, first, widened)
        return self._joined(near, self._tail.nearest(items, count, k, threads, rest), k)

    def nearest_of_one(
        self, item: Items, k: int, allowed: Mask | None = None
    ) -> tuple[Slots, Distances, bool] | None:
        first, rest = self._parts(allowed)
        near = self.base.nearest_of_one(item, k, first)
        late = self._tail.nearest_of_one(item, k, rest)
        if near is None or late is None:
            return None
        return (*self._joined(near[:2], late[:2], k), near[2])

    def within(
        self, items: Items, radius: float, threads: int, allowed: Mask | None = None
    ) -> Found:
        first, rest = self._parts(allowed)
        near = self.base.within(items, radius, threads, first)
        late = self._tail.within(items, radius, threads, rest)
        offsets = near.offsets + late.offsets
        # Stable, so that rows of the base come first among equal distances.
        query = np.concatenate([_queries(near), _queries(late)])
        slots = np.concatenate([near.slots, late.slots + self.built])
        distances = np.concatenate([near.distances, late.distances])
        order = np.lexsort((distances, query))
        return Found(offsets, slots[order], distances[order])

    def candidates(
        self, items: Items, threads: int, allowed: Mask | None = None
    ) -> tuple[Slots, Slots]:
        first, rest = self._parts(allowed)
        offsets, slots = self.base.candidates(items, threads, first)
        late = self._tail_rows if rest is None else self._tail_rows[rest != 0]
        parts = [np.concatenate([part, late]) for part in np.split(slots, offsets[1:-1])]
        own = np.arange(len(offsets), dtype=np.int64) * len(late)
        return offsets + own, np.concatenate([np.empty(0, np.int64), *parts])

    def candidates_of_one(self, item: Items) -> Slots | None:
        found = self.base.candidates_of_one(item)
        return None if found is None else np.concatenate([found, self._tail_rows])

    def trace(self, item: Items, k: int, allowed: Mask | None = None) -> tuple[Step, ...]:
        first, rest = self._parts(allowed)
        steps = self.base.trace(item, k, first)
        start = perf_counter_ns()
        slots, _ = self._tail.nearest(item, None, k, 1, rest)
        microseconds = (perf_counter_ns() - start) / 1e3
        what = f"compare the {len(self._tail_rows)} rows that came later"
        return (*steps, Step("verify", what, int((slots >= 0).sum()), microseconds))

    def _parts(self, allowed: Mask | None) -> tuple[Mask | None, Mask | None]:
        return (None, None) if allowed is None else (allowed[: self.built], allowed[self.built :])

    def _joined(
        self, near: tuple[Slots, Distances], late: tuple[Slots, Distances], k: int
    ) -> tuple[Slots, Distances]:
        late_slots = np.where(late[0] >= 0, late[0] + self.built, -1)
        slots = np.concatenate([near[0], late_slots], axis=-1)
        distances = np.concatenate([near[1], late[1]], axis=-1)
        order = np.argsort(distances, axis=-1, kind="stable")[..., :k]
        return np.take_along_axis(slots, order, -1), np.take_along_axis(distances, order, -1)


def _queries(found: Found) -> Slots:
    """The query of each result."""
    return np.repeat(np.arange(len(found.offsets) - 1), np.diff(found.offsets))
