"""Pictures of every kind, by what their pixels must be when they are read."""

from __future__ import annotations

import io
import os
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.unit.pictures.making import (
    Pixels,
    exif,
    natural,
    needs_heif,
    needs_pictures,
    orientation,
    png,
    saved,
)

from lookalike.errors import InvalidInput, MissingExtra, UnreadableImage
from lookalike.pictures import pillow
from lookalike.pictures.encoders import encoder_named
from lookalike.pictures.read import Limits, Picture, read_picture, readable_formats

pytestmark = needs_pictures

SMALL = natural(60, 80)
LOSSLESS: list[tuple[str, dict[str, Any]]] = [
    ("PNG", {"compress_level": 1}),
    ("WEBP", {"lossless": True, "method": 0, "quality": 0}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
]
PLAIN: list[tuple[str, dict[str, Any]]] = [*LOSSLESS, ("BMP", {}), ("PPM", {})]


def stored(upright: Pixels, way: int) -> Pixels:
    """How a camera stores a picture that it says is turned."""
    turned = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }
    return np.ascontiguousarray(turned[way])


def means(pixels: Pixels, factor: int) -> Pixels:
    """Of whole squares."""
    height, width = pixels.shape[0] // factor, pixels.shape[1] // factor
    squares = pixels[: height * factor, : width * factor].astype(np.float64)
    squares = squares.reshape(height, factor, width, factor, 3)
    whole: Pixels = np.floor(squares.mean(axis=(1, 3)) + 0.5).astype(np.uint8)
    return whole


def difference(a: Pixels, b: Pixels) -> float:
    return float(np.abs(a.astype(int) - b.astype(int)).mean())


def grey_of(picture: Picture) -> list[list[int]]:
    assert (picture.pixels == picture.pixels[:, :, :1]).all()
    grey: list[list[int]] = picture.pixels[:, :, 0].tolist()
    return grey


@pytest.mark.parametrize(("kind", "options"), PLAIN)
def test_small_pictures_are_read_as_they_are(kind: str, options: dict[str, Any]) -> None:
    picture = read_picture(saved(SMALL, kind, **options))
    np.testing.assert_array_equal(picture.pixels, SMALL)
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.flags.c_contiguous
    assert (picture.width, picture.height, picture.taken) == (80, 60, None)
    assert picture.format == kind.lower()


def test_a_file_its_bytes_and_its_pixels_are_the_same_picture(tmp_path: Path) -> None:
    data = saved(SMALL, "PNG")
    (tmp_path / "a.png").write_bytes(data)
    read = [
        read_picture(source)
        for source in (tmp_path / "a.png", str(tmp_path / "a.png"), data, SMALL)
    ]
    for picture in read:
        np.testing.assert_array_equal(picture.pixels, SMALL)
        assert picture.sharpness == read[0].sharpness > 0
    assert [picture.format for picture in read] == ["png", "png", "png", "pixels"]


