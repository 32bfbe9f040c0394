"""The server: page and API in one application, behind the guard."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from lookalike.web.api import add_api
from lookalike.web.site import Site

__all__ = ["application", "run"]

_BACKLOG = 128


def application(site: Site, *, page: bool = True) -> FastAPI:
    """API and page of a site.

    Parameters
    ----------
    site : Site
    page : bool
        NiceGUI has one page for a process: without it there may be several applications.
    """
    app = FastAPI(title="lookalike", version="1", docs_url=None, redoc_url=None)
    add_api(app, site)
    if page:
        from lookalike.web.page.pages import add_pages  # noqa: PLC0415  # NiceGUI is slow to load

        add_pages(app, site)
    return app


def run(
    site: Site,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    started: Callable[[str], object] = print,
) -> None:
    """Serve until interrupted.

    Parameters
    ----------
    site : Site
    host : str
    port : int
        0 takes any that is free.
    started : callable
        Called with the address, once connections are taken.
    """
    app = application(site)
    try:
        with socket.create_server((host, port), backlog=_BACKLOG) as listening:
            host, port = listening.getsockname()[:2]
            started(f"http://{host}:{port}/")
            server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
            server.run(sockets=[listening])
    finally:
        site.close()
