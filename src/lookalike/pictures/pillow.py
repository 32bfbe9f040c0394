"""Pillow: looked for when it is needed, and kept quiet while it reads."""

from __future__ import annotations

import contextlib
import functools
import re
import threading
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, cast

from lookalike.errors import MissingExtra

__all__ = ["known_formats", "pillow", "quiet"]

_FORMATS = {
    "JPEG": "jpeg",
    "PNG": "png",
    "WEBP": "webp",
    "GIF": "gif",
    "BMP": "bmp",
    "TIFF": "tiff",
    "PPM": "ppm",
}


def pillow(feature: str = "reading pictures") -> Any:
    """The module ``PIL.Image``.

    Raises
    ------
    MissingExtra
        Without Pillow.
    """
    try:
        from PIL import Image  # noqa: PLC0415  # optional
    except ImportError as error:
        raise MissingExtra(feature, "Pillow", "pictures") from error
    return Image


@functools.cache
def known_formats() -> Mapping[str, str]:
    """Pillow's names of the formats that are decoded, and ours.

    Notes
    -----
    Pillow learns HEIF by this, where pillow_heif is installed.
    """
    image = pillow()
    from PIL import features  # noqa: PLC0415  # optional

    known = dict(_FORMATS)
    with contextlib.suppress(ImportError):
        import pillow_heif  # noqa: PLC0415  # optional

        if "HEIF" not in image.OPEN:
            pillow_heif.register_heif_opener()
        known["HEIF"] = "heif"
    if features.check("avif"):
        known["AVIF"] = "avif"
    return known


# Not by warnings.catch_warnings: what a thread leaves in it, another one would restore.
_SILENT: Any = ("ignore", None, Warning, re.compile(r"(PIL|pillow_heif)\b"), 0)


class _Process:
    """What belongs to the whole process, and is another while some thread reads a picture."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._readers = 0
        self._filters: list[list[Any]] = []  # all that were changed: others replace the list
        self._found: int | None = None
        self._raised: int | None = None

    def enter(self, pixels: int) -> None:
        image = pillow()
        with self._lock:
            self._readers += 1
            if self._readers == 1:
                self._found = self._raised = image.MAX_IMAGE_PIXELS
            if _SILENT not in warnings.filters:
                self._filters.append(_filters())
                _filters().insert(0, _SILENT)
            if self._raised is not None:
                self._raised = max(self._raised, -(-pixels // 2))  # twice as many are an error
                image.MAX_IMAGE_PIXELS = self._raised

    def leave(self) -> None:
        image = pillow()
        with self._lock:
            self._readers -= 1
            if self._readers:
                return
            if self._raised == image.MAX_IMAGE_PIXELS:  # else somebody else has set it
                image.MAX_IMAGE_PIXELS = self._found
            for filters in [*self._filters, _filters()]:
                while _SILENT in filters:
                    filters.remove(_SILENT)
            self._filters.clear()


def _filters() -> list[Any]:
    return cast("list[Any]", warnings.filters)


_PROCESS = _Process()


@contextlib.contextmanager
def quiet(pixels: int) -> Iterator[None]:
    """Let Pillow warn of nothing, and refuse no picture of so many pixels.

    Both are states of the process: they are as they were when no thread is in here any more.

    Parameters
    ----------
    pixels : int
        Where the process allows fewer, it allows these meanwhile; never more than were asked for.
    """
    _PROCESS.enter(pixels)
    try:
        yield
    finally:
        _PROCESS.leave()
