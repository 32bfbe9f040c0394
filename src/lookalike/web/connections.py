"""Connections: how many there may be, and how slow and how long-winded each.

The server answers what has come as a whole. What has not, it would wait for without end, and it
would keep headers of any length: both end here.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from lookalike.web.guard import HEADERS

__all__ = ["Connection"]

_MOST = 512  # at a time; many systems give a process 1,024 files
_HEAD_S = 10.0  # from connecting, or from the first byte of a further request, to its last header
_BODY_S = 45.0  # to its last byte: the guard has answered before
_WRITE_S = 30.0  # in which who reads slowly must take something
_URL_BYTES = 8 << 10
_HEADER_BYTES = 32 << 10
_HEADERS = 100


class Connection(HttpToolsProtocol):
    """A connection that is ended when it is too slow, or says too much before a request."""

    _timer: asyncio.TimerHandle | None = None
    _writing: asyncio.TimerHandle | None = None
    _url_bytes = _header_bytes = 0

    def connection_made(self, transport: Any) -> None:
        """Refuse one too many; give the others some seconds to ask."""
        super().connection_made(transport)
        if len(self.connections) > _MOST:
            self._end(b"503 Service Unavailable", b"Too many connections. Come again later.")
        else:
            self._within(_HEAD_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._within(None)
        if self._writing is not None:
            self._writing.cancel()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """A request begins."""
        self._url_bytes = self._header_bytes = 0
        self._within(_HEAD_S)
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A part of its address."""
        self._url_bytes += len(url)
        if self._url_bytes > _URL_BYTES:
            self._end(b"414 URI Too Long", b"The address is too long.")
            raise ValueError
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        self._header_bytes += len(name) + len(value)
        if self._header_bytes > _HEADER_BYTES or len(self.headers) >= _HEADERS:
            self._end(b"431 Request Header Fields Too Large", b"The headers are too long.")
            raise ValueError
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Its body may take longer."""
        self._within(_BODY_S)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """All of it is there."""
        self._within(None)
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """From here on it is a websocket, which has its own limits."""
        self._within(None)
        super().handle_websocket_upgrade()

    def pause_writing(self) -> None:
        """Nobody reads what is answered: not for long."""
        self._writing = self.loop.call_later(_WRITE_S, self.transport.abort)
        super().pause_writing()

    def resume_writing(self) -> None:
        """Somebody does."""
        if self._writing is not None:
            self._writing.cancel()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP."""
        if not self.transport.is_closing():  # else it was answered
            self._end(b"400 Bad Request", msg.encode("ascii", "replace"))

    def _within(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds is not None:
            self._timer = self.loop.call_later(seconds, self._late)

    def _late(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self.transport.abort()
        else:
            self._end(b"408 Request Timeout", b"The request has not come as a whole.")

    def _end(self, status: bytes, text: bytes) -> None:
        """Answer without the application, and close."""
        head = b"".join(b"%s: %s\r\n" % header for header in HEADERS)
        self.transport.write(
            b"HTTP/1.1 %s\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n"
            b"%sconnection: close\r\n\r\n%s" % (status, len(text), head, text)
        )
        self.transport.close()
