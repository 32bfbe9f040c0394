"""Recall: measured with an interval, and promised by calibration.

*Calibration* asks what a search in cells would have to do to find the true neighbours of
vectors of the index itself. For a sample of members, each left out in turn, the exact engine
finds the neighbours, and for each neighbour two ranks say what finds it: how many cells have to
be probed and how many rows verified. From these ranks follows, for any recall and any k up to
the calibrated one, which efforts reach it on the sample; the cheapest by the cost model wins.

The promise is about new queries, and a sample says less about them than about itself. So the
mean recall of the sample has to exceed the target by what a one-sided interval asks for.
The chance is over the draw of the sample and of queries, both from the distribution of the data:
queries unlike the data are outside of it, unless they were given as the sample.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lookalike.engines.cells import CellTables
from lookalike.engines.engine import Engine, Items, Mask
from lookalike.engines.rows import Rows
from lookalike.seeds import Purpose, shuffled

__all__ = [
    "FIRST_K",
    "SMALL_SAMPLE",
    "Calibration",
    "Effort",
    "Measured",
    "Sample",
    "lower_bound",
    "measure",
]

_CONFIDENCE = 1.645  # standard errors of a one-sided interval of 95 %
_TWO_SIDED = 1.96
SMALL_SAMPLE = 1600
_LARGE_SAMPLE = 4000  # for targets above this, which few misses decide
_LARGE_SAMPLE_TARGET = 0.995
FIRST_K = 10  # neighbours found for each vector of the sample; more when they are asked for
_LATER_K = 100
_GROWTH = 1.2  # from one number of probes that is tried to the next


@dataclass(frozen=True, slots=True)
class Effort:
    """What a search in cells does, and what that promises.

    Attributes
    ----------
    probes, candidates : int
        Cells scanned and rows verified.
    recall : float
        Mean over the sample.
    cost_ns : float
        By the cost model.
    """

    probes: int
    candidates: int
    recall: float
    cost_ns: float


@dataclass(frozen=True, slots=True)
class Measured:
    """Recall measured on queries.

    Attributes
    ----------
    recall : float
        Mean share of the k returned ids that are as near as the true k-th neighbour.
    low, high : float
        Interval of 95 % for the mean over all queries like these.
    k, queries : int
        Neighbours asked for, and queries used.
    held_out : bool
        Whether the queries were members of the index, each left out in turn.
    """

    recall: float
    low: float
    high: float
    k: int
    queries: int
    held_out: bool

    def __str__(self) -> str:
        which = "members, each left out" if self.held_out else "queries"
        return (
            f"recall@{self.k} {self.recall:.4f} (95 % interval {self.low:.4f} to {self.high:.4f}, "
            f"{self.queries:,} {which})"
        )


def _interval(recalls: npt.NDArray[np.float64], k: int, errors: float) -> tuple[float, float]:
    """Interval of Wilson for the mean of recalls of single queries.

    Parameters
    ----------
    recalls : ndarray of float64, shape (queries,)
        Recall of each query: a share of k neighbours.
    k : int
    errors : float
        Half its width in standard errors: 1.645 for 95 % on one side.

    Notes
    -----
    The k neighbours of one query are found or missed together, so they count for fewer than k:
    their number is divided by the design effect, the variance of the recalls over that of
    independent neighbours. Wilson, "Probable inference, the law of succession, and statistical
    inference", 1927; Kish, "Survey sampling", 1965.
    """
    mean, count = float(recalls.mean()), len(recalls) * k
    independent = mean * (1.0 - mean) / k
    variance = float(recalls.var())
    effect = max(1.0, variance / independent) if independent > 0 else 1.0
    n = count / min(effect, k)
    square = errors * errors
    centre = (mean + square / (2 * n)) / (1 + square / n)
    half = errors / (1 + square / n) * math.sqrt(mean * (1 - mean) / n + square / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def lower_bound(recalls: npt.NDArray[np.float64], k: int) -> float:
    """What the mean over all such queries exceeds, at a confidence of 95 %."""
    return _interval(recalls, k, _CONFIDENCE)[0]


class Sample:
    """Queries with their true neighbours, found by exact search as they are needed.

    Parameters
    ----------
    exact : callable
        Gives exact search of the rows.
    rows : Rows
    seed : int
        Decides which members are the sample.
    queries : ndarray or None
        The user's own queries in place of members.
    present : ndarray of uint8, shape (len(rows),), or None
        0 for rows that were removed.
    """

    def __init__(
        self,
        exact: Callable[[], Engine],
        rows: Rows,
        seed: int,
        queries: Items | None = None,
        present: Mask | None = None,
    ) -> None:
        self._exact = exact
        self._rows = rows
        self.queries = queries
        self.present = present
        slots = np.arange(len(rows)) if present is None else np.flatnonzero(present)
        self._count = len(slots)
        chosen = shuffled(len(slots), _LARGE_SAMPLE, seed=seed, purpose=Purpose.CALIBRATION)
        self._members = slots[chosen]
        self.items: Items = np.empty((0, rows.width))
        self.excluded = np.empty(0, np.int64)
        self.neighbours = np.empty((0, 0), np.int64)

    def __len__(self) -> int:
        return len(self.items)

    @property
    def k(self) -> int:
        """How many neighbours of each are known."""
        return self.neighbours.shape[1]

    def extend(self, size: int, k: int, threads: int) -> bool:
        """Make it at least this large where there are as many; whether it has changed."""
        available = len(self._members if self.queries is None else self.queries)
        size, k = max(min(size, available), len(self)), max(min(k, self._count - 1), self.k)
        if size == len(self) and k == self.k:
            return False
        if self.queries is None:
            self.excluded = self._members[:size]
            self.items = np.ascontiguousarray(self._rows.vectors[self.excluded])
        else:
            self.excluded = np.full(size, -1)
            self.items = np.ascontiguousarray(self.queries[:size])
        slots, _ = self._exact().nearest(self.items, size, k + 1, threads, self.present)
        others = slots != self.excluded[:, None]
        others[others.all(axis=1), -1] = False  # nothing was excluded: drop the farthest
        self.neighbours = slots[others].reshape(size, k)
        return True


class Calibration:
    """Ranks of the true neighbours of a sample, and the efforts that follow.

    Parameters
    ----------
    tables : CellTables
    sample : Sample
        Of the same rows.
    """

    def __init__(self, tables: CellTables, sample: Sample) -> None:
        self._tables = tables
        self._sample = sample
        self._cell_ranks = np.empty((0, 0), np.uint32)
        self._estimate_ranks = np.empty((0, 0), np.uint32)
        self._efforts: dict[tuple[int, float], Effort | None] = {}
        self._lock = threading.Lock()  # searches and changes of an index may ask at once

    def effort(
        self, k: int, recall: float, cost_ns: Callable[[int, int], float], threads: int
    ) -> Effort | None:
        """The cheapest effort that promises a recall, or None when none does.

        Parameters
        ----------
        k : int
        recall : float
            Below 1.
        cost_ns : callable
            Cost of (probes, candidates).
        threads : int
            For finding true neighbours, when more are needed than before.
        """
        with self._lock:
            if (k, recall) not in self._efforts:
                size = _LARGE_SAMPLE if recall > _LARGE_SAMPLE_TARGET else SMALL_SAMPLE
                self._rank(size, FIRST_K if k <= FIRST_K else max(k, _LATER_K), threads)
                self._efforts[k, recall] = self._cheapest(k, recall, cost_ns)
            return self._efforts[k, recall]

    def _rank(self, size: int, k: int, threads: int) -> None:
        """Know the ranks of as large a sample."""
        changed = self._sample.extend(size, k, threads)
        if changed or not len(self._cell_ranks):
            sample = self._sample
            encoded = self._tables.count  # later rows are compared exactly: nothing loses them
            self._cell_ranks, self._estimate_ranks = self._tables.ranks(
                sample.items,
                np.where(sample.neighbours < encoded, sample.neighbours, -1),
                np.where(sample.excluded < encoded, sample.excluded, -1),
                threads,
                None if sample.present is None else sample.present[:encoded],
            )

    def _cheapest(
        self, k: int, recall: float, cost_ns: Callable[[int, int], float]
    ) -> Effort | None:
        k = min(k, self._cell_ranks.shape[1])
        cells, estimates = self._cell_ranks[:, :k], self._estimate_ranks[:, :k]
        best: Effort | None = None
        for probes in _probes_to_try(self._tables.cells):
            if best is not None and cost_ns(probes, k) >= best.cost_ns:
                break  # more probes cost more, however few rows are verified
            found = _fewest_candidates(cells <= probes, estimates, k, recall)
            if found is None:
                continue
            candidates, reached = found
            cost = cost_ns(probes, candidates)
            if best is None or cost < best.cost_ns:
                best = Effort(probes, candidates, reached, cost)
        return best


def _probes_to_try(cells: int) -> list[int]:
    probes, tried = 1, []
    while probes < cells:
        tried.append(probes)
        probes = max(probes + 1, round(probes * _GROWTH))
    return [*tried, cells]


def _fewest_candidates(
    probed: npt.NDArray[np.bool_], ranks: npt.NDArray[np.uint32], k: int, recall: float
) -> tuple[int, float] | None:
    """The fewest verified rows that promise the recall, and the sample's recall; None if none."""

    def recalls(candidates: int) -> npt.NDArray[np.float64]:
        return np.asarray((probed & (ranks <= candidates)).mean(axis=1))

    most = int(ranks.max(initial=1))
    if lower_bound(recalls(most), k) < recall:
        return None
    low, high = min(k, most), most  # the promise holds at high
    while low < high:
        middle = (low + high) // 2
        if lower_bound(recalls(middle), k) >= recall:
            high = middle
        else:
            low = middle + 1
    return high, float(recalls(high).mean())


