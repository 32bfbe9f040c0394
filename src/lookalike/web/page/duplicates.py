"""Duplicates: groups, decisions, a plan that is reviewed before anything moves, and undo."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement
from nicegui.events import KeyEventArguments

from lookalike.album.acts import ActFacts
from lookalike.album.verdicts import legible, size_text
from lookalike.errors import Cancelled, LookalikeError
from lookalike.web.page.asked import LAST, whole_number
from lookalike.web.page.frame import frame
from lookalike.web.page.groups import Deciding, group_row
from lookalike.web.page.keys import keys_dialog
from lookalike.web.page.moving import MoveBar, cancelled_text
from lookalike.web.page.parts import button, figures, heading, nothing, notice, plain, tag, wrong
from lookalike.web.page.planned import show_plan
from lookalike.web.review import Groups
from lookalike.web.site import Site
from lookalike.web.work import Busy, TooSlow

__all__ = ["add"]

_PAGE = 20  # groups
_MOST_SAID = 24  # lines
_LEVELS = {
    "exact": "the same bytes",
    "near": "the same picture, saved anew",
    "similar": "also edited ones",
}
_LOOK_S = 2.0  # until groups that are being found are asked for again
_KEYS = {
    "n": "next group (also j)",
    "p": "previous group (also k)",
    "Enter": "compare the file that stays with the next of its group",
    "y": "keep all of the group",
    "x": "they are no duplicates",
    "u": "undo the last decision",
    "?": "this list",
}


def add(site: Site) -> None:
    """Add this page."""

    @ui.page("/duplicates", response_timeout=site.limits.seconds + 5)
    async def page(request: Request) -> None:
        asked = request.query_params
        level = asked.get("level", "near")
        with frame(site, "/duplicates"):
            view = _View(
                site,
                level if level in _LEVELS else "near",
                asked.get("folder") or None,
                whole_number(asked.get("first", ""), 0, 0, LAST),
            )
            await view.show()


class _View:
    """What is shown to one reader."""

    def __init__(self, site: Site, level: str, folder: str | None, first: int) -> None:
        self.site, self.level, self.folder, self.first = site, level, folder, first
        self.at = 0
        self.shown: Groups | None = None
        self._rows: list[TextElement] = []
        heading("What is there twice", "Groups of pictures that are the same, or made of another.")
        self._choices = tag("div", classes="lk-row")
        with tag("div", classes="lk-bar"):
            self._said = tag("p", classes="lk-said", role="status")
            self._undo = tag("div", classes="lk-row")
            MoveBar(site.review.moving, self.show)
        self._figures = tag("div")
        self._groups = tag("div")
        with ui.dialog() as self._dialog, tag("div", classes="lk-dialog") as self._plan_place:
            self._dialog.props["aria-label"] = "The plan"
        self._keys = keys_dialog(_KEYS)
        ui.keyboard(on_key=self._on_key, ignore=["input", "select", "textarea"])
        enter = ui.keyboard(on_key=self._on_enter, repeating=False)
        enter.props["ignore"] = ["input", "select", "textarea", "button", "a"]

    # ---- what is there

    async def show(self) -> None:
        """Look at the groups, and show them."""
        review = self.site.review
        try:
            shown = await self.site.work.run(
                review.groups, self.level, folder=self.folder, first=self.first, count=_PAGE
            )
            if not shown.groups and self.first:  # the last of a page were decided
                self.first = max(0, self.first - _PAGE)
                await self.show()
                return
            folders = await self.site.work.run(review.folders)
            act = await self.site.work.run(review.last_act)
        except (Busy, TooSlow):
            self._groups.clear()
            with self._groups:
                notice("Pictures are being compared. In a large album that takes a while.")
                ui.timer(_LOOK_S, self.show, once=True)
            return
        except LookalikeError as error:
            self._groups.clear()
            with self._groups:
                wrong("The groups cannot be shown", str(error))
            return
        self.shown = shown
        self._fill_choices(folders)
        self._fill_undo(act)
        self._fill_figures(shown)
        self._fill_groups(shown)

    def _fill_choices(self, folders: list[str]) -> None:
        self._choices.clear()
        with self._choices:
            levels = {name: f"{name}: {text}" for name, text in _LEVELS.items()}
            ui.select(
                levels, value=self.level, label="How alike", on_change=self._on_level
            ).classes("lk-wide")
            known = {"": "all folders"} | {own: plain(legible(own)) for own in folders}
            if self.folder is not None and self.folder not in known:
                known[self.folder] = plain(legible(self.folder))
            ui.select(
                known, value=self.folder or "", label="Folder", on_change=self._on_folder
            ).classes("lk-wide")

    def _fill_undo(self, act: ActFacts | None) -> None:
        self._undo.clear()
        with self._undo:
            if self.site.review.can_forget:
                button("Undo last decision", self._forget)
            if act is not None:
                place = " from trash" if act.how == "trash" else ""
                button(f"Bring back{place}", partial(self._bring_back, act.number))
            if act is None and not self.site.review.can_forget:
                tag("span", "Nothing to undo yet", classes="lk-muted")

    def _fill_figures(self, shown: Groups) -> None:
        self._figures.clear()
        if not shown.total:
            return
        with self._figures:
            figures(
                {
                    "groups": f"{shown.total:,}",
                    "files in them": f"{shown.files:,}",
                    "may go": f"{shown.may_go:,}",
                    "to be freed": size_text(shown.freed_bytes),
                }
            )
            with tag("div", classes="lk-row"):
                button("Review the plan", self._review_plan, main=True)
                button("Keys: ?", self._keys.open)

    def _fill_groups(self, shown: Groups) -> None:
        self._groups.clear()
        self._rows = []
        with self._groups:
            if not shown.total:
                nothing(
                    "Nothing is there twice",
                    "No two pictures are alike at this level. Choose a wider one, or sync the "
                    "album.",
                )
                return
            for number, (name, group) in enumerate(shown.groups.items()):
                deciding = Deciding(partial(self._decide, number), partial(self._choose, name))
                self._rows.append(group_row(name, group, deciding))
            self._pages(shown.total)
        self._mark(min(self.at, len(self._rows) - 1), scroll=False)

    def _pages(self, total: int) -> None:
        if total <= _PAGE:
            return
        with tag("nav", classes="lk-row lk-pages", aria_label="More groups"):
            last = min(self.first + _PAGE, total)
            if self.first:
                tag("a", "Before", classes="lk-button", href=self._address(self.first - _PAGE))
            tag("span", f"{self.first + 1:,} to {last:,} of {total:,}")
            if last < total:
                tag("a", "Next", classes="lk-button", href=self._address(last))

    def _address(self, first: int) -> str:
        asked = {"level": self.level, "folder": self.folder, "first": max(first, 0) or None}
        return "/duplicates?" + urlencode({k: v for k, v in asked.items() if v is not None})

    # ---- what a reader does

    async def _on_level(self, event: Any) -> None:
        ui.navigate.to("/duplicates?" + urlencode({"level": event.value}))

    async def _on_folder(self, event: Any) -> None:
        asked = {"level": self.level} | ({"folder": event.value} if event.value else {})
        ui.navigate.to("/duplicates?" + urlencode(asked))

    def _is_for_groups(self, event: KeyEventArguments) -> bool:
        """Whether a key is pressed alone, and no dialog is open that it may be for."""
        others = event.modifiers.ctrl, event.modifiers.alt, event.modifiers.meta
        is_open = self._dialog.value or self._keys.value
        return event.action.keydown and not is_open and not any(others)

    def _on_enter(self, event: KeyEventArguments) -> None:
        if event.key.name == "Enter" and self._is_for_groups(event) and self._rows:
            ui.run_javascript(
                f"getHtmlElement({self._rows[self.at].id})"
                ".querySelector('[data-lk-compare]')?.click()"
            )

    async def _on_key(self, event: KeyEventArguments) -> None:
        if not self._is_for_groups(event):
            return
        key = event.key.name
        if key in ("n", "j"):
            self._mark(self.at + 1)
        elif key in ("p", "k"):
            self._mark(self.at - 1)
        elif key == "y" and not event.action.repeat:
            await self._decide(self.at, "keep")
        elif key == "x" and not event.action.repeat:
            await self._decide(self.at, "apart")
        elif key == "?":
            self._keys.open()
        elif key == "u" and not event.action.repeat and self.site.review.can_forget:
            await self._forget()

    def _mark(self, number: int, *, scroll: bool = True) -> None:
        """Show which group keys are about."""
        if not self._rows:
            return
        self.at = max(0, min(number, len(self._rows) - 1))
        for place, row in enumerate(self._rows):
            is_here = place == self.at
            row.classes(add="lk-at" if is_here else None, remove=None if is_here else "lk-at")
        if scroll:
            ui.run_javascript(
                f"getHtmlElement({self._rows[self.at].id}).scrollIntoView({{block: 'nearest'}})"
            )

    async def _choose(self, group: str, file: str) -> None:
        self.site.review.keepers.choose(group, file)
        await self.show()

    async def _decide(self, number: int, kind: str) -> None:
        if self.shown is None or number >= len(self.shown.groups):
            return
        self.at = number
        review, group = self.site.review, list(self.shown.groups)[number]
        done: Callable[..., Any] = review.keep if kind == "keep" else review.not_duplicates
        said = "All are kept." if kind == "keep" else "Remembered: these are no duplicates."
        await self._do(said, done, group, self.level)

    async def _forget(self) -> None:
        await self._do("The last decision is taken back.", self.site.review.forget_last)

    async def _bring_back(self, act: int) -> None:
        await self._do(_told, self.site.review.undo, act)

    async def _do(
        self, said: str | Callable[[Any], str], work: Callable[..., Any], *args: Any
    ) -> None:
        """Do something, say how it went, and look again."""
        try:
            done = await self.site.work.finish(work, *args)
            text = said if isinstance(said, str) else said(done)
        except Cancelled:
            restoring = work == self.site.review.undo
            text = cancelled_text(self.site.review.moving.state(), restoring=restoring)
        except LookalikeError as error:
            text = str(error)
        if not self._said.is_deleted:  # the reader may have gone meanwhile
            self._said.text = plain(text)
            await self.show()

    # ---- the plan

    async def _review_plan(self) -> None:
        """Make a plan, check all of it, and show what it would do."""
        review = self.site.review
        try:
            plan, checked = await self.site.work.finish(review.reviewed, self.level, self.folder)
        except Cancelled:
            self._said.text = "The check was cancelled. Nothing was touched."
            return
        except LookalikeError as error:
            self._said.text = plain(str(error))
            return
        if self._said.is_deleted:  # the reader may have gone meanwhile
            return
        self._said.text = ""
        self._plan_place.clear()
        with self._plan_place:
            show_plan(checked, self._dialog.close, partial(self._follow, plan))
        self._dialog.open()

    async def _follow(self, plan: str) -> None:
        self._dialog.close()
        self._said.text = ""
        await self._do(_told, partial(self.site.review.apply, dry_run=False), plan)


def _told(done: Any) -> str:
    """How it went: what was done, and what was refused for which reason."""
    lines = str(done).split("\n")
    told = [legible(line) for line in lines[:_MOST_SAID]]
    return "\n".join([*told, *([f"and {more:,} more"] if (more := len(lines) - len(told)) else [])])
