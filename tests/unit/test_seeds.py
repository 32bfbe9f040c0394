"""Streams of random numbers: named, equal for equal names, unlike for unlike ones."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.errors import InvalidInput
from lookalike.seeds import Purpose, integers_below, resolve_seed


def draw(seed: int = 0, stream: int = 0, limit: int = 2**32, count: int = 64) -> list[int]:
    numbers = integers_below(limit, count, seed=seed, purpose=Purpose.BIT_SAMPLING, stream=stream)
    assert numbers.dtype == np.int64
    return [int(number) for number in numbers]


def test_a_stream_is_named_by_seed_and_number() -> None:
    assert draw(1, 2) == draw(1, 2)
    for other in (draw(2, 2), draw(1, 3), draw(2, 1)):
        assert not set(draw(1, 2)) & set(other)  # 64 of 2^32: a shared number would be a hint


def test_a_longer_draw_begins_like_a_shorter_one() -> None:
    assert draw(count=100)[:64] == draw(count=64)
    assert draw(count=0) == []


def test_the_high_half_of_each_raw_word_is_scaled_to_the_limit() -> None:
    sequence = np.random.SeedSequence(9, spawn_key=(1, 4))
    raw = [int(word) for word in np.random.PCG64(sequence).random_raw(50)]
    assert draw(9, 4, 1000, 50) == [(word >> 32) * 1000 >> 32 for word in raw]


def test_every_number_below_the_limit_is_as_frequent() -> None:
    # 30,000 draws of 10: Hoeffding, each count is off by more than 600 with chance < 6e-10.
    counts = np.bincount(draw(limit=10, count=30_000), minlength=10)
    assert len(counts) == 10
    assert np.abs(counts - 3000).max() <= 600


def test_a_seed_is_kept_and_none_draws_a_fresh_one() -> None:
    assert resolve_seed(0) == 0
    assert type(resolve_seed(np.uint64(2**63))) is int  # type: ignore[arg-type]
    assert resolve_seed(None) != resolve_seed(None)


@pytest.mark.parametrize("seed", [-1, 2**128])
def test_a_seed_outside_its_range_is_refused(seed: int) -> None:
    with pytest.raises(InvalidInput, match=rf"seed must be .*; got {seed}\."):
        resolve_seed(seed)


def test_the_numbers_of_purposes_stay() -> None:
    assert {purpose.name: purpose.value for purpose in Purpose} == {
        "BIT_SAMPLING": 1,
        "COMPONENTS": 2,
        "CELLS": 3,
        "CALIBRATION": 4,
        "HYPERPLANES": 5,
        "LINES": 6,
        "SHIFTS": 7,
        "AXES": 8,
    }
