"""Lines cut into intervals: floors of products, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike import InvalidInput
from lookalike.hashing.p_stable import PStable, PStableFunctions


def vectors(count: int, dimension: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)


@pytest.mark.parametrize("bits", [1, 2, 5, 64])
def test_a_value_is_the_number_of_the_interval(cpu_level: str, bits: int) -> None:
    lines = np.rint(8 * vectors(3 * bits, 20)).reshape(3, bits, 20) / np.float32(4)
    shifts = np.random.default_rng(2).integers(0, 4, (3, bits)).astype(np.float32) / np.float32(4)
    items = np.rint(8 * vectors(50, 20, seed=1))
    codes = PStableFunctions(lines, shifts).hash(items)
    assert codes.shape == (3, 50, -(-bits // 2))
    expected = np.floor(np.einsum("tbd,nd->tnb", lines, items) + shifts[:, None])
    values = codes.view("<i4")
    assert (values[:, :, :bits] == expected).all()
    assert (values[:, :, bits:] == 0).all()


def test_more_bits_and_more_tables_leave_the_first_as_they_are() -> None:
    items = vectors(40, 30)
    few = PStable(30, 0.5).draw(3, tables=2, bits=4).hash(items)
    more = PStable(30, 0.5).draw(3, tables=5, bits=8).hash(items)
    assert (more[:2, :, :2] == few).all()
    assert (few[0] != few[1]).any()


def test_codes_depend_neither_on_threads_nor_on_the_batch() -> None:
    functions = PStable(30, 0.5).draw(3, tables=4, bits=9)
    items = vectors(500, 30)
    codes = functions.hash(items)
    assert (functions.hash(items, threads=3) == codes).all()
    assert (functions.hash(items[77:78]) == codes[:, 77:78]).all()


def test_what_lies_too_far_is_in_the_last_interval() -> None:
    functions = PStableFunctions(np.ones((1, 2, 1), np.float32), np.zeros((1, 2), np.float32))
    values = functions.hash(np.array([[1e30], [-1e30]])).view("<i4")
    assert values.tolist() == [[[2**31 - 128] * 2, [128 - 2**31] * 2]]


def test_the_chance_falls_from_one_to_zero() -> None:
    family = PStable(1, 2.0)
    chances = [family.collision_probability(c) for c in (0.0, 1e-320, 0.5, 1, 5, 1e9, np.inf)]
    assert chances[0] == 1.0
    assert chances[-1] == 0.0
    assert chances == sorted(chances, reverse=True)
    for wrong in (-0.1, float("nan")):
        with pytest.raises(InvalidInput, match="distance must be at least 0"):
            family.collision_probability(wrong)


@pytest.mark.parametrize("width", [0.0, -1.0, float("nan"), float("inf")])
def test_a_width_that_is_no_length_is_refused(width: float) -> None:
    with pytest.raises(InvalidInput, match="width must be a positive"):
        PStable(3, width)
