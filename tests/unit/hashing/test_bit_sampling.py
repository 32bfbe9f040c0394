"""Bit sampling: small codes by hand. The law is in tests/laws."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.errors import InvalidInput
from lookalike.hashing.bit_sampling import BitSampling, threshold_functions
from lookalike.seeds import Purpose, integers_below


def test_the_string_has_one_bit_for_each_step_of_each_value() -> None:
    assert BitSampling(64, 16).string_bits == 1024
    assert BitSampling(3, 1).string_bits == 3
    assert BitSampling(250).string_bits == 250


def test_a_code_holds_the_drawn_bits_of_the_unary_string_in_order() -> None:
    dimension, value_range, seed = 5, 7, 3
    item = np.array([0, 7, 3, 1, 6], np.uint8)
    string = [int(value > step) for value in item.tolist() for step in range(value_range)]
    codes = BitSampling(dimension, value_range).draw(seed, tables=3, bits=70).hash(item[None])
    assert codes.shape == (3, 1, 2)
    for table in range(3):
        drawn = integers_below(35, 70, seed=seed, purpose=Purpose.BIT_SAMPLING, stream=table)
        wanted = sum(string[place] << bit for bit, place in enumerate(drawn.tolist()))
        words = [int(word) for word in codes[table, 0]]
        assert words[0] | words[1] << 64 == wanted


def test_a_code_holds_the_drawn_bits_of_packed_bits_in_order() -> None:
    bits = np.random.default_rng(0).random(19) < 0.5
    codes = BitSampling(19).draw(8, tables=2, bits=40).hash(np.packbits(bits)[None])
    for table in range(2):
        drawn = integers_below(19, 40, seed=8, purpose=Purpose.BIT_SAMPLING, stream=table)
        wanted = sum(int(bits[place]) << bit for bit, place in enumerate(drawn.tolist()))
        assert int(codes[table, 0, 0]) == wanted


def test_the_ends_of_the_value_range_give_codes_of_zeros_and_ones() -> None:
    functions = BitSampling(4, 200).draw(1, tables=2, bits=10)
    codes = functions.hash(np.array([[0] * 4, [200] * 4], np.uint8))
    assert codes[:, :, 0].tolist() == [[0, 1023], [0, 1023]]


def test_codes_depend_neither_on_threads_nor_on_the_batch() -> None:
    items = np.random.default_rng(1).integers(0, 17, (97, 12), np.uint8)
    functions = BitSampling(12, 16).draw(4, tables=3, bits=65)
    together = functions.hash(items)
    assert (functions.hash(items, threads=4) == together).all()
    for number in (0, 50, 96):
        alone = functions.hash(items[number : number + 1])
        assert (alone[:, 0] == together[:, number]).all()
    assert functions.hash(items[:0]).shape == (3, 0, 2)


def test_the_threshold_minus_one_is_always_passed_and_254_only_by_255() -> None:
    functions = threshold_functions(
        np.zeros((1, 2), int), np.array([[-1, 254]]), dimension=1, value_range=255
    )
    codes = functions.hash(np.array([[0], [254], [255]], np.uint8))
    assert codes.ravel().tolist() == [0b01, 0b01, 0b11]


def test_the_chance_of_agreement_falls_in_a_straight_line() -> None:
    family = BitSampling(10, 4)
    chances = [family.collision_probability(float(distance)) for distance in range(41)]
    assert chances == pytest.approx(np.linspace(1, 0, 41))
    for outside in (-0.001, 40.001, float("nan"), float("inf")):
        with pytest.raises(InvalidInput, match=r"distance must be in \[0, 40\]"):
            family.collision_probability(outside)


def test_pairs_without_any_bit_are_refused() -> None:
    nothing = np.zeros((2, 0), int)
    with pytest.raises(InvalidInput, match=r"neither 0; got \(2, 0\)"):
        threshold_functions(nothing, nothing, dimension=1, value_range=1)
    with pytest.raises(InvalidInput, match=r"positions must be .* got -1 to 0"):
        threshold_functions(np.array([[-1, 0]]), np.array([[0, 0]]), dimension=1, value_range=1)
