"""The review of an album's duplicates: groups, decisions, plans, and how they are taken back.

Nothing that comes in is a path: groups, files and plans are known by ids that were given out.
"""

from __future__ import annotations

import itertools
import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import xxhash

from lookalike.album.acting import Applied, Undone
from lookalike.album.album import Album
from lookalike.album.catalog import Content, content_id
from lookalike.album.decisions import Decision, forget, keep_group, not_duplicates
from lookalike.album.deeds import Act
from lookalike.album.group import DuplicateGroup, Link, Member, suggestions
from lookalike.album.plan import Plan
from lookalike.web.collection import Unknown, id_of
from lookalike.web.work import Busy

__all__ = ["Groups", "Review", "file_id", "group_id"]

_MOST_PLANS = 32  # that are remembered
_WAIT_S = 0.5  # for another who finds the groups


@dataclass(frozen=True, slots=True)
class Groups:
    """Some groups of duplicates.

    Attributes
    ----------
    groups : tuple of DuplicateGroup
    total : int
        How many there are at that level, in that folder.
    files, may_go, freed_bytes : int
        Of all of them.
    """

    groups: tuple[DuplicateGroup, ...]
    total: int
    files: int
    may_go: int
    freed_bytes: int


@dataclass(frozen=True, slots=True)
class _Computed:
    """All groups of a level, as they were in one state of the catalogue."""

    state: object
    groups: tuple[DuplicateGroup, ...]


class _Decided(NamedTuple):
    """What was decided, and what that has replaced."""

    made: list[Decision]
    replaced: list[Decision]


