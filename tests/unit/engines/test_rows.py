"""Rows: padding, growth, and nothing on failure."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.engines.rows import Rows
from lookalike.native import Measure


def test_rows_are_padded_with_zeros() -> None:
    rows = Rows(5, Measure.absolute_differences)
    rows.append(np.arange(10, dtype=np.uint8).reshape(2, 5))
    assert rows.array.shape == (2, 16)
    assert rows.vectors.tolist() == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    assert not rows.array[:, 5:].any()


def test_rows_in_use_stay_where_they_are() -> None:
    rows = Rows(8, Measure.differing_bits)
    rows.append(np.ones((3, 8), np.uint8))
    seen = rows.array
    for number in range(200):
        rows.append(np.full((1, 8), number % 255, np.uint8))
    assert len(rows) == 203
    assert (seen == 1).all()
    assert rows.vectors[:, 0].tolist() == [1, 1, 1, *[n % 255 for n in range(200)]]


@pytest.mark.parametrize("bad", [np.nan, -1.0, 17.0, 0.5, np.inf, 1e300])
def test_a_bad_batch_adds_nothing(bad: float) -> None:
    rows = Rows(4, Measure.absolute_differences, 16)
    rows.append(np.full((2, 4), 16.0))
    batch = np.zeros((3, 4))
    batch[2, 1] = bad
    with pytest.raises(ValueError, match="whole number"):
        rows.append(batch)
    assert len(rows) == 2


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, np.float32, np.float64])
def test_whole_numbers_of_any_plain_type_are_stored(dtype: type) -> None:
    rows = Rows(70, Measure.absolute_differences, 200)
    values = np.arange(140).reshape(2, 70)
    rows.append(values.astype(dtype))
    assert (rows.vectors == values).all()


def test_an_empty_batch_adds_nothing() -> None:
    rows = Rows(4, Measure.absolute_differences)
    rows.append(np.zeros((0, 4), np.uint8))
    assert len(rows) == 0
    rows.append(np.ones((2, 4), np.uint8))
    rows.append(np.zeros((0, 4), np.uint8))
    assert rows.vectors.tolist() == [[1] * 4] * 2
