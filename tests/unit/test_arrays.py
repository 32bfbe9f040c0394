"""The gate for arrays: what is taken, what it becomes, what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lookalike import arrays
from lookalike.errors import InvalidInput


class Wrapped:
    """Something of another library that NumPy can read."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array([1, 2], np.int16)


class Broken:
    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise RuntimeError("on another device")


def test_lists_and_whatever_has_an_array_are_taken() -> None:
    assert arrays.as_array([[1, 2], [3, 4]], "x").shape == (2, 2)
    assert arrays.as_array(Wrapped(), "x").tolist() == [1, 2]


def test_a_native_array_is_not_copied() -> None:
    mine = np.arange(3)
    assert np.shares_memory(arrays.as_array(mine, "x"), mine)


def test_foreign_byte_order_becomes_native() -> None:
    swapped = arrays.as_array(np.array([1, 258], ">u2"), "x")
    assert swapped.dtype.isnative
    assert swapped.tolist() == [1, 258]


def test_an_array_that_cannot_be_read_says_why() -> None:
    with pytest.raises(InvalidInput, match=r"x must be an array .* Broken.*on another device"):
        arrays.as_array(Broken(), "x")


@pytest.mark.parametrize("shape", [(), (4,)])
def test_a_first_batch_needs_two_axes(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInput, match="items must be a batch"):
        arrays.batch_shape(np.zeros(shape), "items")


def test_a_first_batch_gives_its_item_shape_also_when_it_holds_none() -> None:
    assert arrays.batch_shape(np.zeros((3, 4)), "items") == (4,)
    assert arrays.batch_shape(np.zeros((0, 2, 5)), "items") == (2, 5)
    with pytest.raises(InvalidInput, match="at least one value"):
        arrays.batch_shape(np.zeros((3, 2, 0)), "items")


def test_a_wrong_shape_is_answered_with_all_that_fit() -> None:
    with pytest.raises(InvalidInput) as caught:
        arrays.count_of((7,), (2, 3), "query")
    assert "(2, 3) or (6,) for one item" in str(caught.value)
    assert "(n, 2, 3) or (n, 6) for a batch" in str(caught.value)
    with pytest.raises(InvalidInput) as caught:
        arrays.count_of((7,), (6,), "query")
    assert "shape (6,) for one item, or (n, 6) for a batch" in str(caught.value)  # named once


def test_bytes_within_the_limit_pass_as_they_are() -> None:
    items = np.array([0, 16], np.uint8)
    assert arrays.whole_bytes(items, 16, "x") is items
    with pytest.raises(InvalidInput, match=r"\[0, 15\].* 1 of 2 values .* 16 at \(1,\)"):
        arrays.whole_bytes(items, 15, "x")


def test_only_the_first_bad_values_are_listed() -> None:
    with pytest.raises(InvalidInput) as caught:
        arrays.whole_bytes(np.array([[0, -1, -2], [-3, -4, 0]]), 255, "x")
    assert "4 of 6 values" in str(caught.value)
    assert "-1 at (0, 1), -2 at (0, 2), -3 at (1, 0)." in str(caught.value)


def test_infinity_is_reported_as_such_and_not_as_too_large() -> None:
    with pytest.raises(InvalidInput, match="must be finite"):
        arrays.whole_bytes(np.array([np.inf, 300.0]), 255, "x")


def test_fractions_are_refused_after_everything_else() -> None:
    with pytest.raises(InvalidInput, match=r"0\.25 at \(1,\)"):
        arrays.whole_bytes(np.array([1.0, 0.25]), 255, "x")
    with pytest.raises(InvalidInput, match="value range"):
        arrays.whole_bytes(np.array([0.25, 256.0]), 255, "x")


def test_booleans_are_packed_highest_bit_first() -> None:
    bits = np.array([[True] + [False] * 8, [False] * 8 + [True]])
    assert arrays.packed_bits(bits, 9, "x").tolist() == [[128, 0], [0, 128]]


def test_only_the_padding_bits_must_be_zero() -> None:
    fits = np.array([[255, 0b11100000]], np.uint8)
    assert arrays.packed_bits(fits, 11, "x") is fits
    with pytest.raises(InvalidInput, match=r"last 5 bits zero.* got 1 items"):
        arrays.packed_bits(np.array([[0, 0b00010000], [0, 0]], np.uint8), 11, "x")
    everything = np.full((1, 2), 255, np.uint8)
    assert arrays.packed_bits(everything, 16, "x") is everything


def test_a_radius_is_any_number_from_zero_to_infinity() -> None:
    for number in (0, 2.5, np.float32(3), np.int64(4), np.inf):
        assert arrays.as_radius(number) == float(number)
    assert isinstance(arrays.as_radius(np.int8(1)), float)


@pytest.mark.parametrize("value", [0, -3, True, False, 1.0, "1", None, np.bool_(True)])
def test_a_count_is_a_whole_number_of_at_least_one(value: Any) -> None:
    with pytest.raises(InvalidInput, match="k must be a whole number of at least 1; got"):
        arrays.positive_integer(value, "k")


def test_a_count_may_have_an_upper_limit() -> None:
    assert arrays.positive_integer(np.uint8(255), "v", 255) == 255
    with pytest.raises(InvalidInput, match="at least 1 and at most 255; got 256"):
        arrays.positive_integer(256, "v", 255)
