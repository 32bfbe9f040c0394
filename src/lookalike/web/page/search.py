"""Search: the pictures that look most like one."""

from __future__ import annotations

import base64
import itertools
import json
from urllib.parse import parse_qsl

from fastapi import Request
from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement
from nicegui.events import GenericEventArguments

from lookalike.errors import LookalikeError, UnreadableImage
from lookalike.web.collection import Found, Hit, Item, Query, Unknown
from lookalike.web.digits import png_of
from lookalike.web.page.asked import NUMBERS, Asked, asked_of
from lookalike.web.page.drawing import drawing
from lookalike.web.page.frame import frame
from lookalike.web.page.parts import (
    heading,
    is_small,
    nothing,
    notice,
    panel,
    picture,
    picture_url,
    plain,
    section,
    tag,
    thumbnail,
    thumbnail_url,
    wrong,
)
from lookalike.web.site import Site

__all__ = ["add"]

_OFFERED = {"album": 12, "digits": 20}
_MEANS = {  # to be compared by an encoder
    "": "the closest by any of them",
    "pdq": "the same picture, shrunk, recompressed or edited a little",
    "phash": "the same layout of light and dark",
    "pixels": "the same colours in the same places",
    "embedding": "the same kind of thing in the picture",
}
_SUBTITLES = {
    "album": "Drop, paste or pick a picture: the ones of the album that look most like it.",
    "digits": "Draw a digit: the written ones that look most like it.",
}


def add(site: Site) -> None:
    """Add this page."""

    @ui.page("/", response_timeout=site.limits.seconds + 5)
    async def page(request: Request) -> None:
        with frame(site, "/"):
            view = _View(site, asked_of(request.query_params, site))
            await view.show()
            ui.on("asked", view.on_asked)


class _View:
    """What is shown to one reader."""

    def __init__(self, site: Site, asked: Asked) -> None:
        self.site = site
        self.asked = asked
        self._numbers = itertools.count()
        self._last = -1
        self._digits = site.collection.kind == "digits"
        heading("Find the ones that look alike", _SUBTITLES[site.collection.kind])
        with tag("div", classes="lk-ask lk-ask-drawing" if self._digits else "lk-ask"):
            _drawing_or_drop(self._digits)
            with panel("lk-side"):
                self._query = tag("div")
                _choices(site, asked)
        notice("", kind="bad").props["data-lk-said"] = "1"
        self._results = tag("div", classes="lk-digits" if self._digits else "")

    async def on_asked(self, event: GenericEventArguments) -> None:
        """Another address is asked for."""
        self.asked = asked_of(dict(parse_qsl(str(event.args)[:2_000])), self.site)
        await self.show()

    async def show(self) -> None:
        """Show what is asked for; who asks again before it is there sees the last alone."""
        number = self._last = next(self._numbers)
        asked = self.asked
        shown: _Shown | LookalikeError
        try:
            shown = await self.site.work.run(_looked_up, self.site, asked)
        except LookalikeError as error:
            shown = error
        if number == self._last:
            self._fill(asked, shown, number)

    def _fill(self, asked: Asked, shown: _Shown | LookalikeError, number: int) -> None:
        self._query.clear()
        self._results.clear()
        failed = isinstance(shown, LookalikeError)
        own = None if isinstance(shown, LookalikeError) else shown.picture
        with self._query:
            _query_card(self.site, asked, own)
        with self._results:
            if isinstance(shown, LookalikeError):
                _went_wrong(shown)
            elif shown.found is None:
                _offer(self.site, asked, shown.offered)
            else:
                _found(self.site, asked, shown.found)
        self._results.props["data-lk-state"] = json.dumps(
            {
                "number": number,
                "line": "" if failed or asked.is_empty else asked.line,
                "values": _values(asked),
                "picture": None
                if own is None
                else {"source": own.source, "title": plain(own.title)},
            }
        )


class _Picture:
    """What is searched for, as it is shown."""

    def __init__(self, source: str, title: str, *, small: bool, item: Item | None = None) -> None:
        self.source, self.title, self.small, self.item = source, title, small, item


