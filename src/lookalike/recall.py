"""Recall: measured with an interval, and promised by calibration.

*Calibration* asks what a search in cells would have to do to find the true neighbours of
vectors of the index itself. For a sample of members, each left out in turn, the exact engine
finds the neighbours, and for each neighbour two ranks say what finds it: how many cells have to
be probed and how many rows verified. From these ranks follows, for any recall and any k up to
the calibrated one, which efforts reach it on the sample; the cheapest by the cost model wins.
It is then divided anew among the regions of cells, more where neighbours are hard to find and
less where it is easy, so that the recall is about the same in each of them.

The promise is about new queries, and a sample says less about them than about itself. So the
mean recall of the sample has to exceed the target by what a one-sided interval asks for.
The chance is over the draw of the sample and of queries, both from the distribution of the data:
queries unlike the data are outside of it, unless they were given as the sample. Their searches
are widened when they show by a sign that nearly no query of the sample has.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike.engines.cells import CellTables, Ranks
from lookalike.engines.effort import Effort, Sightings
from lookalike.engines.engine import Engine, Items, Mask
from lookalike.engines.exact import ExactEngine
from lookalike.engines.rows import Rows
from lookalike.sample import LARGE_SAMPLE, SMALL_SAMPLE, Sample
from lookalike.seeds import Purpose, shuffled
from lookalike.store.named import Arrays, array_of

__all__ = [
    "FIRST_K",
    "TWO_SIDED",
    "Calibrated",
    "Calibration",
    "Measured",
    "interval",
    "lower_bound",
    "measure",
    "typical_distance",
]

Counts = npt.NDArray[np.int64]

_CONFIDENCE = 1.645  # standard errors of a one-sided interval of 95 %
TWO_SIDED = 1.96  # of one of 95 % on both sides
_LARGE_SAMPLE_TARGET = 0.995  # above it few misses decide, so that the sample is larger
_FEW_SAMPLE = 64
FIRST_K = 10  # neighbours found for each vector of the sample; more when they are asked for
_LATER_K = 100
_GROWTH = 1.2  # from one number of probes that is tried to the next
_SHARES = 0.5 * 1.1 ** np.arange(31)  # of the whole sample's effort, that a region may need
_WIDER = 3.0  # times the effort of the region, for unusual queries
_UNUSUAL = 0.005  # of the sample, at either end of a sign


@dataclass(frozen=True, slots=True)
class Calibrated:
    """An effort, and what it promises.

    Attributes
    ----------
    effort : Effort
    probes, candidates : float
        Cells scanned and rows verified, on average over the sample.
    recall : float
        Mean over the sample.
    cost_ns : float
        By the cost model.
    """

    effort: Effort
    probes: float
    candidates: float
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


def interval(recalls: npt.NDArray[np.float64], k: int, errors: float) -> tuple[float, float]:
    """Interval of Wilson for the mean of recalls of single queries.

    Parameters
    ----------
    recalls : ndarray of float64, shape (queries,)
        Recall of each query: a share of k neighbours.
    k : int
    errors : float
        Half its width in standard errors: 1.645 for 95 % on one side, 1.96 on both.

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
    return interval(recalls, k, _CONFIDENCE)[0]


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
        self._ranks: Ranks | None = None
        self._efforts: dict[tuple[int, float], Calibrated | None] = {}
        self._lock = threading.Lock()  # searches and changes of an index may ask at once

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What :meth:`take_up` takes: the ranks, where they are known."""
        with self._lock:
            ranks = self._ranks
        if ranks is None:
            return {}
        return {
            "ranks_cells": np.ascontiguousarray(ranks.cells),
            "ranks_estimates": np.ascontiguousarray(ranks.estimates),
            "seen_cells": ranks.seen.cells,
            "seen_signs": ranks.seen.signs,
        }

    def take_up(self, arrays: Arrays) -> None:
        """Know the ranks that were stored with the tables and the sample.

        Raises
        ------
        ValueError
            When they cannot be theirs.
        """
        if "ranks_cells" not in arrays:
            return
        shape = self._sample.neighbours.shape
        ranks = Ranks(
            array_of(arrays, "ranks_cells", np.uint32, shape),
            array_of(arrays, "ranks_estimates", np.uint32, shape),
            Sightings(
                array_of(arrays, "seen_cells", np.uint32, shape[:1]),
                array_of(arrays, "seen_signs", np.float32, (shape[0], 2)),
            ),
        )
        if (ranks.seen.cells >= self._tables.cells).any() or not np.isfinite(
            ranks.seen.signs
        ).all():
            raise ValueError("ranks must be of the cells")
        self._ranks = ranks

    def effort(
        self, k: int, recall: float, cost_ns: Callable[[float, float], float], threads: int
    ) -> Calibrated | None:
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
                size = LARGE_SAMPLE if recall > _LARGE_SAMPLE_TARGET else SMALL_SAMPLE
                ranks = self._known_ranks(
                    size, FIRST_K if k <= FIRST_K else max(k, _LATER_K), threads
                )
                self._efforts[k, recall] = self._cheapest(ranks, k, recall, cost_ns)
            return self._efforts[k, recall]

    def _known_ranks(self, size: int, k: int, threads: int) -> Ranks:
        """The ranks of as large a sample."""
        changed = self._sample.extend(size, k, threads)
        if changed or self._ranks is None:
            sample = self._sample
            encoded = self._tables.count  # later rows are compared exactly: nothing loses them
            self._ranks = self._tables.ranks(
                sample.items,
                np.where(sample.neighbours < encoded, sample.neighbours, -1),
                np.where(sample.excluded < encoded, sample.excluded, -1),
                threads,
                None if sample.present is None else sample.present[:encoded],
            )
        return self._ranks

    def _cheapest(
        self, ranks: Ranks, k: int, recall: float, cost_ns: Callable[[float, float], float]
    ) -> Calibrated | None:
        k = min(k, ranks.cells.shape[1])
        ranks = Ranks(ranks.cells[:, :k], ranks.estimates[:, :k], ranks.seen)
        whole = self._undivided(ranks, k, recall, cost_ns)
        return None if whole is None else self._divided(ranks, whole, k, recall, cost_ns)

    def _undivided(
        self, ranks: Ranks, k: int, recall: float, cost_ns: Callable[[float, float], float]
    ) -> tuple[int, int] | None:
        """The cheapest probes and candidates that promise the recall when all regions get them."""
        cells, estimates = ranks.cells, ranks.estimates
        best: tuple[float, int, int] | None = None
        for probes in _probes_to_try(self._tables.cells):
            if best is not None and cost_ns(probes, k) >= best[0]:
                break  # more probes cost more, however few rows are verified
            candidates = _fewest_candidates(cells <= probes, estimates, k, recall)
            if candidates is None:
                continue
            cost = cost_ns(probes, candidates)
            if best is None or cost < best[0]:
                best = cost, probes, candidates
        return None if best is None else best[1:]

    def _divided(
        self,
        ranks: Ranks,
        whole: tuple[int, int],
        k: int,
        recall: float,
        cost_ns: Callable[[float, float], float],
    ) -> Calibrated:
        """The effort that a promise takes for the whole sample, divided among the regions."""
        reached = _recalls_by_share(ranks, whole, k)
        region = self._tables.regions.of_cell[ranks.seen.cells]
        # A region is judged by its own part of the sample and a little of the whole: as if each
        # had seen some five more misses.
        borrowed = 0.5 / (1.0 - recall)
        by_region = np.stack(
            [
                (reached[region == r].sum(axis=0) + borrowed * reached.mean(axis=0))
                / (np.count_nonzero(region == r) + borrowed)
                for r in range(len(self._tables.regions))
            ]
        )

        def shares_at(level: float) -> npt.NDArray[np.int64]:
            enough = by_region >= level
            return np.where(enough.any(axis=1), enough.argmax(axis=1), len(_SHARES) - 1)

        def is_kept(level: float) -> bool:
            own = reached[np.arange(len(region)), shares_at(level)[region]]
            return lower_bound(own, k) >= recall

        levels = np.sort(by_region, axis=None)
        low, high = 0, len(levels) - 1  # the promise is kept at the highest, with the most effort
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if is_kept(float(levels[middle])) else (middle + 1, high)
        shares = _SHARES[shares_at(float(levels[high]))]
        return self._calibrated(ranks, _counts(whole, shares, k), cost_ns)

    def _calibrated(
        self,
        ranks: Ranks,
        counts: Counts,
        cost_ns: Callable[[float, float], float],
    ) -> Calibrated:
        wide = np.ceil(counts * _WIDER).astype(np.int64)
        effort = Effort(self._tables.regions, counts, wide, _usual_signs(ranks.seen))
        found = effort.counts(ranks.seen)
        probes, candidates = (float(mean) for mean in found.mean(axis=0))
        return Calibrated(
            effort,
            probes,
            candidates,
            float(_recalls(ranks, found[:, 0], found[:, 1]).mean()),
            cost_ns(probes, candidates),
        )


def _usual_signs(seen: Sightings) -> npt.NDArray[np.float32]:
    """The least and the largest of each sign, without the utmost 0.5 % of the sample."""
    ends = np.quantile(seen.signs, [_UNUSUAL, 1.0 - _UNUSUAL], axis=0).T
    return np.ascontiguousarray(ends, np.float32)


def _recalls(
    ranks: Ranks, probes: npt.NDArray[np.int64], candidates: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Recall of each query of the sample, with an effort for each."""
    found = (ranks.cells <= probes[:, None]) & (ranks.estimates <= candidates[:, None])
    return np.asarray(found.mean(axis=1))


