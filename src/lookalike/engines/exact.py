"""Exact search: every row is compared, or proven too far away.

For L1 the scan first reads a quarter of the data: in a *bounding row* each byte is the sum of
four values that vary together. By the triangle inequality the distance of two bounding rows
never exceeds the distance of the rows, so a row whose bound is already too far needs no
comparison. This loses nothing; whether it saves anything depends on the data, and is counted
(not timed) on a sample when the engine is built.
"""

from __future__ import annotations

from time import perf_counter_ns

import numpy as np
import numpy.typing as npt

from lookalike import native
from lookalike.engines.engine import (
    Distances,
    Engine,
    Found,
    Items,
    Slots,
    radius_below,
)
from lookalike.engines.rows import Rows, aligned_rows
from lookalike.metrics import Metric
from lookalike.results import Step

__all__ = ["ExactEngine"]

_INT64 = np.dtype(np.int64)  # looked up once: a search of one item takes microseconds
_GROUP = 4  # values summed into one byte of a bounding row (bound_group in exact_scan.h)
_GROUPING_SAMPLE = 1000  # rows that the grouping is learned from
_MOST_GROUPED = 2048  # the grouping takes width^2 memory; wider rows keep their order
_LEAST_WIDTH = 32  # shorter rows are as quick to compare as to bound
_SAMPLE = 32  # rows used as queries to count what bounding saves
_SAMPLE_K = 10
_READ_PENALTY = 2.0  # a row read alone costs about twice its bytes in a stream


class ExactEngine(Engine):
    """Compares each item with every row; the oracle of all other engines.

    Parameters
    ----------
    rows : Rows
        The rows present now; later ones are not seen.
    metric : Metric
    bounding : bool or None
        Use bounding rows; None decides from a sample of the rows.
    """

    def __init__(self, rows: Rows, metric: Metric, bounding: bool | None = None) -> None:
        self._rows = rows.array
        self._width = rows.width
        self._limit = rows.limit
        self._measure = metric.measure
        self._bounds: npt.NDArray[np.uint8] | None = None
        self._scan = native.ExactScan(self._rows, self._width, self._measure, self._limit)
        can_bound = self._measure is native.Measure.absolute_differences
        if can_bound and (bounding or (bounding is None and self._width >= _LEAST_WIDTH)):
            self._add_bounds(always=bounding is True)

    @property
    def bounding(self) -> bool:
        """Whether bounding rows are in use."""
        return self._bounds is not None

    @property
    def scan(self) -> native.ExactScan:
        """The compiled scan, for engines that verify candidates with it."""
        return self._scan

    @property
    def size_bytes(self) -> int:
        return 0 if self._bounds is None else self._bounds.nbytes

    def nearest(
        self, items: Items, count: int | None, k: int, threads: int
    ) -> tuple[Slots, Distances]:
        shape = k if count is None else (count, k)
        slots, distances = np.empty(shape, _INT64), np.empty(shape)
        self._scan.nearest(items, k, threads, slots, distances)
        return slots, distances

    def nearest_of_one(self, item: Items, k: int) -> tuple[Slots, Distances] | None:
        return self._scan.nearest_of_one(item, k)

    def within(self, items: Items, radius: float, threads: int) -> Found:
        return Found(*self._scan.within(items, radius_below(radius), threads))

    def candidates(self, items: Items, threads: int) -> tuple[Slots, Slots]:
        count, rows = items.size // self._width, len(self._rows)
        offsets = np.arange(count + 1, dtype=np.int64) * rows
        return offsets, np.tile(np.arange(rows, dtype=np.int64), count)

    def candidates_of_one(self, item: Items) -> Slots | None:
        return None  # nothing is looked up, so there is nothing to hurry

    def trace(self, item: Items, k: int) -> tuple[Step, ...]:
        slots, distances = np.empty(k, np.int64), np.empty(k)
        start = perf_counter_ns()
        compared = self._scan.nearest(item, k, 1, slots, distances)
        microseconds = (perf_counter_ns() - start) / 1e3
        found = int((slots >= 0).sum())
        if not self.bounding:
            return (Step("verify", "compare every row, keep the k nearest", found, microseconds),)
        return (
            Step(
                "filter", "discard rows whose bound is too far (time: with verify)", compared, 0.0
            ),
            Step("verify", "compare the rest, keep the k nearest", found, microseconds),
        )

    def _add_bounds(self, *, always: bool) -> None:
        largest = int(self._rows.max(initial=0))
        shift = max(0, (_GROUP * largest).bit_length() - 8)
        groups = -(-self._width // _GROUP)
        order = _grouping(self._rows[:, : self._width])
        bounds = aligned_rows(len(self._rows), -(-groups // 16) * 16)
        native.make_bounds(self._rows, order, shift, bounds)
        scan = native.ExactScan(
            self._rows, self._width, self._measure, self._limit, bounds, order, shift
        )
        if always or self._saves(scan, bounds.shape[1]):
            self._bounds, self._scan = bounds, scan

    def _saves(self, scan: native.ExactScan, bound_bytes: int) -> bool:
        """Whether a search reads fewer bytes with bounds, counted on a sample of the rows."""
        rows, stride = self._rows.shape
        if rows <= 4 * _SAMPLE_K:
            return False
        sample = np.ascontiguousarray(self._rows[:: max(1, rows // _SAMPLE), : self._width])
        k = _SAMPLE_K + 1  # each query meets itself
        compared = scan.nearest(
            sample, k, 1, np.empty((len(sample), k), np.int64), np.empty((len(sample), k))
        )
        bytes_with = rows * bound_bytes + compared / len(sample) * stride * _READ_PENALTY
        return bool(bytes_with < rows * stride)


def _grouping(vectors: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint32]:
    """Order the values of a row so that each four in sequence vary together.

    The bound is tight where the differences within a group have one sign, so each value of
    large variance is joined by the three free ones of largest covariance with it. All sums are
    whole numbers that float64 holds exactly: the order is the same on every machine.
    """
    width = vectors.shape[1]
    if len(vectors) < 2 or width > _MOST_GROUPED:
        return np.arange(width, dtype=np.uint32)
    sample = vectors[:: -(-len(vectors) // _GROUPING_SAMPLE)].astype(np.float64)
    sums = sample.sum(axis=0)
    covariance = len(sample) * (sample.T @ sample) - np.outer(sums, sums)
    free = np.ones(width, np.bool_)
    order: list[int] = []
    for leader in np.argsort(-covariance.diagonal(), kind="stable"):
        if free[leader]:
            free[leader] = False
            affinity = np.where(free, -covariance[leader], np.inf)
            joined = [j for j in np.argsort(affinity, kind="stable")[: _GROUP - 1] if free[j]]
            free[joined] = False
            order += [int(leader), *map(int, joined)]
    return np.array(order, np.uint32)
