"""Metrics: names, and the kernels behind them."""

from __future__ import annotations

from typing import Any

import pytest

from lookalike.errors import InvalidInput
from lookalike.metrics import METRICS, metric_named
from lookalike.native import Measure


def test_each_metric_has_the_kernels_that_its_formula_says() -> None:
    kernels = {name: (metric.of_bytes, metric.of_floats) for name, metric in METRICS.items()}
    assert kernels == {
        "l1": (Measure.absolute_differences, Measure.float_absolutes),
        "l2": (Measure.squared_differences, Measure.float_squares),
        "cosine": (None, Measure.float_angles),
        "hamming": (Measure.differing_bits, None),
    }


def test_each_metric_is_found_by_its_own_name() -> None:
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric_named(name) is metric


@pytest.mark.parametrize("name", ["L1", "", " l1", None, 1, ["l1"], {}])
def test_any_other_name_is_invalid(name: Any) -> None:
    with pytest.raises(InvalidInput, match="metric must be one of 'l1', 'l2', 'cosine', 'hamming'"):
        metric_named(name)
