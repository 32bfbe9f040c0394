"""The command ``lookalike duplicates``: groups of pictures, and the files that tell of them."""

from __future__ import annotations

import enum
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from lookalike.arrays import as_radius
from lookalike.commands.albums import AlbumPath, Home, open_album
from lookalike.commands.terminal import (
    AsJson,
    AsLines,
    Quiet,
    Tell,
    check_one_of,
    print_json,
    print_text,
    progress,
    say,
)
from lookalike.errors import UnreadableFile, WouldOverwrite

if TYPE_CHECKING:
    from lookalike.album import Album
    from lookalike.album.group import DuplicateGroup, Member
    from lookalike.album.verdicts import Verdict

__all__ = ["Keeping", "Level", "duplicates"]

FOUND = 3  # exit code, with --fail-if-found
_STEPS = 1000  # of a progress bar


class Level(enum.StrEnum):
    """How alike duplicates are."""

    EXACT = "exact"
    NEAR = "near"
    SIMILAR = "similar"


class Keeping(enum.StrEnum):
    """Which member of a group is suggested to stay."""

    ORIGINAL = "original"
    LARGEST = "largest"
    OLDEST = "oldest"
    SHARPEST = "sharpest"
    PREFERRED = "preferred"


def duplicates(
    path: AlbumPath,
    level: Annotated[
        Level | None,
        typer.Option(help="The same bytes; saved anew; or edited. near unless given."),
    ] = None,
    radius: Annotated[
        list[str] | None,
        typer.Option(metavar="ENCODER=R", help="In place of a level; may be repeated."),
    ] = None,
    keep: Annotated[
        Keeping | None, typer.Option(help="Which one stays; original unless given.")
    ] = None,
    prefer: Annotated[
        list[Path] | None,
        typer.Option(metavar="FOLDER", help="What is in it stays; may be repeated, best first."),
    ] = None,
    reference: Annotated[
        list[Path] | None,
        typer.Option(metavar="FOLDER", help="Nothing in it goes; may be repeated."),
    ] = None,
    across: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="A B", help="Only pairs of one file in A and one in B."),
    ] = None,
    split: Annotated[
        bool, typer.Option("--split", help="No chains: any two of a group are alike.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write a page with thumbnails.")
    ] = None,
    table: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE.csv", help="Write a spreadsheet.")
    ] = None,
    plan: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="Write what apply would do.")
    ] = None,
    fail_if_found: Annotated[
        bool, typer.Option("--fail-if-found", help="Exit with 3 when there are any.")
    ] = False,
    threads: Annotated[int, typer.Option(min=1, max=1024, help="How many to use.")] = 1,
    home: Home = None,
    as_json: AsJson = False,
    as_lines: AsLines = False,
    quiet: Quiet = False,
) -> None:
    """Find groups of pictures that are the same, or made of each other.

    \b
    [bold]Examples[/bold]
      lookalike duplicates photos
      lookalike duplicates photos --level similar --report duplicates.html
      lookalike duplicates photos --reference photos/originals --plan plan.json
      lookalike duplicates photos --radius pdq=40 --jsonl | jq -r .keeper.path
      lookalike duplicates photos --level exact --quiet --fail-if-found

    Nothing is changed: lookalike apply does, with a plan.
    """  # noqa: D301
    check_one_of(as_json=as_json, as_lines=as_lines)
    if level is not None and radius:
        raise typer.BadParameter("--level and --radius must not be given together.")
    _check_rule(keep, prefer)
    limits = dict(map(_limit, radius)) if radius else None
    own_level = None if limits is not None else (level or Level.NEAR).value
    rule = keep or (Keeping.PREFERRED if prefer else Keeping.ORIGINAL)
    outputs = _Outputs(report, table, plan)
    outputs.check()
    with open_album(path, home) as album:
        thresholds = album.thresholds(own_level) if own_level is not None else limits or {}
        with progress(quiet=quiet) as tell:
            groups = album.duplicates(
                own_level or Level.NEAR.value,
                radius=limits,
                keep=rule.value,
                prefer=prefer or (),
                reference=reference or (),
                across=across,
                split=split,
                progress=lambda done: tell("comparing", math.floor(done * _STEPS), _STEPS),
                threads=threads,
            )
            asked = f"{_asked(own_level, thresholds)}; keeper: {rule.value}"
            outputs.write(album, groups, reference or [], asked, tell)
    if as_lines:
        for group in groups:
            print_json(group.to_dict())
    elif as_json:
        facts = {"album": str(path), "level": own_level, "thresholds": thresholds}
        print_json(facts | _json(groups) | outputs.to_dict())
    elif not quiet:
        _print_groups(groups)
    if not quiet:
        for name in filter(None, outputs):
            say(f"wrote {name}")
    if groups and fail_if_found:
        raise typer.Exit(FOUND)


