"""An album as it is served: its pictures by opaque ids, searched as it is on the disk now."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xxhash

from lookalike.album.album import Album
from lookalike.album.catalog import Content, File, content_id, shown
from lookalike.album.comparison import Comparison
from lookalike.album.matches import Match
from lookalike.album.matches import Query as Vectors
from lookalike.errors import InvalidInput
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
from lookalike.web.thumbnails import Thumbnails, shrunk_jpeg
from lookalike.web.uploads import Uploads
from lookalike.web.vectors import checked_vector

__all__ = ["AlbumCollection"]

_SHOWN_AS_IT_IS = {"jpeg": "image/jpeg", "png": "image/png", "webp": "image/webp"}
_SHOWN_SIDE = 960  # pixels of what browsers do not show as it is


class AlbumCollection:
    """An album as it is served.

    Parameters
    ----------
    album : Album
        That was synced once.
    limits : Limits
    """

    kind: Literal["album", "digits"] = "album"

    def __init__(self, album: Album, limits: Limits = LIMITS) -> None:
        self.album = album
        self.limits = limits
        self.title = album.path.absolute().name or str(album.path)
        self._thumbnails = Thumbnails()
        self._uploads = Uploads(album.encoders, limits)

    def __len__(self) -> int:
        return self.album.catalog.count()["contents"]

    @property
    def encoders(self) -> tuple[str, ...]:
        """What pictures are compared by."""
        return self.album.encoders

    def close(self) -> None:
        """End what reads uploads, and let go of the files."""
        self._uploads.close()
        self.album.close()

    # ---- pictures

    def item(self, id: str) -> Item:
        """A picture."""
        return _item(*self._held(id))

    def items(self, first: int, count: int) -> Sequence[Item]:
        """Some pictures, in the order of their ids, which is that of nothing: a mixed choice."""
        ids = [
            own
            for (own,) in self.album.catalog.ask(
                "SELECT id FROM contents WHERE reason IS NULL ORDER BY id LIMIT ? OFFSET ?",
                (count, first),
            )
        ]
        holders = self.album.catalog.holders(ids)
        return [_item(*holders[own]) for own in ids if own in holders]

    def _held(self, id: str) -> tuple[Content, list[File]]:
        """A content and its files."""
        return self._held_each([id])[0]

    def _held_each(self, ids: Sequence[str]) -> list[tuple[Content, list[File]]]:
        """The same of several."""
        holders = self.album.catalog.holders([id_of(own) for own in ids])
        held = []
        for own in ids:
            known = holders.get(id_of(own))
            if known is None or known[0].reason is not None:
                raise self._unknown(own)
            held.append(known)
        return held

    def _unknown(self, id: str) -> Unknown:
        return Unknown(
            f"a picture must be one of the album; got {id}, which is not there, or not any more. "
            "Search again."
        )

    def _bytes(self, id: str) -> tuple[Content, bytes]:
        """The bytes of a picture: of a file that has them still, whatever is at its path now."""
        content, files = self._held(id)
        for file in files:
            data = _read(self.album.path / shown(file.name.path), content.size)
            if data is not None and xxhash.xxh3_128_hexdigest(data) == content.digest:
                return content, data
        raise Unknown(
            "a picture must be as the last sync has found it; its files have changed or are gone. "
            "Sync the album."
        )

    def thumbnail(self, id: str, side: int) -> Media:
        """A picture as JPEG, neither side longer than so many pixels."""

        def make() -> Media:
            return shrunk_jpeg(read_picture(self._bytes(id)[1]).pixels, side)

        self._held(id)  # a thumbnail of what is gone is not shown
        return self._thumbnails.get(id, side, make)

    def picture(self, id: str) -> Media:
        """The file as it is, if browsers show its format; else shrunk, as JPEG."""
        content, data = self._bytes(id)
        kind = _SHOWN_AS_IT_IS.get(content.format or "")
        if kind is None:
            return shrunk_jpeg(read_picture(data).pixels, _SHOWN_SIDE)
        return Media(data, kind, content.digest)

    # ---- search

    def search(self, query: Query) -> Found:
        """The pictures that look most like one."""
        if query.flips or query.rotations:
            return self._search_turned(query)
        if query.id is not None:
            return self.search_each([query])[0]
        vectors, notes = self._vectors(query)
        started = time.perf_counter()
        found = self.album.find(vectors, query.k, recall=query.recall)
        took = (time.perf_counter() - started) * 1e6
        return Found(tuple(_hits(found)), tuple(notes), took)

    def search_each(self, queries: Sequence[Query]) -> Sequence[Found]:
        """The same for several ids, where nothing else differs: they cost less together."""
        started, first = time.perf_counter(), queries[0]
        with self.album.catalog.view():  # one look at the disk for all that is asked of it
            held = self._held_each([query.id or "" for query in queries])
            found = self.album.similar_to_each(
                [content.id for content, _ in held],
                first.k,
                encoder=first.encoder,
                recall=first.recall,
            )
        took = (time.perf_counter() - started) * 1e6 / len(queries)
        return [Found(tuple(_hits(own)), own.notes, took) for own in found]

    def _vectors(self, query: Query) -> tuple[Vectors, list[str]]:
        """What is compared with the indexes."""
        if query.id is not None:
            content, _ = self._held(query.id)
            return Vectors(self.album.vectors(content.id, encoder=query.encoder)), []
        if query.vector is not None:
            name = self._named(query)
            return Vectors({name: self._checked(name, query.vector)[np.newaxis]}), []
        assert query.picture is not None
        outcome = self._uploads.read(query.picture)
        names = self.encoders if query.encoder is None else (self._named(query),)
        usable = {name: outcome.codes[name] for name in names if outcome.codes[name].usable}
        notes = [
            f"{name} sees too little in this picture to tell it from others"
            for name in names
            if name not in usable
        ]
        vectors = {name: code.vector[np.newaxis] for name, code in usable.items()}
        return Vectors(vectors, content=content_id(outcome.digest or "0")), notes

    def _checked(self, encoder: str, vector: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A vector that somebody sent, as this encoder makes them."""
        own = self.album.encoder(encoder)
        if own.metric == "hamming":
            return checked_vector(vector, -(-own.dimension // 8), 255)
        return checked_vector(vector, own.dimension, 255 if own.metric == "l1" else None)

    def _named(self, query: Query) -> str:
        if query.encoder is None:
            raise InvalidInput(
                "a vector must come with the name of its encoder; got none. Name one of: "
                f"{', '.join(self.encoders)}."
            )
        self.album.encoder(query.encoder)
        return query.encoder

    def _search_turned(self, query: Query) -> Found:
        """With mirrored and rotated pictures, for which the picture itself is needed."""
        if query.picture is not None:
            self._uploads.read(query.picture)  # who cannot read it dies there, not here
            data = query.picture
        elif query.id is not None:
            data = self._bytes(query.id)[1]
        else:
            raise InvalidInput(
                "flips and rotations must be asked for with a picture or an id; got a vector, "
                "which cannot be turned. Leave them out."
            )
        started = time.perf_counter()
        found = self.album.search(
            data,
            query.k + 1,
            encoder=query.encoder,
            flips=query.flips,
            rotations=query.rotations,
            recall=query.recall,
        )
        took = (time.perf_counter() - started) * 1e6
        hits = [hit for hit in _hits(found) if hit.item.id != query.id]
        return Found(tuple(hits[: query.k]), found.notes, took)

    # ---- how it was found

    def how(self, query: Query) -> Sequence[Searched]:
        """How a search goes in each index, beside an exact scan of the same index."""
        vectors, _ = self._vectors(query)
        similar = self.album.thresholds("similar")
        return [
            searched(name, self.album.index(name), own[0], query.k, query.recall, similar[name])
            for name, own in vectors.vectors.items()
        ]

    def compare(self, one: str, other: str) -> Comparison:
        """Why two pictures match, or why a search for the one does not find the other."""
        return self.album.explain(self._bytes(one)[1], self._bytes(other)[1])

    # ---- the album

    def check(self) -> None:
        """Open all indexes; an error says what is the matter."""
        for name in self.encoders:
            self.album.index(name)

    def measure(self, encoder: str | None, k: int) -> tuple[str, Measured]:
        """Recall of an encoder's index, the first unless named."""
        name = self.encoders[0] if encoder is None else encoder
        return name, self.album.index(name).measure(k)


def _item(content: Content, files: Sequence[File]) -> Item:
    paths = sorted(shown(file.name.path) for file in files)
    return _item_of(content, paths)


def _item_of(content: Content, paths: Sequence[str]) -> Item:
    return Item(
        text_of(content.id),
        paths[0],
        tuple(paths),
        content.width,
        content.height,
        content.size,
        content.format,
        content.taken,
    )


def _hits(found: Sequence[Match]) -> Iterator[Hit]:
    """A hit for each content, with all its files that were found."""
    by_content: dict[int, list[Match]] = {}
    for match in found:
        by_content.setdefault(match.content.id, []).append(match)
    for matches in by_content.values():
        first = matches[0]
        yield Hit(
            _item_of(first.content, [shown(match.path) for match in matches]),
            first.distance,
            first.encoder,
            first.nearness,
            str(first.orientation),
            first.why,
        )


def _read(path: str | os.PathLike[str], size: int) -> bytes | None:
    """The bytes of a plain file of this size; no link is followed, no device is opened."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123
            return file.read(size + 1) if os.fstat(file.fileno()).st_size == size else None
    except (OSError, ValueError):
        return None