def _counts(whole: tuple[int, int], shares: npt.NDArray[np.floating[Any]], k: int) -> Counts:
    """Probes and candidates for shares of an effort: shape (shares, 2)."""
    counts = np.ceil(np.outer(shares, whole)).astype(np.int64)
    return np.asarray(np.maximum(counts, [1, k]), np.int64)


def _recalls_by_share(ranks: Ranks, whole: tuple[int, int], k: int) -> npt.NDArray[np.float64]:
    """Recall of each query for each share of an effort: shape (m, shares)."""
    counts = _counts(whole, _SHARES, k)
    every = np.ones(len(ranks.cells), np.int64)
    return np.stack([_recalls(ranks, p * every, c * every) for p, c in counts], axis=1)


def _probes_to_try(cells: int) -> list[int]:
    probes, tried = 1, []
    while probes < cells:
        tried.append(probes)
        probes = max(probes + 1, round(probes * _GROWTH))
    return [*tried, cells]


def _fewest_candidates(
    probed: npt.NDArray[np.bool_], ranks: npt.NDArray[np.uint32], k: int, recall: float
) -> int | None:
    """The fewest verified rows that promise the recall; None if none do."""

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
    return high


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
        near = int((found <= limit[possible - 1]).sum()) if possible else 0
        recalls[i] = min(near / possible, 1.0) if possible else 1.0
    low, high = interval(recalls, k, TWO_SIDED)
    return Measured(float(recalls.mean()), low, high, k, len(items), held_out)


def typical_distance(rows: Rows, seed: int) -> float:
    """How far the tenth neighbour of a member is: the median of a small random sample.

    Parameters
    ----------
    rows : Rows
    seed : int
        Decides the sample.
    """
    sample = shuffled(len(rows), _FEW_SAMPLE, seed=seed, purpose=Purpose.CALIBRATION, stream=2)
    items = rows.items(sample)
    k = min(FIRST_K + 1, len(rows))  # each is its own first neighbour
    _, distances = ExactEngine(rows, bounding=False).nearest(items, len(items), k, 1)
    return float(np.median(distances[:, -1]))
