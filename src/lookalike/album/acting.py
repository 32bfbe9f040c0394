"""Act on duplicates: move files to the trash or to a folder, and bring them back.

Nothing is deleted. Everything that a plan says is checked again right before each file is moved
(``guard``), what is about to be done is in the journal before it is done (``deeds``), and a file is
at its old place or at the new one at each instant (``moving``). So whatever is cut off in between
is put in order by the next one who acts.

Only the one who holds the album's lock may call these.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from lookalike.album import trash
from lookalike.album.catalog import Catalog, shown
from lookalike.album.deeds import Act, Deed, begin, journal, next_act, rewrite, write_done
from lookalike.album.guard import Checked, Guard
from lookalike.album.matches import path_dict
from lookalike.album.moving import free_names, move
from lookalike.album.places import (
    Missing,
    Place,
    Refused,
    folder_at,
    folder_in,
    folder_made,
    identity,
    said,
)
from lookalike.album.plan import Plan, Removal
from lookalike.album.recovery import recover, settle_begun
from lookalike.album.undoing import Undone, undo
from lookalike.errors import Cancelled, InvalidInput, LookalikeError

__all__ = ["Act", "Applied", "Deed", "Refusal", "Undone", "apply", "journal", "recover", "undo"]

Progress = Callable[[int, int | None], bool | None]

_STAYS = "What was done stays: apply it again to go on, or undo it."


class Refusal(NamedTuple):
    """A file that stays, against the plan.

    Attributes
    ----------
    removal : Removal
    why : str
    """

    removal: Removal
    why: str


@dataclass(slots=True)
class Applied:
    """What was done, or would be.

    Attributes
    ----------
    done : list of Removal
        Files that went; with ``dry_run``, that would go.
    refused : list of Refusal
        Files that stay, each with the reason.
    dry_run : bool
        Whether nothing was touched.
    act : int or None
        Number in the journal, by which it can be undone; None when no file went.
    settled : list of Deed
        What earlier runs had begun and not ended, as it is now.
    """

    done: list[Removal] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    dry_run: bool = True
    act: int | None = None
    settled: list[Deed] = field(default_factory=list)

    @property
    def freed_bytes(self) -> int:
        """Of the files that went; the trash has them until it is emptied."""
        return sum(removal.size for removal in self.done)

    def __str__(self) -> str:
        verb = "would go" if self.dry_run else "went"
        lines = [f"{len(self.done):,} files {verb}, {self.freed_bytes:,} bytes"]
        if self.act is not None:
            lines[0] += f"; act {self.act}, which can be undone"
        if self.refused:
            lines.append(f"{len(self.refused):,} stay:")
            lines += [f"  {shown(own.removal.path)}: {own.why}" for own in self.refused]
        if self.settled:
            lines.append(f"{len(self.settled):,} of an earlier run that was cut off:")
            lines += [f"  {deed}" for deed in self.settled]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """As ``lookalike apply --json`` prints it."""
        return {
            "dry_run": self.dry_run,
            "act": self.act,
            "freed_bytes": self.freed_bytes,
            "done": [path_dict(removal.path) for removal in self.done],
            "refused": [path_dict(own.removal.path) | {"why": own.why} for own in self.refused],
            "settled": [deed.to_dict() for deed in self.settled],
        }


def apply(
    album_root: Path,
    catalog: Catalog,
    plan: Plan,
    *,
    dry_run: bool = True,
    to: Path | None = None,
    progress: Progress | None = None,
) -> Applied:
    """Move the files of a plan to the trash, or to a folder.

    Parameters
    ----------
    album_root : Path
        The folder of the album, which the plan's paths are in.
    catalog : Catalog
        Its own, with the journal.
    plan : Plan
    dry_run : bool
        Check everything, and touch nothing.
    to : Path, optional
        A folder to move to, which keeps the paths that files had in the album. It must be outside
        of the album, or the next sync could find them there. The trash unless given.
    progress : callable, optional
        Called with how many files are done and how many there are, before each of them and at the
        end. False cancels before the next one; what was done stays done, and is in the journal.

    Returns
    -------
    Applied
        What went, and what stays for which reason.

    Raises
    ------
    InvalidInput
        When files cannot be moved to this folder, or the plan is of another album.
    MissingExtra
        Without Send2Trash, for the trash.
    Cancelled
    """
    top_path = os.path.realpath(os.fsencode(album_root))
    folder = None if to is None else _checked_folder(to, top_path)
    if folder is None:
        trash.check_available()
    _check_album(plan, top_path)
    settled = [] if dry_run else recover(album_root, catalog)
    report = Applied(dry_run=dry_run, settled=settled)
    with folder_at(top_path) as top:
        guard = Guard(top, top_path, catalog.path.parent, plan)
        _Act(catalog, guard, folder, report).run(plan, progress)
    return report


def _check_album(plan: Plan, top: bytes) -> None:
    """Paths of a plan are those in its album: in another, they are other files."""
    if os.path.realpath(os.fsencode(plan.album)) != top:
        raise InvalidInput(
            f"a plan must be of the album that it is applied to, {shown(top)}; got one of "
            f"{plan.album}. Make one of this album, or apply it to its own."
        )


def _checked_folder(to: Path, top: bytes) -> bytes:
    """The full path of a folder outside of the album, which need not be there."""
    own = os.path.realpath(os.fsencode(to))
    if os.path.lexists(own) and not os.path.isdir(own):  # noqa: PTH112  # of bytes
        raise InvalidInput(
            f"files can be moved to a folder alone; got {to}, which is a file. Choose another name."
        )
    if _is_in(own, top) or _is_in(top, own):
        raise InvalidInput(
            f"files must be moved to a folder outside of the album; got {to}, and the album is "
            f"{shown(top)}. They would be found there again: choose a folder beside it."
        )
    return own


def _is_in(path: bytes, folder: bytes) -> bool:
    """Whether a path leads into a folder, by what folders are: names may differ in case."""
    with contextlib.suppress(FileNotFoundError):
        own = identity(Path(shown(folder)).stat())
        for above in (Path(shown(path)), *Path(shown(path)).parents):
            with contextlib.suppress(FileNotFoundError):
                if identity(above.stat()) == own:
                    return True
    return False


def _check_target(place: Place, removal: Removal, folder: bytes | None) -> None:
    """Check as far as it can be seen whether the target takes a file."""
    if folder is None:
        trash.check_name(place)
        return
    *above, _ = removal.path.split(b"/")
    with (
        contextlib.suppress(Missing, FileNotFoundError),
        folder_at(folder) as top,
        folder_in(top, above),
    ):
        pass


class _Act:
    """One apply."""

    def __init__(
        self, catalog: Catalog, guard: Guard, folder: bytes | None, report: Applied
    ) -> None:
        self._catalog = catalog
        self._guard = guard
        self._folder = folder
        self._report = report
        self._number = next_act(catalog)

    def run(self, plan: Plan, progress: Progress | None) -> None:
        total = len(plan.removals)
        for done, removal in enumerate(plan.removals):
            self._tell(progress, done, total)
            try:
                self._one(removal)
            except LookalikeError:  # which may be an OSError as well
                raise
            except (Refused, OSError) as error:
                self._report.refused.append(Refusal(removal, said(error)))
        if progress is not None:
            progress(total, total)  # too late to cancel: all is done

    def _tell(self, progress: Progress | None, done: int, total: int) -> None:
        if progress is not None and progress(done, total) is False:
            stays = "Nothing was touched: check it again." if self._report.dry_run else _STAYS
            raise Cancelled(
                f"a plan must be followed to its end to be done; it was cancelled after {done:,} "
                f"of {total:,} files. {stays}"
            )

    def _one(self, removal: Removal) -> None:
        with self._guard.checked(removal) as checked:
            if self._report.dry_run:
                _check_target(checked.place, removal, self._folder)
            elif self._folder is None:
                self._to_trash(removal, checked)
            else:
                self._to_folder(removal, checked, self._folder)
            self._guard.went(checked)
        if not self._report.dry_run:
            self._report.act = self._number
        self._report.done.append(removal)

    def _to_trash(self, removal: Removal, checked: Checked) -> None:
        trash.check_name(checked.place)
        deed = self._begin(removal, "trash", None)
        with self._settling(deed, checked.place):
            checked.look_again()
            went_to = trash.move_to_trash(
                checked.place, checked.status, deed.digest, deed.token, deed.begun_ns
            )
            write_done(self._catalog, deed, went_to)

    def _to_folder(self, removal: Removal, checked: Checked, folder: bytes) -> None:
        *above, name = removal.path.split(b"/")
        with folder_made(folder) as top, folder_in(top, above, make=True) as own:
            path = b"/".join((folder, removal.path))
            targets = free_names(Place(own, name, path))
            target = next(targets)
            deed = self._begin(removal, "folder", target.path)
            with self._settling(deed, checked.place):
                while True:
                    checked.look_again()
                    try:
                        move(checked.place, target, deed.digest, deed.token)
                    except FileExistsError:
                        target = next(targets)
                        deed = rewrite(self._catalog, deed, went_to=target.path)
                        continue
                    write_done(self._catalog, deed, target.path)
                    return

    def _begin(self, removal: Removal, how: str, went_to: bytes | None) -> Deed:
        return begin(self._catalog, self._number, removal, how, went_to)

    @contextlib.contextmanager
    def _settling(self, deed: Deed, place: Place) -> Iterator[None]:
        """Whatever hinders a move: look where the file is, and write it down."""
        try:
            yield
        except LookalikeError:  # the journal cannot be written: the next one looks
            raise
        except (Refused, OSError) as error:
            settled = settle_begun(self._catalog, deed, place, place.path, said(error))
            if settled.state != "done":
                raise Refused(str(settled.why)) from error
