"""Matches: which pictures of an album look like one, and by what."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike.album.catalog import Catalog, Content, File, shown
from lookalike.index import Index
from lookalike.pictures.encoders import Encoder

__all__ = [
    "BYTES",
    "Match",
    "Matches",
    "Orientation",
    "Query",
    "find",
    "orientations",
    "path_dict",
    "why",
]

BYTES = "bytes"  # what finds the same bytes, beside the names of encoders
Pixels = npt.NDArray[np.uint8]
Vectors = npt.NDArray[Any]


class Orientation(Enum):
    """How a picture is turned: mirrored or not, then rotated to the left by quarters."""

    UPRIGHT = (False, 0)
    MIRRORED = (True, 0)
    UPSIDE_DOWN = (True, 2)
    ROTATED_90 = (False, 1)
    ROTATED_180 = (False, 2)
    ROTATED_270 = (False, 3)
    MIRRORED_ROTATED_90 = (True, 1)
    MIRRORED_ROTATED_270 = (True, 3)

    def __str__(self) -> str:
        return _WORDS[self]

    def of(self, pixels: Pixels) -> Pixels:
        """A picture, turned so."""
        is_mirrored, quarters = self.value
        return np.rot90(pixels[:, ::-1] if is_mirrored else pixels, quarters)


_WORDS = {
    Orientation.UPRIGHT: "upright",
    Orientation.MIRRORED: "mirrored",
    Orientation.UPSIDE_DOWN: "mirrored top to bottom",
    Orientation.ROTATED_90: "rotated left",
    Orientation.ROTATED_180: "rotated by half",
    Orientation.ROTATED_270: "rotated right",
    Orientation.MIRRORED_ROTATED_90: "mirrored and rotated left",
    Orientation.MIRRORED_ROTATED_270: "mirrored and rotated right",
}


def orientations(*, flips: bool, rotations: bool) -> tuple[Orientation, ...]:
    """Those that a search looks for."""
    if flips and rotations:
        return tuple(Orientation)
    mirrored = (Orientation.MIRRORED, Orientation.UPSIDE_DOWN) if flips else ()
    turned = (
        (Orientation.ROTATED_90, Orientation.ROTATED_180, Orientation.ROTATED_270)
        if rotations
        else ()
    )
    return (Orientation.UPRIGHT, *mirrored, *turned)


@dataclass(frozen=True, slots=True)
class Match:
    """A picture that was found.

    Attributes
    ----------
    path : bytes
        In the album.
    distance : float
        In units of the encoder's metric.
    encoder : str
        By which it is nearest; "bytes" where these are the same.
    nearness : float
        Distance over the album's threshold for similar pictures by that encoder: 1 is just similar.
        Where that threshold is 0, infinite unless the distance is.
    orientation : Orientation
        How the query has to be turned to look like it.
    why : str
        In words.
    content : Content
        Its bytes, which other files may have as well.
    """

    path: bytes
    distance: float
    encoder: str
    nearness: float
    orientation: Orientation
    why: str
    content: Content

    def __str__(self) -> str:
        turned = "" if self.orientation is Orientation.UPRIGHT else f", {self.orientation}"
        return f"{self.nearness:6.2f}  {shown(self.path)}  ({self.why}{turned})"

    def to_dict(self) -> dict[str, Any]:
        """As ``lookalike search --json`` prints it."""
        return path_dict(self.path) | {
            "distance": self.distance,
            "encoder": self.encoder,
            "nearness": self.nearness if math.isfinite(self.nearness) else None,
            "orientation": str(self.orientation),
            "why": self.why,
        }


def path_dict(path: bytes) -> dict[str, str]:
    """A path for JSON, which knows no bytes: in hexadecimal as well, where it is not UTF-8."""
    try:
        return {"path": path.decode()}
    except UnicodeDecodeError:
        return {"path": path.decode(errors="replace"), "path_hex": path.hex()}


class Matches(Sequence[Match]):
    """What was found, the nearest first.

    Attributes
    ----------
    notes : tuple of str
        What the search could not do, and why.
    """

    def __init__(self, found: Sequence[Match], notes: Sequence[str] = ()) -> None:
        self._found = tuple(found)
        self.notes = tuple(notes)

    def __len__(self) -> int:
        return len(self._found)

    def __getitem__(self, place: Any) -> Any:
        return self._found[place]

    def __iter__(self) -> Iterator[Match]:
        return iter(self._found)

    def __repr__(self) -> str:
        lines = [str(match) for match in self._found] or ["nothing was found"]
        return "\n".join([*lines, *self.notes])


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for.

    Attributes
    ----------
    vectors : mapping of str to ndarray
        By encoder: a vector for each orientation.
    turned : tuple of Orientation
    content : int or None
        Id of its bytes: files with the same come first, whatever encoders see in them.
    path : bytes or None
        The file of the album that it is, which is left out.
    without : int or None
        Id of a content all of whose files are left out.
    """

    vectors: Mapping[str, Vectors]
    turned: tuple[Orientation, ...] = (Orientation.UPRIGHT,)
    content: int | None = None
    path: bytes | None = None
    without: int | None = None


class _Hit(NamedTuple):
    """The nearest that was found of one content."""

    nearness: float
    content: int
    distance: float
    encoder: str
    orientation: Orientation

    @property
    def order(self) -> tuple[float, float]:
        """The nearest is the least; what no threshold tells apart by its distance."""
        return self.nearness, self.distance if self.nearness == math.inf else 0.0

    def is_farther_than(self, nearness: float, distance: float) -> bool:
        """Whether another hit comes before it."""
        if nearness == self.nearness == math.inf:
            return distance < self.distance
        return nearness < self.nearness


