"""A plan, and the planner that answers exactly, which the others start from.

No choice reads a clock: it minimises the cost model of :mod:`lookalike.costs`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from lookalike.costs import exact_cost_ns
from lookalike.engines.engine import Distances, Engine, Found, Items, Mask, Slots
from lookalike.engines.exact import ExactEngine
from lookalike.engines.filtered import FilteredEngine
from lookalike.engines.grown import GrownEngine
from lookalike.engines.projection import Components
from lookalike.engines.rows import Rows
from lookalike.errors import CorruptStore
from lookalike.metrics import Metric
from lookalike.pairs import JoinPlan
from lookalike.results import Fate
from lookalike.store.named import Stored, count_of

__all__ = ["BYTES_PER_PAIR", "PLANNED_K", "Plan", "Planner", "are_many"]

PLANNED_K = 10  # what a plan is printed for
_FEW_LATE, _LATE_SHARE = 1024, 8  # rows compared beside an engine: so many, or this part
_REBUILT_GROWTH = 2  # when there are so many times as many members, all is planned again
BYTES_PER_PAIR = 48  # while pairs are collected and handed over
_JOINED = 4096  # rows that are searched for at a time when pairs are wanted, at the most
_FIRST_JOINED, _GROWTH = 16, 4  # at first, when each may have all others near; then so many times
_DRIFT = 2.0  # searches that cost so many times as much as they should call for a rebuild


@dataclass(frozen=True, slots=True)
class Plan:
    """The engine chosen, its parameters, and what it promises.

    Attributes
    ----------
    engine : str
        ``"exact"``, ``"cells"``, ``"multi_index"``, ``"prefixes"`` or ``"tables"``.
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
        self._make_exact = partial(ExactEngine, components=components, seed=seed, threads=threads)
        self._exact: Engine | None = None
        self._rows = rows
        self._present: Mask | None = None
        self._filtered: FilteredEngine | None = None  # of the filter used last
        self._members = self._planned_for = len(rows)  # rows that were not removed
        # How many times as much as it should, for the number of rows, a search costs.
        self.drift = 1.0
        self._metric = metric
        self._stored_as = stored_as
        self._reason = reason
        self._exact_ns = exact_cost_ns(rows)

    @property
    def exact(self) -> Engine:
        """Exact search of the same rows, built when it is first asked for, and then kept."""
        if self._exact is None:
            self._exact = self._make_exact(self._rows)
        return self._exact

    @property
    def outgrown(self) -> bool:
        """Whether everything should be planned again: twice as many members, or half removed."""
        return self._members >= _REBUILT_GROWTH * self._planned_for or 2 * self._members < len(
            self._rows
        )

    @property
    def has_drifted(self) -> bool:
        """Whether searches cost so much more than they should that building again pays."""
        return self.drift > _DRIFT

    def changed(self, rows: Rows, present: Mask | None, threads: int = 1) -> Planner:
        """The planner of the same rows and later ones, without those that were removed.

        What was learned is kept. This planner goes on answering for the rows that it had.
        """
        planner = copy(self)
        planner._follow(rows, present, threads)
        return planner

    def _follow(self, rows: Rows, present: Mask | None, threads: int) -> None:
        self._exact = None if self._exact is None else self._grown_exact(self._exact, rows)
        self._rows, self._present, self._filtered = rows, present, None
        self._members = len(rows) if present is None else int(np.count_nonzero(present))
        self._exact_ns = exact_cost_ns(rows)

    def _grown_exact(self, known: Engine, rows: Rows) -> Engine:
        base, built = known, len(self._rows)
        if isinstance(known, GrownEngine):
            base, built = known.base, known.built
        if len(rows) == built:
            return base
        if isinstance(base, ExactEngine) and not base.bounding:
            return ExactEngine(rows, bounding=False)
        if are_many(len(rows) - built, built):
            return self._make_exact(rows)
        return GrownEngine(base, built, rows)

    def stored(self) -> Stored:
        """What is kept of this planner, see :func:`~lookalike.planner.choice.restored_planner`."""
        return Stored({"planner": "exact", "planned_for": self._planned_for}, {})

    def check(self) -> list[str]:
        """What does not follow from the rows, in what was built for them; nothing, if all is well.

        It takes about as long as building.
        """
        return []

    def _take_up(self, facts: Mapping[str, Any], present: Mask | None) -> None:
        """Go on where a planner of the same rows was when it was stored."""
        self._planned_for = count_of(facts, "planned_for", len(self._rows))
        if not self._planned_for:
            raise ValueError("nothing is planned for no rows")
        if present is not None:
            self._present, self._members = present, int(np.count_nonzero(present))

    def filtered(self, allowed: Mask) -> Engine:
        """The engine for the rows that a filter allows, kept until there is another filter."""
        engine = self._filtered
        if engine is None or not engine.is_of(allowed):
            engine = self._filtered = FilteredEngine(self._rows, allowed, lambda: self.exact)
        return engine

    def fate(self, items: Items, k: int, recall: float | None, slot: int, found: bool) -> Fate:
        """What became of one row in a search for one item, which found it or not.

        Its ``id`` is the slot: a planner knows no others.
        """
        slots, distances = self.exact.nearest(items, None, self._members, 1, self._present)
        places = np.flatnonzero(slots == slot)
        if not len(places):  # its distance is no number
            raise CorruptStore("a row of this index", "exact search does not find it")
        place = int(places[0])
        fate = Fate(slot, float(distances[place]), place + 1, "found")
        if found:
            return fate
        # Of rows that tie for the last place, a search returns those with the smallest ids.
        tied = k < len(slots) and distances[k - 1] == distances[k] == distances[place]
        if place >= k or tied:
            return replace(fate, what="not among the true k nearest")
        return self._lost(fate, items, k, recall)

    def _lost(self, fate: Fate, items: Items, k: int, recall: float | None) -> Fate:
        """The same for one of the true k nearest that was not found."""
        return replace(fate, what="lost in hash: it shares no bucket")

    @property
    def size_bytes(self) -> int:
        """Memory that engines use beyond the rows, at the moment."""
        return 0 if self._exact is None else self._exact.size_bytes

    def engine(self, k: int, recall: float | None, threads: int = 1) -> Engine:
        """The engine for a search of k neighbours that promises this recall."""
        return self.exact

    def within_one(self, item: Items, radius: float) -> tuple[Slots, Distances] | None:
        """The rows within a radius of one item; None where :meth:`within` is as fast."""
        return None

    def within(self, items: Items, radius: float, recall: float | None, threads: int) -> Found:
        """All rows within a radius, each found with the promised recall."""
        return self.engine(1, recall, threads).within(items, radius, threads, self._present)

    def pairs(
        self, radius: float, recall: float | None, most: int, threads: int
    ) -> Iterator[tuple[Slots, Slots, Distances, float]]:
        """All pairs of rows within a radius, each once, as far as searches for each find them.

        Parameters
        ----------
        radius : float
        recall : float or None
            Of the searches for the rows.
        most : int
            Pairs in memory at a time, as far as single rows allow.
        threads : int

        Yields
        ------
        tuple of ndarray, ndarray, ndarray, float
            The smaller row of each pair, the other, their distance; and the part that is done.
        """
        slots = np.arange(len(self._rows), dtype=np.int64)
        if self._present is not None:
            slots = np.flatnonzero(self._present).astype(np.int64)
        together, first = _FIRST_JOINED, 0
        while first < len(slots):
            own = slots[first : first + together]
            items = self._rows.items(own)
            found = self.within(items, radius, recall, threads)
            one = np.repeat(own, np.diff(found.offsets))
            later = one < found.slots
            first += len(own)
            # Where rows have many neighbours, fewer are searched for at a time.
            fitting = together * most // max(len(one), 1)
            together = max(1, min(_JOINED, _GROWTH * together, fitting))
            yield one[later], found.slots[later], found.distances[later], first / len(slots)

    def join_plan(
        self, radius: float, recall: float | None, most: int, others: int | None = None
    ) -> JoinPlan:
        """What finding all pairs takes, see :meth:`pairs`; or those with so many others."""
        plan = self.plan(recall)
        searches = self._members if others is None else others
        each_us, compared = self._search_within(radius, plan)
        return JoinPlan(
            engine=plan.engine,
            tables=0,
            candidates=searches * compared,
            memory_bytes=BYTES_PER_PAIR * most + _JOINED * self._rows.array.shape[1],
            seconds=searches * each_us / 1e6,
            promise=plan.promise,
        )

    def _search_within(self, radius: float, plan: Plan) -> tuple[float, float]:
        """Microseconds of a search within a radius, and the rows that it compares."""
        each_us = self._exact_ns / 1e3 if plan.predicted_us is None else plan.predicted_us
        return each_us, float(plan.parameters.get("candidates", self._members))

    def plan(self, recall: float | None, k: int = PLANNED_K, threads: int = 1) -> Plan:
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


def are_many(late: int, built: int) -> bool:
    """Whether an engine should be built again for rows that came after these."""
    return late > max(_FEW_LATE, built // _LATE_SHARE)
