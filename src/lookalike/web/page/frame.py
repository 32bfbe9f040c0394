"""The frame of every page: title, where one can go, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nicegui import ui

from lookalike.web.site import Site

__all__ = ["frame"]

_PLACES = {
    "album": {
        "/": "Search",
        "/how": "How it was found",
        "/duplicates": "Duplicates",
        "/album": "Album",
    },
    "digits": {"/": "Search", "/how": "How it was found", "/lab": "Lab"},
}


@contextmanager
def frame(site: Site, here: str) -> Iterator[None]:
    """The frame around the content of a page."""
    with ui.header():
        ui.label(site.collection.title)
        for path, name in _PLACES[site.collection.kind].items():
            ui.link(name, path)
    with ui.column().classes("w-full"):
        yield
