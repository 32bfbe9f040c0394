"""The album: what is in it, sync, unreadable files, recall."""

from __future__ import annotations

from nicegui import ui

from lookalike.web.page.frame import frame
from lookalike.web.site import Site

__all__ = ["add"]


def add(site: Site) -> None:
    """Add this page."""

    @ui.page("/album")
    async def page() -> None:
        with frame(site, "/album"):
            ui.label("album")
