"""Multi-index hashing: exact search of packed bits, by the pigeonhole principle.

Hash: the bits are divided among substrings, and rows are sorted by each. Two codes that differ in
few bits differ in still fewer in one of the substrings, so that the rows within a radius are among
those whose substring is a few flips away from the query's. Verify: their exact distances.

The k nearest are found by growing the radius until it proves them; where that would cost more
than a part of comparing every row, every row is compared. All answers are exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter_ns
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike import native
from lookalike.engines.engine import Distances, Engine, Found, Items, Mask, Slots
from lookalike.engines.exact import ExactEngine
from lookalike.engines.rows import Rows
from lookalike.results import Step
from lookalike.seeds import Purpose, shuffled

__all__ = ["LookupCosts", "MultiIndexEngine", "Substrings"]

_ROWS_PER_BUCKET_LOG2 = 4  # 16 rows in a bucket, where bits are independent
_FEWEST_BITS, _MOST_BITS = 4, 20  # of a substring, before they are made even
_LONGEST = 24  # bits that the core takes, whose starts are then 64 MB
_SAMPLE = 4096  # rows on which orders of bits are compared
_SPREAD = 1 << 16  # rows, evenly apart, that these are drawn from
_BETTER = 0.8  # of the load of plain substrings, that another order must come down to
_JOINED = 1 << 17  # rows whose pairs are found in one call
_TRIED_SHARE = 0.1  # of exact search, that proving the k nearest by radii may cost


class LookupCosts(NamedTuple):
    """Nanoseconds, by the cost model.

    Attributes
    ----------
    exact : float
        To compare every row.
    bucket : float
        To look up a bucket.
    row : float
        To compare one row of it.
    """

    exact: float
    bucket: float
    row: float


@dataclass(frozen=True, slots=True, eq=False)
class Substrings:
    """Rows sorted by each substring of their bits.

    Attributes
    ----------
    places : list of list of int
        The bits of each substring, counted as ``numpy.packbits`` does.
    starts : ndarray of uint32
        Where the rows of each key begin, one substring after the other: 2**bits + 1 for each.
    order : ndarray of uint32, shape (substrings * n,)
        The rows by key, then ascending; one substring after the other.
    """

    places: list[list[int]]
    starts: npt.NDArray[np.uint32]
    order: npt.NDArray[np.uint32]

    @classmethod
    def of(cls, rows: Rows, bits: int, seed: int, threads: int = 1) -> Substrings:
        """Divide the bits, and sort the rows.

        Parameters
        ----------
        rows : Rows
            Of packed bits.
        bits : int
            How many of each row count; the others are padding.
        seed : int
            Decides the sample, and one order of bits that is tried.
        threads : int
        """
        return cls.sorted_by(rows, _balanced(rows, bits, seed), threads)

    @classmethod
    def sorted_by(cls, rows: Rows, places: list[list[int]], threads: int = 1) -> Substrings:
        """Sort the rows by each of these substrings."""
        starts = np.empty(sum((1 << len(own)) + 1 for own in places), np.uint32)
        order = np.empty(len(places) * len(rows), np.uint32)
        native.sort_by_substrings(rows.array, places, threads, starts, order)
        return cls(places, starts, order)

    @property
    def size_bytes(self) -> int:
        """Memory used beyond the rows."""
        return self.starts.nbytes + self.order.nbytes


class MultiIndexEngine(Engine):
    """Looks up substrings, and compares what it finds; or every row, where that costs less.

    Parameters
    ----------
    rows : Rows
        The rows present now; later ones are not seen.
    bits : int
        How many bits of each row count.
    costs : LookupCosts
        Decide what is looked up.
    substrings : Substrings
        Of these rows.

    Raises
    ------
    ValueError
        When the substrings are not of these rows.
    """

    def __init__(self, rows: Rows, bits: int, costs: LookupCosts, substrings: Substrings) -> None:
        self._rows = rows
        self._exact = ExactEngine(rows, bounding=False)
        self.count = len(rows)
        self.costs = costs
        self.bits = bits
        self.substrings = substrings
        self.index = native.MultiIndex(
            self._exact.scan,
            self.substrings.places,
            self.substrings.starts,
            self.substrings.order,
        )
        self._costs: dict[int, float] = {}

    @classmethod
    def of(
        cls, rows: Rows, bits: int, costs: LookupCosts, seed: int, threads: int = 1
    ) -> MultiIndexEngine:
        """Sort the rows, and search them."""
        return cls(rows, bits, costs, Substrings.of(rows, bits, seed, threads))

    @property
    def size_bytes(self) -> int:
        return self.substrings.size_bytes

    def check(self) -> list[str]:
        """What is wrong with the substrings: nothing, if they are those of the rows."""
        known = self.substrings
        again = Substrings.sorted_by(self._rows, known.places)
        if sorted(place for own in known.places for place in own) != list(range(self.bits)):
            return ["the substrings are not all bits, each once"]
        wrong = [
            name
            for name in ("starts", "order")
            if not np.array_equal(getattr(known, name), getattr(again, name))
        ]
        return [f"{name} is not what the rows give, sorted by substrings" for name in wrong]

    def cost_ns(self, radius: int) -> float:
        """What a search within a radius costs by the cost model, with look-ups."""
        radius = min(radius, self.bits)
        if radius not in self._costs:
            buckets, rows = self.index.work(radius)
            self._costs[radius] = self.costs.bucket * buckets + self.costs.row * rows
        return self._costs[radius]

    def looks_up(self, radius: float) -> bool:
        """Whether a search within a radius looks up, because comparing every row costs more."""
        return 0 <= radius < self.bits and self.cost_ns(math.floor(radius)) < self.costs.exact

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
        slots, distances = np.empty(shape, np.int64), np.empty(shape)
        flat = items.reshape(-1, self._rows.width)
        most = self._provable
        if most < 0 or k > len(self._rows):
            return self._exact.nearest(items, count, k, threads, allowed)
        offsets, found, far = self.index.nearest(flat, k, most, threads, allowed)
        proven = np.diff(offsets) == k
        of_all, far_of_all = slots.reshape(-1, k), distances.reshape(-1, k)
        of_all[proven], far_of_all[proven] = found.reshape(-1, k), far.reshape(-1, k)
        if not proven.all():
            rest = np.ascontiguousarray(flat[~proven])
            near = self._exact.nearest(rest, len(rest), k, threads, allowed)
            of_all[~proven], far_of_all[~proven] = near
        return slots, distances

    @property
    def _provable(self) -> int:
        """The largest radius that is worth trying to prove k neighbours; -1 for none."""
        step = len(self.substrings.places)
        most = -1
        while most + step < self.bits:
            if self.cost_ns(most + step) > _TRIED_SHARE * self.costs.exact:
                break
            most += step
        return most

    def nearest_of_one(
        self, item: Items, k: int, allowed: Mask | None = None
    ) -> tuple[Slots, Distances, bool] | None:
        return None  # a search takes many times longer than the checks that this could save

    def within(
        self, items: Items, radius: float, threads: int, allowed: Mask | None = None
    ) -> Found:
        if not self.looks_up(radius):
            return self._exact.within(items, radius, threads, allowed)
        found = self.index.within(items, math.floor(radius), threads, allowed)
        return Found(*found[:3])

    def within_one(
        self, item: Items, radius: float, allowed: Mask | None = None
    ) -> tuple[Slots, Distances] | None:
        """Slots and distances for one item, for the least delay; None where this saves nothing."""
        if not self.looks_up(radius):
            return None
        return self.index.within_one(item, math.floor(radius), allowed)

    def candidates(
        self, items: Items, threads: int, allowed: Mask | None = None
    ) -> tuple[Slots, Slots]:
        return self._exact.candidates(items, threads, allowed)

    def candidates_of_one(self, item: Items) -> Slots | None:
        return None

    def trace(self, item: Items, k: int, allowed: Mask | None = None) -> tuple[Step, ...]:
        most = self._provable
        if most < 0:
            return self._exact.trace(item, k, allowed)
        one = item.reshape(1, -1)
        start = perf_counter_ns()
        offsets, _, distances = self.index.nearest(one, k, most, 1, allowed)
        looked_up = perf_counter_ns()
        # The radius at which the search stopped; what it compared is counted apart, and not timed.
        if offsets[1] == k:
            step = len(self.substrings.places)
            most = int(distances[-1]) // step * step + step - 1
        compared = min(self.index.within(one, most, 1, allowed)[3], self.count)
        steps = [
            Step(
                "hash",
                f"look up {len(self.substrings.places)} substrings, radii up to {most}",
                compared,
                (looked_up - start) / 1e3,
            )
        ]
        if offsets[1] < k:
            start = perf_counter_ns()
            slots, _ = self._exact.nearest(item, None, k, 1, allowed)
            microseconds = (perf_counter_ns() - start) / 1e3
            left = int((slots >= 0).sum())
            steps.append(
                Step("verify", "that proves too few: compare every row", left, microseconds)
            )
        return tuple(steps)

    def joined(
        self, radius: int, most: int, threads: int
    ) -> Iterator[tuple[Slots, Slots, Distances, float]]:
        """All pairs of rows within a radius, each once, the smaller row first.

        Parameters
        ----------
        radius : int
        most : int
            Pairs in memory at a time, or a few rows' more.
        threads : int

        Yields
        ------
        tuple of ndarray, ndarray, ndarray, float
            Rows, rows, distances; and the part of the work that is done.
        """
        substrings = len(self.substrings.places)
        for substring in range(substrings):
            join = native.SubstringJoin(self.index, substring, radius, threads)
            done, span = 0, _JOINED
            while done < len(join):
                first, second, distances, reached = join.pairs(done, done + span, most, threads)
                # Where many pairs lie close together, fewer rows at a time waste less.
                complete = reached >= min(done + span, len(join))
                span = min(2 * span, _JOINED) if complete else max(reached - done, 1)
                done = reached
                yield first, second, distances, (substring + done / len(join)) / substrings


def _balanced(rows: Rows, bits: int, seed: int) -> list[list[int]]:
    """The division of the bits among substrings whose buckets are the most even.

    Neighbouring bits of a code are often alike, which crowds some buckets: so bits that lie apart
    are tried together, and a random order.
    """
    per_substring = round(math.log2(max(len(rows), 2))) - _ROWS_PER_BUCKET_LOG2
    per_substring = min(max(per_substring, _FEWEST_BITS), _MOST_BITS)
    count = max(1, round(bits / per_substring), -(-bits // _LONGEST))
    plain = _cut(np.arange(bits), count)
    if count == 1 or len(rows) < 2:
        return plain
    apart = max(1, len(rows) // _SPREAD)  # shuffling all would take as long as sorting a substring
    sample = apart * shuffled(
        min(len(rows), _SPREAD), _SAMPLE, seed=seed, purpose=Purpose.CELLS, stream=2
    )
    values = np.unpackbits(rows.array[np.sort(sample)], axis=1)
    strided = [list(range(first, bits, count)) for first in range(count)]
    mixed = _cut(shuffled(bits, bits, seed=seed, purpose=Purpose.CELLS, stream=3), count)
    loads = [_load(values, places) for places in (plain, strided, mixed)]
    best = int(np.argmin(loads))
    return (plain, strided, mixed)[best] if loads[best] < _BETTER * loads[0] else plain


def _cut(order: npt.NDArray[np.int64], count: int) -> list[list[int]]:
    return [part.tolist() for part in np.array_split(order, count)]


def _load(values: npt.NDArray[np.uint8], places: list[list[int]]) -> float:
    """How many rows of the sample share a bucket with one of them, over all substrings."""
    load = 0.0
    for own in places:
        keys = values[:, own] @ (1 << np.arange(len(own), dtype=np.int64))
        sizes = np.unique(keys, return_counts=True)[1].astype(np.float64)
        load += float((sizes * (sizes - 1)).sum())
    return load
