"""A long list of which a page is shown at a time; all of it can be reached."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from lookalike.web.page.parts import button, tag

__all__ = ["Paged"]

_COUNT = 100
_Row = TypeVar("_Row")


class Paged(Generic[_Row]):
    """Rows that are shown a page at a time.

    Parameters
    ----------
    into : TextElement
        The list or table body that rows are put into. Buttons come where this is made.
    rows : sequence
    show : callable
        Shows one row.
    label : str
        For readers who do not see what the buttons are for: "More files".
    count : int
        Rows of a page.
    """

    def __init__(
        self,
        into: TextElement,
        rows: Sequence[_Row],
        show: Callable[[_Row], object],
        *,
        label: str,
        count: int = _COUNT,
    ) -> None:
        self._into, self._rows, self._show, self._count = into, rows, show, count
        self._first, self._last = 0, max(0, (len(rows) - 1) // count * count)
        self._buttons: dict[str, TextElement] = {}
        self._where: TextElement | None = None
        if self._last:
            self._add_buttons(label)
        self._fill()

    def _add_buttons(self, label: str) -> None:
        with tag("nav", classes="lk-row lk-pages", aria_label=label):
            self._button("First", -self._last)
            self._button("Before", -self._count)
            self._where = tag("span", role="status")
            self._button("Next", self._count)
            self._button("Last", self._last)

    def _button(self, name: str, by: int) -> None:
        self._buttons[name] = button(name, lambda: self._go(self._first + by), small=True)

    def _go(self, first: int) -> None:
        self._first = max(0, min(first, self._last))
        self._fill()
        own = f"getHtmlElement({self._into.id})"
        ui.run_javascript(f"{own}.scrollTop = 0; {own}.scrollIntoView({{block: 'nearest'}})")

    def _fill(self) -> None:
        end = min(self._first + self._count, len(self._rows))
        self._into.clear()
        with self._into:
            for row in self._rows[self._first : end]:
                self._show(row)
        if self._where is not None:
            self._where.text = f"{self._first + 1:,} to {end:,} of {len(self._rows):,}"
        for name, own in self._buttons.items():
            at_end = self._first == (0 if name in ("First", "Before") else self._last)
            own.props["disabled"] = at_end