class _Shown:
    """What was looked up for a page."""

    def __init__(
        self,
        picture: _Picture | None = None,
        found: Found | None = None,
        offered: tuple[Item, ...] = (),
    ) -> None:
        self.picture, self.found, self.offered = picture, found, offered


def _looked_up(site: Site, asked: Asked) -> _Shown:
    """What is shown for an address."""
    if asked.is_empty:
        count = _OFFERED[site.collection.kind]
        return _Shown(offered=tuple(site.collection.items(asked.first, count)))
    query = asked.query(site)
    return _Shown(_picture_of(site, asked, query), site.collection.search(query))


def _picture_of(site: Site, asked: Asked, query: Query) -> _Picture:
    if site.collection.kind == "digits":  # as it is compared: what was drawn is still on the canvas
        data = base64.b64encode(png_of(site.digits.vector(query))).decode()
        title = "your drawing" if asked.id is None else site.collection.item(asked.id).title
        return _Picture(f"data:image/png;base64,{data}", title, small=True)
    if asked.id is not None:
        item = site.collection.item(asked.id)
        return _Picture(picture_url(item.id), item.title, small=is_small(item), item=item)
    return _Picture(f"/api/v1/uploads/{asked.upload}", "your picture", small=False)


def _values(asked: Asked) -> dict[str, str]:
    """What the controls say."""
    return {
        "upload": asked.upload or "",
        "k": str(asked.k),
        "encoder": asked.encoder or "",
        "flips": "1" if asked.flips else "",
        "rotations": "1" if asked.rotations else "",
    }


# ---- what is asked


def _drawing_or_drop(digits: bool) -> None:
    with tag("div", classes="lk-drop", data_lk_drop="1"):
        if digits:
            drawing()
        tag(
            "p",
            "Or drop or paste a picture of one."
            if digits
            else "Drop a picture here, or paste one.",
            classes="lk-muted",
        )
        with tag("label", "Choose a picture", classes="lk-button lk-file"):
            tag("input", classes="lk-hidden", type="file", accept="image/*", data_lk_pick="1")


def _choices(site: Site, asked: Asked) -> None:
    """Controls; the script of the page puts them into the address."""
    with tag("div", classes="lk-choices", role="group", aria_label="How to search"):
        numbers = sorted({*NUMBERS, asked.k})
        _choice("k", "How many", [(str(own), f"{own:,} pictures") for own in numbers], str(asked.k))
        if len(site.collection.encoders) > 1:
            options = [("", "all together"), *((own, own) for own in site.collection.encoders)]
            _choice("encoder", "Compared by", options, asked.encoder or "")
        if site.collection.kind == "album":
            with tag("div", classes="lk-checks"):
                _check("flips", "Mirrored too", "also if left and right are swapped", asked.flips)
                _check("rotations", "Turned too", "also if it lies on its side", asked.rotations)


def _choice(name: str, label: str, options: list[tuple[str, str]], chosen: str) -> None:
    with tag("div", classes="lk-choice"):
        tag("label", label, for_=f"lk-{name}")
        with tag("select", classes="lk-select", id=f"lk-{name}", data_lk_param=name):
            for value, words in options:
                selected = True if value == chosen else None
                tag(
                    "option", words, value=value, selected=selected, data_lk_means=_MEANS.get(value)
                )
        tag("small", _MEANS.get(chosen, ""), classes="lk-muted lk-small", data_lk_words=name)


def _check(name: str, label: str, words: str, checked: bool) -> None:
    with tag("label", classes="lk-check"):
        tag("input", type="checkbox", data_lk_param=name, checked=True if checked else None)
        with tag("span"):
            tag("span", label)
            tag("small", words)


