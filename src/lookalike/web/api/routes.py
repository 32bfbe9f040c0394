"""All routes of the API, and what stands around them."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from lookalike.web.api import album, lab, machine, pictures, review, searches, uploads
from lookalike.web.api.asked import PROBLEMS
from lookalike.web.api.shortcut import Shortcut
from lookalike.web.problems import add_problems, forms_of
from lookalike.web.requests import Requests
from lookalike.web.site import Site

__all__ = ["add_api"]

_MACHINE = ("/health", "/ready", "/metrics")


def add_api(app: FastAPI, site: Site) -> None:
    """Add the API to an application, and answer all its errors with problems."""
    hidden = _hidden(site)
    add_problems(app, hidden)
    app.add_middleware(Shortcut, site=site, hidden=hidden)
    app.add_middleware(Requests, metrics=site.metrics, hidden=hidden)
    own = APIRouter(prefix="/api/v1", responses=PROBLEMS)
    pictures.add(own, site)
    searches.add(own, site)
    uploads.add(own, site)
    album.add(own, site, hidden)
    review.add(own, site, hidden)
    lab.add(own, site)
    beside = APIRouter(responses=PROBLEMS)
    machine.add(beside, site)
    for router in (own, beside):
        app.include_router(router)
    lost = _Lost([route for router in (own, beside) for route in router.routes])
    app.router.routes += [Route(path, lost) for path in ("/api/{rest:path}", *_MACHINE)]


def _hidden(site: Site) -> tuple[str, ...]:
    """Folders whose place on this machine is nobody's business."""
    if site.collection.kind == "digits":
        return ()
    album = site.album.album
    return forms_of(album.home, album.path)


class _Lost:
    """Answers what no route has: otherwise the page would, which stands at every address."""

    def __init__(self, routes: Sequence[object]) -> None:
        self._routes = [route for route in routes if isinstance(route, Route)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        allowed = sorted(
            method
            for route in self._routes
            if route.path_regex.match(scope["path"])
            for method in route.methods or ()
        )
        if not allowed:
            raise HTTPException(404)
        raise HTTPException(405, headers={"Allow": ", ".join(allowed)})
