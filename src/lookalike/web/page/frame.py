"""The frame of every page: what is served, where one can go, light and dark.

A page is built in it, with the parts of :mod:`lookalike.web.page.parts` (panel, tile, notice,
nothing, wrong, figures, ...), whose looks are in ``static/lookalike.css``::

    @ui.page("/album")
    async def page() -> None:
        with frame(site, "/album"):
            heading("Album", "What is in it.")
            with panel():
                ...

There is no Tailwind: its classes do nothing here. Colours are the variables ``--ground``,
``--panel``, ``--ink``, ``--muted``, ``--faint``, ``--accent``, ``--good``, ``--bad``,
``--series-0`` to ``--series-4``; they follow the light or dark setting of the system.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nicegui import ui

from lookalike.web.page.parts import tag
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
    """The frame around the content of a page.

    Parameters
    ----------
    site : Site
    here : str
        The path of the page.
    """
    places = _PLACES[site.collection.kind]
    ui.page_title(f"{places[here]} · {site.collection.title} · lookalike")
    with ui.header(fixed=False, add_scroll_padding=False).classes("lk-header"):
        with tag("a", classes="lk-brand", href="/"):
            tag("span", "lookalike", classes="lk-name")
            tag("span", site.collection.title, classes="lk-title")
        with tag("nav", aria_label="Pages"):
            for path, name in places.items():
                current = "page" if path == here else None
                tag("a", name, href=path, aria_current=current, data_lk_place=path)
    with tag("div", classes="lk-page") as content:
        content.props["tabindex"] = "-1"
        yield
    ui.skip_link("To the content", target=content)
