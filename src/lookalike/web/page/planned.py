"""A plan, shown before anything moves: every file that goes, and every one that would stay."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from lookalike.album.acting import Applied
from lookalike.album.catalog import content_id
from lookalike.album.plan import Removal
from lookalike.album.verdicts import legible, size_text
from lookalike.web.collection import text_of
from lookalike.web.page.paged import Paged
from lookalike.web.page.parts import button, files_text, notice, picture, plain, tag, thumbnail_url

__all__ = ["show_plan"]

_SIDE = 192  # pixels of a thumbnail
_SAFE = (
    "Each is checked once more right before, byte by byte where it is an exact copy. They can be "
    "brought back."
)


class _Row(NamedTuple):
    """A file of the plan, and why it would stay against it."""

    removal: Removal
    why: str | None


def show_plan(
    checked: Applied, close: Callable[[], object], follow: Callable[[], Awaitable[None]]
) -> None:
    """Show what a plan would do, by its check; files that would stay against it come first."""
    going, stay = len(checked.done), len(checked.refused)
    if going:
        tag("h2", f"{files_text(going)} to go to the trash, {size_text(checked.freed_bytes)}")
        tag("p", _SAFE, classes="lk-muted")
    else:
        tag("h2", "Nothing would be moved")
    if stay:
        notice(f"{stay:,} more would stay, and come first below.", kind="warning")
    rows = [_Row(own.removal, own.why) for own in checked.refused]
    rows += [_Row(own, None) for own in checked.done]
    Paged(
        tag("ul", classes="lk-plan", tabindex="0", aria_label="Files of the plan"),
        rows,
        _show_row,
        label="More files of the plan",
    )
    with tag("div", classes="lk-row lk-ends"):
        if going:
            button("Move to trash", follow, main=True)
        button("Cancel", close)


def _show_row(row: _Row) -> None:
    own = row.removal
    with tag("li", classes="lk-stays" if row.why else ""):
        with tag("div", classes="lk-both"):
            for digest in (own.digest, own.keeper_digest):
                picture(thumbnail_url(text_of(content_id(digest)), _SIDE), "")
        with tag("div", classes="lk-words"):
            tag("span", plain(legible(own.path)), classes="lk-name-of")
            keeper = f"{legible(own.keeper)} stays ({legible(own.reason)}); {size_text(own.size)}"
            tag("span", plain(keeper), classes="lk-muted lk-small")
            if row.why is not None:
                tag("span", plain(f"Would stay: {legible(row.why)}"), classes="lk-flag")
