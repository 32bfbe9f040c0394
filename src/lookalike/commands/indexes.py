"""The commands for stored indexes of vectors: build, search, verify and repair."""

from __future__ import annotations

import enum
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lookalike import Index, upkeep
from lookalike.arrays import as_radius
from lookalike.commands.albums import Home, Null, is_album_at, listed, open_album, search_album
from lookalike.commands.npy import read_npy, read_rows
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
from lookalike.errors import CorruptStore, InvalidInput
from lookalike.results import Neighbors, Ranges
from lookalike.settings import checked_recall
from lookalike.store.folder import check_free, is_index

if TYPE_CHECKING:
    from lookalike.album.facts import AlbumRepaired, AlbumVerified

__all__ = ["Metric", "Promise", "build", "repair", "search", "verify"]

CORRUPT = 5  # exit code


class Metric(enum.StrEnum):
    """Distances that ``lookalike build`` knows."""

    L1 = "l1"
    L2 = "l2"
    COSINE = "cosine"
    HAMMING = "hamming"


class Promise(enum.StrEnum):
    """What a recall is."""

    CALIBRATED = "calibrated"
    GUARANTEED = "guaranteed"


@contextmanager
def _usage() -> Iterator[None]:
    """What is wrong with options is wrong usage."""
    try:
        yield
    except InvalidInput as error:
        raise typer.BadParameter(str(error)) from None


def _recall(value: float | None) -> float | None:
    with _usage():
        return None if value is None else checked_recall(value)


def _radius(value: float | None) -> float | None:
    with _usage():
        return None if value is None else as_radius(value)


Threads = Annotated[int, typer.Option(min=1, max=1024, help="How many to use.")]


