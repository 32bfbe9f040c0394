"""Classic LSH for every metric: bits, tables and probes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lookalike import Index
from lookalike.errors import InvalidInput
from lookalike.hashing.bit_sampling import BitSampling

WIDTH, COUNT = 24, 3000


def mixture(seed: int, count: int) -> npt.NDArray[np.float32]:
    centres = np.random.default_rng(0).normal(size=(60, WIDTH)) * 2
    random = np.random.default_rng(seed)
    return np.asarray(
        centres[random.integers(0, 60, count)] + random.normal(size=(count, WIDTH)), np.float32
    )


def in_bytes(seed: int, count: int) -> npt.NDArray[np.uint8]:
    return np.clip(mixture(seed, count) * 20 + 128, 0, 255).astype(np.uint8)


CASES: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "l1 of bytes": ("l1", in_bytes, {}),
    "l1 of bytes, on lines": ("l1", in_bytes, {"family": "p_stable"}),
    "l1 of floats": ("l1", mixture, {}),
    "l2": ("l2", mixture, {}),
    "l2 of bytes": ("l2", in_bytes, {}),
    "cosine": ("cosine", mixture, {}),
    "cosine, cross-polytopes": ("cosine", mixture, {"family": "cross_polytope"}),
    "hamming": ("hamming", in_bytes, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_more_probes_find_more_and_lose_nothing(case: str) -> None:
    metric, made, options = CASES[case]
    queries, recalls, before = made(2, 60), [], None
    exact = Index(metric, recall=1.0)
    exact.add(made(1, COUNT))
    truth = exact.search(queries, k=5).distances[:, -1:]
    # One bit says less, one cross-polytope more than a plane or an interval.
    bits = {"l1 of bytes": 40, "cosine, cross-polytopes": 3}.get(case, 10)
    for probes in (1, 8, 40):
        index = Index(metric, bits=bits, tables=3, probes=probes, **options)
        index.add(made(1, COUNT))
        candidates = index.candidates(queries)
        hits = index.search(queries, k=5)
        recalls.append(float((hits.distances <= truth).mean()))
        for q, own in enumerate(candidates):
            assert (np.diff(own) > 0).all()
            assert np.isin(hits.ids[q][hits.ids[q] >= 0], own).all()
            assert before is None or np.isin(before[q], own).all()
            one = index.search(queries[q], k=5)
            assert (one.ids == hits.ids[q]).all()
            assert (index.candidates(queries[q]) == own).all()
        before = candidates
        assert index.plan.parameters.get("probes", 1) == probes
    assert recalls[0] < recalls[1] < recalls[2]


@pytest.mark.parametrize("case", CASES)
def test_an_item_is_found_by_itself(case: str) -> None:
    metric, made, options = CASES[case]
    index = Index(metric, bits=12, tables=2, **options)
    items = made(1, 500)
    index.add(items)
    assert (index.search(items, k=1).distances[:, 0] < 1e-6).all()
    late = made(9, 100)
    ids = index.add(late)
    index.remove(ids[:50])
    assert (index.search(late[50:], k=1).distances[:, 0] < 1e-6).all()
    assert not np.isin(ids[:50], index.search(late, k=3).ids).any()


def test_the_intervals_follow_the_items_unless_given() -> None:
    index = Index("l2", bits=6, tables=4)
    index.add(mixture(1, 1000))
    assert "intervals of lines are" in index.plan.reason
    small, large = (Index("l2", bits=6, tables=4) for _ in range(2))
    small.add(mixture(1, 1000) * 1e-12)
    large.add(mixture(1, 1000) * 1e12)
    a, b, c = (i.candidates(v) for i, v in (
        (index, mixture(2, 20)), (small, mixture(2, 20) * 1e-12), (large, mixture(2, 20) * 1e12)
    ))  # fmt: skip
    agreeing = [np.intersect1d(x, y).size / max(1, len(x)) for x, y in zip(a, b, strict=True)]
    assert np.mean(agreeing) > 0.95
    agreeing = [np.intersect1d(x, y).size / max(1, len(x)) for x, y in zip(a, c, strict=True)]
    assert np.mean(agreeing) > 0.95
    given = Index("l2", bits=6, tables=4, bucket_width=2.5)
    given.add(mixture(1, 100))
    assert "intervals of lines are 2.5 long" in given.plan.reason


def test_a_family_of_bytes_refuses_other_numbers() -> None:
    index = Index("l1", bits=6, tables=2, family="bit_sampling")
    with pytest.raises(InvalidInput, match="must lie in"):
        index.add(mixture(1, 10))
    assert len(index) == 0


def test_equal_items_and_one_dimension_are_hashed() -> None:
    for items in (np.ones((50, 3), np.float32), np.arange(50.0)[:, None] + 0.5):
        index = Index("l2", bits=4, tables=2, probes=3)
        index.add(items)
        assert (index.search(items, k=1).distances == 0).all()


def test_items_aimed_at_a_known_seed_miss_an_unknown_one() -> None:
    """They agree with the query in all values that the known seed samples, and in no others."""
    random = np.random.default_rng(0)
    query = random.integers(0, 2, 400, np.uint8) * 255
    sampled = BitSampling(400, 255).draw(0, tables=4, bits=8)
    read = np.zeros(400, bool)
    read[np.unique(sampled._positions)] = True
    aimed = np.where(read, query, 255 - query) ^ random.integers(0, 2, (300, 400), np.uint8)

    def met(seed: int | None) -> int:
        index = Index("l1", bits=8, tables=4, seed=seed)
        index.add(aimed)
        return len(np.asarray(index.candidates(query)))

    assert met(0) == 300
    assert Index("l1", seed=None).seed != Index("l1", seed=None).seed
    # About 8 % of the values are aimed at: a table whose 8 bits all are has a chance of 1e-8.
    assert met(None) == 0


@pytest.mark.parametrize(
    ("metric", "options", "part"),
    [
        ("l2", {"probes": 3}, "must go with bits and tables"),
        ("l2", {"bucket_width": 3.0}, "must go with bits and tables"),
        ("l2", {"bits": 3, "tables": 2, "probes": 0}, "probes must be"),
        ("cosine", {"bits": 3, "tables": 2, "bucket_width": 1.0}, "of metric 'l1' or 'l2'"),
        ("cosine", {"family": "hyperplane"}, "must go with bits and tables"),
        ("cosine", {"bits": 3, "tables": 2, "family": "p_stable"}, "one of 'hyperplane', 'cross"),
        (
            "l1",
            {"bits": 3, "tables": 2, "family": "bit_sampling", "bucket_width": 1.0},
            "for family 'p_stable'",
        ),
        ("l2", {"bits": 3, "tables": 2, "bucket_width": -1.0}, "must be a positive number"),
        ("l2", {"bits": 3, "tables": 2, "bucket_width": float("nan")}, "must be a positive"),
    ],
)
def test_what_does_not_go_together_is_refused(
    metric: str, options: dict[str, Any], part: str
) -> None:
    with pytest.raises(InvalidInput, match=part):
        Index(metric, **options)
