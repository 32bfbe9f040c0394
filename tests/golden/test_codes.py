"""Pinned random numbers and hash codes: a change here is a new format version.

Never regenerate these to make a test pass.
"""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.hashing.bit_sampling import BitSampling
from lookalike.hashing.hyperplane import Hyperplane
from lookalike.seeds import Purpose, integers_below, normals


@pytest.mark.parametrize(
    ("seed", "stream", "limit", "pinned"),
    [
        (0, 0, 1024, [968, 421, 680, 657, 233, 909]),
        (0, 1, 1024, [603, 839, 637, 51, 670, 990]),
        (12345, 0, 7, [6, 0, 4, 1, 3, 1]),
        (
            2**100,
            3,
            2**32,
            [4121052573, 233057956, 1779339168, 933855821, 3452443367, 799353745],
        ),
    ],
)
def test_streams_give_the_pinned_numbers(
    seed: int, stream: int, limit: int, pinned: list[int]
) -> None:
    drawn = integers_below(limit, 6, seed=seed, purpose=Purpose.BIT_SAMPLING, stream=stream)
    assert drawn.tolist() == pinned


def test_purposes_keep_their_numbers() -> None:
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


def test_codes_of_integers_are_the_pinned_ones(cpu_level: str) -> None:
    items = (np.arange(3 * 64) * 7 % 17).reshape(3, 64).astype(np.uint8)
    short = BitSampling(64, 16).draw(0, tables=2, bits=40).hash(items)
    assert short[:, :, 0].tolist() == [
        [0xAB89CF5E1B, 0xA8DE90ECC, 0x23AFEB1BCA],
        [0x2E3CB1E158, 0x97114A384A, 0xD45567D8C9],
    ]
    long = BitSampling(64, 16).draw(9, tables=1, bits=70).hash(items)
    assert long[0].tolist() == [
        [0xB468DAEC4136E02B, 0x1C],
        [0x5C622D15098FDB39, 0x39],
        [0x2F21C8FD45381962, 0x26],
    ]


def test_codes_of_bits_are_the_pinned_ones(cpu_level: str) -> None:
    items = (np.arange(2 * 32) * 37 % 256).reshape(2, 32).astype(np.uint8)
    codes = BitSampling(256).draw(0, tables=2, bits=24).hash(items)
    assert codes[:, :, 0].tolist() == [[0xFC202, 0x8FD0D5], [0xD51F87, 0xFD0F07]]


def test_normals_are_the_pinned_ones() -> None:
    drawn = normals(5, seed=0, purpose=Purpose.HYPERPLANES, stream=1)
    assert (drawn * 65536).tolist() == [-1015175.0, 584923.0, -68887.0, -501197.0, -690055.0]


def test_codes_of_hyperplanes_are_the_pinned_ones(cpu_level: str) -> None:
    items = (np.arange(3 * 50) * 37 % 101 - 50).reshape(3, 50).astype(np.float32) / 7
    codes = Hyperplane(50).draw(0, tables=2, bits=40).hash(items)
    assert codes[:, :, 0].tolist() == [
        [0xA0FCB25BBE, 0x9B1ADAE280, 0xDB60CA10D],
        [0xB70A0FA7AB, 0x9ABFF86DA6, 0x69F3C89451],
    ]
