"""How it was found: the plan, and the steps of a search."""

from __future__ import annotations

from nicegui import ui

from lookalike.web.page.frame import frame
from lookalike.web.site import Site

__all__ = ["add"]


def add(site: Site) -> None:
    """Add this page."""

    @ui.page("/how")
    async def page() -> None:
        with frame(site, "/how"):
            ui.label("how")
