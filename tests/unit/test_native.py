"""CPU levels: which there are, which is in use, and that it is the one that runs."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from lookalike import native
from lookalike.errors import InvalidInput


def test_the_level_in_use_can_run_and_scalar_always_can() -> None:
    levels = native.cpu_levels()
    assert next(iter(levels)) == "scalar"
    assert levels["scalar"]
    assert levels[native.cpu_level()]


def test_without_a_wish_the_fastest_usable_level_is_used() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from lookalike import native; print(native.cpu_level())"],
        env={name: value for name, value in os.environ.items() if name != "LOOKALIKE_CPU"},
        capture_output=True,
        text=True,
        check=True,
    )
    usable = [level for level, can_run in native.cpu_levels().items() if can_run]
    assert done.stdout.strip() == usable[-1]


def test_a_level_stays_in_use_until_another_is_set(cpu_level: str) -> None:
    assert native.cpu_level() == cpu_level
    for wrong in ("", "AVX2", "avx1024"):
        with pytest.raises(InvalidInput, match=r"set_cpu_level\(...\) must name a CPU level"):
            native.set_cpu_level(wrong)
    assert native.cpu_level() == cpu_level


def test_rows_are_packed_and_padded(cpu_level: str) -> None:
    rows = np.full((2, 16), 99, np.uint8)
    l1 = native.Measure.absolute_differences
    native.pack_items(np.array([[1, 2, 3], [4, 5, 6]]), 3, l1, 6, 1.0, rows)
    assert rows[:, :3].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert not rows[:, 3:].any()
    for limit, wrong in ((5, 6), (255, -1), (255, 256)):
        with pytest.raises(ValueError, match="whole number"):
            native.pack_items(np.array([[wrong, 0, 0]]), 3, l1, limit, 1.0, rows[:1])


def test_a_bounding_row_sums_four_values_in_the_given_order(cpu_level: str) -> None:
    rows = np.zeros((1, 16), np.uint8)
    rows[0, :8] = [1, 2, 3, 4, 10, 20, 30, 40]
    bounds = np.full((1, 16), 99, np.uint8)
    in_turn = np.arange(8, dtype=np.uint32)
    native.make_sums(rows, in_turn, 0, bounds)
    assert bounds[0, :3].tolist() == [10, 100, 0]
    native.make_sums(rows, in_turn, 1, bounds)
    assert bounds[0, :2].tolist() == [5, 50]
    crossed = np.array([0, 4, 1, 5, 2, 6, 3, 7], np.uint32)
    native.make_sums(rows, crossed, 0, bounds)
    assert bounds[0, :2].tolist() == [33, 77]


def test_the_measures_are_computed_as_defined(cpu_level: str) -> None:
    rows = np.zeros((2, 16), np.uint8)
    rows[0, :2], rows[1, :2] = [255, 1], [0, 3]
    query = np.array([[0, 0]], np.uint8)
    for measure, by_hand in (
        (native.Measure.absolute_differences, {0: 256.0, 1: 3.0}),
        (native.Measure.squared_differences, {0: 65026.0**0.5, 1: 3.0}),
        (native.Measure.differing_bits, {0: 9.0, 1: 2.0}),
    ):
        slots, distances = np.empty((1, 2), np.int64), np.empty((1, 2))
        native.ExactScan(rows, 2, measure, 255).nearest(query, 2, 1, slots, distances)
        assert dict(zip(slots[0].tolist(), distances[0].tolist(), strict=True)) == by_hand
