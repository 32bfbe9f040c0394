"""An index that promises for any query."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lookalike import Index
from lookalike.errors import InvalidInput, NotSupported

WIDTH, COUNT = 24, 9000


def mixture(seed: int, count: int) -> npt.NDArray[np.float32]:
    centres = np.random.default_rng(0).normal(size=(60, WIDTH)) * 2
    random = np.random.default_rng(seed)
    spread = random.normal(size=(count, WIDTH))
    return np.asarray(centres[random.integers(0, 60, count)] + spread, np.float32)


@pytest.fixture
def index() -> Index:
    index = Index("l2", recall=0.9, promise="guaranteed")
    index.add(mixture(1, COUNT))
    return index


def test_the_plan_says_what_is_promised_and_over_what(index: Index) -> None:
    plan = index.plan
    assert plan.engine == "prefixes"
    assert plan.parameters["bits"] == 32
    assert "each true neighbour of any query" in plan.promise
    assert "over the draw of the hash functions" in str(plan)
    assert index.search(mixture(2, 1)[0]).widened is False
    steps = index.explain(mixture(2, 1)[0]).steps
    assert [step.name for step in steps] == ["hash", "filter", "verify"]
    assert index.size_bytes > index.vectors(index.ids).nbytes


def test_queries_of_any_kind_find_what_was_promised(index: Index) -> None:
    """One draw, so the queries of a kind share its luck: less is asked for than in the law."""
    for queries in (mixture(2, 300), -mixture(2, 300), mixture(2, 300) * 3):
        assert index.measure(queries=queries).recall > 0.85


def test_a_higher_recall_is_another_stop_of_the_same_tables(index: Index) -> None:
    queries = mixture(2, 300)
    few, many = (index.measure(queries=queries, recall=r).recall for r in (0.5, 0.99))
    assert few < many
    assert many > 0.98
    assert index.explain(queries[0], recall=1.0).plan.startswith("exact")
    # More neighbours than a fourth of the members: nothing can be left out.
    assert (index.search(queries[:3], k=COUNT // 3).ids >= 0).all()


def test_it_lives(index: Index) -> None:
    index.search(mixture(2, 1)[0])
    late = index.add(mixture(3, 500))
    queries = index.vectors(late)
    assert (index.search(queries, k=1).ids[:, 0] == late).all()  # equal items share all codes
    later = index.add(mixture(4, 3000))
    index.remove(index.ids[:4000])
    assert (index.search(index.vectors(later), k=1).ids[:, 0] == later).mean() > 0.99
    assert index.measure(queries=mixture(2, 300)).recall > 0.85
    radius = float(np.median(index.search(mixture(2, 50)).distances[:, -1]))
    found = index.within(mixture(2, 50), radius)
    missed = index.within(mixture(2, 50), radius, recall=1.0)
    assert len(found.ids) > 0.85 * len(missed.ids)
    assert (index.search(mixture(2, 5), where=later).ids >= later[0]).all()


def test_an_item_that_was_lost_is_explained(index: Index) -> None:
    for query in mixture(2, 400):
        truth = index.search(query, recall=1.0).ids
        lost = np.setdiff1d(truth, index.search(query, recall=0.5).ids)
        if lost.size:
            fate = index.explain(query, recall=0.5, id=int(lost[0])).fate
            assert fate is not None
            assert "chance of 0.5 at most" in fate.what
            return
    pytest.fail("nothing was lost")


@pytest.mark.parametrize("metric", ["l1", "l2", "cosine", "hamming"])
def test_every_metric_has_a_guarantee(metric: str) -> None:
    items: npt.NDArray[Any] = np.clip(mixture(1, 6000) * 20 + 128, 0, 255).astype(np.uint8)
    index = Index(metric, recall=0.9, promise="guaranteed")
    index.add(items)
    assert index.plan.engine == "prefixes"
    assert index.measure().recall > 0.85


def test_where_nothing_can_be_hashed_or_saved_search_is_exact() -> None:
    few = Index("l2", promise="guaranteed")
    few.add(mixture(1, 1000))
    assert few.plan.engine == "exact"
    floats = Index("l1", promise="guaranteed")
    floats.add(mixture(1, 6000))
    assert floats.plan.engine == "exact"
    assert "no single bits" in floats.plan.reason


def test_hard_data_is_searched_too() -> None:
    equal = Index("l2", promise="guaranteed")
    equal.add(np.ones((5000, 8), np.float32))
    assert equal.search(np.ones(8, np.float32), k=3).distances.tolist() == [0.0] * 3
    assert equal.search(np.zeros(8, np.float32), k=3).ids.tolist() == [0, 1, 2]
    narrow = Index("l2", promise="guaranteed")
    narrow.add(np.linspace(-1e18, 1e18, 6000, dtype=np.float32)[:, None])
    assert narrow.search(np.array([2e18], np.float32)).ids[0] == 5999


def test_wrong_promises_are_refused() -> None:
    with pytest.raises(InvalidInput, match="promise must be one of"):
        Index("l2", promise="sure")
    with pytest.raises(InvalidInput, match="bits and tables decide"):
        Index("l1", promise="guaranteed", bits=8, tables=4)
    index = Index("l2", promise="guaranteed")
    index.add(mixture(1, 5000))
    with pytest.raises(NotSupported, match="'prefixes'"):
        index.calibrate(mixture(2, 100))