@pytest.mark.parametrize("name", ["wrong.png", ".png", "none", "a\nb.gif", b"\xff.txt"])
def test_the_content_decides_and_not_the_name(name: str | bytes, tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(saved(SMALL, "JPEG"))
    assert read_picture(path).format == "jpeg"


@pytest.mark.parametrize("way", range(1, 9))
@pytest.mark.parametrize(("kind", "options"), LOSSLESS)
def test_pictures_are_turned_upright_once(kind: str, options: dict[str, Any], way: int) -> None:
    upright = natural(701, 1003)
    data = saved(stored(upright, way), kind, exif=exif(way), **options)
    picture = read_picture(data)
    assert (picture.width, picture.height) == (1003, 701)
    assert picture.pixels.shape == (351, 502, 3)
    np.testing.assert_array_equal(picture.pixels[:350, :501], means(upright, 2))
    straight = read_picture(saved(upright, kind, **options))
    np.testing.assert_array_equal(picture.pixels, straight.pixels)
    assert picture.sharpness == straight.sharpness


@pytest.mark.parametrize("way", range(1, 9))
@pytest.mark.parametrize("shape", [(60, 80), (1200, 1600), (1201, 1603)])
def test_a_jpeg_is_turned_upright_also_when_it_is_decoded_smaller(
    shape: tuple[int, int], way: int
) -> None:
    upright = natural(*shape)
    data = saved(stored(upright, way), "JPEG", quality=95, exif=exif(way))
    picture = read_picture(data)
    assert (picture.height, picture.width) == shape
    factor = 2 if shape[0] > 1000 else 1
    height, width = (side // factor for side in shape)
    assert picture.pixels.shape == (-(-shape[0] // factor), -(-shape[1] // factor), 3)
    # Squares begin at the corner that was stored first: of odd sides, half a pixel beside.
    most = 12.0 if shape[0] % 2 else 4.0
    assert difference(picture.pixels[:height, :width], means(upright, factor)) < most


@needs_heif
@pytest.mark.parametrize("way", range(1, 9))
@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
def test_heif_and_avif_are_read_and_turned_upright_once(kind: str, way: int) -> None:
    assert kind.lower() in readable_formats()  # Pillow has learnt them by this
    data = saved(stored(SMALL, way), kind, quality=95, exif=exif(way))
    picture = read_picture(data)
    assert (picture.width, picture.height, picture.format) == (80, 60, kind.lower())
    assert difference(picture.pixels, SMALL) < 4.0


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    "said",
    [
        exif(0),
        exif(9),
        exif(65535),
        orientation(2, 2, b"6"),
        orientation(11, 1, b"\0\0\xc0\x40"),
        b"Exif\0\0",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0" + bytes(range(200)),
        bytes(50),
    ],
    ids=range(9),
)
def test_exif_that_says_nothing_sensible_turns_nothing(kind: str, said: Any) -> None:
    data = saved(SMALL, kind, exif=said)
    np.testing.assert_array_equal(
        read_picture(data).pixels, read_picture(saved(SMALL, kind)).pixels
    )


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_says_when_a_picture_was_taken(kind: str) -> None:
    data = saved(SMALL, kind, exif=exif(taken="2021:12:31 23:59:58"))
    assert read_picture(data).taken == "2021-12-31T23:59:58"


@pytest.mark.parametrize(
    "said", ["", "0000:00:00 00:00:00", "2021-12-31", "2021:13:01 00:00:00", "\x1b[2J", 7,
             "2021:12:31 23:59:58 and more", b"\xff\xfe", "    :  :     :  :  "],
)  # fmt: skip
def test_nonsense_is_no_time(said: object) -> None:
    assert read_picture(saved(SMALL, "JPEG", exif=exif(taken=said))).taken is None


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        ((4000, 3000), (375, 500)),
        ((4031, 3023), (378, 504)),
        ((3023, 4031), (504, 378)),
        ((7680, 16), (1, 480)),
        ((7679, 16), (2, 960)),
        ((959, 9), (9, 959)),
        ((960, 9), (5, 480)),
        ((961, 9), (5, 481)),
        ((1, 1), (1, 1)),
        ((1, 65000), (508, 1)),
        ((65000, 1), (1, 508)),
        ((65000, 100), (1, 508)),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "pixels"])
def test_the_longer_side_keeps_480_to_960_pixels(
    kind: str, size: tuple[int, int], shape: tuple[int, int]
) -> None:
    pixels = np.full((size[1], size[0]), 77, np.uint8)
    picture = read_picture(pixels if kind == "pixels" else saved(pixels, kind))
    assert (picture.width, picture.height) == size
    assert picture.pixels.shape == (*shape, 3)
    assert (picture.pixels == 77).all()
    assert picture.sharpness == 0.0


def test_strips_leave_no_seam() -> None:
    pixels = natural(2300, 1930)
    grey = pixels[:, :, 0]
    expected = means(np.repeat(grey[:, :, None], 3, axis=2), 4)
    picture = read_picture(grey)
    np.testing.assert_array_equal(picture.pixels[:575, :482], expected)


@pytest.mark.parametrize("seed", range(3))
def test_a_jpeg_decoded_at_an_eighth_has_the_pdq_hash_of_all_its_pixels(seed: int) -> None:
    import pdqhash
    from PIL import Image

    data = saved(natural(3000, 4000, seed), "JPEG", quality=90)
    picture = read_picture(data)
    assert picture.pixels.shape == (375, 500, 3)
    whole, _ = pdqhash.compute(np.asarray(Image.open(io.BytesIO(data))))
    vectors, usable = encoder_named("pdq").encode([picture.pixels])
    assert usable[0]
    assert int((whole != np.unpackbits(vectors[0])).sum()) <= 10


def test_a_progressive_jpeg_and_the_first_picture_of_an_mpo_are_jpegs() -> None:
    from PIL import Image

    pixels = natural(1200, 1600)
    expected = read_picture(saved(pixels, "JPEG")).pixels
    progressive = read_picture(saved(pixels, "JPEG", progressive=True))
    assert difference(progressive.pixels, expected) < 0.5
    second = Image.fromarray(255 - pixels)
    both = saved(pixels, "MPO", save_all=True, append_images=[second])
    assert b"MPF\0" in both
    picture = read_picture(both)
    assert (picture.format, picture.width) == ("jpeg", 1600)
    np.testing.assert_array_equal(picture.pixels, expected)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_is_shown_in_its_colours(kind: str) -> None:
    from PIL import Image

    inks = Image.fromarray(SMALL).convert("CMYK")
    data = saved(inks, kind, **({"quality": 95} if kind == "JPEG" else {}))
    assert Image.open(io.BytesIO(data)).mode == "CMYK"
    assert (b"Adobe" in data) == (kind == "JPEG")  # inverted
    assert difference(read_picture(data).pixels, SMALL) < 8.0


def test_cmyk_of_a_jpeg_that_says_nothing_is_taken_as_inverted_as_adobe_has_it() -> None:
    from PIL import Image

    data = saved(Image.new("CMYK", (16, 16), (255, 0, 0, 0)), "JPEG", quality=100)
    at = data.index(b"\xff\xee")
    plain = data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]
    for whole in (data, plain):
        assert abs(read_picture(whole).pixels[0, 0].astype(int) - [0, 255, 255]).max() < 4


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_scaled_and_not_clipped(kind: str) -> None:
    levels = np.array([[0, 255, 256, 511], [0x1234, 0x7FFF, 0x8000, 0xFFFF]], np.uint16)
    assert grey_of(read_picture(saved(levels, kind))) == [[0, 0, 1, 1], [0x12, 0x7F, 0x80, 0xFF]]