def _query_card(site: Site, asked: Asked, own: _Picture | None) -> None:
    if own is None:
        count = len(site.collection)
        with tag("div", classes="lk-query-words"):
            tag("h2", f"{count:,} pictures to search" if count else "No pictures yet")
            tag("p", "Nothing leaves this machine.", classes="lk-muted")
        return
    with tag("div", classes="lk-query"):
        with tag("div", classes="lk-square"):
            source = own.source if own.item is None else thumbnail_url(own.item.id)
            picture(source, own.title, small=own.small, lazy=False)
        with tag("div", classes="lk-query-words"):
            tag("h2", "Searched for")
            tag("p", own.title)
            if facts := _facts(own):
                tag("p", facts, classes="lk-muted lk-small")
            with tag("p", classes="lk-row"):
                tag("a", "How it was found", href=asked.address("/how"))
                if own.item is not None:
                    tag("a", "Whole picture", href=own.source, target="_blank", rel="noopener")
                tag("a", "Start again", href="/", data_lk_go="1")


def _facts(own: _Picture) -> str:
    if own.item is None:
        return "8 by 8 numbers: this is what is compared" if own.small else ""
    item = own.item
    size = f"{item.width:,} by {item.height:,}" if item.width and item.height else ""
    more = len(item.files) - 1
    also = f"and {more:,} more with the same bytes" if more > 0 else ""
    return ", ".join(part for part in (size, item.format or "", also) if part)


# ---- what is shown


def _offer(site: Site, asked: Asked, items: tuple[Item, ...]) -> None:
    if not items and not asked.first:
        nothing("No pictures yet", "Put some into the folder, then sync the album.")
        return
    with section("Or begin from one of these"):
        with tag("ul", classes="lk-grid"):
            for item in items:
                with tag("li", classes="lk-tile"), _from(asked, item):
                    _name_of(item)
        after = asked.first + len(items)
        following = after if after < len(site.collection) and items else 0
        with tag("p"):
            tag(
                "a",
                "Show others",
                classes="lk-button",
                href=asked.address(first=following),
                data_lk_go="1",
            )


def _from(asked: Asked, item: Item) -> TextElement:
    link = tag("a", href=asked.from_picture(item.id), data_lk_go="1")
    with link:
        thumbnail(item)
    return link


def _found(site: Site, asked: Asked, found: Found) -> None:
    with tag("section", classes="lk-section"):
        with tag("div", classes="lk-found-line"):
            count = len(found.hits)
            title = f"The {count:,} closest" if count else "Nothing looks like it"
            tag("h2", title, tabindex="-1", data_lk_arrive="1")
            tag("p", _took(site, found), classes="lk-muted lk-small", role="status")
        for note in found.notes:
            notice(note)
        if not found.hits:
            nothing(
                "Nothing looks like it",
                "Try it mirrored or turned, compare by all together, or begin from another.",
            )
        with tag("ul", classes="lk-grid"):
            for hit in found.hits:
                _tile(asked, hit)


def _took(site: Site, found: Found) -> str:
    return f"of {len(site.collection):,}, in {found.microseconds / 1000:,.1f} ms"


def _tile(asked: Asked, hit: Hit) -> None:
    words = _words(hit)
    with tag("li", classes="lk-tile"):
        with _from(asked, hit.item):
            _name_of(hit.item)
            tag("span", words, classes="lk-why")
        tag(
            "button",
            "Compare",
            classes="lk-quiet",
            type="button",
            aria_label=f"Compare with {hit.item.title}",
            data_lk_compare=picture_url(hit.item.id),
            data_lk_title=hit.item.title,
            data_lk_words=words,
            data_lk_turn=hit.orientation,
            data_lk_small="1" if is_small(hit.item) else None,
        )


def _name_of(item: Item) -> None:
    short = item.title if item.label is None else f"a {item.label}"
    tag("span", short, classes="lk-name-of", title=item.title)


def _words(hit: Hit) -> str:
    if hit.item.label is not None:
        return f"distance {hit.distance:g}"
    turned = "" if hit.orientation == "upright" else f", {hit.orientation}"
    return f"distance {hit.distance:g}: {hit.why}{turned}"


def _went_wrong(error: LookalikeError) -> None:
    if isinstance(error, UnreadableImage):
        title = "This picture cannot be read"
    elif isinstance(error, Unknown):
        title = "This picture is not here"
    else:
        title = "That did not work"
    with wrong(title, str(error)):
        tag("a", "Start again", classes="lk-button", href="/", data_lk_go="1")
