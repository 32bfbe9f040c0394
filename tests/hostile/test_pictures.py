"""Files that strangers made: bombs, pieces, and what is no picture at all."""

from __future__ import annotations

import functools
import io
import json
import random
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.pictures.making import (
    chunk,
    natural,
    needs_pictures,
    png,
    rows_of_zeros,
    saved,
    tiff,
)

from lookalike.errors import UnreadableImage
from lookalike.pictures.read import Limits, read_picture, readable_formats

pytestmark = needs_pictures

SMALL = natural(30, 40)
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "jpeg": ("JPEG", {}),
    "progressive jpeg": ("JPEG", {"progressive": True}),
    "png": ("PNG", {}),
    "webp": ("WEBP", {}),
    "lossless webp": ("WEBP", {"lossless": True}),
    "gif": ("GIF", {}),
    "bmp": ("BMP", {}),
    "ppm": ("PPM", {}),
    "tiff": ("TIFF", {}),
    "lzw tiff": ("TIFF", {"compression": "tiff_lzw"}),
    "jpeg tiff": ("TIFF", {"compression": "jpeg"}),
    "avif": ("AVIF", {}),
    "heif": ("HEIF", {}),
}


def file_of(kind: str) -> bytes:
    """A real file."""
    if kind == "heif" and kind not in readable_formats():
        pytest.skip("needs the extra 'heif'")
    name, options = KINDS[kind]
    return saved(SMALL, name, **options)


def why(data: bytes, **limits: int) -> str:
    with pytest.raises(UnreadableImage) as caught:
        read_picture(data, limits=Limits(**limits))
    return caught.value.why


def patched(data: bytes, at: int, layout: str, *values: int) -> bytes:
    field = struct.pack(layout, *values)
    return data[:at] + field + data[at + len(field) :]


def behind(data: bytes, mark: bytes, more: bytes, instead_of: int = 4) -> bytes:
    """Other bytes behind a mark, in place of so many."""
    at = data.index(mark) + len(mark)
    return data[:at] + more + data[at + instead_of :]


@functools.cache
def many_times(size: int) -> bytes:
    """Compressed zeros, a thousand times as many as bytes."""
    pack = zlib.compressobj(9)
    return b"".join(pack.compress(bytes(1 << 20)) for _ in range(size >> 20)) + pack.flush()


def exif_of_many_entries() -> bytes:
    """Every entry has all the data there are, again."""
    entry = struct.pack("<HHII", 0x9286, 7, 4 << 20, 8)
    entries = b"".join(struct.pack("<H", 0x9000 + i % 4096) + entry[2:] for i in range(65_535))
    return b"II*\0\x08\0\0\0\xff\xff" + entries + bytes(4 << 20)


