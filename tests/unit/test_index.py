"""The index: shapes in, shapes out, and exact answers."""

from __future__ import annotations

import threading
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lookalike
from lookalike import Index, InvalidInput, Neighbors, Ranges

Bytes = npt.NDArray[np.uint8]


@pytest.fixture
def index(digits: Bytes) -> Index:
    index = Index("l1", value_range=16)
    index.add(digits[:300])
    return index


def l1(vectors: Bytes, query: Bytes) -> npt.NDArray[np.int64]:
    flat = vectors.reshape(len(vectors), -1).astype(np.int64)
    return np.asarray(np.abs(flat - query.ravel().astype(np.int64)).sum(axis=1))


def test_one_item_gives_one_axis_and_a_batch_two(index: Index, digits: Bytes) -> None:
    for one in (digits[400], digits[400].ravel()):
        hits = index.search(one, k=4)
        assert hits.ids.shape == hits.distances.shape == (4,)
        assert hits.ids.dtype == np.int64
        assert hits.distances.dtype == np.float64
    for batch in (digits[400:403], digits[400:403].reshape(3, 64)):
        hits = index.search(batch, k=4)
        assert hits.ids.shape == hits.distances.shape == (3, 4)
        assert (hits.ids[0] == index.search(digits[400], k=4).ids).all()
    assert index.search(digits[400:401], k=4).ids.shape == (1, 4)


def test_an_item_of_one_row_is_one_item_and_not_a_batch() -> None:
    index = Index("l1")
    index.add(np.arange(6).reshape(2, 1, 3))
    assert index.search(np.zeros((1, 3)), k=1).ids.shape == (1,)
    assert index.search(np.zeros((1, 1, 3)), k=1).ids.shape == (1, 1)
    assert index.search(np.zeros((2, 3)), k=1).ids.shape == (2, 1)


def test_ids_count_on(digits: Bytes) -> None:
    index = Index("l1")
    assert index.add(digits[:3]).tolist() == [0, 1, 2]
    assert index.add(digits[3:5]).tolist() == [3, 4]
    assert len(index) == 5
    assert 4 in index
    assert 5 not in index
    assert -1 not in index
    assert "4" not in index


def test_vectors_come_back_as_stored(index: Index, digits: Bytes) -> None:
    assert (index.vectors([2, 0, 2]) == digits[[2, 0, 2]]).all()
    assert index.vectors(7).shape == (8, 8)
    assert index.vectors([]).shape == (0, 8, 8)
    index.vectors(7)[:] = 0  # a copy
    assert (index.vectors(7) == digits[7]).all()


def test_what_the_user_changes_afterwards_is_not_searched(digits: Bytes) -> None:
    mine = digits[:50].copy()
    index = Index("l1")
    index.add(mine)
    mine[:] = 0
    assert index.search(digits[9], k=1).distances.tolist() == [0.0]


def test_a_member_is_searched_without_itself(index: Index, digits: Bytes) -> None:
    copies = index.add(np.repeat(digits[5:6], 2, axis=0))
    hits = index.search(id=5, k=3)
    assert hits.ids[:2].tolist() == copies.tolist()
    assert 5 not in hits.ids
    with_all = index.search(digits[5], k=4)
    assert with_all.ids.tolist() == [5, *hits.ids.tolist()]


def test_excluded_ids_are_never_returned(index: Index, digits: Bytes) -> None:
    query = digits[500]
    all_ids = index.search(query, k=300).ids
    hits = index.search(query, k=5, exclude=all_ids[:250])
    assert hits.ids.tolist() == all_ids[250:255].tolist()
    few = index.search(digits[500:502], k=5, exclude=all_ids[:298])
    assert few.ids.shape == (2, 5)
    assert set(few.ids[0].tolist()) == {*all_ids[298:].tolist(), -1}
    assert np.isinf(few.distances[0, 2:]).all()


def test_within_gives_everything_up_to_the_radius(index: Index, digits: Bytes) -> None:
    query = digits[600]
    exact = l1(digits[:300], query)
    radius = int(np.sort(exact)[10])
    found = index.within(query, radius)
    assert isinstance(found, Ranges)
    assert set(found.ids.tolist()) == set(np.flatnonzero(exact <= radius).tolist())
    assert found.distances[-1] == radius
    assert len(index.within(query, radius - 0.001)) == (exact < radius).sum()
    assert len(index.within(query, np.inf)) == 300
    batch = index.within(digits[600:603], radius)
    assert len(batch) == 3
    assert (batch[0].ids == found.ids).all()


