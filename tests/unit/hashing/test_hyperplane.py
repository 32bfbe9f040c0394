"""Hyperplanes: signs of products, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike import Index, InvalidInput
from lookalike.hashing.hyperplane import Hyperplane, HyperplaneFunctions


def vectors(count: int, dimension: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)


@pytest.mark.parametrize("bits", [1, 5, 63, 64, 65, 130])
def test_a_bit_says_on_which_side_of_its_plane_an_item_lies(cpu_level: str, bits: int) -> None:
    planes = np.rint(8 * vectors(3 * bits, 20)).reshape(3, bits, 20)
    items = np.rint(8 * vectors(50, 20, seed=1))
    codes = HyperplaneFunctions(planes).hash(items)
    assert codes.shape == (3, 50, -(-bits // 64))
    sides = np.einsum("tbd,nd->tnb", planes.astype(int), items.astype(int)) >= 0
    for j in range(bits):
        bit = codes[:, :, j // 64] >> np.uint64(j % 64) & np.uint64(1)
        assert (bit == sides[:, :, j]).all()
    if bits % 64:
        assert (codes[:, :, -1] >> np.uint64(bits % 64) == 0).all()


def test_more_bits_and_more_tables_leave_the_first_as_they_are() -> None:
    items = vectors(40, 30)
    few = Hyperplane(30).draw(3, tables=2, bits=10).hash(items)
    more = Hyperplane(30).draw(3, tables=5, bits=20).hash(items)
    assert (more[:2, :, 0] & np.uint64(1023) == few[:, :, 0]).all()
    assert (few[0] != few[1]).any()


def test_codes_depend_neither_on_lengths_nor_on_threads_nor_on_the_batch() -> None:
    functions = Hyperplane(30).draw(3, tables=4, bits=40)
    items = vectors(500, 30)
    codes = functions.hash(items)
    assert (functions.hash(items * 4, threads=3) == codes).all()
    assert (functions.hash(items[77:78]) == codes[:, 77:78]).all()


def test_the_chance_of_agreement_is_one_less_the_share_of_the_angle() -> None:
    family = Hyperplane(3)
    assert family.collision_probability(0.0) == 1.0
    assert family.collision_probability(2.0) == 0.0
    assert family.collision_probability(0.5) == pytest.approx(2 / 3)
    for wrong in (-0.1, 2.1, float("nan")):
        with pytest.raises(InvalidInput, match="distance must be in"):
            family.collision_probability(wrong)


def test_an_index_of_hyperplanes_finds_what_shares_a_bucket() -> None:
    items = vectors(2000, 24)
    index = Index("cosine", bits=8, tables=6, seed=5)
    index.add(items)
    codes = Hyperplane(24).draw(5, tables=6, bits=8).hash(items)[:, :, 0]
    queries = items[:30] + 0.1 * vectors(30, 24, seed=2)
    asked = Hyperplane(24).draw(5, tables=6, bits=8).hash(queries)[:, :, 0]
    candidates = index.candidates(queries)
    hits = index.search(queries, k=5)
    for q, query in enumerate(queries):
        shared = np.flatnonzero((codes == asked[:, q : q + 1]).any(axis=0))
        assert (candidates[q] == shared).all()
        one = index.search(query, k=5)
        assert (one.ids == hits.ids[q]).all()
        cosines = items[shared] @ query / np.linalg.norm(items[shared], axis=1)
        nearest = shared[np.argsort(-cosines)][:5]
        assert (hits.ids[q][: len(nearest)] == nearest).all()
    index.remove(np.arange(0, 2000, 2))
    assert (index.search(queries, k=5).ids % 2 != 0).all()
    assert index.plan.engine == "tables"
    assert "hash" in str(index.explain(queries[0]))