class Review:
    """The review of an album's duplicates.

    Parameters
    ----------
    album : Album

    Notes
    -----
    May be used from several threads. Groups are computed anew when the catalogue has changed, but
    not after a decision made here: the group that it is about is gone, and the others are as they
    were.
    """

    def __init__(self, album: Album) -> None:
        self._album = album
        self._one_at_a_time = threading.RLock()
        self._computing = threading.RLock()
        self._computed: dict[str, _Computed] = {}
        self._plans: OrderedDict[str, Plan] = OrderedDict()
        self._decided: list[_Decided] = []
        self._keepers: dict[str, str] = {}

    # ---- groups

    def groups(
        self, level: str = "near", *, folder: str | None = None, first: int = 0, count: int = 20
    ) -> Groups:
        """Some groups of duplicates, those that free the most bytes first.

        Parameters
        ----------
        level : {"exact", "near", "similar"}
        folder : str, optional
            Only groups with a file in it or below. It is compared with paths of the catalogue.
        first, count : int
        """
        found = [own for own in self._all(level) if folder is None or _is_in(own, folder)]
        return Groups(
            tuple(found[first : first + count]),
            len(found),
            sum(map(len, found)),
            sum(len(suggestions(own)) for own in found),
            sum(own.freed_bytes for own in found),
        )

    def folders(self) -> list[str]:
        """The folders that have files, to choose one from."""
        return [path.decode(errors="replace") for path in self._album.catalog.folders() if path]

    def _all(self, level: str) -> tuple[DuplicateGroup, ...]:
        if not self._computing.acquire(timeout=_WAIT_S):
            raise Busy(
                "groups must be found before they are shown; that is being done, and takes a "
                "while in a large album. Ask again in some seconds."
            )
        try:
            state = self._album.catalog.state()
            known = self._computed.get(level)
            if known is None or known.state != state:
                groups = tuple(self._album.duplicates(level))
                self._computed[level] = known = _Computed(state, groups)
            return known.groups
        finally:
            self._computing.release()

    def _group(self, id: str, level: str) -> DuplicateGroup:
        for own in self._all(level):
            if group_id(own) == id:
                return own
        raise Unknown(
            f"a group must be one of the album at level {level!r}; got {id[:40]!r}, which is not "
            "there any more. Look at the groups again."
        )

    # ---- decisions

    def keep(self, id: str, level: str) -> Decision:
        """Remember that all of a group are to stay."""
        group = self._group(id, level)
        contents = _contents(group)
        digests = frozenset(own.digest for own in contents)
        before = [own for own in self._album.decisions() if own.kind == "kept"]
        with self._album.changing() as catalog:
            number = keep_group(catalog, contents)
        decision = Decision("kept", tuple(sorted(digests)), number)
        is_new = number not in {own.review for own in before}
        replaced = [own for own in before if is_new and digests.issuperset(own.digests)]
        self._remember(_Decided([decision] if is_new else [], replaced), group)
        return decision

    def not_duplicates(self, id: str, level: str) -> list[Decision]:
        """Remember that no two of a group are duplicates; its files with equal bytes still are."""
        group = self._group(id, level)
        contents = _contents(group)
        decisions = self._apart(contents)
        self._remember(_Decided(decisions, []), group if len(contents) == len(group) else None)
        return decisions

    def apart(self, pictures: Sequence[str]) -> list[Decision]:
        """Remember that no two of some pictures, by their ids, are duplicates."""
        held = self._album.catalog.holders([id_of(own) for own in pictures])
        if len(held) != len(set(pictures)):
            raise Unknown(
                f"pictures must be of the album; {len(set(pictures)) - len(held)} of those that "
                "were named are not there, or not any more. Search again."
            )
        decisions = self._apart([content for content, _ in held.values()])
        self._remember(_Decided(decisions, []), None)
        return decisions

    def _apart(self, contents: Sequence[Content]) -> list[Decision]:
        before = {own.digests for own in self._album.decisions() if own.kind == "apart"}
        with self._album.changing() as catalog:
            not_duplicates(catalog, *contents)
        pairs = itertools.combinations(sorted({own.digest for own in contents}), 2)
        return [Decision("apart", pair) for pair in pairs if pair not in before]

    def _remember(self, decided: _Decided, group: DuplicateGroup | None) -> None:
        """That this was decided. A group that is gone by it is gone at every level that has it."""
        with self._one_at_a_time:
            self._decided.append(decided)
        if group is None:
            return
        with self._computing:
            state, gone = self._album.catalog.state(), group_id(group)
            for level, known in list(self._computed.items()):
                left = tuple(own for own in known.groups if group_id(own) != gone)
                if len(left) < len(known.groups):
                    self._computed[level] = _Computed(state, left)
                else:
                    del self._computed[level]

    @property
    def can_forget(self) -> bool:
        """Whether a decision was made here that can be taken back."""
        return bool(self._decided)

    def forget_last(self) -> list[Decision]:
        """Take the last decision back that was made here; what it had replaced holds again.

        Raises
        ------
        Unknown
            When there is none.
        """
        with self._one_at_a_time:
            if not self._decided:
                raise Unknown(
                    "a decision must have been made here to be taken back; none was since the "
                    "server has started. See: lookalike decide DIR --list"
                )
            last = self._decided[-1]
            with self._album.changing() as catalog:
                forget(catalog, *last.made)
                for own in last.replaced:
                    keep_group(catalog, [Content(digest, 0) for digest in own.digests])
            return self._decided.pop().made

    def decisions(self) -> list[Decision]:
        """All that was decided, here or elsewhere."""
        return self._album.decisions()

    # ---- acting

    def choose(self, group: str, file: str) -> None:
        """Remember that this file of a group is to stay, in every plan that is made from now on."""
        with self._one_at_a_time:
            self._keepers[group] = file

    def chosen(self, group: str) -> str | None:
        """The file of a group that was chosen to stay."""
        return self._keepers.get(group)

    def plan(
        self,
        level: str = "near",
        *,
        folder: str | None = None,
        groups: Sequence[str] | None = None,
        keepers: Mapping[str, str] | None = None,
    ) -> str:
        """Make a plan of what is suggested.

        Parameters
        ----------
        level, folder
            As for :meth:`groups`.
        groups : sequence of str, optional
            Only these.
        keepers : mapping of str to str, optional
            By the id of a group: the id of the file that stays in place of the suggested one. Then
            only files may go of which it is known that they are like this one. Those that were
            chosen here unless given.

        Returns
        -------
        str
            The id of the plan.
        """
        if groups is None:
            found = [own for own in self._all(level) if folder is None or _is_in(own, folder)]
        else:
            found = [self._group(own, level) for own in groups]
        wanted = dict(self._keepers if keepers is None else keepers)
        kept = [_kept(own, wanted.pop(group_id(own), None)) for own in found]
        if wanted and keepers is not None:
            raise Unknown(
                f"keepers must be of groups of the plan; {len(wanted)} are not. Look at the groups "
                "again."
            )
        made = secrets.token_hex(8)
        with self._one_at_a_time:
            self._plans[made] = self._album.plan(kept)
            while len(self._plans) > _MOST_PLANS:
                self._plans.popitem(last=False)
        return made

    def planned(self, id: str) -> Plan:
        """A plan that was made here.

        Raises
        ------
        Unknown
            When it is not remembered any more.
        """
        with self._one_at_a_time:
            if id not in self._plans:
                raise Unknown(
                    f"a plan must be one that was made here; got {id[:40]!r}, which is not "
                    "remembered any more. Make it anew."
                )
            return self._plans[id]

    def apply(self, id: str, *, dry_run: bool = True) -> Applied:
        """Check a plan, or follow it: files go to the trash. Nothing is ever deleted."""
        return self._album.apply(self.planned(id), dry_run=dry_run)

    def undo(self, act: int | None = None, *, dry_run: bool = False) -> Undone:
        """Bring the files of an act back; of the last, unless another is named."""
        return self._album.undo(act, dry_run=dry_run)

    def journal(self) -> list[Act]:
        """What was done to files, the last first."""
        return self._album.journal()


