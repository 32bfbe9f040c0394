"""Pictures as responses that browsers keep, and that cannot do anything."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from lookalike.web.collection import Media

__all__ = ["media_response"]

# A picture of an id never changes: the id is of its bytes.
_CACHE = "private, max-age=31536000, immutable"


def media_response(request: Request, media: Media) -> Response:
    """A picture; 304 without it, when who asks has it already.

    Parameters
    ----------
    request : Request
    media : Media
        Its bytes may be a stranger's: nobody guesses another type from them. That they can do
        nothing when they are opened by themselves is in the policy that the guard adds.
    """
    etag = f'"{media.etag}"'
    headers = {
        "ETag": etag,
        "Cache-Control": _CACHE,
        "X-Content-Type-Options": "nosniff",
    }
    if _has(request.headers.get("if-none-match", ""), etag):
        return Response(None, 304, headers)
    headers["Content-Disposition"] = "inline"  # without a name: names are strangers' text
    return Response(media.data, 200, headers, media.type)


def _has(wanted: str, etag: str) -> bool:
    """Whether If-None-Match names it (RFC 9110, 13.1.2: compared weakly)."""
    tags = {tag.strip().removeprefix("W/") for tag in wanted.split(",")}
    return "*" in tags or etag in tags
