"""What an index will do, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lookalike.metrics import Metric

__all__ = ["Plan", "plan_exact", "plan_tables"]


@dataclass(frozen=True, slots=True)
class Plan:
    """The engine chosen, its parameters, and what it promises.

    Attributes
    ----------
    engine : str
        ``"exact"`` or ``"tables"``.
    metric : str
    stored_as : str
        How the vectors are stored, and what they were converted from.
    parameters : mapping of str to int
        Of the engine.
    promise : str
        In words, with what a chance is taken over.
    reason : str
        Why this engine.
    """

    engine: str
    metric: str
    stored_as: str
    parameters: Mapping[str, int] = field(default_factory=dict)
    promise: str = ""
    reason: str = ""

    def __str__(self) -> str:
        settings = "".join(f", {name}={value}" for name, value in self.parameters.items())
        return (
            f"{self.engine} ({self.metric}{settings}); {self.stored_as}; "
            f"{self.promise}; {self.reason}"
        )


def plan_exact(metric: Metric, stored_as: str) -> Plan:
    """Compare with every vector: the plan of every index without ``bits`` and ``tables``."""
    return Plan(
        engine="exact",
        metric=metric.name,
        stored_as=stored_as,
        promise="recall 1",
        reason="no bits and tables were given, and exact search keeps any recall",
    )


def plan_tables(metric: Metric, stored_as: str, bits: int, tables: int) -> Plan:
    """Hash tables as the user asked for them: no recall is promised."""
    return Plan(
        engine="tables",
        metric=metric.name,
        stored_as=stored_as,
        parameters={"bits": bits, "tables": tables},
        promise="a neighbour is found with chance 1 - (1 - p^bits)^tables, where p is the chance "
        "that one bit agrees, over the draw of the hash functions",
        reason="bits and tables were given",
    )
