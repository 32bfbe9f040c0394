"""What all commands share: data goes to standard output, everything else to standard error."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

__all__ = [
    "AsJson",
    "AsLines",
    "Quiet",
    "Tell",
    "check_one_of",
    "one_line",
    "print_json",
    "print_text",
    "printable",
    "progress",
    "say",
]

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
AsLines = Annotated[bool, typer.Option("--jsonl", help="Print one JSON object for each result.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Do the work, and print nothing.")]

Tell = Callable[[str, int, int | None], None]  # what, done, total; None: nobody knows


def printable(text: str) -> str:
    """Text of strangers, in which no character controls the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def one_line(text: str) -> str:
    """Text of strangers as one line: a file name cannot begin another."""
    return printable(text).replace("\n", "\\n")


def print_text(text: str) -> None:
    """Print a result."""
    typer.echo(printable(text))


def print_json(value: Mapping[str, Any]) -> None:
    """Print a result as one line of JSON."""
    typer.echo(json.dumps(value, allow_nan=False))


def say(message: str) -> None:
    """Print a message on standard error, as one line."""
    typer.echo(f"lookalike: {one_line(message)}", err=True)


def check_one_of(*, as_json: bool, as_lines: bool) -> None:
    """Refuse two forms of output at a time."""
    if as_json and as_lines:
        raise typer.BadParameter("--json and --jsonl must not be given together. Leave one out.")


class _RateColumn(ProgressColumn):
    """How many a second."""

    def render(self, task: Task) -> Text:
        """What the column shows."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s", style="progress.data.speed")


@contextmanager
def progress(*, quiet: bool, rate: bool = False) -> Iterator[Tell]:
    """A bar on standard error when that is a terminal; nothing otherwise.

    With ``rate`` also how many are done, how many a second, and when it will have ended.
    """
    console = Console(stderr=True)
    columns: tuple[ProgressColumn, ...] = (
        TextColumn("{task.description:<22}"),
        BarColumn(),
        TimeElapsedColumn(),
    )
    if rate:
        columns += (MofNCompleteColumn(), _RateColumn(), TimeRemainingColumn())
    shown = console.is_terminal and not console.is_dumb_terminal and not quiet
    with Progress(*columns, console=console, transient=True, disable=not shown) as bar:
        tasks = {}

        def tell(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        yield tell
