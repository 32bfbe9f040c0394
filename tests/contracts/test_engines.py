"""Every engine under the one contract of ``engines/engine.py``."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from lookalike.engines.engine import Engine
from lookalike.engines.exact import ExactEngine
from lookalike.engines.filtered import FilteredEngine
from lookalike.engines.grown import GrownEngine
from lookalike.engines.prefixes import PrefixEngine, PrefixTables, Stops
from lookalike.engines.rows import Rows
from lookalike.engines.tables import TablesEngine
from lookalike.hashing.bit_sampling import BitSampling
from lookalike.hashing.family import HashFunctions
from lookalike.native import BucketTables, Measure

Bytes = npt.NDArray[np.uint8]
WIDTH, RANGE = 40, 20


def rows_of(vectors: Bytes) -> Rows:
    rows = Rows(vectors.shape[1], Measure.absolute_differences)
    rows.append(np.ascontiguousarray(vectors))
    return rows


def functions(tables: int, bits: int, width: int = WIDTH) -> HashFunctions:
    return BitSampling(width, RANGE).draw(3, tables=tables, bits=bits)


def grown(v: Bytes, base: Callable[[Bytes], Engine]) -> Engine:
    """An engine over most of the vectors, and the rest."""
    built = max(1, 4 * len(v) // 5)
    return GrownEngine(base(v[:built]), built, rows_of(v))


def prefixes(v: Bytes) -> Engine:
    rows = rows_of(v)
    tables = PrefixTables(rows, rows.scan(), seed=3, tables=12)
    return PrefixEngine(tables, Stops(0.9, 12))


ENGINES: dict[str, Callable[[Bytes], Engine]] = {
    "exact": lambda v: ExactEngine(rows_of(v)),
    "exact with bounds": lambda v: ExactEngine(rows_of(v), bounding=True),
    "exact without": lambda v: ExactEngine(rows_of(v), bounding=False),
    "exact with bounds, grown": lambda v: grown(v, lambda w: ExactEngine(rows_of(w), True)),
    "tables, grown": lambda v: grown(
        v, lambda w: TablesEngine(rows_of(w), functions(8, 12, v.shape[1]))
    ),
    "prefixes": prefixes,
    "prefixes, grown": lambda v: grown(v, prefixes),
    "tables of one bit": lambda v: TablesEngine(rows_of(v), functions(6, 1, v.shape[1])),
    "tables": lambda v: TablesEngine(rows_of(v), functions(8, 12, v.shape[1])),
    "tables of long codes": lambda v: TablesEngine(rows_of(v), functions(5, 130, v.shape[1])),
}


@pytest.fixture(params=ENGINES)
def build(request: pytest.FixtureRequest) -> Callable[[Bytes], Engine]:
    return ENGINES[request.param]


@pytest.fixture(scope="module")
def vectors() -> Bytes:
    random = np.random.default_rng(1)
    distinct = random.integers(0, RANGE + 1, (400, WIDTH), np.uint8)
    near = np.clip(distinct[:100].astype(int) + random.integers(-1, 2, (100, WIDTH)), 0, RANGE)
    return np.concatenate([distinct, near.astype(np.uint8), distinct[:50]])


def exact_distances(vectors: Bytes, query: Bytes) -> npt.NDArray[np.int64]:
    return np.asarray(np.abs(vectors.astype(np.int64) - query).sum(axis=1))


def test_results_are_the_nearest_candidates_in_order(
    build: Callable[[Bytes], Engine], vectors: Bytes
) -> None:
    engine = build(vectors)
    queries = np.ascontiguousarray(vectors[::37])
    offsets, candidates = engine.candidates(queries, 1)
    for k in (1, 7, 700):
        slots, distances = engine.nearest(queries, len(queries), k, 1)
        for q, query in enumerate(queries):
            mine = candidates[offsets[q] : offsets[q + 1]]
            exact = exact_distances(vectors, query)[mine]
            order = np.lexsort((mine, exact))[:k]
            assert (slots[q, : len(order)] == mine[order]).all()
            assert (distances[q, : len(order)] == exact[order]).all()
            assert (slots[q, len(order) :] == -1).all()
            assert np.isinf(distances[q, len(order) :]).all()


def test_candidates_ascend_without_repetition(
    build: Callable[[Bytes], Engine], vectors: Bytes
) -> None:
    engine = build(vectors)
    offsets, candidates = engine.candidates(np.ascontiguousarray(vectors[:20]), 1)
    for q in range(20):
        assert (np.diff(candidates[offsets[q] : offsets[q + 1]]) > 0).all()


def test_copies_of_the_query_come_first_by_slot(
    build: Callable[[Bytes], Engine], vectors: Bytes
) -> None:
    slots, distances = build(vectors).nearest(vectors[7], None, 2, 1)
    assert slots.tolist() == [7, 507]
    assert distances.tolist() == [0.0, 0.0]


def test_radius_includes_the_boundary(build: Callable[[Bytes], Engine], vectors: Bytes) -> None:
    engine = build(vectors)
    query = vectors[3]
    _, candidates = engine.candidates(query, 1)
    exact = exact_distances(vectors, query)[candidates]
    radius = int(np.sort(exact)[1:][0]) if len(exact) > 1 else 0
    for r in (0.0, radius - 0.5, float(radius), radius + 0.5, np.inf):
        found = engine.within(query, max(r, 0.0), 1)
        assert set(found.slots.tolist()) == set(candidates[exact <= max(r, 0.0)].tolist())
        assert (np.lexsort((found.slots, found.distances)) == np.arange(len(found.slots))).all()


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
@pytest.mark.parametrize("name", [name for name in ENGINES if not name.startswith("prefixes")])
def test_rows_that_are_not_allowed_are_not_there(
    name: str, vectors: Bytes, share: float, cpu_level: str
) -> None:
    engine = ENGINES[name](vectors)
    allowed = (np.random.default_rng(4).random(len(vectors)) < share).astype(np.uint8)
    queries = np.ascontiguousarray(vectors[::9])
    found = engine.nearest(queries, len(queries), 6, 2, allowed)
    offsets, candidates = engine.candidates(queries, 1, allowed)
    near = engine.within(queries, 70, 1, allowed)
    for q, query in enumerate(queries):
        everyone = engine.candidates(query, 1)[1]
        mine = everyone[allowed[everyone] != 0]
        assert (candidates[offsets[q] : offsets[q + 1]] == mine).all()
        distances = exact_distances(vectors, query)[mine]
        order = np.lexsort((mine, distances))
        expected = np.full(6, -1)
        expected[: len(mine)] = mine[order][:6]
        assert (found[0][q] == expected).all()
        alone = engine.nearest_of_one(query, 6, allowed)
        assert alone is None or (alone[0] == expected).all()
        inside = mine[order][distances[order] <= 70]
        assert (near.slots[near.offsets[q] : near.offsets[q + 1]] == inside).all()


@pytest.mark.parametrize("share", [0.0, 0.02, 0.2, 0.5])
def test_a_filter_is_searched_the_same_however_often(vectors: Bytes, share: float) -> None:
    """In place, from a copy, from a copy with bounds; many rows by a mask."""
    rows = rows_of(vectors)
    exact = ExactEngine(rows, bounding=False)
    allowed = (np.random.default_rng(4).random(len(vectors)) < share).astype(np.uint8)
    filtered = FilteredEngine(rows, allowed, lambda: exact)
    assert filtered.is_of(allowed.copy())
    assert not filtered.is_of(1 - allowed)
    queries = np.ascontiguousarray(np.tile(vectors[::9], (20, 1)))
    present = (np.random.default_rng(5).random(len(vectors)) < 0.7).astype(np.uint8)
    for also in (None, present):
        both = allowed if also is None else allowed & also
        expected = exact.nearest(queries, len(queries), 5, 1, both)
        for count in (1, 2, 5, len(queries), len(queries)):
            found = filtered.nearest(queries[:count], count, 5, 1, also)
            assert (found[0] == expected[0][:count]).all()
            assert (found[1] == expected[1][:count]).all()
        for mine, whole in (
            (filtered.within(queries[:20], 70, 1, also), exact.within(queries[:20], 70, 1, both)),
            (filtered.candidates(queries[:3], 1, also), exact.candidates(queries[:3], 1, both)),
        ):
            for a, b in zip(mine, whole, strict=True):
                assert (a == b).all()


def test_any_number_of_threads_gives_one_result(
    build: Callable[[Bytes], Engine], vectors: Bytes
) -> None:
    engine = build(vectors)
    queries = np.ascontiguousarray(vectors[:60])
    one = engine.nearest(queries, 60, 5, 1)
    for threads in (2, 7):
        for a, b in zip(one, engine.nearest(queries, 60, 5, threads), strict=True):
            assert (a == b).all()
        for a, b in zip(
            engine.candidates(queries, 1), engine.candidates(queries, threads), strict=True
        ):
            assert (a == b).all()
        for a, b in zip(
            engine.within(queries, 60, 1), engine.within(queries, 60, threads), strict=True
        ):
            assert (a == b).all()


def test_one_item_is_answered_like_a_batch_of_one(
    build: Callable[[Bytes], Engine], vectors: Bytes
) -> None:
    engine = build(vectors)
    for query in vectors[:30]:
        batch = engine.nearest(query[None], 1, 9, 1)
        alone = engine.nearest_of_one(query, 9)
        assert alone is not None
        for a, b in zip(batch, alone[:2], strict=True):
            assert (a[0] == b).all()
        assert not alone[2]  # nothing was widened
        candidates = engine.candidates_of_one(query)
        if candidates is not None:
            assert (candidates == engine.candidates(query, 1)[1]).all()


def test_what_the_core_cannot_read_is_left_to_the_caller(
    build: Callable[[Bytes], Engine], vectors: Bytes
) -> None:
    engine = build(vectors)
    item = vectors[0]
    for strange in (
        item[::-1],
        item.astype(np.int16),
        item.astype(">f8"),
        item + 0.5,
        item * np.nan,
        item[:-1],
        item.tolist(),
    ):
        assert engine.nearest_of_one(strange, 3) is None


def test_a_trace_tells_what_was_left_after_each_step(
    build: Callable[[Bytes], Engine], vectors: Bytes
) -> None:
    engine = build(vectors)
    steps = engine.trace(np.ascontiguousarray(vectors[5]), 4)
    assert steps[-1].name == "verify"
    if not isinstance(engine, GrownEngine):
        assert [step.left for step in steps] == sorted([s.left for s in steps], reverse=True)
    assert all(step.microseconds >= 0 for step in steps)
    if isinstance(engine, TablesEngine):
        assert [step.name for step in steps] == ["hash", "filter", "verify"]
        assert steps[1].left == len(engine.candidates(vectors[5], 1)[1])


@pytest.mark.parametrize("bits", [1, 2, 63, 64, 65, 128, 200])
def test_candidates_are_the_union_of_equal_codes(cpu_level: str, vectors: Bytes, bits: int) -> None:
    drawn = functions(4, bits)
    engine = TablesEngine(rows_of(vectors), drawn)
    stored = drawn.hash(vectors)
    queries = np.ascontiguousarray(np.concatenate([vectors[:5], RANGE - vectors[:5]]))
    asked = drawn.hash(queries)
    offsets, candidates = engine.candidates(queries, 1)
    for q in range(len(queries)):
        equal = (stored == asked[:, q : q + 1]).all(axis=2).any(axis=0)
        assert candidates[offsets[q] : offsets[q + 1]].tolist() == np.flatnonzero(equal).tolist()


@pytest.mark.parametrize("bits", [3, 64, 100])
def test_buckets_partition_the_rows_by_whole_codes(vectors: Bytes, bits: int) -> None:
    drawn = functions(2, bits)
    engine = TablesEngine(rows_of(vectors), drawn)
    for table, codes in enumerate(drawn.hash(vectors)):
        distinct = len(np.unique(codes, axis=0))
        sizes = engine.bucket_sizes(table)
        assert len(sizes) == distinct
        assert sizes.sum() == len(vectors)
        assert (sizes > 0).all()


def mixed(word: int) -> int:
    """splitmix64's finaliser, as bucket_tables.cpp uses it."""
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    word = (word ^ (word >> 27)) * 0x94D049BB133111EB % 2**64
    return word ^ (word >> 31)


