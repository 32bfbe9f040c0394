"""The law of cross-polytopes: P[a value agrees] is what ``collision_probability`` declares.

The number of agreeing values is binomial and Hoeffding's inequality bounds it, with a chance of
1e-9 for each of the 14 cases and levels. The declared chance is an integral, to 0.001, and axes are
normal only approximately, to 0.001 in their distribution function.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

from lookalike import InvalidInput
from lookalike.hashing.cross_polytope import CrossPolytope, CrossPolytopeFunctions

RATE = 1e-9
TABLES, BITS, DIMENSION = 60, 500, 12
APPROXIMATE = 0.003
BOUND = math.sqrt(math.log(2 / RATE) / (2 * TABLES * BITS))


@cache
def drawn(axes: int) -> CrossPolytopeFunctions:
    return CrossPolytope(DIMENSION, axes).draw(5, tables=TABLES, bits=BITS)


@pytest.mark.parametrize("axes", [3, 12])
@pytest.mark.parametrize("angle", [0.0, 0.02, 0.2, 0.6, 1.2, math.pi / 2, math.pi])
def test_observed_agreement_is_the_declared_one(cpu_level: str, angle: float, axes: int) -> None:
    random = np.random.default_rng(1)
    one, other = np.linalg.qr(random.normal(size=(DIMENSION, 2)))[0].T
    pair = np.stack([one, math.cos(angle) * one + math.sin(angle) * other]).astype(np.float32)
    values = drawn(axes).hash(pair).view("<u2")
    agreeing = float((values[:, 0] == values[:, 1]).mean())
    distance = min(2.0, max(0.0, 1.0 - math.cos(angle)))
    declared = CrossPolytope(DIMENSION, axes).collision_probability(distance)
    assert abs(agreeing - declared) <= BOUND + APPROXIMATE


def test_at_a_right_angle_all_sides_are_as_likely() -> None:
    for axes in (1, 4, 32):
        chance = CrossPolytope(64, axes).collision_probability(1.0)
        assert chance == pytest.approx(1 / (2 * axes), abs=1e-3)


def test_with_one_axis_it_is_a_plane() -> None:
    for angle in (0.3, 1.0, 2.5):
        chance = CrossPolytope(8, 1).collision_probability(1 - math.cos(angle))
        assert chance == pytest.approx(1 - angle / math.pi, abs=6e-3)


def test_a_value_names_the_axis_and_the_side() -> None:
    axes = np.eye(4, dtype=np.float32)[None, None].repeat(5, axis=1)
    items = np.array([[0, 3, -1, 0], [0, 3, -4, 0], [-5, 0, 0, 0]], np.float32)
    codes = CrossPolytopeFunctions(axes).hash(items)
    assert codes.shape == (1, 3, 2)
    values = codes.view("<u2")
    assert values[0, :, :5].tolist() == [[2] * 5, [5] * 5, [1] * 5]
    assert (values[0, :, 5:] == 0).all()
    assert (CrossPolytopeFunctions(axes).hash(items * 1e6) == codes).all()


@pytest.mark.parametrize("distance", [-0.1, 2.1, float("nan")])
def test_what_is_no_cosine_distance_is_refused(distance: float) -> None:
    with pytest.raises(InvalidInput, match="distance must be in"):
        CrossPolytope(4).collision_probability(distance)
