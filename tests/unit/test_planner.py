"""Plans: which engine, what it says, and that nobody reads a clock."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pytest

from lookalike import Index
from lookalike.costs import cells_may_pay
from lookalike.engines.rows import Rows
from lookalike.native import Measure
from lookalike.planner.cells import CellsPlanner
from lookalike.planner.planner import Plan

Floats = npt.NDArray[np.float32]


def normal(count: int, width: int = 24, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


def index_of(vectors: Floats, recall: float | None = None, metric: str = "l2") -> Index:
    index = Index(metric, recall=recall)
    index.add(vectors)
    return index


@pytest.fixture(scope="module")
def large() -> Index:
    return index_of(normal(30_000), 0.9)


def test_few_items_are_searched_exactly() -> None:
    plan = index_of(normal(300)).plan
    assert (plan.engine, plan.predicted_recall) == ("exact", 1.0)
    assert str(plan) == (
        "exact (l2); float32; recall 1; with so few items exact search costs least"
    )


def test_recall_1_means_exact_search(large: Index) -> None:
    plan = index_of(normal(5000), 1.0).plan
    assert plan.engine == "exact"
    assert "recall 1 was asked for" in plan.reason
    query = normal(1, seed=3)[0]
    told = large.explain(query, recall=1.0)
    assert "exact (l2)" in told.plan
    exact = np.sqrt(((normal(30_000).astype(np.float64) - query) ** 2).sum(axis=1))
    assert (large.search(query, recall=1.0).ids == np.argsort(exact)[:10]).all()


def test_many_items_are_searched_in_cells_and_the_plan_says_how(large: Index) -> None:
    plan = large.plan
    assert plan.engine == "cells"
    assert set(plan.parameters) == {
        "dimensions",
        "cells",
        "regions",
        "probes",
        "candidates",
    }
    assert "recall@10 of 0.9 or more for queries like the 1,600 calibrated on" in plan.promise
    assert plan.predicted_recall is not None
    assert plan.predicted_recall >= 0.9
    assert plan.predicted_us is not None
    assert "exact search" in plan.reason
    assert "engine cells" in repr(large)


def test_items_that_do_not_differ_are_searched_exactly() -> None:
    index = index_of(np.ones((5000, 40), np.float32))
    assert index.search(np.ones(40), k=3).ids.tolist() == [0, 1, 2]
    assert index.plan.engine == "exact"
    assert "do not differ" in index.plan.reason


def test_the_plan_is_the_same_every_time(large: Index) -> None:
    assert index_of(normal(30_000), 0.9).plan == large.plan


def test_a_plan_cannot_be_changed(large: Index) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        large.plan.engine = "exact"  # type: ignore[misc]


def test_an_empty_index_has_no_plan_yet() -> None:
    assert Index("cosine").plan == Plan(
        "not planned yet", "cosine", "nothing stored yet", reason="the plan follows the items"
    )


def test_what_was_added_later_is_planned_for(large: Index) -> None:
    index = index_of(normal(300))
    assert index.plan.engine == "exact"
    index.add(normal(20_000, seed=4))
    assert index.plan.engine == "cells"
    more = normal(1, seed=5)
    added = index.add(more)
    assert index.search(more[0], k=1).ids.tolist() == added.tolist()


def test_packed_bits_are_searched_exactly_and_looked_up_when_they_are_many() -> None:
    codes = np.random.default_rng(0).integers(0, 256, (5000, 32), np.uint8)
    for count, engine in ((1000, "exact"), (5000, "multi_index")):
        index = Index("hamming")
        index.add(codes[:count])
        assert index.plan.engine == engine
        assert index.plan.predicted_recall == 1.0
        assert "recall 1" in str(index.plan)


def test_a_radius_finds_what_exact_search_finds_within_the_promise(large: Index) -> None:
    queries = normal(200, seed=7)
    radius = 4.2
    found = large.within(queries, radius)
    truth = large.within(queries, radius, recall=1.0)
    sizes = np.diff(truth.offsets if truth.offsets is not None else [])
    assert sizes.max() > 800  # more than one round of growing
    assert (sizes < 100).any()
    shares = []
    for mine, whole in zip(found, truth, strict=True):
        assert set(mine.ids.tolist()) <= set(whole.ids.tolist())
        assert (mine.distances <= radius).all()
        if len(whole):
            shares.append(len(mine) / len(whole))
    # The promise is .9; a mean of 200 recalls below .87 would be more than four errors off.
    assert np.mean(shares) > 0.87


def test_a_lost_neighbour_is_followed_to_the_step_that_lost_it(large: Index) -> None:
    fates = set()
    for query in normal(60, seed=8):
        truth, found = large.search(query, recall=1.0).ids, large.search(query).ids
        for lost in set(truth.tolist()) - set(found.tolist()):
            fate = large.explain(query, id=lost).fate
            assert fate is not None
            assert fate.recall is not None
            assert lost in large.search(query, recall=fate.recall).ids
            assert "would have found it" in str(fate)
            fates.add(fate.what.split(":")[0])
        fate = large.explain(query, id=int(found[0])).fate
        assert fate is not None
        assert fate.what == "found"
    assert fates == {"lost in hash", "lost in filter"}
    far = int(np.argmax(np.abs(normal(30_000)).sum(axis=1)))
    fate = large.explain(normal(1, seed=9)[0], id=far).fate
    assert fate is not None
    assert fate.what == "not among the true k nearest"


def test_cells_are_tried_where_exact_search_costs_more() -> None:
    def rows(count: int, width: int) -> Rows:
        rows = Rows(width, Measure.squared_differences)
        rows.append(np.zeros((count, width), np.uint8))
        return rows

    assert not cells_may_pay(rows(1797, 64))
    assert cells_may_pay(rows(20_000, 784))


def test_an_interrupted_build_leaves_the_index_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    index = index_of(normal(20_000), 0.9)
    built = CellsPlanner.__init__

    def interrupted(self: CellsPlanner, *arguments: object) -> None:
        built(self, *arguments)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(CellsPlanner, "__init__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        index.search(normal(1)[0])
    monkeypatch.undo()
    assert "not planned yet" in repr(index)
    assert index.plan.engine == "cells"
