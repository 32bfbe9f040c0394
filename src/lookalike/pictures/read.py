"""Read a picture: decode it, turn it upright, and shrink it to what encoders need.

Pictures may come from strangers. Only formats that are listed here are decoded, by what the bytes
are and not by the name; the size is read from the header and checked before anything is decoded;
and whatever a decoder stumbles over becomes an :class:`~lookalike.errors.UnreadableImage`.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from lookalike import arrays
from lookalike.errors import InvalidInput, LookalikeError, MissingExtra, UnreadableImage

if TYPE_CHECKING:
    from PIL.Image import Image, Transpose

__all__ = ["LIMITS", "Limits", "Picture", "Pixels", "read_picture", "readable_formats"]

Pixels = npt.NDArray[np.uint8]

_FORMATS = {
    "JPEG": "jpeg",
    "MPO": "jpeg",  # two JPEGs of a camera: the first one, opened as JPEG
    "PNG": "png",
    "WEBP": "webp",
    "GIF": "gif",
    "BMP": "bmp",
    "DIB": "bmp",
    "TIFF": "tiff",
    "PPM": "ppm",
}
_HEIF = {"HEIF": "heif", "AVIF": "avif"}  # with the extra "heif"
_COUNTED = ("PNG", "WEBP", "HEIF", "AVIF")  # whose headers say how many frames there are
_LONG_SIDE = 480  # pixels that the longer side keeps at the least, if it has them
_MOST_NAMED = 200  # characters of a decoder's complaint
_ORIENTATION, _EXIF, _TAKEN = 0x0112, 0x8769, 0x9003  # tags of EXIF
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
        RGB, upright. The longer side has 480 to 959 pixels, if the picture has as many.
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
        return _read(source, "a picture", limits)
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        return _read(_bytes_of(path, limits), str(path), limits)
    pixels = _checked_pixels(source)
    with _told("a picture"):
        image = _pil().fromarray(pixels)
        return _picture(_flattened(image), image.size, "pixels", None, _factor(image.size))


def readable_formats() -> tuple[str, ...]:
    """The formats that can be read here: those of HEIF only where their package is installed."""
    return tuple(dict.fromkeys(_known_formats().values()))


def _pil() -> Any:
    try:
        from PIL import Image  # noqa: PLC0415  # optional
    except ImportError as error:
        raise MissingExtra("reading pictures", "Pillow", "pictures") from error
    return Image


def _known_formats() -> dict[str, str]:
    _pil()
    with contextlib.suppress(ImportError):
        import pillow_heif  # noqa: PLC0415  # optional

        pillow_heif.register_heif_opener()
        pillow_heif.options.DISABLE_SECURITY_LIMITS = False
    from PIL import Image, features  # noqa: PLC0415

    known = dict(_FORMATS)
    if "HEIF" in Image.OPEN:
        known["HEIF"] = _HEIF["HEIF"]
    if features.check("avif"):
        known["AVIF"] = _HEIF["AVIF"]
    return known


def _bytes_of(path: Path, limits: Limits) -> bytes:
    try:
        size = path.stat().st_size
        if size > limits.file_bytes:
            raise UnreadableImage(
                str(path), f"it has {size:,} bytes, and at most {limits.file_bytes:,} are read"
            )
        return path.read_bytes()
    except OSError as error:
        if isinstance(error, LookalikeError):
            raise
        raise UnreadableImage(str(path), f"it cannot be read: {error.strerror or error}") from error


def _checked_pixels(source: npt.ArrayLike) -> Pixels:
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
            f"pixels must be whole numbers from 0 to 255; got dtype {array.dtype}. Scale them, and "
            "convert them to uint8."
        )
    return np.ascontiguousarray(array, np.uint8)


_OPENING = threading.Lock()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Let Pillow neither warn nor apply limits of its own, which are those of the process."""
    pil = _pil()
    with _OPENING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        most, pil.MAX_IMAGE_PIXELS = pil.MAX_IMAGE_PIXELS, None  # ours are checked instead
        try:
            yield
        finally:
            pil.MAX_IMAGE_PIXELS = most


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
    if len(data) > limits.file_bytes:
        raise UnreadableImage(
            what, f"it has {len(data):,} bytes, and at most {limits.file_bytes:,} are read"
        )
    if not data:
        raise UnreadableImage(what, "it has no bytes")
    with _told(what):
        known = _known_formats()
        image = _opened(data, what, known)
        with image:
            _check_limits(image, what, limits)
            size, format_name = image.size, image.format
            factor = _factor(size)
            done = _draft(image, factor)
            image.load()
            exif = _exif_of(image)
            turn = _turn_of(exif)
            if _swaps(turn):
                size = size[::-1]
            flat = _flattened(image)
            if turn is not None:
                flat = flat.transpose(turn)
            return _picture(flat, size, known[str(format_name)], _taken(exif), factor // done)


def _opened(data: bytes, what: str, known: dict[str, str]) -> Image:
    pil = _pil()
    formats = tuple(name for name in known if name != "MPO")
    try:
        with _quiet():
            return cast("Image", pil.open(io.BytesIO(data), formats=formats))
    except pil.UnidentifiedImageError as error:
        names = ", ".join(dict.fromkeys(known.values()))
        hint = "" if _has_heif(known) else "; for HEIC install lookalike[heif]"
        raise UnreadableImage(
            what, f"its bytes are of none of the formats that are read: {names}{hint}"
        ) from error


def _has_heif(known: dict[str, str]) -> bool:
    return "HEIF" in known


def _check_limits(image: Image, what: str, limits: Limits) -> None:
    """Before anything is decoded: the header says how large it would be."""
    width, height = image.size
    if width < 1 or height < 1:
        raise UnreadableImage(what, f"it has {width} x {height} pixels")
    if width * height > limits.pixels:
        raise UnreadableImage(
            what,
            f"it has {width:,} x {height:,} = {width * height:,} pixels, and at most "
            f"{limits.pixels:,} are decoded",
        )
    frames = getattr(image, "n_frames", 1) if image.format in _COUNTED else 1
    if frames > limits.frames:
        raise UnreadableImage(
            what, f"it has {frames:,} frames, and at most {limits.frames:,} are allowed"
        )


def _factor(size: tuple[int, int]) -> int:
    """By what a picture is shrunk: a power of two, so that pixels are means of whole squares."""
    return 1 << max(0, math.floor(math.log2(max(size) / _LONG_SIDE)) if max(size) else 0)


def _draft(image: Image, factor: int) -> int:
    """Let a JPEG be decoded at a part of its size; by what it is shrunk then."""
    if image.format not in ("JPEG", "MPO") or factor == 1:
        return 1
    width, height = image.size
    image.draft(image.mode, (max(1, width // factor), max(1, height // factor)))
    return max(1, round(max(width, height) / max(image.size)))


def _exif_of(image: Image) -> Any:
    """EXIF, after decoding: some formats have it at their end. A broken one is none."""
    with contextlib.suppress(Exception), _quiet():
        return image.getexif()
    return {}


def _turn_of(exif: Any) -> Transpose | None:
    """What turns a picture upright; None when it is, or nothing sensible is said."""
    transpose = _pil().Transpose
    turns = {
        2: transpose.FLIP_LEFT_RIGHT,
        3: transpose.ROTATE_180,
        4: transpose.FLIP_TOP_BOTTOM,
        5: transpose.TRANSPOSE,
        6: transpose.ROTATE_270,
        7: transpose.TRANSVERSE,
        8: transpose.ROTATE_90,
    }
    with contextlib.suppress(Exception):
        return turns.get(int(exif.get(_ORIENTATION, 1)))
    return None


def _swaps(turn: Transpose | None) -> bool:
    """Whether it exchanges width and height."""
    transpose = _pil().Transpose
    upright = (transpose.FLIP_LEFT_RIGHT, transpose.FLIP_TOP_BOTTOM, transpose.ROTATE_180)
    return turn is not None and turn not in upright


def _taken(exif: Any) -> str | None:
    with contextlib.suppress(Exception):
        text = str(exif.get_ifd(_EXIF)[_TAKEN]).strip("\0 ")
        return datetime.strptime(text, "%Y:%m:%d %H:%M:%S").isoformat()
    return None


def _flattened(image: Image) -> Image:
    """As RGB, transparent parts on white."""
    pil = _pil()
    if image.mode.startswith("I;16"):
        return cast(
            "Image", pil.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
        )
    if image.mode in ("I", "F"):
        return cast("Image", pil.fromarray(_scaled(image)).convert("RGB"))
    if image.has_transparency_data or image.mode in ("La", "RGBa"):
        shown = image.convert("RGBA")
        white = pil.new("RGBA", shown.size, (255, 255, 255, 255))
        return cast("Image", pil.alpha_composite(white, shown).convert("RGB"))
    return image.convert("RGB")


def _scaled(image: Image) -> Pixels:
    """Numbers of 32 bits as grey values: 16 bits of them where that is all, else their range."""
    values = np.nan_to_num(np.asarray(image, np.float64), posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if image.format in ("PPM", "PNG"):
        low, high = 0.0, 65535.0
    if not high > low:
        return np.zeros(values.shape, np.uint8)
    return np.clip(np.rint((values - low) * (255.0 / (high - low))), 0, 255).astype(np.uint8)


def _picture(
    image: Image, size: tuple[int, int], kind: str, taken: str | None, factor: int
) -> Picture:
    if factor > 1:
        image = image.reduce(min(factor, *(max(1, side) for side in image.size)))
    pixels = np.ascontiguousarray(image, np.uint8)
    return Picture(pixels, size[0], size[1], kind, taken, _sharpness(image))


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
