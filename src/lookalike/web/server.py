"""The server: page and API in one application, behind the guard."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import re
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import uvicorn
from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig

from lookalike.errors import InvalidInput
from lookalike.web.api.routes import add_api
from lookalike.web.connections import Connection
from lookalike.web.guard import Guard
from lookalike.web.names import origin_of
from lookalike.web.site import Site

__all__ = ["application", "listening_at", "run"]

_BACKLOG = 128
_PORT, _PORTS = 8080, 20  # the first that is tried, and how many
_KEEP_ALIVE_S = 10
_LET_GO_S = 0.4  # in which answers under way may end
_END_S = 1
_MESSAGE_BYTES = 1 << 20  # of a websocket: socket.io takes no larger ones
# Nothing is told to others, whatever the environment says; and asking it takes a twentieth of what
# a search does.
_NO_TELEMETRY: Final[TelemetryConfig] = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "auto_configure": False,
}
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,200}")


def application(site: Site, *, page: bool = True) -> FastAPI:
    """API and page of a site.

    Parameters
    ----------
    site : Site
    page : bool
        NiceGUI has one page for a process: without it there may be several applications.
    """
    app = FastAPI(
        title="lookalike", version="1", docs_url=None, redoc_url=None, telemetry=_NO_TELEMETRY
    )
    add_api(app, site)
    if page:
        from lookalike.web.nonces import number_scripts  # noqa: PLC0415  # NiceGUI is slow to load
        from lookalike.web.page.errors import add_error_pages  # noqa: PLC0415
        from lookalike.web.page.pages import add_pages  # noqa: PLC0415

        number_scripts()
        add_error_pages()
        add_pages(app, site)
    return app


def run(
    site: Site,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    token: str | None = None,
    allowed: Sequence[str] = (),
    started: Callable[..., object] = print,
) -> None:
    """Serve until interrupted.

    Parameters
    ----------
    site : Site
    host : str
    port : int, optional
        0 takes any that is free. 8080 unless given, or one of the next when that is taken.
    token : str, optional
        That every request must carry. Where others than this machine can reach the server one is
        drawn, unless given.
    allowed : sequence of str
        Names, or addresses as browsers write them, at which a reverse proxy serves the same: as
        :func:`~lookalike.web.names.origin_of` takes them.
    started : callable
        Called with the address, once connections are taken, and with those at allowed names.

    Raises
    ------
    InvalidInput
        When nobody can listen there, the token is easily guessed, or a name is none.
    KeyboardInterrupt, SystemExit
        When the server was interrupted or terminated, and has ended.
    """
    try:
        origins = [origin_of(own) for own in allowed]
        with listening_at(host, port) as listening:
            name, port = listening.getsockname()[:2]
            if token is None and (origins or not ipaddress.ip_address(name).is_loopback):
                token = secrets.token_urlsafe(24)
            app = Guard(
                application(site), site.limits, host=host, token=_checked(token), allowed=origins
            )
            shown = f"[{name}]" if ":" in name else name
            asked = "" if token is None else f"?token={token}"
            started(*(f"{own}/{asked}" for own in (f"http://{shown}:{port}", *origins)))
            with _terminated():
                _Server(_config(app), site).run(sockets=[listening])
    finally:
        site.close()


@contextmanager
def _terminated() -> Iterator[None]:
    """Let SIGTERM end the process as an interrupt does: what is open is closed first."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _checked(token: str | None) -> str | None:
    if token is not None and not _TOKEN.fullmatch(token):
        raise InvalidInput(
            "a token must have 16 to 200 letters, digits, '-' or '_', so that nobody guesses it "
            f"and it fits into an address; got {len(token)} characters. Leave it out, and one is "
            "drawn."
        )
    return token


def listening_at(host: str, port: int | None) -> socket.socket:
    """A socket that listens.

    Parameters
    ----------
    host : str
        Name or address.
    port : int, optional
        As for :func:`run`.

    Raises
    ------
    InvalidInput
        When nobody can listen there.
    """
    tried = range(_PORT, _PORT + _PORTS) if port is None else (port,)
    for own in tried:
        try:
            family, _, _, _, address = socket.getaddrinfo(host, own, type=socket.SOCK_STREAM)[0]
            return socket.create_server(address[:2], family=family, backlog=_BACKLOG)
        except (OSError, UnicodeError) as error:
            if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
                continue
            raise InvalidInput(
                f"a server must listen at an address and port of this machine that it may use; got "
                f"{host!r} and {own}: {error}. Leave them out, or pass others by --host and --port."
            ) from None
    asked = f"port {port}" if port is not None else f"ports {tried[0]} to {tried[-1]}"
    raise InvalidInput(
        f"a server must have a port of its own; got {asked}, where another program listens. End "
        "it, or pass --port 0 for any that is free."
    )


def _config(app: Guard) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=Connection,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nobody stands before us whose word counts
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_END_S,
        ws_max_size=_MESSAGE_BYTES,
        log_config=None,
    )


class _Server(uvicorn.Server):
    """Ends within a second or so, whoever is still connected."""

    def __init__(self, config: uvicorn.Config, site: Site) -> None:
        super().__init__(config)
        self._site = site

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let go of those who wait for news, then of all who do not go by themselves."""
        self._site.end_news()
        loop = asyncio.get_running_loop()
        cut = loop.call_later(_LET_GO_S, self._cut)
        try:
            await super().shutdown(sockets)
        finally:
            cut.cancel()

    def _cut(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()
