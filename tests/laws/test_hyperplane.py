"""The law of hyperplanes: P[a bit agrees] is what ``collision_probability`` declares.

As for bit sampling, the number of agreeing bits is binomial and Hoeffding's inequality bounds it,
with a chance of 1e-9 for each of fewer than 100 cases. Planes are normal only approximately: 0.001
is added for that.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

from lookalike.hashing.hyperplane import Hyperplane, HyperplaneFunctions
from lookalike.seeds import Purpose, normals

RATE = 1e-9
TABLES, BITS = 100, 640
APPROXIMATE = 0.001


def bound(trials: int) -> float:
    return math.sqrt(math.log(2 / RATE) / (2 * trials))


@cache
def drawn_planes(dimension: int) -> HyperplaneFunctions:
    """Drawing takes longer than hashing."""
    return Hyperplane(dimension).draw(11, tables=TABLES, bits=BITS)


def pair_at(angle: float, dimension: int, spread: bool) -> np.ndarray:
    """Two vectors at an angle: along the first two axes, or in random directions."""
    pair = np.zeros((2, dimension))
    pair[0, 0], pair[1, :2] = 1.0, (math.cos(angle), math.sin(angle))
    if spread:
        turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(dimension, dimension)))
        pair = pair @ turn
    return pair.astype(np.float32)


@pytest.mark.parametrize("spread", [False, True])
@pytest.mark.parametrize("dimension", [2, 50, 150])
@pytest.mark.parametrize("angle", [0.0, 0.05, 0.5, 1.5, 3.0, math.pi])
def test_observed_agreement_is_the_declared_one(
    cpu_level: str, angle: float, dimension: int, spread: bool
) -> None:
    pair = pair_at(angle, dimension, spread)
    family = Hyperplane(dimension)
    codes = drawn_planes(dimension).hash(pair)
    different = int(np.bitwise_count(codes[:, 0] ^ codes[:, 1]).sum())
    agreeing = 1.0 - different / (TABLES * BITS)
    declared = family.collision_probability(min(2.0, 1.0 - math.cos(angle)))
    assert abs(agreeing - declared) <= bound(TABLES * BITS) + APPROXIMATE


def test_the_numbers_that_are_drawn_are_normal_to_a_thousandth() -> None:
    """Ones in 256 random bits, spread over an interval of length 1 each: exact, not drawn."""
    spread = math.sqrt(64 + 1 / 12)
    below = 0.0
    for ones in range(257):
        share = math.comb(256, ones) / 2**256
        for part in (0.0, 0.25, 0.5, 0.75):
            x = (ones - 128.5 + part) / spread
            normal = 0.5 * (1 + math.erf(x / math.sqrt(2)))
            assert abs(below + share * part - normal) < APPROXIMATE
        below += share


def test_drawn_numbers_are_as_described() -> None:
    """Dvoretzky, Kiefer and Wolfowitz bound the largest gap of the distribution functions."""
    count = 200_000
    drawn = np.sort(normals(count, seed=3, purpose=Purpose.HYPERPLANES)) / math.sqrt(64 + 1 / 12)
    expected = np.array([0.5 * (1 + math.erf(x / math.sqrt(2))) for x in drawn[::50]])
    gap = np.abs(expected - (np.arange(count)[::50] + 0.5) / count).max()
    assert gap <= bound(count) + APPROXIMATE
    assert (drawn != 0).all()
