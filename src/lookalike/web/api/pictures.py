"""Routes: the collection and its pictures."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from lookalike.web.api.asked import asked_count, asked_first, asked_id
from lookalike.web.api.media import media_response
from lookalike.web.api.schemas import CollectionBody, PictureBody, PicturesBody
from lookalike.web.bodies import item_body, json_response
from lookalike.web.site import Site
from lookalike.web.thumbnails import SIDES

__all__ = ["add"]

_Side = IntEnum("_Side", {f"s{side}": side for side in SIDES})  # type: ignore[misc]
_SIDE = Query(_Side(SIDES[1]), description="Neither side is longer, in pixels.")
_MEDIA: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}},
    304: {"description": "As you have it"},
}


def add(router: APIRouter, site: Site) -> None:
    """Add these routes."""
    work, own = site.work, site.collection

    @router.get("/collection", response_model=CollectionBody)
    async def collection() -> Response:
        """What is served: an album or the digits, how many pictures, compared by what."""
        total, encoders = await work.run(lambda: (len(own), own.encoders))
        return json_response(
            {"kind": own.kind, "title": own.title, "pictures": total, "encoders": encoders}
        )

    @router.get("/pictures", response_model=PicturesBody)
    async def pictures(
        first: int = asked_first(), count: int = asked_count(site.limits.page)
    ) -> Response:
        """Some pictures."""
        total, items = await work.run(lambda: (len(own), own.items(first, count)))
        return json_response(
            {"pictures": [item_body(item) for item in items], "first": first, "total": total}
        )

    @router.get("/pictures/{id}", response_model=PictureBody)
    async def picture(id: str = asked_id()) -> Response:
        """A picture: its files in the album, its size."""
        return json_response(item_body(await work.run(own.item, id)))

    @router.get("/pictures/{id}/thumbnail", response_class=Response, responses=_MEDIA)
    async def thumbnail(
        request: Request,
        id: str = asked_id(),
        side: _Side = _SIDE,
    ) -> Response:
        """A picture, shrunk; to be kept for good."""
        return media_response(request, await work.run(own.thumbnail, id, int(side)))

    @router.get("/pictures/{id}/file", response_class=Response, responses=_MEDIA)
    async def file(request: Request, id: str = asked_id()) -> Response:
        """The whole picture, in a format that browsers show."""
        return media_response(request, await work.run(own.picture, id))
