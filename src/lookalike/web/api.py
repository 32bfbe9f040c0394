"""The HTTP API, version 1."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI

from lookalike.web.site import Site

__all__ = ["add_api"]


def add_api(app: FastAPI, site: Site) -> None:
    """Add the API to an application."""
    router = APIRouter(prefix="/api/v1")

    @router.get("/collection")
    async def collection() -> dict[str, Any]:
        own = site.collection
        return {"kind": own.kind, "title": own.title, "pictures": await site.work.run(len, own)}

    app.include_router(router)
