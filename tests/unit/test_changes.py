"""An index that is changed answers like one built afresh."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lookalike import Index, InvalidInput
from lookalike.planner.planner import Planner

Bytes = npt.NDArray[np.uint8]
Model = dict[int, npt.NDArray[Any]]
K = 7

SECONDS = float(os.environ.get("LOOKALIKE_SOAK_SECONDS", "3"))  # make soak: 60
READERS = 8
EDITS = {"add": 0.3, "own ids": 0.2, "replace": 0.2, "remove": 0.25, "rebuild": 0.05}

KINDS: dict[str, Callable[[], Index]] = {
    "l1": lambda: Index("l1", recall=1.0),
    "l2": lambda: Index("l2", recall=1.0),
    "hamming": lambda: Index("hamming"),
    "tables": lambda: Index("l1", bits=12, tables=4, value_range=16),
}


def edit(index: Index, model: Model, pool: npt.NDArray[Any], seed: int, edits: int) -> None:
    """Make random edits, searching in between, and the same ones of the model."""
    random = np.random.default_rng(seed)
    for _ in range(edits):
        kind = random.choice(list(EDITS), p=list(EDITS.values()))
        count = int(random.choice([1, 3, 40]))
        items = pool[random.integers(0, len(pool), count)]
        known = np.array(sorted(model), np.int64)
        if kind == "add":
            model.update(zip(index.add(items).tolist(), items, strict=True))
        elif kind == "own ids":
            ids = np.setdiff1d(random.integers(0, 5000, count), known)
            random.shuffle(ids)
            index.add(items[: len(ids)], ids)
            model.update(zip(ids.tolist(), items, strict=False))
        elif kind == "replace" and len(known) >= count:
            ids = random.choice(known, count, replace=False)
            index.add(items, ids, replace=True)
            model.update(zip(ids.tolist(), items, strict=True))
        elif kind == "remove" and len(known) > count:
            ids = random.choice(known, count, replace=False)
            index.remove(ids)
            for i in ids.tolist():
                del model[i]
        else:
            index.rebuild()
        index.search(pool[0], K)


def fresh(make: Callable[[], Index], model: Model) -> Index:
    index = make()
    ids = np.array(sorted(model), np.int64)
    index.add(np.stack([model[i] for i in ids.tolist()]), ids)
    return index


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_index_answers_like_a_fresh_one(kind: str, seed: int, digits: Bytes) -> None:
    """Digits of two grey levels: most distances are tied with others."""
    pool = (digits[:400] > 7).astype(np.uint8)
    if kind == "hamming":
        pool = np.packbits(pool.reshape(400, 64), axis=1)
    index = KINDS[kind]()
    index.add(pool[:300], np.arange(300)[::-1])
    index.search(pool[0], K)
    model = dict(enumerate(pool[:300][::-1]))
    edit(index, model, pool, seed, edits=40)
    other = fresh(KINDS[kind], model)
    queries = pool[300:330]
    assert len(index) == len(model)
    assert sorted(index.ids.tolist()) == sorted(model)
    assert_same(index, other, queries)
    index.rebuild()
    assert_same(index, other, queries)
    ids = index.ids[::7]
    assert (index.vectors(ids) == np.stack([model[i] for i in ids.tolist()])).all()


def assert_same(index: Index, other: Index, queries: npt.NDArray[Any]) -> None:
    for found, expected in (
        (index.search(queries, K), other.search(queries, K)),
        (index.search(queries[0], K), other.search(queries[0], K)),
        (index.search(queries, K, where=index.ids % 3 == 1), _third(other, queries)),
    ):
        assert (found.distances == expected.distances).all()
        assert (found.ids == expected.ids).all()
    radius = float(np.median(other.search(queries, K).distances[:, -1]))
    if not np.isfinite(radius):
        radius = 9.0
    near, expected_near = index.within(queries, radius), other.within(queries, radius)
    assert near.offsets is not None
    assert expected_near.offsets is not None
    assert np.array_equal(near.offsets, expected_near.offsets)
    assert np.array_equal(near.ids, expected_near.ids)
    assert np.array_equal(index.candidates(queries[0]), other.candidates(queries[0]))


def _third(index: Index, queries: npt.NDArray[Any]) -> Any:
    return index.search(queries, K, where=index.ids[index.ids % 3 == 1])


def test_errors_change_nothing(digits: Bytes) -> None:
    index = Index("l1")
    index.add(digits[:5], [3, 1, 4, 15, 9])
    for wrong in (
        lambda: index.add(digits[:2], [4, 100]),
        lambda: index.add(digits[:2], [100, 100]),
        lambda: index.add(digits[:2], [100]),
        lambda: index.add(np.full((1, 8, 8), np.nan), [4], replace=True),
        lambda: index.remove([3, 2]),
        lambda: index.remove(-1),
        lambda: index.search(digits[0], where=[True]),
    ):
        with pytest.raises(InvalidInput):
            wrong()
        assert index.ids.tolist() == [3, 1, 4, 15, 9]
        assert index.search(digits[2], 1).ids.tolist() == [4]


@pytest.mark.parametrize("at", ["changed", "engine"])
def test_an_interrupted_change_is_as_if_it_had_not_been_made(
    at: str, digits: Bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while the plan follows, and while engines are made ready; then changes go on."""
    index = Index("l1", recall=1.0)
    index.add(digits[:100])
    index.search(digits[0], K)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    changes: list[Callable[[], object]] = [
        lambda: index.add(digits[300:350]),
        lambda: index.add(digits[300:302], [4, 8], replace=True),
        lambda: index.add(digits[300:450]),  # planned again
        lambda: index.remove([1, 2]),
    ]
    if at == "engine":
        changes.append(lambda: index.remove(np.arange(60)))  # rebuilt: no plan follows then
    for change in changes:
        monkeypatch.setattr(Planner, at, interrupted)
        with pytest.raises(KeyboardInterrupt):
            change()
        monkeypatch.undo()
        assert index.ids.tolist() == list(range(100))
        assert index.search(digits[:100], 1).ids.ravel().tolist() == list(range(100))
    index.remove([0])
    assert index.add(digits[200:203]).tolist() == [100, 101, 102]
    index.rebuild()
    assert index.search(digits[200:203], 1).ids.ravel().tolist() == [100, 101, 102]
    assert (index.vectors([50, 101]) == digits[[50, 201]]).all()


