"""Multi-index hashing and the join, against every pair compared in NumPy."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike import Index, InvalidInput
from lookalike.engines.exact import ExactEngine
from lookalike.engines.multi_index import LookupCosts, MultiIndexEngine
from lookalike.engines.rows import Rows
from lookalike.native import Measure, MultiIndex

Bytes = npt.NDArray[np.uint8]
LOOK_UP = LookupCosts(1e18, 1.0, 1.0)  # whatever it costs
KINDS = ["uniform", "clustered", "correlated", "equal", "one substring", "few"]


def codes_of(kind: str, count: int, bits: int, seed: int = 0) -> Bytes:
    random = np.random.default_rng(seed)
    values = random.integers(0, 2, (count, bits), np.uint8)
    if kind == "clustered":
        centres = random.integers(0, 2, (max(1, count // 8), bits), np.uint8)
        values = centres[random.integers(0, len(centres), count)]
        values ^= (random.random((count, bits)) < 0.05).astype(np.uint8)
    elif kind == "correlated":
        values = np.repeat(values[:, : -(-bits // 4)], 4, axis=1)[:, :bits]
    elif kind == "equal":
        values[:] = values[:1]
    elif kind == "one substring":
        values[:, : bits // 2] = 0
    elif kind == "few":
        values = (random.random((count, bits)) < 0.02).astype(np.uint8)
    return np.packbits(values, axis=1)


def rows_of(codes: Bytes) -> Rows:
    rows = Rows(codes.shape[1], Measure.differing_bits)
    rows.append(codes)
    return rows


def distances_of(codes: Bytes, queries: Bytes) -> npt.NDArray[np.int64]:
    different = np.unpackbits(codes[None] ^ queries[:, None], axis=2)
    return np.asarray(different.sum(axis=2), np.int64)


def pairs_of(codes: Bytes, radius: int) -> set[tuple[int, int, float]]:
    distances = distances_of(codes, codes)
    first, second = np.nonzero(np.triu(distances <= radius, 1))
    return {(int(a), int(b), float(distances[a, b])) for a, b in zip(first, second, strict=True)}


def joined(
    engine: MultiIndexEngine, radius: int, most: int = 1000, threads: int = 1
) -> list[tuple[int, int, float]]:
    return [
        (int(a), int(b), float(d))
        for first, second, distances, _ in engine.joined(radius, most, threads)
        for a, b, d in zip(first, second, distances, strict=True)
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bits", [8, 9, 63, 64, 65, 100, 256, 1024])
def test_every_row_within_the_radius_is_found_and_nothing_else(
    cpu_level: str, bits: int, kind: str
) -> None:
    codes, queries = codes_of(kind, 400, bits), codes_of(kind, 12, bits, seed=1)
    queries[:4] = codes[:4]
    exact = distances_of(codes, queries)
    engine = MultiIndexEngine.of(rows_of(codes), bits, LOOK_UP, seed=0)
    some = int(np.sort(exact[0])[20])
    for radius in {0, 1, bits // 8, min(some, bits // 3)}:
        assert radius == 0 or engine.looks_up(radius)
        found = engine.within(queries, radius + 0.5, 1)
        for q, row in enumerate(exact):
            part = slice(found.offsets[q], found.offsets[q + 1])
            order = np.lexsort((np.arange(len(row)), row))
            wanted = order[row[order] <= radius]
            assert found.slots[part].tolist() == wanted.tolist()
            assert (found.distances[part] == row[wanted]).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bits", [16, 64, 65, 256])
def test_the_join_is_the_quadratic_join(cpu_level: str, bits: int, kind: str) -> None:
    codes = codes_of(kind, 300, bits)
    engine = MultiIndexEngine.of(rows_of(codes), bits, LOOK_UP, seed=0)
    for radius in (0, 1, bits // 8, bits // 4):
        found = joined(engine, radius)
        assert len(set(found)) == len(found)
        assert set(found) == pairs_of(codes, radius)
        assert joined(engine, radius, most=7) == found
        assert joined(engine, radius, threads=3) == found


@settings(max_examples=60, deadline=None)
@given(
    bits=st.integers(8, 300),
    count=st.integers(0, 80),
    density=st.sampled_from([0.0, 0.02, 0.5]),
    radius=st.integers(0, 300),
    seed=st.integers(0, 2**20),
)
def test_any_radius_of_any_codes(
    bits: int, count: int, density: float, radius: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    codes = np.packbits(random.random((count + 1, bits)) < density, axis=1)
    engine = MultiIndexEngine.of(rows_of(codes), bits, LOOK_UP, seed=0)
    radius = min(radius, bits)
    limit = min(radius, 6)  # the number of flips grows quickly
    assert set(joined(engine, limit)) == pairs_of(codes, limit)
    found = engine.within(codes[:2], radius if engine.cost_ns(radius) < 1e7 else limit, 1)
    reached = radius if engine.cost_ns(radius) < 1e7 else limit
    expected = distances_of(codes, codes[:2]) <= reached
    assert (np.diff(found.offsets) == expected.sum(axis=1)).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("k", [1, 5, 50])
def test_the_nearest_are_those_of_exact_search(cpu_level: str, kind: str, k: int) -> None:
    codes, queries = codes_of(kind, 2000, 64), codes_of(kind, 20, 64, seed=1)
    queries[:10] = codes[:10]
    rows = rows_of(codes)
    engine = MultiIndexEngine.of(rows, 64, LookupCosts(1e6, 1.0, 1.0), seed=0)
    allowed = (np.arange(2000) % 3 > 0).astype(np.uint8)
    for mask in (None, allowed):
        found = engine.nearest(queries, 20, k, 1, mask)
        truth = ExactEngine(rows, bounding=False).nearest(queries, 20, k, 1, mask)
        assert (found[0] == truth[0]).all()
        assert (found[1] == truth[1]).all()


def test_looking_up_meets_few_rows() -> None:
    codes = codes_of("clustered", 20_000, 256)
    engine = MultiIndexEngine.of(rows_of(codes), 256, LOOK_UP, seed=0)
    assert engine.index.within(codes[:100], 15, 1)[3] < 100 * 20_000 / 10


def test_bits_that_go_together_are_kept_apart() -> None:
    # Each bit four times: the substrings of neighbours would have a sixteenth of the keys.
    codes = codes_of("correlated", 20_000, 64)
    engine = MultiIndexEngine.of(rows_of(codes), 64, LOOK_UP, seed=0)
    first = engine.substrings.places[0]
    assert any(b - a != 1 for a, b in itertools.pairwise(first))
    random = codes_of("uniform", 20_000, 64)
    plain = MultiIndexEngine.of(rows_of(random), 64, LOOK_UP, seed=0)
    assert plain.substrings.places[0] == list(range(len(plain.substrings.places[0])))


def test_an_index_of_bits_lives_like_any_other() -> None:
    codes = codes_of("clustered", 9000, 256)
    index = Index("hamming")
    index.add(codes[:6000])
    assert index.plan.engine == "multi_index"
    index.add(codes[6000:7000])  # beside the index
    index.remove(np.arange(0, 7000, 3))
    index.add(codes[7000:])
    fresh = Index("hamming", recall=1)
    kept = np.concatenate([np.setdiff1d(np.arange(7000), np.arange(0, 7000, 3)), range(7000, 9000)])
    fresh.add(codes[kept], ids=kept)
    for radius in (0, 15, 31, 120):
        found, truth = index.within(codes[:50], radius), fresh.within(codes[:50], radius)
        assert (found.ids == truth.ids).all()
    assert (index.search(codes[:50], 10).ids == fresh.search(codes[:50], 10).ids).all()
    ours, theirs = index.pairs(31).all(), fresh.pairs(31).all()
    assert set(map(tuple, ours.ids.tolist())) == set(map(tuple, theirs.ids.tolist()))
    assert len(ours.ids)


def test_pairs_of_items_that_are_all_alike_end_at_the_limit() -> None:
    index = Index("hamming")
    index.add(np.zeros((20_000, 32), np.uint8))
    pairs = index.pairs(0, limit=1000)
    chunk = pairs.all()
    assert len(chunk.ids) == 1000
    assert pairs.truncated
    assert "truncated" in repr(pairs)
    assert not index.pairs(0, limit=10**12).truncated


@pytest.mark.parametrize("metric", ["l1", "l2", "cosine"])
def test_pairs_of_other_metrics_are_found_by_searches(metric: str, digits: Bytes) -> None:
    vectors = digits.reshape(-1, 64)[:600]
    index = Index(metric, recall=1)
    index.add(vectors)
    radius = {"l1": 60, "l2": 15.0, "cosine": 0.03}[metric]
    pairs = index.pairs(radius)
    chunk = pairs.all()
    within = index.within(vectors, radius)
    assert within.offsets is not None
    assert len(chunk.ids) == (len(within.ids) - 600) / 2
    assert (chunk.ids[:, 0] < chunk.ids[:, 1]).all()
    assert chunk.distances.max() <= radius
    assert pairs.promise == "recall 1"
    assert pairs.done == 1.0


def test_explaining_tells_of_look_ups_only_where_there_are_any() -> None:
    codes = codes_of("uniform", 5000, 256)
    codes[1:12] = codes[0]
    rows = rows_of(codes)
    looks = MultiIndexEngine.of(rows, 256, LookupCosts(1e5, 1.0, 1.0), seed=0)
    (alone,) = looks.trace(codes[0], 5)
    assert "look up" in alone.does
    assert 12 <= alone.left < 5000
    assert [step.name for step in looks.trace(codes[100], 5)] == ["hash", "verify"]
    (compared,) = MultiIndexEngine.of(rows, 256, LookupCosts(0.0, 1.0, 1.0), seed=0).trace(
        codes[0], 5
    )
    assert compared.does == "compare every row, keep the k nearest"


def test_pairs_across_two_indexes() -> None:
    codes = codes_of("clustered", 6000, 256)
    index, other = Index("hamming"), Index("hamming")
    index.add(codes[:5000])
    other.add(codes[5000:], ids=np.arange(1000) * 7)
    chunk = index.pairs(31, other=other).all()
    exact = distances_of(codes[:5000], codes[5000:])
    theirs, ours = np.nonzero(exact <= 31)
    wanted = set(zip(ours.tolist(), (theirs * 7).tolist(), strict=True))
    assert set(map(tuple, chunk.ids.tolist())) == wanted
    wrong = Index("hamming")
    wrong.add(codes[:10, :8])
    with pytest.raises(InvalidInput, match="item shape"):
        index.pairs(31, other=wrong)


def test_a_dry_run_says_what_it_would_take() -> None:
    index = Index("hamming")
    index.add(codes_of("uniform", 5000, 256))
    plan = index.pairs(31, dry_run=True)
    assert plan.engine == "multi_index"
    assert plan.tables > 0
    assert plan.candidates > 0
    assert "candidates" in str(plan)
    assert "MB" in str(plan)
    across = index.pairs(31, other=index, dry_run=True)
    assert across.tables == 0
    assert across.seconds > 0


def test_progress_is_told_and_stopping_cancels() -> None:
    told: list[float] = []
    index = Index("hamming")
    index.add(codes_of("clustered", 5000, 256))
    index.pairs(15, progress=told.append).all()
    assert told == sorted(told)
    assert told[-1] == 1.0
    pairs = index.pairs(15)
    next(iter(pairs))
    assert pairs.done < 1.0


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, "many"])
def test_a_wrong_limit_is_refused(limit: object) -> None:
    index = Index("hamming")
    index.add(codes_of("uniform", 10, 64))
    with pytest.raises(InvalidInput):
        index.pairs(3, limit=limit)  # type: ignore[call-overload]


def test_the_core_refuses_arrays_that_do_not_fit() -> None:
    rows = rows_of(codes_of("uniform", 100, 64))
    engine = MultiIndexEngine.of(rows, 64, LOOK_UP, seed=0)
    places, starts, order = (
        engine.substrings.places,
        engine.substrings.starts,
        engine.substrings.order,
    )
    scan = rows.scan()
    MultiIndex(scan, places, starts, order)
    for wrong in (starts[:-1], starts[::-1].copy(), starts + np.uint32(1)):
        with pytest.raises(ValueError, match="starts"):
            MultiIndex(scan, places, wrong, order)
    for beyond in (order + np.uint32(100), order[1:]):
        with pytest.raises(ValueError, match=r"row|order"):
            MultiIndex(scan, places, starts, beyond)
    with pytest.raises(ValueError, match="beyond"):
        MultiIndex(scan, [[64]], starts, order)
