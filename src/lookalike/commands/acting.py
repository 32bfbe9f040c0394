"""The commands that act on files: apply moves those of a plan away, undo brings them back."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lookalike.commands.albums import AlbumPath, Home, open_album
from lookalike.commands.terminal import (
    AsJson,
    Quiet,
    Tell,
    one_line,
    print_json,
    print_text,
    progress,
    say,
)

if TYPE_CHECKING:
    from lookalike.album import Album
    from lookalike.album.acting import Applied, Undone
    from lookalike.album.deeds import Act

__all__ = ["apply", "undo"]

REFUSED = 1  # exit code
_ELSEWHERE = ". If its own files are elsewhere, say where: --album HOME"


def apply(
    plan: Annotated[
        Path, typer.Argument(metavar="PLAN", help="Of lookalike duplicates --plan; may be edited.")
    ],
    yes: Annotated[
        bool, typer.Option("--yes", help="Move the files; otherwise only say what would be done.")
    ] = False,
    to: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Move them there, and not to the trash."),
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Move the files of a plan to the trash, or to a folder. Nothing is ever deleted.

    \b
    [bold]Examples[/bold]
      lookalike apply plan.json                  says what would be done
      lookalike apply plan.json --yes            moves files to the trash
      lookalike apply plan.json --yes --to away  to a folder outside of the album

    Each file, and the one that stays, is read again right before it is moved. Exit code 1
    when some stay. lookalike undo brings them back.
    """  # noqa: D301
    from lookalike.album.plan import Plan  # noqa: PLC0415

    own = Plan.read(plan)
    with (
        open_album(own.album, home, advice="" if home else _ELSEWHERE) as album,
        progress(quiet=quiet, rate=True) as tell,
    ):
        telling = _telling(tell, "moving" if yes else "checking")
        applied = album.apply(own, dry_run=not yes, to=to, progress=telling)
    if as_json:
        print_json(applied.to_dict())
    elif not quiet:
        _print_applied(applied)
        if not yes:
            say(f"nothing was done; to do it: {_again(plan, to, home)}")
    if applied.refused:
        raise typer.Exit(REFUSED)


def _telling(tell: Tell, what: str) -> Callable[[int, int | None], None]:
    def told(done: int, total: int | None) -> None:
        tell(what, done, total)

    return told


def _again(plan: Path, to: Path | None, home: Path | None) -> str:
    """The command that does what was only checked."""
    options = [] if to is None else ["--to", str(to)]
    options += [] if home is None else ["--album", str(home)]
    return shlex.join(["lookalike", "apply", str(plan), "--yes", *options])


def _print_applied(applied: Applied) -> None:
    """The counts, then a line for each file that there is something to say of."""
    from lookalike.album.catalog import shown  # noqa: PLC0415

    print_text(str(replace(applied, refused=[], settled=[])))
    if applied.dry_run:
        for removal in applied.done:
            keeper = one_line(shown(removal.keeper))
            print_text(
                f"  {one_line(shown(removal.path))}  ({one_line(removal.reason)}; {keeper} stays)"
            )
    stay = [(own.removal.path, own.why) for own in applied.refused]
    _print_lines(f"{len(stay):,} stay:", (f"{shown(path)}: {why}" for path, why in stay))
    _print_settled(applied)


def undo(
    path: AlbumPath,
    act: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Number of the act; the last, if none.")
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="List all acts, and undo nothing.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    home: Home = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Bring the files that an apply moved away back to where they were.

    \b
    [bold]Examples[/bold]
      lookalike undo photos                    the last act
      lookalike undo photos --list             what was done to files
      lookalike undo photos --act 3 --dry-run

    Nothing is overwritten. Exit code 1 when some are not back.
    """  # noqa: D301
    with open_album(path, home) as album:
        if show:
            _list(album, as_json=as_json)
            return
        with progress(quiet=quiet, rate=True) as tell:
            telling = _telling(tell, "checking" if dry_run else "bringing back")
            undone = album.undo(act, dry_run=dry_run, progress=telling)
    if as_json:
        print_json(undone.to_dict())
    elif not quiet:
        _print_undone(undone)
    if undone.refused:
        raise typer.Exit(REFUSED)


def _print_undone(undone: Undone) -> None:
    from lookalike.album.catalog import shown  # noqa: PLC0415

    print_text(str(replace(undone, refused=[], settled=[])))
    away = [(own.deed.path, own.why) for own in undone.refused]
    _print_lines(f"{len(away):,} are not:", (f"{shown(path)}: {why}" for path, why in away))
    _print_settled(undone)


def _print_settled(report: Applied | Undone) -> None:
    count = len(report.settled)
    _print_lines(f"{count:,} of an earlier run that was cut off:", map(str, report.settled))


def _print_lines(head: str, lines: Iterator[str]) -> None:
    """A head and what is below it, if anything is."""
    for number, line in enumerate(lines):
        if not number:
            print_text(head)
        print_text(f"  {one_line(line)}")


def _list(album: Album, *, as_json: bool) -> None:
    acts = album.journal()
    if as_json:
        print_json({"acts": [act.to_dict() for act in acts]})
        return
    if not acts:
        say("nothing was done to any file")
    for act in acts:
        _print_act(act)


def _print_act(act: Act) -> None:
    print_text(f"act {act.number} of {act.begun}, {len(act.deeds):,} files")
    for deed in act.deeds:
        print_text(f"  {one_line(str(deed))}")
