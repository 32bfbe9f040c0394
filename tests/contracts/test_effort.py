"""Efforts by region, and wide ones for unusual queries, at every CPU level."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from lookalike.engines.cells import CellsEngine, CellTables
from lookalike.engines.effort import Effort, Regions, Sightings
from lookalike.engines.projection import learn_components
from lookalike.engines.rows import Rows
from lookalike.native import Measure

Queries = npt.NDArray[np.generic]
MEASURES = [Measure.squared_differences, Measure.float_squares, Measure.float_angles]


def rows_of(measure: Measure, count: int, seed: int) -> Rows:
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(20, 40)) * 2
    vectors = centres[random.integers(0, 20, count)] + random.normal(size=(count, 40))
    rows = Rows(40, measure)
    if rows.are_floats:
        rows.append(vectors.astype(np.float32))
    else:
        rows.append(np.clip(vectors * 20 + 128, 0, 255).astype(np.uint8))
    return rows


@pytest.fixture(params=MEASURES, ids=lambda measure: measure.name)
def measure(request: pytest.FixtureRequest) -> Measure:
    measure: Measure = request.param
    return measure


@pytest.fixture
def tables(measure: Measure) -> CellTables:
    rows = rows_of(measure, 4000, seed=1)
    return CellTables.learn(rows, learn_components(rows, 24, seed=0), 24, seed=0)


@pytest.fixture
def queries(measure: Measure) -> Queries:
    return np.ascontiguousarray(rows_of(measure, 40, seed=2).vectors)


def seen_of(tables: CellTables, queries: Queries) -> Sightings:
    nobody = np.full((len(queries), 1), -1)
    return tables.ranks(queries, nobody, nobody[:, 0], 1).seen


def test_a_query_gets_the_effort_of_its_region(
    cpu_level: str, tables: CellTables, queries: Queries
) -> None:
    count = len(tables.regions)
    assert count > 4
    each = np.stack([2 + np.arange(count), 20 + 3 * np.arange(count)], axis=1)
    engine = CellsEngine(tables, Effort(tables.regions, each))
    met = set()
    for query, cell in zip(queries, seen_of(tables, queries).cells, strict=True):
        region = tables.regions.of_cell[cell]
        met.add(int(region))
        alone = CellsEngine(tables, Effort.everywhere(tables.cells, *each[region].tolist()))
        assert (engine.candidates(query, 1)[1] == alone.candidates(query, 1)[1]).all()
        for a, b in zip(
            engine.nearest(query, None, 5, 1), alone.nearest(query, None, 5, 1), strict=True
        ):
            assert (a == b).all()
    assert len(met) > 3


def test_unusual_signs_widen_the_search(
    cpu_level: str, tables: CellTables, queries: Queries
) -> None:
    seen = seen_of(tables, queries)
    usual = np.quantile(seen.signs, [0.2, 0.8], axis=0).T.astype(np.float32)
    count = len(tables.regions)
    narrow, wide = np.tile([[20, 20]], (count, 1)), np.tile([[40, 60]], (count, 1))
    effort = Effort(tables.regions, narrow, wide, usual)
    unusual = (seen.signs < usual[:, 0]) | (seen.signs > usual[:, 1])
    outside = np.asarray(unusual.any(axis=1))
    assert 10 < outside.sum() < 30
    assert (effort.widens(seen) == outside).all()
    assert (effort.counts(seen) == np.where(outside[:, None], [40, 60], [20, 20])).all()
    engine, widened = CellsEngine(tables, effort), np.zeros(len(queries), np.uint8)
    engine.nearest(queries, len(queries), 5, 2, None, widened)
    assert (widened == outside).all()
    for query, far in zip(queries, outside, strict=True):
        one = engine.nearest_of_one(query, 5)
        assert one is not None
        assert one[2] == far
        same = CellsEngine(
            tables, Effort.everywhere(tables.cells, *((40, 60) if far else (20, 20)))
        )
        assert (engine.candidates(query, 1)[1] == same.candidates(query, 1)[1]).all()


def test_signs_are_distances_from_the_centroid_and_from_the_projection(
    cpu_level: str, measure: Measure, tables: CellTables
) -> None:
    rows = rows_of(measure, 40, seed=2)
    vectors = tables.projection(rows, 1)
    cells = tables.sketches.cells
    centroids = np.asarray(cells.codes).reshape(len(cells), -1) * np.asarray(cells.steps)
    y = vectors.y[:, : centroids.shape[1]].astype(np.float64)
    squares = ((y[:, None] - centroids[None]) ** 2).sum(axis=2)
    signs = seen_of(tables, np.ascontiguousarray(rows.vectors)).signs
    np.testing.assert_allclose(signs[:, 0], squares.min(axis=1), rtol=1e-3)
    # The mean of bytes is rounded for this: by half a level at most in each of 40 values.
    slack = 2 * np.sqrt(vectors.tails.max()) * np.sqrt(10.0) + 10 if not rows.are_floats else 1e-3
    np.testing.assert_allclose(signs[:, 1], vectors.tails, rtol=1e-2, atol=slack)


def test_k_rows_are_found_however_small_the_effort(
    cpu_level: str, tables: CellTables, queries: Queries
) -> None:
    engine = CellsEngine(tables, Effort.everywhere(tables.cells, 1, 1))
    slots, distances = engine.nearest(queries, len(queries), 300, 1)
    assert (slots >= 0).all()
    assert np.isfinite(distances).all()
    few = np.zeros(4000, np.uint8)
    few[[5, 70, 900]] = 1
    for query in queries:
        assert sorted(engine.nearest(query, None, 3, 1, few)[0].tolist()) == [5, 70, 900]
        assert (engine.nearest(query, None, 5, 1, few)[0][3:] == -1).all()


def test_regions_are_learned_once_and_leave_no_number_out(tables: CellTables) -> None:
    cells = tables.sketches.cells
    regions = Regions.learn(cells, seed=0)
    assert (regions.of_cell == tables.regions.of_cell).all()
    assert regions.of_cell.shape == (len(cells),)
    assert len(np.unique(regions.of_cell)) == len(regions) <= 16


def test_the_core_refuses_efforts_that_do_not_fit(tables: CellTables, queries: Queries) -> None:
    query = queries[0]
    other = Effort.everywhere(tables.cells + 1, 3, 3)
    with pytest.raises(ValueError, match="other cells"):
        CellsEngine(tables, other).nearest(query, None, 3, 1)
    with pytest.raises(ValueError, match="needs probes"):
        Effort.everywhere(tables.cells, 0, 3)
    with pytest.raises(ValueError, match="no such region"):
        Effort(Regions(np.ones(tables.cells, np.uint8)), [[3, 3]])
    with pytest.raises(ValueError, match="results need"):
        CellsEngine(tables, Effort.everywhere(tables.cells, 3, 3)).nearest(
            query[None], 1, 3, 1, None, np.zeros(2, np.uint8)
        )
