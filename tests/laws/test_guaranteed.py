"""The guaranteed promise as a law: over draws of the hash functions, for any query."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lookalike.engines.exact import ExactEngine
from lookalike.engines.prefixes import PrefixEngine, PrefixTables, Stops
from lookalike.engines.rows import Rows
from lookalike.native import Measure

RECALL, SEEDS, K = 0.9, 60, 5
COUNT, WIDTH = 6000, 48
Items = npt.NDArray[Any]


def background() -> npt.NDArray[np.float64]:
    random = np.random.default_rng(0)
    centres = random.normal(size=(40, WIDTH)) * 2
    return np.asarray(centres[random.integers(0, 40, COUNT)] + random.normal(size=(COUNT, WIDTH)))


def floats(values: npt.NDArray[np.float64]) -> Items:
    return values.astype(np.float32)


def bytes_(values: npt.NDArray[np.float64]) -> Items:
    return np.clip(values * 16 + 128, 0, 255).round().astype(np.uint8)


def bits(values: npt.NDArray[np.float64]) -> Items:
    planes = np.random.default_rng(5).normal(size=(WIDTH, 8 * WIDTH))
    return np.packbits(values @ planes > 0, axis=1)


KINDS: dict[str, tuple[Measure, Callable[[npt.NDArray[np.float64]], Items]]] = {
    "l2": (Measure.float_squares, floats),
    "l2 of bytes": (Measure.squared_differences, bytes_),
    "cosine": (Measure.float_angles, floats),
    "l1": (Measure.absolute_differences, bytes_),
    "hamming": (Measure.differing_bits, bits),
}


def adversarial() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Items and queries: planted at chosen distances, alone, inverted, and like the items."""
    random = np.random.default_rng(1)
    items, like = background(), background()[:20] + 0.5 * random.normal(size=(20, WIDTH))
    planted = np.repeat(random.normal(size=(20, WIDTH)) * 3, K, axis=0)
    directions = random.normal(size=planted.shape)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    far = np.repeat(np.linspace(0.5, 12.0, 20), K)[:, None]  # about a fourth of a typical distance
    around, alone = planted + far * directions, random.normal(size=(20, WIDTH)) * 6
    near_alone = alone + 0.5 * random.normal(size=alone.shape)
    queries = np.concatenate([planted[::K], near_alone, -items[:20], like])
    return np.concatenate([items, around, alone]), queries


@pytest.mark.parametrize("kind", KINDS)
def test_each_neighbour_of_any_query_is_found_with_the_probability(kind: str) -> None:
    """Of each group of queries, over 60 draws, the mean may be 3.5 standard errors too low.

    The errors are those between draws, which are independent. If the promise held with equality
    for all 20 groups (4 in each of 5 kinds), a false alarm in any would have a chance below
    20 * 2.3e-4 = 0.5 %, in the normal approximation.
    """
    measure, made = KINDS[kind]
    items, queries = (made(part) for part in adversarial())
    rows = Rows(items.shape[1], measure)
    rows.append(items)
    exact = ExactEngine(rows, bounding=False)
    truth = exact.nearest(queries, len(queries), K, 1)[1][:, -1:]
    stops = Stops(RECALL, 16)
    found = np.empty((SEEDS, len(queries)))
    for seed in range(SEEDS):
        engine = PrefixEngine(PrefixTables(rows, exact.scan, seed, tables=16), stops)
        distances = engine.nearest(queries, len(queries), K, 2)[1]
        found[seed] = (distances <= truth).mean(axis=1)
    for group in range(4):
        own = found[:, 20 * group : 20 * (group + 1)].mean(axis=1)
        error = own.std(ddof=1) / np.sqrt(SEEDS)
        assert own.mean() >= RECALL - 3.5 * error, f"group {group}"


def test_searches_do_not_just_compare_everything() -> None:
    measure, made = KINDS["l2"]
    items, queries = (made(part) for part in adversarial())
    rows = Rows(items.shape[1], measure)
    rows.append(items)
    tables = PrefixTables(rows, rows.scan(), 0, tables=16)
    engine = PrefixEngine(tables, Stops(RECALL, 16))
    verified = [engine.trace(query, K)[2].left for query in queries]
    assert np.mean(np.array(verified) < COUNT / 10) >= 0.4
