"""Exact search: every row is compared, or proven too far away.

Where it pays, the scan first reads a *bounding row* in place of each row, a fraction of its
bytes, whose distance never exceeds the distance of the rows: a row whose bound is already too
far needs no comparison. For L1 a byte of the bounding row is the sum of four values that vary
together (triangle inequality). For L2 and cosine it is a projection that stretches no vector.
This loses nothing; whether it saves anything depends on the data, and is counted (not timed)
on a sample when the engine is built.
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
    Mask,
    Slots,
)
from lookalike.engines.projection import Components, Projection, learn_components
from lookalike.engines.rows import Rows, aligned_rows
from lookalike.native import Measure
from lookalike.results import Step

__all__ = ["ExactEngine"]

_INT64 = np.dtype(np.int64)  # looked up once: a search of one item takes microseconds
_GROUP = 4  # values summed into one byte of a bounding row (bound_group in exact_scan.h)
_GROUPING_SAMPLE = 1000  # rows that the grouping is learned from
_MOST_GROUPED = 2048  # the grouping takes width^2 memory; wider rows keep their order
_LEAST_WIDTH = 32  # shorter rows are as quick to compare as to bound
_LEAST_BYTES = 1 << 22  # of all rows: learning a projection takes as long as many searches
_LEAST_STRIDE = 256  # bytes of a row: twice those of a bounding row
_PROJECTED, _FEWER = 64, 32  # dimensions of a bounding row for L2 and cosine
_ENOUGH_VARIANCE = 0.95  # in so many fewer dimensions
_REACH = 6.0  # spreads of the first direction that fit an int16 of such a row
_MOST_STEPS = 2047
_SAMPLE = 32  # rows used as queries to count what bounding saves
_SAMPLE_K = 10
_MOST_TILED = 1 << 20  # slots listed at once for searches among a few rows
_READ_PENALTY = 2.0  # a row read alone costs about twice its bytes in a stream


class ExactEngine(Engine):
    """Compares each item with every row; the oracle of all other engines.

    Parameters
    ----------
    rows : Rows
        The rows present now; later ones are not seen.
    bounding : bool or None
        Use bounding rows; None decides from a sample of the rows.
    components : Components or None
        Of these rows, where they are known already.
    seed : int
        Decides the sample that a projection is learned from.
    threads : int
        How many to build with.
    """

    def __init__(
        self,
        rows: Rows,
        bounding: bool | None = None,
        *,
        components: Components | None = None,
        seed: int = 0,
        threads: int = 1,
    ) -> None:
        self._rows = rows.array
        self._width = rows.width
        self._bounds_bytes = 0
        self._scan = rows.scan()
        if bounding is False or not len(rows):
            return
        bounds = None
        if rows.measure == Measure.absolute_differences:
            if bounding or self._width >= _LEAST_WIDTH:
                bounds = _sum_bounds(self._rows, self._width)
        elif rows.measure in _PROJECTABLE and (bounding or _may_save(self._rows)):
            components = components or learn_components(rows, _PROJECTED, seed)
            bounds = _projection_bounds(rows, components, threads)
        if bounds is not None:
            scan = rows.scan(bounds[0])
            if bounding or self._saves(scan, bounds[1], rows):
                self._scan, self._bounds_bytes = scan, bounds[1]

    @property
    def bounding(self) -> bool:
        """Whether bounding rows are in use."""
        return self._bounds_bytes > 0

    @property
    def scan(self) -> native.ExactScan:
        """The compiled scan, for engines that verify candidates with it."""
        return self._scan

    @property
    def size_bytes(self) -> int:
        return self._bounds_bytes * len(self._rows)

    def nearest(
        self,
        items: Items,
        count: int | None,
        k: int,
        threads: int,
        allowed: Mask | None = None,
        widened: Mask | None = None,
    ) -> tuple[Slots, Distances]:
        shape = k if count is None else (count, k)
        slots, distances = np.empty(shape, _INT64), np.empty(shape)
        self._scan.nearest(items, k, threads, slots, distances, allowed)
        return slots, distances

    def nearest_among(
        self, items: Items, count: int | None, wanted: Slots, k: int, threads: int
    ) -> tuple[Slots, Distances]:
        """The k nearest of a few rows, which are given in ascending order."""
        shape = k if count is None else (count, k)
        slots, distances = np.empty(shape, _INT64), np.empty(shape)
        flat = items.reshape(-1, self._width)
        together = max(1, _MOST_TILED // max(1, len(wanted)))  # each has a copy of the list
        for first in range(0, len(flat), together):
            part = flat[first : first + together]
            offsets = np.arange(len(part) + 1, dtype=np.int64) * len(wanted)
            own = slice(first * k, (first + len(part)) * k)
            self._scan.nearest_among(
                part,
                offsets,
                np.tile(wanted, len(part)),
                k,
                threads,
                slots.reshape(-1)[own],
                distances.reshape(-1)[own],
            )
        return slots, distances

    def nearest_of_one(
        self, item: Items, k: int, allowed: Mask | None = None
    ) -> tuple[Slots, Distances, bool] | None:
        if allowed is None:  # an argument less is quicker
            return self._scan.nearest_of_one(item, k)
        return self._scan.nearest_of_one(item, k, allowed)

    def within(
        self, items: Items, radius: float, threads: int, allowed: Mask | None = None
    ) -> Found:
        return Found(*self._scan.within(items, radius, threads, allowed))

    def candidates(
        self, items: Items, threads: int, allowed: Mask | None = None
    ) -> tuple[Slots, Slots]:
        rows = len(self._rows)
        slots = np.arange(rows, dtype=np.int64) if allowed is None else np.flatnonzero(allowed)
        count = items.size // self._width
        return np.arange(count + 1, dtype=np.int64) * len(slots), np.tile(slots, count)

    def candidates_of_one(self, item: Items) -> Slots | None:
        return None  # nothing is looked up, so there is nothing to hurry

    def trace(self, item: Items, k: int, allowed: Mask | None = None) -> tuple[Step, ...]:
        slots, distances = np.empty(k, np.int64), np.empty(k)
        start = perf_counter_ns()
        compared = self._scan.nearest(item, k, 1, slots, distances, allowed)
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

    def _saves(self, scan: native.ExactScan, bound_bytes: int, rows: Rows) -> bool:
        """Whether a search reads fewer bytes with bounds, counted on a sample of the rows."""
        count, stride = self._rows.shape
        if count <= 4 * _SAMPLE_K:
            return False
        sample = rows.items(slice(None, None, max(1, count // _SAMPLE)))
        k = _SAMPLE_K + 1  # each query meets itself
        compared = scan.nearest(
            sample, k, 1, np.empty((len(sample), k), np.int64), np.empty((len(sample), k))
        )
        bytes_with = count * bound_bytes + compared / len(sample) * stride * _READ_PENALTY
        return bool(bytes_with < count * stride)


_PROJECTABLE = (Measure.squared_differences, Measure.float_squares, Measure.float_angles)


def _may_save(array: npt.NDArray[np.uint8]) -> bool:
    """Whether it is worth trying to bound these rows by a projection."""
    return array.nbytes >= _LEAST_BYTES and array.shape[1] >= _LEAST_STRIDE


def _sum_bounds(array: npt.NDArray[np.uint8], width: int) -> tuple[native.Bounds, int]:
    """Bounds, and bytes of a bounding row."""
    largest = int(array.max(initial=0))
    shift = max(0, (_GROUP * largest).bit_length() - 8)
    groups = -(-width // _GROUP)
    order = _grouping(array[:, :width])
    sums = aligned_rows(len(array), -(-groups // 16) * 16)
    native.make_sums(array, order, shift, sums)
    return native.Bounds.of_sums(array, sums, order, shift), sums.shape[1]


def _projection_bounds(
    rows: Rows, components: Components, threads: int
) -> tuple[native.Bounds, int] | None:
    """The same; None when the rows do not differ."""
    if len(components) == 0:
        return None
    dimensions = _FEWER if _few_suffice(components) else _PROJECTED
    projection = Projection(components, dimensions, of_bytes=not rows.are_floats, contracting=True)
    step = _REACH * projection.spread / _MOST_STEPS
    memory = aligned_rows(len(rows), 2 * dimensions)
    codes = memory.view(np.int16)
    longest = float(np.linalg.norm(components.mean))
    for part, vectors, lengths in projection.chunks(rows, threads):
        native.make_projected(vectors, step, codes[part])
        longest = max(longest, lengths)
    bounds = native.Bounds.of_projection(
        rows.array, rows.measure, projection.native, codes, step, longest
    )
    return bounds, 2 * dimensions


def _few_suffice(components: Components) -> bool:
    """Whether half as many dimensions bound nearly as well."""
    variances = components.spreads.astype(np.float64) ** 2
    return bool(variances[:_FEWER].sum() >= _ENOUGH_VARIANCE * variances.sum())


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
