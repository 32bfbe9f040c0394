"""Errors, results, seeds, metrics, plans and levels: small cases by hand."""

from __future__ import annotations

import numpy as np
import pytest

import lookalike
from lookalike import arrays, errors
from lookalike.errors import InvalidInput, LookalikeError, MissingExtra
from lookalike.metrics import METRICS, metric_named
from lookalike.results import Explanation, Neighbors, Ranges, Step
from lookalike.seeds import Purpose, integers_below, resolve_seed


def test_every_error_is_ours_and_has_a_builtin_parent() -> None:
    for name in errors.__all__:
        error = getattr(errors, name)
        assert issubclass(error, LookalikeError)
        if error is not LookalikeError:
            assert any(base.__module__ == "builtins" for base in error.__bases__)
            assert name in (errors.__doc__ or "")


def test_a_missing_extra_names_what_to_install() -> None:
    assert str(MissingExtra("a thing", "somepackage", "lab")) == (
        "a thing needs somepackage, which is not installed; "
        "install it with: pip install 'lookalike[lab]'"
    )


def test_neighbors_iterate_over_what_was_found() -> None:
    hits = Neighbors(np.array([4, 2, -1]), np.array([0.0, 1.5, np.inf]))
    assert list(hits) == [(4, 0.0), (2, 1.5)]
    assert len(hits) == 3
    assert repr(hits) == "Neighbors(4: 0, 2: 1.5, -1: inf)"
    with pytest.raises(TypeError, match="one query"):
        hits[0]


def test_neighbors_of_a_batch_iterate_over_queries() -> None:
    hits = Neighbors(np.array([[1, 2], [3, -1]]), np.array([[0.0, 1.0], [2.0, np.inf]]))
    assert [list(one) for one in hits] == [[(1, 0.0), (2, 1.0)], [(3, 2.0)]]
    assert repr(hits) == "Neighbors(2 queries, k=2)"
    assert hits[1].ids.tolist() == [3, -1]


def test_ranges_are_cut_by_their_offsets() -> None:
    found = Ranges(np.array([5, 6, 7]), np.array([0.0, 1.0, 4.0]), np.array([0, 2, 2, 3]))
    assert [list(one) for one in found] == [[(5, 0.0), (6, 1.0)], [], [(7, 4.0)]]
    assert found[-1].ids.tolist() == [7]
    assert repr(found) == "Ranges(3 queries, 3 found)"
    assert repr(found[0]) == "Ranges(5: 0, 6: 1)"
    assert list(found[0]) == [(5, 0.0), (6, 1.0)]
    with pytest.raises(IndexError):
        found[3]
    with pytest.raises(TypeError, match="one query"):
        found[0][0]


def test_a_long_result_is_shown_shortened() -> None:
    assert repr(Ranges(np.arange(9), np.zeros(9))).endswith("... 4 more)")


def test_an_explanation_reads_as_a_table() -> None:
    hits = Neighbors(np.array([1, -1]), np.array([2.0, np.inf]))
    told = Explanation("the plan", 1234, (Step("verify", "compare", 1, 2.34),), hits)
    assert str(told).splitlines() == [
        "plan: the plan",
        "1,234 vectors",
        "  step    vectors left  microseconds",
        "  verify             1           2.3  compare",
    ]
    assert told.to_dict()["distances"] == [2.0, None]


def test_seeds_are_kept_or_drawn() -> None:
    assert resolve_seed(7) == 7
    assert resolve_seed(np.int64(7)) == 7  # type: ignore[arg-type]
    assert resolve_seed(2**128 - 1) == 2**128 - 1
    assert 0 <= resolve_seed(None) < 2**128
    for wrong in (-1, 2**128, 1.0, "1", True):
        with pytest.raises(InvalidInput, match="seed must be a whole number"):
            resolve_seed(wrong)  # type: ignore[arg-type]


def test_drawn_numbers_stay_below_the_limit() -> None:
    drawn = integers_below(3, 3000, seed=1, purpose=Purpose.BIT_SAMPLING)
    assert set(drawn.tolist()) == {0, 1, 2}
    assert integers_below(1, 5, seed=1, purpose=Purpose.BIT_SAMPLING).tolist() == [0] * 5
    more = integers_below(3, 4000, seed=1, purpose=Purpose.BIT_SAMPLING)
    assert (more[:3000] == drawn).all()


def test_metrics_say_what_they_are() -> None:
    for name, metric in METRICS.items():
        assert metric_named(name) is metric
        assert metric.name == name
        assert metric.definition
        assert metric.unit


def test_levels_are_told_from_slow_to_fast() -> None:
    levels = lookalike.cpu_levels()
    assert next(iter(levels)) == "scalar"
    assert levels["scalar"]
    assert levels[lookalike.cpu_level()]


def test_a_level_is_used_once_it_is_set() -> None:
    before = lookalike.cpu_level()
    try:
        lookalike.set_cpu_level("scalar")
        assert lookalike.cpu_level() == "scalar"
    finally:
        lookalike.set_cpu_level(before)


@pytest.mark.parametrize(
    ("shape", "item", "count"),
    [
        ((8, 8), (8, 8), None),
        ((64,), (8, 8), None),
        ((3, 8, 8), (8, 8), 3),
        ((3, 64), (8, 8), 3),
        ((0, 64), (8, 8), 0),
        ((5,), (5,), None),
        ((1, 5), (5,), 1),
        ((5, 5), (5,), 5),
    ],
)
def test_one_item_and_a_batch_are_told_apart_by_shape(
    shape: tuple[int, ...], item: tuple[int, ...], count: int | None
) -> None:
    assert arrays.count_of(shape, item, "query") == count


def test_whole_bytes_keep_every_value() -> None:
    values = np.arange(256)
    for dtype in (np.uint8, np.int16, np.uint64, np.float32, np.float64):
        assert (arrays.whole_bytes(values.astype(dtype), 255, "x") == values).all()
    assert arrays.whole_bytes(np.array([True, False]), 255, "x").tolist() == [1, 0]
