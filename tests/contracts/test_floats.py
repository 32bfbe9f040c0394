"""Float kernels at every CPU level against float64: the answer is exact, not nearly so."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from lookalike.engines.exact import ExactEngine
from lookalike.engines.rows import Rows
from lookalike.native import Measure

Floats = npt.NDArray[np.float32]

MEASURES = [Measure.float_absolutes, Measure.float_squares, Measure.float_angles]
COUNTS = [1, 3, 15, 16, 17, 97, 300]


def rows_of(vectors: Floats, measure: Measure, scale: float = 1.0) -> Rows:
    rows = Rows(vectors.shape[1], measure, scale=scale)
    rows.append(vectors)
    return rows


def normal(count: int, width: int, seed: int) -> Floats:
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


def distances_of(measure: Measure, vectors: Floats, queries: Floats) -> npt.NDArray[np.float64]:
    x, q = vectors.astype(np.float64)[None], queries.astype(np.float64)[:, None]
    if measure == Measure.float_absolutes:
        return np.asarray(np.abs(x - q).sum(axis=2))
    if measure == Measure.float_squares:
        return np.asarray(np.sqrt(((x - q) ** 2).sum(axis=2)))
    lengths = np.sqrt((x**2).sum(axis=2) * (q**2).sum(axis=2))
    return np.asarray(1.0 - (x * q).sum(axis=2) / lengths)


WIDTHS = [1, 3, 15, 16, 17, 63, 64, 65, 784]
# Numbers have two directions only: under angles, everything of width 1 ties.
SHAPES = [(m, w) for m in MEASURES for w in WIDTHS if m != Measure.float_angles or w > 1]


@pytest.mark.parametrize(("measure", "width"), SHAPES)
def test_nearest_equals_float64_at_every_level(
    cpu_level: str, measure: Measure, width: int
) -> None:
    queries = normal(3, width, seed=1)
    for count in COUNTS:
        vectors = normal(count, width, seed=count + 10)
        engine = ExactEngine(rows_of(vectors, measure))
        exact = distances_of(measure, vectors, queries)
        for k in (1, 5, count + 3):
            slots, distances = engine.nearest(queries, 3, k, 1)
            found = min(k, count)
            order = np.argsort(exact, axis=1, kind="stable")[:, :found]
            assert (slots[:, :found] == order).all()
            assert (slots[:, found:] == -1).all()
            wanted = np.take_along_axis(exact, order, axis=1)
            np.testing.assert_allclose(distances[:, :found], wanted, rtol=1e-12, atol=1e-13)
            one = engine.nearest_of_one(queries[0], k)
            assert one is not None
            assert (one[0] == slots[0]).all()
            assert (one[1] == distances[0]).all()


@pytest.mark.parametrize("measure", MEASURES)
def test_levels_and_threads_give_the_same_bytes(cpu_level: str, measure: Measure) -> None:
    vectors, queries = normal(5000, 50, seed=2), normal(20, 50, seed=3)
    engine = ExactEngine(rows_of(vectors, measure))
    slots, distances = engine.nearest(queries, 20, 10, 1)
    expected = np.argsort(distances_of(measure, vectors, queries), axis=1)[:, :10]
    assert (slots == expected).all()
    for threads in (2, 7):
        again = engine.nearest(queries, 20, 10, threads)
        assert (again[0] == slots).all()
        assert (again[1] == distances).all()


@pytest.mark.parametrize("measure", MEASURES)
def test_neighbours_that_float32_cannot_tell_apart_are_ordered_by_float64(
    cpu_level: str, measure: Measure
) -> None:
    # 400 vectors at distances that differ by 1e-9 of themselves: their float32 sums tie.
    random = np.random.default_rng(4)
    base = random.normal(size=40) * 100
    vectors = (base + random.normal(size=(400, 40)) * 1e-5).astype(np.float32)
    query = (base + 1000 * np.eye(40)[0]).astype(np.float32)[None]
    engine = ExactEngine(rows_of(vectors, measure))
    slots, _ = engine.nearest(query, 1, 7, 1)
    exact = distances_of(measure, vectors, query)[0]
    assert np.unique(exact.astype(np.float32)).size < 40
    limit = np.sort(exact)[6]
    np.testing.assert_array_less(exact[slots[0]], limit + 1e-14 * (1 + abs(limit)))


@pytest.mark.parametrize("measure", MEASURES)
def test_within_includes_the_boundary(cpu_level: str, measure: Measure) -> None:
    vectors, queries = normal(700, 33, seed=5), normal(4, 33, seed=6)
    engine = ExactEngine(rows_of(vectors, measure))
    slots, distances = engine.nearest(queries, 4, 700, 1)
    for q in range(4):
        for place in (0, 10, 699):
            radius = float(distances[q, place])
            found = engine.within(queries[q], radius, 1)
            assert (found.slots == slots[q, : place + 1]).all()
            less = engine.within(queries[q], float(np.nextafter(radius, -1.0)), 1)
            assert (less.slots == slots[q, :place]).all()


@pytest.mark.parametrize("measure", [Measure.float_absolutes, Measure.float_squares])
def test_a_scale_changes_nothing_but_what_float32_can_square(
    cpu_level: str, measure: Measure
) -> None:
    vectors, queries = normal(500, 20, seed=7), normal(5, 20, seed=8)
    plain = ExactEngine(rows_of(vectors, measure)).nearest(queries, 5, 10, 1)
    small = np.float32(2.0**-100)
    rows = rows_of(vectors * small, measure, scale=2.0**100)
    scaled = ExactEngine(rows).nearest(queries * small, 5, 10, 1)
    assert (scaled[0] == plain[0]).all()
    assert (scaled[1] == plain[1] * 2.0**-100).all()
    assert (rows.vectors == vectors * small).all()


@pytest.mark.parametrize("measure", MEASURES)
def test_what_cannot_be_a_row_is_refused_and_nothing_is_added(measure: Measure) -> None:
    rows = rows_of(normal(3, 4, seed=9), measure)
    bad = [np.full((1, 4), value, np.float32) for value in (np.nan, np.inf, -np.inf, 2e38)]
    if measure == Measure.float_angles:
        bad.append(np.zeros((1, 4), np.float32))
    for items in bad:
        with pytest.raises(ValueError, match="finite"):
            rows.append(items)
    assert len(rows) == 3