def test_sixteen_bits_of_a_colour_are_scaled_and_not_clipped() -> None:
    import struct
    import zlib

    from tests.unit.pictures.making import chunk

    row = b"\0" + struct.pack(">6H", 0x1234, 0x8000, 0xFFFF, 0, 300, 0x00FF)
    data = png(2, 1, chunk(b"IDAT", zlib.compress(row)), bits=16, colour=2)
    assert read_picture(data).pixels.tolist() == [[[0x12, 0x80, 0xFF], [0, 1, 0]]]


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_other_numbers_are_scaled_from_the_smallest_to_the_largest(dtype: type) -> None:
    numbers: npt.NDArray[Any] = np.array([[-1000, -500], [0, 1000]], dtype)
    assert grey_of(read_picture(saved(numbers, "TIFF"))) == [[0, 64], [128, 255]]
    assert grey_of(read_picture(saved(numbers * 0 + 5, "TIFF"))) == [[0, 0], [0, 0]]


def test_what_is_not_finite_does_not_decide_the_scale() -> None:
    numbers = np.array([[1000, np.nan, np.inf], [1100, -np.inf, 1040]], np.float32)
    assert grey_of(read_picture(saved(numbers, "TIFF"))) == [[0, 0, 255], [255, 0, 102]]
    nothing = np.full((2, 2), np.nan, np.float32)
    assert grey_of(read_picture(saved(nothing, "TIFF"))) == [[0, 0], [0, 0]]
    huge = np.array([[-3e38, 3e38, 1e-45]], np.float32)
    assert grey_of(read_picture(saved(huge, "TIFF"))) == [[0, 255, 128]]
    signalling = np.array([[0x7FA00000, 0, 0x3F800000]], np.uint32).view(np.float32)
    assert grey_of(read_picture(saved(signalling, "TIFF"))) == [[0, 0, 255]]


