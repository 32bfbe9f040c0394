"""The command line: thin wrappers of library calls.

Exit codes: 0 fine, 1 failure, 2 usage, 130 interrupted.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from lookalike import __version__
from lookalike.errors import LookalikeError
from lookalike.native import cpu_level, cpu_levels

__all__ = ["app", "main"]

app = typer.Typer(
    help="Find the images that look like this one.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

_EXTRAS = {"lab": ("matplotlib", "sklearn"), "plots": ("matplotlib",)}


@app.callback()
def _lookalike() -> None:
    """Find the images that look like this one."""


@app.command()
def info(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print the version, the CPU level in use, and which extras are installed."""
    extras = {name: _installed(packages) for name, packages in _EXTRAS.items()}
    facts = {
        "version": __version__,
        "python": sys.version.split()[0],
        "cpu_level": cpu_level(),
        "cpu_levels": cpu_levels(),
        "extras": extras,
    }
    if as_json:
        typer.echo(json.dumps(facts))
        return
    table = Table(box=None, show_header=False)
    table.add_row("lookalike", __version__)
    table.add_row("Python", str(facts["python"]))
    table.add_row("CPU level", cpu_level())
    others = [f"{level} ({'usable' if ok else 'not here'})" for level, ok in cpu_levels().items()]
    table.add_row("levels built", ", ".join(others))
    for name, present in extras.items():
        missing = f"missing: pip install 'lookalike\\[{name}]'"
        table.add_row(f"extra {name}", "installed" if present else missing)
    Console().print(table)


@app.command()
def lab(folder: Annotated[Path, typer.Argument(help="A new or empty folder.")]) -> None:
    """Write the course session: lsh.py, images.npy, notebook, handout and worked tasks."""
    from lookalike.lab.folder import write_lab  # noqa: PLC0415

    written = write_lab(folder)
    typer.echo(f"wrote {', '.join(path.name for path in written)} to {folder}")


def _installed(packages: tuple[str, ...]) -> bool:
    return all(importlib.util.find_spec(package) is not None for package in packages)


def main() -> None:
    """Run the command line; errors of ours become a message and exit code 1."""
    try:
        app()
    except LookalikeError as error:
        typer.echo(f"lookalike: {error}", err=True)
        raise SystemExit(1) from None