def _check_rule(keep: Keeping | None, prefer: Sequence[Path] | None) -> None:
    """Folders go with the rule that is about folders."""
    if (keep is Keeping.PREFERRED and not prefer) or (prefer and keep not in (None, "preferred")):
        raise typer.BadParameter("--keep preferred and --prefer must be given together.")


def _limit(text: str) -> tuple[str, float]:
    """One ENCODER=R."""
    name, _, number = text.rpartition("=")
    try:
        if name:
            return name, as_radius(float(number))
    except ValueError:  # of ours too
        pass
    raise typer.BadParameter(f"--radius must be ENCODER=R, as in pdq=40; got {text!r}.")


def _asked(level: str | None, thresholds: Mapping[str, float]) -> str:
    """What was asked for, in words."""
    limits = ", ".join(f"{name} up to {limit:g}" for name, limit in thresholds.items())
    return ": ".join(filter(None, (level, limits or "the same bytes")))


class _Outputs(NamedTuple):
    """The files that are to be written.

    Attributes
    ----------
    report, csv, plan : Path or None
    """

    report: Path | None
    csv: Path | None
    plan: Path | None

    def check(self) -> None:
        """Refuse what is in the way before anything is compared."""
        from lookalike.album import spreadsheet  # noqa: PLC0415
        from lookalike.report import check_free  # noqa: PLC0415

        paths = list(filter(None, self))
        if len({os.path.realpath(path) for path in paths}) < len(paths):
            raise typer.BadParameter("--report, --csv and --plan must be different files.")
        for path in paths:
            if not path.absolute().parent.is_dir():
                raise UnreadableFile(
                    f"a file must be written to a folder that is there; got {path}. Make its "
                    "folder first."
                )
        if self.report is not None:
            check_free(self.report)
        if self.csv is not None:
            spreadsheet.check_free(self.csv)
        if self.plan is not None and os.path.lexists(self.plan):
            raise WouldOverwrite(
                f"a plan must be written to a new file, since people edit them; got {self.plan}, "
                "which exists. Choose another name, or remove it."
            )

    def write(
        self,
        album: Album,
        groups: Sequence[DuplicateGroup],
        reference: Sequence[Path],
        asked: str,
        tell: Tell,
    ) -> None:
        """Write them."""
        from lookalike.album.gallery import duplicates_page  # noqa: PLC0415
        from lookalike.album.spreadsheet import write_spreadsheet  # noqa: PLC0415
        from lookalike.report import write_page  # noqa: PLC0415

        if self.csv is not None:
            write_spreadsheet(self.csv, groups)
        if self.plan is not None:
            album.plan(groups, reference=reference).write(self.plan)
        if self.report is not None:
            page = duplicates_page(
                album.path,
                groups,
                asked,
                progress=lambda done, total: tell("making thumbnails", done, total),
            )
            write_page(self.report, page)

    def to_dict(self) -> dict[str, str | None]:
        """For JSON."""
        return {
            name: None if path is None else str(path)
            for name, path in zip(self._fields, self, strict=True)
        }


def _json(groups: Sequence[DuplicateGroup]) -> dict[str, object]:
    from lookalike.album.group import suggestions  # noqa: PLC0415

    return {
        "files": sum(map(len, groups)),
        "may_go": sum(len(suggestions(group)) for group in groups),
        "freed_bytes": sum(group.freed_bytes for group in groups),
        "groups": [group.to_dict() for group in groups],
    }


def _print_groups(groups: Sequence[DuplicateGroup]) -> None:
    from lookalike.album.verdicts import flags, legible, size_text, verdicts  # noqa: PLC0415

    if not groups:
        say("nothing is there twice")
        return
    for number, group in enumerate(groups, 1):
        freed = size_text(group.freed_bytes)
        print_text(f"{number}. {len(group):,} files, {freed} to be freed; {legible(group.why)}")
        for flag in flags(group):
            print_text(f"   ! {flag}")
        for member, verdict in verdicts(group):
            print_text(_line(member, verdict))
        print_text("")
    told = _json(groups)
    print_text(
        f"{len(groups):,} groups of {told['files']:,} files; {told['may_go']:,} may go, "
        f"{size_text(sum(group.freed_bytes for group in groups))}"
    )


def _line(member: Member, verdict: Verdict) -> str:
    """A file, what is suggested for it, and why."""
    from lookalike.album.verdicts import Verdict, legible, link_text, size_text  # noqa: PLC0415

    content, link = member.content, member.link
    if verdict is Verdict.KEEPER:
        why = ""
    elif link is None:
        why = "not linked to the keeper itself"
    else:
        why = legible(link_text(link))
    size = f"{content.width or 0:,} x {content.height or 0:,}, {size_text(content.size)}"
    return f"   {verdict:<9}  {legible(member.path)}  ({'; '.join(filter(None, (size, why)))})"
