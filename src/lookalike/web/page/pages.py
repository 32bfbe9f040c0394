"""All pages, and the style sheet and scripts that they share."""

from __future__ import annotations

from pathlib import Path

import xxhash
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from nicegui import ui
from starlette.responses import Response
from starlette.types import Scope

from lookalike.web.page import album, duplicates, how, lab, search
from lookalike.web.site import Site

__all__ = ["add_pages"]

_PAGES = {"album": (search, how, duplicates, album), "digits": (search, how, lab)}
_STATIC = Path(__file__).parent.parent / "static"
_FOR_EVER = "public, max-age=31536000, immutable"


def add_pages(app: FastAPI, site: Site) -> None:
    """Add the pages of what is served to an application."""
    app.mount("/static", _Static(directory=_STATIC), name="static")
    ui.add_head_html(_head(), shared=True)
    for page in _PAGES[site.collection.kind]:
        page.add(site)
    ui.run_with(
        app,
        title="lookalike",
        favicon=_STATIC / "lookalike.svg",
        dark=None,
        language="en-US",
        tailwind=False,
    )


class _Static(StaticFiles):
    """Files that are asked for by name and digest stay as they are for ever."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        named = scope["query_string"].startswith(b"v=")
        response.headers["Cache-Control"] = _FOR_EVER if named else "no-cache"
        return response


def _head() -> str:
    sheets = "".join(f'<link rel="stylesheet" href="{_url(own)}">' for own in _files(".css"))
    scripts = "".join(f'<script defer src="{_url(own)}"></script>' for own in _files(".js"))
    return sheets + scripts


def _files(suffix: str) -> list[Path]:
    return sorted(path for path in _STATIC.iterdir() if path.suffix == suffix)


def _url(path: Path) -> str:
    return f"/static/{path.name}?v={xxhash.xxh3_64_hexdigest(path.read_bytes())}"