def test_floats_of_a_portable_map_are_scaled() -> None:
    from PIL import Image

    numbers = np.array([[0.0, 0.25], [0.5, 1.0]], np.float32)
    data = saved(Image.fromarray(numbers), "PPM")
    assert data.startswith(b"Pf")
    assert grey_of(read_picture(data)) == [[0, 64], [128, 255]]


@pytest.mark.parametrize(
    ("mode", "colour", "shown"),
    [
        ("1", 1, (255, 255, 255)),
        ("L", 9, (9, 9, 9)),
        ("LA", (0, 0), (255, 255, 255)),
        ("LA", (0, 255), (0, 0, 0)),
        ("RGBA", (9, 8, 7, 255), (9, 8, 7)),
        ("RGBA", (9, 8, 7, 0), (255, 255, 255)),
        ("RGBA", (0, 0, 0, 51), (204, 204, 204)),
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_transparent_parts_are_shown_on_white(
    kind: str, mode: str, colour: Any, shown: tuple[int, ...]
) -> None:
    from PIL import Image

    picture = read_picture(saved(Image.new(mode, (4, 3), colour), kind))
    assert (picture.pixels == shown).all()
    large = read_picture(saved(Image.new(mode, (2000, 3), colour), kind))
    assert (large.pixels == shown).all()


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_palette_may_have_a_transparent_colour(kind: str) -> None:
    from PIL import Image

    image = Image.new("P", (4, 3), 1)
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((0, 0), 0)
    picture = read_picture(saved(image, kind, transparency=0))
    assert picture.pixels[0, 0].tolist() == [255, 255, 255]
    assert picture.pixels[1, 1].tolist() == [40, 50, 60]
    several = read_picture(saved(image, "PNG", transparency=b"\x80\0"))
    assert several.pixels[1, 1].tolist() == [255, 255, 255]


@pytest.mark.parametrize(("mode", "key"), [("L", 7), ("RGB", (7, 7, 7))])
def test_a_colour_may_be_declared_transparent(mode: str, key: Any) -> None:
    from PIL import Image

    image = Image.fromarray(np.full((3, 4, 3), 9, np.uint8)).convert(mode)
    image.putpixel((0, 0), key)
    picture = read_picture(saved(image, "PNG", transparency=key))
    assert picture.pixels[0, 0].tolist() == [255, 255, 255]
    assert picture.pixels[1, 1].tolist() == [9, 9, 9]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_the_first_frame_is_what_is_read(kind: str) -> None:
    from PIL import Image

    first, *others = [Image.new("RGB", (8, 6), (c, 0, 0)) for c in (200, 100, 50)]
    lossless = {"lossless": True} if kind == "WEBP" else {}
    data = saved(first, kind, save_all=True, append_images=others, **lossless)
    assert getattr(Image.open(io.BytesIO(data)), "n_frames") == 3  # noqa: B009
    assert (read_picture(data).pixels == (200, 0, 0)).all()


def test_a_lab_picture_is_shown_in_its_colours() -> None:
    from PIL import Image, ImageCms

    lab = ImageCms.createProfile("LAB")
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), lab, "RGB", "LAB")
    image = ImageCms.applyTransform(Image.fromarray(SMALL), to_lab)
    assert image is not None
    assert difference(read_picture(saved(image, "TIFF")).pixels, SMALL) < 4.0


