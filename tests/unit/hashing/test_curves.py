"""Curves checked by hand and against simulation by counting."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.errors import InvalidInput
from lookalike.hashing.bit_sampling import BitSampling, threshold_functions
from lookalike.hashing.curves import choose_tables, expected_candidates, s_curve, tables_needed


def test_the_s_curve_is_its_formula() -> None:
    for p in (0.0, 0.3, 0.9, 0.999, 1.0):
        for k, m in ((1, 1), (20, 5), (3, 100)):
            assert s_curve(p, k, m) == pytest.approx(1 - (1 - p**k) ** m, abs=1e-12)


def test_the_s_curve_keeps_tiny_chances() -> None:
    assert s_curve(1e-3, 10, 5) == pytest.approx(5e-30, rel=1e-9)


def test_one_table_of_one_bit_is_the_probability_itself() -> None:
    p = np.linspace(0, 1, 11)
    assert s_curve(p, 1, 1) == pytest.approx(p)


def test_expected_candidates_is_the_sum_over_items() -> None:
    assert expected_candidates([1.0, 1.0, 0.0], 9, 4) == pytest.approx(2.0)
    assert expected_candidates([], 9, 4) == 0.0


@pytest.mark.parametrize("p", [0.2, 0.8, 0.95, 0.999])
@pytest.mark.parametrize("bits", [1, 10, 40])
@pytest.mark.parametrize("recall", [0.01, 0.5, 0.95, 0.999])
def test_tables_needed_is_the_smallest_number_that_suffices(
    p: float, bits: int, recall: float
) -> None:
    m = tables_needed(p, bits, recall)
    if m is None:
        assert p**bits * 2**31 < 10
        return
    assert s_curve(p, bits, m) >= recall
    if 1 < m < 10**6:  # beyond, one table more or less is below the rounding of the chance
        assert s_curve(p, bits, m - 1) < recall


def test_certain_agreement_needs_one_table_and_impossible_has_none() -> None:
    assert tables_needed(1.0, 50, 0.99) == 1
    assert tables_needed(0.0, 5, 0.5) is None


def test_a_choice_reaches_the_recall_with_the_least_work() -> None:
    background = np.full(10_000, 0.7)
    choice = choose_tables(0.95, 0.9, background)
    assert choice.recall >= 0.9
    assert choice.recall == pytest.approx(float(s_curve(0.95, choice.bits, choice.tables)))
    for bits in (choice.bits - 1, choice.bits + 1):
        other = tables_needed(0.95, bits, 0.9)
        assert other is not None
        work = bits * other + 8 * expected_candidates(background, bits, other)
        assert work >= choice.bits * choice.tables + 8 * choice.candidates


def test_a_choice_keeps_to_the_most_tables() -> None:
    assert choose_tables(0.9, 0.9, np.full(1000, 0.6), most_tables=3).tables <= 3
    with pytest.raises(InvalidInput, match="no k with at most 2 tables"):
        choose_tables(0.3, 0.99, [0.1], most_tables=2)


@pytest.mark.parametrize(("p", "recall"), [(0.0, 0.5), (1.1, 0.5), (0.5, 0.0), (0.5, 1.0)])
def test_a_choice_needs_sensible_arguments(p: float, recall: float) -> None:
    with pytest.raises(InvalidInput, match="choose_tables needs"):
        choose_tables(p, recall, [0.5])


def test_collision_probability_by_hand() -> None:
    family = BitSampling(64, 16)
    assert family.collision_probability(0) == 1.0
    assert family.collision_probability(1024) == 0.0
    assert family.collision_probability(512) == 0.5
    assert BitSampling(256).collision_probability(64) == 0.75
    for wrong in (-1.0, 1025.0, float("nan")):
        with pytest.raises(InvalidInput, match=r"distance must be in \[0, 1024\]"):
            family.collision_probability(wrong)


def test_explicit_pairs_are_checked() -> None:
    one = np.array([[0]])
    with pytest.raises(InvalidInput, match="one shape"):
        threshold_functions(one, np.array([0]), dimension=1, value_range=1)
    with pytest.raises(InvalidInput, match=r"positions must be in \[0, 4\)"):
        threshold_functions(np.array([[4]]), one, dimension=4, value_range=1)
    with pytest.raises(InvalidInput, match="thresholds must be"):
        threshold_functions(one, np.array([[255]]), dimension=1, value_range=1)


def test_a_code_is_read_bit_by_bit() -> None:
    # Pixel 12 in unary: bits 0..11 are ones.
    functions = threshold_functions(
        np.zeros((1, 16), int), np.arange(16)[None], dimension=1, value_range=16
    )
    code = functions.hash(np.array([[12]], np.uint8))
    assert code.tolist() == [[[0b0000111111111111]]]
    assert functions.hash(np.array([[0], [16]], np.uint8)).ravel().tolist() == [0, 0xFFFF]