SMALL_ROWS = chunk(b"IDAT", zlib.compress(bytes(2)))
PROMISED = "3,600,000,000 pixels, and at most 200,000,000 are decoded"
EVERY_BOMB: dict[str, tuple[Callable[[], bytes], str]] = {
    "png header": (lambda: png(60_000, 60_000, SMALL_ROWS), PROMISED),
    "png real": (
        lambda: png(20_001, 10_000, chunk(b"IDAT", rows_of_zeros(2501, 10_000)), bits=1),
        "200,010,000 pixels, and at most 200,000,000",
    ),
    "bmp": (lambda: patched(saved(SMALL, "BMP"), 18, "<ii", 60_000, 60_000), PROMISED),
    "gif": (lambda: patched(saved(SMALL, "GIF"), 6, "<HH", 60_000, 60_000), PROMISED),
    "ppm": (lambda: b"P6 60000 60000 255\n" + bytes(99), PROMISED),
    "tiff": (
        lambda: tiff((256, 4, 1, 60_000), (257, 4, 1, 60_000), (258, 3, 1, 8), (259, 3, 1, 1),
                     (262, 3, 1, 1), (273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, 60_000),
                     (279, 4, 1, 8)),
        PROMISED,
    ),
    "jpeg": (
        lambda: behind(saved(SMALL, "JPEG"), b"\xff\xc0\0\x11\x08", b"\xea\x60" * 2),
        PROMISED,
    ),
    "webp": (
        lambda: patched(saved(SMALL, "WEBP", save_all=True, append_images=frames(1)), 24,
                        "<HBHB", 59_999, 0, 59_999, 0),
        PROMISED,
    ),
    "webp at its largest": (
        lambda: patched(saved(SMALL, "WEBP", save_all=True, append_images=frames(1)), 24,
                        "<HBHB", 16_382, 0, 16_382, 0),
        "268,402,689 pixels, and at most 200,000,000",
    ),
    "tiles": (
        lambda: tiff((256, 4, 1, 9), (257, 4, 1, 9), (258, 3, 1, 8), (259, 3, 1, 5),
                     (262, 3, 1, 1), (277, 3, 1, 1), (322, 4, 1, 50_000), (323, 4, 1, 50_000),
                     (324, 4, 1, 8), (325, 4, 1, 8)),
        "",
    ),
    "apng": (
        # One more than it says: the still picture that is none of them.
        lambda: png(1, 1, chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0)), SMALL_ROWS),
        "2,147,483,648 frames, and at most 10,000 are allowed",
    ),
    "iCCP": (
        lambda: png(1, 1, chunk(b"iCCP", b"x\0\0" + many_times(100 << 20)), SMALL_ROWS), "too large"
    ),
    "zTXt": (
        lambda: png(1, 1, chunk(b"zTXt", b"x\0\0" + many_times(100 << 20)), SMALL_ROWS), "too large"
    ),
    "iTXt": (
        lambda: png(1, 1, chunk(b"iTXt", b"x\0\1\0\0\0" + many_times(100 << 20)), SMALL_ROWS),
        "too large",
    ),
    "many zTXt": (
        lambda: png(1, 1, *[chunk(b"zTXt", b"x\0\0" + many_times(1 << 20))] * 300, SMALL_ROWS),
        "Too much memory",
    ),
}  # fmt: skip
HARMLESS: dict[str, Callable[[], bytes]] = {
    "exif": lambda: png(1, 1, chunk(b"eXIf", bytes(16 << 20)), SMALL_ROWS),
    "exif of many entries": lambda: png(1, 1, chunk(b"eXIf", exif_of_many_entries()), SMALL_ROWS),
    "exif in jpeg": lambda: behind(
        saved(SMALL, "JPEG"), b"\xff\xd8", (b"\xff\xe1\xff\xffExif\0\0" + bytes(65_527)) * 150, 0
    ),
}


def frames(count: int) -> list[Any]:
    from PIL import Image

    return [Image.fromarray(np.roll(SMALL, i + 1, axis=0)) for i in range(count)]


# What reading takes at its most, beyond what it took before, in a process of its own.
MEASURE = """
import json, resource, sys
from pathlib import Path
import numpy as np
from lookalike.errors import UnreadableImage
from lookalike.pictures.read import read_picture, readable_formats

def most():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10

read_picture(np.zeros((1000, 1000), np.uint8))
for path in sys.argv[1:]:  # what is imported then is no matter of a bomb
    data = Path(path).read_bytes()
    before, why = most(), None
    try:
        read_picture(data)
    except UnreadableImage as error:
        why = error.why
    print(json.dumps([why, most() - before]))
"""


