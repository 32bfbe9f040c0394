"""Projection, cells and sketch: each part against plain NumPy, at every CPU level."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

import lookalike
from lookalike import native
from lookalike.engines.cells import CellsEngine, CellTables
from lookalike.engines.effort import Effort
from lookalike.engines.exact import ExactEngine
from lookalike.engines.projection import Projection, learn_components
from lookalike.engines.rows import Rows
from lookalike.native import Measure

NO_ROW = 2**32 - 1
MEASURES = [
    Measure.absolute_differences,
    Measure.squared_differences,
    Measure.float_absolutes,
    Measure.float_squares,
    Measure.float_angles,
]


def rows_of(measure: Measure, count: int, width: int, seed: int = 0) -> Rows:
    random = np.random.default_rng(seed)
    centres = random.normal(size=(20, width)) * 2
    vectors = centres[random.integers(0, 20, count)] + random.normal(size=(count, width))
    rows = Rows(width, measure)
    if rows.are_floats:
        rows.append(vectors.astype(np.float32))
    else:
        rows.append(np.clip(vectors * 20 + 128, 0, 255).astype(np.uint8))
    return rows


def tables_of(rows: Rows, dimensions: int | None = None, threads: int = 1) -> CellTables:
    components = learn_components(rows, 256, seed=0)
    wanted = dimensions or -(-len(components) // 8) * 8
    return CellTables.learn(rows, components, wanted, seed=0, threads=threads)


def engine_of(tables: CellTables, probes: int, candidates: int) -> CellsEngine:
    return CellsEngine(tables, Effort.everywhere(tables.cells, probes, candidates))


def queries_of(rows: Rows) -> npt.NDArray[np.generic]:
    return np.ascontiguousarray(rows_of(rows.measure, 30, rows.width, seed=9).vectors)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("width", [2, 3, 63, 65, 200])
def test_with_all_effort_cells_answer_like_exact_search(
    cpu_level: str, measure: Measure, width: int
) -> None:
    rows = rows_of(measure, 700, width)
    tables = tables_of(rows)
    exact = ExactEngine(rows, bounding=False)
    engine = engine_of(tables, tables.cells, 700)
    queries = queries_of(rows)
    for k in (1, 10, 800):
        expected = exact.nearest(queries, 30, k, 1)
        found = engine.nearest(queries, 30, k, 2)
        assert (found[0] == expected[0]).all()
        assert (found[1] == expected[1]).all()
    radius = float(expected[1][0, 20])
    for mine, whole in zip(
        engine.within(queries, radius, 2), exact.within(queries, radius, 1), strict=True
    ):
        assert (mine == whole).all()
    one = engine.nearest_of_one(queries[3], 10)
    assert one is not None
    assert (one[0] == exact.nearest(queries, 30, 10, 1)[0][3]).all()


def test_a_batch_of_any_size_answers_each_query_as_if_it_were_alone(cpu_level: str) -> None:
    rows = rows_of(Measure.squared_differences, 2000, 24)
    engine = engine_of(tables_of(rows), 3, 20)
    more_than_are_sorted = rows_of(rows.measure, 8300, 24, seed=9).vectors
    many = np.ascontiguousarray(more_than_are_sorted)
    for threads in (1, 2):
        slots, distances = engine.nearest(many, len(many), 5, threads)
        for q in (*range(0, len(many), 97), 8191, 8192, 8299):
            alone = engine.nearest_of_one(many[q], 5)
            assert alone is not None
            assert (slots[q] == alone[0]).all()
            assert (distances[q] == alone[1]).all()


@pytest.mark.parametrize("measure", MEASURES)
def test_removed_rows_are_not_found_and_added_ones_are(cpu_level: str, measure: Measure) -> None:
    rows = rows_of(measure, 900, 40)
    allowed = (np.arange(900) % 3 != 0).astype(np.uint8)
    exact = ExactEngine(rows, bounding=False)
    queries = queries_of(rows)
    expected = exact.nearest(queries, 30, 10, 1, allowed)
    masked = tables_of(rows)
    grown = tables_of(rows.view(0, 700)).extended(rows, allowed[:700], threads=2)
    for tables in (masked, grown):
        engine = engine_of(tables, tables.cells, 900)
        found = engine.nearest(queries, 30, 10, 2, allowed)
        assert (found[0] == expected[0]).all()
        assert (found[1] == expected[1]).all()
        ranks = tables.ranks(queries, expected[0], np.full(30, -1), 1, allowed)
        assert (ranks[1] <= allowed.sum()).all()
        few = engine_of(tables, 12, 20).candidates(queries[0], 1, allowed)[1]
        assert 20 <= len(few) <= 21  # rows that are not allowed take no place
        assert allowed[few].all()


@pytest.mark.parametrize("measure", MEASURES)
def test_extended_blocks_are_those_of_all_rows_at_once(cpu_level: str, measure: Measure) -> None:
    rows = rows_of(measure, 1500, 40)
    first = tables_of(rows.view(0, 1000))
    grown = first.extended(rows, np.ones(1000, np.uint8), threads=1)
    steps = first
    for count in (1001, 1020, 1500):
        steps = steps.extended(rows.view(0, count), np.ones(steps.count, np.uint8), threads=1)
    assert (steps.sketches.rows == grown.sketches.rows).all()
    assert (steps.sketches.blocks == grown.sketches.blocks).all()
    places = grown.sketches.rows
    assert sorted(places[places != NO_ROW].tolist()) == list(range(1500))
    codes, norms = decoded(grown)
    old_codes, old_norms = decoded(first)
    place = np.argsort(np.where(places == NO_ROW, 10**6, places), kind="stable")[:1000]
    old = np.argsort(first.sketches.rows, kind="stable")[:1000]
    assert (codes[place] == old_codes[old]).all()
    assert (norms[place] == old_norms[old]).all()
    assert ((norms == 2**30 + 2**28) == (places == NO_ROW)).all()


def test_a_row_that_is_in_no_cell_has_no_rank() -> None:
    rows = rows_of(Measure.float_squares, 600, 20)
    kept = np.ones(600, np.uint8)
    kept[5] = 0
    tables = tables_of(rows).extended(rows, kept, threads=1)
    ranks = tables.ranks(queries_of(rows)[:1], np.array([[5]]), np.array([5]), 1)
    assert ranks[0][0, 0] == ranks[1][0, 0] == NO_ROW


@pytest.mark.parametrize("measure", [Measure.squared_differences, Measure.float_squares])
def test_a_search_verifies_as_many_rows_as_it_was_told(cpu_level: str, measure: Measure) -> None:
    rows = rows_of(measure, 3000, 40)
    exact = ExactEngine(rows, bounding=False)
    engine = engine_of(tables_of(rows), 6, 40)
    for query in queries_of(rows):
        candidates = engine.candidates(query, 1)[1]
        assert 40 <= len(candidates) <= 41
        assert len(set(candidates.tolist())) == len(candidates)
        slots, _ = engine.nearest(query, None, 10, 1)
        distances = exact.nearest(query, None, 3000, 1)
        near = [slot for slot in distances[0] if slot in set(candidates)]
        assert (slots == near[:10]).all()


def test_rows_that_tie_do_not_make_a_search_verify_them_all(cpu_level: str) -> None:
    rows = Rows(16, Measure.squared_differences)
    vectors = np.zeros((2000, 16), np.uint8)
    vectors[1000:] = np.random.default_rng(1).integers(0, 256, (1000, 16))
    rows.append(vectors)
    tables = tables_of(rows)
    engine = engine_of(tables, tables.cells, 50)
    assert len(engine.candidates(vectors[0], 1)[1]) <= 51
    assert engine.nearest(vectors[0], None, 50, 1)[1].tolist() == [0.0] * 50


def decoded(tables: CellTables) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Codes and norms of every place, read from the blocks as sketch.h describes them."""
    dimensions = tables.projection.dimensions
    blocks = tables.sketches.blocks
    norms = blocks[:, :64].copy().view(np.int32).astype(np.int64)
    groups = blocks[:, 64:].reshape(len(blocks), dimensions // 8, 16, 4)
    low, high = (groups & 15).astype(np.int64) - 8, (groups >> 4).astype(np.int64) - 8
    codes = np.concatenate([low, high], axis=3)  # block, group, lane, dimension in group
    return codes.transpose(0, 2, 1, 3).reshape(-1, dimensions), norms.ravel()


@pytest.mark.parametrize("measure", MEASURES)
def test_every_row_is_in_one_place_and_padding_is_marked(measure: Measure) -> None:
    rows = rows_of(measure, 1500, 30)
    sketches = tables_of(rows).sketches
    places = sketches.rows
    assert sorted(places[places != NO_ROW].tolist()) == list(range(1500))
    assert sketches.sizes.sum() == 1500
    _, norms = decoded(tables_of(rows))
    assert ((norms == 2**30 + 2**28) == (places == NO_ROW)).all()


def test_codes_and_norms_follow_the_formulas(cpu_level: str) -> None:
    rows = rows_of(Measure.float_squares, 1500, 40)
    tables = tables_of(rows, dimensions=24)
    sketches, dimensions = tables.sketches, 24
    vectors = tables.projection(rows, 1)
    y = vectors.y[:, :dimensions].astype(np.float64)
    steps = sketches.cells.steps.astype(np.float64)
    centroids = sketches.cells.codes.reshape(-1, dimensions) * steps
    cell_of_place = np.repeat(np.arange(tables.cells), np.diff(sketches.starts) * 16)
    codes, norms = decoded(tables)
    unit = sketches.sketch.unit
    residual_steps = sketches.sketch.steps.astype(np.float64)
    for place in np.flatnonzero(sketches.rows != NO_ROW)[::7]:
        row, centroid = sketches.rows[place], centroids[cell_of_place[place]]
        residual = y[row] - centroid
        wanted = np.clip(np.rint(residual / residual_steps), -8, 7)
        assert np.abs(codes[place] - wanted).max() <= 1  # ties of float32 against float64
        assert (codes[place] == wanted).mean() > 0.9
        norm = residual @ residual + 2 * centroid @ (codes[place] * residual_steps)
        norm += 0.3 * vectors.tails[row]
        assert norms[place] == pytest.approx(norm / unit, abs=1.0)
        distances = ((y[row] - centroids) ** 2).sum(axis=1)
        assert distances[cell_of_place[place]] <= np.sort(distances)[1] + 1e-3


def test_rows_are_assigned_to_many_cells_by_few_distances(cpu_level: str) -> None:
    # 2,000 cells are more than are ranked at once: they are ranked in groups.
    random = np.random.default_rng(3)
    centres = random.normal(size=(2000, 16))
    near = centres[random.integers(0, 2000, 6000)] + 0.1 * random.normal(size=(6000, 16))
    y: npt.NDArray[np.float32] = np.concatenate([centres, near]).astype(np.float32)
    cells = native.learn_cells(y, 16, 2000, 1, 1e-3, 1)
    of_row = np.empty(len(y), np.uint32)
    compared = cells.assign(y, 1, of_row)
    assert compared < 1000 * len(y)
    centroids = cells.codes.reshape(2000, 16) * cells.steps
    squares = (centroids**2).sum(axis=1) - 2 * (y @ centroids.T)
    of_rows = squares[np.arange(len(y)), of_row]
    assert (of_rows <= squares.min(axis=1) + 1e-3).mean() > 0.95
    again = np.empty(len(y), np.uint32)
    assert cells.assign(y, 3, again) == compared
    assert (again == of_row).all()
    native_level = lookalike.cpu_level()
    lookalike.set_cpu_level("scalar")
    assert cells.assign(y, 1, again) == compared
    lookalike.set_cpu_level(native_level)
    assert (again == of_row).all()


def test_ranks_count_estimates_and_cells(cpu_level: str) -> None:
    rows = rows_of(Measure.float_squares, 1500, 40)
    tables = tables_of(rows, dimensions=24)
    sketches, dimensions = tables.sketches, 24
    queries = queries_of(rows)[:5]
    wanted = np.array([[0, 7, 1499, -1]] * 5)
    excluded = np.array([-1, 7, -1, 3, -1])
    wanted[1, 1] = 8
    cell_ranks, estimate_ranks, _ = tables.ranks(queries, wanted, excluded, threads=2)
    asked = Rows(40, Measure.float_squares)
    asked.append(queries)
    y = tables.projection(asked, 1).y
    steps = sketches.cells.steps
    centroids = sketches.cells.codes.reshape(-1, dimensions) * steps
    codes, norms = decoded(tables)
    cell_of_place = np.repeat(np.arange(tables.cells), np.diff(sketches.starts) * 16)
    place_of_row = {int(row): p for p, row in enumerate(sketches.rows) if row != NO_ROW}
    unit = np.float32(sketches.sketch.unit)
    for q in range(5):
        factors = (sketches.sketch.steps / unit).astype(np.float32)
        code = np.rint(np.clip(y[q, :dimensions] * factors, -127, 127)).astype(np.int64)
        exact = ((y[q, :dimensions].astype(np.float64) - centroids) ** 2).sum(axis=1)
        offsets = (exact - exact.min()) / unit
        estimates = norms + offsets[cell_of_place] - 2 * (codes @ code)
        real = sketches.rows != NO_ROW
        if excluded[q] >= 0:
            real[place_of_row[int(excluded[q])]] = False
        for i, row in enumerate(wanted[q]):
            if row < 0:
                assert (cell_ranks[q, i], estimate_ranks[q, i]) == (0, 0)
                continue
            own = estimates[place_of_row[int(row)]]
            # Offsets are rounded to whole units in the core: a little either way.
            fewest = int((estimates[real] <= own - 2).sum())
            most = int((estimates[real] <= own + 2).sum())
            assert fewest <= estimate_ranks[q, i] <= most
            assert 1 <= cell_ranks[q, i] <= tables.cells


def test_a_row_is_found_exactly_from_its_ranks_on(cpu_level: str) -> None:
    rows = rows_of(Measure.float_squares, 3000, 30)
    tables = tables_of(rows)
    queries = queries_of(rows)
    wanted = ExactEngine(rows).nearest(queries, 30, 5, 1)[0]
    nobody = np.full(30, -1)
    cells, estimates, _ = tables.ranks(queries, wanted, nobody, threads=1)
    missed = asked = 0
    for q, query in enumerate(queries):
        for row, cell, estimate in zip(wanted[q], cells[q], estimates[q], strict=True):
            enough = engine_of(tables, int(cell), int(estimate))
            assert row in enough.candidates(query, 1)[1]
            if cell > 1:
                fewer = engine_of(tables, int(cell) - 1, 3000)
                missed += row not in fewer.candidates(query, 1)[1]
                asked += 1
    assert missed > 0.9 * asked > 0  # a cell that ties may come in before its rank


@pytest.mark.parametrize("width", [1, 3, 50, 64, 65, 784])
def test_the_projection_of_bytes_is_a_sum_of_integers(cpu_level: str, width: int) -> None:
    rows = rows_of(Measure.squared_differences, 300, width)
    components = learn_components(rows, 64, seed=0)
    projection = Projection(components, 64, of_bytes=True)
    vectors = projection(rows, 1)
    basis = components.basis
    scales = np.abs(basis).max(axis=1) / np.float32(16)
    whole = np.rint(basis / scales[:, None]).astype(np.int64)
    sums = rows.vectors.astype(np.int64) @ whole.T
    mean = whole.astype(np.float64) @ components.mean
    wanted = scales * (sums - mean)
    np.testing.assert_allclose(vectors.y[:, : len(basis)], wanted, rtol=1e-4, atol=1e-2)
    assert (vectors.y[:, len(basis) :] == 0).all()
    rest = ((rows.vectors - components.mean.astype(np.float64)) ** 2).sum(axis=1)
    rest -= (vectors.y.astype(np.float64) ** 2).sum(axis=1)
    np.testing.assert_allclose(vectors.tails, np.maximum(rest, 0), rtol=1e-3, atol=1.0)


@pytest.mark.parametrize("measure", [Measure.float_squares, Measure.float_angles])
@pytest.mark.parametrize("width", [2, 50, 65, 300])
def test_the_projection_of_floats_is_the_matrix_product(
    cpu_level: str, measure: Measure, width: int
) -> None:
    rows = rows_of(measure, 300, width)
    components = learn_components(rows, 64, seed=0)
    y = Projection(components, 64, of_bytes=False)(rows, 2).y
    values = rows.vectors.astype(np.float64)
    if measure == Measure.float_angles:
        values = values / np.linalg.norm(values, axis=1, keepdims=True)
    wanted = (values - components.mean) @ components.basis.T.astype(np.float64)
    np.testing.assert_allclose(y[:, : len(components)], wanted, atol=1e-4 * np.abs(wanted).max())
    gram = components.basis @ components.basis.T
    np.testing.assert_allclose(gram, np.eye(len(components)), atol=1e-4)


@pytest.mark.parametrize("measure", MEASURES)
def test_what_is_built_does_not_depend_on_the_number_of_threads(measure: Measure) -> None:
    rows = rows_of(measure, 3000, 40)
    alone, together = tables_of(rows).sketches, tables_of(rows, threads=3).sketches
    assert (alone.blocks == together.blocks).all()
    assert (alone.rows == together.rows).all()
    assert (alone.starts == together.starts).all()
    assert (alone.cells.codes == together.cells.codes).all()


def test_the_core_refuses_parts_that_do_not_belong_together() -> None:
    from lookalike import native

    rows = rows_of(Measure.float_squares, 600, 20)
    tables = tables_of(rows)
    s = tables.sketches
    parts = [tables.projection.native, s.cells, s.sketch, s.starts, s.blocks, s.rows]

    def refused(place: int, part: object) -> None:
        changed = [*parts[:place], part, *parts[place + 1 :]]
        with pytest.raises(ValueError, match=r"."):
            native.CellScan(tables.verifier, *changed)  # type: ignore[arg-type]

    refused(3, s.starts[:-1].copy())
    refused(3, s.starts[::-1].copy())
    refused(4, np.ascontiguousarray(s.blocks[:-1]))
    twice = s.rows.copy()
    twice[twice == 1] = 0
    refused(5, twice)
    refused(5, np.where(s.rows == 1, 600, s.rows).astype(np.uint32))
    refused(0, tables_of(rows_of(Measure.float_squares, 600, 24)).projection.native)