def test_long_codes_whose_keys_collide_stay_in_buckets_of_their_own() -> None:
    """The key of a code (c0, c1) is mixed((mixed(c0 + G) ^ c1) + G); this pair has one key."""
    golden = 0x9E3779B97F4A7C15
    first, other, second = 1, 2, 3
    forged = second ^ mixed(first + golden) ^ mixed(other + golden)
    codes = np.array([[[first, second], [other, forged], [first, second]]], np.uint64)
    offsets, rows = BucketTables(codes, 1).buckets(0)
    buckets = {tuple(rows[a:b].tolist()) for a, b in pairwise(offsets.tolist())}
    assert buckets == {(0, 2), (1,)}


def test_identical_rows_fill_one_bucket_without_becoming_quadratic() -> None:
    # 200,000 squared comparisons would take minutes; sorting one bucket takes milliseconds.
    vectors = np.full((200_000, 8), 5, np.uint8)
    engine = TablesEngine(rows_of(vectors), functions(3, 20, 8))
    assert engine.bucket_sizes(0).tolist() == [200_000]
    slots, distances = engine.nearest(vectors[0], None, 3, 1)
    assert slots.tolist() == [0, 1, 2]
    assert distances.tolist() == [0, 0, 0]
    exact = ExactEngine(rows_of(vectors), bounding=True)
    assert exact.nearest(vectors[0], None, 3, 1)[0].tolist() == [0, 1, 2]


def test_bounding_is_chosen_where_it_saves_reading(digits: Bytes) -> None:
    flat = np.ascontiguousarray(digits.reshape(-1, 64))
    noise = np.random.default_rng(0).integers(0, 256, (2000, 64), np.uint8)
    assert ExactEngine(rows_of(flat)).bounding
    assert not ExactEngine(rows_of(noise)).bounding
    assert not ExactEngine(rows_of(flat[:20])).bounding
    assert not ExactEngine(rows_of(np.ascontiguousarray(flat[:, :20]))).bounding


def test_rows_added_later_are_not_seen(build: Callable[[Bytes], Engine], vectors: Bytes) -> None:
    if build is ENGINES["exact"]:
        rows = rows_of(vectors[:100])
        engine = ExactEngine(rows)
        for _ in range(10):
            rows.append(np.ascontiguousarray(vectors[100:200]))
        assert engine.nearest(vectors[150], None, 1, 1)[0][0] < 100
