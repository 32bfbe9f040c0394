"""The planner of a promise about queries like the data: measured, and kept while they change."""

from __future__ import annotations

import math
from copy import copy
from dataclasses import replace

import numpy as np

from lookalike.costs import cells_cost_ns
from lookalike.dimensions import MOST_DIMENSIONS, best_dimensions
from lookalike.engines.cells import CellsEngine, CellTables, Ranks
from lookalike.engines.engine import Engine, Found, Items, Mask
from lookalike.engines.exact import ExactEngine
from lookalike.engines.grown import GrownEngine
from lookalike.engines.projection import Components, learn_components
from lookalike.engines.rows import Rows
from lookalike.metrics import Metric
from lookalike.planner.planner import PLANNED_K, Plan, Planner
from lookalike.recall import FIRST_K, Calibrated, Calibration, measure
from lookalike.results import Fate
from lookalike.sample import SMALL_SAMPLE, Sample
from lookalike.store.named import Stored, count_of

__all__ = ["CellsPlanner"]

_RECALLS = (0.8, 0.9, 0.95, 0.98, 0.99, 0.995)  # tried to explain what was lost
_RADIUS_K = 100  # neighbours that a search within a radius looks at first
_FEW_LATE, _LATE_SHARE = 256, 512  # rows compared beside cells: so many, or this part of all
_CALIBRATED_SHARE = 32  # when this part has changed, what a search needs is measured again
_LATE_SAMPLE = 32  # late members that are searched for, to see whether they are found
_TOLERATED = 2.0  # times the misses that are allowed: so few searches tell little more


