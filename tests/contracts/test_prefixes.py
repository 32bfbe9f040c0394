"""Prefix tables: what is met, when searches stop, and the mathematics behind it."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from lookalike import native
from lookalike.engines.exact import ExactEngine
from lookalike.engines.prefixes import PrefixEngine, PrefixTables, Stops
from lookalike.engines.rows import Rows
from lookalike.hashing.bit_sampling import BitSampling
from lookalike.native import Measure

MEASURES = [
    Measure.absolute_differences,
    Measure.squared_differences,
    Measure.differing_bits,
    Measure.float_squares,
    Measure.float_angles,
]
COUNT, WIDTH, TABLES = 3000, 32, 12


def rows_of(measure: Measure, count: int = COUNT, seed: int = 0) -> Rows:
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(9).normal(size=(30, WIDTH)) * 2
    vectors = centres[random.integers(0, 30, count)] + random.normal(size=(count, WIDTH))
    rows = Rows(WIDTH, measure)
    if rows.are_floats:
        rows.append(vectors.astype(np.float32))
    else:
        rows.append(np.clip(vectors * 20 + 128, 0, 255).astype(np.uint8))
    return rows


@pytest.fixture(params=MEASURES, ids=lambda measure: measure.name)
def rows(request: pytest.FixtureRequest) -> Rows:
    return rows_of(request.param)


@pytest.fixture
def queries(rows: Rows) -> npt.NDArray[np.generic]:
    return np.ascontiguousarray(rows_of(rows.measure, 25, seed=4).vectors)


def engine_of(rows: Rows, recall: float = 0.9, seed: int = 0) -> PrefixEngine:
    tables = PrefixTables(rows, rows.scan(), seed, tables=TABLES)
    return PrefixEngine(tables, Stops(recall, TABLES))


def test_distances_are_exact_and_ascend(
    cpu_level: str, rows: Rows, queries: npt.NDArray[np.generic]
) -> None:
    exact = ExactEngine(rows, bounding=False)
    slots, distances = engine_of(rows).nearest(queries, len(queries), 8, 2)
    everything = exact.nearest(queries, len(queries), COUNT, 1)
    for q in range(len(queries)):
        known = dict(zip(everything[0][q].tolist(), everything[1][q].tolist(), strict=True))
        assert [known[slot] for slot in slots[q].tolist()] == distances[q].tolist()
        assert (np.diff(distances[q]) >= 0).all()
        assert len(set(slots[q].tolist())) == 8
    # Even one table more or less could not miss so much.
    assert (distances <= everything[1][:, 7:8]).mean() > 0.8


def test_one_item_threads_and_levels_answer_alike(
    cpu_level: str, rows: Rows, queries: npt.NDArray[np.generic]
) -> None:
    engine = engine_of(rows)
    slots, distances = engine.nearest(queries, len(queries), 8, 1)
    again = engine.nearest(queries, len(queries), 8, 3)
    assert (again[0] == slots).all()
    for q, query in enumerate(queries):
        one = engine.nearest_of_one(query, 8)
        assert one is not None
        assert (one[0] == slots[q]).all()
        assert (one[1] == distances[q]).all()
        assert not one[2]
    native.set_cpu_level("scalar")
    plain = engine_of(rows).nearest(queries, len(queries), 8, 1)
    assert (plain[0] == slots).all()


def test_a_recall_next_to_one_finds_everything(
    cpu_level: str, rows: Rows, queries: npt.NDArray[np.generic]
) -> None:
    engine = engine_of(rows, recall=1 - 1e-9)
    exact = ExactEngine(rows, bounding=False)
    a, b = (e.nearest(queries, len(queries), 10, 1) for e in (engine, exact))
    assert (a[0] == b[0]).all()
    assert (a[1] == b[1]).all()
    radius = float(np.median(b[1][:, -1]))
    for x, y in zip(
        engine.within(queries, radius, 1), exact.within(queries, radius, 1), strict=True
    ):
        assert (x == y).all()


def test_only_allowed_rows_are_found_and_all_of_few(
    rows: Rows, queries: npt.NDArray[np.generic]
) -> None:
    engine = engine_of(rows)
    few = np.zeros(COUNT, np.uint8)
    few[[3, 700, 1999]] = 1
    for query in queries:
        assert sorted(engine.nearest(query, None, 3, 1, few)[0].tolist()) == [3, 700, 1999]
        assert (engine.nearest(query, None, 6, 1, few)[0][3:] == -1).all()
    half = (np.random.default_rng(1).random(COUNT) < 0.5).astype(np.uint8)
    slots, distances = engine.nearest(queries, len(queries), 10, 1, half)
    assert half[slots].all()
    truth = ExactEngine(rows, bounding=False).nearest(queries, len(queries), 10, 1, half)[1]
    assert (distances <= truth[:, -1:]).mean() > 0.8
    offsets, candidates = engine.candidates(queries, 1, half)
    assert half[candidates].all()
    assert offsets[-1] == len(candidates) >= 10 * len(queries)


def test_what_is_met_first_has_the_longest_prefixes(queries: npt.NDArray[np.generic]) -> None:
    """By plain NumPy: the rows that are met are those of whole lengths, and some of the last."""
    rows = rows_of(Measure.absolute_differences)
    tables = PrefixTables(rows, rows.scan(), 0, tables=TABLES)
    functions = BitSampling(WIDTH, 255).draw(
        0, tables=TABLES + native.SKETCH_CODES, bits=native.PREFIX_BITS
    )
    stops = Stops(0.9, TABLES)
    engine = PrefixEngine(tables, stops)
    codes = functions.hash(np.ascontiguousarray(rows.vectors))[:TABLES, :, 0].astype(np.uint32)
    items = np.ascontiguousarray(rows_of(Measure.absolute_differences, 25, seed=4).vectors)
    mine = functions.hash(items)[:TABLES, :, 0].astype(np.uint32)
    for q, query in enumerate(items):
        differing = codes ^ mine[:, q : q + 1]
        shared = np.where(
            differing == 0, 32, 31 - np.floor(np.log2(np.maximum(differing, 1))).astype(int)
        ).max(axis=0)
        met = engine.trace(query, 8)[1].left
        sizes = [int((shared >= length).sum()) for length in range(33)]
        assert any(sizes[n + 1] <= met <= sizes[n] for n in range(32)) or met > COUNT // 4


def test_a_search_stops_exactly_when_a_miss_is_improbable_enough() -> None:
    recall = 0.9
    stops = Stops(recall, TABLES)
    passed = 1 - (1 - recall) * 0.2

    def missed(chance: float, length: int, done: int) -> float:
        others = (1 - chance ** (length + 1)) ** (TABLES - done) if length < 32 else 1.0
        return float((1 - chance**length) ** done * others)

    for length in (1, 5, 17, 31, 32):
        for done in (1, 6, TABLES):
            chance = float(stops.met[length, done - 1])
            assert missed(chance, length, done) <= 1 - recall / passed + 1e-12
            assert missed(chance - 1e-6, length, done) > 1 - recall / passed
    assert (stops.met[0] == 0).all()
    # The further a search went, the less similar rows it has met.
    order = stops.met[::-1].ravel()
    assert (np.diff(order) <= 1e-12).all()


def test_the_filter_lets_pass_what_it_promises() -> None:
    stops = Stops(0.9, TABLES)
    for differing in (0, 3, 40, 128, 250):
        chance = float(stops.near[differing])
        terms = [
            math.comb(256, h) * (1 - chance) ** h * chance ** (256 - h)
            for h in range(differing + 1)
        ]
        assert math.fsum(terms) == pytest.approx(0.98, abs=1e-9)
    assert stops.near[256] == 0.0
    assert (np.diff(stops.near) <= 0).all()


def test_another_seed_draws_others(rows: Rows, queries: npt.NDArray[np.generic]) -> None:
    engines = [engine_of(rows, seed=seed) for seed in range(3)]
    traces = {tuple(own.trace(query, 5)[1].left for query in queries) for own in engines}
    assert len(traces) == 3


def test_the_core_refuses_what_does_not_fit(rows: Rows) -> None:
    tables = PrefixTables(rows, rows.scan(), 0, tables=TABLES)
    item = np.ascontiguousarray(rows.vectors[0])
    with pytest.raises(ValueError, match="other tables"):
        PrefixEngine(tables, Stops(0.9, TABLES + 1)).nearest(item, None, 3, 1)
    with pytest.raises(ValueError, match="must have shape"):
        native.PrefixStops(np.zeros((5, TABLES)), np.zeros(257))
    with pytest.raises(ValueError, match="must fall"):
        native.PrefixStops(np.zeros((33, TABLES)), np.linspace(0, 1, 257))
    with pytest.raises(ValueError, match="the last chance"):
        native.PrefixStops(np.zeros((33, TABLES)), np.linspace(1, 0.5, 257))
    sampler = BitSampling(7, 255).draw(0, tables=20, bits=32).sampler
    with pytest.raises(ValueError, match="do not fit"):
        native.PrefixScan.of_bits(rows.scan(), sampler, 7.0 * 255, 1)
    wide = BitSampling(WIDTH, 255).draw(0, tables=8, bits=32).sampler
    with pytest.raises(ValueError, match="codes for tables"):
        native.PrefixScan.of_bits(rows.scan(), wide, 7.0 * 255, 1)
