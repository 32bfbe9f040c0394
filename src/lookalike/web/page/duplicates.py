"""Duplicates: groups, decisions, a plan that is reviewed before anything moves, and undo."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement
from nicegui.events import KeyEventArguments

from lookalike.album.group import DuplicateGroup, Member
from lookalike.album.plan import Plan
from lookalike.album.verdicts import Verdict, flags, legible, link_text, size_text, verdicts
from lookalike.errors import LookalikeError
from lookalike.web.collection import text_of
from lookalike.web.page.asked import LAST, whole_number
from lookalike.web.page.frame import frame
from lookalike.web.page.parts import (
    button,
    figures,
    heading,
    nothing,
    notice,
    panel,
    picture,
    picture_url,
    plain,
    tag,
    thumbnail_url,
    wrong,
)
from lookalike.web.review import Groups, file_id, group_id
from lookalike.web.site import Site
from lookalike.web.work import Busy, TooSlow

__all__ = ["add"]

_PAGE = 20  # groups
_MOST_SHOWN = 24  # members of a group, and files of a plan that are listed at once
_LISTED = 200
_LEVELS = {
    "exact": "the same bytes",
    "near": "the same picture, saved anew",
    "similar": "also edited ones",
}
_WORDS = {
    Verdict.KEEPER: "stays",
    Verdict.REFERENCE: "stays",
    Verdict.MAY_GO: "may go",
    Verdict.LOOK: "look at it",
}
_WEAK = 0.8  # of a threshold
_LOOK_S = 2.0  # until groups that are being found are asked for again
_KEYS = "Keys: n next, p previous, y keep all, x not duplicates, u undo"


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
        self._figures = tag("div")
        self._groups = tag("div")
        with ui.dialog() as self._dialog, tag("div", classes="lk-dialog") as self._plan_place:
            pass
        ui.keyboard(on_key=self._on_key, ignore=["input", "select", "textarea"])

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
            acts = await self.site.work.run(review.journal)
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
        undone = next((act.number for act in acts if act.can_be_undone), None)
        self._fill_undo(undone)
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

    def _fill_undo(self, act: int | None) -> None:
        self._undo.clear()
        with self._undo:
            if self.site.review.can_forget:
                button("Undo last decision", self._forget)
            if act is not None:
                button("Bring back from trash", partial(self._bring_back, act))
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
                tag("span", _KEYS, classes="lk-muted lk-keys")

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
            for number, group in enumerate(shown.groups):
                self._rows.append(self._row(number, group))
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

    def _row(self, number: int, group: DuplicateGroup) -> TextElement:
        own = group_id(group)
        chosen = self.site.review.chosen(own)
        keeper = chosen or file_id(group.keeper)
        with panel("lk-group") as row:
            row.props["data-group"] = own
            freed = size_text(group.freed_bytes)
            tag("h2", f"{len(group):,} files, {freed} to be freed")
            tag("p", _reason(group, chosen=chosen is not None), classes="lk-muted")
            weak = group.weakest_link
            told = flags(group)
            if weak is not None and weak.nearness >= _WEAK:
                told = [*told, f"weakest link: {legible(link_text(weak))}"]
            for text in told:
                tag("p", plain(text), classes="lk-flag")
            with tag("ul", classes="lk-members"):
                for member, verdict in verdicts(group)[:_MOST_SHOWN]:
                    self._member(own, member, verdict, is_keeper=file_id(member) == keeper)
            if len(group) > _MOST_SHOWN:
                tag("p", f"and {len(group) - _MOST_SHOWN:,} more files", classes="lk-muted")
            with tag("div", classes="lk-row"):
                button("Keep all", partial(self._decide, number, "keep"))
                button("Not duplicates", partial(self._decide, number, "apart"))
        return row

    def _member(self, group: str, member: Member, verdict: Verdict, *, is_keeper: bool) -> None:
        content = member.content
        picture_id = text_of(content.id)
        name = plain(legible(member.path))
        with tag("li", classes="lk-member lk-keeper" if is_keeper else "lk-member"):
            with tag("a", href=picture_url(picture_id), target="_blank", classes="lk-shot"):
                picture(thumbnail_url(picture_id), name)
            tag("p", name, classes="lk-name-of")
            size = f"{content.width or 0:,} x {content.height or 0:,}, {size_text(content.size)}"
            tag("p", size, classes="lk-muted lk-small")
            if member.link is not None and not is_keeper:
                tag("p", plain(legible(link_text(member.link))), classes="lk-muted lk-small")
            if is_keeper:
                tag("p", "stays", classes="lk-mark lk-mark-keeper")
            else:
                chosen = self.site.review.chosen(group)
                word = _WORDS[verdict] if chosen is None else "not the keeper"
                tag("p", word, classes="lk-mark")
                button("Keep this one", partial(self._choose, group, file_id(member)), small=True)

    # ---- what a reader does

    async def _on_level(self, event: Any) -> None:
        ui.navigate.to("/duplicates?" + urlencode({"level": event.value}))

    async def _on_folder(self, event: Any) -> None:
        asked = {"level": self.level} | ({"folder": event.value} if event.value else {})
        ui.navigate.to("/duplicates?" + urlencode(asked))

    async def _on_key(self, event: KeyEventArguments) -> None:
        if (
            not event.action.keydown
            or self._dialog.value
            or any((event.modifiers.ctrl, event.modifiers.alt, event.modifiers.meta))
        ):
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
        self.site.review.choose(group, file)
        if self.shown is not None:
            self._fill_groups(self.shown)

    async def _decide(self, number: int, kind: str) -> None:
        if self.shown is None or number >= len(self.shown.groups):
            return
        self.at = number
        review, group = self.site.review, group_id(self.shown.groups[number])
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
        except LookalikeError as error:
            text = str(error)
        self._said.text = plain(text)
        await self.show()

    # ---- the plan

    async def _review_plan(self) -> None:
        review = self.site.review
        try:
            made = await self.site.work.finish(review.plan, self.level, folder=self.folder)
            checked = await self.site.work.finish(review.apply, made)
        except LookalikeError as error:
            self._said.text = plain(str(error))
            return
        self._plan_place.clear()
        with self._plan_place:
            _show_plan(
                review.planned(made),
                [(own.removal.path, own.why) for own in checked.refused],
                self._dialog.close,
                partial(self._follow, made),
            )
        self._dialog.open()

    async def _follow(self, plan: str) -> None:
        self._dialog.close()
        self._said.text = "Moving files to the trash ..."
        await self._do(_told, partial(self.site.review.apply, dry_run=False), plan)


def _told(done: Any) -> str:
    """How it went: what was done, and what was refused for which reason."""
    return "\n".join(legible(line) for line in str(done).split("\n")[:_MOST_SHOWN])


def _show_plan(
    plan: Plan,
    refused: list[tuple[bytes, str]],
    close: Callable[[], object],
    follow: Callable[[], Awaitable[None]],
) -> None:
    """What would be done, before it is."""
    tag("h2", f"{len(plan.removals):,} files go to the trash, {size_text(plan.freed_bytes)}")
    tag(
        "p",
        "Each is checked once more right before, byte by byte where it is an exact copy. They can "
        "be brought back.",
        classes="lk-muted",
    )
    with tag("ul", classes="lk-plan", tabindex="0", aria_label="Files that go"):
        for own in plan.removals[:_LISTED]:
            with tag("li"):
                tag("span", plain(legible(own.path)), classes="lk-name-of")
                stays = f"{legible(own.keeper)} stays ({own.reason})"
                tag("span", plain(stays), classes="lk-muted lk-small")
        if len(plan.removals) > _LISTED:
            tag("li", f"and {len(plan.removals) - _LISTED:,} more")
    for path, why in refused[:_MOST_SHOWN]:
        notice(plain(f"{legible(path)} would stay: {why}"), kind="warning")
    with tag("div", classes="lk-row"):
        if plan.removals:
            button("Move to trash", follow, main=True)
        button("Cancel", close)


def _reason(group: DuplicateGroup, *, chosen: bool) -> str:
    why = "you have chosen it" if chosen else legible(group.why)
    return plain(f"The one that stays: {why}.")
