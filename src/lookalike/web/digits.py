"""The digits of the lab as they are served: 1,797 pictures of 8 x 8, and what somebody draws."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import xxhash

from lookalike.datasets import digits
from lookalike.errors import InvalidInput
from lookalike.index import Index
from lookalike.pictures.pillow import pillow
from lookalike.pictures.read import read_picture
from lookalike.recall import Measured
from lookalike.web.collection import (
    Found,
    Hit,
    Item,
    Media,
    Query,
    Searched,
    Unknown,
    id_of,
    text_of,
)
from lookalike.web.limits import LIMITS, Limits
from lookalike.web.searched import searched
from lookalike.web.vectors import checked_vector

__all__ = ["DigitsCollection", "digit_of", "png_of"]

_ENCODER = "pixels"
_SIDE, _LARGEST = 8, 16
_CELLS = 32  # of the bitmaps that the data set was made of: a pixel counts the ink in 4 x 4
_BOX = (28, 20)  # height and width of a written digit in them, about
_SIMILAR = 120.0  # L1: most digits have one of the same kind within it


class DigitsCollection:
    """The digits of the lab.

    Parameters
    ----------
    limits : Limits
    """

    kind: Literal["album", "digits"] = "digits"
    title = "handwritten digits"
    encoders = (_ENCODER,)

    def __init__(self, limits: Limits = LIMITS) -> None:
        data = digits()
        self.limits = limits
        self.images = data.images.astype(np.uint8)
        self.labels = data.labels
        self.index = Index("l1", value_range=_LARGEST)
        self.index.add(self.images)

    def __len__(self) -> int:
        return len(self.images)

    def close(self) -> None:
        """Nothing is held."""

    def item(self, id: str) -> Item:
        """A digit."""
        return self._item(self._number(id))

    def items(self, first: int, count: int) -> Sequence[Item]:
        """Some digits, in the order of the data set."""
        return [self._item(own) for own in range(first, min(first + count, len(self)))]

    def _number(self, id: str) -> int:
        number = id_of(id)
        if number >= len(self):
            raise Unknown(
                f"a digit must be one of 0 to {len(self) - 1:,}; got {number:,}. Take the id of a "
                "result."
            )
        return number

    def _item(self, number: int) -> Item:
        label = str(self.labels[number])
        return Item(
            text_of(number),
            f"a {label}, number {number:,}",
            width=_SIDE,
            height=_SIDE,
            label=label,
        )

    def thumbnail(self, id: str, side: int) -> Media:  # noqa: ARG002  # the page enlarges it
        """A digit as PNG of 8 x 8: browsers enlarge it without smoothing."""
        return self.picture(id)

    def picture(self, id: str) -> Media:
        """A digit as PNG of 8 x 8, dark ink on white."""
        data = png_of(self.images[self._number(id)])
        return Media(data, "image/png", xxhash.xxh3_64_hexdigest(data))

    def vector(self, query: Query) -> npt.NDArray[np.uint8]:
        """What is compared: the 8 x 8 numbers of a digit, of a drawing, or as given."""
        if query.encoder not in (None, _ENCODER):
            raise _unknown_encoder(query.encoder)
        if query.id is not None:
            image: npt.NDArray[np.uint8] = self.images[self._number(query.id)]
            return image
        if query.picture is not None:
            return digit_of(read_picture(query.picture, limits=self.limits.picture).pixels)
        vector = np.asarray(query.vector).ravel()
        return checked_vector(vector, _SIDE * _SIDE, _LARGEST).reshape(_SIDE, _SIDE)

    def search(self, query: Query) -> Found:
        """The closest digits."""
        vector = self.vector(query)
        own = None if query.id is None else self._number(query.id)
        notes = ("digits are not turned or mirrored",) if query.flips or query.rotations else ()
        started = time.perf_counter()
        k = min(query.k, len(self) - 1)
        if own is None:
            found = self.index.search(vector, k, recall=query.recall)
        else:
            found = self.index.search(id=own, k=k, recall=query.recall)
        took = (time.perf_counter() - started) * 1e6
        hits = tuple(
            Hit(
                self._item(number),
                distance,
                _ENCODER,
                distance / _SIMILAR,
                "upright",
                f"ink differs by {distance:g}",
            )
            for number, distance in found
        )
        return Found(hits, notes, took)

    def search_each(self, queries: Sequence[Query]) -> Sequence[Found]:
        """The same for several ids."""
        return [self.search(query) for query in queries]

    def how(self, query: Query) -> Sequence[Searched]:
        """How that search goes, beside an exact scan."""
        return [searched(_ENCODER, self.index, self.vector(query), query.k, query.recall, _SIMILAR)]

    def check(self) -> None:
        """They are in memory: nothing can be the matter."""

    def measure(self, encoder: str | None, k: int) -> tuple[str, Measured]:
        """Recall of their index."""
        if encoder not in (None, _ENCODER):
            raise _unknown_encoder(encoder)
        return _ENCODER, self.index.measure(k)


def _unknown_encoder(encoder: str | None) -> InvalidInput:
    return InvalidInput(
        f"encoder must be {_ENCODER!r}, by which digits are compared; got {encoder!r}. Leave it "
        "out."
    )


def digit_of(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """What somebody has drawn, as the data set has its digits.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (h, w, 3)
        Dark ink on light ground, or light on dark: the edge of the picture is ground.

    Returns
    -------
    ndarray of uint8, shape (8, 8)
        Ink from 0 to 16. The drawing is scaled into a bitmap of 32 x 32, in the middle, and a
        number counts the ink in 4 x 4 of it.

    Raises
    ------
    InvalidInput
        When nothing is drawn.
    """
    grey = pixels.mean(axis=2)
    edge = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    ink = np.abs(grey - np.median(edge)) / 255
    rows, columns = (np.flatnonzero((ink > 0.3).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        raise InvalidInput(
            "a drawing must have some ink; got an empty one. Draw a digit from 0 to 9."
        )
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = min(_BOX[0] / ink.shape[0], _BOX[1] / ink.shape[1])
    height, width = (max(1, round(own * scale)) for own in ink.shape)
    image = pillow().fromarray((ink / ink.max() * 255).astype(np.uint8))
    small = np.asarray(image.resize((width, height), pillow().Resampling.BOX), np.float64) / 255
    bitmap = np.zeros((_CELLS, _CELLS))
    top, left = (_CELLS - height) // 2, (_CELLS - width) // 2
    bitmap[top : top + height, left : left + width] = small
    counts = bitmap.reshape(_SIDE, 4, _SIDE, 4).sum(axis=(1, 3))
    drawn: npt.NDArray[np.uint8] = np.minimum(np.round(counts), _LARGEST).astype(np.uint8)
    return drawn


def png_of(image: npt.NDArray[np.uint8]) -> bytes:
    """A digit as PNG, dark ink on white."""
    grey = (255 - np.minimum(image * 16.0, 255)).astype(np.uint8)
    buffer = io.BytesIO()
    pillow().fromarray(grey).save(buffer, "PNG")
    return buffer.getvalue()
