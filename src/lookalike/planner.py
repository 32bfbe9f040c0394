"""The planner: from what is stored and what is asked for, to the engine that answers.

The choice never reads a clock. It minimises a cost model: bytes read and operations done, times
constants that are part of the source. They need not be right for the processor at hand, only in
proportion.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from lookalike.engines.cells import CellsEngine, CellTables
from lookalike.engines.engine import Engine, Found, Items
from lookalike.engines.exact import ExactEngine
from lookalike.engines.projection import Components, learn_components, unit_rows
from lookalike.engines.rows import Rows
from lookalike.engines.sketch import cells_for
from lookalike.engines.tables import TablesEngine
from lookalike.hashing.family import HashFunctions
from lookalike.metrics import Metric
from lookalike.recall import FIRST_K, SMALL_SAMPLE, Calibration, Effort, Sample

__all__ = ["CellsPlanner", "Plan", "Planner", "TablesPlanner"]

_RECALLS = (0.8, 0.9, 0.95, 0.98, 0.99, 0.995)  # tried to explain what was lost
_RADIUS_K = 100  # neighbours that a search within a radius looks at first
_PLANNED_K = 10  # what a plan is printed for

# Nanoseconds, of a core that reads 25 GB/s in a stream and multiplies 64 bytes at once.
_PER_BYTE_STREAMED = 0.04
_PER_PRODUCT = 0.009  # of the projection
_PER_SKETCH_BYTE = 0.018
_PER_PROBE = 40.0
_PER_CANDIDATE = 35.0
_PER_CANDIDATE_BYTE = 0.05
_PER_SEARCH = 1500.0

_FEWEST_ROWS = 2048  # of cells: with fewer, most of a cell's blocks would be padding
_GUESSED_PROBES, _GUESSED_CANDIDATES = 0.02, 40  # for a first look: share of cells, and rows

_DIMENSIONS = (16, 32, 48, 64, 96, 128, 192, 256)  # of the projection, tried in this order
_TRIED_QUERIES, _TRIED_K, _TRIED_ROWS = 200, 10, 8192
_TRIED_SCANNED = 0.03  # share of all rows that a search scans
_TRIED_RECALL = 0.95


@dataclass(frozen=True, slots=True)
class Plan:
    """The engine chosen, its parameters, and what it promises.

    Attributes
    ----------
    engine : str
        ``"exact"``, ``"cells"`` or ``"tables"``.
    metric : str
    stored_as : str
        How the vectors are stored, and what they were converted from.
    parameters : mapping of str to int
        Of the engine.
    promise : str
        In words, with what a chance is taken over.
    reason : str
        Why this engine.
    predicted_us : float or None
        Microseconds for a search by the cost model; ``explain`` measures.
    predicted_recall : float or None
        Mean recall on the calibration sample.
    """

    engine: str
    metric: str
    stored_as: str
    parameters: Mapping[str, int] = field(default_factory=dict)
    promise: str = ""
    reason: str = ""
    predicted_us: float | None = None
    predicted_recall: float | None = None

    def __str__(self) -> str:
        settings = "".join(f", {name}={value}" for name, value in self.parameters.items())
        return (
            f"{self.engine} ({self.metric}{settings}); {self.stored_as}; "
            f"{self.promise}; {self.reason}"
        )


class Planner:
    """Answers every search exactly; the planner of indexes that are small or must be complete.

    Parameters
    ----------
    rows : Rows
        The rows present now.
    metric : Metric
    stored_as : str
    reason : str
        Why exact search.
    """

    def __init__(
        self,
        rows: Rows,
        metric: Metric,
        stored_as: str,
        reason: str,
        *,
        components: Components | None = None,
        seed: int = 0,
        threads: int = 1,
    ) -> None:
        self.exact = ExactEngine(rows, components=components, seed=seed, threads=threads)
        self._metric = metric
        self._stored_as = stored_as
        self._reason = reason
        self._exact_ns = exact_cost_ns(rows)

    def engine(self, k: int, recall: float | None, threads: int = 1) -> Engine:
        """The engine for a search of k neighbours that promises this recall."""
        return self.exact

    def within(
        self, items: Items, radius: float, recall: float | None, threads: int
    ) -> Found:
        """All rows within a radius, each found with the promised recall."""
        return self.engine(1, recall, threads).within(items, radius, threads)

    def plan(self, recall: float | None, k: int = _PLANNED_K, threads: int = 1) -> Plan:
        """What a search does, and why."""
        return Plan(
            engine="exact",
            metric=self._metric.name,
            stored_as=self._stored_as,
            promise="recall 1",
            reason=self._reason,
            predicted_us=self._exact_ns / 1e3,
            predicted_recall=1.0,
        )


class TablesPlanner(Planner):
    """Hash tables as the user asked for them: no recall is promised.

    Parameters
    ----------
    rows, metric, stored_as
        As above.
    functions : HashFunctions
    threads : int
        To build with.
    """

    def __init__(
        self, rows: Rows, metric: Metric, stored_as: str, functions: HashFunctions, threads: int
    ) -> None:
        super().__init__(rows, metric, stored_as, "bits and tables were given")
        self._functions = functions
        self._tables = TablesEngine(rows, functions, threads)

    def engine(self, k: int, recall: float | None, threads: int = 1) -> Engine:
        return self._tables

    def plan(self, recall: float | None, k: int = _PLANNED_K, threads: int = 1) -> Plan:
        return Plan(
            engine="tables",
            metric=self._metric.name,
            stored_as=self._stored_as,
            parameters={"bits": self._functions.bits, "tables": self._functions.tables},
            promise="a neighbour is found with chance 1 - (1 - p^bits)^tables, where p is the "
            "chance that one bit agrees, over the draw of the hash functions",
            reason=self._reason,
        )


class CellsPlanner(Planner):
    """Searches cells with the cheapest effort that promises the recall, or exactly.

    Parameters
    ----------
    rows, metric, stored_as
        As above.
    seed : int
    threads : int
        To build with; what is built does not depend on it.
    """

    def __init__(
        self, rows: Rows, metric: Metric, stored_as: str, seed: int, threads: int
    ) -> None:
        components = learn_components(rows, max(_DIMENSIONS), seed)
        reason = "cells would cost more at this recall"
        super().__init__(
            rows, metric, stored_as, reason, components=components, seed=seed, threads=threads
        )
        self._rows = rows
        self._seed = seed
        self._engines: dict[tuple[int, float], Engine] = {}
        self._sample = Sample(self.exact, rows, seed)
        self._sample.extend(SMALL_SAMPLE, FIRST_K, threads)
        components = learn_components(rows, max(_DIMENSIONS), seed)
        self.tables: CellTables | None = None
        if len(components) == 0:
            self._reason = "the items do not differ, so that nothing can be learned"
            return
        dimensions = best_dimensions(components, self._sample, rows)
        self.tables = CellTables(rows, components, dimensions, seed, threads)
        self._calibration = Calibration(self.tables, self._sample)

    def calibrate(self, queries: Items, threads: int) -> None:
        """Promise for queries like these, in place of queries like the members."""
        self._sample = Sample(self.exact, self._rows, self._seed, queries)
        if self.tables is not None:
            self._calibration = Calibration(self.tables, self._sample)
        self._engines = {}

    def engine(self, k: int, recall: float | None, threads: int = 1) -> Engine:
        assert recall is not None
        known = self._engines.get((k, recall))
        if known is None:
            effort = self._effort(k, recall, threads)
            known = self.exact
            if effort is not None:
                assert self.tables is not None
                known = CellsEngine(self.tables, effort.probes, effort.candidates, self.exact)
            self._engines[k, recall] = known
        return known

    def effort(self, k: int, recall: float, threads: int = 1) -> Effort | None:
        """The effort in use; None where the search is exact."""
        return self._effort(k, recall, threads)

    def ranks_of(self, item: Items, slot: int) -> tuple[int, int]:
        """What finds one row: cells to probe and rows to verify."""
        return self._calibration.ranks_of(item, slot)

    def recall_that_finds(self, k: int, item: Items, slot: int) -> float:
        """The smallest recall, of a few, at which a search would verify this row."""
        cells, estimates = self.ranks_of(item, slot)
        for recall in _RECALLS:
            effort = self._effort(k, recall, 1)
            if effort is None or (cells <= effort.probes and estimates <= effort.candidates):
                return recall
        return 1.0

    def plan(self, recall: float | None, k: int = _PLANNED_K, threads: int = 1) -> Plan:
        assert recall is not None
        effort = self._effort(k, recall, threads)
        if effort is None:
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
                "probes": effort.probes,
                "candidates": effort.candidates,
            },
            promise=f"recall@{k} of {recall:g} or more for queries like "
            f"the {len(self._sample):,} calibrated on, measured {effort.recall:.4f} on them",
            reason=f"predicted {effort.cost_ns / 1e3:,.1f} us a search, exact search "
            f"{self._exact_ns / 1e3:,.1f} us",
            predicted_us=effort.cost_ns / 1e3,
            predicted_recall=effort.recall,
        )

    def within(
        self, items: Items, radius: float, recall: float | None, threads: int
    ) -> Found:
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
        while len(open_queries) and k * 8 < len(self._rows):
            part = np.ascontiguousarray(items[open_queries])
            found = self.engine(k, recall, threads).nearest(part, len(part), k, threads)
            for query, near, far in zip(open_queries, *found, strict=True):
                inside = far <= radius
                slots[query], distances[query] = near[inside], far[inside]
            open_queries = open_queries[found[1][:, -1] <= radius]
            k *= 8
        if len(open_queries):
            exact = self.exact.within(np.ascontiguousarray(items[open_queries]), radius, threads)
            for i, query in enumerate(open_queries):
                own = slice(exact.offsets[i], exact.offsets[i + 1])
                slots[query], distances[query] = exact.slots[own], exact.distances[own]
        offsets = np.cumsum([0, *map(len, slots)], dtype=np.int64)
        return Found(
            offsets,
            np.concatenate([np.empty(0, np.int64), *slots]),
            np.concatenate([np.empty(0), *distances]),
        )

    def _effort(self, k: int, recall: float, threads: int) -> Effort | None:
        """The cheapest effort, unless exact search is cheaper still."""
        if self.tables is None or recall == 1.0 or 4 * k > len(self._rows):
            return None
        effort = self._calibration.effort(k, recall, self._cost_ns, threads)
        return effort if effort is not None and effort.cost_ns < self._exact_ns else None

    def _cost_ns(self, probes: int, candidates: int) -> float:
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


def exact_cost_ns(rows: Rows) -> float:
    """Cost of comparing with every row."""
    return _PER_BYTE_STREAMED * rows.array.nbytes + 500.0


def cells_cost_ns(
    rows: Rows, dimensions: int, cells: int, probes: float, scanned: float, candidates: float
) -> float:
    """Cost of a search in cells: project, rank cells, scan sketches, verify rows."""
    sketch_bytes = dimensions / 2 + 4
    return (
        _PER_SEARCH
        + _PER_PRODUCT * rows.width * dimensions
        + _PER_SKETCH_BYTE * sketch_bytes * (cells + scanned)
        + _PER_PROBE * probes
        + (_PER_CANDIDATE + _PER_CANDIDATE_BYTE * rows.array.shape[1]) * candidates
    )


def cells_may_pay(rows: Rows) -> bool:
    """Whether cells are worth building and calibrating, at a first look."""
    if len(rows) < _FEWEST_ROWS:
        return False
    cells = cells_for(len(rows))
    probes = max(4.0, _GUESSED_PROBES * cells)
    dimensions = min(96, rows.width)
    scanned = probes * len(rows) / cells
    guess = cells_cost_ns(rows, dimensions, cells, probes, scanned, _GUESSED_CANDIDATES)
    return guess < exact_cost_ns(rows)


def best_dimensions(components: Components, sample: Sample, rows: Rows) -> int:
    """How many dimensions make the cheapest search: more to read, or more to verify.

    Few rows stand for all: the rank of a neighbour's estimate among them, times how many rows
    each stands for, is its rank among all.
    """
    queries = min(_TRIED_QUERIES, len(sample))
    k = min(_TRIED_K, sample.k)
    near = sample.neighbours[:queries, :k]
    step = max(1, len(rows) // _TRIED_ROWS)
    asked = Rows(rows.width, rows.measure, rows.limit, rows.scale)
    asked.append(sample.items[:queries])
    y = _centred(components, asked, slice(None))
    others = _centred(components, rows, slice(None, None, step))
    neighbours = _centred(components, rows, near.ravel()).reshape(queries, k, -1)
    most = len(components)
    choices = [d for d in _DIMENSIONS if d < most] + [-(-most // 8) * 8]
    best = (np.inf, choices[-1])
    for dimensions in choices:
        near_estimates = _estimates(y[:, None], neighbours, dimensions)
        estimates = _estimates_of_all(y, others, dimensions)
        estimates.sort(axis=1)
        ranks = [
            np.searchsorted(row, near, side="right") * step + k
            for row, near in zip(estimates, near_estimates, strict=True)
        ]
        candidates = float(np.quantile(ranks, _TRIED_RECALL))
        scanned = _TRIED_SCANNED * len(rows)
        cost = cells_cost_ns(rows, dimensions, cells_for(len(rows)), 0, scanned, candidates)
        best = min(best, (cost, dimensions))
    return best[1]


def _centred(components: Components, rows: Rows, which: object) -> np.ndarray:
    """Coordinates along the components, and behind them what these leave out, squared."""
    array = unit_rows(rows.array[which], rows)  # type: ignore[index]
    values = array.view(np.float32) if rows.are_floats else array
    centred = values[:, : rows.width].astype(np.float32) - components.mean
    y = centred @ components.basis.T
    rest = np.einsum("ij,ij->i", centred, centred) - np.einsum("ij,ij->i", y, y)
    return np.concatenate([y, np.maximum(rest, 0.0)[:, None]], axis=1)


def _tails(y: np.ndarray, dimensions: int) -> np.ndarray:
    return 0.5 * ((y[..., dimensions:-1] ** 2).sum(axis=-1) + y[..., -1])


def _estimates(query: np.ndarray, y: np.ndarray, dimensions: int) -> np.ndarray:
    kept = min(dimensions, y.shape[-1] - 1)
    difference = y[..., :kept] - query[..., :kept]
    return (difference**2).sum(axis=-1) + _tails(y, kept)


def _estimates_of_all(queries: np.ndarray, y: np.ndarray, dimensions: int) -> np.ndarray:
    kept = min(dimensions, y.shape[-1] - 1)
    q, x = queries[:, :kept], y[:, :kept]
    squares = (q**2).sum(axis=1)[:, None] + (x**2).sum(axis=1) - 2.0 * (q @ x.T)
    return squares + _tails(y, kept)