def find(
    queries: Sequence[Query],
    catalog: Catalog,
    indexes: Mapping[str, Index],
    encoders: Mapping[str, Encoder],
    thresholds: Mapping[str, float],
    k: int,
    recall: float | None = None,
    threads: int = 1,
) -> list[list[Match]]:
    """The k files that look most like each query.

    Parameters
    ----------
    queries : sequence of Query
        What is found for one does not depend on the others: several cost less together.
    catalog : Catalog
    indexes : mapping of str to Index
    encoders : mapping of str to Encoder
        By the same names.
    thresholds : mapping of str to float
        By the same names: up to which distance pictures are similar.
    k : int
    recall : float, optional
        In place of the one of the indexes whose searches are not exact.
    threads : int

    Returns
    -------
    list of list of Match
        For each query files with the same bytes first, then by nearness; of equals by the id of the
        content, then by path.

    Notes
    -----
    Of the nearest by the smallest of several nearnesses, each is among the k nearest of the encoder
    that says so: asking each for k loses nothing.
    """
    most = max((len(indexes[name]) for query in queries for name in query.vectors), default=0)
    wanted = k + 1  # for the query itself
    found: list[list[Match]] = [[] for _ in queries]
    short = list(range(len(queries)))
    while True:
        asked = [queries[own] for own in short]
        hits = _hits(asked, indexes, thresholds, min(wanted, max(most, 1)), recall, threads)
        holders = _holders(hits, asked, catalog)
        for own, query, near in zip(short, asked, hits, strict=True):
            found[own] = list(_files(near, query, holders, encoders))
        # Ids that the catalogue does not know are of a sync that goes on, or was cut off.
        short = [own for own in short if len(found[own]) < k]
        if not short or wanted >= most:
            return [files[:k] for files in found]
        wanted *= 2


def _hits(
    queries: Sequence[Query],
    indexes: Mapping[str, Index],
    thresholds: Mapping[str, float],
    k: int,
    recall: float | None,
    threads: int,
) -> list[list[_Hit]]:
    """The nearest contents of all encoders together, for each query."""
    best: list[dict[int, _Hit]] = [
        {}
        if query.content is None
        else {query.content: _Hit(-1.0, query.content, 0.0, BYTES, Orientation.UPRIGHT)}
        for query in queries
    ]
    for name, index in indexes.items():
        asked = [own for own, query in enumerate(queries) if name in query.vectors]
        if not asked or not len(index):
            continue
        vectors = np.concatenate([queries[own].vectors[name] for own in asked])
        promised = None if index.recall is None else recall
        near = index.search(vectors, k=min(k, len(index)), recall=promised, threads=threads)
        rows = zip(near.ids.tolist(), near.distances.tolist(), strict=True)
        for own in asked:
            for orientation in queries[own].turned:
                _take(best[own], name, orientation, next(rows), thresholds[name])
    return [sorted(own.values(), key=_in_order)[:k] for own in best]


def _take(
    best: dict[int, _Hit],
    name: str,
    orientation: Orientation,
    row: tuple[list[int], list[float]],
    threshold: float,
) -> None:
    """Take what an encoder has found, where it is nearer than what is known."""
    for content, distance in zip(*row, strict=True):
        if content < 0:
            continue
        nearness, known = _nearness(distance, threshold), best.get(content)
        if known is None or known.is_farther_than(nearness, distance):
            best[content] = _Hit(nearness, content, distance, name, orientation)


def _in_order(hit: _Hit) -> tuple[tuple[float, float], int]:
    return hit.order, hit.content


def _holders(
    hits: Sequence[Sequence[_Hit]], queries: Sequence[Query], catalog: Catalog
) -> Mapping[int, tuple[Content, list[File]]]:
    """The contents that were found, and the files that have them."""
    wanted = {
        hit.content: None
        for near, query in zip(hits, queries, strict=True)
        for hit in near
        if hit.content != query.without
    }
    return catalog.holders(list(wanted))


def _nearness(distance: float, threshold: float) -> float:
    """A distance as a part of a threshold, as ``duplicates`` takes it."""
    if threshold:
        return distance / threshold
    return math.inf if distance > 0 else 0.0


def _files(
    hits: Sequence[_Hit],
    query: Query,
    holders: Mapping[int, tuple[Content, list[File]]],
    encoders: Mapping[str, Encoder],
) -> Iterator[Match]:
    for hit in hits:
        content, files = holders.get(hit.content, (None, ()))
        if content is not None and hit.content != query.without:
            text = _why(hit, encoders)
            nearness = max(hit.nearness, 0.0)
            for path in _paths(files):
                if path != query.path:
                    yield Match(
                        path, hit.distance, hit.encoder, nearness, hit.orientation, text, content
                    )


def _paths(files: Sequence[File]) -> list[bytes]:
    if len(files) == 1:  # as a rule
        return [files[0].name.path]
    return sorted(file.name.path for file in files)


def _why(hit: _Hit, encoders: Mapping[str, Encoder]) -> str:
    return "the same bytes" if hit.encoder == BYTES else why(encoders[hit.encoder], hit.distance)


def why(encoder: Encoder, distance: float) -> str:
    """A distance in words."""
    if encoder.metric == "hamming":
        same = encoder.dimension - round(distance)
        return f"{encoder.name}: {same} of {encoder.dimension} bits agree"
    if encoder.metric == "cosine":
        return f"{encoder.name}: cosine {1 - distance:.3f}"
    return f"{encoder.name}: differs by {distance / encoder.dimension:.1f} a number"
