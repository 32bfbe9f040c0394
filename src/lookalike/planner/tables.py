"""The planner of classic LSH: hash tables as the user asked for them."""

from __future__ import annotations

from lookalike.engines.engine import Engine, Mask
from lookalike.engines.rows import Rows
from lookalike.engines.tables import TablesEngine
from lookalike.hashing.family import HashFunctions
from lookalike.metrics import Metric
from lookalike.planner.planner import PLANNED_K, Plan, Planner
from lookalike.store.named import Arrays, Stored

__all__ = ["TablesPlanner"]


class TablesPlanner(Planner):
    """Hash tables as the user asked for them: no recall is promised.

    Parameters
    ----------
    rows, metric, stored_as
        As above.
    functions : HashFunctions
    probes : int
        Buckets looked at in each table.
    threads : int
        To build with.
    bucket_width : float or None
        What the functions were drawn for, where they have one.
    stored : mapping, optional
        The arrays of such tables of the same rows.
    """

    def __init__(
        self,
        rows: Rows,
        metric: Metric,
        stored_as: str,
        functions: HashFunctions,
        probes: int,
        threads: int,
        bucket_width: float | None = None,
        stored: Arrays | None = None,
    ) -> None:
        intervals = (
            "" if bucket_width is None else f"; intervals of lines are {bucket_width:g} long"
        )
        super().__init__(rows, metric, stored_as, "bits and tables were given" + intervals)
        self._functions = functions
        self._probes = probes
        self._bucket_width = bucket_width
        self._tables = TablesEngine(rows, functions, threads, probes, stored)

    def check(self) -> list[str]:
        return self._tables.check(self._rows)

    def stored(self) -> Stored:
        facts, arrays = super().stored()
        return Stored(
            {**facts, "planner": "tables", "interval": self._bucket_width},
            {**arrays, **self._tables.arrays()},
        )

    def _follow(self, rows: Rows, present: Mask | None, threads: int) -> None:
        if len(rows) > len(self._rows):
            self._tables = TablesEngine(rows, self._functions, threads, self._probes)
        super()._follow(rows, present, threads)

    @property
    def size_bytes(self) -> int:
        return super().size_bytes + self._tables.size_bytes

    def engine(self, k: int, recall: float | None, threads: int = 1) -> Engine:
        return self._tables

    def plan(self, recall: float | None, k: int = PLANNED_K, threads: int = 1) -> Plan:
        return Plan(
            engine="tables",
            metric=self._metric.name,
            stored_as=self._stored_as,
            parameters=self._parameters,
            promise="a neighbour is found with chance 1 - (1 - p^bits)^tables, where p is the "
            "chance that one bit agrees, over the draw of the hash functions"
            + (", and more with several probes" if self._probes > 1 else ""),
            reason=self._reason,
        )

    @property
    def _parameters(self) -> dict[str, int]:
        parameters = {"bits": self._functions.bits, "tables": self._functions.tables}
        return parameters if self._probes == 1 else {**parameters, "probes": self._probes}
