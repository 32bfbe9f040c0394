"""Plans: what they say."""

from __future__ import annotations

import dataclasses

import pytest

from lookalike.metrics import METRICS
from lookalike.planner import plan_exact, plan_tables


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
def test_an_exact_plan_promises_everything(metric: object) -> None:
    plan = plan_exact(metric, "uint8")  # type: ignore[arg-type]
    assert plan.engine == "exact"
    assert plan.parameters == {}
    assert plan.promise == "recall 1"
    assert str(plan) == (
        f"exact ({plan.metric}); uint8; recall 1; no bits and tables were given, and exact "
        "search keeps any recall"
    )


def test_a_plan_of_tables_names_its_settings_and_what_the_chance_is_over() -> None:
    plan = plan_tables(METRICS["hamming"], "packed bits", 12, 7)
    assert plan.engine == "tables"
    assert plan.metric == "hamming"
    assert str(plan).startswith("tables (hamming, bits=12, tables=7); packed bits; ")
    assert str(plan).endswith("; bits and tables were given")
    assert "1 - (1 - p^bits)^tables" in plan.promise
    assert "over the draw of the hash functions" in plan.promise
    assert "recall 1" not in str(plan)


def test_a_plan_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        plan_exact(METRICS["l1"], "uint8").engine = "tables"  # type: ignore[misc]