def group_id(group: DuplicateGroup) -> str:
    """The id of a group: of its files and what they hold."""
    digest = xxhash.xxh3_64()
    for member in group.members:
        digest.update(member.path + b"\0" + member.content.digest.encode() + b"\0")
    return digest.hexdigest()


def file_id(member: Member) -> str:
    """The id of a file of a group."""
    return xxhash.xxh3_64_hexdigest(member.path)


def _contents(group: DuplicateGroup) -> list[Content]:
    return list({own.content.digest: own.content for own in group.members}.values())


def _is_in(group: DuplicateGroup, folder: str) -> bool:
    inside = folder.strip("/") + "/"
    return any(own.path.decode(errors="replace").startswith(inside) for own in group.members)


def _kept(group: DuplicateGroup, keeper: str | None) -> DuplicateGroup:
    """A group with another keeper: links that are not known lead to it no more."""
    if keeper is None or keeper == file_id(group.keeper):
        return group
    chosen = next((own for own in group.members if file_id(own) == keeper), None)
    if chosen is None:
        raise Unknown(
            f"a keeper must be a file of its group; got {keeper[:40]!r}. Look at the group again."
        )
    members = tuple(replace(own, link=_link(own, chosen, group.keeper)) for own in group.members)
    own = next(one for one in members if file_id(one) == keeper)
    return replace(group, members=members, keeper=own, why="you have chosen it")


def _link(member: Member, chosen: Member, before: Member) -> Link | None:
    """What is known to join a file with the one that was chosen in the place of the keeper."""
    if member.path == chosen.path:
        return None
    ids = content_id(member.content.digest), content_id(chosen.content.digest)
    if ids[0] == ids[1]:
        return Link(*ids, "bytes", 0.0, 0.0)
    if member.content.digest == before.content.digest:
        return chosen.link
    if chosen.content.digest == before.content.digest:
        return member.link
    return None
