"""Routes: what is in the album, its sync, and its recall."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from typing import Any

from fastapi import APIRouter, Query
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.responses import Response, StreamingResponse

from lookalike.album.matches import path_dict
from lookalike.web.api.asked import asked_count, asked_encoder, asked_first, asked_k
from lookalike.web.api.schemas import (
    ID_PATTERN,
    ComparisonBody,
    MeasuredBody,
    SyncBody,
    UnreadableBody,
)
from lookalike.web.bodies import json_bytes, json_response
from lookalike.web.problems import without_paths
from lookalike.web.site import Site
from lookalike.web.syncing import Syncing, SyncState

__all__ = ["add"]

_LOOK_S = 0.25  # between looks at a sync
_SILENCE_S = 15.0  # after which a comment says that the connection lives
_MEASURED_K = 10
_LARGEST_MEASURED_K = 100
_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}
}


def add(router: APIRouter, site: Site, hidden: Sequence[str]) -> None:
    """Add these routes."""
    work = site.work

    def state_body(state: SyncState) -> dict[str, Any]:
        own = state.to_dict()
        if state.error is not None:
            own["error"] = without_paths(state.error, hidden)
        return own

    @router.get("/album")
    async def album() -> Response:
        """What is in the album: files, pictures, encoders with their promises and thresholds."""
        facts = (await work.run(site.album.album.info)).to_dict()
        del facts["path"], facts["home"]  # of this machine
        return json_response(facts | {"title": site.album.title})

    @router.get("/explain", response_model=ComparisonBody)
    async def explain(
        one: str = Query(pattern=ID_PATTERN), other: str = Query(pattern=ID_PATTERN)
    ) -> Response:
        """Why two pictures match, or why a search for the one does not find the other."""
        comparison = await work.run(site.album.compare, one, other)
        return json_response(comparison.to_dict() | {"one": one, "other": other})

    @router.get("/measure", response_model=MeasuredBody)
    async def measure(
        encoder: str | None = asked_encoder(),
        k: int = asked_k(_LARGEST_MEASURED_K, _MEASURED_K),
    ) -> Response:
        """Recall of searches for members, each left out, beside exact search; with an interval."""
        name, own = await work.run(site.collection.measure, encoder, k)
        told = {field: getattr(own, field) for field in own.__dataclass_fields__}
        return json_response({"encoder": name} | told)

    @router.get("/sync", response_model=SyncBody)
    async def sync() -> Response:
        """How far the sync is; the report of the last."""
        return json_response(state_body(site.syncing.state()))

    @router.post("/sync", status_code=202, response_model=SyncBody)
    async def start_sync(
        retry: bool = Query(False, description="Read unreadable pictures again."),
        emptied: bool = Query(False, description="It is right that no picture is left."),
    ) -> Response:
        """Begin a sync; 409 when one is under way. The album stays searchable."""
        syncing = site.syncing
        return json_response(state_body(syncing.start(retry=retry, emptied=emptied)), 202)

    @router.delete("/sync", status_code=202, response_model=SyncBody)
    async def cancel_sync() -> Response:
        """Ask the sync to end. What it has committed stays."""
        return json_response(state_body(site.syncing.cancel()), 202)

    @router.get("/sync/events", response_class=Response, responses=_EVENTS)
    async def sync_events() -> Response:
        """The same as ``/sync``, told with every change: server-sent events named "sync"."""
        events = _events(site.syncing, lambda state: json_bytes(state_body(state)).decode())
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(events, headers=headers, media_type="text/event-stream")

    @router.get("/sync/unreadable", response_model=UnreadableBody)
    async def unreadable(
        first: int = asked_first(), count: int = asked_count(site.limits.page)
    ) -> Response:
        """Files that could not be read, with the reasons."""
        troubles = await work.run(site.album.album.catalog.troubles)
        files = [
            path_dict(os.fsencode(path)) | {"reason": without_paths(reason, hidden)}
            for path, reason in troubles[first : first + count]
        ]
        return json_response({"files": files, "first": first, "total": len(troubles)})


async def _events(syncing: Syncing, text: Any) -> AsyncIterator[bytes]:
    """Each change of a sync, some a second at the most, until the server ends."""
    told, silent_s = -1, 0.0
    while not syncing.is_closed:
        state = syncing.state()
        if state.version != told:
            told, silent_s = state.version, 0.0
            yield format_sse_event(event="sync", id=str(told), data_str=text(state))
        elif silent_s >= _SILENCE_S:
            silent_s = 0.0
            yield KEEPALIVE_COMMENT
        await asyncio.sleep(_LOOK_S)
        silent_s += _LOOK_S
