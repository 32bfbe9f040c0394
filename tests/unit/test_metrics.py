"""Metrics: names, and the kernels behind them."""

from __future__ import annotations

from typing import Any

import pytest

from lookalike.errors import InvalidInput, NotSupported
from lookalike.metrics import METRICS, metric_named
from lookalike.native import Measure


def test_each_metric_has_the_kernel_that_its_formula_says() -> None:
    assert metric_named("l1").measure is Measure.absolute_differences
    assert metric_named("hamming").measure is Measure.differing_bits


def test_each_metric_is_listed_under_its_own_name() -> None:
    assert [metric.name for metric in METRICS.values()] == list(METRICS) == ["l1", "hamming"]


@pytest.mark.parametrize("name", ["l2", "cosine"])
def test_a_planned_metric_is_not_supported(name: str) -> None:
    with pytest.raises(NotSupported, match=f"'l1' or 'hamming'.*; got '{name}', which is planned"):
        metric_named(name)


@pytest.mark.parametrize("name", ["L1", "", " l1", None, 1, ["l1"], {}])
def test_any_other_name_is_invalid(name: Any) -> None:
    with pytest.raises(InvalidInput, match="metric must be 'l1' or 'hamming'; got"):
        metric_named(name)
