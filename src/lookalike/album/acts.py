"""The acts of the journal in figures, the last first: however many files each has moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lookalike.album.catalog import Catalog
from lookalike.album.deeds import time_of
from lookalike.errors import CorruptStore

__all__ = ["ActFacts", "acts", "count_acts", "facts_of_act", "last_away"]

_FACTS = (
    "SELECT act, min(begun_ns), max(how), sum(state <> 'failed'),"
    " sum(CASE WHEN state <> 'failed' THEN size ELSE 0 END), sum(state = 'done'),"
    " sum(CASE WHEN state = 'done' THEN size ELSE 0 END), sum(state = 'undone'),"
    " sum(state = 'failed') FROM deeds"
)


@dataclass(frozen=True, slots=True)
class ActFacts:
    """What one apply did, in figures.

    Attributes
    ----------
    number : int
    begun_ns : int
        When.
    how : str
        "trash" or "folder".
    files, bytes : int
        That were moved.
    away, away_bytes : int
        Of these, what can be brought back.
    undone : int
        Files that are back.
    failed : int
        Files that could not be moved, beside those that were.
    """

    number: int
    begun_ns: int
    how: str
    files: int
    bytes: int
    away: int
    away_bytes: int
    undone: int
    failed: int

    @property
    def begun(self) -> str:
        """When, in ISO 8601."""
        return time_of(self.begun_ns)

    @property
    def can_be_undone(self) -> bool:
        """Whether something of it is still away."""
        return self.away > 0

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "act": self.number,
            "begun": self.begun,
            "how": self.how,
            "files": self.files,
            "bytes": self.bytes,
            "away": self.away,
            "undone": self.undone,
            "failed": self.failed,
            "can_be_undone": self.can_be_undone,
        }


def acts(catalog: Catalog, first: int = 0, count: int = 100) -> list[ActFacts]:
    """Some acts, the last first.

    Parameters
    ----------
    catalog : Catalog
    first, count : int
    """
    rows = catalog.ask(f"{_FACTS} GROUP BY act ORDER BY act DESC LIMIT ? OFFSET ?", (count, first))
    return [_checked(row, catalog) for row in rows]


def facts_of_act(catalog: Catalog, number: int) -> ActFacts | None:
    """One act; None when there is none of this number."""
    rows = catalog.ask(f"{_FACTS} WHERE act = ? GROUP BY act", (number,))
    return _checked(rows[0], catalog) if rows else None


def last_away(catalog: Catalog) -> ActFacts | None:
    """The last act that has something to bring back."""
    rows = catalog.ask("SELECT max(act) FROM deeds WHERE state = 'done'")
    return None if rows[0][0] is None else facts_of_act(catalog, rows[0][0])


def count_acts(catalog: Catalog) -> int:
    """How many acts there are."""
    (count,) = catalog.ask("SELECT count(DISTINCT act) FROM deeds")[0]
    return int(count)


def _checked(row: tuple[Any, ...], catalog: Catalog) -> ActFacts:
    """An act as lookalike writes it: a catalogue may come from a stranger."""
    facts = ActFacts(*row)
    others = (*row[:2], *row[3:])
    if facts.how not in ("trash", "folder") or any(type(own) is not int for own in others):
        raise CorruptStore(str(catalog.path), f"act {facts.number} cannot be: {facts!r}")
    return facts