@pytest.mark.parametrize("tags", [{254: 1}, {50706: b"\1\4\0\0"}])
def test_the_preview_in_a_raw_file_is_not_taken_for_the_picture(tags: dict[int, Any]) -> None:
    data = saved(SMALL, "TIFF", tiffinfo=tags)
    with pytest.raises(UnreadableImage, match="a camera's raw file"):
        read_picture(data)
    assert read_picture(saved(SMALL, "TIFF", tiffinfo={254: 2})).width == 80  # a page of several


@pytest.mark.parametrize(
    "array",
    [
        SMALL,
        SMALL[::-1, ::2],
        SMALL.astype(np.int64),
        SMALL.astype(np.float32),
        SMALL.astype(">u2"),
        SMALL.tolist(),
        np.asfortranarray(SMALL),
    ],
)
def test_arrays_are_pictures(array: Any) -> None:
    np.testing.assert_array_equal(read_picture(array).pixels, np.asarray(array))


def test_arrays_may_be_grey_transparent_or_bool() -> None:
    grey = SMALL[:, :, 0]
    assert (read_picture(grey).pixels == grey[:, :, None]).all()
    bits = grey > 128
    assert (read_picture(bits).pixels == bits[:, :, None] * 255).all()
    clear = np.zeros((5, 6, 4), np.uint8)
    assert (read_picture(clear).pixels == 255).all()


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros(9, np.uint8), "must have shape"),
        (np.zeros((3, 3, 2), np.uint8), "must have shape"),
        (np.zeros((3, 3, 3, 3), np.uint8), "must have shape"),
        (np.zeros((0, 3), np.uint8), "must have shape"),
        (np.zeros((3, 0, 3), np.uint8), "must have shape"),
        (np.full((3, 3), 0.5), "whole numbers from 0 to 255; got dtype float64, with values from"),
        (np.full((3, 3), 256), "whole numbers from 0 to 255"),
        (np.full((3, 3), -1), "whole numbers from 0 to 255"),
        (np.full((3, 3), np.nan), "whole numbers from 0 to 255"),
        (np.array([["a"]]), "must hold numbers"),
        (np.zeros((3, 3), complex), "must hold numbers"),
        (None, "must hold numbers"),
    ],
)
def test_arrays_that_are_no_pictures_are_refused(array: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read_picture(array)


def test_a_picture_of_pillow_is_an_array_where_its_numbers_are_colours() -> None:
    from PIL import Image

    image = Image.fromarray(SMALL)
    np.testing.assert_array_equal(read_picture(image).pixels, SMALL)  # type: ignore[arg-type]
    for mode in ("P", "CMYK", "LAB", "I;16"):
        with pytest.raises(InvalidInput, match=f"got '{mode}', whose numbers are no grey values"):
            read_picture(Image.new(mode, (3, 3)))  # type: ignore[arg-type]


def test_what_is_no_plain_file_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path, said in [
        (tmp_path / "fifo", "not a plain file"),
        (tmp_path, "not a plain file"),
        (Path("/dev/zero"), "not a plain file"),
        (tmp_path / "gone", "No such file"),
        (tmp_path / "loop", "symbolic links"),
        (tmp_path / "a\0b", "null"),
    ]:
        with pytest.raises(UnreadableImage, match=said) as caught:
            read_picture(path)
        assert caught.value.what == str(path)


def test_sharpness_is_the_variance_of_the_laplacian() -> None:
    grey = np.zeros((5, 5), np.uint8)
    grey[2, 2] = 100
    around = np.array([[0, 100, 0], [100, -400, 100], [0, 100, 0]])
    assert read_picture(grey).sharpness == pytest.approx(around.var())
    checks = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    assert read_picture(checks).sharpness == pytest.approx(1020.0**2)
    assert read_picture(grey[:2]).sharpness == 0.0


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0heicmif1" + bytes(100)


@pytest.fixture
def afresh() -> Iterator[None]:
    """Look for the packages again, also afterwards."""
    pillow.known_formats.cache_clear()
    yield
    pillow.known_formats.cache_clear()


def test_without_pillow_the_extra_is_named(afresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    for ask in (
        lambda: read_picture(b"data"),
        lambda: read_picture(SMALL),
        readable_formats,
    ):
        with pytest.raises(MissingExtra, match=r"needs Pillow.*lookalike\[pictures\]"):
            ask()


def test_without_pillow_heif_a_heic_names_the_extra(
    afresh: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    assert "heif" not in readable_formats()
    with pytest.raises(UnreadableImage, match=r"for HEIC: pip install 'lookalike\[heif\]'"):
        read_picture(HEIC)
    with pytest.raises(UnreadableImage) as caught:
        read_picture(b"no picture")
    assert "pip install" not in caught.value.why


@needs_heif
def test_with_pillow_heif_a_broken_heic_names_no_extra() -> None:
    with pytest.raises(UnreadableImage) as caught:
        read_picture(HEIC)
    assert "pip install" not in caught.value.why


def test_the_state_of_the_process_is_as_before_however_many_threads_read() -> None:
    from PIL import Image, ImageFile

    sources = [saved(SMALL, kind) for kind in ("JPEG", "PNG", "TIFF", "WEBP", "GIF")]
    sources += [png(60_000, 60_000), b"no picture", saved(SMALL, "JPEG")[:-100]]
    filters, before = warnings.filters, list(warnings.filters)
    most, truncated = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    failures: list[BaseException] = []
    start = threading.Barrier(8)

    def read(first: int) -> None:
        start.wait()
        for number in range(first, first + 40):
            try:
                read_picture(sources[number % 8], limits=Limits(pixels=10**8 + 10**8 * first))
            except UnreadableImage:
                pass
            except BaseException as error:
                failures.append(error)

    threads = [threading.Thread(target=read, args=(first,)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert warnings.filters is filters
    assert list(warnings.filters) == before
    assert most == Image.MAX_IMAGE_PIXELS
    assert truncated is ImageFile.LOAD_TRUNCATED_IMAGES is False


def test_nothing_stays_when_others_change_the_same_state_meanwhile() -> None:
    from PIL import Image

    before, most = list(warnings.filters), Image.MAX_IMAGE_PIXELS
    reading = pillow.quiet(300_000_000)
    with reading:
        assert Image.MAX_IMAGE_PIXELS == 150_000_000
        others = warnings.catch_warnings()
        others.__enter__()
        with pillow.quiet(10):
            assert Image.MAX_IMAGE_PIXELS == 150_000_000
        assert Image.MAX_IMAGE_PIXELS == 150_000_000
        warnings.warn_explicit("a tag", UserWarning, "file", 1, "PIL.TiffImagePlugin")
    assert pillow._PROCESS._filters == []
    assert list(warnings.filters) == before
    others.__exit__(None, None, None)
    assert list(warnings.filters) == before
    assert most == Image.MAX_IMAGE_PIXELS
    try:
        with pillow.quiet(300_000_000):
            Image.MAX_IMAGE_PIXELS = 7
        assert Image.MAX_IMAGE_PIXELS == 7
    finally:
        Image.MAX_IMAGE_PIXELS = most


def test_warnings_of_pillow_are_silent_and_those_of_others_are_not() -> None:
    with pillow.quiet(10):
        warnings.warn_explicit("a tag", UserWarning, "file", 1, "PIL.TiffImagePlugin")
        with pytest.raises(UserWarning, match="mine"):
            warnings.warn_explicit("mine", UserWarning, "file", 1, "mine.PIL")


def test_a_process_without_a_limit_keeps_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with pytest.raises(UnreadableImage, match=r"60,000 x 60,000 = 3,600,000,000 pixels"):
        read_picture(png(60_000, 60_000))
    assert Image.MAX_IMAGE_PIXELS is None


def test_a_stricter_process_reads_what_our_limits_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    for kind, options in PLAIN:
        np.testing.assert_array_equal(read_picture(saved(SMALL, kind, **options)).pixels, SMALL)
    assert Image.MAX_IMAGE_PIXELS == 10
