"""From contents that hang together to groups: with members, a keeper, and how closely."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lookalike.album.catalog import Content, File
from lookalike.album.decisions import Reviews
from lookalike.album.group import DuplicateGroup, Link, Member
from lookalike.album.keepers import Keep, choose_keeper
from lookalike.album.linking import Candidates, Linker, Nearness
from lookalike.album.scope import Scope
from lookalike.joins import compared, complete_linkage, spanning_tree

__all__ = ["Grouping"]

Ids = npt.NDArray[np.int64]
Holders = Mapping[int, tuple[Content, list[File]]]

_SEED = 0  # of the samples of large groups
_CHOSEN = "you have chosen it"


@dataclass(frozen=True, slots=True)
class Grouping:
    """Makes groups of contents that hang together.

    Attributes
    ----------
    candidates : Candidates
    linker : Linker
    scope : Scope
    reviews : Reviews
        What is not to be shown.
    keep : Keep
    prefer : tuple of bytes
        Folders for the rule.
    split : bool
        Whether any two members must lie within a threshold.
    """

    candidates: Candidates
    linker: Linker
    scope: Scope
    reviews: Reviews
    keep: Keep
    prefer: tuple[bytes, ...]
    split: bool

    def groups(self, batch: Sequence[Ids], holders: Holders) -> Iterator[DuplicateGroup]:
        """The groups that are to be shown, of components that hang together."""
        there = [places[self._are_there(places, holders)] for places in batch]
        chosen = [compared(len(places), _SEED) for places in there]
        compared_places = [places[own] for places, own in zip(there, chosen, strict=True)]
        near = self.linker.between(compared_places)
        for component in zip(there, chosen, near, strict=True):
            for part in self._parts(*component):
                group = self._group(*part, holders)
                if group is not None:
                    yield group

    def with_keeper(self, group: DuplicateGroup, keeper: Member) -> DuplicateGroup:
        """A group in which another of its members stays: its links to the others are measured."""
        ids = np.unique([member.content.id for member in group.members])
        places = self.candidates.places(ids)
        (one,) = self.candidates.places(np.array([keeper.content.id]))
        links = self._links(int(one), places, self.linker.from_one(int(one), places))
        members = [dataclasses.replace(member, link=None) for member in group.members]
        stays = dataclasses.replace(keeper, link=None)
        linked = tuple(self._linked(members, stays, links))
        return dataclasses.replace(group, members=linked, keeper=stays, why=_CHOSEN)

    def _are_there(self, places: Ids, holders: Holders) -> npt.NDArray[np.bool_]:
        """Which contents files still have: some may have gone just now."""
        return np.array([own in holders for own in self.candidates.ids[places].tolist()])

    def _parts(
        self, places: Ids, chosen: Ids, near: Nearness
    ) -> Iterator[tuple[Ids, Ids, Nearness]]:
        """A component, whole or split."""
        if not self.split or len(chosen) < len(places):
            yield places, chosen, near
            return
        for part in complete_linkage(self._apart_beyond_all(places, near), 1.0):
            yield places[part], np.arange(len(part)), near.part(part)

    def _apart_beyond_all(self, places: Ids, near: Nearness) -> npt.NDArray[np.float64]:
        apart = self.candidates.are_apart(places[:, None], places[None, :])
        return np.where(apart, np.inf, near.values)

    def _group(
        self, places: Ids, chosen: Ids, near: Nearness, holders: Holders
    ) -> DuplicateGroup | None:
        members = self._members(places, holders)
        digests = {member.content.digest for member in members}
        kinds = [self.scope.kind(member.path) for member in members]
        if not self.scope.have_pair(kinds) or self.reviews.hide(digests):
            return None
        keeper, why = choose_keeper(members, self.keep, self.prefer)
        links = self._links_from(keeper.content.id, places, chosen, near)
        return DuplicateGroup(
            tuple(self._linked(members, keeper, links)),
            keeper,
            why,
            _medoid(members, self.candidates.ids[places[chosen]], near),
            float(near.values.max()),
            self._weakest_link(places[chosen], near),
            self.candidates.hold_apart(places),
            len(chosen) < len(places),
        )

    def _members(self, places: Ids, holders: Holders) -> list[Member]:
        """The files of contents that are in the scope, by path."""
        own = [holders[content] for content in self.candidates.ids[places].tolist()]
        new = self.reviews.new([content.digest for content, _ in own])
        members = [
            Member(
                file.name.path,
                content,
                file.stamp.mtime_ns,
                is_reference=kind.is_reference,
                is_new=content.digest in new,
            )
            for content, files in own
            for file in files
            if self.scope.has(kind := self.scope.kind(file.name.path))
        ]
        return sorted(members, key=lambda member: member.path)

    def _linked(
        self, members: Sequence[Member], keeper: Member, links: Mapping[int, Link]
    ) -> Iterator[Member]:
        """The members, each with its link to the keeper."""
        kind = self.scope.kind(keeper.path)
        for member in members:
            link = links.get(member.content.id)
            if member.path != keeper.path and self.scope.are_across(
                kind, self.scope.kind(member.path)
            ):
                yield dataclasses.replace(member, link=link)
            else:
                yield member

    def _links_from(self, keeper: int, places: Ids, chosen: Ids, near: Nearness) -> dict[int, Link]:
        """Links of a content to those within a threshold, by their ids; to itself too."""
        (one,) = self.candidates.places(np.array([keeper]))
        if len(chosen) == len(places):
            (row,) = np.flatnonzero(places == one)
            near = Nearness(near.values[row], near.distances[row], near.encoders[row])
        else:
            near = self.linker.from_one(int(one), places)
        return self._links(int(one), places, near)

    def _links(self, one: int, places: Ids, near: Nearness) -> dict[int, Link]:
        """Those of one place to others, from which each is as near as that."""
        linked = (near.values <= 1.0) & ~self.candidates.are_apart(np.array(one), places)
        linked[places == one] = True
        links = (
            self.linker.link(one, int(places[at]), near, at)
            for at in np.flatnonzero(linked).tolist()
        )
        return {link.other: link for link in links}

    def _weakest_link(self, places: Ids, near: Nearness) -> Link | None:
        """The longest link of the shortest tree of links."""
        if len(places) == 1:
            return self.linker.link(int(places[0]), int(places[0]), near, (0, 0))
        linked = near.values <= 1.0
        linked &= self.candidates.may_link(places[:, None], places[None, :])
        lengths = np.where(linked, near.values, np.inf)
        ends = spanning_tree(lengths)
        ends = ends[np.isfinite(lengths[ends[:, 0], ends[:, 1]])]
        if not len(ends):
            return None
        one, other = ends[lengths[ends[:, 0], ends[:, 1]].argmax()].tolist()
        return self.linker.link(int(places[one]), int(places[other]), near, (one, other))


def _medoid(members: Sequence[Member], ids: Ids, near: Nearness) -> bytes:
    """Path of the member whose mean nearness to the others is smallest; of equals the first."""
    values = near.values
    farthest = values[np.isfinite(values)].max()
    means = np.where(np.isfinite(values), values, 2.0 * farthest).mean(axis=1)
    central = set(ids[means == means.min()].tolist())
    return next(member.path for member in members if member.content.id in central)
