"""The lab: k bits x m tables, live."""

from __future__ import annotations

from nicegui import ui

from lookalike.web.page.frame import frame
from lookalike.web.site import Site

__all__ = ["add"]


def add(site: Site) -> None:
    """Add this page."""

    @ui.page("/lab")
    async def page() -> None:
        with frame(site, "/lab"):
            ui.label("lab")
