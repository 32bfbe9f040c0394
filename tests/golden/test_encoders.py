"""Pinned codes of pictures: another one is another version of its encoder.

Never regenerate these to make a test pass.
"""

from __future__ import annotations

import numpy as np
import pytest
import xxhash
from tests.unit.pictures.making import Pixels, needs_pictures

from lookalike.pictures.encoders import encoder_named, identity
from lookalike.pictures.read import read_picture

pytestmark = needs_pictures


def waves(seed: int) -> Pixels:
    """A picture of whole numbers only, so that it is the same on every machine."""
    down, across = np.mgrid[0:600, 0:800].astype(np.int64)
    first, second, third = 3 + seed, 5 + 2 * seed, 7 * seed + 1
    grey = (across * first // 8) ^ (down * second // 16)
    grey += (across * down * third) >> 10
    layers = [grey % 256, (grey + across // 4) % 256, (grey * 3 // 4) % 256]
    return np.stack(layers, axis=-1).astype(np.uint8)


PINNED = [
    ("pixels", 0, "52ed0683deefa6f6954813d76220ee43"),
    ("pixels", 1, "a9c3a2fd75244269557924012840480a"),
    ("pixels", 2, "b5c27a669a4fd0c0687a8d1019d22402"),
    ("pdq", 0, "6d0baedadab6e2e18cf02a8e4ad73289a1b4c9e83ad91d2a9f0d35a9e1325bd0"),
    ("pdq", 1, "49ab5b0f273f0731be70b8f8ccfc88fde63cfc7338f181f107e1ffc07c000080"),
    ("pdq", 2, "f1f807f8f67838ff39fef0eee1c783e307c10fe13fc1ff01ff01c000c0003780"),
    ("phash", 0, "8605264af9aaed8f"),
    ("phash", 1, "83030081e3e7e7ff"),
    ("phash", 2, "83010000e1ffffff"),
]


@pytest.mark.parametrize(("name", "seed", "pinned"), PINNED)
def test_pictures_have_the_pinned_codes(name: str, seed: int, pinned: str) -> None:
    vectors, usable = encoder_named(name).encode([read_picture(waves(seed)).pixels])
    assert usable[0]
    code = vectors[0].tobytes()
    assert (xxhash.xxh3_128_hexdigest(code) if len(code) > 32 else code.hex()) == pinned


def test_what_tells_encoders_apart_is_pinned() -> None:
    said = [identity(encoder_named(name)) for name in ("pixels", "pdq", "phash")]
    assert said == [
        {"name": "pixels", "version": "1", "metric": "l1", "dimension": 1024, "options": {}},
        {"name": "pdq", "version": "1", "metric": "hamming", "dimension": 256, "options": {}},
        {"name": "phash", "version": "1", "metric": "hamming", "dimension": 64, "options": {}},
    ]
