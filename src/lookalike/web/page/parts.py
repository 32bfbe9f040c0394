"""Parts that pages are made of.

Texts and attributes are set as such, never as HTML: what strangers wrote stays text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nicegui.elements.mixins.text_element import TextElement

from lookalike.web.collection import Item

__all__ = [
    "button",
    "figures",
    "files_text",
    "heading",
    "is_small",
    "nothing",
    "notice",
    "panel",
    "picture",
    "picture_url",
    "plain",
    "section",
    "tag",
    "thumbnail",
    "thumbnail_url",
    "wrong",
]

_SIDE = 384  # pixels of a thumbnail: sharp on screens with two for one
_SMALL = 64  # pictures of so few pixels are enlarged without smoothing


def tag(name: str, text: str = "", *, classes: str = "", **attributes: Any) -> TextElement:
    """An element of HTML.

    Parameters
    ----------
    name : str
        "div", "a", "h2", ...
    text : str
        Shown as it is.
    classes : str
    **attributes : str, bool or None
        ``aria_label`` becomes ``aria-label``; ``for_`` is ``for``; None is left out.
    """
    element = TextElement(tag=name, text=plain(text))
    element.classes(classes)
    for key, value in attributes.items():
        if value is not None:
            own = plain(value) if isinstance(value, str) else value
            element.props[key.rstrip("_").replace("_", "-")] = own
    return element


def plain(text: str) -> str:
    """A text that can be sent: bytes of file names that mean no letter become a mark."""
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def files_text(count: int) -> str:
    """A number of files, as people say it."""
    return "1 file" if count == 1 else f"{count:,} files"


def heading(title: str, subtitle: str = "") -> None:
    """The title of a page, and what it is for."""
    with tag("div", classes="lk-heading"):
        tag("h1", title)
        if subtitle:
            tag("p", subtitle, classes="lk-muted")


def section(title: str, note: str = "") -> TextElement:
    """A part of a page with a title; use it as ``with section("Files"):``."""
    own = tag("section", classes="lk-section")
    with own:
        tag("h2", title)
        if note:
            tag("p", note, classes="lk-muted")
    return own


def panel(classes: str = "") -> TextElement:
    """A panel around something; use it as ``with panel():``."""
    return tag("div", classes=f"lk-panel {classes}")


def thumbnail_url(id: str, side: int = _SIDE) -> str:
    """Where the small form of a picture is."""
    return f"/api/v1/pictures/{id}/thumbnail?side={side}"


def picture_url(id: str) -> str:
    """Where a whole picture is."""
    return f"/api/v1/pictures/{id}/file"


def picture(source: str, describes: str, *, small: bool = False, lazy: bool = True) -> TextElement:
    """A picture.

    Parameters
    ----------
    source : str
        Its address on this server.
    describes : str
        For readers who cannot see it.
    small : bool
        It has few pixels: enlarge it without smoothing.
    lazy : bool
        Load it when it comes near the visible part of the page.
    """
    return tag(
        "img",
        classes="lk-picture lk-pixels" if small else "lk-picture",
        src=source,
        alt=describes,
        loading="lazy" if lazy else None,
        decoding="async",
    )


def is_small(item: Item) -> bool:
    """Whether a picture has so few pixels that smoothing would blur it."""
    return max(item.width or _SMALL + 1, item.height or _SMALL + 1) <= _SMALL


def thumbnail(item: Item, *, side: int = _SIDE, lazy: bool = True) -> TextElement:
    """The small form of a picture of the collection, in a square."""
    with tag("div", classes="lk-square") as square:
        picture(thumbnail_url(item.id, side), item.title, small=is_small(item), lazy=lazy)
    return square


def figures(values: Mapping[str, str]) -> TextElement:
    """A row of figures: what each is, and its value."""
    with tag("dl", classes="lk-figures") as row:
        for name, value in values.items():
            with tag("div"):
                tag("dt", name)
                tag("dd", value)
    return row


def notice(text: str, *, kind: str = "info") -> TextElement:
    """A line that readers should see.

    Parameters
    ----------
    text : str
    kind : {"info", "good", "warning", "bad"}
    """
    return tag("p", text, classes=f"lk-notice lk-{kind}", role="status")


def button(
    text: str, click: Callable[[], object], *, main: bool = False, small: bool = False
) -> TextElement:
    """A button that does something on the server.

    Parameters
    ----------
    text : str
    click : callable
        May be a coroutine function.
    main : bool
        What most readers want here.
    small : bool
    """
    classes = "lk-button" + (" lk-main" if main else "") + (" lk-small" if small else "")
    own = tag("button", text, classes=classes, type="button")
    own.on("click", lambda _: click(), [])
    return own


def nothing(title: str, advice: str) -> TextElement:
    """What is shown where nothing is, with what to do; more may be put in it."""
    with tag("div", classes="lk-state") as state:
        tag("p", title, classes="lk-state-title")
        tag("p", advice, classes="lk-muted")
    return state


def wrong(title: str, message: str) -> TextElement:
    """What is shown when something went wrong; what to do may be put in it."""
    with tag("div", classes="lk-state lk-wrong", role="alert") as state:
        tag("p", title, classes="lk-state-title")
        tag("p", message[:1].upper() + message[1:], classes="lk-muted")
    return state
