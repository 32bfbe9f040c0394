"""The commands by which an album learns what its user thinks: decide and calibrate."""

from __future__ import annotations

import csv
import enum
import io
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lookalike.commands.albums import AlbumPath, Home, Null, listed, open_album
from lookalike.commands.terminal import AsJson, Quiet, one_line, print_json, print_text, say
from lookalike.errors import InvalidInput, UnreadableFile

if TYPE_CHECKING:
    from lookalike.album import Album
    from lookalike.album.decisions import Decision

__all__ = ["Calibrating", "calibrate", "decide"]

Pair = tuple[str, str, bool]

_ANSWERS = {"yes": True, "same": True, "1": True, "no": False, "different": False, "0": False}


class Calibrating(enum.StrEnum):
    """A level that has thresholds."""

    NEAR = "near"
    SIMILAR = "similar"


def decide(
    path: AlbumPath,
    pictures: Annotated[
        list[str] | None, typer.Argument(metavar="[PICTURE]...", help="Of the album; - is stdin.")
    ] = None,
    apart: Annotated[bool, typer.Option("--apart", help="No two of these are duplicates.")] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="All of these stay; ask again when one joins them.")
    ] = False,
    forget: Annotated[
        bool, typer.Option("--forget", help="Take back what was decided about these.")
    ] = False,
    show: Annotated[bool, typer.Option("--list", help="List what was decided.")] = False,
    null: Null = False,
    home: Home = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Remember what you decided about pictures, so that duplicates heeds it.

    \b
    [bold]Examples[/bold]
      lookalike decide photos --apart twins-1.jpg twins-2.jpg
      lookalike decide photos --keep a.jpg 'a (small).jpg'
      lookalike decide photos --list
      lookalike decide photos --forget a.jpg

    Decisions are about contents: they hold after files were moved and renamed.
    """  # noqa: D301
    names = listed(pictures or [], null=null)
    is_asked = show or not (apart or keep or forget)
    if apart + keep + forget + is_asked != 1 or is_asked == bool(names):
        raise typer.BadParameter(
            "pictures must be given with one of --apart, --keep and --forget; without any, "
            "decisions are listed."
        )
    with open_album(path, home) as album:
        if apart:
            album.not_duplicates(*names)
        elif keep:
            album.keep(*names)
        elif forget:
            _forget(album, names)
        decisions = album.decisions() if is_asked or as_json else []
    if as_json:
        print_json({"decisions": [decision.to_dict() for decision in decisions]})
    elif is_asked:
        _print(decisions)
    elif not quiet:
        said = "are no duplicates" if apart else "are to stay" if keep else "are undecided again"
        print_text(f"{len(names):,} pictures {said}")


def _forget(album: Album, names: Iterable[str]) -> None:
    """Take back decisions about no others than these, and those about all of these."""
    digests = {album.content_of(name).digest for name in names}
    about = [
        own
        for own in album.decisions()
        if digests.issuperset(own.digests) or digests.issubset(own.digests)
    ]
    if not about:
        raise InvalidInput(
            "pictures to forget must be some that something was decided about; got "
            f"{len(digests):,} about which nothing was, or not together. See what was with: "
            "lookalike decide DIR --list"
        )
    for decision in about:
        album.forget(decision)


def _print(decisions: Sequence[Decision]) -> None:
    if not decisions:
        say("nothing was decided")
    for decision in decisions:
        print_text(_line(decision))


def _line(decision: Decision) -> str:
    """One decision, each content by its first file."""
    from lookalike.album.catalog import shown  # noqa: PLC0415

    names = [
        one_line(shown(paths[0])) if paths else f"(gone: {digest})"
        for digest, paths in zip(decision.digests, decision.paths, strict=True)
    ]
    return f"{decision.kind:<6} {' | '.join(names)}"


def calibrate(
    path: AlbumPath,
    pairs: Annotated[
        str, typer.Argument(metavar="PAIRS.csv", help="Lines of A,B,yes or A,B,no; - is stdin.")
    ],
    level: Annotated[
        Calibrating, typer.Option(help="Whose thresholds are set.")
    ] = Calibrating.NEAR,
    home: Home = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Set the thresholds of an album by pairs of pictures that you have judged.

    \b
    [bold]Examples[/bold]
      lookalike calibrate photos pairs.csv
      printf 'a.jpg,a2.jpg,yes\\\\na.jpg,b.jpg,no\\\\n' | lookalike calibrate photos -

    Says what was chosen, and the precision and recall to be expected. Pairs that look
    alike and are different to you say most, beside some that are the same.
    """  # noqa: D301
    examples = list(_pairs(pairs))
    with open_album(path, home) as album:
        calibrated = album.calibrate(examples, level=level.value)
    if as_json:
        print_json(calibrated.to_dict())
    elif not quiet:
        print_text(str(calibrated))


def _pairs(source: str) -> Iterator[Pair]:
    """The pairs of a file, whose names may have any bytes."""
    try:
        data = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        raise UnreadableFile(
            f"pairs must be in a file that can be read; got {source}: {error.strerror}. Check the "
            "path."
        ) from None
    text = io.StringIO(os.fsdecode(data).removeprefix("\ufeff"), newline="")
    try:
        for number, row in enumerate(csv.reader(text, strict=True), 1):
            if row:
                yield _pair(row, number)
    except csv.Error as error:
        raise InvalidInput(
            f"pairs must be comma-separated values; got a file that is not: {error}. Check how it "
            "was made."
        ) from None


def _pair(row: list[str], number: int) -> Pair:
    answer = _ANSWERS.get(row[2].strip().lower()) if len(row) == 3 else None
    if answer is None:
        raise InvalidInput(
            "pairs must be lines of two pictures and yes or no, with commas between; got "
            f"{','.join(row)!r} in line {number}. Quote names that have commas."
        )
    return row[0], row[1], answer
