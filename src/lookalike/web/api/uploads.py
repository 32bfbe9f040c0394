"""Routes: pictures that are uploaded to be searched from, and kept for a while."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel
from starlette.responses import Response

from lookalike.web.api.asked import PICTURE_BODY, picture_of
from lookalike.web.api.media import media_response
from lookalike.web.bodies import json_response
from lookalike.web.site import Site

__all__ = ["UploadBody", "add"]

_PATTERN = "^[0-9a-f]{32}$"
_BYTES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}}
}


class UploadBody(BaseModel):
    """A picture that is kept."""

    id: str


def add(router: APIRouter, site: Site) -> None:
    """Add these routes."""

    @router.post("/uploads", status_code=201, response_model=UploadBody, openapi_extra=PICTURE_BODY)
    async def upload(request: Request) -> Response:
        """Keep a picture until others need its room: the page ``/?upload=ID`` searches for it."""
        return json_response({"id": site.kept.keep(await picture_of(request))}, 201)

    @router.get("/uploads/{id}", response_class=Response, responses=_BYTES)
    async def uploaded(
        request: Request,
        id: str = Path(pattern=_PATTERN, description="As uploading it has answered."),
    ) -> Response:
        """A picture that is kept, as it came."""
        return media_response(request, site.kept.media(id))
