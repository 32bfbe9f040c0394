"""How it was found: the plan, the steps of a search, and what it finds beside what is there."""

from __future__ import annotations

import contextlib
import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from fastapi import Request
from nicegui import background_tasks, ui

from lookalike.errors import LookalikeError
from lookalike.web import lab
from lookalike.web.collection import Item, Searched, Unknown, text_of
from lookalike.web.digits import DigitsCollection
from lookalike.web.page.asked import Asked, asked_of, whole_number
from lookalike.web.page.charts import Dot, chance_chart, chart, table
from lookalike.web.page.frame import frame
from lookalike.web.page.parts import (
    figures,
    heading,
    nothing,
    notice,
    section,
    tag,
    thumbnail,
    wrong,
)
from lookalike.web.page.steps import step_name, step_words
from lookalike.web.page.why import Why, show_why, why_of
from lookalike.web.searched import searched
from lookalike.web.site import Site

__all__ = ["add"]

_BITS, _TABLES = 20, 5  # of the course
_FAR = 1.5  # times the threshold or the farthest neighbour: what a chart shows
_NEIGHBOURS = 12  # that are shown as pictures
_RADIUS = re.compile(r"look up (\d+) substrings, radii up to (\d+)")

_PLANS = {
    "exact": "Every vector of the index is compared with yours. With as many as there are here "
    "that costs least, and nothing can be missed.",
    "multi_index": "A code of bits is cut into pieces. Codes that differ in few bits differ in "
    "still fewer in at least one piece (the pigeonhole principle), so that looking up pieces like "
    "yours finds every code up to a distance, without comparing the others.",
    "tables": "Vectors are hashed so that those close together often get the same code. Those with "
    "the same code lie in one bucket. Only what shares a bucket with yours, in one of several "
    "tables, is compared. What shares none is missed.",
    "cells": "Vectors were sorted into groups of like ones when the index was built. Only the "
    "groups nearest to yours are looked at, and how many is set so that the promised share is "
    "found: that was measured on vectors of this index.",
    "prefixes": "Vectors are hashed in several tables; those whose codes begin like yours are "
    "looked at first, until the promised chance of having found each neighbour is reached.",
}
_DISTANCES = {
    "hamming": "bits that differ",
    "l1": "all differences added up",
    "cosine": "1 less the cosine of the angle",
}


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the page shows."""

    asked: Asked
    item: Item | None
    chosen: bool
    searches: tuple[Searched, ...]
    items: dict[int, Item]
    near: dict[str, float] = field(default_factory=dict)
    tables: Searched | None = None
    why: Why | LookalikeError | None = None

    def address(self, number: int) -> str | None:
        """Where it is shown why a neighbour was found; None where that cannot be told."""
        if self.tables is not None or self.item is None or text_of(number) == self.item.id:
            return None
        return f"{self.asked.address('/how')}&other={text_of(number)}"


def add(site: Site) -> None:
    """Add this page."""

    @ui.page("/how")
    async def page(request: Request) -> None:
        values = request.query_params
        asked, other = asked_of(values, site), values.get("other") or None
        setting = (
            whole_number(values.get("bits", ""), _BITS, 1, lab.LARGEST_BITS),
            whole_number(values.get("tables", ""), _TABLES, 1, lab.LARGEST_TABLES),
        )
        with frame(site, "/how"):
            heading(
                "How it was found",
                "What a search does, step by step, and what it saves. A picture is compared as a "
                "vector, a row of numbers or bits: pictures that look alike have vectors that "
                "differ little.",
            )
            with tag("div", classes="lk-how", aria_live="polite") as place:
                tag("p", "Searching …", classes="lk-muted")

        async def load() -> None:
            try:
                shown = await site.work.run(_search, site, asked, setting, other)
            except LookalikeError as error:
                place.clear()
                wrong("This cannot be shown", str(error))
                return
            place.clear()
            _show(shown, setting, other)

        background_tasks.create(load(), context=place, name="how")


def _search(site: Site, asked: Asked, setting: tuple[int, int], other: str | None) -> _Shown | None:
    """Search again, and note what happens; some picture, if none is asked for."""
    own, chosen = site.collection, asked.is_empty
    if chosen:
        some = own.items(0, 1)
        if not some:
            return None
        asked = replace(asked, id=some[0].id)
    query = asked.query(site)
    searches = tuple(own.how(query))
    item = own.item(asked.id) if asked.id else None
    if isinstance(own, DigitsCollection):
        index = lab.tables_index(own.images, *setting)
        vector, similar = own.vector(query), searches[0].similar
        tables = searched(searches[0].encoder, index, vector, query.k, None, similar)
        return _Shown(asked, item, chosen, searches, _neighbours(site, searches), tables=tables)
    return _Shown(
        asked,
        item,
        chosen,
        searches,
        _neighbours(site, searches),
        site.album.album.thresholds("near"),
        why=None if other is None or item is None else why_of(site, item, other, searches),
    )


def _neighbours(site: Site, searches: Sequence[Searched]) -> dict[int, Item]:
    """The pictures that are shown, by their numbers; what has gone meanwhile is not."""
    items = {}
    for number in {number for own in searches for number in own.exact_ids[:_NEIGHBOURS]}:
        with contextlib.suppress(Unknown):
            items[number] = site.collection.item(text_of(number))
    return items


def _show(shown: _Shown | None, setting: tuple[int, int], other: str | None) -> None:
    if shown is None:
        nothing("There is no picture yet", "Sync the album, then search for one of its pictures.")
        return
    if shown.item is not None and not isinstance(shown.why, Why):
        with tag("div", classes="lk-how-query"):
            thumbnail(shown.item, side=192, lazy=False)
            tag("p", f"Searched for: {shown.item.title}")
    if shown.chosen:
        notice("No search was given, so one of the pictures was chosen. Search for any, then look.")
    if shown.asked.flips or shown.asked.rotations:
        notice(
            "A search for mirrored or turned pictures goes like this one once for each way to turn "
            "it. Here it is shown for the picture as it is."
        )
    if other is not None:
        show_why(shown.why)
    if shown.item is not None:
        tag(
            "p",
            "The picture is in the index itself, so that it is one of its own neighbours here, at "
            "distance 0. A search leaves it out.",
            classes="lk-muted",
        )
    for own in shown.searches:
        with section(f"Compared by {own.encoder}"):
            _show_search(shown, own, None)
    if shown.tables is not None:
        k, m = setting
        with section(f"The same search with {m} hash tables of {k} bits"):
            _show_search(shown, shown.tables, setting)
            tag("a", "Change bits and tables in the lab", href="/lab")


def _show_search(shown: _Shown, own: Searched, setting: tuple[int, int] | None) -> None:
    engine = own.explanation.plan.partition(" ")[0]
    tag("p", _PLANS.get(engine, own.explanation.plan))
    took = sum(step.microseconds for step in own.explanation.steps)
    compared = engine == "exact" and len(own.explanation.steps) == 1  # the search is that itself
    facts = {
        "Nearest found": f"{own.recall:.0%} of {len(own.exact_ids)}",
        "Promised": _promise(own, engine, setting),
        "This search": f"{took:,.0f} µs",
    }
    figures(facts if compared else facts | {"Comparing all": f"{own.exact_microseconds:,.0f} µs"})
    _show_steps(own, compared=compared)
    _show_chart(own, engine, shown.near.get(own.encoder), setting)
    _show_neighbours(shown, own)
    tag("p", f"In the library's words: {own.explanation.plan}", classes="lk-muted lk-how-plan")


def _promise(own: Searched, engine: str, setting: tuple[int, int] | None) -> str:
    if engine in ("exact", "multi_index"):
        return "all"
    if setting is not None or own.promised is None:
        return "see the curve"
    return f"{own.promised:.0%} on average"


def _show_steps(own: Searched, *, compared: bool) -> None:
    """What each step does, what it leaves, and how long it takes; beside comparing all."""
    size = own.explanation.size
    rows = [("all", "All vectors of the index, one for each picture.", f"{size:,}", "")]
    rows += [
        (
            step_name(step),
            step_words(step),
            f"{step.left:,}",
            f"{step.microseconds:,.1f}" if step.microseconds else "",
        )
        for step in own.explanation.steps
    ]
    if not compared:
        rows.append(
            (
                "without steps",
                "For comparison: the true distance of every vector.",
                f"{size:,}",
                f"{own.exact_microseconds:,.1f}",
            )
        )
    table(
        ("step", "what it does", "vectors left", "time, µs"),
        rows,
        caption=f"Steps of the search by {own.encoder}",
    ).classes("lk-how-steps")


def _show_neighbours(shown: _Shown, own: Searched) -> None:
    """The nearest as pictures, each with a link that says why."""
    found = set(own.explanation.hits.ids.tolist())
    nearest = list(zip(own.exact_ids, own.exact_distances, strict=True))
    with tag("ol", classes="lk-how-neighbours", aria_label=f"The nearest by {own.encoder}"):
        for number, distance in nearest[:_NEIGHBOURS]:
            if number not in shown.items:
                continue
            item, how = shown.items[number], "found" if number in found else "missed"
            address = shown.address(number)
            with tag("li", classes=f"lk-{how}"), tag("a" if address else "div", href=address):
                thumbnail(item, side=192)
                tag("span", how, classes="lk-lab-fate")
                tag("span", f"{distance:g} away", classes="lk-muted")
                if address:
                    tag("span", "Why?")


def _show_chart(
    own: Searched, engine: str, near: float | None, setting: tuple[int, int] | None
) -> None:
    hits = own.explanation.hits
    found = set(hits.ids.tolist())
    farthest = max(own.exact_distances, default=1.0)
    end = _rounded_up(max(farthest * 1.1, own.similar * _FAR) or 1.0)
    line, curve = _curve(own, engine, end, setting)
    dots = [
        Dot(distance, _height(curve, distance), number in found)
        for number, distance in zip(own.exact_ids, own.exact_distances, strict=True)
    ]
    marks = {"similar": own.similar} | ({} if near is None else {"near": near})
    missed = sum(not dot.found for dot in dots)
    chart(
        chance_chart(curve, dots, line=line, marks=marks, unit=_unit(own)),
        f"The {len(dots)} nearest by distance, up to {farthest:g}; {missed} of them were missed. "
        f"Up to {own.similar:g} pictures are called similar.",
    )
    table(
        ("neighbour", "distance", line, "found"),
        [
            (f"{rank}", f"{dot.distance:g}", f"{dot.chance:.0%}", "yes" if dot.found else "no")
            for rank, dot in enumerate(dots, 1)
        ],
        caption=f"The nearest by {own.encoder}, and the chance of finding each",
        hidden=True,
    )


def _rounded_up(value: float) -> float:
    """The next number of two digits: an axis that ends there can be read."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.ceil(value / unit) * unit:.3g}")


def _unit(own: Searched) -> str:
    return f"distance ({_DISTANCES.get(own.metric, own.metric)})"


def _curve(
    own: Searched, engine: str, end: float, setting: tuple[int, int] | None
) -> tuple[str, Sequence[tuple[float, float]]]:
    """What finds a neighbour at a distance, and its chance."""
    if setting is not None:
        return "chance to share a bucket", lab.curve(*setting)
    if engine == "exact":
        return "all are compared", [(0.0, 1.0), (end, 1.0)]
    if engine == "multi_index":
        looked = _RADIUS.search(" ".join(step.does for step in own.explanation.steps))
        if looked and len(own.explanation.steps) == 1:
            radius = float(looked[2])
            return "all so near are found", [(0.0, 1.0), (radius, 1.0)]
        return "all are compared", [(0.0, 1.0), (end, 1.0)]
    promised = own.promised or 0.0
    return "promised on average", [(0.0, promised), (end, promised)]


def _height(curve: Sequence[tuple[float, float]], distance: float) -> float:
    """Of the curve, between its points."""
    for (left, low), (right, high) in itertools.pairwise(curve):
        if left <= distance <= right:
            return low + (high - low) * (distance - left) / (right - left)
    return curve[-1][1]
