"""What all commands share: data goes to standard output, everything else to standard error."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

__all__ = ["AsJson", "Quiet", "Tell", "print_json", "print_text", "printable", "progress", "say"]

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Do the work, and print nothing.")]

Tell = Callable[[str, int, int | None], None]  # what, done, total; None: nobody knows


def printable(text: str) -> str:
    """Text of strangers, in which no character controls the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def print_text(text: str) -> None:
    """Print a result."""
    typer.echo(printable(text))


def print_json(value: Mapping[str, Any]) -> None:
    """Print a result as one line of JSON."""
    typer.echo(json.dumps(value, allow_nan=False))


def say(message: str) -> None:
    """Print a message on standard error."""
    typer.echo(f"lookalike: {printable(message)}", err=True)


@contextmanager
def progress(*, quiet: bool) -> Iterator[Tell]:
    """A bar on standard error when that is a terminal; nothing otherwise."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<22}"), BarColumn(), TimeElapsedColumn())
    shown = console.is_terminal and not quiet
    with Progress(*columns, console=console, transient=True, disable=not shown) as bar:
        tasks = {}

        def tell(what: str, done: int, total: int | None) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        yield tell
