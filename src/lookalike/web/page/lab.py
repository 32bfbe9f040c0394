"""The lab: k bits x m tables, live."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from nicegui import background_tasks, ui
from nicegui.elements.mixins.text_element import TextElement

from lookalike.errors import LookalikeError
from lookalike.web.collection import id_of, text_of
from lookalike.web.lab import (
    LARGEST_BITS,
    LARGEST_TABLES,
    Lab,
    Neighbour,
    Speed,
    TablesResult,
)
from lookalike.web.page.asked import whole_number
from lookalike.web.page.charts import Dot, chance_chart, chart, table, trail_chart
from lookalike.web.page.frame import frame
from lookalike.web.page.parts import heading, panel, picture, section, tag, thumbnail_url, wrong
from lookalike.web.site import Site

__all__ = ["add"]

_BITS, _TABLES = 20, 5  # of the course
_SETTLED_S = 0.04  # that a slider rests before its setting is measured
_THROTTLE_S = 0.05  # between values that a slider sends while it moves
_TRAIL = 60  # settings that stay on the chart
_CHOICE = 10  # digits to choose a query from


def add(site: Site) -> None:
    """Add this page."""

    @ui.page("/lab")
    async def page(k: str = "", m: str = "", id: str = "") -> None:
        with frame(site, "/lab"):
            heading(
                "Lab: bits and tables",
                "A digit is hashed to a code of k bits; digits with equal codes share a bucket. "
                "Only digits that share a bucket with yours in one of m tables are compared with "
                "it: its candidates. Move k and m, and see what is compared, found and missed.",
            )
            bits = whole_number(k, _BITS, 1, LARGEST_BITS)
            tables = whole_number(m, _TABLES, 1, LARGEST_TABLES)
            own = await site.work.run(lambda: site.lab)  # made by who comes first
            _Bench(site, own, bits, tables, id)


class _Bench:
    """The controls of a page, and what they show.

    Parameters
    ----------
    site : Site
    lab : Lab
    k, m : int
    id : str
        Of the digit to search for, if there is such a one.
    """

    def __init__(self, site: Site, lab: Lab, k: int, m: int, id: str) -> None:
        self._site = site
        self._lab = lab
        self._query = self._numbered(id)
        self._trail: list[tuple[float, float]] = []
        self._stale = self._measuring = False
        with tag("div", classes="lk-lab"):
            with panel("lk-lab-controls"):
                self._k = _Slider("Bits in a code", "k", k, LARGEST_BITS, self._changed)
                tag("p", "More bits: smaller buckets, fewer candidates, less found.")
                self._m = _Slider("Tables", "m", m, LARGEST_TABLES, self._changed)
                tag("p", "More tables: more chances to meet, more candidates, more found.")
                self._choice = tag("div", classes="lk-lab-choice")
            self._results = tag("div", classes="lk-lab-results")
        with self._results:
            self._failure = tag("div")
            self._shown = _Shown()
        self._choose_from(self._query)
        self._changed()

    def _numbered(self, id: str) -> int:
        try:
            number = id_of(id)
        except LookalikeError:
            return self._lab.queries.start
        return number if number in self._lab.queries else self._lab.queries.start

    def _choose_from(self, first: int) -> None:
        """Show ten digits to choose from."""
        self._choice.clear()
        with self._choice:
            tag("p", "Search for", classes="lk-label")
            with tag("div", classes="lk-lab-digits"):
                for number in self._ten(first):
                    self._digit(number)
            ui.button("Ten others", on_click=lambda: self._choose_from(self._after(first))).props(
                "flat no-caps dense"
            )

    def _ten(self, first: int) -> list[int]:
        numbers = self._lab.queries
        return [numbers[(first - numbers.start + own) % len(numbers)] for own in range(_CHOICE)]

    def _after(self, first: int) -> int:
        return self._ten(first)[-1] + 1

    def _digit(self, number: int) -> None:
        item = self._site.digits.item(text_of(number))
        button = tag("button", classes="lk-lab-digit", type="button", aria_label=item.title)
        button.props["aria-pressed"] = "true" if number == self._query else "false"
        button.on("click", lambda: self._search_for(number))
        with button:
            picture(thumbnail_url(item.id), "", small=True)

    def _search_for(self, number: int) -> None:
        self._query = number
        for button in self._choice.descendants():
            if "aria-pressed" in button.props:
                own = self._site.digits.item(text_of(number)).title
                pressed = button.props["aria-label"] == own
                button.props["aria-pressed"] = "true" if pressed else "false"
                button.update()
        self._changed()

    # ---- following the controls

    def _changed(self) -> None:
        """Measure what the controls say; if a measurement is under way, after it."""
        self._stale = True
        if not self._measuring:
            self._measuring = True
            background_tasks.create(self._follow(), name="lab")

    async def _follow(self) -> None:
        """Measure one setting at a time, and always the last one."""
        try:
            while self._stale:
                await asyncio.sleep(_SETTLED_S)
                self._stale = False
                await self._measure()
        finally:
            self._measuring = False

    async def _measure(self) -> None:
        try:
            result = await self._site.work.run(
                self._lab.tables, self._k.value, self._m.value, self._query
            )
        except LookalikeError as error:
            with self._failure:
                wrong("This was not measured", str(error))
            return
        self._failure.clear()
        self._trail.append((result.candidates / result.indexed, result.recall))
        del self._trail[:-_TRAIL]
        with self._results:
            self._shown.show(result, self._trail)


class _Slider:
    """A slider with its value beside it.

    It is the browser's own, which readers with a keyboard or a screen reader know how to use: the
    element that has the focus is the one that has the name.

    Parameters
    ----------
    title, letter : str
    value, largest : int
    changed : callable
        Called after ``value`` has changed.
    """

    def __init__(
        self, title: str, letter: str, value: int, largest: int, changed: Callable[[], None]
    ) -> None:
        self.value = value
        self._largest = largest
        self._then = changed
        with tag("div", classes="lk-lab-slider"):
            with tag("div", classes="lk-lab-slider-head"):
                tag("label", f"{title} ({letter})", classes="lk-label", for_=f"lk-{letter}")
                self._shown = tag("output", str(value), classes="lk-lab-value")
                self._shown.props["for"] = f"lk-{letter}"
            slider = tag("input", id=f"lk-{letter}", type="range", min="1", max=str(largest))
            # An attribute, which the mark stands for, is where the slider begins. As a property it
            # would be set anew whenever the page is drawn, under the reader's finger.
            slider.props["^value"] = str(value)
            slider.on(
                "input",
                lambda event: self._moved(str(event.args)),
                throttle=_THROTTLE_S,
                js_handler="(event) => emit(event.target.value)",
            )

    def _moved(self, text: str) -> None:
        self.value = whole_number(text, self.value, 1, self._largest)
        self._shown.set_text(str(self.value))
        self._then()


class _Shown:
    """What a setting does, in numbers and charts that move."""

    def __init__(self) -> None:
        with tag("dl", classes="lk-figures lk-lab-figures", aria_live="polite"):
            self._candidates = _figure("Candidates of a query")
            self._nearest = _figure("Nearest one found")
            self._recall = _figure("Of the ten nearest, found")
            self._time = _figure("Time of a query")
        with section("What you have tried"):
            tag(
                "p",
                "Up is better, left is cheaper. No setting is at the top left: that is what k and "
                "m trade.",
                classes="lk-muted",
            )
            self._trail = chart(trail_chart([]), "")
        with section("The digit that is searched for"):
            self._about_query = tag("p", classes="lk-muted")
            self._neighbours = tag("ol", classes="lk-lab-neighbours")
            self._curve = chart(chance_chart([(0, 1), (512, 0)], [], line="chance"), "")
        with section("Beside exact search"):
            self._verdict = tag("p", classes="lk-muted")
            self._speeds = tag("div")

    def show(self, result: TablesResult, trail: Sequence[tuple[float, float]]) -> None:
        """Show another setting."""
        share = result.candidates / result.indexed
        self._candidates.set_text(f"{result.candidates:,.1f} of {result.indexed:,} ({share:.1%})")
        self._nearest.set_text(f"{result.nearest_found:.1%}")
        self._recall.set_text(f"{result.recall:.1%}")
        self._time.set_text(f"{result.tables.batch:,.1f} µs")
        self._show_trail(result, trail)
        self._show_query(result)
        self._show_speeds(result)

    def _show_trail(self, result: TablesResult, trail: Sequence[tuple[float, float]]) -> None:
        _redraw(
            self._trail,
            trail_chart(trail),
            f"{len(trail)} settings tried. Now, with k {result.k} and m {result.m}, "
            f"{trail[-1][0]:.1%} of the digits are compared and {trail[-1][1]:.1%} of the ten "
            "nearest are found.",
        )

    def _show_query(self, result: TablesResult) -> None:
        found = sum(own.found for own in result.neighbours)
        self._about_query.set_text(
            f"A {result.label}: {result.query_candidates:,} candidates; {found} of its ten nearest "
            f"are among them. The curve is 1 - (1 - p^{result.k})^{result.m}, where p is the "
            "chance that one bit of two digits agrees: 1 - distance / 1,024. It holds for a random "
            "choice of bits; with the choice made here, each neighbour is found or it is not."
        )
        self._neighbours.clear()
        with self._neighbours:
            for own in result.neighbours:
                _neighbour(own)
        dots = [Dot(own.distance, own.chance, own.found) for own in result.neighbours]
        _redraw(
            self._curve,
            chance_chart(result.curve, dots, line="chance to share a bucket"),
            f"The chance of being found falls with the distance. Of the ten nearest digits, from "
            f"distance {dots[0].distance:g} to {dots[-1].distance:g}, {found} are found.",
        )

    def _show_speeds(self, result: TablesResult) -> None:
        self._verdict.set_text(_verdict(result))
        self._speeds.clear()
        with self._speeds:
            table(
                ("search", "found", "µs, all at once", "µs, one a call"),
                [
                    _speed(f"{result.m} tables of {result.k} bits", result.recall, result.tables),
                    _speed("exact search", 1.0, result.exact),
                    _speed("NumPy", 1.0, result.numpy),
                ],
                caption="What is found of the ten nearest, and the time of a query, by one thread",
            )


def _figure(name: str) -> TextElement:
    with tag("div"):
        tag("dt", name)
        return tag("dd", "…")


def _redraw(shown: ui.echart, options: dict[str, Any], describes: str) -> None:
    shown.options.clear()
    shown.options.update(options)
    shown.props["aria-label"] = describes
    shown.update()


def _neighbour(own: Neighbour) -> None:
    """One of the nearest: what it is, how far, and whether it was found."""
    with tag("li", classes="lk-found" if own.found else "lk-missed"):
        picture(thumbnail_url(own.id), f"a {own.label}", small=True)
        tag("span", "found" if own.found else "missed", classes="lk-lab-fate")
        tag("span", f"{own.distance:.0f} away", classes="lk-muted")
        tag("span", f"chance {own.chance:.0%}", classes="lk-muted")


def _speed(name: str, recall: float, speed: Speed) -> tuple[str, ...]:
    return name, f"{recall:.1%}", f"{speed.batch:,.1f}", f"{speed.call:,.1f}"


def _verdict(result: TablesResult) -> str:
    """How the tables do beside exact search, as it is."""
    times = result.exact.batch / result.tables.batch
    how = f"{times:.1f} times faster" if times >= 1 else f"{1 / times:.1f} times slower"
    return (
        f"These tables took {result.build_ms:,.1f} ms to build, and are {how} than the exact "
        f"search of lookalike, which misses nothing; they find {result.recall:.0%} of the ten "
        "nearest. Of so few digits all can be compared in no time: tables pay when there are many "
        "more. Times are of this machine, just now."
    )
