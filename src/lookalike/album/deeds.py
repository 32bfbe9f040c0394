"""The journal: what was done to files, and what is being done.

A deed is written before its file is moved and again after: whatever is cut off in between is found
by the next one who changes the album, who looks where the file is.
"""

from __future__ import annotations

import itertools
import os
import re
import secrets
import time
from dataclasses import astuple, dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any

from lookalike.album.catalog import Catalog, File, Name, content_id, shown
from lookalike.album.matches import path_dict
from lookalike.album.plan import Removal
from lookalike.errors import CorruptStore
from lookalike.pictures.jobs import Stamp

__all__ = [
    "Act",
    "Deed",
    "begin",
    "deeds_of",
    "is_open",
    "journal",
    "new_token",
    "next_act",
    "rewrite",
    "time_of",
    "write_done",
    "write_undone",
]

_STATES = ("begun", "done", "undoing", "undone", "failed")
_OPEN = ("begun", "undoing")
_HOW = ("trash", "folder")
_TOKEN = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Deed:
    """What was done to one file.

    Attributes
    ----------
    id, act : int
        Its number; that of the act it is part of.
    path : bytes
        In the album, where the file was.
    digest : str
    size : int
        Bytes.
    keeper : bytes
        Path in the album of the file that stayed.
    reason : str
        Why they were duplicates.
    how : str
        "trash" or "folder".
    went_to : bytes or None
        A full path; None where the trash does not say.
    state : str
        "begun", "done", "undoing", "undone" or "failed".
    why : str or None
        Why it failed.
    token : str
        In the names of what is beside the file while it is moved.
    begun_ns : int
        When.
    """

    id: int
    act: int
    path: bytes
    digest: str
    size: int
    keeper: bytes
    reason: str
    how: str
    went_to: bytes | None
    state: str
    why: str | None
    token: str
    begun_ns: int

    def __str__(self) -> str:
        to = f" to {shown(self.went_to)}" if self.went_to and self.state != "failed" else ""
        why = f" ({self.why})" if self.why else ""
        return f"{self.state}: {shown(self.path)}, {self.how}{to}{why}"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return path_dict(self.path) | {
            "digest": self.digest,
            "size": self.size,
            "keeper": path_dict(self.keeper),
            "reason": self.reason,
            "how": self.how,
            "went_to": None if self.went_to is None else path_dict(self.went_to),
            "state": self.state,
            "why": self.why,
            "begun": time_of(self.begun_ns),
        }


@dataclass(frozen=True, slots=True)
class Act:
    """What one apply did.

    Attributes
    ----------
    number : int
    deeds : tuple of Deed
        In the order in which they were done.
    """

    number: int
    deeds: tuple[Deed, ...]

    @property
    def begun(self) -> str:
        """When, in ISO 8601."""
        return time_of(self.deeds[0].begun_ns)

    @property
    def away(self) -> tuple[Deed, ...]:
        """What can be brought back, in the order in which that is done: the last first."""
        return tuple(deed for deed in reversed(self.deeds) if deed.state == "done")

    @property
    def can_be_undone(self) -> bool:
        """Whether something of it is still away."""
        return bool(self.away)

    def __str__(self) -> str:
        return "\n".join([f"act {self.number} of {self.begun}", *(f"  {d}" for d in self.deeds)])

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "act": self.number,
            "begun": self.begun,
            "can_be_undone": self.can_be_undone,
            "deeds": [deed.to_dict() for deed in self.deeds],
        }


def journal(catalog: Catalog) -> list[Act]:
    """All that was ever done to files of an album, the first act first.

    Parameters
    ----------
    catalog : Catalog
    """
    deeds = _read(catalog, "ORDER BY act, id")
    acts = itertools.groupby(deeds, key=lambda deed: deed.act)
    return [Act(number, tuple(own)) for number, own in acts]


