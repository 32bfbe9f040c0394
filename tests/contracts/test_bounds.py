"""Bounds lose nothing: with them or without, the same rows at the same distances."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from lookalike.engines.exact import ExactEngine
from lookalike.engines.rows import Rows
from lookalike.native import Measure

Array = npt.NDArray[np.float64]

MEASURES = [
    Measure.absolute_differences,
    Measure.squared_differences,
    Measure.float_squares,
    Measure.float_angles,
]


def low_rank(random: np.random.Generator, count: int, width: int) -> Array:
    """Vectors that differ in a few directions only, as pictures do."""
    directions = random.normal(size=(max(1, width // 8), width))
    return np.asarray(random.normal(size=(count, len(directions))) @ directions)


def data(kind: str, width: int) -> Array:
    random = np.random.default_rng(width)
    vectors = low_rank(random, 600, width)
    if kind == "noise":
        return random.normal(size=(600, width))
    if kind == "clusters":
        return np.asarray(vectors[np.arange(600) % 7] + 0.01 * random.normal(size=(600, width)))
    if kind == "duplicates":
        return vectors[np.arange(600) % 50]
    if kind == "outlier":
        vectors[300] *= 1e4
    if kind == "offset":
        return vectors + 1000.0
    return vectors


def rows_of(vectors: Array, measure: Measure) -> Rows:
    rows = Rows(vectors.shape[1], measure)
    if rows.are_floats:
        rows.append(np.ascontiguousarray(vectors, np.float32))
        return rows
    low, high = vectors.min(), vectors.max()
    rows.append(np.rint((vectors - low) * (255 / max(high - low, 1e-9))).astype(np.uint8))
    return rows


@pytest.mark.parametrize(
    "kind", ["low rank", "noise", "clusters", "duplicates", "outlier", "offset"]
)
@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("width", [2, 17, 64, 200])
def test_bounds_change_no_answer(cpu_level: str, measure: Measure, width: int, kind: str) -> None:
    rows = rows_of(data(kind, width), measure)
    plain, bounded = ExactEngine(rows, bounding=False), ExactEngine(rows, bounding=True)
    assert bounded.bounding
    queries = np.ascontiguousarray(rows.vectors[::60])
    for k in (1, 10, 700):
        expected = plain.nearest(queries, len(queries), k, 1)
        found = bounded.nearest(queries, len(queries), k, 1)
        assert (found[0] == expected[0]).all()
        assert (found[1] == expected[1]).all()
    radius = float(expected[1][0, 100])
    for one, other in zip(
        plain.within(queries, radius, 1), bounded.within(queries, radius, 2), strict=True
    ):
        assert (one == other).all()


@pytest.mark.parametrize("far", [1e2, 1e4, 1e6])
def test_queries_far_outside_of_the_data_are_answered_exactly(cpu_level: str, far: float) -> None:
    rows = rows_of(data("low rank", 64), Measure.float_squares)
    queries = np.ascontiguousarray(rows.vectors[:20] * np.float32(far))
    plain, bounded = ExactEngine(rows, bounding=False), ExactEngine(rows, bounding=True)
    expected = plain.nearest(queries, 20, 10, 1)
    found = bounded.nearest(queries, 20, 10, 1)
    assert (found[0] == expected[0]).all()
    assert (found[1] == expected[1]).all()


def test_rows_that_do_not_differ_have_no_projection() -> None:
    rows = rows_of(np.ones((500, 40)), Measure.float_squares)
    assert not ExactEngine(rows, bounding=True).bounding


def test_bounds_spare_most_comparisons_where_the_data_allow_it() -> None:
    rows = rows_of(low_rank(np.random.default_rng(1), 5000, 256), Measure.float_squares)
    scan = ExactEngine(rows, bounding=True).scan
    queries = np.ascontiguousarray(rows.vectors[:20])
    compared = scan.nearest(queries, 10, 1, np.empty((20, 10), np.int64), np.empty((20, 10)))
    assert compared < 20 * 5000 / 5
