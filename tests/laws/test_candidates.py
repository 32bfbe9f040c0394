"""The number of candidates follows f(k, m), as a mean over draws of the hash functions."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

import lookalike
from lookalike.hashing.bit_sampling import BitSampling
from lookalike.hashing.curves import expected_candidates

RATE = 1e-9  # chance that a correct library fails one case
SEEDS = 120


@pytest.mark.parametrize(("bits", "tables"), [(1, 1), (5, 3), (10, 5), (20, 5), (20, 15), (70, 8)])
def test_the_mean_over_seeds_is_f_of_k_and_m(
    digits: npt.NDArray[np.uint8], bits: int, tables: int
) -> None:
    """One query, 120 seeds: independent counts in [0, n] with mean f(k, m).

    By Bernstein's inequality for a mean of N independent values in [0, n] of variance v, the
    mean errs by more than ``sqrt(2 v L / N) + n L / (3 N)`` with a chance below 2 exp(-L). The
    variance is bounded from above without looking at the counts: v <= f (n - f).
    """
    stored, query = digits[:600], digits[1700]
    family = BitSampling(64, 16)
    distances = np.abs(stored.astype(int) - query).sum(axis=(1, 2))
    probabilities = [family.collision_probability(d) for d in distances]
    expected = expected_candidates(probabilities, bits, tables)
    counts = []
    for seed in range(SEEDS):
        index = lookalike.Index("l1", bits=bits, tables=tables, value_range=16, seed=seed)
        index.add(stored)
        counts.append(len(index.candidates(query)))
    n, log = len(stored), math.log(2 / RATE)
    variance = expected * (n - expected)
    slack = math.sqrt(2 * variance * log / SEEDS) + n * log / (3 * SEEDS)
    assert abs(float(np.mean(counts)) - expected) <= slack


def test_the_mean_over_seeds_and_queries_is_close_to_f(digits: npt.NDArray[np.uint8]) -> None:
    """The same, sharper: 300 seeds and all 297 test images, against the empirical spread.

    The mean over queries of one seed is one independent value. The mean of 300 of them is
    normal for all purposes; six standard errors are exceeded with a chance below 1e-8.
    """
    stored, queries = digits[:1500], digits[1500:]
    family = BitSampling(64, 16)
    flat = stored.reshape(1500, 64).astype(np.int16)
    expected = float(
        np.mean(
            [
                expected_candidates(
                    1 - np.abs(flat - query.ravel()).sum(axis=1) / family.string_bits, 20, 5
                )
                for query in queries.astype(np.int16)
            ]
        )
    )
    means = []
    for seed in range(300):
        index = lookalike.Index("l1", bits=20, tables=5, value_range=16, seed=seed)
        index.add(stored)
        means.append(np.mean([len(found) for found in index.candidates(queries)]))
    error = float(np.std(means, ddof=1)) / math.sqrt(len(means))
    assert error < 0.05 * expected  # or the test could not fail
    assert abs(float(np.mean(means)) - expected) <= 6 * error


def test_a_true_neighbour_is_found_as_often_as_promised(digits: npt.NDArray[np.uint8]) -> None:
    """Recall of one pair over seeds, within Hoeffding's bound at rate 1e-9."""
    from lookalike.hashing.curves import s_curve

    stored, query = digits[:1500], digits[1500]
    distances = np.abs(stored.astype(int) - query).sum(axis=(1, 2))
    nearest = int(distances.argmin())
    declared = float(s_curve(1 - distances[nearest] / 1024, 20, 5))
    seeds = 400
    found = 0
    for seed in range(seeds):
        index = lookalike.Index("l1", bits=20, tables=5, value_range=16, seed=seed)
        index.add(stored)
        found += index.search(query, k=1).ids[0] == nearest
    assert abs(found / seeds - declared) <= math.sqrt(math.log(2 / RATE) / (2 * seeds))