def measure(
    engine: Engine,
    exact: Engine,
    items: Items,
    excluded: npt.NDArray[np.int64],
    k: int,
    threads: int,
    present: Mask | None = None,
) -> Measured:
    """Compare an engine's answers with the exact ones.

    Parameters
    ----------
    engine : Engine
    exact : Engine
        Exact, over the same rows.
    items : ndarray, m items
    excluded : ndarray of int64, shape (m,)
        For members, their own row, which does not count; -1 otherwise.
    k : int
    threads : int
    present : ndarray of uint8 or None
        0 for rows that were removed.
    """
    held_out = bool((excluded >= 0).any())
    more = k + 1 if held_out else k
    truth_slots, truth = exact.nearest(items, len(items), more, threads, present)
    slots, distances = engine.nearest(items, len(items), more, threads, present)
    recalls = np.empty(len(items))
    for i, own in enumerate(excluded):
        limit = truth[i][truth_slots[i] != own][:k]
        found = distances[i][(slots[i] != own) & (slots[i] >= 0)][:k]
        possible = int(np.isfinite(limit).sum())
        recalls[i] = (found <= limit[possible - 1]).sum() / possible if possible else 1.0
    low, high = _interval(recalls, k, _TWO_SIDED)
    return Measured(float(recalls.mean()), low, high, k, len(items), held_out)
