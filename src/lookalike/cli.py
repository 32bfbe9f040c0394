"""The command line: thin wrappers of library calls.

Exit codes: 0 fine, 1 failure, 2 usage, 130 interrupted.
"""

from __future__ import annotations

import enum
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from lookalike import __version__
from lookalike.errors import LookalikeError
from lookalike.native import cpu_level, cpu_levels

if TYPE_CHECKING:
    from lookalike.demo import DemoResult, Method, PromiseResult

__all__ = ["DemoData", "app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    add_completion=False,
)

_EXTRAS = {
    "frames": ("pandas", "pyarrow"),
    "lab": ("matplotlib", "sklearn"),
    "plots": ("matplotlib",),
}


class DemoData(enum.StrEnum):
    """Data that ``lookalike demo`` can search."""

    DIGITS = "digits"
    FASHION_MNIST = "fashion-mnist"


AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lookalike {__version__}")
        raise typer.Exit


@app.callback()
def _lookalike(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Find the images that look like this one.

    \b
    [bold]Examples[/bold]
      lookalike demo                search the handwritten digits, write a report
      lookalike demo --json         the same figures for a program
      lookalike lab my-lab          write the course session to a new folder
      lookalike info                version, CPU level, extras

    Exit codes: 0 fine, 1 failure, 2 usage, 130 interrupted.
    """  # noqa: D301


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("lookalike-demo"),
    data: Annotated[DemoData, typer.Option(help="What is searched.")] = DemoData.DIGITS,
    seed: Annotated[int, typer.Option(min=0, help="Of all random choices.")] = 0,
    as_json: AsJson = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Write the report, and print nothing.")
    ] = False,
) -> None:
    """Search 1,500 handwritten digits with hash tables, exactly, and with NumPy.

    \b
    [bold]Examples[/bold]
      lookalike demo                       a table, and lookalike-demo/report.html
      lookalike demo --seed 1              other hash functions
      lookalike demo --out /tmp/digits     another folder
      lookalike demo --json | jq .methods  the figures for a program
      lookalike demo --data fashion-mnist  60,000 pictures: recall asked for and reached

    Takes some seconds. The digits need the extra 'lab', Fashion-MNIST Debian's package
    dataset-fashion-mnist (a table only, no report).
    """  # noqa: D301
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
    with _progress(quiet=quiet) as tell:
        result = run_demo(seed=seed, progress=tell)
        write_page(path, demo_page(result))
    if as_json:
        typer.echo(json.dumps(result.to_dict() | {"report": str(path)}, allow_nan=False))
    elif not quiet:
        _print_demo(result, path)


@app.command()
def info(as_json: AsJson = False) -> None:
    """Print the version, the CPU level in use, and which extras are installed.

    \b
    [bold]Examples[/bold]
      lookalike info
      lookalike info --json
    """  # noqa: D301
    extras = {name: _installed(packages) for name, packages in _EXTRAS.items()}
    levels = cpu_levels()
    facts = {
        "version": __version__,
        "python": sys.version.split()[0],
        "cpu_level": cpu_level(),
        "cpu_levels": levels,
        "extras": extras,
    }
    if as_json:
        typer.echo(json.dumps(facts))
        return
    others = [f"{level} ({'usable' if usable else 'not here'})" for level, usable in levels.items()]
    lines = {
        "lookalike": __version__,
        "Python": facts["python"],
        "CPU level": cpu_level(),
        "levels built": ", ".join(others),
    }
    for name, present in extras.items():
        missing = f"missing: pip install 'lookalike[{name}]'"
        lines[f"extra {name}"] = "installed" if present else missing
    for name, value in lines.items():
        typer.echo(f"{name:<14}{value}")


@app.command()
def lab(folder: Annotated[Path, typer.Argument(help="A new or empty folder.")]) -> None:
    """Write the course session: lsh.py, images.npy, notebook, handout and worked tasks.

    \b
    [bold]Example[/bold]
      lookalike lab my-lab
    """  # noqa: D301
    from lookalike.lab.folder import write_lab  # noqa: PLC0415

    written = write_lab(folder)
    typer.echo(f"wrote {', '.join(path.name for path in written)} to {folder}")


def _installed(packages: tuple[str, ...]) -> bool:
    return all(importlib.util.find_spec(package) is not None for package in packages)


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on standard error when that is a terminal; nothing otherwise."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<22}"), BarColumn(), TimeElapsedColumn())
    shown = console.is_terminal and not quiet
    with Progress(*columns, console=console, transient=True, disable=not shown) as bar:
        tasks = {}

        def tell(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done)

        yield tell


def _demo_promise(*, seed: int, as_json: bool, quiet: bool) -> None:
    from lookalike.demo import run_promise  # noqa: PLC0415

    with _progress(quiet=quiet) as tell:
        result = run_promise(seed=seed, progress=tell)
    if as_json:
        typer.echo(json.dumps(result.to_dict(), allow_nan=False))
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


def main() -> None:
    """Run the command line; errors of ours become a message and exit code 1."""
    try:
        app(prog_name="lookalike")
    except (LookalikeError, OSError) as error:
        typer.echo(f"lookalike: {error}", err=True)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
