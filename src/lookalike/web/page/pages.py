"""All pages."""

from __future__ import annotations

from fastapi import FastAPI
from nicegui import ui

from lookalike.web.page import album, duplicates, how, lab, search
from lookalike.web.site import Site

__all__ = ["add_pages"]

_PAGES = {"album": (search, how, duplicates, album), "digits": (search, how, lab)}


def add_pages(app: FastAPI, site: Site) -> None:
    """Add the pages of what is served to an application."""
    for page in _PAGES[site.collection.kind]:
        page.add(site)
    ui.run_with(app, title="lookalike")
