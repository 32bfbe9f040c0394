"""Any picture as RGB on white, shrunk; large ones a strip at a time, so that no copy is large."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from lookalike.pictures.pillow import pillow

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["shrunk"]

_STRIP_PIXELS = 1 << 20
_SIXTEEN_BITS = ("png", "ppm")  # whose numbers of mode "I" have no more
_UNMULTIPLIED = {"La": "LA", "RGBa": "RGBA"}


def shrunk(image: Image, factor: int, kind: str) -> Image:
    """As RGB, transparent parts on white.

    Parameters
    ----------
    image : Image
        Decoded.
    factor : int
        Every pixel becomes the mean of a square of so many by so many; at the right and the lower
        edge, of what is left of it.
    kind : str
        Our name of its format.
    """
    if image.mode == "RGB" and not image.has_transparency_data:
        return image.reduce(factor) if factor > 1 else image
    levels = _extremes(image) if _has_levels(image, kind) else None
    strips = [
        np.asarray(_flattened(strip, levels).reduce(factor)) for strip in _strips(image, factor)
    ]
    return cast("Image", pillow().fromarray(np.concatenate(strips)))


def _strips(image: Image, factor: int) -> Iterator[Image]:
    """Whole squares of it, from the top."""
    width, height = image.size
    rows = factor * max(1, _STRIP_PIXELS // (width * factor))
    for top in range(0, height, rows):
        yield image.crop((0, top, width, min(top + rows, height)))


def _has_levels(image: Image, kind: str) -> bool:
    return image.mode == "F" or (image.mode == "I" and kind not in _SIXTEEN_BITS)


def _extremes(image: Image) -> tuple[float, float]:
    """The smallest and the largest number of a picture that are finite."""
    found: list[float] = []
    for strip in _strips(image, 1):
        values = np.asarray(strip)
        finite = values[np.isfinite(values)]
        if finite.size:
            found += [float(finite.min()), float(finite.max())]
    return (min(found), max(found)) if found else (0.0, 0.0)


def _flattened(image: Image, levels: tuple[float, float] | None) -> Image:
    pil = pillow()
    if levels is not None:
        return cast("Image", pil.fromarray(_scaled(np.asarray(image), *levels)).convert("RGB"))
    if image.mode.startswith("I"):
        grey = (np.asarray(image) >> 8).astype(np.uint8)
        return cast("Image", pil.fromarray(grey).convert("RGB"))
    if image.has_transparency_data or image.mode in _UNMULTIPLIED:
        shown = image.convert(_UNMULTIPLIED.get(image.mode, "RGBA")).convert("RGBA")
        white = pil.new("RGBA", shown.size, (255, 255, 255, 255))
        return cast("Image", pil.alpha_composite(white, shown).convert("RGB"))
    return image.convert("RGB")


def _scaled(values: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[np.uint8]:
    """Numbers as grey values, from black for the smallest to white for the largest."""
    if not high > low:
        return np.zeros(values.shape, np.uint8)
    with np.errstate(invalid="ignore"):  # of a NaN that signals
        numbers = values.astype(np.float64)
    numbers = np.nan_to_num(numbers, nan=low, posinf=high, neginf=low)
    return np.rint((numbers - low) * (255.0 / (high - low))).astype(np.uint8)