class CellsPlanner(Planner):
    """Searches cells with the cheapest effort that promises the recall, or exactly.

    Parameters
    ----------
    rows, metric, stored_as
        As above.
    seed : int
    threads : int
        To build with; what is built does not depend on it.
    components : Components
        Of these rows.
    """

    def __init__(
        self,
        rows: Rows,
        metric: Metric,
        stored_as: str,
        seed: int,
        threads: int,
        components: Components,
    ) -> None:
        reason = "cells would cost more at this recall"
        super().__init__(
            rows, metric, stored_as, reason, components=components, seed=seed, threads=threads
        )
        self._seed, self._components = seed, components
        self._engines: dict[tuple[int, float], Engine] = {}
        self._sample = Sample(self._borrowed_exact, rows, seed)
        self.tables: CellTables | None = None
        self._calibrated_rows = self._calibrated_members = len(rows)
        self._first_costs: dict[tuple[int, float], float] = {}
        self._kept_beside = 0  # late rows that did not fit the cells
        if len(components) == 0:
            self._reason = "the items do not differ, so that nothing can be learned"

    @classmethod
    def learn(
        cls, rows: Rows, metric: Metric, stored_as: str, seed: int, threads: int
    ) -> CellsPlanner:
        """Learn from the rows, encode and calibrate them."""
        components = learn_components(rows, MOST_DIMENSIONS, seed)
        planner = cls(rows, metric, stored_as, seed, threads, components)
        planner._sample.extend(SMALL_SAMPLE, FIRST_K, threads)
        if len(components):
            dimensions = best_dimensions(components, planner._sample, rows)
            planner.tables = CellTables.learn(rows, components, dimensions, seed, threads)
            planner._calibration = Calibration(planner.tables, planner._sample)
        return planner

    @classmethod
    def restored(
        cls,
        rows: Rows,
        metric: Metric,
        stored_as: str,
        seed: int,
        threads: int,
        stored: Stored,
        present: Mask | None,
    ) -> CellsPlanner:
        """The planner that was stored, of the same rows."""
        facts, arrays = stored
        planner = cls(
            rows, metric, stored_as, seed, threads, Components.from_arrays(arrays, rows.width)
        )
        planner._take_up(facts, present)
        planner._sample = Sample.known(planner._borrowed_exact, rows, seed, arrays, present)
        if "centroid_codes" in arrays:
            encoded = rows.view(0, count_of(facts, "encoded", len(rows)))
            planner.tables = CellTables.from_arrays(encoded, planner._components, facts, arrays)
            planner._calibration = Calibration(planner.tables, planner._sample)
            planner._calibration.take_up(arrays)
        planner._calibrated_rows = count_of(facts, "calibrated_rows")
        planner._calibrated_members = count_of(facts, "calibrated_members")
        planner._kept_beside = count_of(facts, "kept_beside")
        planner._first_costs = {
            (int(k), float(recall)): float(cost) for k, recall, cost in facts["first_costs"]
        }
        if not all(0 < cost < math.inf for cost in planner._first_costs.values()):
            raise ValueError("first_costs must be positive")
        return planner

    def check(self) -> list[str]:
        return [] if self.tables is None else self.tables.check(self._rows, self._present)

    def stored(self) -> Stored:
        facts, arrays = super().stored()
        arrays |= self._components.arrays() | self._sample.arrays()
        if self.tables is not None:
            facts |= self.tables.facts()
            arrays |= self.tables.arrays() | self._calibration.arrays()
        facts |= {
            "planner": "cells",
            "calibrated_rows": self._calibrated_rows,
            "calibrated_members": self._calibrated_members,
            "kept_beside": self._kept_beside,
            "first_costs": [[*key, cost] for key, cost in sorted(self._first_costs.items())],
        }
        return Stored(facts, arrays)

    @property
    def size_bytes(self) -> int:
        return super().size_bytes + (0 if self.tables is None else self.tables.size_bytes)

    def calibrated(self, queries: Items) -> CellsPlanner:
        """A planner that promises for queries like these, not for queries like the members."""
        planner = copy(self)
        planner._engines, planner._first_costs = {}, {}
        planner._calibrate(
            Sample(planner._borrowed_exact, planner._rows, planner._seed, queries, planner._present)
        )
        return planner

    def _calibrate(self, sample: Sample) -> None:
        """Measure again, from now on, what searches need."""
        self._sample = sample
        if self.tables is not None:
            self._calibration = Calibration(self.tables, self._sample)
        self._calibrated_rows, self._calibrated_members = len(self._rows), self._members

    def _follow(self, rows: Rows, present: Mask | None, threads: int) -> None:
        super()._follow(rows, present, threads)
        asked, self._engines = list(self._engines), {}
        if self.tables is None:
            return
        self._encode(asked, threads)
        added = len(rows) - self._calibrated_rows
        removed = self._calibrated_members + added - self._members
        if added + removed > self._calibrated_members // _CALIBRATED_SHARE:
            self._calibrate(self._sample.changed(self._borrowed_exact, rows, present, threads))
        # Searches that were asked for before must not wait for what they need.
        for k, recall in asked:
            self.engine(k, recall, threads)
        self.drift = max((self._dearer(*key, threads) for key in asked), default=1.0)

    def _encode(self, asked: list[tuple[int, float]], threads: int) -> None:
        """Let late rows join cells, unless searches would lose them there.

        Rows unlike those that cells and sketches were learned from stay beside them, where every
        search compares them.
        """
        assert self.tables is not None
        encoded, late = self.tables.count, len(self._rows) - self.tables.count
        if late <= max(_FEW_LATE, encoded // _LATE_SHARE, self._kept_beside):
            return
        present = self._present
        kept = np.ones(encoded, np.uint8) if present is None else present[:encoded].copy()
        tables = self.tables.extended(self._rows, kept, threads)
        if self._finds(tables, encoded, asked, threads):
            self.tables, self._kept_beside = tables, 0
        else:
            self._kept_beside = 2 * late  # until then, trying again is not worth it

    def _finds(
        self, tables: CellTables, first: int, asked: list[tuple[int, float]], threads: int
    ) -> bool:
        """Whether searches for rows from this one on do not clearly miss what was promised."""
        late = np.arange(first, len(self._rows))
        if self._present is not None:
            late = late[self._present[late] != 0]
        late = late[:: max(1, len(late) // _LATE_SAMPLE)]
        items = self._rows.items(late)
        plain = ExactEngine(self._rows, bounding=False)
        for k, recall in asked:
            calibrated = self._effort(k, recall, threads)
            if calibrated is not None and len(late):
                cells = CellsEngine(tables, calibrated.effort)
                found = measure(cells, plain, items, late, k, threads, self._present)
                if 1.0 - found.high > _TOLERATED * (1.0 - recall):
                    return False
        return True

    def _dearer(self, k: int, recall: float, threads: int) -> float:
        """How many times as much as it should a search costs now."""
        first = self._first_costs.get((k, recall))
        if first is None:
            return 1.0
        calibrated = self._effort(k, recall, threads)
        cost = self._exact_ns
        if calibrated is not None and self.tables is not None:
            # Rows that wait for others before they join the cells are no drift.
            beside = len(self._rows) - self.tables.count if self._kept_beside else 0
            cost = calibrated.cost_ns + self._exact_ns * beside / len(self._rows)
        return cost / (first * math.sqrt(max(1.0, self._members / self._planned_for)))

    def engine(self, k: int, recall: float | None, threads: int = 1) -> Engine:
        assert recall is not None
        known = self._engines.get((k, recall))
        if known is None:
            known = self._engine(k, recall, self._effort(k, recall, threads))
            self._engines[k, recall] = known
        return known

    def _engine(self, k: int, recall: float, calibrated: Calibrated | None) -> Engine:
        tables = self.tables
        if calibrated is None or tables is None:
            return self.exact
        self._first_costs.setdefault((k, recall), calibrated.cost_ns)
        cells = CellsEngine(tables, calibrated.effort)
        late = len(self._rows) > tables.count
        return GrownEngine(cells, tables.count, self._rows) if late else cells

    def _lost(self, fate: Fate, items: Items, k: int, recall: float | None) -> Fate:
        assert recall is not None
        calibrated = self._effort(k, recall, 1)
        assert calibrated is not None, "exact search loses nothing"
        ranks = self._ranks_of(items, fate.id)
        cell_rank, estimate_rank = int(ranks.cells[0, 0]), int(ranks.estimates[0, 0])
        probes, candidates = calibrated.effort.counts(ranks.seen)[0].tolist()
        if cell_rank > probes:
            what = f"lost in hash: its cell is number {cell_rank}, {probes} are probed"
        else:
            what = (
                f"lost in filter: its estimate is number {estimate_rank}, {candidates} are verified"
            )
        needed = cell_rank, estimate_rank
        enough = (
            at
            for at in _RECALLS
            if (tried := self._effort(k, at, 1)) is None
            or (tried.effort.counts(ranks.seen)[0] >= needed).all()
        )
        return replace(fate, what=what, recall=next(enough, 1.0))

    def _ranks_of(self, item: Items, slot: int) -> Ranks:
        """What finds one row: cells to probe and rows to verify."""
        assert self.tables is not None
        present = None if self._present is None else self._present[: self.tables.count]
        return self.tables.ranks(item, np.array([[slot]]), np.array([-1]), 1, present)

    def plan(self, recall: float | None, k: int = PLANNED_K, threads: int = 1) -> Plan:
        assert recall is not None
        calibrated = self._effort(k, recall, threads)
        if calibrated is None:
            reason = "recall 1 was asked for" if recall == 1.0 else self._reason
            return replace(super().plan(recall, k), reason=reason)
        assert self.tables is not None
        return Plan(
            engine="cells",
            metric=self._metric.name,
            stored_as=self._stored_as,
            parameters={
                "dimensions": self.tables.projection.dimensions,
                "cells": self.tables.cells,
                "regions": len(self.tables.regions),
                "probes": round(calibrated.probes),
                "candidates": round(calibrated.candidates),
            },
            promise=f"recall@{k} of {recall:g} or more for queries like "
            f"the {len(self._sample):,} calibrated on, measured {calibrated.recall:.4f} on them",
            reason=f"predicted {calibrated.cost_ns / 1e3:,.1f} us a search, exact search "
            f"{self._exact_ns / 1e3:,.1f} us",
            predicted_us=calibrated.cost_ns / 1e3,
            predicted_recall=calibrated.recall,
        )

    def within(self, items: Items, radius: float, recall: float | None, threads: int) -> Found:
        """Search for more and more neighbours, until one is beyond the radius.

        Then all within the radius are among the neighbours, and promised as these are.
        """
        assert recall is not None
        width, count = self._rows.width, items.size // self._rows.width
        items = items.reshape(-1, width)
        slots: list[np.ndarray] = [np.empty(0, np.int64)] * count
        distances: list[np.ndarray] = [np.empty(0)] * count
        open_queries = np.arange(count)
        k = _RADIUS_K
        while len(open_queries) and k * 8 < self._members:
            part = np.ascontiguousarray(items[open_queries])
            engine = self.engine(k, recall, threads)
            found = engine.nearest(part, len(part), k, threads, self._present)
            for query, near, far in zip(open_queries, *found, strict=True):
                inside = far <= radius
                slots[query], distances[query] = near[inside], far[inside]
            open_queries = open_queries[found[1][:, -1] <= radius]
            k *= 8
        if len(open_queries):
            rest = np.ascontiguousarray(items[open_queries])
            exact = self.exact.within(rest, radius, threads, self._present)
            for i, query in enumerate(open_queries):
                own = slice(exact.offsets[i], exact.offsets[i + 1])
                slots[query], distances[query] = exact.slots[own], exact.distances[own]
        offsets = np.cumsum([0, *map(len, slots)], dtype=np.int64)
        return Found(
            offsets,
            np.concatenate([np.empty(0, np.int64), *slots]),
            np.concatenate([np.empty(0), *distances]),
        )

    def _borrowed_exact(self) -> Engine:
        """Exact search for calibration, kept only where searches use it too.

        Its bounds take more memory than all sketches.
        """
        return self._exact or self._make_exact(self._rows)

    def _effort(self, k: int, recall: float, threads: int) -> Calibrated | None:
        """The cheapest effort, unless exact search is cheaper still."""
        if self.tables is None or recall == 1.0 or 4 * k > self._members:
            return None
        found = self._calibration.effort(k, recall, self._cost_ns, threads)
        return found if found is not None and found.cost_ns < self._exact_ns else None

    def _cost_ns(self, probes: float, candidates: float) -> float:
        tables = self.tables
        assert tables is not None
        sizes = tables.sketches.sizes
        rows_per_probe = float((sizes.astype(np.float64) ** 2).sum() / sizes.sum())
        return cells_cost_ns(
            self._rows,
            tables.projection.dimensions,
            tables.cells,
            probes,
            min(probes * rows_per_probe, len(self._rows)),
            candidates,
        )
