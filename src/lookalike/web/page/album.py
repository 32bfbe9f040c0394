"""Album: what is in it, sync with its progress, files that cannot be read, recall on demand."""

from __future__ import annotations

from functools import partial

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement

from lookalike.album.facts import AlbumFacts
from lookalike.album.verdicts import legible, size_text
from lookalike.errors import LookalikeError
from lookalike.web.page.frame import frame
from lookalike.web.page.parts import button, figures, heading, panel, plain, section, tag, wrong
from lookalike.web.site import Site
from lookalike.web.syncing import SyncState

__all__ = ["add"]

_LOOK_S = 0.5
_LISTED = 100
_MEASURED_K = 10


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
        self._unreadable = tag("div")
        ui.timer(_LOOK_S, self._look)

    async def show(self) -> None:
        """Look at the album, and show it."""
        album = self.site.album.album
        try:
            facts = await self.site.work.run(album.info)
            troubles = await self.site.work.run(album.catalog.troubles)
        except LookalikeError as error:
            self._facts.clear()
            with self._facts:
                wrong("The album cannot be read", str(error))
            return
        self._fill_facts(facts)
        self._fill_recall()
        self._fill_unreadable(troubles)
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
                }
            )
            with tag("div", classes="lk-scroll"), tag("table"):
                with tag("thead"), tag("tr"):
                    for head in ("compared by", "vectors", "how it is searched"):
                        tag("th", head, scope="col")
                with tag("tbody"):
                    for name in self.site.album.encoders:
                        index = self.site.album.album.index(name)
                        with tag("tr"):
                            tag("th", plain(legible(name)), scope="row")
                            tag("td", f"{len(index):,}")
                            tag("td", str(index.plan) if len(index) else "empty")

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
        with (
            self._unreadable,
            section("Files that cannot be read", "Read again when they change."),
            tag("div", classes="lk-scroll"),
            tag("table"),
            tag("tbody"),
        ):
            for path, reason in troubles[:_LISTED]:
                with tag("tr"):
                    tag("th", plain(legible(path)), scope="row")
                    tag("td", plain(legible(reason)))
            if len(troubles) > _LISTED:
                with tag("tr"):
                    tag("td", f"and {len(troubles) - _LISTED:,} more", colspan="2")

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
