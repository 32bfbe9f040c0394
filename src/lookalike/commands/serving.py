"""The command ``lookalike serve``: the page, and the HTTP API."""

from __future__ import annotations

import importlib.util
import threading
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lookalike.commands.albums import Home, bring_into_step, open_album
from lookalike.commands.terminal import Quiet, say
from lookalike.errors import MissingExtra

if TYPE_CHECKING:
    from lookalike.web.album import AlbumCollection
    from lookalike.web.digits import DigitsCollection

__all__ = ["serve"]

_NEEDED = {"fastapi": "FastAPI", "nicegui": "NiceGUI", "uvicorn": "uvicorn", "PIL": "Pillow"}


def serve(
    path: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="Folder of pictures; digits if none.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="Where to listen; other machines get in with a token only.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="0: any that is free.  [dim]\\[default: 8080, or the next][/dim]"
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="LOOKALIKE_TOKEN", help="Asked of everybody; drawn for other hosts unless given."
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A name at which a reverse proxy serves this, https://NAME unless it says http; "
            "with a token only. May be given several times.",
        ),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Show the page in the browser.")] = False,
    home: Home = None,
    quiet: Quiet = False,
) -> None:
    """Open a page on an album, or on the digits of the lab; and an HTTP API.

    \b
    [bold]Examples[/bold]
      lookalike serve photos --open
      lookalike serve                      the handwritten digits
      lookalike serve photos --port 0      any port that is free
      lookalike serve photos --host 0.0.0.0     for other machines, with a token
      lookalike serve photos --allow-host photos.example.org     behind a reverse proxy

    Prints the address and serves until it is interrupted (Ctrl-C). An album that was
    not synced yet is synced first.
    """  # noqa: D301
    _check_installed()
    from lookalike.web.server import run  # noqa: PLC0415  # optional, and slow to load
    from lookalike.web.site import Site  # noqa: PLC0415

    def started(address: str, *others: str) -> None:
        for own in (address, *others):
            typer.echo(own)
        if not quiet:
            say("ready; Ctrl-C ends it")
        if open_:
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    run(
        Site(_collection(path, home, quiet=quiet)),
        host=host,
        port=port,
        token=token,
        allowed=allow_host or (),
        started=started,
    )


def _check_installed() -> None:
    """Name the extra, whichever of its packages is missing."""
    for module, package in _NEEDED.items():
        if importlib.util.find_spec(module) is None:
            raise MissingExtra("the page", package, "web")


def _collection(
    path: Path | None, home: Path | None, *, quiet: bool
) -> AlbumCollection | DigitsCollection:
    """What is served: an album that was synced, at least now."""
    from lookalike.web.album import AlbumCollection  # noqa: PLC0415
    from lookalike.web.digits import DigitsCollection  # noqa: PLC0415

    if path is None:
        if home is not None:
            raise typer.BadParameter("--album must come with the folder of its pictures: DIR.")
        return DigitsCollection()
    album = open_album(path, home, synced=False)
    try:
        if not album.is_synced:
            if not quiet:
                say(f"{path} was not synced yet: its pictures are read first")
            report = bring_into_step(album, quiet=quiet)
            if report.unreadable and not quiet:
                say(f"{len(report.unreadable):,} files cannot be read; the page says which and why")
        return AlbumCollection(album)
    except BaseException:
        album.close()
        raise
