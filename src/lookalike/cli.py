"""The command line: thin wrappers of library calls.

Exit codes: 0 fine, 1 failure, 2 usage, 3 duplicates found (with --fail-if-found), 4 some files
could not be read, 5 index corrupt, 130 interrupted.
"""

from __future__ import annotations

import warnings
from typing import Annotated, TextIO

import typer

from lookalike import __version__
from lookalike.commands.acting import apply, undo
from lookalike.commands.albums import explain, sync
from lookalike.commands.deciding import calibrate, decide
from lookalike.commands.demos import demo, lab
from lookalike.commands.duplicates import duplicates
from lookalike.commands.facts import info
from lookalike.commands.indexes import build, repair, search, verify
from lookalike.commands.serving import serve
from lookalike.commands.terminal import say
from lookalike.errors import CorruptStore, LookalikeError

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
_ALBUMS = (sync, search, duplicates, explain, decide, calibrate, apply, undo)
for _command in (demo, *_ALBUMS, serve, build, info, verify, repair, lab):
    app.command()(_command)


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
      lookalike sync photos                  an album of a folder of pictures
      lookalike search photos cat.jpg        what looks like this one
      lookalike duplicates photos            what is there twice
      lookalike serve photos                 the same, and more, in the browser
      lookalike demo                         search the digits, write a report
      lookalike build vectors.npy my.index   an index of the vectors of a file
      lookalike search my.index query.npy    the 10 nearest of each query
      lookalike info my.index                what is in it
      lookalike verify my.index              read every byte: is it as written?
      lookalike lab my-lab                   the course session, in a new folder

    Exit codes: 0 fine, 1 failure, 2 usage, 3 duplicates found (with
    --fail-if-found), 4 some files could not be read, 5 index corrupt,
    130 interrupted.
    """  # noqa: D301


def main() -> None:
    """Run the command line; errors of ours become a message and an exit code."""
    warnings.showwarning = _show_warning  # the hook that is there for it
    try:
        app(prog_name="lookalike")
    except (LookalikeError, OSError) as error:
        say(str(error))
        raise SystemExit(5 if isinstance(error, CorruptStore) else 1) from None
    except MemoryError as error:
        say(f"there is not enough memory: {error}".rstrip(": "))
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _show_warning(
    message: Warning | str,
    category: type[Warning],  # noqa: ARG001  # the signature is that of the standard library
    filename: str,  # noqa: ARG001
    lineno: int,  # noqa: ARG001
    file: TextIO | None = None,  # noqa: ARG001
    line: str | None = None,  # noqa: ARG001
) -> None:
    """A warning, without the line of the program that it is about."""
    say(f"warning: {message}")
