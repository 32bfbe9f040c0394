"""The laws of p-stable lines: P[a value agrees] is what ``collision_probability`` declares.

The number of agreeing values is binomial and Hoeffding's inequality bounds it, with a chance of
1e-9 for each of fewer than 100 cases. Lines are normal only approximately, to 0.001 in their
distribution function; the chance is the mean of a function of one projection that rises and
falls once by at most 1, so that it is off by at most twice that along one axis. Along many
axes sums of normal numbers are the more normal. A Cauchy number is a ratio of two normal ones, each
of which may be off by as much: twice that is allowed.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

from lookalike.hashing.p_stable import PStable, PStableFunctions

RATE = 1e-9
TABLES, BITS = 100, 640
APPROXIMATE = 0.002
BOUND = math.sqrt(math.log(2 / RATE) / (2 * TABLES * BITS))


@cache
def drawn_lines(dimension: int, width: float, metric: str) -> PStableFunctions:
    """Drawing takes longer than hashing."""
    return PStable(dimension, width, metric).draw(11, tables=TABLES, bits=BITS)


@pytest.mark.parametrize("metric", ["l2", "l1"])
@pytest.mark.parametrize("dimension", [1, 20])
@pytest.mark.parametrize("width", [0.5, 4.0])
@pytest.mark.parametrize("distance", [0.0, 0.05, 0.5, 1.0, 4.0, 30.0])
def test_observed_agreement_is_the_declared_one(
    cpu_level: str, distance: float, width: float, dimension: int, metric: str
) -> None:
    """Also for items whose difference is spread over all axes, and that are far from the origin."""
    family = PStable(dimension, width, metric)
    difference = np.random.default_rng(3).normal(size=dimension)
    length = np.abs(difference).sum() if metric == "l1" else np.linalg.norm(difference)
    pair = np.full((2, dimension), 3.0, np.float32)
    pair[1] += (distance * difference / length).astype(np.float32)
    values = drawn_lines(dimension, width, metric).hash(pair).view("<i4")
    agreeing = float((values[:, 0] == values[:, 1]).mean())
    declared = family.collision_probability(distance)
    slack = APPROXIMATE if metric == "l2" else 2 * APPROXIMATE
    assert abs(agreeing - declared) <= BOUND + slack