def measured(paths: list[Path]) -> list[tuple[str | None, int]]:
    """Why each picture is unreadable, and what it took in MiB."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", MEASURE, *paths],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def test_bombs_are_refused_before_they_take_memory(tmp_path: Path) -> None:
    (tmp_path / "first").write_bytes(saved(SMALL, "TIFF"))
    paths = [tmp_path / "first"]
    for name, (make, _) in EVERY_BOMB.items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(make())
    found = dict(zip(EVERY_BOMB, measured(paths)[1:], strict=True))
    for name, (_, said) in EVERY_BOMB.items():
        reason, took_mib = found[name]
        assert reason is not None, name
        assert said in reason, name
        assert took_mib < 80, name


def test_much_exif_takes_little_more_than_itself(tmp_path: Path) -> None:
    (tmp_path / "first").write_bytes(saved(SMALL, "TIFF"))
    paths = [tmp_path / "first"]
    for name, make in HARMLESS.items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(make())
    for name, (reason, took_mib) in zip(HARMLESS, measured(paths)[1:], strict=True):
        assert reason is None, name
        assert took_mib < 150, name


def test_large_pictures_of_few_bits_take_no_more_than_their_pixels(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(png(14_000, 10_000, chunk(b"IDAT", rows_of_zeros(1750, 10_000)), bits=1))
    ((reason, took_mib),) = measured([path])
    assert reason is None
    assert took_mib < 200  # 134 of the pixels: as RGB, they would be 534 more


@pytest.mark.parametrize("kind", ["WEBP", "PNG", "AVIF"])
def test_frames_are_counted(kind: str) -> None:
    data = saved(SMALL, kind, save_all=True, append_images=frames(5))
    assert why(data, frames=5) == "it has 6 frames, and at most 5 are allowed"
    assert read_picture(data, limits=Limits(frames=6)).width == 40


def test_a_picture_at_the_limit_is_read() -> None:
    for kind in ("jpeg", "png", "webp", "gif", "bmp", "ppm", "tiff", "avif"):
        data = file_of(kind)
        assert read_picture(data, limits=Limits(pixels=1200, file_bytes=len(data))).width == 40
        assert "40 x 30 = 1,200 pixels, and at most 1,199" in why(data, pixels=1199)
        said = f"it has {len(data):,} bytes, and at most {len(data) - 1:,} are read"
        assert why(data, file_bytes=len(data) - 1) == said


def test_a_large_file_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "sparse.jpg"
    with path.open("wb") as file:
        file.truncate((1 << 29) + 1)
    with pytest.raises(UnreadableImage, match="it has 536,870,913 bytes, and at most 536,870,912"):
        read_picture(path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_piece_of_a_file_is_unreadable_or_the_whole_picture(kind: str) -> None:
    data = file_of(kind)
    whole = read_picture(data).pixels
    lengths = {0, 1, 2, 11, 12, 50, *range(0, len(data), 1 + len(data) // 150)}
    unreadable = 0
    for length in sorted(lengths | set(range(len(data) - 12, len(data)))):
        try:
            piece = read_picture(data[:length]).pixels
        except UnreadableImage:
            unreadable += 1
        else:
            np.testing.assert_array_equal(piece, whole)  # only what follows the pixels is missing
            assert length >= len(data) - 30
    assert unreadable >= len(lengths) - 1


def test_a_file_without_bytes_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    with pytest.raises(UnreadableImage, match=r"a\.jpg must be .*; it has no bytes\. Save it"):
        read_picture(tmp_path / "a.jpg")
    assert why(b"") == "it has no bytes"


FITS = b"".join(
    line.encode().ljust(80)
    for line in ("SIMPLE  =                    T", "BITPIX  =                    8",
                 "NAXIS   =                    2", "NAXIS1  =                   10",
                 "NAXIS2  =                   10", "END")
).ljust(2880) + bytes(2880)  # fmt: skip
NO_PICTURES = {
    "text": b"A picture of a cat.\n" * 100,
    "html": b"<!DOCTYPE html><img src=cat.png>",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "pdf": b"%PDF-1.7\n" + bytes(100),
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n",
    "fits": FITS,
    "zeros": bytes(5000),
    "zip": b"PK\x03\x04" + bytes(100),
    "movie": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(100),
}


@pytest.mark.parametrize("name", NO_PICTURES)
def test_what_is_no_picture_is_refused_with_the_formats_that_are(name: str) -> None:
    said = why(NO_PICTURES[name])
    assert said.startswith("its bytes are of none of the formats that are read, jpeg, png, webp,")


def test_the_fits_of_these_tests_is_one_that_pillow_would_decode() -> None:
    from PIL import Image

    assert Image.open(io.BytesIO(FITS)).size == (10, 10)


def test_formats_that_are_not_listed_are_not_decoded() -> None:
    from PIL import Image

    Image.init()
    others = set(Image.SAVE) - {"JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "HEIF"}
    tried = []
    for kind in sorted(others - {"AVIF"}):
        try:
            data = saved(Image.fromarray(SMALL), kind)
        except Exception:  # a format of other modes, or without an encoder
            continue
        if kind == "DIB" or not data.startswith(b"BM"):
            assert "none of the formats" in why(data), kind
            tried.append(kind)
    assert {"DIB", "DDS", "EPS", "ICO", "JPEG2000", "PCX", "PDF", "TGA"} <= set(tried)


def test_a_complaint_of_a_decoder_is_one_short_line() -> None:
    for data in (saved(SMALL, "PNG")[:200], saved(SMALL, "JPEG")[:300]):
        said = why(data)
        assert said.startswith("its decoder says: ")
        assert len(said) < 250
        assert "\n" not in said


def must_be_told(data: bytes) -> None:
    """Whatever it is: a picture, or one error."""
    try:
        picture = read_picture(data, limits=Limits(pixels=1_000_000))
    except UnreadableImage:
        return
    assert picture.pixels.dtype == np.uint8
    assert max(picture.pixels.shape[:2]) <= 960


MAGIC = [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF\x20\0\0\0WEBPVP8 ", b"GIF89a", b"BM",
         b"II*\0\x08\0\0\0", b"MM\0+\0\x08\0\0\0\0\0\0\0\0\0\x10", b"P6 3 3 255\n", b"P1 4 4 ",
         b"\0\0\0\x1cftypavif\0\0\0\0", b"\0\0\0\x18ftypheic\0\0\0\0"]  # fmt: skip


@given(st.sampled_from(MAGIC), st.binary(max_size=300))
@settings(max_examples=150)
def test_random_bytes_are_unreadable(magic: bytes, data: bytes) -> None:
    must_be_told(magic + data)


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_are_pictures_or_unreadable(kind: str) -> None:
    whole = file_of(kind)
    other = saved(SMALL[::-1, ::2], KINDS[kind][0])

    @given(st.integers(0, 2**32))
    @settings(max_examples=60)
    def damage(seed: int) -> None:
        draw = random.Random(seed)
        data = bytearray(whole)
        for _ in range(draw.randint(1, 6)):
            # Half of the damage where the headers are.
            at = draw.randrange(min(len(data), 80) if draw.random() < 0.5 else len(data))
            deed = draw.randrange(5)
            if deed == 0:
                data[at] ^= 1 << draw.randrange(8)
            elif deed == 1:
                data[at] = draw.choice([0, 1, 0x7F, 0x80, 0xFF])
            elif deed == 2:
                data[at : at + 4] = draw.choice([b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff"])
            elif deed == 3 and at > 20:
                del data[at : at + draw.randrange(1, 50)]
            elif at > 20:
                data[at:at] = other[at : at + draw.randrange(1, 200)]
        must_be_told(bytes(data))

    damage()


def test_a_tiff_whose_tiles_are_larger_than_any_picture_is_not_decoded() -> None:
    """Of 8 x 8 pixels, in one tile of 40,000 x 40,000, which libtiff would make room for."""
    tags = [(256, 8), (257, 8), (258, 8), (259, 8), (262, 1), (277, 1)]
    tags += [(322, 40_000), (323, 40_000), (324, 150), (325, 50)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    data = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    with pytest.raises(UnreadableImage, match="tiles of 40,000 x 40,000 = 1,600,000,000 pixels"):
        read_picture(data.ljust(200, b"\0"))
