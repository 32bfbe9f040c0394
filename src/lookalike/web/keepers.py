"""The files that users choose to stay in groups of duplicates, in place of those suggested."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import NamedTuple

import xxhash

from lookalike.album.album import Album
from lookalike.album.group import DuplicateGroup, Member
from lookalike.web.collection import Unknown

__all__ = ["Keepers", "file_id", "group_id"]

Groups = Mapping[str, DuplicateGroup]  # by id


class _Kept(NamedTuple):
    """A group as it was found, and with another keeper."""

    found: DuplicateGroup
    keeper: bytes
    group: DuplicateGroup


class Keepers:
    """Remembers which files were chosen, and makes groups of it.

    Parameters
    ----------
    album : Album

    Notes
    -----
    The links of a chosen file to the others of its group are measured once, and again when the
    group was found anew. May be used from several threads.
    """

    def __init__(self, album: Album) -> None:
        self._album = album
        self._lock = threading.Lock()
        self._chosen: dict[str, str] = {}
        self._kept: dict[tuple[str, str], _Kept] = {}

    def choose(self, group: str, file: str) -> None:
        """Remember that this file of a group is to stay."""
        with self._lock:
            self._chosen[group] = file

    def chosen(self, group: str) -> str | None:
        """The file of a group that was chosen to stay."""
        return self._chosen.get(group)

    def applied(
        self, groups: Groups, level: str, wanted: Mapping[str, str] | None = None
    ) -> dict[str, DuplicateGroup]:
        """Groups with the keepers that were chosen.

        Parameters
        ----------
        groups : mapping of str to DuplicateGroup
            By id.
        level : {"exact", "near", "similar"}
            With which they were found.
        wanted : mapping of str to str, optional
            Files in place of those that were chosen, by the id of the group.

        Raises
        ------
        Unknown
            When one is none of its group.
        """
        with self._lock:
            files = {name: own for name, own in self._chosen.items() if name in groups}
        files |= wanted or {}
        stay = {name: _member(groups[name], own) for name, own in files.items()}
        stay = {name: own for name, own in stay.items() if own.path != groups[name].keeper.path}
        kept = self._measured(groups, level, stay)
        return {name: kept.get(name, own) for name, own in groups.items()}

    def _measured(
        self, groups: Groups, level: str, stay: Mapping[str, Member]
    ) -> dict[str, DuplicateGroup]:
        """The groups in which others stay than were suggested."""
        with self._lock:
            known = {name: self._kept.get((name, level)) for name in stay}
        done = {
            name: own.group
            for name, own in known.items()
            if own and own.found is groups[name] and own.keeper == stay[name].path
        }
        left = [name for name in stay if name not in done]
        if left:
            pairs = [(groups[name], stay[name]) for name in left]
            made = dict(zip(left, self._album.with_keepers(pairs, level=level), strict=True))
            done |= made
            with self._lock:
                for name, group in made.items():
                    self._kept[name, level] = _Kept(groups[name], stay[name].path, group)
        return done


def _member(group: DuplicateGroup, file: str) -> Member:
    for own in group.members:
        if file_id(own) == file:
            return own
    raise Unknown(
        f"a keeper must be a file of its group; got {file[:40]!r}. Look at the group again."
    )


def group_id(group: DuplicateGroup) -> str:
    """The id of a group: of its files and what they hold."""
    digest = xxhash.xxh3_64()
    for member in group.members:
        digest.update(member.path + b"\0" + member.content.digest.encode() + b"\0")
    return digest.hexdigest()


def file_id(member: Member) -> str:
    """The id of a file of a group."""
    return xxhash.xxh3_64_hexdigest(member.path)
