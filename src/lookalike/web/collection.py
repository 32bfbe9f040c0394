"""A collection: what is served, an album or the digits, as page and API see it.

Pictures are known by opaque ids, 16 hexadecimal digits. No request names a path.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

import numpy.typing as npt

from lookalike.errors import InvalidInput, LookalikeError
from lookalike.results import Explanation

__all__ = [
    "Collection",
    "Found",
    "Hit",
    "Item",
    "Media",
    "Query",
    "Searched",
    "Unknown",
    "id_of",
    "text_of",
]

_ID = re.compile(r"[0-9a-f]{16}")


class Unknown(LookalikeError, LookupError):
    """There is nothing of this name here (any more)."""


def text_of(id: int) -> str:
    """An id as requests name it."""
    return f"{id:016x}"


def id_of(text: str) -> int:
    """The id that a request names.

    Raises
    ------
    Unknown
        When it cannot be one.
    """
    if not _ID.fullmatch(text) or int(text, 16) >= 2**63:
        raise Unknown(
            f"a picture must be named by its id, 16 hexadecimal digits; got {text[:40]!r}. Take "
            "the id of a result."
        )
    return int(text, 16)


@dataclass(frozen=True, slots=True)
class Item:
    """A picture of a collection.

    Attributes
    ----------
    id : str
    title : str
        What people call it: the path of its first file in the album, or what a digit shows.
    files : tuple of str
        Paths in the album of all files that have these bytes; none for digits. Text of strangers.
    width, height : int or None
        Pixels.
    size_bytes : int or None
    format, taken : str or None
    label : str or None
        What it shows, where somebody has said so: the digits.
    """

    id: str
    title: str
    files: tuple[str, ...] = ()
    width: int | None = None
    height: int | None = None
    size_bytes: int | None = None
    format: str | None = None
    taken: str | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for: one of the first three is given.

    Attributes
    ----------
    id : str or None
        A picture of the collection, which is left out of the result.
    picture : bytes or None
        A file that was uploaded, or the PNG of a drawing.
    vector : ndarray or None
        Of ``encoder``, which must then be named.
    k : int
    encoder : str or None
        Only this one; all unless given.
    flips, rotations : bool
    recall : float or None
        In place of the one of the indexes.
    """

    id: str | None = None
    picture: bytes | None = field(default=None, repr=False)
    vector: npt.NDArray[Any] | None = field(default=None, repr=False)
    k: int = 24
    encoder: str | None = None
    flips: bool = False
    rotations: bool = False
    recall: float | None = None

    def __post_init__(self) -> None:
        given = [own is not None for own in (self.id, self.picture, self.vector)]
        if sum(given) != 1:
            raise InvalidInput(
                "a search must be given an id, a picture or a vector, one of them; got "
                f"{sum(given)}. Leave the others out."
            )


@dataclass(frozen=True, slots=True)
class Hit:
    """A picture that was found.

    Attributes
    ----------
    item : Item
    distance : float
        In units of the encoder's metric.
    encoder : str
        By which it is nearest.
    nearness : float
        Distance over that encoder's threshold for similar pictures: 1 is just similar.
    orientation : str
        How the query has to be turned to look like it: "upright", ...
    why : str
        In words.
    """

    item: Item
    distance: float
    encoder: str
    nearness: float
    orientation: str
    why: str


@dataclass(frozen=True, slots=True)
class Found:
    """The answer of a search.

    Attributes
    ----------
    hits : tuple of Hit
        The nearest first.
    notes : tuple of str
        What the search could not do, and why.
    microseconds : float
        Of the search, without reading a picture; of several together, the mean.
    """

    hits: tuple[Hit, ...]
    notes: tuple[str, ...] = ()
    microseconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Searched:
    """How one encoder's index was searched, beside an exact scan of the same index.

    Attributes
    ----------
    encoder, metric : str
    explanation : Explanation
        The plan and its steps, with counts and microseconds.
    exact_microseconds : float
        Of comparing with every vector.
    exact_ids : tuple of int
        What that found.
    exact_distances : tuple of float
        How far these are, the nearest first.
    recall : float
        The share of these (by distance) that the search found.
    promised : float or None
        Recall that the index promises; None where its searches are exact.
    similar : float
        Distance at which this encoder calls pictures similar.
    """

    encoder: str
    metric: str
    explanation: Explanation
    exact_microseconds: float
    exact_ids: tuple[int, ...]
    exact_distances: tuple[float, ...]
    recall: float
    promised: float | None
    similar: float


class Media(NamedTuple):
    """Bytes that a browser shows.

    Attributes
    ----------
    data : bytes
    type : str
        "image/png" and so on.
    etag : str
    """

    data: bytes
    type: str
    etag: str


class Collection(Protocol):
    """What is served.

    All methods block, may be called from several threads at a time, and raise errors of ours alone.
    """

    kind: Literal["album", "digits"]
    title: str

    def __len__(self) -> int:
        """How many pictures there are."""

    @property
    def encoders(self) -> tuple[str, ...]:
        """What pictures are compared by."""

    def item(self, id: str) -> Item:
        """A picture; Unknown when there is none."""

    def items(self, first: int, count: int) -> Sequence[Item]:
        """Some pictures, in an order that stays as long as the collection does."""

    def search(self, query: Query) -> Found:
        """The pictures that look most like one."""

    def search_each(self, queries: Sequence[Query]) -> Sequence[Found]:
        """The same for several ids, where nothing else differs: they may cost less together."""

    def how(self, query: Query) -> Sequence[Searched]:
        """How that search goes, for each encoder that takes part."""

    def thumbnail(self, id: str, side: int) -> Media:
        """A picture, shrunk so that neither side is longer than so many pixels."""

    def picture(self, id: str) -> Media:
        """The whole picture, in a form that browsers show."""
