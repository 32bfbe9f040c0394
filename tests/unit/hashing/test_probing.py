"""Multi-probe: perturbations in the order of their costs."""

from __future__ import annotations

from itertools import chain, combinations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.hashing.bit_sampling import BitSampling
from lookalike.hashing.cross_polytope import CrossPolytope
from lookalike.hashing.family import HashFunctions
from lookalike.hashing.hyperplane import Hyperplane
from lookalike.hashing.p_stable import PStable
from lookalike.hashing.probing import Alternatives, probed_values


def plainly(
    functions: list[int], costs: list[float], count: int
) -> tuple[list[float], list[tuple[int, ...]]]:
    """All sets with at most one alternative of a function, by cost: by trying every set."""
    places = range(len(costs))
    sets = chain.from_iterable(combinations(places, size) for size in range(len(costs) + 1))
    codes = [s for s in sets if len({functions[i] for i in s}) == len(s)]
    codes.sort(key=lambda s: sum(costs[i] for i in s))
    return [sum(costs[i] for i in s) for s in codes[:count]], codes[:count]


@given(
    costs=st.lists(st.integers(0, 30), min_size=1, max_size=8),
    twice=st.booleans(),
    count=st.integers(1, 40),
)
def test_the_cheapest_codes_come_first(costs: list[int], twice: bool, count: int) -> None:
    bits = (len(costs) + 1) // 2 if twice else len(costs)
    functions = [place % bits for place in range(len(costs))]
    others = [100 + place for place in range(len(costs))]
    alternatives = Alternatives(
        np.zeros((1, bits), np.int64),
        np.array([functions]),
        np.array([others]),
        np.array([costs], float),
    )
    probed = probed_values(alternatives, count)[0]
    wanted, sets = plainly(functions, [float(cost) for cost in costs], count)
    reached = [sum(costs[value - 100] for value in code if value) for code in probed]
    assert reached[: len(wanted)] == wanted
    assert not any(reached[len(wanted) :])  # no more codes: the own one again
    assert len({tuple(code) for code in probed}) == len(sets)


def test_many_codes_at_once_are_probed_as_each_alone() -> None:
    random = np.random.default_rng(0)
    costs = random.random((30, 12))
    whole = Alternatives(
        random.integers(0, 9, (30, 6)),
        np.broadcast_to(np.arange(12) % 6, (30, 12)),
        random.integers(10, 99, (30, 12)),
        costs,
    )
    probed = probed_values(whole, 25)
    for code in range(30):
        one = slice(code, code + 1)
        own = Alternatives(
            whole.values[one], whole.functions[one], whole.others[one], whole.costs[one]
        )
        assert (probed_values(own, 25)[0] == probed[code]).all()


def boundaries(functions: HashFunctions, items: npt.NDArray[np.generic]) -> None:
    """Own codes first, all different, and no code farther away before a nearer one."""
    codes = functions.probes(items, 9)
    assert codes.shape == (functions.tables, len(items), 9, functions.words)
    assert (codes[:, :, 0] == functions.hash(items)).all()
    assert (functions.probes(items, 4) == codes[:, :, :4]).all()
    assert (functions.probes(items[3:5], 9, threads=2) == codes[:, 3:5]).all()
    for code in codes.reshape(-1, 9, functions.words):
        assert len({tuple(words) for words in code.tolist()}) == 9


def test_each_family_crosses_its_nearest_boundaries() -> None:
    random = np.random.default_rng(0)
    floats = random.normal(size=(12, 20)).astype(np.float32)
    boundaries(Hyperplane(20).draw(0, tables=3, bits=70), floats)
    boundaries(CrossPolytope(20).draw(0, tables=3, bits=5), floats)
    boundaries(PStable(20, 2.0).draw(0, tables=3, bits=7), floats)
    boundaries(PStable(20, 30.0, "l1").draw(0, tables=3, bits=7), floats)
    numbers = random.integers(0, 17, (12, 20), np.uint8)
    boundaries(BitSampling(20, 16).draw(0, tables=3, bits=20), numbers)
    boundaries(BitSampling(160).draw(0, tables=3, bits=20), numbers)


def test_many_probes_of_many_items_are_those_of_each_alone() -> None:
    """So many values that they are not in memory at once."""
    functions = Hyperplane(20).draw(0, tables=8, bits=64)
    items = np.random.default_rng(0).normal(size=(70, 20)).astype(np.float32)
    codes = functions.probes(items, 200)
    for item in (0, 39, 40, 41, 69):
        assert (functions.probes(items[item : item + 1], 200)[:, 0] == codes[:, item]).all()


def test_a_plane_that_is_nearest_is_crossed_first() -> None:
    functions = Hyperplane(3).draw(4, tables=1, bits=8)
    item = np.array([[0.3, -1.0, 0.2]], np.float32)
    own, first = functions.probes(item, 2)[0, 0, :, 0]
    crossed = int(own ^ first).bit_length() - 1
    steps = np.random.default_rng(0).normal(size=(20_000, 3)) * 0.3
    changed = functions.hash(item + steps)[0, :, 0] ^ own
    often = [(changed >> np.uint64(bit) & np.uint64(1)).mean() for bit in range(8)]
    assert int(np.argmax(often)) == crossed


@pytest.mark.parametrize("value", [0, 5, 16])
def test_the_nearest_threshold_is_crossed_first(value: int) -> None:
    from lookalike.hashing.bit_sampling import threshold_functions

    thresholds = np.array([[-1, 0, 3, 4, 9, 15]])
    functions = threshold_functions(np.zeros((1, 6), int), thresholds, dimension=1, value_range=16)
    item = np.array([[value]], np.uint8)
    own, *others = functions.probes(item, 6)[0, 0, :, 0].tolist()
    crossed = [(own ^ other).bit_length() - 1 for other in others]
    assert 0 not in crossed  # no value is below -1
    assert crossed[0] == 1 + int(np.argmin(np.abs(value - thresholds[0, 1:] - 0.5)))
