"""Routes for who looks after the server: is it alive, is it ready, what does it count."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from lookalike.errors import LookalikeError
from lookalike.web.bodies import json_response
from lookalike.web.metrics import CONTENT_TYPE
from lookalike.web.problems import NotReady
from lookalike.web.site import Site

__all__ = ["add"]

_TEXT: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}}
}


def add(router: APIRouter, site: Site) -> None:
    """Add these routes."""

    @router.get("/health")
    async def health() -> Response:
        """The server is alive."""
        return json_response({"status": "alive"}, headers={"Cache-Control": "no-store"})

    @router.get("/ready")
    async def ready() -> Response:
        """Its indexes can be searched; 503 otherwise, with the reason."""
        try:
            await site.work.run(site.collection.check)
        except LookalikeError as error:
            raise NotReady(str(error)) from error
        return json_response({"status": "ready"}, headers={"Cache-Control": "no-store"})

    @router.get("/metrics", response_class=Response, responses=_TEXT)
    async def metrics() -> Response:
        """What it counts, for Prometheus."""
        # Not among the searches: it must be told above all when too many of them wait.
        text = await asyncio.to_thread(site.metrics.text)
        return Response(text, headers={"Content-Type": CONTENT_TYPE})
