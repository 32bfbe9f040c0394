"""Pictures and files of pictures, made on the spot."""

from __future__ import annotations

import functools
import io
import os
import struct
import zlib
from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

Pixels = npt.NDArray[np.uint8]

needs_pictures = pytest.mark.skipif(
    not all(find_spec(name) for name in ("PIL", "pdqhash", "imagehash"))
    and not os.environ.get("LOOKALIKE_CI"),
    reason="needs the extra 'pictures'",
)
needs_heif = pytest.mark.skipif(
    find_spec("pillow_heif") is None and not os.environ.get("LOOKALIKE_CI"),
    reason="needs the extra 'heif'",
)


@functools.cache
def natural(height: int, width: int, seed: int = 0) -> Pixels:
    """Noise whose amplitude falls with the frequency, as that of photographs does."""
    draw = np.random.default_rng(seed)
    across, down = np.fft.rfftfreq(width)[None, :], np.fft.fftfreq(height)[:, None]
    frequency = np.hypot(down, across)
    frequency[0, 0] = 1.0
    waves = draw.standard_normal(frequency.shape) + 1j * draw.standard_normal(frequency.shape)
    grey = np.fft.irfft2(waves / frequency**1.2, (height, width))
    grey *= 50.0 / grey.std()
    layers = [128 + grey, 122 + 0.9 * grey, 130 + 0.85 * grey]
    made = np.stack([np.clip(layer, 0, 255).astype(np.uint8) for layer in layers], axis=-1)
    made.flags.writeable = False
    return made


def saved(picture: Any, kind: str, **options: Any) -> bytes:
    """The bytes of a file of a picture: an array, or one of Pillow's."""
    from PIL import Image

    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(picture)
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, *chunks: bytes, bits: int = 8, colour: int = 0) -> bytes:
    """A PNG of any chunks after its header."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


def rows_of_zeros(size: int, count: int) -> bytes:
    """The compressed rows of a PNG."""
    pack = zlib.compressobj(1)
    parts = [pack.compress(bytes((size + 1) * 1000)) for _ in range(count // 1000)]
    return b"".join([*parts, pack.compress(bytes((size + 1) * (count % 1000))), pack.flush()])


def tiff(*entries: tuple[int, int, int, int], data: bytes = b"") -> bytes:
    """A TIFF of tags (number, type, count, value), and bytes behind them."""
    fields = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + fields + bytes(4) + data


def orientation(kind: int, count: int, value: bytes) -> bytes:
    """EXIF whose orientation is of any type."""
    return b"Exif\0\0" + tiff(
        (0x0112, kind, count, int.from_bytes(value.ljust(4, b"\0"), "little"))
    )


def exif(orientation: object = None, taken: object = None) -> bytes:
    """EXIF to save a picture with."""
    from PIL import Image

    made = Image.Exif()
    if orientation is not None:
        made[0x0112] = orientation
    if taken is not None:
        made[0x8769] = {0x9003: taken}
    return made.tobytes()
