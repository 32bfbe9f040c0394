"""The frame of every page: title, where one can go, light and dark; and the table of pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import FastAPI
from nicegui import ui

from lookalike.web.site import Site

__all__ = ["add_page", "frame"]

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


def add_page(app: FastAPI, site: Site) -> None:
    """Add the pages to an application."""

    @ui.page("/")
    def search() -> None:
        with frame(site, "/"):
            ui.label("search")

    ui.run_with(app, title="lookalike")
