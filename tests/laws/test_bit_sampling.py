"""The law of bit sampling: P[a bit agrees] is what ``collision_probability`` declares.

Each drawn bit is an independent trial with that chance of success, so the number of agreeing
bits is binomial. By Hoeffding's inequality the observed share lies within
``sqrt(ln(2 / RATE) / (2 n))`` of it, except with a chance of RATE; over all cases of this file a
correct library fails with a chance of less than one in a million. The draws are fixed by seeds,
so the tests either always pass or never.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from lookalike.hashing.bit_sampling import BitSampling, threshold_functions
from lookalike.hashing.curves import s_curve

RATE = 1e-9
TABLES, BITS = 100, 640


def bound(trials: int) -> float:
    return math.sqrt(math.log(2 / RATE) / (2 * trials))


def agreeing(codes: npt.NDArray[np.uint64]) -> float:
    """Share of drawn bits that are equal in the two items."""
    different = np.bitwise_xor(codes[:, 0], codes[:, 1])
    return 1.0 - int(np.bitwise_count(different).sum()) / (TABLES * BITS)


@pytest.mark.parametrize("value_range", [1, 16, 255])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.1, 0.5, 0.9, 1.0])
def test_observed_agreement_is_the_declared_one_for_integers(
    cpu_level: str, value_range: int, share: float
) -> None:
    family = BitSampling(50, value_range)
    distance = round(share * family.string_bits)
    a = np.zeros(50, np.int64)
    b = np.full(50, distance // 50)
    b[: distance % 50] += 1
    pair = np.stack([a, b]).astype(np.uint8)
    assert np.abs(b - a).sum() == distance
    codes = family.draw(11, tables=TABLES, bits=BITS).hash(pair)
    declared = family.collision_probability(distance)
    assert abs(agreeing(codes) - declared) <= bound(TABLES * BITS)


@pytest.mark.parametrize("width_bits", [64, 250, 256])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 1.0])
def test_observed_agreement_is_the_declared_one_for_bits(
    cpu_level: str, width_bits: int, share: float
) -> None:
    family = BitSampling(width_bits)
    distance = round(share * width_bits)
    bits = np.random.default_rng(2).random((1, width_bits)) < 0.5
    flipped = bits.copy()
    flipped[0, :distance] ^= True
    pair = np.packbits(np.concatenate([bits, flipped]), axis=1)
    codes = family.draw(12, tables=TABLES, bits=BITS).hash(pair)
    assert abs(agreeing(codes) - family.collision_probability(distance)) <= bound(TABLES * BITS)


def test_every_bit_of_the_string_is_drawn() -> None:
    # 64,000 draws of 1,024: one is missed with a chance below 1024 exp(-62.5) < 1e-23.
    family = BitSampling(64, 16)
    drawn = set()
    for x in range(64):
        for value in range(16):
            pair = np.zeros((2, 64), np.uint8)
            pair[0, x], pair[1, x] = value, value + 1
            codes = family.draw(0, tables=TABLES, bits=BITS).hash(pair)
            if (codes[:, 0] != codes[:, 1]).any():
                drawn.add((x, value))
    assert len(drawn) == 1024


def test_tables_have_streams_of_their_own() -> None:
    items = np.random.default_rng(3).integers(0, 17, (500, 64), np.uint8)
    codes = BitSampling(64, 16).draw(0, tables=20, bits=32).hash(items)
    for a in range(20):
        for b in range(a):
            assert (codes[a] != codes[b]).any()


def test_more_bits_extend_a_code_and_more_tables_leave_it() -> None:
    items = np.random.default_rng(4).integers(0, 17, (200, 64), np.uint8)
    family = BitSampling(64, 16)
    short = family.draw(5, tables=3, bits=20).hash(items)
    long = family.draw(5, tables=7, bits=50).hash(items)
    assert (short[:, :, 0] == long[:3, :, 0] & np.uint64(2**20 - 1)).all()


def test_neighbouring_seeds_draw_independently() -> None:
    # Equal bits of two independent codes are a fair coin for a random item.
    family = BitSampling(256)
    items = np.random.default_rng(6).integers(0, 256, (1, 32), np.uint8)
    a = family.draw(100, tables=TABLES, bits=BITS).hash(items)
    b = family.draw(101, tables=TABLES, bits=BITS).hash(items)
    ones = np.unpackbits(items).mean()
    expected = ones**2 + (1 - ones) ** 2
    equal = 1 - int(np.bitwise_count(a ^ b).sum()) / (TABLES * BITS)
    assert abs(equal - expected) <= bound(TABLES * BITS)


def test_a_pair_shares_a_bucket_as_often_as_the_s_curve_says() -> None:
    # 400 seeds, one index each: shared in at least one of 5 tables of 20 bits.
    family = BitSampling(64, 16)
    pair = np.zeros((2, 64), np.uint8)
    pair[1, :40] = 2
    seeds = 400
    shared = 0
    for seed in range(seeds):
        codes = family.draw(seed, tables=5, bits=20).hash(pair)
        shared += bool((codes[:, 0] == codes[:, 1]).all(axis=1).any())
    declared = float(s_curve(family.collision_probability(80), 20, 5))
    assert abs(shared / seeds - declared) <= bound(seeds)


def test_the_rule_of_the_lab_is_one_threshold_away() -> None:
    positions, thresholds = np.array([[0, 0, 0]]), np.array([[-1, 0, 4]])
    drawn = threshold_functions(positions, thresholds, dimension=1, value_range=16)
    codes = drawn.hash(np.array([[0], [1], [4], [5]], np.uint8))[0, :, 0]
    assert codes.tolist() == [0b001, 0b011, 0b011, 0b111]
