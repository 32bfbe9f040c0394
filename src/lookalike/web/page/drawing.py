"""A place to draw a digit; ``static/lookalike_drawing.js`` is its hand."""

from __future__ import annotations

from lookalike.web.page.parts import tag

__all__ = ["drawing"]

_SIDE = 280  # pixels of the canvas: ten for each of the bitmaps the data set was made of


def drawing() -> None:
    """A canvas, and a button that empties it."""
    with tag("div", classes="lk-draw"):
        tag(
            "canvas",
            classes="lk-canvas",
            width=str(_SIDE),
            height=str(_SIDE),
            role="img",
            aria_label="Draw a digit here",
            data_lk_draw="1",
        )
        tag("button", "Clear", classes="lk-button", type="button", data_lk_clear="1")
