"""The review of an album's duplicates: groups, decisions, plans, and how they are taken back.

Nothing that comes in is a path: groups, files and plans are known by ids that were given out.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from lookalike.album.acting import Applied, Undone
from lookalike.album.acts import ActFacts, acts, count_acts, facts_of_act, last_away
from lookalike.album.album import Album
from lookalike.album.catalog import Content
from lookalike.album.decisions import Decision, forget, keep_group, not_duplicates
from lookalike.album.deeds import Deed, deeds_of
from lookalike.album.group import DuplicateGroup, suggestions
from lookalike.album.plan import Plan
from lookalike.web.collection import Unknown, id_of
from lookalike.web.keepers import Keepers, group_id
from lookalike.web.moving import Moving
from lookalike.web.plans import Planned, Plans
from lookalike.web.work import Busy

__all__ = ["Groups", "Journal", "Review"]

_WAIT_S = 0.5  # for another who finds the groups


@dataclass(frozen=True, slots=True)
class Groups:
    """Some groups of duplicates.

    Attributes
    ----------
    groups : mapping of str to DuplicateGroup
        By id, in their order.
    total : int
        How many there are at that level, in that folder.
    files, may_go, freed_bytes : int
        Of all of them.
    """

    groups: dict[str, DuplicateGroup]
    total: int
    files: int
    may_go: int
    freed_bytes: int


@dataclass(frozen=True, slots=True)
class _Computed:
    """All groups of a level by id, as they were in one state of the catalogue."""

    state: object
    groups: dict[str, DuplicateGroup]


class Journal(NamedTuple):
    """Some acts, the last first, and how many there are."""

    acts: list[ActFacts]
    total: int


class _Decided(NamedTuple):
    """What was decided, and what that has replaced."""

    made: list[Decision]
    replaced: list[Decision]


class Review:
    """The review of an album's duplicates.

    Parameters
    ----------
    album : Album

    Attributes
    ----------
    keepers : Keepers
        The files that users have chosen to stay.
    moving : Moving
        How far files are moved.

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
        self._plans = Plans()
        self._decided: list[_Decided] = []
        self.keepers = Keepers(album)
        self.moving = Moving(album)

    # ---- groups

    def groups(
        self, level: str = "near", *, folder: str | None = None, first: int = 0, count: int = 20
    ) -> Groups:
        """Some groups of duplicates, those that free the most bytes as they were found first.

        Parameters
        ----------
        level : {"exact", "near", "similar"}
        folder : str, optional
            Only groups with a file in it or below. It is compared with paths of the catalogue.
        first, count : int
        """
        found = self.keepers.applied(self._inside(level, folder), level)
        going = [len(suggestions(own)) for own in found.values()]
        return Groups(
            dict(itertools.islice(found.items(), first, first + count)),
            len(found),
            sum(map(len, found.values())),
            sum(going),
            sum(own.freed_bytes for own in found.values()),
        )

    def folders(self) -> list[str]:
        """The folders that have files, to choose one from."""
        return [path.decode(errors="replace") for path in self._album.catalog.folders() if path]

    def _inside(self, level: str, folder: str | None) -> dict[str, DuplicateGroup]:
        """All groups with a file in a folder, as they were found."""
        groups = self._all(level)
        if folder is None:
            return groups
        return {name: own for name, own in groups.items() if _is_in(own, folder)}

    def _all(self, level: str) -> dict[str, DuplicateGroup]:
        if not self._computing.acquire(timeout=_WAIT_S):
            raise Busy(
                "groups must be found before they are shown; that is being done, and takes a "
                "while in a large album. Ask again in some seconds."
            )
        try:
            state = self._album.catalog.state()
            known = self._computed.get(level)
            if known is None or known.state != state:
                groups = {group_id(own): own for own in self._album.duplicates(level)}
                self._computed[level] = known = _Computed(state, groups)
            return known.groups
        finally:
            self._computing.release()

    def _group(self, id: str, level: str) -> DuplicateGroup:
        group = self._all(level).get(id)
        if group is None:
            raise Unknown(
                f"a group must be one of the album at level {level!r}; got {id[:40]!r}, which is "
                "not there any more. Look at the groups again."
            )
        return group

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
                left = {name: own for name, own in known.groups.items() if name != gone}
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

    def plan(
        self,
        level: str = "near",
        *,
        folder: str | None = None,
        groups: Sequence[str] | None = None,
        keepers: Mapping[str, str] | None = None,
    ) -> Planned:
        """Make a plan of what is suggested.

        Parameters
        ----------
        level, folder
            As for :meth:`groups`.
        groups : sequence of str, optional
            Only these.
        keepers : mapping of str to str, optional
            By the id of a group: the id of the file that stays, in place of the one that was chosen
            here, or is suggested. Then only files may go that are like this one.

        Returns
        -------
        Planned
        """
        if groups is None:
            found = self._inside(level, folder)
        else:
            found = {own: self._group(own, level) for own in groups}
        strange = set(keepers or ()) - set(found)
        if strange:
            raise Unknown(
                f"keepers must be of groups of the plan; {len(strange)} are not. Look at the "
                "groups again."
            )
        kept = self.keepers.applied(found, level, keepers)
        return self._plans.remember(self._album.plan(list(kept.values())))

    def planned(self, id: str) -> Plan:
        """A plan that was made here; Unknown when it is not remembered any more."""
        return self._plans.named(id)

    def reviewed(self, level: str, folder: str | None) -> tuple[str, Applied]:
        """Make a plan, check it, and keep of it what would go, for readers to see before it does.

        Returns
        -------
        (str, Applied)
            The id of a plan in which nothing is that the check has refused; and the check.
        """
        plan = self.plan(level, folder=folder).plan
        checked = self.moving.apply(plan)
        going = self._plans.remember(replace(plan, removals=tuple(checked.done)))
        return going.id, checked

    def apply(self, id: str, *, dry_run: bool = True) -> Applied:
        """Check a plan, or follow it: files go to the trash. Nothing is ever deleted."""
        return self.moving.apply(self.planned(id), dry_run=dry_run)

    def undo(self, act: int | None = None, *, dry_run: bool = False) -> Undone:
        """Bring the files of an act back; of the last, unless another is named."""
        return self.moving.undo(act, dry_run=dry_run)

    def journal(self, first: int = 0, count: int = 100) -> Journal:
        """What was done to files in figures: some acts, the last first."""
        catalog = self._album.catalog
        return Journal(acts(catalog, first, count), count_acts(catalog))

    def last_act(self) -> ActFacts | None:
        """The last act that has something to bring back."""
        return last_away(self._album.catalog)

    def act(self, number: int, first: int, count: int) -> tuple[ActFacts, list[Deed]]:
        """An act, and some of what was done in it.

        Raises
        ------
        Unknown
            When there is none of this number.
        """
        catalog = self._album.catalog
        facts = facts_of_act(catalog, number)
        if facts is None:
            raise Unknown(
                f"an act must be one of the journal; got {number}, which is not there. See what "
                "was done in the journal."
            )
        return facts, deeds_of(catalog, number, first, count)


def _contents(group: DuplicateGroup) -> list[Content]:
    return list({own.content.digest: own.content for own in group.members}.values())


def _is_in(group: DuplicateGroup, folder: str) -> bool:
    inside = folder.strip("/") + "/"
    return any(own.path.decode(errors="replace").startswith(inside) for own in group.members)
