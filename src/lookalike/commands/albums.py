"""The commands for albums: sync, search and explain; and what all of them share."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
from lookalike.errors import UnreadableFile, UnreadableImage
from lookalike.store.folder import is_index

if TYPE_CHECKING:
    from lookalike.album import Album
    from lookalike.album.matches import Matches
    from lookalike.album.sync import Synced

__all__ = [
    "AlbumPath",
    "Home",
    "Null",
    "bring_into_step",
    "explain",
    "is_album_at",
    "listed",
    "open_album",
    "path_json",
    "search_album",
    "sync",
]

FAILURE, SOME_UNREADABLE = 1, 4  # exit codes

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
    path: Path,
    home: Path | None,
    *,
    encoders: Sequence[str] | None = None,
    synced: bool = True,
    advice: str = "",
) -> Album:
    """An album that was synced before, unless that is being done; more advice if it was not."""
    from lookalike.album import Album  # noqa: PLC0415

    album = Album(path, encoders=encoders or None, at=home)
    if synced and not album.is_synced:
        raise UnreadableFile(
            f"an album must have been synced before it is asked; got {path}, which was not. Run: "
            f"{_sync_command(path, home)}{advice}"
        )
    return album


def _sync_command(path: Path, home: Path | None) -> str:
    command = ["lookalike", "sync", str(path), *([] if home is None else ["--album", str(home)])]
    return shlex.join(command)


def is_album_at(path: Path, home: Path | None) -> bool:
    """Whether a path is that of an album, not of an index.

    Raises
    ------
    UnreadableFile
        For a folder that is neither.
    """
    from lookalike.album import is_album  # noqa: PLC0415

    if home is not None:
        return True
    if is_index(path) or not path.is_dir():
        return False
    if not is_album(path / ".lookalike"):
        raise UnreadableFile(
            f"a folder must be an index, or an album that was synced; got {path}, which is "
            f"neither. If it has pictures, run: {_sync_command(path, None)}"
        )
    return True


def listed(names: Sequence[str], *, null: bool) -> list[str]:
    """Names as they were given; those of standard input in the place of "-"."""
    found: list[str] = []
    for name in names:
        found += _names_on_stdin(null=null) if name == "-" else [name]
    return found


def _names_on_stdin(*, null: bool) -> Iterator[str]:
    """One a line; the lines of some systems end with two characters."""
    if sys.stdin.isatty():
        raise UnreadableFile(
            "standard input must be a list of files; it is a terminal. Pipe one into it, or name "
            "the files instead of '-'."
        )
    data = sys.stdin.buffer.read()
    for part in data.split(b"\0" if null else b"\n"):
        name = part if null else part.removesuffix(b"\r")
        if name:
            yield os.fsdecode(name)


def path_json(path: str) -> dict[str, str]:
    """A path for JSON, to the byte."""
    from lookalike.album.matches import path_dict  # noqa: PLC0415

    return path_dict(os.fsencode(path))


def sync(
    path: AlbumPath,
    encoder: Annotated[
        list[str] | None,
        typer.Option(help="pdq, phash, pixels, embedding or onnx:MODEL.onnx; may be repeated."),
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(metavar="GLOB", help="Only such files; remembered; '' resets."),
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="No such ones; remembered; '' resets.")
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
      lookalike sync photos --exclude cache --exclude '*/tmp/*' --hidden
      lookalike sync photos --exclude ''                  all again
      lookalike sync /mnt/photos --album ~/albums/mnt     a disk that is only read
      lookalike sync photos --encoder pdq --encoder embedding

    May be interrupted at any time, and goes on when it is run again. Exit code 4 when
    some files could not be read; all others are in the album.
    """  # noqa: D301
    with (
        open_album(path, home, encoders=encoder, synced=False) as album,
        progress(quiet=quiet, rate=True) as tell,
    ):
        report = album.sync(
            include=_patterns(include),
            exclude=_patterns(exclude),
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
        print_text(str(_legible(report)))
    if report.unreadable or report.refused:
        raise typer.Exit(SOME_UNREADABLE)


def _patterns(given: list[str] | None) -> list[str] | None:
    """Patterns that were given; an empty one takes back those of earlier syncs."""
    return None if given is None else list(filter(None, given))


def bring_into_step(album: Album, *, quiet: bool) -> Synced:
    """Sync an album as it was synced last, with a bar."""
    with progress(quiet=quiet, rate=True) as tell:
        return album.sync(progress=_syncing(tell))


def _legible(report: Synced) -> Synced:
    """With each file in one line, whatever its name."""
    return replace(report, unreadable=_lines(report.unreadable), refused=_lines(report.refused))


def _lines(troubles: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(one_line(path), one_line(reason)) for path, reason in troubles]


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
    """Search an album for each of some pictures, and go on where one cannot be read."""
    results, unreadable = [], 0
    with open_album(path, home) as album:
        for picture in pictures:
            found, error = None, None
            try:
                found = album.search(
                    picture,
                    k,
                    encoder=encoder,
                    flips=flips,
                    rotations=rotations,
                    threads=threads,
                )
            except UnreadableImage as unread:
                error = str(unread)
                say(error)
                unreadable += 1
            if as_lines:
                print_json(_result(picture, found, error))
            elif as_json:
                results.append(_result(picture, found, error))
            elif found is not None:
                _print_matches(picture, found, several=len(pictures) > 1)
    if as_json:
        print_json({"album": str(path), "k": k, "results": results})
    if unreadable:
        raise typer.Exit(SOME_UNREADABLE if unreadable < len(pictures) else FAILURE)


def _result(picture: str, found: Matches | None, error: str | None) -> dict[str, Any]:
    """What was found for one picture, or why it could not be searched for."""
    return {
        "query": path_json(picture),
        "matches": [match.to_dict() for match in found or ()],
        "notes": [] if found is None else list(found.notes),
        "error": error,
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
    with open_album(path, home) as album:
        comparison = album.explain(one, other)
    if as_json:
        print_json(comparison.to_dict())
    else:
        print_text(str(replace(comparison, one=one_line(one), other=one_line(other))))
