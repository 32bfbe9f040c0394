"""The promise of recall survives changes of the index."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from lookalike import Drifted, Index

COUNT, DIMENSIONS, QUERIES = 20_000, 32, 2000
RECALL = 0.95
Vectors = npt.NDArray[np.float32]


def mixture(seed: int, count: int) -> Vectors:
    shapes = np.random.default_rng(0)
    centres = shapes.normal(size=(30, DIMENSIONS)) * 1.5
    spreads = shapes.gamma(2.0, 0.5, size=(30, DIMENSIONS))
    random = np.random.default_rng(seed)
    of = random.integers(0, 30, count)
    noise = random.normal(size=(count, DIMENSIONS)) * spreads[of]
    return (centres[of] + noise).astype(np.float32)


def elsewhere(seed: int, count: int) -> Vectors:
    """Around a point where the mixture has nothing, twice as wide."""
    return (12 + 2 * np.random.default_rng(seed).normal(size=(count, DIMENSIONS))).astype(
        np.float32
    )


def half_removed(index: Index) -> Vectors:
    index.remove(np.random.default_rng(5).permutation(COUNT)[: COUNT // 2 - 1])
    return mixture(2, QUERIES)


def one_side_removed(index: Index) -> Vectors:
    gone = index.vectors(index.ids)[:, 0] > 0.5
    index.remove(index.ids[gone])
    queries = mixture(2, 4 * QUERIES)
    return queries[queries[:, 0] <= 0.5][:QUERIES]


def small_adds(index: Index) -> Vectors:
    for part in np.array_split(mixture(3, 3000), 100):
        index.add(part)
    return mixture(2, QUERIES)


def new_cluster(index: Index) -> Vectors:
    """Queries in the proportion of the members."""
    for part in np.array_split(elsewhere(3, 4000), 10):
        index.add(part)
    return np.concatenate([mixture(2, QUERIES * 5 // 6), elsewhere(4, QUERIES // 6)])


CHANGES: list[Callable[[Index], Vectors]] = [
    half_removed,
    one_side_removed,
    small_adds,
    new_cluster,
]


@pytest.fixture
def index() -> Index:
    index = Index("l2", recall=RECALL)
    index.add(mixture(1, COUNT))
    index.search(mixture(2, 1))
    return index


def assert_kept(index: Index, queries: Vectors) -> None:
    """The mean of recalls may fall below by .002 and 3.5 standard errors, a chance of 2.4e-4."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Drifted)
        found = index.search(queries)
    truth = index.search(queries, recall=1.0).distances[:, -1:]
    members = index.vectors(index.ids)
    some = np.linalg.norm(queries[:5, None] - members[None], axis=2)
    assert np.allclose(np.sort(some, axis=1)[:, 9], truth[:5, 0], rtol=1e-5)
    recalls = (found.distances <= truth).mean(axis=1)
    assert recalls.mean() >= RECALL - 0.002 - 3.5 * recalls.std() / np.sqrt(len(queries))
    assert np.isin(found.ids, index.ids).all()


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_the_promise_survives(index: Index, change: Callable[[Index], Vectors]) -> None:
    queries = change(index)
    assert index.plan.engine == "cells"
    assert_kept(index, queries)
    index.rebuild()
    assert index.plan.engine == "cells"
    assert_kept(index, queries)


def copies(seed: int, count: int) -> Vectors:
    """Near copies of few vectors: which of them are nearest is harder to tell by sketches."""
    originals = np.random.default_rng(0).normal(size=(950, DIMENSIONS)) * 3
    random = np.random.default_rng(seed)
    noise = random.normal(size=(count, DIMENSIONS)) * 0.05
    return (originals[random.integers(0, 950, count)] + noise).astype(np.float32)


def test_what_searches_need_is_measured_again_when_the_easy_members_have_gone() -> None:
    index = Index("l2", recall=RECALL)
    index.add(copies(1, 10_100))
    easy = index.add(mixture(1, COUNT - len(index)))
    index.search(copies(2, 1))
    before = index.plan.parameters
    index.remove(easy)
    assert index.plan.parameters["cells"] == before["cells"]  # not built again
    assert_kept(index, copies(2, 3 * QUERIES))


def test_a_small_cluster_elsewhere_is_found_as_well(index: Index) -> None:
    """Sketches cannot tell these members apart: they are compared one by one."""
    index.add(elsewhere(3, COUNT // 40))
    assert_kept(index, elsewhere(4, QUERIES))


def test_members_unlike_the_others_are_warned_of_once_and_mended_by_rebuilding(
    index: Index,
) -> None:
    index.add(elsewhere(3, COUNT - 1))
    with pytest.warns(Drifted, match=r"rebuild\(\)"):
        index.search(mixture(2, 1))
    index.search(mixture(2, 1))  # warnings are errors here: there is no second one
    index.rebuild()
    index.search(mixture(2, 1))
    assert_kept(index, np.concatenate([mixture(2, QUERIES // 2), elsewhere(4, QUERIES // 2)]))


def test_members_like_the_others_are_not_warned_of(index: Index) -> None:
    for item in mixture(3, 300):
        index.add(item[None])
        index.search(item)  # warnings are errors here
    assert index.plan.engine == "cells"


def test_an_index_that_has_doubled_is_planned_again(index: Index) -> None:
    before = index.plan.parameters["cells"]
    index.add(mixture(3, COUNT))
    assert index.plan.parameters["cells"] > before
    assert_kept(index, mixture(2, QUERIES))
