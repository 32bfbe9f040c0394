"""Bring files back that went, to where they were."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from lookalike.album import trash
from lookalike.album.catalog import Catalog, shown
from lookalike.album.deeds import Act, Deed, journal, new_token, rewrite, write_undone
from lookalike.album.guard import is_own
from lookalike.album.moving import move
from lookalike.album.places import (
    Missing,
    Place,
    Refused,
    folder_at,
    folder_in,
    has,
    place_at,
    said,
)
from lookalike.album.recovery import recover, settle_undoing
from lookalike.errors import Cancelled, InvalidInput, LookalikeError

__all__ = ["NotRestored", "Undone", "undo"]

_TAKEN = "another file has its name now"
_STAYS = "Those are back: undo it again to go on."

Progress = Callable[[int, int | None], bool | None]


class NotRestored(NamedTuple):
    """A file that stays where it went.

    Attributes
    ----------
    deed : Deed
    why : str
    """

    deed: Deed
    why: str


@dataclass(slots=True)
class Undone:
    """What was brought back, or would be.

    Attributes
    ----------
    restored : list of Deed
    refused : list of NotRestored
        Each with the reason.
    dry_run : bool
        Whether nothing was touched.
    act : int
        That was undone.
    settled : list of Deed
        What earlier runs had begun and not ended, as it is now.
    """

    restored: list[Deed] = field(default_factory=list)
    refused: list[NotRestored] = field(default_factory=list)
    dry_run: bool = False
    act: int = 0
    settled: list[Deed] = field(default_factory=list)

    def __str__(self) -> str:
        verb = "would be" if self.dry_run else "are"
        lines = [f"{len(self.restored):,} files of act {self.act} {verb} back"]
        if self.refused:
            lines.append(f"{len(self.refused):,} are not:")
            lines += [f"  {shown(own.deed.path)}: {own.why}" for own in self.refused]
        if self.settled:
            lines.append(f"{len(self.settled):,} of an earlier run that was cut off:")
            lines += [f"  {deed}" for deed in self.settled]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """As ``lookalike undo --json`` prints it."""
        return {
            "dry_run": self.dry_run,
            "act": self.act,
            "restored": [deed.to_dict() for deed in self.restored],
            "refused": [own.deed.to_dict() | {"why": own.why} for own in self.refused],
            "settled": [deed.to_dict() for deed in self.settled],
        }


def undo(
    album_root: Path,
    catalog: Catalog,
    act: int | None = None,
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Undone:
    """Bring the files of an act back to where they were.

    Parameters
    ----------
    album_root : Path
        The folder of the album.
    catalog : Catalog
        Its own, with the journal.
    act : int, optional
        The last one that has something to bring back unless given.
    dry_run : bool
        Check everything, and touch nothing.
    progress : callable, optional
        Called with how many files are done and how many there are, before each of them and at the
        end. False cancels before the next one; those that are back stay.

    Returns
    -------
    Undone
        What is back, and what is not for which reason.

    Raises
    ------
    InvalidInput
        When there is no such act, or nothing to undo.
    Cancelled
    """
    settled = [] if dry_run else recover(album_root, catalog)
    chosen = _chosen(catalog, act)
    report = Undone(dry_run=dry_run, act=chosen.number, settled=settled)
    top_path = os.path.realpath(os.fsencode(album_root))
    with folder_at(top_path) as top:
        _Undo(catalog, top, top_path, report).run(chosen, progress)
    return report


def _chosen(catalog: Catalog, number: int | None) -> Act:
    acts = [act for act in journal(catalog) if number is None or act.number == number]
    able = [act for act in acts if act.can_be_undone]
    if not able:
        got = f"act {number}, which is none of this album"
        if number is None:
            got = "none, and no act of this album has any"
        elif acts:
            got = f"act {number}, which has none left"
        raise InvalidInput(
            f"undo must be given an act that has files to bring back; got {got}. See what was "
            "done with: lookalike undo DIR --list"
        )
    return able[-1]


class _Undo:
    """One undo."""

    def __init__(self, catalog: Catalog, top: int, top_path: bytes, report: Undone) -> None:
        self._catalog = catalog
        self._top, self._top_path = top, top_path
        self._report = report

    def run(self, act: Act, progress: Progress | None) -> None:
        deeds = act.away
        for done, deed in enumerate(deeds):
            self._tell(progress, done, len(deeds))
            try:
                self._report.restored.append(self._one(deed))
            except LookalikeError:  # which may be an OSError as well
                raise
            except (Refused, OSError) as error:
                self._report.refused.append(NotRestored(deed, said(error)))
        if progress is not None:
            progress(len(deeds), len(deeds))  # too late to cancel: all is done

    def _tell(self, progress: Progress | None, done: int, total: int) -> None:
        if progress is not None and progress(done, total) is False:
            stays = "Nothing was touched: check it again." if self._report.dry_run else _STAYS
            raise Cancelled(
                f"an act must be undone to its end; it was cancelled after {done:,} of {total:,} "
                f"files. {stays}"
            )

    def _one(self, deed: Deed) -> Deed:
        """Bring one file back; the deed as it is then."""
        if is_own(deed.path):
            raise Refused("it would come among the album's own files")
        with contextlib.suppress(Missing), self._place(deed) as place:
            status = place.status()
            if status is not None:
                return self._if_back_already(deed, place, status)
        with place_at(self._went_to(deed)) as source:
            if source is None or not has(source, deed.digest):
                raise Refused(f"{shown(self._went_to(deed))} is not there, or has other bytes now")
            if self._report.dry_run:
                return deed
            with self._place(deed, make=True) as place:
                return self._move(deed, source, place)

    @contextlib.contextmanager
    def _place(self, deed: Deed, *, make: bool = False) -> Iterator[Place]:
        """Where it was."""
        *above, name = deed.path.split(b"/")
        with folder_in(self._top, above, make=make) as folder:
            yield Place(folder, name, self._top_path + b"/" + deed.path)

    def _if_back_already(self, deed: Deed, place: Place, status: os.stat_result) -> Deed:
        if not has(place, deed.digest):
            raise Refused(_TAKEN)
        return deed if self._report.dry_run else write_undone(self._catalog, deed, status)

    def _went_to(self, deed: Deed) -> bytes:
        """Where it is."""
        path = self._top_path + b"/" + deed.path
        if deed.how == "folder" and deed.went_to is not None:
            return deed.went_to
        if deed.went_to is not None and not trash.is_in_trash(deed.went_to, path):
            raise Refused(f"{shown(deed.went_to)} is not in the trash of this user")
        if deed.went_to is not None and os.path.lexists(deed.went_to):
            return deed.went_to
        found = trash.find(path, deed.digest, deed.begun_ns) if trash.CAN_LOOK else None
        if found is None:
            raise Refused(
                "it is not in the trash any more: was that emptied?"
                if trash.CAN_LOOK
                else "the trash of this system does not say where it is: take it out there"
            )
        return found

    def _move(self, deed: Deed, source: Place, place: Place) -> Deed:
        deed = rewrite(self._catalog, deed, state="undoing", went_to=source.path, token=new_token())
        why = _TAKEN
        try:
            move(source, place, deed.digest, deed.token)
        except (Refused, OSError) as error:
            if not isinstance(error, FileExistsError):
                why = said(error)
        ended = settle_undoing(self._catalog, deed, place)
        if ended.state != "undone":
            raise Refused(why)
        return ended
