"""The commands for albums: sync, searching them, explaining and what sync has found."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
from lookalike.errors import InvalidInput, UnreadableFile

if TYPE_CHECKING:
    from lookalike.album import Album
    from lookalike.album.matches import Matches

__all__ = [
    "AlbumPath",
    "Home",
    "explain",
    "is_album_at",
    "listed",
    "open_album",
    "search_album",
    "sync",
]

SOME_UNREADABLE = 4  # exit code

AlbumPath = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of pictures.")]
Home = Annotated[
    Path | None,
    typer.Option(
        "--album", metavar="HOME", help="The album's own files; DIR/.lookalike unless given."
    ),
]
Null = Annotated[
    bool, typer.Option("--null", "-0", help="Lists on standard input end with NUL, not newline.")
]


def open_album(
    path: Path, home: Path | None, *, encoders: Sequence[str] | None = None, synced: bool = True
) -> Album:
    """An album that was synced before, unless that is being done."""
    from lookalike.album import Album  # noqa: PLC0415

    album = Album(path, encoders=encoders or None, at=home)
    if synced and not album.is_synced:
        raise UnreadableFile(
            f"an album must have been synced before it is asked; got {path}, which was not. Run: "
            f"lookalike sync {path}"
        )
    return album


def is_album_at(path: Path, home: Path | None) -> bool:
    """Whether there is an album in a folder."""
    from lookalike.album import is_album  # noqa: PLC0415

    return home is not None or is_album(path / ".lookalike")


def listed(names: Sequence[str], *, null: bool) -> list[str]:
    """Names as they were given; those of standard input in the place of "-"."""
    found: list[str] = []
    for name in names:
        if name != "-":
            found.append(name)
            continue
        data = sys.stdin.buffer.read()
        parts = data.split(b"\0" if null else b"\n")
        found += [os.fsdecode(part.removesuffix(b"\r")) for part in parts if part]
    return found


def sync(
    path: AlbumPath,
    encoder: Annotated[
        list[str] | None,
        typer.Option(help="pdq, phash, pixels, embedding or onnx:MODEL.onnx; may be repeated."),
    ] = None,
    include: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Only such files; remembered.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="No such files or folders; remembered.")
    ] = None,
    hidden: Annotated[
        bool | None, typer.Option("--hidden/--no-hidden", help="Names with a dot; remembered.")
    ] = None,
    links: Annotated[
        bool | None, typer.Option("--links/--no-links", help="Follow links; remembered.")
    ] = None,
    checksum: Annotated[bool, typer.Option("--checksum", help="Read every file.")] = False,
    emptied: Annotated[
        bool, typer.Option("--emptied", help="It is right that no picture is left.")
    ] = False,
    retry: Annotated[bool, typer.Option("--retry", help="Read unreadable pictures again.")] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Processes; one for each core unless given.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds that a file may take.")] = 60.0,
    home: Home = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Bring an album into step with its folder: new, changed, moved and deleted pictures.

    \b
    [bold]Examples[/bold]
      lookalike sync photos
      lookalike sync photos --exclude '*/cache/*' --hidden
      lookalike sync /mnt/photos --album ~/albums/mnt     a disk that is only read
      lookalike sync photos --encoder pdq --encoder embedding

    May be interrupted at any time, and goes on when it is run again. Exit code 4 when
    some files could not be read; all others are in the album.
    """  # noqa: D301
    album = open_album(path, home, encoders=encoder, synced=False)
    with progress(quiet=quiet, rate=True) as tell:
        report = album.sync(
            include=include,
            exclude=exclude,
            hidden=hidden,
            links=links,
            checksum=checksum,
            emptied=emptied,
            retry=retry,
            workers=workers,
            timeout_s=timeout,
            progress=_syncing(tell),
        )
    if as_json:
        print_json(report.to_dict())
    elif not quiet:
        print_text(str(report))
    if report.unreadable or report.refused:
        raise typer.Exit(SOME_UNREADABLE)


def _syncing(tell: Tell) -> Callable[[int, int | None], None]:
    def told(done: int, total: int | None) -> None:
        if total is None:
            tell("looking", done, None)
        else:
            tell("looking", 1, 1)
            tell("reading and encoding", done, total)

    return told


def search_album(
    path: Path,
    home: Path | None,
    pictures: Sequence[str],
    k: int,
    *,
    encoder: str | None,
    flips: bool,
    rotations: bool,
    threads: int,
    as_json: bool,
    as_lines: bool,
) -> None:
    """Search an album for each of some pictures; those that cannot be read are told at the end."""
    results, unreadable = [], 0
    with open_album(path, home) as album:
        for picture in pictures:
            try:
                found = album.search(
                    picture,
                    k,
                    encoder=encoder,
                    flips=flips,
                    rotations=rotations,
                    threads=threads,
                )
            except UnreadableFile as error:
                if len(pictures) == 1:
                    raise
                say(str(error))
                unreadable += 1
                continue
            if as_lines:
                typer.echo(json.dumps(_result(picture, found), allow_nan=False))
            elif as_json:
                results.append(_result(picture, found))
            else:
                _print_matches(picture, found, several=len(pictures) > 1)
    if as_json:
        print_json({"album": str(path), "k": k, "results": results})
    if unreadable:
        raise typer.Exit(SOME_UNREADABLE)


def _result(picture: str, found: Matches) -> dict[str, object]:
    from lookalike.album.matches import path_dict  # noqa: PLC0415

    return {
        "query": path_dict(os.fsencode(picture)),
        "matches": [match.to_dict() for match in found],
        "notes": list(found.notes),
    }


def _print_matches(picture: str, found: Matches, *, several: bool) -> None:
    if several:
        print_text(one_line(picture))
    for match in found:
        print_text(one_line(str(match)))
    for note in found.notes:
        say(note)
    if not len(found):
        say("nothing was found")


def explain(
    path: AlbumPath,
    one: Annotated[str, typer.Argument(metavar="A", help="A picture, in the album or not.")],
    other: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Say why two pictures match, or why a search for one does not find the other.

    \b
    [bold]Examples[/bold]
      lookalike explain photos cat.jpg 'cat (1).jpg'
      lookalike explain photos a.jpg b.jpg --json
    """  # noqa: D301
    if "-" in (one, other):
        raise InvalidInput("pictures must be two files; got '-'. Name them.")
    with open_album(path, home) as album:
        comparison = album.explain(one, other)
    if as_json:
        print_json(comparison.to_dict())
    else:
        print_text(str(comparison))
