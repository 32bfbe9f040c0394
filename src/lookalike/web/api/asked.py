"""What may be asked for: parameters of requests with their limits, and bodies that are pictures."""

from __future__ import annotations

from typing import Any

from fastapi import Path, Query, Request
from starlette.datastructures import UploadFile

from lookalike.errors import InvalidInput
from lookalike.web.api.schemas import ID_PATTERN, ProblemBody
from lookalike.web.problems import MEDIA_TYPE

__all__ = [
    "DEFAULT_K",
    "PICTURE_BODY",
    "PROBLEMS",
    "asked_count",
    "asked_encoder",
    "asked_first",
    "asked_id",
    "asked_k",
    "asked_recall",
    "picture_of",
]

_LAST = 2**31 - 1
_LONGEST_NAME = 1_000
_COUNT = 50
DEFAULT_K = 24
_PROBLEM: dict[str, Any] = {
    "model": ProblemBody,
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemBody"}}},
    "description": "A problem",
}
PROBLEMS: dict[int | str, dict[str, Any]] = {422: _PROBLEM, "default": _PROBLEM}
_BYTES = {"type": "string", "format": "binary"}
PICTURE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The file of a picture, as it is, or as the first file of a form.",
        "content": {
            "application/octet-stream": {"schema": _BYTES},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["picture"],
                    "properties": {"picture": _BYTES},
                }
            },
        },
    }
}


def asked_id() -> Any:
    """The id of a picture, in an address."""
    return Path(pattern=ID_PATTERN, description="Of a picture: 16 hexadecimal digits.")


def asked_k(most: int, default: int = DEFAULT_K) -> Any:
    """How many to find."""
    return Query(min(default, most), ge=1, le=most, description="How many to find.")


def asked_encoder() -> Any:
    """By which encoder alone."""
    return Query(None, max_length=_LONGEST_NAME, description="Compare by this one alone.")


def asked_recall() -> Any:
    """The share of the nearest that is to be found."""
    return Query(None, gt=0, le=1, description="The share of the nearest that is to be found.")


def asked_first() -> Any:
    """Where a part of a list begins."""
    return Query(0, ge=0, le=_LAST, description="Place of the first, from 0.")


def asked_count(most: int) -> Any:
    """How many entries of a list."""
    return Query(min(_COUNT, most), ge=1, le=most, description="At most so many.")


async def picture_of(request: Request) -> bytes:
    """The bytes of the picture that a request brings.

    Raises
    ------
    InvalidInput
        When it brings none.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    data = await (_of_form(request) if kind == "multipart/form-data" else request.body())
    if not data:
        raise InvalidInput(
            "a search for a picture must bring its file, as the body or as the first file of a "
            "form (multipart/form-data); got none. Send the bytes of a JPEG, PNG, or so."
        )
    return data


async def _of_form(request: Request) -> bytes:
    async with request.form(max_files=1, max_fields=8) as form:
        for _, value in form.multi_items():
            if isinstance(value, UploadFile):
                return await value.read()
    return b""
