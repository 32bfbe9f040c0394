"""The planner of a promise about any query."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lookalike import native
from lookalike.engines.engine import Engine, Items, Mask
from lookalike.engines.grown import GrownEngine
from lookalike.engines.prefixes import PrefixEngine, PrefixTables, Stops
from lookalike.engines.rows import Rows
from lookalike.metrics import Metric
from lookalike.planner.planner import PLANNED_K, Plan, Planner, are_many
from lookalike.results import Fate
from lookalike.store.named import Stored, array_of

__all__ = ["GuaranteedPlanner"]


class GuaranteedPlanner(Planner):
    """Searches prefix tables, which promise for any query, or exactly.

    Parameters
    ----------
    rows, metric, stored_as
        As above. Not float32 for L1.
    seed : int
        Of the draw that the promise is over.
    threads : int
        To build with; what is built does not depend on it.
    stored : Stored, optional
        What such a planner of the same rows has stored.
    """

    def __init__(
        self,
        rows: Rows,
        metric: Metric,
        stored_as: str,
        seed: int,
        threads: int,
        stored: Stored | None = None,
    ) -> None:
        reason = "a guarantee for any query was asked for"
        super().__init__(rows, metric, stored_as, reason, seed=seed, threads=threads)
        self._seed = seed
        self._stops_of: dict[tuple[float, int], Stops] = {}  # by recall and tables
        known = rows
        if stored is not None:
            codes = array_of(stored.arrays, "prefix_codes", np.uint32, (None, None))
            known = rows.view(0, min(len(rows), codes.shape[1]))
        self._tables = self._built_tables(known, threads, stored)

    def _built_tables(self, rows: Rows, threads: int, stored: Stored | None = None) -> PrefixTables:
        exact = self._make_exact(rows)
        if self._exact is None and len(rows) == len(self._rows):
            self._exact = exact
        arrays = None if stored is None else stored.arrays
        return PrefixTables(rows, exact.scan, self._seed, threads=threads, stored=arrays)

    def check(self) -> list[str]:
        return self._tables.check(self._rows)

    def stored(self) -> Stored:
        facts, arrays = super().stored()
        return Stored({**facts, "planner": "prefixes"}, {**arrays, **self._tables.arrays()})

    def _follow(self, rows: Rows, present: Mask | None, threads: int) -> None:
        super()._follow(rows, present, threads)
        built = self._tables.count
        if are_many(len(rows) - built, built):
            self._tables = self._built_tables(rows, threads)

    @property
    def size_bytes(self) -> int:
        return super().size_bytes + self._tables.scan.size_bytes

    def engine(self, k: int, recall: float | None, threads: int = 1) -> Engine:
        assert recall is not None
        tables = self._tables
        if recall == 1.0 or 4 * k > self._members:
            return self.exact
        key = recall, tables.tables
        if key not in self._stops_of:
            self._stops_of[key] = Stops(*key)
        engine = PrefixEngine(tables, self._stops_of[key])
        late = len(self._rows) > tables.count
        return GrownEngine(engine, tables.count, self._rows) if late else engine

    def _lost(self, fate: Fate, items: Items, k: int, recall: float | None) -> Fate:
        return replace(
            fate,
            what="lost in hash or filter, which has a chance of "
            f"{1.0 - (recall or 0.0):.3g} at most, over the draw of the hash functions",
        )

    def plan(self, recall: float | None, k: int = PLANNED_K, threads: int = 1) -> Plan:
        if recall == 1.0:
            return replace(super().plan(recall, k), reason="recall 1 was asked for")
        return Plan(
            engine="prefixes",
            metric=self._metric.name,
            stored_as=self._stored_as,
            parameters={"bits": native.PREFIX_BITS, "tables": self._tables.tables},
            promise=f"each true neighbour of any query is found with a probability of {recall:g} "
            "or more, over the draw of the hash functions",
            reason=self._reason,
        )
