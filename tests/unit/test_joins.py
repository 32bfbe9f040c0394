"""Groups of items that hang together by pairs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from lookalike import Index, InvalidInput
from lookalike.joins import distances_from, distances_within, groups, spanning_tree

Bytes = npt.NDArray[np.uint8]


def line(*places: float) -> Index:
    index = Index("l2", recall=1)
    index.add(np.array(places, np.float32)[:, None] + 0.25)
    return index


def test_a_chain_is_one_group_that_says_how_long_it_is() -> None:
    index = line(0, 1, 2, 3.5, 100, 101, 500)
    chain, pair = groups(index, index.pairs(1.5))
    assert chain.ids.tolist() == [0, 1, 2, 3]
    assert chain.medoid == 1
    assert chain.diameter == pytest.approx(3.5)
    assert chain.weakest_link == pytest.approx(1.5)
    assert not chain.sampled
    assert pair.ids.tolist() == [4, 5]
    assert pair.diameter == pair.weakest_link == pytest.approx(1.0)
    assert len(pair) == 2


def test_a_split_group_has_no_members_beyond_the_radius() -> None:
    index = line(0, 1, 2, 3, 10)
    parts = groups(index, index.pairs(1.5), split=True)
    assert [part.ids.tolist() for part in parts] == [[0, 1], [2, 3]]
    assert all(part.diameter <= 1.5 for part in parts)


def test_components_are_those_of_a_search_through_the_graph() -> None:
    random = np.random.default_rng(0)
    places = random.random(400).astype(np.float32) * 100
    index = line(*places)
    found = groups(index, index.pairs(0.2))
    order = np.argsort(places, kind="stable")
    breaks = np.flatnonzero(np.diff(places[order]) > 0.2) + 1
    wanted = [np.sort(part).tolist() for part in np.split(order, breaks) if len(part) > 1]
    assert sorted(group.ids.tolist() for group in found) == sorted(wanted)
    sizes = [len(group) for group in found]
    assert sizes == sorted(sizes, reverse=True)


def test_groups_of_bits_with_ids_of_ones_own_after_removals() -> None:
    codes = np.zeros((6000, 32), np.uint8)
    codes[:] = np.random.default_rng(1).integers(0, 256, codes.shape)
    codes[3:6] = codes[2]
    codes[5, 0] ^= 1
    index = Index("hamming")
    index.add(codes, ids=np.arange(6000)[::-1] + 10)
    index.remove([6009 - 3])
    (group,) = groups(index, index.pairs(8))
    assert group.ids.tolist() == [6007, 6005, 6004]
    assert group.diameter == 1.0


def test_large_groups_are_sampled_and_say_so() -> None:
    index = Index("hamming")
    codes = np.zeros((2500, 8), np.uint8)
    codes[:, 0] = np.arange(2500) % 2
    index.add(codes)
    (group,) = groups(index, index.pairs(1))
    assert len(group) == 2500
    assert group.sampled
    assert group.diameter == 1.0


def test_pairs_of_another_index_are_refused() -> None:
    index = line(0, 1, 2)
    pairs = index.pairs(1.5)
    index.remove(2)
    with pytest.raises(InvalidInput, match="id 2"):
        groups(index, pairs)


def test_nothing_hangs_together() -> None:
    index = line(0, 10, 20)
    assert groups(index, index.pairs(1)) == []


@pytest.mark.parametrize("metric", ["l1", "l2", "cosine"])
def test_distances_within_groups_are_those_of_the_metric(metric: str) -> None:
    vectors = np.random.default_rng(2).normal(size=(3000, 3)).astype(np.float32)
    index = Index(metric)
    ids = index.add(vectors, ids=np.arange(3000)[::-1])
    parts = [ids[[5, 2, 9]], ids[[7]], ids[100:2100], ids[[1, 0]]]
    for own, distances in zip(parts, distances_within(index, parts), strict=True):
        wanted = _distances(metric, vectors[2999 - own])
        assert distances == pytest.approx(wanted, abs=1e-5)
        assert (distances == distances.T).all()
        assert distances_from(index, own[-1], own) == pytest.approx(wanted[-1], abs=1e-5)


def _distances(metric: str, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    own = vectors.astype(np.float64)
    if metric == "cosine":
        own /= np.linalg.norm(own, axis=1, keepdims=True)
        found: npt.NDArray[np.float64] = 1 - own @ own.T
    else:
        found = np.linalg.norm(own[:, None] - own, ord=1 if metric == "l1" else 2, axis=-1)
    return found


def test_a_spanning_tree_has_infinite_edges_only_where_it_must() -> None:
    lengths = np.full((4, 4), np.inf)
    for one, other, length in ((0, 1, 5.0), (1, 2, 1.0), (0, 2, 4.0)):
        lengths[one, other] = lengths[other, one] = length
    ends = spanning_tree(lengths)
    assert sorted(lengths[tuple(edge)] for edge in ends.tolist()) == [1.0, 4.0, np.inf]
    assert spanning_tree(np.zeros((1, 1))).shape == (0, 2)