def build(
    vectors: Annotated[
        str, typer.Argument(metavar="X.npy", help="Vectors: one array (n, d); - is stdin.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder of the index: a new one.")],
    metric: Annotated[
        Metric, typer.Option(help="cosine for embeddings, hamming for packed bits.")
    ] = Metric.L2,
    recall: Annotated[
        float | None,
        typer.Option(callback=_recall, help="Share of neighbours to be found; 0.95 unless given."),
    ] = None,
    promise: Annotated[
        Promise,
        typer.Option(help="Recall on average for queries like X, or for any query."),
    ] = Promise.CALIBRATED,
    bits: Annotated[int | None, typer.Option(min=1, help="k bits of classic LSH.")] = None,
    tables: Annotated[int | None, typer.Option(min=1, help="m tables of classic LSH.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of all random choices.")] = 0,
    ids: Annotated[
        str | None,
        typer.Option(metavar="IDS.npy", help="Ids of your own: (n,) whole numbers."),
    ] = None,
    threads: Threads = 1,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the index at OUT.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Build an index of the vectors in a .npy file, and write it to a folder.

    \b
    [bold]Examples[/bold]
      lookalike build vectors.npy my.index
      lookalike build embeddings.npy my.index --metric cosine --recall 0.99
      lookalike build hashes.npy my.index --metric hamming --ids ids.npy
      lookalike build vectors.npy my.index --bits 20 --tables 10 --replace

    Whole numbers up to 255 are stored as bytes, others as float32.

    In Python the index is opened with lookalike.Index.open.
    """  # noqa: D301
    with _usage():
        index = Index(
            metric.value, recall=recall, promise=promise.value, bits=bits, tables=tables, seed=seed
        )
    check_free(out, replace=replace, how="pass --replace")
    items = read_rows(vectors)
    own = None if ids is None else read_npy(ids)
    start = time.perf_counter()
    with progress(quiet=quiet) as tell:
        tell("reading", 0, None)
        index.add(items, own)
        tell("reading", 1, 1)
        tell("planning", 0, None)
        index.save(out, replace=replace, progress=_writing(tell), threads=threads)
    seconds = time.perf_counter() - start
    built = upkeep.describe(out)
    if as_json:
        print_json(built.to_dict() | {"seconds": seconds})
    elif not quiet:
        print_text(built.summary)
        print_text(f"  on disk      {built.file_bytes:,} bytes, built in {seconds:,.1f} s")


def _writing(tell: Tell) -> Callable[[int, int], None]:
    def written(done: int, total: int) -> None:
        tell("planning", 1, 1)
        tell("writing", done, total)

    return written


def search(
    path: Annotated[Path, typer.Argument(metavar="WHERE", help="An index, or an album.")],
    queries: Annotated[
        list[str],
        typer.Argument(
            metavar="WHAT...",
            help="Q.npy for an index, pictures for an album; - is stdin.",
        ),
    ],
    k: Annotated[
        int | None, typer.Option("-k", min=1, help="How many neighbours; 10 unless given.")
    ] = None,
    radius: Annotated[
        float | None,
        typer.Option(callback=_radius, help="All within this distance, in place of -k."),
    ] = None,
    recall: Annotated[
        float | None,
        typer.Option(callback=_recall, help="In place of the recall of the index."),
    ] = None,
    encoder: Annotated[
        str | None, typer.Option(help="Of an album: compare by this one alone.")
    ] = None,
    flips: Annotated[bool, typer.Option("--flips", help="Of an album: mirrored ones too.")] = False,
    rotations: Annotated[
        bool, typer.Option("--rotations", help="Of an album: those turned by quarters too.")
    ] = False,
    home: Home = None,
    null: Null = False,
    threads: Threads = 1,
    as_json: AsJson = False,
    as_lines: AsLines = False,
) -> None:
    """Find the pictures of an album, or the vectors of an index, that are nearest to some.

    \b
    [bold]Examples[/bold]
      lookalike search photos cat.jpg
      lookalike search photos cat.jpg -k 3 --flips --rotations
      find new -name '*.jpg' -print0 | lookalike search photos - -0 --jsonl
      lookalike search my.index queries.npy
      lookalike search my.index queries.npy -k 3 --jsonl
      lookalike search my.index query.npy --radius 120
      embed cat.jpg | lookalike search my.index -      .npy from a pipe
    """  # noqa: D301
    if k is not None and radius is not None:
        raise typer.BadParameter("-k and --radius must not be given together. Leave one out.")
    check_one_of(as_json=as_json, as_lines=as_lines)
    wanted = 10 if k is None else k
    if is_index(path):
        if encoder or flips or rotations or null or home is not None:
            raise typer.BadParameter(
                "--encoder, --flips, --rotations, --null and --album are for albums; this is an "
                "index."
            )
        if len(queries) > 1:
            raise typer.BadParameter("an index is searched with one file of vectors. Join them.")
    elif is_album_at(path, home):
        if radius is not None or recall is not None:
            raise typer.BadParameter("--radius and --recall are for indexes; this is an album.")
        search_album(
            path,
            home,
            listed(queries, null=null),
            wanted,
            encoder=encoder,
            flips=flips,
            rotations=rotations,
            threads=threads,
            as_json=as_json,
            as_lines=as_lines,
        )
        return
    _search_index(
        path,
        queries[0],
        wanted,
        radius=radius,
        recall=recall,
        threads=threads,
        as_json=as_json,
        as_lines=as_lines,
    )


def _search_index(
    path: Path,
    queries: str,
    wanted: int,
    *,
    radius: float | None,
    recall: float | None,
    threads: int,
    as_json: bool,
    as_lines: bool,
) -> None:
    index = Index.open(path)
    if not len(index):
        raise InvalidInput(
            f"{path} must have vectors to find; got an empty index. Build one from an array with "
            "at least one row."
        )
    items = read_npy(queries)
    start = time.perf_counter()
    found: Neighbors | Ranges
    if radius is None:
        found = index.search(items, wanted, recall=recall, threads=threads)
        is_batch = found.ids.ndim == 2
    else:
        found = index.within(items, radius, recall=recall, threads=threads)
        is_batch = found.offsets is not None
    seconds = time.perf_counter() - start
    results = list(found) if is_batch else [found]
    if as_lines:
        for number, result in enumerate(results):
            typer.echo(json.dumps(_result(number, result), allow_nan=False))
    elif as_json:
        print_json(
            {
                "index": str(path),
                "metric": index.metric,
                "k": wanted if radius is None else None,
                "radius": radius,
                "recall": index.recall if recall is None else recall,
                "queries": len(results),
                "seconds": seconds,
                "results": [_result(number, result) for number, result in enumerate(results)],
            }
        )
    else:
        _print_results(results, is_batch=is_batch)


def _result(number: int, found: Neighbors | Ranges) -> dict[str, Any]:
    """What was found for one query."""
    ids, distances = [], []
    for own, distance in found:
        ids.append(own)
        distances.append(distance)
    result: dict[str, Any] = {"query": number, "ids": ids, "distances": distances}
    return result | ({"widened": found.widened} if isinstance(found, Neighbors) else {})


def _print_results(results: list[Neighbors | Ranges], *, is_batch: bool) -> None:
    """A line for everything that was found; the query's number only where there are several."""
    rows = [
        (str(number), str(rank), str(own), f"{distance:g}")
        for number, result in enumerate(results)
        for rank, (own, distance) in enumerate(result, 1)
    ]
    if not rows:
        say("nothing was found")
        return
    rows.insert(0, ("query", "rank", "id", "distance"))
    first = 0 if is_batch else 1
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        cells = (f"{row[column]:>{widths[column]}}" for column in range(first, 4))
        typer.echo("  ".join(cells))


def verify(
    path: Annotated[Path, typer.Argument(metavar="WHERE", help="An index, or an album.")],
    threads: Threads = 1,
    home: Home = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Read every byte of an index or an album, and say whether it is what was written.

    \b
    [bold]Examples[/bold]
      lookalike verify photos
      lookalike verify my.index
      lookalike verify my.index --quiet || lookalike repair my.index

    Nothing is changed. Exit code 5 when something is damaged.
    """  # noqa: D301
    verified: upkeep.Verified | AlbumVerified
    with progress(quiet=quiet) as tell:
        told = _reading(tell, "comparing")
        if is_album_at(path, home):
            with open_album(path, home) as album:
                verified = album.verify(progress=told, threads=threads)
        else:
            verified = upkeep.verify(path, progress=told, threads=threads)
    if as_json:
        print_json(verified.to_dict())
    elif not quiet:
        print_text(str(verified))
    if verified.problems:
        raise typer.Exit(CORRUPT)


def repair(
    path: Annotated[Path, typer.Argument(metavar="WHERE", help="An index, or an album.")],
    threads: Threads = 1,
    home: Home = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Mend an index or an album that is damaged, and say what was lost.

    \b
    [bold]Examples[/bold]
      lookalike repair my.index
      lookalike repair photos && lookalike sync photos
      lookalike repair my.index --json

    Vectors whose bytes are as they were written are kept, and the plan is built
    again. Damaged files are set aside in the folder 'damaged' of the index.
    """  # noqa: D301
    repaired: upkeep.Repaired | AlbumRepaired
    try:
        with progress(quiet=quiet) as tell:
            told = _reading(tell, "mending")
            if is_album_at(path, home):
                with open_album(path, home) as album:
                    repaired = album.repair(progress=told, threads=threads)
            else:
                repaired = upkeep.repair(path, progress=told, threads=threads)
    except CorruptStore as error:  # whose own advice is to repair it
        say(f"{error.what} cannot be repaired; {error.why}. Copy the index again.")
        raise typer.Exit(CORRUPT) from None
    if as_json:
        print_json(repaired.to_dict())
    elif not quiet:
        print_text(str(repaired))


def _reading(tell: Tell, afterwards: str) -> Callable[[int, int], None]:
    """Progress of bytes that are read, and of what follows, whose end nobody knows."""

    def read(done: int, total: int) -> None:
        tell("reading", done, total)
        if done == total:
            tell(afterwards, 0, None)

    return read