def test_candidates_of_an_exact_plan_are_all_ids(index: Index, digits: Bytes) -> None:
    assert np.asarray(index.candidates(digits[0])).tolist() == list(range(300))
    assert [len(c) for c in index.candidates(digits[:2])] == [300, 300]


def test_candidates_of_tables_contain_what_is_found(digits: Bytes) -> None:
    index = Index("l1", bits=8, tables=4, value_range=16)
    index.add(digits[:300])
    batch = index.candidates(digits[400:405])
    assert isinstance(batch, list)
    for query, candidates in zip(digits[400:405], batch, strict=True):
        assert (candidates == index.candidates(query)).all()
        found = index.search(query, k=300)
        assert sorted(found.ids[found.ids >= 0].tolist()) == candidates.tolist()
        ranges = index.within(query, 1000)
        assert sorted(ranges.ids.tolist()) == candidates.tolist()


def test_the_plan_says_what_is_stored_and_why(index: Index, digits: Bytes) -> None:
    floats = Index("l1", value_range=16)
    assert "nothing stored yet" in str(floats.plan)
    floats.add(digits[:3].astype(float))
    assert "uint8 from float64, without loss" in str(floats.plan)
    assert floats.plan.engine == "exact"
    assert floats.plan.promise == "recall 1"
    tables = Index("l1", bits=7, tables=2)
    assert tables.plan.engine == "tables"
    tables.add(digits[:3])
    assert dict(tables.plan.parameters) == {"bits": 7, "tables": 2}
    assert "bits=7, tables=2" in str(tables.plan)
    assert "not planned yet" in repr(Index("l2"))
    index.search(digits[0])
    assert "exact" in repr(index)
    assert "300 items of shape (8, 8)" in repr(index)


def test_explain_counts_what_each_step_left(digits: Bytes) -> None:
    index = Index("l1", bits=10, tables=3, value_range=16)
    index.add(digits[:300])
    query = digits[400]
    told = index.explain(query, k=5)
    assert [step.name for step in told.steps] == ["hash", "filter", "verify"]
    assert told.size == 300
    assert told.steps[1].left == len(index.candidates(query))
    assert (told.hits.ids == index.search(query, k=5).ids).all()
    text = str(told)
    assert "plan: tables (l1, bits=10, tables=3)" in text
    assert "vectors left" in text
    as_dict = told.to_dict()
    assert set(as_dict) == {"plan", "size", "steps", "ids", "distances", "fate"}
    assert set(as_dict["steps"][0]) == {"name", "does", "left", "microseconds"}
    nothing = index.explain(16 - query, k=2).to_dict()
    assert None in nothing["distances"] or -1 not in nothing["ids"]


def test_a_seed_decides_and_none_draws_one(digits: Bytes) -> None:
    def candidates(seed: int | None) -> list[list[int]]:
        index = Index("l1", bits=12, tables=2, value_range=16, seed=seed)
        index.add(digits[:200])
        assert isinstance(index.seed, int)
        return [c.tolist() for c in index.candidates(digits[300:320])]

    assert candidates(5) == candidates(5)
    assert candidates(5) != candidates(6)
    drawn = Index("l1", bits=12, tables=2, seed=None).seed
    assert drawn != Index("l1", bits=12, tables=2, seed=None).seed
    assert candidates(drawn) == candidates(drawn)


def test_booleans_and_packed_bits_are_the_same_items() -> None:
    bits = np.random.default_rng(1).random((50, 61)) < 0.5
    from_bool = Index("hamming")
    from_bool.add(bits)
    packed = Index("hamming", width_bits=61)
    packed.add(np.packbits(bits, axis=1))
    assert from_bool.width_bits == packed.width_bits == 61
    for query in (bits[3], np.packbits(bits[3])):
        for index in (from_bool, packed):
            hits = index.search(query, k=2)
            assert hits.ids[0] == 3
            assert hits.distances[1] == np.sort((bits ^ bits[3]).sum(axis=1))[1]
    assert from_bool.search(bits[:4], k=1).ids.ravel().tolist() == [0, 1, 2, 3]
    assert "packed bits from bool" in str(from_bool.plan)


def test_hamming_tables_find_near_codes() -> None:
    random = np.random.default_rng(2)
    codes = random.integers(0, 256, (500, 32), np.uint8)
    index = Index("hamming", bits=16, tables=20)
    index.add(codes)
    near = codes.copy()
    near[:, 0] ^= 1
    hits = index.search(near, k=1)
    assert (hits.ids[:, 0] == np.arange(500)).mean() > 0.99  # 1 - (1 - (255/256)^16)^20
    assert (hits.distances[:, 0] == 1).mean() > 0.99


