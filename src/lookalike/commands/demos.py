"""The commands for trying things out: the demonstration, and the course session."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from lookalike.commands.terminal import AsJson, Quiet, print_json, print_text, progress

if TYPE_CHECKING:
    from lookalike.demo import DemoResult, Method, PromiseResult

__all__ = ["DemoData", "demo", "lab"]


class DemoData(enum.StrEnum):
    """Data that ``lookalike demo`` can search."""

    DIGITS = "digits"
    FASHION_MNIST = "fashion-mnist"


def demo(
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("lookalike-demo"),
    data: Annotated[DemoData, typer.Option(help="What is searched.")] = DemoData.DIGITS,
    seed: Annotated[int, typer.Option(min=0, help="Of all random choices.")] = 0,
    pictures: Annotated[
        bool, typer.Option("--pictures", help="An album of photographs and edits of them.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Search 1,500 handwritten digits with hash tables, exactly, and with NumPy.

    \b
    [bold]Examples[/bold]
      lookalike demo                       a table, and lookalike-demo/report.html
      lookalike demo --seed 1              other hash functions
      lookalike demo --out /tmp/digits     another folder
      lookalike demo --json | jq .methods  the figures for a program
      lookalike demo --data fashion-mnist  60,000 pictures: recall asked for and reached
      lookalike demo --pictures            an album: sync, search, duplicates

    Takes some seconds. The digits need the extra 'lab', Fashion-MNIST Debian's package
    dataset-fashion-mnist (a table only, no report).
    """  # noqa: D301
    if pictures:
        _demo_album(out, as_json=as_json, quiet=quiet)
        return
    if data is DemoData.FASHION_MNIST:
        _demo_promise(seed=seed, as_json=as_json, quiet=quiet)
        return
    from lookalike.demo import demo_page, run_demo  # noqa: PLC0415
    from lookalike.plots import drawing  # noqa: PLC0415
    from lookalike.report import check_free, write_page  # noqa: PLC0415

    path = out / "report.html"
    check_free(path)
    with drawing():  # a missing matplotlib is told before measuring, not after
        pass
    with progress(quiet=quiet) as tell:
        result = run_demo(seed=seed, progress=tell)
        write_page(path, demo_page(result))
    if as_json:
        print_json(result.to_dict() | {"report": str(path)})
    elif not quiet:
        _print_demo(result, path)


def lab(folder: Annotated[Path, typer.Argument(help="A new or empty folder.")]) -> None:
    """Write the course session: lsh.py, images.npy, notebook, handout and worked tasks.

    \b
    [bold]Example[/bold]
      lookalike lab my-lab
    """  # noqa: D301
    from lookalike.lab.folder import write_lab  # noqa: PLC0415

    written = write_lab(folder)
    typer.echo(f"wrote {', '.join(path.name for path in written)} to {folder}")


def _demo_album(out: Path, *, as_json: bool, quiet: bool) -> None:
    from lookalike.album.gallery import duplicates_page  # noqa: PLC0415
    from lookalike.demo.album import run_album  # noqa: PLC0415
    from lookalike.report import check_free, write_page  # noqa: PLC0415

    path = out / "duplicates.html"
    check_free(path)
    with progress(quiet=quiet, rate=True) as tell:
        album, result = run_album(
            out / "pictures", progress=lambda done, total: tell("encoding", done, total)
        )
    with album:
        write_page(path, duplicates_page(album.path, result.groups, "level similar"))
    if as_json:
        print_json(result.to_dict() | {"report": str(path)})
    elif not quiet:
        print_text(
            f"An album in {result.folder}, made of three photographs:\n\n{result.synced}\n\n"
            f"What looks like {result.query}:\n{result.found}\n\n"
            f"What looks like {result.mirrored}, mirrored or not:\n{result.found_mirrored}\n\n"
            f"{len(result.groups)} groups of pictures that are made of each other, of "
            f"{', '.join(str(len(group)) for group in result.groups)} files.\n\nReport: {path}\n"
            f"Try: lookalike search {result.folder} {result.folder}/square/flower.jpg"
        )


def _demo_promise(*, seed: int, as_json: bool, quiet: bool) -> None:
    from lookalike.demo import run_promise  # noqa: PLC0415

    with progress(quiet=quiet) as tell:
        result = run_promise(seed=seed, progress=tell)
    if as_json:
        print_json(result.to_dict())
    elif not quiet:
        _print_promise(result)


def _print_promise(result: PromiseResult) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("recall\nasked for", "recall\nreached", "µs a\nquery", "µs, one\na call"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("plan", vertical="bottom")
    for row in result.rows:
        table.add_row(
            f"{row.asked:g}",
            f"{row.reached:.4f}",
            f"{row.microseconds_batch:,.1f}",
            f"{row.microseconds_single:,.1f}",
            row.plan,
        )
    console = Console(highlight=False)
    console.print(
        f"The {result.k} closest of {result.stored:,} pictures for each of {result.queries:,} "
        f"others: L2 distance, built in {result.seconds_to_build:.1f} s, CPU level "
        f"{result.cpu_level}, one thread.\n"
    )
    console.print(table)


def _print_demo(result: DemoResult, path: Path) -> None:
    from lookalike.demo import summary  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("method", no_wrap=True, vertical="bottom")
    for head in ("candi-\ndates", "nearest\nfound", "mean\ndistance", "µs a\nquery"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("µs, one\na call", justify="right", no_wrap=True)
    table.add_column("against\nNumPy", justify="right", no_wrap=True)
    for method in result.methods:
        chosen = (method.bits, method.tables) == (result.wanted.bits, result.wanted.tables)
        table.add_row(*_cells(method, chosen=chosen))
    console = Console(highlight=False)
    console.print(
        f"The closest of {result.stored:,} handwritten digits for each of {result.queries} "
        f"others: L1 distance, seed {result.seed}, CPU level {result.cpu_level}, one thread.\n"
    )
    console.print(table)
    console.print(
        f"\n* k and m computed from the stored images: an image at distance "
        f"{result.wanted.distance:.0f} is found with a chance of at least "
        f"{result.wanted.recall:.0%}, over draws of the hash functions.\n"
    )
    console.print("\n".join(summary(result)))
    console.print(f"\nReport: {path}", soft_wrap=True, markup=False)


def _cells(method: Method, *, chosen: bool) -> list[str]:
    distance = method.mean_distance
    return [
        f"{method.name} *" if chosen else method.name,
        f"{method.candidates:,.0f}",
        f"{method.nearest_found:.1%}",
        "-" if distance is None else f"{distance:.1f}",
        f"{method.microseconds_batch:.1f}",
        f"{method.microseconds_single:.1f}",
        f"{method.speedup:.1f} x",
    ]
