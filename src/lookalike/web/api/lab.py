"""Routes: the lab, hash tables over the digits."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from lookalike.web.bodies import json_response
from lookalike.web.lab import LARGEST_BITS, LARGEST_TABLES
from lookalike.web.site import Site

__all__ = ["add"]

_LAST = 2**31 - 1


def add(router: APIRouter, site: Site) -> None:
    """Add these routes."""

    @router.get("/lab/tables")
    async def tables(
        k: int = Query(20, ge=1, le=LARGEST_BITS, description="Bits of a code."),
        m: int = Query(5, ge=1, le=LARGEST_TABLES, description="Hash tables."),
        query: int | None = Query(None, ge=0, le=_LAST, description="Number of a digit."),
    ) -> Response:
        """What k bits and m tables do: candidates, recall, times, and one query's neighbours."""
        return json_response(await site.work.run(_tables, site, k, m, query))


def _tables(site: Site, k: int, m: int, query: int | None) -> dict[str, Any]:
    return asdict(site.lab.tables(k, m, query))
