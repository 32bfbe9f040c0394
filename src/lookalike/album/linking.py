"""Which contents of an album may be linked, which of them encoders do link, and how nearly."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike.album.catalog import Catalog
from lookalike.album.decisions import apart_ids
from lookalike.album.group import BYTES, Link
from lookalike.album.scope import KINDS, Kind, Scope
from lookalike.index import Index
from lookalike.joins import components, distances_from, distances_within

__all__ = ["Candidates", "Linker", "Nearness"]

Ids = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class Candidates:
    """The contents that may be linked, each at a place: in the order of their ids.

    Parameters
    ----------
    catalog : Catalog
    scope : Scope

    Attributes
    ----------
    ids : ndarray of int64, shape (n,)
        Of readable pictures that files have; ascending. What else an index holds was left there
        by a sync that was cut off.
    several : ndarray of int64
        Places of contents that several files have.
    """

    def __init__(self, catalog: Catalog, scope: Scope) -> None:
        self.ids = catalog.numbers(
            "SELECT id FROM contents WHERE reason IS NULL "
            "AND EXISTS (SELECT 1 FROM files WHERE content = contents.id) ORDER BY id",
        )
        self._kinds: npt.NDArray[np.uint8] | None = None  # sets of them
        if not scope.is_everything:
            self._kinds = self._kinds_of_files(catalog, scope)
            self._are_pairs = scope.pairs_of_sets()
        self.several = self.places(
            catalog.numbers(
                "SELECT content FROM files WHERE content IS NOT NULL GROUP BY content "
                "HAVING count(*) > 1 ORDER BY content",
            )
        )
        self._keep_apart(apart_ids(catalog))

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, id: int) -> bool:
        return len(self.places(np.array([id]))) > 0

    def _kinds_of_files(self, catalog: Catalog, scope: Scope) -> npt.NDArray[np.uint8]:
        """Which kinds of files each content has in the scope."""
        folders: dict[Kind, list[int]] = {}
        for number, path in catalog.ask("SELECT id, path FROM folders"):
            kind = scope.kind(path)
            if scope.has(kind):
                folders.setdefault(kind, []).append(number)
        kinds = np.zeros(len(self.ids), np.uint8)
        for kind, numbers in folders.items():
            there = catalog.numbers(
                "SELECT DISTINCT content FROM files WHERE content IS NOT NULL "
                "AND folder IN (SELECT value FROM json_each(?))",
                (json.dumps(numbers),),
            )
            kinds[self.places(there)] |= 1 << KINDS.index(kind)
        return kinds

    def _keep_apart(self, pairs: Ids) -> None:
        places, known = self._places(pairs)
        places = places[known.all(axis=1)]
        self._apart = np.sort(self._key(places[:, 0], places[:, 1]))
        self._is_in_apart = np.zeros(len(self), np.bool_)
        self._is_in_apart[places] = True

    def _key(self, first: Ids, second: Ids) -> Ids:
        """A number for each pair, in any order."""
        keys: Ids = np.minimum(first, second) * np.int64(len(self)) + np.maximum(first, second)
        return keys

    def _places(self, ids: Ids) -> tuple[Ids, Mask]:
        """Where ids are, and which of them are here."""
        if not len(self):
            return np.zeros(ids.shape, np.int64), np.zeros(ids.shape, np.bool_)
        places = np.minimum(np.searchsorted(self.ids, ids), len(self) - 1)
        return places.astype(np.int64), self.ids[places] == ids

    def places(self, ids: Ids) -> Ids:
        """Places of those ids that are here."""
        places, known = self._places(ids)
        return places[known]

    def encoded(self, catalog: Catalog, encoder: str, index: Index) -> Mask:
        """Which of them an encoder sees enough in, and has vectors of."""
        ids = np.intersect1d(catalog.ids_with(encoder), index.ids)
        return np.isin(self.ids, ids)

    def pairs(self, ids: Ids, encoded: Mask) -> tuple[Ids, Ids]:
        """Places of those pairs of ids, shape (m, 2), that may be linked."""
        places, known = self._places(ids)
        known &= encoded[places]
        first, second = places[known.all(axis=1)].T
        allowed = self.may_link(first, second)
        return first[allowed], second[allowed]

    def may_link(self, first: Ids, second: Ids) -> Mask:
        """Whether contents at some places may be linked with those at others."""
        allowed = ~self.are_apart(first, second)
        if self._kinds is not None:
            allowed &= self._are_pairs[self._kinds[first], self._kinds[second]]
        return allowed

    def are_apart(self, first: Ids, second: Ids) -> Mask:
        """Whether contents at some places were said to be no duplicates of those at others."""
        if not len(self._apart):
            return np.zeros(np.broadcast_shapes(first.shape, second.shape), np.bool_)
        return np.isin(self._key(first, second), self._apart)

    def hold_apart(self, places: Ids) -> bool:
        """Whether any two of some contents were said to be no duplicates."""
        own = places[self._is_in_apart[places]]
        return len(own) > 1 and bool(self.are_apart(own[:, None], own[None, :]).any())


@dataclass(frozen=True, slots=True)
class Nearness:
    """How near pairs of contents are, by the encoder that finds them nearest.

    Attributes
    ----------
    values : ndarray of float64
        Distances as parts of the thresholds; infinite where no encoder sees enough in both.
    distances : ndarray of float64
    encoders : ndarray of int16
        Numbers of the encoders.
    """

    values: npt.NDArray[np.float64]
    distances: npt.NDArray[np.float64]
    encoders: npt.NDArray[np.int16]

    @classmethod
    def unknown(cls, *shape: int) -> Nearness:
        """Before any encoder was asked."""
        return cls(np.full(shape, np.inf), np.full(shape, np.inf), np.full(shape, -1, np.int16))

    def offer(
        self, where: Any, distances: npt.NDArray[np.float64], encoder: int, threshold: float
    ) -> None:
        """Take up what an encoder says where it is nearer than what others have said."""
        parts = distances / threshold if threshold else np.where(distances > 0, np.inf, 0.0)
        known = self.values[where]
        nearer = parts < known
        self.values[where] = np.where(nearer, parts, known)
        self.distances[where] = np.where(nearer, distances, self.distances[where])
        self.encoders[where] = np.where(nearer, np.int16(encoder), self.encoders[where])

    def part(self, members: Ids) -> Nearness:
        """Of some members of a square."""
        own = np.ix_(members, members)
        return Nearness(self.values[own], self.distances[own], self.encoders[own])


class Linker:
    """Links contents by what encoders say.

    Parameters
    ----------
    catalog : Catalog
    candidates : Candidates
    indexes : mapping of str to Index
    thresholds : mapping of str to float
        By encoder: the largest distance of duplicates.
    """

    def __init__(
        self,
        catalog: Catalog,
        candidates: Candidates,
        indexes: Mapping[str, Index],
        thresholds: Mapping[str, float],
    ) -> None:
        self._candidates = candidates
        self._names = [
            name for name in thresholds if len(indexes[name]) > 1 and len(candidates) > 1
        ]
        self._indexes = indexes
        self._thresholds = thresholds
        self._encoded = {
            name: candidates.encoded(catalog, name, indexes[name]) for name in self._names
        }

    def components(
        self, recall: float | None, threads: int, tell: Callable[[float], object]
    ) -> Iterator[Ids]:
        """Places of contents that hang together by links: two or more, ascending."""
        return components(len(self._candidates), self._edges(recall, threads, tell))

    def _edges(
        self, recall: float | None, threads: int, tell: Callable[[float], object]
    ) -> Iterator[tuple[Ids, Ids]]:
        for number, name in enumerate(self._names):
            pairs = self._indexes[name].pairs(
                self._thresholds[name],
                recall=recall,
                threads=threads,
                progress=lambda done, before=number: tell((before + done) / len(self._names)),
            )
            for chunk in pairs:
                yield self._candidates.pairs(chunk.ids, self._encoded[name])

    def between(self, groups: Sequence[Ids]) -> Iterator[Nearness]:
        """For each group of places, of each two of its contents."""
        told = [
            distances_within(self._indexes[name], self._seen(name, groups)) for name in self._names
        ]
        for places in groups:
            near = Nearness.unknown(len(places), len(places))
            for number, name in enumerate(self._names):
                own = np.flatnonzero(self._encoded[name][places])
                if len(own) > 1:
                    near.offer(np.ix_(own, own), next(told[number]), number, self._thresholds[name])
            np.fill_diagonal(near.values, 0.0)
            yield near

    def _seen(self, name: str, groups: Sequence[Ids]) -> Iterator[Ids]:
        """Of each group the ids of those that an encoder sees enough in, if these are two."""
        for places in groups:
            own = places[self._encoded[name][places]]
            if len(own) > 1:
                yield self._candidates.ids[own]

    def from_one(self, one: int, places: Ids) -> Nearness:
        """Of one content to others."""
        ids = self._candidates.ids
        near = Nearness.unknown(len(places))
        for number, name in enumerate(self._names):
            own = np.flatnonzero(self._encoded[name][places])
            if self._encoded[name][one] and len(own):
                distances = distances_from(self._indexes[name], int(ids[one]), ids[places[own]])
                near.offer(own, distances, number, self._thresholds[name])
        return near

    def link(self, one: int, other: int, near: Nearness, at: Any) -> Link:
        """The link of the contents at two places, whose nearness is at a place of others."""
        ids = self._candidates.ids
        if one == other:
            return Link(int(ids[one]), int(ids[one]), BYTES, 0.0, 0.0)
        return Link(
            int(ids[one]),
            int(ids[other]),
            self._names[int(near.encoders[at])],
            float(near.distances[at]),
            float(near.values[at]),
        )
