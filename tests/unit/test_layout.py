"""Layouts: what a first batch fixes, and how items are stored."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lookalike.errors import InvalidInput
from lookalike.layout import Layout
from lookalike.metrics import METRICS

L1, HAMMING = METRICS["l1"], METRICS["hamming"]


def test_whole_numbers_keep_their_shape() -> None:
    layout = Layout.of(np.zeros((5, 3, 4), np.int32), L1, 16, None)
    assert layout.item_shape == (3, 4)
    assert layout.width == 12
    assert layout.width_bits is None
    assert layout.value_range == 16
    assert layout.stored_as == "uint8 from int32, without loss"
    assert Layout.of(np.zeros((5, 3), np.uint8), L1, 16, None).stored_as == "uint8"


@pytest.mark.parametrize(
    ("batch", "width_bits", "item_shape", "bits"),
    [
        (np.zeros((2, 3), np.uint8), None, (3,), 24),
        (np.zeros((2, 3), np.uint8), 24, (3,), 24),
        (np.zeros((2, 3), np.uint8), 17, (3,), 17),
        (np.zeros((2, 17), np.bool_), None, (3,), 17),
        (np.zeros((2, 17), np.bool_), 17, (3,), 17),
        (np.zeros((2, 1), np.bool_), None, (1,), 1),
    ],
)
def test_bits_are_stored_in_whole_bytes(
    batch: Any, width_bits: int | None, item_shape: tuple[int], bits: int
) -> None:
    layout = Layout.of(batch, HAMMING, 255, width_bits)
    assert layout.item_shape == item_shape
    assert layout.width == item_shape[0]
    assert layout.width_bits == bits


@pytest.mark.parametrize(
    ("batch", "width_bits"),
    [
        (np.zeros((2, 3), np.uint8), 25),
        (np.zeros((2, 3), np.uint8), 16),
        (np.zeros((2, 17), np.bool_), 16),
        (np.zeros((2, 17), np.bool_), 18),
    ],
)
def test_a_width_that_contradicts_the_items_is_refused(batch: Any, width_bits: int) -> None:
    with pytest.raises(InvalidInput, match=f"the {width_bits} bits that width_bits says"):
        Layout.of(batch, HAMMING, 255, width_bits)


def test_booleans_are_counted_in_bits_and_packed_bits_in_bytes() -> None:
    layout = Layout.of(np.zeros((1, 16), np.bool_), HAMMING, 255, None)
    assert layout.count(np.zeros(16, np.bool_), "query") is None
    assert layout.count(np.zeros(2, np.uint8), "query") is None
    assert layout.count(np.zeros((5, 16), np.bool_), "query") == 5
    assert layout.count(np.zeros((5, 2), np.uint8), "query") == 5
    with pytest.raises(InvalidInput, match=r"shape \(2,\) for one item"):
        layout.count(np.zeros(16, np.uint8), "query")
    with pytest.raises(InvalidInput, match=r"shape \(16,\) for one item"):
        layout.count(np.zeros(2, np.bool_), "query")


def test_rows_are_bytes_in_one_piece() -> None:
    layout = Layout.of(np.zeros((1, 2, 2)), L1, 255, None)
    rows = layout.rows(np.arange(8.0).reshape(2, 2, 2)[:, ::-1], "items")
    assert rows.dtype == np.uint8
    assert rows.flags.c_contiguous
    assert rows.tolist() == [[2, 3, 0, 1], [6, 7, 4, 5]]
    assert layout.rows(np.arange(4), "items").tolist() == [[0, 1, 2, 3]]
    bits = Layout.of(np.zeros((1, 9), np.bool_), HAMMING, 255, None)
    assert bits.rows(np.eye(9, dtype=np.bool_)[[0, 8]], "items").tolist() == [[128, 0], [0, 128]]


def test_the_core_may_not_read_bits_with_padding_or_of_another_type_by_itself() -> None:
    padded = Layout.of(np.zeros((1, 9), np.bool_), HAMMING, 255, None)
    whole = Layout.of(np.zeros((1, 2), np.uint8), HAMMING, 255, None)
    item = np.zeros(2, np.uint8)
    assert whole.may_be_plain(item)
    assert not padded.may_be_plain(item)
    assert not whole.may_be_plain(item.astype(np.float64))
    assert Layout.of(np.zeros((1, 2)), L1, 255, None).may_be_plain(item.astype(np.float64))
