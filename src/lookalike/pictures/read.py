"""Read a picture: decode it, turn it upright, and shrink it to what encoders need.

Pictures may come from strangers. Only formats that are listed here are decoded, by what the bytes
are and not by the name; the size is read from the header and checked before anything is decoded;
and whatever a decoder stumbles over becomes an :class:`~lookalike.errors.UnreadableImage`.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from lookalike import arrays
from lookalike.errors import InvalidInput, LookalikeError, UnreadableImage
from lookalike.pictures.colours import shrunk
from lookalike.pictures.exif import exif_of, swaps, taken, turn_of
from lookalike.pictures.pillow import known_formats, pillow, quiet

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["LIMITS", "Limits", "Picture", "Pixels", "read_picture", "readable_formats"]

Pixels = npt.NDArray[np.uint8]

_COUNTED = ("PNG", "WEBP", "HEIF", "AVIF")  # whose headers say how many frames there are
_LONG_SIDE = 480  # pixels that the longer side keeps at the least, if it has them
_MOST_NAMED = 200  # characters of a decoder's complaint
_SUBFILE, _RAW_VERSION = 254, 50706  # tags of TIFF
_TILE_WIDTH, _TILE_LENGTH = 322, 323
_PLAIN_MODES = ("1", "L", "RGB", "RGBA")
_LAPLACIAN_SIDE = 3


@dataclass(frozen=True, slots=True)
class Limits:
    """What a picture may have.

    Attributes
    ----------
    pixels : int
        Of its first frame, the only one that is decoded.
    frames : int
        Where the header says how many there are: PNG, WebP, HEIF and AVIF. Those of GIF and TIFF
        are not looked for.
    file_bytes : int
    """

    pixels: int = 200_000_000
    frames: int = 10_000
    file_bytes: int = 1 << 29


LIMITS = Limits()


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture as encoders see it.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (h, w, 3)
        RGB, upright. The longer side has 480 to 960 pixels, if the picture has as many.
    width, height : int
        Of the whole picture, upright.
    format : str
        "jpeg", "png", "webp", "gif", "bmp", "tiff", "ppm", "heif", "avif", or "pixels".
    taken : str or None
        When, as "YYYY-MM-DDTHH:MM:SS" of the camera's clock, where EXIF says so.
    sharpness : float
        Variance of the Laplacian of the grey values of ``pixels``.
    """

    pixels: Pixels
    width: int
    height: int
    format: str
    taken: str | None
    sharpness: float


def read_picture(
    source: str | os.PathLike[str] | bytes | npt.ArrayLike, *, limits: Limits = LIMITS
) -> Picture:
    """Read a picture.

    Parameters
    ----------
    source : path, bytes or array
        A file, its bytes, or pixels of shape (h, w), (h, w, 3) or (h, w, 4): whole numbers from 0
        to 255, or bool.
    limits : Limits

    Returns
    -------
    Picture

    Raises
    ------
    UnreadableImage
        When it is damaged, beyond the limits, or of a format that is not read here.
    InvalidInput
        When an array is no picture.
    MissingExtra
        Without Pillow.

    Notes
    -----
    Transparent parts are shown on white. 16 bits of a pixel become the higher 8; other numbers
    (32 bits, floats) are scaled from their smallest to their largest. CMYK is converted without a
    profile, and colour profiles are ignored. A JPEG is decoded at an eighth, a quarter or half of
    its size where that is enough.
    """
    if isinstance(source, bytes):
        return _read(source, "the bytes", limits)
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        return _read(_bytes_of(path, limits), str(path), limits)
    pixels = _checked_pixels(source)
    height, width = pixels.shape[:2]
    image = shrunk(pillow().fromarray(pixels), _factor((width, height)), "pixels")
    return Picture(_pixels(image), width, height, "pixels", None, _sharpness(image))


def readable_formats() -> tuple[str, ...]:
    """The formats that can be read here: those of HEIF only where their package is installed."""
    return tuple(known_formats().values())


