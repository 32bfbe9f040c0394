"""The commands for duplicates: find them, decide about them, move them away, bring them back."""

from __future__ import annotations

import enum
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lookalike.arrays import as_radius
from lookalike.commands.albums import AlbumPath, Home, Null, listed, open_album
from lookalike.commands.terminal import (
    AsJson,
    AsLines,
    Quiet,
    one_line,
    print_json,
    print_text,
    progress,
    say,
)
from lookalike.errors import InvalidInput

if TYPE_CHECKING:
    from lookalike.album import Album
    from lookalike.album.group import DuplicateGroup, Member

__all__ = ["Keeping", "Level", "apply", "decide", "duplicates", "undo"]

FOUND = 3  # exit code, with --fail-if-found
REFUSED = 1  # exit code


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
    level: Annotated[Level, typer.Option(help="Equal bytes; saved anew; or edited.")] = Level.NEAR,
    radius: Annotated[
        list[str] | None,
        typer.Option(metavar="ENCODER=R", help="In place of a level; may be repeated."),
    ] = None,
    keep: Annotated[Keeping, typer.Option(help="Which one stays.")] = Keeping.ORIGINAL,
    prefer: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="With --keep preferred: folders.")
    ] = None,
    reference: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="Folders whose files always stay.")
    ] = None,
    across: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="A B", help="Only pairs of one file in A and one in B."),
    ] = None,
    split: Annotated[
        bool, typer.Option("--split", help="No chains: all of a group are alike.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write a page with thumbnails.")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE.csv", help="Write a table.")
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
      lookalike duplicates photos --reference originals --plan plan.json
      lookalike duplicates photos --radius pdq=40 --jsonl | jq .keeper.path
      lookalike duplicates photos --level exact --fail-if-found

    Nothing is changed: lookalike apply does, with a plan.
    """  # noqa: D301
    if as_json and as_lines:
        raise typer.BadParameter("--json and --jsonl must not be given together. Leave one out.")
    limits = None if radius is None else dict(map(_limit, radius))
    with open_album(path, home) as album:
        with progress(quiet=quiet) as tell:
            groups = album.duplicates(
                level.value,
                radius=limits,
                keep=keep.value,
                prefer=prefer or (),
                reference=reference or (),
                across=across,
                split=split,
                progress=lambda done: tell("comparing", round(done * 1000), 1000),
                threads=threads,
            )
        written = _write(album, groups, report, csv, plan, reference or [], _asked(level, limits))
    if as_lines:
        for group in groups:
            typer.echo(json.dumps(group.to_dict(), allow_nan=False))
    elif as_json:
        print_json(
            {
                "album": str(path),
                "level": None if limits is not None else level.value,
                "groups": [group.to_dict() for group in groups],
                "freed_bytes": sum(group.freed_bytes for group in groups),
            }
        )
    elif not quiet:
        _print_groups(groups)
    for name in written:
        say(f"wrote {name}")
    if groups and fail_if_found:
        raise typer.Exit(FOUND)


def _limit(text: str) -> tuple[str, float]:
    """One ENCODER=R."""
    name, _, number = text.rpartition("=")
    try:
        if name:
            return name, as_radius(float(number))
    except ValueError:  # of ours too
        pass
    raise typer.BadParameter(f"--radius must be ENCODER=R, as in pdq=40; got {text!r}.")


def _asked(level: Level, limits: dict[str, float] | None) -> str:
    if limits is None:
        return f"level {level.value}"
    return ", ".join(f"{name} up to {limit:g}" for name, limit in limits.items())


def _write(
    album: Album,
    groups: list[DuplicateGroup],
    report: Path | None,
    csv: Path | None,
    plan: Path | None,
    reference: list[Path],
    asked: str,
) -> list[str]:
    """Write what was asked for; the names of the files."""
    from lookalike.album.gallery import duplicates_page, spreadsheet  # noqa: PLC0415
    from lookalike.report import check_free, write_page  # noqa: PLC0415

    if report is not None:
        check_free(report)
        write_page(report, duplicates_page(album.path, groups, asked))
    if csv is not None:
        csv.write_text(spreadsheet(groups), encoding="utf-8", newline="")
    if plan is not None:
        album.plan(groups, reference=reference).write(plan)
    return [str(name) for name in (report, csv, plan) if name is not None]


def _print_groups(groups: list[DuplicateGroup]) -> None:
    from lookalike.album.group import suggestions  # noqa: PLC0415

    if not groups:
        say("nothing is there twice")
        return
    for number, group in enumerate(groups, 1):
        flags = [
            text
            for text, is_so in (
                ("chained", group.is_chained),
                ("some are no duplicates", group.holds_apart),
                ("has a new member", group.is_reopened),
            )
            if is_so
        ]
        said = f" ({', '.join(flags)})" if flags else ""
        print_text(f"{number}. {len(group)} files, keeper {group.why}{said}")
        may_go = {member.path for member in suggestions(group)}
        for member in group.members:
            print_text(one_line(_member(group, member, may_go)))
    going = sum(len(suggestions(group)) for group in groups)
    freed = sum(group.freed_bytes for group in groups)
    print_text(f"{len(groups):,} groups; {going:,} files may go, {freed:,} bytes")


def _member(group: DuplicateGroup, member: Member, may_go: set[bytes]) -> str:
    from lookalike.album.catalog import shown  # noqa: PLC0415

    link = member.link
    if member.path == group.keeper.path:
        mark, why = "keep", ""
    elif link is None:
        mark, why = "look", "joined by a chain"
    else:
        mark = "go  " if member.path in may_go else "stay"
        why = "same bytes" if link.encoder == "bytes" else f"{link.encoder} {link.distance:g}"
    size = f"{member.content.width}x{member.content.height}"
    return f"   {mark} {shown(member.path)}  {size}, {member.content.size:,} bytes  {why}".rstrip()


def decide(
    path: AlbumPath,
    pictures: Annotated[
        list[str] | None, typer.Argument(metavar="PICTURE...", help="Of the album; - is stdin.")
    ] = None,
    apart: Annotated[bool, typer.Option("--apart", help="No two of these are duplicates.")] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="All of these are to stay; ask when one joins them.")
    ] = False,
    forget: Annotated[
        bool, typer.Option("--forget", help="Take back what was decided about all of these.")
    ] = False,
    null: Null = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Remember what you decided about pictures; without pictures, list it.

    \b
    [bold]Examples[/bold]
      lookalike decide photos --apart twins-1.jpg twins-2.jpg
      lookalike decide photos --keep a.jpg 'a (small).jpg'
      lookalike decide photos

    Decisions are about contents: they hold after files were moved and renamed.
    """  # noqa: D301
    names = listed(pictures or [], null=null)
    if (apart + keep + forget != 1) if names else (apart or keep or forget):
        raise typer.BadParameter("give pictures and one of --apart, --keep and --forget; or none.")
    with open_album(path, home) as album:
        if apart:
            album.not_duplicates(*names)
        elif keep:
            album.keep(*names)
        elif forget:
            _forget(album, names)
        decisions = album.decisions()
    if as_json:
        print_json({"decisions": [decision.to_dict() for decision in decisions]})
    elif not names:
        _print_decisions(album)


def _forget(album: Album, names: list[str]) -> None:
    digests = {album.content_of(name).digest for name in names}
    about = [own for own in album.decisions() if digests.issuperset(own.digests)]
    if not about:
        raise InvalidInput(
            "pictures must be those of a decision, all of them; nothing was decided about these. "
            "List decisions with: lookalike decide DIR"
        )
    for decision in about:
        album.forget(decision)


def _print_decisions(album: Album) -> None:
    from lookalike.album.catalog import shown  # noqa: PLC0415

    decisions = album.decisions()
    if not decisions:
        say("nothing was decided")
    for decision in decisions:
        names = [
            shown(paths[0]) if paths else f"(gone: {digest})"
            for digest, paths in zip(decision.digests, decision.paths, strict=True)
        ]
        print_text(one_line(f"{decision.kind:<6} {', '.join(names)}"))


def apply(
    plan: Annotated[Path, typer.Argument(metavar="PLAN.json", help="Of lookalike duplicates.")],
    yes: Annotated[
        bool, typer.Option("--yes", help="Move the files; otherwise only say what would be done.")
    ] = False,
    to: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Move them there, not to the trash.")
    ] = None,
    home: Home = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Move the files of a plan to the trash, or to a folder. Nothing is ever deleted.

    \b
    [bold]Examples[/bold]
      lookalike apply plan.json                  says what would be done
      lookalike apply plan.json --yes            to the trash
      lookalike apply plan.json --yes --to away  to a folder outside of the album

    Each file, and the one that stays, is read again right before it is moved. Exit code 1
    when some were refused. lookalike undo brings them back.
    """  # noqa: D301
    from lookalike.album.plan import Plan  # noqa: PLC0415

    read = Plan.read(plan)
    with open_album(read.album, home) as album, progress(quiet=quiet) as tell:
        applied = album.apply(
            read,
            dry_run=not yes,
            to=to,
            progress=lambda done, total: tell("checking", done, total),
        )
    if as_json:
        print_json(applied.to_dict())
    elif not quiet:
        print_text(str(applied))
    if applied.refused:
        raise typer.Exit(REFUSED)


def undo(
    path: AlbumPath,
    act: Annotated[
        int | None, typer.Option(min=1, help="Number of the apply; the last unless given.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    home: Home = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Bring the files of an apply back to where they were.

    \b
    [bold]Examples[/bold]
      lookalike undo photos
      lookalike undo photos --act 3 --dry-run

    Nothing is overwritten. Exit code 1 when some could not be brought back.
    """  # noqa: D301
    with open_album(path, home) as album:
        undone = album.undo(act, dry_run=dry_run)
    if as_json:
        print_json(undone.to_dict())
    elif not quiet:
        print_text(str(undone))
    if undone.refused:
        raise typer.Exit(REFUSED)
