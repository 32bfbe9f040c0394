"""The planner of packed bits: looks up substrings within a radius, or compares every item."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lookalike.costs import lookup_costs
from lookalike.engines.engine import Distances, Engine, Items, Mask, Slots
from lookalike.engines.grown import GrownEngine
from lookalike.engines.multi_index import MultiIndexEngine, Substrings
from lookalike.engines.rows import Rows
from lookalike.metrics import Metric
from lookalike.pairs import JoinPlan
from lookalike.planner.planner import BYTES_PER_PAIR, PLANNED_K, Plan, Planner, are_many
from lookalike.store.named import Stored, array_of

__all__ = ["MultiIndexPlanner"]

_PER_JOINED_NS = 1.6  # of a pair that is compared, read in a stream
_PER_COPIED_NS = 45.0  # of a row that is copied in the order of a substring
_USUAL_SHARE = 8  # a plan is printed for a radius just below this part of the bits


class MultiIndexPlanner(Planner):
    """Answers exactly, with look-ups where these cost less than comparing every item.

    Parameters
    ----------
    rows, metric, stored_as
        As above.
    bits : int
        How many bits of each row count.
    seed : int
    threads : int
        To build with; what is built does not depend on it.
    substrings : Substrings, optional
        Of the first rows, where they are sorted already.
    """

    def __init__(
        self,
        rows: Rows,
        metric: Metric,
        stored_as: str,
        bits: int,
        seed: int,
        threads: int,
        substrings: Substrings | None = None,
    ) -> None:
        super().__init__(rows, metric, stored_as, "", seed=seed, threads=threads)
        self._bits, self._seed = bits, seed
        if substrings is None:
            self._index = self._built(rows, threads)
        else:
            sorted_rows = rows.view(0, len(substrings.order) // max(len(substrings.places), 1))
            costs = lookup_costs(sorted_rows)
            self._index = MultiIndexEngine(sorted_rows, bits, costs, substrings)

    @classmethod
    def restored(
        cls,
        rows: Rows,
        metric: Metric,
        stored_as: str,
        bits: int,
        seed: int,
        threads: int,
        stored: Stored,
        present: Mask | None,
    ) -> MultiIndexPlanner:
        """The planner that was stored, of the same rows."""
        facts, arrays = stored
        substrings = Substrings(
            facts["places"],
            array_of(arrays, "starts", np.uint32, (None,)),
            array_of(arrays, "order", np.uint32, (None,)),
        )
        if len(substrings.order) > len(rows) * len(substrings.places):
            raise ValueError("order must be of the rows")
        planner = cls(rows, metric, stored_as, bits, seed, threads, substrings)
        planner._take_up(facts, present)
        return planner

    def check(self) -> list[str]:
        return self._index.check()

    def stored(self) -> Stored:
        facts, arrays = super().stored()
        substrings = self._index.substrings
        return Stored(
            {**facts, "planner": "multi_index", "places": substrings.places},
            {**arrays, "starts": substrings.starts, "order": substrings.order},
        )

    def _built(self, rows: Rows, threads: int) -> MultiIndexEngine:
        return MultiIndexEngine.of(rows, self._bits, lookup_costs(rows), self._seed, threads)

    def _follow(self, rows: Rows, present: Mask | None, threads: int) -> None:
        super()._follow(rows, present, threads)
        if are_many(len(rows) - self._index.count, self._index.count):
            self._index = self._built(rows, threads)

    @property
    def size_bytes(self) -> int:
        return super().size_bytes + self._index.size_bytes

    def engine(self, k: int, recall: float | None, threads: int = 1) -> Engine:
        late = len(self._rows) > self._index.count
        return GrownEngine(self._index, self._index.count, self._rows) if late else self._index

    def within_one(self, item: Items, radius: float) -> tuple[Slots, Distances] | None:
        if len(self._rows) > self._index.count:
            return None
        return self._index.within_one(item, radius, self._present)

    def pairs(
        self, radius: float, recall: float | None, most: int, threads: int
    ) -> Iterator[tuple[Slots, Slots, Distances, float]]:
        if self._joins(radius):
            yield from self._index.joined(int(radius), most, threads)
        else:
            yield from super().pairs(radius, recall, most, threads)

    def join_plan(
        self, radius: float, recall: float | None, most: int, others: int | None = None
    ) -> JoinPlan:
        if others is not None or not self._joins(radius):
            return super().join_plan(radius, recall, most, others)
        tables = [flips for flips in self._index.index.thresholds(int(radius)) if flips >= 0]
        _, rows = self._index.index.work(int(radius))
        candidates = rows * len(self._rows) / 2
        return JoinPlan(
            engine="multi_index",
            tables=len(tables),
            candidates=candidates,
            memory_bytes=BYTES_PER_PAIR * most + len(self._rows) * (self._rows.array.shape[1] + 8),
            seconds=(candidates * _PER_JOINED_NS + len(tables) * len(self._rows) * _PER_COPIED_NS)
            / 1e9,
            promise="every pair",
        )

    def _search_within(self, radius: float, plan: Plan) -> tuple[float, float]:
        if not self._index.looks_up(radius):
            return super()._search_within(radius, plan)
        rows = self._index.index.work(int(radius))[1]
        return self._index.cost_ns(int(radius)) / 1e3, rows

    def _joins(self, radius: float) -> bool:
        """Whether pairs are found bucket by bucket, and not by a search for each item."""
        return (
            self._present is None
            and len(self._rows) == self._index.count
            and self._index.looks_up(radius)
        )

    def plan(self, recall: float | None, k: int = PLANNED_K, threads: int = 1) -> Plan:
        usual = max(self._bits // _USUAL_SHARE - 1, 0)
        cost = self._index.cost_ns(usual)
        compared = self._index.costs.exact
        longest = max(map(len, self._index.substrings.places))
        return Plan(
            engine="multi_index",
            metric=self._metric.name,
            stored_as=self._stored_as,
            parameters={"substrings": len(self._index.substrings.places), "bits": longest},
            promise="recall 1",
            reason=f"predicted {cost / 1e3:,.1f} us for a search within radius {usual}, comparing "
            f"every item {compared / 1e3:,.1f} us",
            predicted_us=compared / 1e3,
            predicted_recall=1.0,
        )
