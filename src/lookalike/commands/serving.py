"""The command ``lookalike serve``: the page, and the HTTP API."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lookalike.commands.albums import Home, open_album

__all__ = ["serve"]


def serve(
    path: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="Folder of pictures; digits if none.")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = 8080,
    home: Home = None,
) -> None:
    """Open a page on an album, or on the digits of the lab; and an HTTP API.

    \b
    [bold]Examples[/bold]
      lookalike serve photos
      lookalike serve              the handwritten digits
    """  # noqa: D301
    from lookalike.web.album import AlbumCollection  # noqa: PLC0415
    from lookalike.web.digits import DigitsCollection  # noqa: PLC0415
    from lookalike.web.server import run  # noqa: PLC0415
    from lookalike.web.site import Site  # noqa: PLC0415

    collection = DigitsCollection() if path is None else AlbumCollection(open_album(path, home))
    run(Site(collection), port=port)
