"""Search: the pictures that look most like one."""

from __future__ import annotations

from nicegui import ui

from lookalike.web.page.frame import frame
from lookalike.web.site import Site

__all__ = ["add"]


def add(site: Site) -> None:
    """Add this page."""

    @ui.page("/")
    async def page() -> None:
        with frame(site, "/"):
            ui.label("search")
