"""Thumbnails, kept in memory up to so many bytes."""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Callable

import xxhash

from lookalike.pictures.pillow import pillow
from lookalike.pictures.read import Pixels
from lookalike.web.collection import Media

__all__ = ["SIDES", "Thumbnails", "shrunk_jpeg"]

SIDES = (96, 192, 384, 768)  # pixels: few, so that browsers and the cache meet the same ones again
_QUALITY = 80
_MOST_BYTES = 64 << 20


class Thumbnails:
    """The thumbnails that were asked for last.

    Parameters
    ----------
    most_bytes : int
        Of all together.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[tuple[str, int], Media] = OrderedDict()
        self._one_at_a_time = threading.Lock()

    def get(self, id: str, side: int, make: Callable[[], Media]) -> Media:
        """The thumbnail of a picture, made if it is not there.

        Two who ask at once may both make it: that is cheaper than waiting for each other.
        """
        key = (id, side)
        with self._one_at_a_time:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        media = make()
        with self._one_at_a_time:
            if key not in self._kept:
                self._kept[key] = media
                self._bytes += len(media.data)
            while self._bytes > self._most_bytes and len(self._kept) > 1:
                self._bytes -= len(self._kept.popitem(last=False)[1].data)
        return media


def shrunk_jpeg(pixels: Pixels, side: int) -> Media:
    """A picture as JPEG, neither side longer than so many pixels."""
    image = pillow().fromarray(pixels)
    image.thumbnail((side, side))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY)
    data = buffer.getvalue()
    return Media(data, "image/jpeg", xxhash.xxh3_64_hexdigest(data))
