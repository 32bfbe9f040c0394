"""Data that break careless engines: duplicates, degenerate directions, extreme scales."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lookalike import Index
from lookalike.errors import InvalidInput

Array = npt.NDArray[Any]
COUNT = 6000


def random() -> np.random.Generator:
    return np.random.default_rng(0)


def normal(width: int = 24) -> npt.NDArray[np.float32]:
    return random().normal(size=(COUNT, width)).astype(np.float32)


def clusters() -> npt.NDArray[np.float32]:
    centres = random().normal(size=(30, 24)) * 5
    return (np.repeat(centres, COUNT // 30, axis=0) + 0.3 * normal()).astype(np.float32)


def with_constants() -> npt.NDArray[np.float32]:
    vectors = normal()
    vectors[:, 5:15] = 3.0
    return vectors


def with_outlier() -> npt.NDArray[np.float32]:
    vectors = normal()
    vectors[7] *= 1e6
    return vectors


HARD: dict[str, Callable[[], Array]] = {
    "all equal": lambda: np.full((COUNT, 24), 3.5, np.float32),
    "all equal bytes": lambda: np.full((COUNT, 24), 7, np.uint8),
    "many duplicates": lambda: np.repeat(normal()[:60], COUNT // 60, axis=0),
    "sorted by cluster": clusters,
    "sorted by value": lambda: np.sort(normal(), axis=0),
    "constant dimensions": with_constants,
    "an outlier": with_outlier,
    "heavy tails": lambda: random().standard_cauchy((COUNT, 24)).astype(np.float32),
    "mean far away": lambda: normal() + np.float32(1e4),
    "tiny": lambda: normal() * np.float32(1e-30),
    "denormal": lambda: normal() * np.float32(1e-39),
    "large": lambda: normal() * np.float32(1e15),
    "1 dimension": lambda: normal(1),
    "2 dimensions": lambda: normal(2),
    "3 dimensions": lambda: normal(3),
    "65 dimensions": lambda: normal(65),
    "half precision": lambda: normal().astype(np.float16),
    "double precision": lambda: normal().astype(np.float64),
    "integers": lambda: random().integers(-3000, 3000, (COUNT, 24)).astype(np.int16),
    "booleans": lambda: random().random((COUNT, 24)) < 0.5,
}


def true_distances(vectors: Array, query: Array, metric: str) -> npt.NDArray[np.float64]:
    x, q = vectors.astype(np.float64), query.astype(np.float64)
    if metric == "l1":
        return np.asarray(np.abs(x - q).sum(axis=1))
    if metric == "l2":
        scale = max(np.abs(x - q).max(), 1e-300)
        return np.asarray(scale * np.sqrt((((x - q) / scale) ** 2).sum(axis=1)))
    x, q = x / np.abs(x).max(axis=1, keepdims=True), q / np.abs(q).max()
    return np.asarray(1 - (x @ q) / np.sqrt((x * x).sum(axis=1) * (q @ q)))


@pytest.mark.parametrize("metric", ["l1", "l2", "cosine"])
@pytest.mark.parametrize("kind", HARD)
def test_hard_data_are_searched_with_exact_distances_and_the_promised_recall(
    kind: str, metric: str
) -> None:
    vectors = HARD[kind]()
    if metric == "cosine" and kind in ("booleans", "denormal", "1 dimension"):
        vectors = vectors[vectors.astype(np.float64).any(axis=1)] + 1.0
    index = Index(metric, recall=0.9)
    index.add(vectors)
    queries = vectors[:: len(vectors) // 100][:100]
    hits = index.search(queries)
    shares = []
    for query, ids, distances in zip(queries, hits.ids, hits.distances, strict=True):
        truth = true_distances(vectors, query, metric)
        rounding = 1e-6 * truth.max() + 1e-12 if metric == "cosine" else 2e-7 * truth.max()
        assert len(set(ids.tolist())) == 10
        assert (np.diff(distances) >= 0).all()
        np.testing.assert_allclose(truth[ids], distances, rtol=1e-5, atol=rounding)
        shares.append((distances <= np.sort(truth)[9] * (1 + 1e-6) + rounding).mean())
    # The members find themselves, so this is a floor; 100 means of 10 scatter by some .02.
    assert np.mean(shares) > 0.8
    one = index.search(queries[3])
    assert (one.ids == hits.ids[3]).all()
    assert (one.distances == hits.distances[3]).all()


@pytest.mark.parametrize(
    ("metric", "bad", "parts"),
    [
        ("l2", lambda v: v * np.float32(1e30), ["squares that float32 can add", "0, 1, 2"]),
        ("cosine", lambda v: v * np.float32(1e37), ["squares that float32 can add", "Divide"]),
        ("cosine", lambda v: np.where(np.arange(COUNT)[:, None] % 4000 == 3, 0, v),
         ["direction", "2 of 6000", "3, 4003"]),
        ("l2", lambda v: np.where(v > 4, np.nan, v), ["must be finite", "nan at"]),
        ("l1", lambda v: np.where(v > 4, np.inf, v), ["must be finite", "inf at"]),
    ],
)  # fmt: skip
def test_what_cannot_be_stored_is_named_with_its_positions(
    metric: str, bad: Callable[[Array], Array], parts: list[str]
) -> None:
    index = Index(metric)
    with pytest.raises(InvalidInput) as refusal:
        index.add(bad(normal()))
    for part in parts:
        assert part in str(refusal.value)
    assert len(index) == 0
    index.add(normal())
    with pytest.raises(InvalidInput):
        index.search(bad(normal()))
    assert len(index) == COUNT


def test_every_item_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = normal()[:2500]
    index = Index("l2")
    index.add(vectors)
    hits = index.search(vectors[0], k=2500)
    assert sorted(hits.ids.tolist()) == list(range(2500))
    more = index.search(vectors[0], k=2600)
    assert (more.ids[2500:] == -1).all()
    assert np.isinf(more.distances[2500:]).all()


def test_items_with_fractions_join_whole_ones() -> None:
    index = Index("l2")
    whole = np.random.default_rng(1).integers(0, 256, (100, 8))
    index.add(whole)
    assert index.plan.stored_as == "uint8 from int64, without loss"
    with pytest.raises(InvalidInput, match="items of this index are whole"):
        index.search(whole[0] + 0.5)
    index.add(whole[:10] + 0.5)
    assert index.plan.stored_as == "float32 from float64, rounded"
    hits = index.search(whole[3] + 0.5, k=2)
    assert hits.ids.tolist() == [103, 3]
    assert hits.distances.tolist() == [0.0, pytest.approx(np.sqrt(8 * 0.25))]
    assert (index.vectors([3]) == whole[3]).all()


def test_a_value_range_says_that_items_are_whole() -> None:
    index = Index("l2", value_range=16)
    with pytest.raises(InvalidInput, match=r"must lie in \[0, 16\]"):
        index.add(np.full((2, 4), 17))
    with pytest.raises(InvalidInput, match="whole numbers"):
        index.add(np.full((2, 4), 0.5))
    with pytest.raises(InvalidInput, match="value_range must be left out"):
        Index("cosine", value_range=3)