shapes = st.sampled_from([(1,), (5,), (16,), (33,), (8, 8), (2, 3, 4)])


@settings(max_examples=60)
@given(data=st.data(), shape=shapes, top=st.sampled_from([1, 16, 255]))
def test_exact_search_equals_the_integer_oracle(
    data: st.DataObject, shape: tuple[int, ...], top: int
) -> None:
    n = data.draw(st.integers(1, 40))
    values = st.integers(0, top)
    vectors = data.draw(hnp.arrays(np.uint8, (n, *shape), elements=values))
    query = data.draw(hnp.arrays(np.uint8, shape, elements=values))
    k = data.draw(st.integers(1, n + 3))
    index = Index("l1")
    index.add(vectors)
    exact = l1(vectors, query)
    order = np.lexsort((np.arange(n), exact))[:k]
    hits = index.search(query, k=k)
    assert hits.ids[: len(order)].tolist() == order.tolist()
    assert hits.distances[: len(order)].tolist() == exact[order].tolist()
    assert (hits.ids[len(order) :] == -1).all()
    radius = data.draw(st.integers(0, int(exact.max()) + 1))
    assert (
        sorted(index.within(query, radius).ids.tolist()) == np.flatnonzero(exact <= radius).tolist()
    )


@settings(max_examples=40)
@given(data=st.data(), width_bits=st.integers(1, 90))
def test_exact_hamming_search_equals_the_oracle(data: st.DataObject, width_bits: int) -> None:
    n = data.draw(st.integers(1, 30))
    bits = data.draw(hnp.arrays(np.bool_, (n, width_bits)))
    query = data.draw(hnp.arrays(np.bool_, (width_bits,)))
    index = Index("hamming")
    index.add(bits)
    exact = (bits ^ query).sum(axis=1)
    order = np.lexsort((np.arange(n), exact))
    hits = index.search(query, k=n)
    assert hits.ids.tolist() == order.tolist()
    assert hits.distances.tolist() == exact[order].tolist()


@settings(max_examples=30)
@given(
    cuts=st.lists(st.integers(0, 120), max_size=6),
    searched=st.lists(st.integers(0, 120), max_size=3),
    lab=st.booleans(),
)
def test_batches_of_any_size_make_one_index(
    cuts: list[int], searched: list[int], lab: bool
) -> None:
    vectors = np.random.default_rng(0).integers(0, 17, (120, 12), np.uint8)
    options: dict[str, Any] = {"bits": 6, "tables": 3} if lab else {}
    whole = Index("l1", value_range=16, **options)
    whole.add(vectors)
    parts = Index("l1", value_range=16, **options)
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), 120], strict=True):
        parts.add(vectors[begin:end])
        if len(parts) and end in searched:
            parts.search(vectors[0])
    a, b = whole.search(vectors[:20], k=7), parts.search(vectors[:20], k=7)
    assert (a.ids == b.ids).all()
    assert (a.distances == b.distances).all()


def test_many_threads_may_search_at_once(digits: Bytes) -> None:
    several: list[dict[str, Any]] = [{}, {"bits": 10, "tables": 5}]
    for options in several:
        index = Index("l1", value_range=16, **options)
        index.add(digits[:1500])
        wanted = index.search(digits[1500:], k=3)
        failures: list[str] = []

        def search(
            index: Index = index, wanted: Neighbors = wanted, failures: list[str] = failures
        ) -> None:
            for number, query in enumerate(digits[1500:1600]):
                hits = index.search(query, k=3)
                if (hits.ids != wanted.ids[number]).any():
                    failures.append(f"query {number}")

        threads = [threading.Thread(target=search) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures


def test_the_version_is_the_installed_one() -> None:
    assert lookalike.__version__.startswith("0.1.0")


def test_vectors_of_different_encoders_are_not_joined() -> None:
    bits = np.arange(8, dtype=np.uint8).reshape(4, 2)
    one, other, same = (Index("hamming", encoder=name) for name in ("pdq 1", "phash 1", "pdq 1"))
    for index in (one, other, same):
        index.add(bits)
    assert len(one.pairs(0, other=same).all().ids) == 4
    with pytest.raises(InvalidInput, match=r"got 'phash 1' and 'pdq 1'"):
        one.pairs(0, other=other)
    with pytest.raises(InvalidInput, match="encoder must be text"):
        Index("hamming", encoder="")
