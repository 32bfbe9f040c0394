"""Requests: each has an id, is counted and timed, and is answered whatever happens."""

from __future__ import annotations

import itertools
import re
import secrets
import sys
import time
import traceback
from collections.abc import Sequence

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lookalike.web.metrics import Metrics
from lookalike.web.problems import REQUEST_ID, Problem, answer

__all__ = ["Requests"]

_SANE = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_HEADER = b"x-request-id"
_CLOSED = 499  # who asked has gone: counted so, and told to nobody
_UNEXPECTED = Problem(
    500,
    "unexpected",
    "Something went wrong that should not",
    "a request must be answered; this one met a mistake of ours. Report it with this number: what "
    "happened stands in the log of the server.",
)


class Requests:
    """What stands around everything else.

    Parameters
    ----------
    app : ASGI application
    metrics : Metrics
    hidden : sequence of str
        As for :func:`~lookalike.web.problems.answer`.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, hidden: Sequence[str] = ()) -> None:
        self._app = app
        self._metrics = metrics
        self._hidden = hidden
        self._ours, self._numbers = secrets.token_hex(4), itertools.count()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        own = self._id_of(scope)
        scope[REQUEST_ID] = own
        status, started = 0, time.perf_counter()

        async def told(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (_HEADER, own.encode())]
            await send(message)

        try:
            await self._app(scope, receive, told)
        except ClientDisconnect:
            status = status or _CLOSED
        except Exception:  # the last who can answer
            _log(own)
            if status:
                raise  # half of the answer is out: the connection must be cut
            await answer(_UNEXPECTED, own, self._hidden)(scope, receive, told)
        finally:
            self._metrics.answered(scope, status or _CLOSED, time.perf_counter() - started)

    def _id_of(self, scope: Scope) -> str:
        """The id that a request brings, if it can be written into a log; else one of ours."""
        for name, value in scope["headers"]:
            if name == _HEADER and _SANE.fullmatch(value):
                return str(value, "ascii")
        return f"{self._ours}{next(self._numbers):08x}"  # chance is only asked for once: it is slow


def _log(own: str) -> None:
    print(f"request {own}:\n{traceback.format_exc()}", file=sys.stderr, flush=True)  # noqa: T201