def _bytes_of(path: Path, limits: Limits) -> bytes:
    """Of a plain file: others may never end, or never begin."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableImage(str(path), "it is not a plain file")
        _check_bytes(status.st_size, str(path), limits)
        with path.open("rb") as file:
            return file.read(status.st_size + 1)
    except LookalikeError:
        raise
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UnreadableImage(str(path), f"it cannot be read: {why}") from error


def _check_bytes(size: int, what: str, limits: Limits) -> None:
    if size > limits.file_bytes:
        raise UnreadableImage(
            what, f"it has {size:,} bytes, and at most {limits.file_bytes:,} are read"
        )
    if not size:
        raise UnreadableImage(what, "it has no bytes")


def _checked_pixels(source: npt.ArrayLike) -> Pixels:
    mode = getattr(source, "mode", "RGB")
    if mode not in _PLAIN_MODES:
        raise InvalidInput(
            f"a picture of Pillow must be of mode {', '.join(_PLAIN_MODES)}; got {mode!r}, whose "
            'numbers are no grey values or colours. Pass picture.convert("RGB").'
        )
    array = arrays.as_array(source, "picture")
    is_shaped = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    if not is_shaped or 0 in array.shape:
        raise InvalidInput(
            "a picture must have shape (h, w), (h, w, 3) or (h, w, 4), with pixels in it; got "
            f"{array.shape}. Turn the axes, or pass pictures one by one."
        )
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if not arrays.are_whole_bytes(array, 255):
        raise InvalidInput(
            f"pixels must be whole numbers from 0 to 255; got dtype {array.dtype}, with values "
            f"from {array.min()} to {array.max()}. Scale them, and convert them to uint8."
        )
    return np.ascontiguousarray(array, np.uint8)


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """Whatever a decoder raises, as one error."""
    try:
        yield
    except LookalikeError:
        raise
    except MemoryError as error:
        raise UnreadableImage(what, f"there is not enough memory for it{_said(error)}") from error
    except Exception as error:
        raise UnreadableImage(what, f"its decoder says{_said(error)}") from error


def _said(error: BaseException) -> str:
    text = " ".join(str(error).split())[:_MOST_NAMED]
    return f": {text}" if text else f": {type(error).__name__}"


def _read(data: bytes, what: str, limits: Limits) -> Picture:
    _check_bytes(len(data), what, limits)
    with _told(what), quiet(limits.pixels), _opened(data, what, limits) as image:
        _check_limits(image, what, limits)
        _check_tiles(image, what, limits)
        _check_whole(image, data, what)
        drafted, done = image.size, _draft(image)
        image.load()
        size = image.size if done == 1 else drafted  # what decoding a HEIF has shown
        exif = exif_of(image)
        turn = turn_of(exif)
        upright = image if turn is None else image.transpose(turn)
        kind = known_formats().get(str(image.format), "jpeg")  # MPO: two JPEGs, opened as JPEG
        small = shrunk(upright, _factor(size) // done, kind)
        width, height = size[::-1] if swaps(turn) else size
        return Picture(_pixels(small), width, height, kind, taken(exif), _sharpness(small))


def _opened(data: bytes, what: str, limits: Limits) -> Image:
    pil = pillow()
    known = known_formats()
    try:
        return cast("Image", pil.open(io.BytesIO(data), formats=tuple(known)))
    except pil.UnidentifiedImageError as error:
        is_heif = data[4:8] == b"ftyp" and "HEIF" not in known
        hint = "; for HEIC: pip install 'lookalike[heif]'" if is_heif else ""
        raise UnreadableImage(
            what,
            f"its bytes are of none of the formats that are read, {', '.join(known.values())}"
            f"{hint}",
        ) from error
    except pil.DecompressionBombError as error:
        count = re.search(r"\d+", str(error))
        pixels = f"{int(count[0]):,}" if count else "too many"
        raise _too_many_pixels(pixels, what, limits) from error


def _too_many_pixels(pixels: str, what: str, limits: Limits) -> UnreadableImage:
    return UnreadableImage(
        what, f"it has {pixels} pixels, and at most {limits.pixels:,} are decoded"
    )


def _check_limits(image: Image, what: str, limits: Limits) -> None:
    """Before anything is decoded: the header says how large it would be."""
    width, height = image.size
    if width < 1 or height < 1:
        raise UnreadableImage(what, f"it has {width} x {height} pixels")
    if width * height > limits.pixels:
        raise _too_many_pixels(f"{width:,} x {height:,} = {width * height:,}", what, limits)
    frames = getattr(image, "n_frames", 1) if image.format in _COUNTED else 1
    if frames > limits.frames:
        raise UnreadableImage(
            what, f"it has {frames:,} frames, and at most {limits.frames:,} are allowed"
        )


def _check_tiles(image: Any, what: str, limits: Limits) -> None:
    """A tile of TIFF may be larger than the picture, and is decoded as a whole."""
    if image.format != "TIFF":
        return
    width, height = (image.tag_v2.get(tag, 1) for tag in (_TILE_WIDTH, _TILE_LENGTH))
    if not (isinstance(width, int) and isinstance(height, int)):
        raise UnreadableImage(what, f"its tiles have {width!r} x {height!r} pixels")
    if width * height > limits.pixels:
        size = f"{width:,} x {height:,} = {width * height:,}"
        raise _too_many_pixels(f"tiles of {size}", what, limits)


def _check_whole(image: Any, data: bytes, what: str) -> None:
    """Refuse raw files of cameras, most of which are TIFF.

    What can be read of them is a preview: taken for the picture, it would seem the worse copy.
    """
    if image.format != "TIFF":
        return
    subfile = image.tag_v2.get(_SUBFILE, 0)
    is_reduced = isinstance(subfile, int) and subfile & 1
    if is_reduced or _RAW_VERSION in image.tag_v2 or data[8:10] == b"CR":
        raise UnreadableImage(
            what, "it is a camera's raw file, of which only a preview could be shown"
        )


def _factor(size: tuple[int, int]) -> int:
    """By what a picture is shrunk: a power of two, so that pixels are means of whole squares."""
    return 1 << max(0, (max(size) // _LONG_SIDE).bit_length() - 1)


def _draft(image: Image) -> int:
    """Let a JPEG be decoded at a part of its size; by what it is shrunk then."""
    width, height = image.size
    factor = _factor(image.size)
    if image.format not in ("JPEG", "MPO") or factor == 1:
        return 1
    image.draft(image.mode, (max(1, width // factor), max(1, height // factor)))
    return max(1, round(max(width, height) / max(image.size)))


def _pixels(image: Image) -> Pixels:
    return np.ascontiguousarray(image, np.uint8)


def _sharpness(image: Image) -> float:
    """Variance of the Laplacian of the grey values: whole numbers, but for the last division.

    Notes
    -----
    Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000.
    """
    if min(image.size) < _LAPLACIAN_SIDE:
        return 0.0
    grey = np.asarray(image.convert("L"), np.int16)
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    laplacian -= 4 * grey[1:-1, 1:-1]
    values = laplacian.astype(np.int32).ravel()
    count, total = len(values), int(values.sum(dtype=np.int64))
    squares = int((values * values).sum(dtype=np.int64))
    return squares / count - (total / count) ** 2
