"""Album: what is in it, its sync, what was moved, unreadable files, and recall on demand."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from lookalike.album.acts import ActFacts
from lookalike.album.facts import AlbumFacts
from lookalike.album.verdicts import legible, size_text
from lookalike.errors import Cancelled, LookalikeError
from lookalike.web.page.frame import frame
from lookalike.web.page.journal import show_journal
from lookalike.web.page.moving import MoveBar, cancelled_text
from lookalike.web.page.paged import Paged
from lookalike.web.page.parts import button, figures, heading, panel, plain, section, tag, wrong
from lookalike.web.site import Site
from lookalike.web.syncing import SyncState

__all__ = ["add"]

_LOOK_S = 0.5
_MOST_ACTS = 10_000
_MEASURED_K = 10
_HEADS = ("encoder", "version", "vectors", "on the disk", "how it is searched")
_READ_AGAIN = "Read again when they change."


def add(site: Site) -> None:
    """Add this page."""

    @ui.page("/album", response_timeout=site.limits.seconds + 5)
    async def page() -> None:
        with frame(site, "/album"):
            await _View(site).show()


class _View:
    """What is shown to one reader."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._known = -1
        heading("The album", "What is in it, and what its last sync has found.")
        self._facts = tag("div")
        with section("Sync", "Finds new, changed, moved and deleted pictures."), panel():
            self._line = tag("p", role="status")
            self._bar = tag("progress", classes="lk-progress", max="1", aria_label="Progress")
            with tag("div", classes="lk-row"):
                self._start = button("Sync now", self._begin, main=True)
                self._stop = button("Cancel", self._cancel)
        with section("Recall", "Searches for members, each left out, beside exact search."):
            self._recall = tag("div")
        with section("What was moved", "By plans, to the trash or to a folder."), panel():
            self._said = tag("p", classes="lk-said", role="status")
            MoveBar(site.review.moving, self.show)
            self._journal = tag("div")
        self._unreadable = tag("div")
        ui.timer(_LOOK_S, self._look)

    async def show(self) -> None:
        """Look at the album, and show it."""
        album = self.site.album.album
        try:
            facts = await self.site.work.run(album.info)
            troubles = await self.site.work.run(album.catalog.troubles)
            journal = await self.site.work.run(self.site.review.journal, 0, _MOST_ACTS)
        except LookalikeError as error:
            self._facts.clear()
            with self._facts:
                wrong("The album cannot be read", str(error))
            return
        self._fill_facts(facts)
        self._fill_recall()
        self._fill_unreadable(troubles)
        self._fill_journal(journal.acts)
        self._tell(self.site.syncing.state())

    def _fill_facts(self, facts: AlbumFacts) -> None:
        self._facts.clear()
        with self._facts:
            own = facts.to_dict()
            figures(
                {
                    "pictures": f"{own['pictures']:,}",
                    "files": f"{own['files']:,}",
                    "cannot be read": f"{own['unreadable']:,}",
                    "all files together": size_text(own["bytes"]),
                    "indexes on the disk": size_text(
                        sum(index["bytes"] for index in facts.encoders.values())
                    ),
                }
            )
            with _scrolled("Encoders"), tag("table"):
                with tag("thead"), tag("tr"):
                    for head in _HEADS:
                        tag("th", head, scope="col")
                with tag("tbody"):
                    for name, index in facts.encoders.items():
                        self._fill_encoder(name, index)

    def _fill_encoder(self, name: str, facts: Mapping[str, Any]) -> None:
        """A row of the table of encoders."""
        index = self.site.album.album.index(name)
        with tag("tr"):
            tag("th", plain(legible(name)), scope="row")
            tag("td", plain(legible(facts["version"] or "unknown")))
            tag("td", f"{len(index):,}")
            tag("td", size_text(facts["bytes"]))
            tag("td", str(index.plan) if len(index) else "empty", classes="lk-long")

    def _fill_recall(self) -> None:
        self._recall.clear()
        with self._recall, tag("ul", classes="lk-plain"):
            for name in self.site.album.encoders:
                with tag("li", classes="lk-row"):
                    tag("strong", plain(legible(name)))
                    said = tag("span", "not measured yet", role="status")
                    button("Measure", partial(self._measure, name, said))

    async def _measure(self, name: str, said: TextElement) -> None:
        said.text = "measuring ..."
        try:
            _, own = await self.site.work.run(self.site.album.measure, name, _MEASURED_K)
            text = (
                f"recall of the {own.k} nearest {own.recall:.4f}; with 95 % confidence from "
                f"{own.low:.4f} to {own.high:.4f} ({own.queries:,} queries)"
            )
        except LookalikeError as error:
            text = str(error)
        said.text = plain(text)

    def _fill_unreadable(self, troubles: list[tuple[bytes, str]]) -> None:
        self._unreadable.clear()
        if not troubles:
            return
        with self._unreadable, section("Files that cannot be read", _READ_AGAIN):
            with _scrolled("Files that cannot be read"), tag("table"):
                into = tag("tbody")
            Paged(into, troubles, _show_trouble, label="More files that cannot be read")

    # ---- what was moved

    def _fill_journal(self, acts: list[ActFacts]) -> None:
        self._journal.clear()
        with self._journal:
            show_journal(acts, self._undo)

    async def _undo(self, act: int) -> None:
        review = self.site.review
        try:
            text = str(await self.site.work.finish(review.undo, act))
        except Cancelled:
            text = cancelled_text(review.moving.state(), restoring=True)
        except LookalikeError as error:
            text = str(error)
        if not self._said.is_deleted:  # the reader may have gone meanwhile
            self._said.text = plain("\n".join(map(legible, text.split("\n"))))
            await self.show()

    # ---- sync

    async def _begin(self) -> None:
        try:
            self._tell(self.site.syncing.start())
        except LookalikeError as error:
            self._line.text = plain(str(error))

    async def _cancel(self) -> None:
        self._tell(self.site.syncing.cancel())

    async def _look(self) -> None:
        state = self.site.syncing.state()
        if state.version != self._known:
            ended = self._known >= 0 and not state.is_running
            self._tell(state)
            if ended:
                await self.show()

    def _tell(self, state: SyncState) -> None:
        self._known = state.version
        self._line.text = plain(_line(state))
        share = state.read / state.to_read if state.to_read else None
        if share is None:
            self._bar.props.pop("value", None)
        else:
            self._bar.props["value"] = f"{share:.3f}"
        self._bar.set_visibility(state.is_running)
        self._stop.set_visibility(state.is_running)
        self._start.set_visibility(not state.is_running)


def _scrolled(label: str) -> TextElement:
    """A place for what may be wider than the page; keys scroll it too."""
    return tag("div", classes="lk-scroll", tabindex="0", role="region", aria_label=label)


def _show_trouble(trouble: tuple[bytes, str]) -> None:
    path, reason = trouble
    with tag("tr"):
        tag("th", plain(legible(path)), scope="row")
        tag("td", plain(legible(reason)))


def _line(state: SyncState) -> str:
    """How far a sync is, in a line."""
    if state.phase == "looking":
        return f"Looking at files: {state.looked:,} so far"
    if state.phase == "reading":
        rate = "" if state.rate is None else f", {state.rate:,.1f} a second"
        left = "" if state.eta_s is None else f", {state.eta_s:,.0f} s left"
        return f"Reading: {state.read:,} of {state.to_read or 0:,}{rate}{left}"
    if state.ended == "badly":
        return f"The last sync has failed: {state.error}"
    if state.ended == "cancelled":
        return "The last sync was cancelled. What it had done stays."
    if state.report is not None:
        return str(state.report).partition("\n")[0]
    return "Not synced since the server has started."
