"""Problems: what goes wrong, told to programs (RFC 9457), without a path of this machine."""

from __future__ import annotations

import http
import os
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from lookalike.errors import (
    Cancelled,
    InvalidInput,
    Locked,
    LookalikeError,
    MissingExtra,
    NotSupported,
    NotWritten,
    ReadOnly,
    UnreadableImage,
    WouldOverwrite,
)
from lookalike.web.bodies import json_bytes
from lookalike.web.collection import Unknown
from lookalike.web.work import Busy, TooSlow

__all__ = [
    "MEDIA_TYPE",
    "REQUEST_ID",
    "NotReady",
    "Problem",
    "add_problems",
    "answer",
    "forms_of",
    "problem_of",
    "request_id_of",
    "without_paths",
]

MEDIA_TYPE = "application/problem+json"
REQUEST_ID = "lookalike.request"  # the key in the scope of a request
_TYPE = "urn:problem-type:lookalike:"
_SHOWN = 40  # characters of what came


class NotReady(LookalikeError):
    """What is served cannot be searched now."""


# The first class that an error is one of.
_KINDS: tuple[tuple[type[LookalikeError], int, str, str], ...] = (
    (Unknown, 404, "unknown", "There is nothing of this name"),
    (UnreadableImage, 422, "unreadable-image", "This is no picture that can be read"),
    (InvalidInput, 422, "invalid-input", "What was asked for cannot be"),
    (NotSupported, 409, "not-supported", "This cannot be asked of what is served"),
    (Locked, 409, "locked", "Somebody else is changing the album"),
    (WouldOverwrite, 409, "would-overwrite", "Files are in the way"),
    (Cancelled, 409, "cancelled", "This was cancelled"),
    (ReadOnly, 409, "read-only", "This may only be read"),
    (NotReady, 503, "not-ready", "What is served cannot be searched"),
    (Busy, 503, "busy", "Too many requests wait"),
    (TooSlow, 504, "too-slow", "This takes too long"),
    (MissingExtra, 501, "missing-extra", "A package is not installed"),
    (NotWritten, 507, "not-written", "The disk has refused"),
    (LookalikeError, 500, "damaged", "The files of the album cannot be read"),
)
_RETRY_S = {503: "1", 504: "10"}


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong.

    Attributes
    ----------
    status : int
        Of HTTP.
    name : str
        Of the kind of problem, for programs.
    title : str
        What all problems of this kind have in common, for people.
    detail : str
        What was expected, what came, and what to do.
    headers : mapping of str to str
    more : mapping
        Members beside those of the RFC.
    """

    status: int
    name: str
    title: str
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)


def problem_of(error: LookalikeError) -> Problem:
    """The problem that an error of ours is."""
    _, status, name, title = next(own for own in _KINDS if isinstance(error, own[0]))
    wait = _RETRY_S.get(status)
    return Problem(status, name, title, str(error), {} if wait is None else {"Retry-After": wait})


def answer(problem: Problem, request_id: str, hidden: Sequence[str] = ()) -> Response:
    """The response that tells a problem.

    Parameters
    ----------
    problem : Problem
    request_id : str
        To be found again in the log.
    hidden : sequence of str
        Folders that are served, whose place on this machine is nobody's business.
    """
    body = {
        "type": _TYPE + problem.name,
        "title": problem.title,
        "status": problem.status,
        "detail": without_paths(problem.detail, hidden),
        "request": request_id,
        **problem.more,
    }
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", **problem.headers}
    return Response(json_bytes(body), problem.status, headers, MEDIA_TYPE)


def request_id_of(scope: Scope) -> str:
    """The id that a request was given."""
    return str(scope.get(REQUEST_ID, "-"))


# ---- paths

# What may precede an absolute path: not a letter, so that "image/png" and "and/or" stay, and
# neither a colon nor a slash, so that addresses do.
_PATH = re.compile(r"(?<![\w.:/)\]>-])/(?!api/)[^\s/'\"`;,:()<>]+(?:/[^\s'\"`;,:()<>]*)*")


def without_paths(text: str, hidden: Sequence[str] = ()) -> str:
    """A text in which no path of this machine is left.

    Parameters
    ----------
    text : str
    hidden : sequence of str
        Folders: what is inside is told by its path in them.
    """
    for folder in sorted({*hidden, *_OWN_FOLDERS}, key=len, reverse=True):
        if len(folder) > 1:
            text = text.replace(folder, "<folder>")
    return _PATH.sub("<path>", text)


_OWN_FOLDERS = (sys.prefix, sys.base_prefix, tempfile.gettempdir(), str(Path.home()))


def forms_of(*folders: str | os.PathLike[str]) -> tuple[str, ...]:
    """The ways in which messages may write folders."""
    paths = [Path(own) for own in folders]
    return tuple({str(own) for path in paths for own in (path, path.absolute(), path.resolve())})


# ---- handlers


def add_problems(app: FastAPI, hidden: Sequence[str]) -> None:
    """Let an application answer errors with problems.

    Parameters
    ----------
    app : FastAPI
    hidden : sequence of str
        As for :func:`answer`.
    """

    def told(request: Request, problem: Problem) -> Response:
        return answer(problem, request_id_of(request.scope), hidden)

    @app.exception_handler(LookalikeError)
    async def ours(request: Request, error: LookalikeError) -> Response:
        return told(request, problem_of(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return told(request, _invalid(error.errors()))

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        return told(request, _refused(error))


def _refused(error: HTTPException) -> Problem:
    """What the framework refuses by itself: no such route, method or form."""
    phrase = http.HTTPStatus(error.status_code).phrase
    name = phrase.lower().replace(" ", "-")
    detail = str(error.detail)
    if detail == phrase:
        detail = _DETAILS.get(error.status_code, phrase)
    return Problem(error.status_code, name, phrase, detail, error.headers or {})


_DETAILS = {
    404: "a request must be for something that is there; there is nothing at this address. See "
    "openapi.json for all that is.",
    405: "a request must use a method that its address knows; this one does not know it. The "
    "header Allow names those that it does.",
}


def _invalid(errors: Sequence[Mapping[str, Any]]) -> Problem:
    """What does not fit the description of the API."""
    wrong = [
        {"where": ".".join(map(str, error["loc"])), "what": str(error["msg"])} for error in errors
    ]
    first = errors[0]
    detail = (
        f"a request must be as openapi.json describes it; {wrong[0]['where']}: {wrong[0]['what']}"
        f"{_came(first)}. Correct it."
    )
    kind = next(own for own in _KINDS if own[0] is InvalidInput)
    return Problem(422, kind[2], kind[3], detail, more={"errors": wrong})


def _came(error: Mapping[str, Any]) -> str:
    value = error.get("input")
    return f"; got {value[:_SHOWN]!r}" if isinstance(value, str) else ""