def test_all_members_may_be_removed_and_others_added(digits: Bytes) -> None:
    index = Index("l1")
    with pytest.raises(InvalidInput, match="is empty"):
        index.remove([0])
    index.add(digits[:3])
    index.search(digits[0])
    index.remove([0, 2, 1, 1])
    assert len(index) == 0
    assert 0 not in index
    with pytest.raises(InvalidInput, match="got an empty index"):
        index.search(digits[0])
    index.rebuild()
    assert index.add(digits[:2]).tolist() == [3, 4]
    assert index.search(digits[1], 2).ids[0] == 4


def test_bytes_that_become_floats_keep_their_ids(digits: Bytes) -> None:
    index = Index("l2", recall=1.0)
    index.add(digits[:50], np.arange(50) * 2)
    index.remove([0, 2])
    index.add(digits[50:52] + 0.5)
    assert index.search(digits[7], 1).ids.tolist() == [14]
    assert index.ids[-2:].tolist() == [99, 100]
    assert len(index) == 50


def test_filters_find_nothing_but_what_they_allow(digits: Bytes) -> None:
    index = Index("l1")
    index.add(digits[:1000])
    hits = index.search(digits[1200:1220], 5, where=[4, 8])
    assert (np.sort(hits.ids[:, :2], axis=1) == [4, 8]).all()
    assert (hits.ids[:, 2:] == -1).all()
    assert (index.search(digits[0], 3, where=np.empty(0, np.int64)).ids == -1).all()
    for _ in range(8):  # from the fifth on, a copy of the allowed items answers
        one = index.search(digits[1200], 5, where=[4, 8])
        assert (one.ids == hits.ids[0]).all()
        assert (one.distances == hits.distances[0]).all()
    assert index.search(id=8, k=2, where=[4, 8]).ids.tolist() == [4, -1]
    assert set(index.within(digits[0], 1e9, where=lambda ids: ids < 3).ids) == {0, 1, 2}


class Race:
    """One thread changes an index in a cycle of known states while others search it."""

    def __init__(self, index: Index, digits: Bytes) -> None:
        self.index = index
        self.blocks = digits[1000:1120].reshape(3, 40, 8, 8)
        self.ids = np.arange(1000, 1120).reshape(3, 40)
        self.queries = digits[1200:1216]
        self.steps = 0  # changes that have ended
        self.stop = threading.Event()
        self.problems: list[str] = []
        # A Gray code: each state differs from the next by one block.
        self.cycle = [i ^ (i >> 1) for i in range(8)]
        self.answers = [self.expected(digits, state) for state in self.cycle]

    def expected(self, digits: Bytes, state: int) -> npt.NDArray[np.int64]:
        index = Index("l1", recall=1.0)
        index.add(digits[:1000])
        for block in range(3):
            if state >> block & 1:
                index.add(self.blocks[block], self.ids[block])
        return index.search(self.queries, K).ids

    def change(self) -> None:
        while not self.stop.is_set():
            state, following = (self.cycle[(self.steps + i) % 8] for i in (0, 1))
            block = (state ^ following).bit_length() - 1
            if following > state:
                self.index.add(self.blocks[block], self.ids[block])
            else:
                self.index.remove(self.ids[block])
            self.steps += 1
        if self.steps < 8:
            self.problems.append(f"only {self.steps} changes were made")

    def search(self, reader: int) -> None:
        query = reader % len(self.queries)
        while not self.stop.is_set():
            before = self.steps
            found = self.index.search(self.queries[query], K).ids
            after = self.steps + 1  # a change may be visible just before it is counted
            possible = range(before, min(after, before + 7) + 1)
            if not any((found == self.answers[step % 8][query]).all() for step in possible):
                self.problems.append(f"an answer is of no state: {found}")

    def run(self, seconds: float) -> None:
        threads = [threading.Thread(target=self.change)]
        threads += [threading.Thread(target=self.search, args=(i,)) for i in range(READERS)]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        self.stop.set()
        for thread in threads:
            thread.join()


def test_searches_see_one_state_while_another_thread_changes_the_index(digits: Bytes) -> None:
    index = Index("l1", recall=1.0)
    index.add(digits[:1000])
    index.search(digits[0], K)
    race = Race(index, digits)
    race.run(SECONDS)
    assert not race.problems


def test_after_the_largest_id_only_given_ones_are_left() -> None:
    index = Index("l2")
    index.add([[0, 0]], ids=[2**63 - 1])
    index.add([[1, 1]], ids=[5])
    with pytest.raises(InvalidInput, match="Pass ids="):
        index.add([[2, 2]])
    assert index.ids.tolist() == [2**63 - 1, 5]
    assert index.search([1, 1], k=2).ids.tolist() == [5, 2**63 - 1]