def deeds_of(catalog: Catalog, act: int, first: int, count: int) -> list[Deed]:
    """Some of what was done in an act, in the order in which it was."""
    return _read(catalog, "WHERE act = ? ORDER BY id LIMIT ? OFFSET ?", act, count, first)


def _read(catalog: Catalog, which: str, *values: int) -> list[Deed]:
    names = ", ".join(field.name for field in fields(Deed))
    rows = catalog.ask(f"SELECT {names} FROM deeds {which}", values)  # noqa: S608  # our names
    return [_checked(Deed(*row), catalog) for row in rows]


def is_open(deed: Deed) -> bool:
    """Whether it was begun, and nobody has written how it ended."""
    return deed.state in _OPEN


def next_act(catalog: Catalog) -> int:
    """The number of an act that is to begin."""
    (last,) = catalog.ask("SELECT coalesce(max(act), 0) FROM deeds")[0]
    return int(last) + 1


def new_token() -> str:
    """A name that nobody has."""
    return secrets.token_hex(8)


def begin(catalog: Catalog, act: int, removal: Removal, how: str, went_to: bytes | None) -> Deed:
    """Write that a file is about to be moved."""
    with catalog.change():
        (last,) = catalog.ask("SELECT coalesce(max(id), 0) FROM deeds")[0]
        deed = Deed(
            last + 1,
            act,
            removal.path,
            removal.digest,
            removal.size,
            removal.keeper,
            removal.reason,
            how,
            went_to,
            "begun",
            None,
            new_token(),
            time.time_ns(),
        )
        catalog.run(
            "INSERT INTO deeds VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", [astuple(deed)]
        )
    return deed


def rewrite(catalog: Catalog, deed: Deed, **changes: Any) -> Deed:
    """Write what has become of a deed."""
    with catalog.change():
        return _rewrite(catalog, deed, changes)


def write_done(catalog: Catalog, deed: Deed, went_to: bytes | None) -> Deed:
    """Write that a file went; the album does not show it any more."""
    with catalog.change():
        catalog.drop_files([Name.of(deed.path)])
        return _rewrite(catalog, deed, {"state": "done", "went_to": went_to})


def write_undone(catalog: Catalog, deed: Deed, status: os.stat_result) -> Deed:
    """Write that a file is back; the album shows it at once, if it still knows its content."""
    with catalog.change():
        content = catalog.content(content_id(deed.digest))
        if content is not None and content.digest == deed.digest:
            file = File(Name.of(deed.path), Stamp.of(status), time.time_ns(), content.id)
            catalog.put_files([file])
        return _rewrite(catalog, deed, {"state": "undone"})


def _rewrite(catalog: Catalog, deed: Deed, changes: dict[str, Any]) -> Deed:
    changed = replace(deed, **changes)
    catalog.run(
        "UPDATE deeds SET went_to = ?, state = ?, why = ?, token = ? WHERE id = ?",
        [(changed.went_to, changed.state, changed.why, changed.token, changed.id)],
    )
    return changed


def _checked(deed: Deed, catalog: Catalog) -> Deed:
    """A deed as lookalike writes it: a catalogue may come from a stranger."""
    parts = deed.path.split(b"/") if isinstance(deed.path, bytes) else [b""]
    is_known = deed.state in _STATES and deed.how in _HOW and type(deed.begun_ns) is int
    if (
        not {b"", b".", b".."}.isdisjoint(parts)
        or b"\0" in deed.path
        or not is_known
        or not _TOKEN.fullmatch(str(deed.token))
        or not (_is_full(deed.went_to) or (deed.went_to is None and deed.state != "undoing"))
    ):
        raise CorruptStore(str(catalog.path), f"deed {deed.id} cannot be: {deed!r}")
    return deed


def _is_full(path: object) -> bool:
    return isinstance(path, bytes) and path.startswith(b"/") and b"\0" not in path


def time_of(time_ns: int) -> str:
    """A time in ISO 8601, to the second."""
    return datetime.fromtimestamp(time_ns / 1e9, UTC).isoformat(timespec="seconds")
