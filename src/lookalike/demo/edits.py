"""Edits that pictures go through on their way: made on the spot, so that the truth is known."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

import numpy as np

from lookalike.errors import MissingExtra

try:
    from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps
except ImportError as error:
    raise MissingExtra("edits of pictures", "Pillow", "pictures") from error

__all__ = ["EDITS", "TURNS", "edited"]

Picture = Image.Image
Edit = Callable[[Picture], Picture | bytes]


def _jpeg(picture: Picture, quality: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _scaled(picture: Picture, factor: float) -> Picture:
    width, height = (max(1, round(side * factor)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def _cropped(picture: Picture, share: float) -> Picture:
    """Without a share of its width and height, most of it on the left and the top."""
    width, height = picture.size
    left, top = round(width * share * 0.7), round(height * share * 0.7)
    return picture.crop(
        (left, top, width - round(width * share * 0.3), height - round(height * share * 0.3))
    )


def _noisy(picture: Picture) -> Picture:
    pixels = np.asarray(picture, np.float64)
    noise = np.random.default_rng(pixels.size).normal(0, 12, pixels.shape)
    return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))


def _warmer(picture: Picture) -> Picture:
    pixels = np.asarray(picture, np.float64) * (1.15, 1.0, 0.8)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _marked(picture: Picture) -> Picture:
    """With a translucent line of text across the middle."""
    layer = Image.new("RGBA", picture.size)
    width, height = picture.size
    ImageDraw.Draw(layer).text(
        (width * 0.08, height * 0.42), "lookalike", fill=(255, 255, 255, 150), font_size=width / 5
    )
    return Image.alpha_composite(picture.convert("RGBA"), layer).convert("RGB")


def _bordered(picture: Picture) -> Picture:
    return ImageOps.expand(picture, round(min(picture.size) * 0.04), "black")


EDITS: Mapping[str, Edit] = {
    "saved as PNG": lambda picture: picture,
    "JPEG quality 85": lambda picture: _jpeg(picture, 85),
    "JPEG quality 50": lambda picture: _jpeg(picture, 50),
    "JPEG quality 15": lambda picture: _jpeg(picture, 15),
    "half the size": lambda picture: _scaled(picture, 0.5),
    "a quarter of the size": lambda picture: _scaled(picture, 0.25),
    "twice the size": lambda picture: _scaled(picture, 2),
    "wider by a tenth": lambda picture: picture.resize(
        (round(picture.width * 1.1), picture.height)
    ),
    "cropped by 5 %": lambda picture: _cropped(picture, 0.05),
    "cropped by 15 %": lambda picture: _cropped(picture, 0.15),
    "cropped by 30 %": lambda picture: _cropped(picture, 0.3),
    "rotated by 3 degrees": lambda picture: picture.rotate(3, Image.Resampling.BICUBIC),
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.3),
    "less contrast": lambda picture: ImageEnhance.Contrast(picture).enhance(0.6),
    "warmer colours": _warmer,
    "greyscale": lambda picture: picture.convert("L").convert("RGB"),
    "blurred": lambda picture: picture.filter(ImageFilter.GaussianBlur(min(picture.size) / 150)),
    "noisy": _noisy,
    "text across": _marked,
    "with a border": _bordered,
}
TURNS: Mapping[str, Edit] = {
    "mirrored": ImageOps.mirror,
    "rotated by 90 degrees": lambda picture: picture.transpose(Image.Transpose.ROTATE_90),
}


def edited(picture: Picture, edit: str) -> tuple[bytes, str]:
    """An edited picture as the bytes of a file, and the ending of its name.

    Parameters
    ----------
    picture : PIL.Image.Image
        RGB.
    edit : str
        One of ``EDITS`` or ``TURNS``.
    """
    made = {**EDITS, **TURNS}[edit](picture)
    if isinstance(made, bytes):
        return made, "jpg"
    if edit == "saved as PNG":
        buffer = io.BytesIO()
        made.save(buffer, "PNG")
        return buffer.getvalue(), "png"
    return _jpeg(made, 92), "jpg"
