"""What was moved by each plan, and whether it is back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial

from lookalike.album.acts import ActFacts
from lookalike.album.verdicts import size_text
from lookalike.web.page.paged import Paged
from lookalike.web.page.parts import button, files_text, tag

__all__ = ["show_journal"]

_PAGE = 20
_PLACES = {"trash": "to the trash", "folder": "to a folder outside of the album"}


def show_journal(acts: Sequence[ActFacts], undo: Callable[[int], Awaitable[None]]) -> None:
    """Show acts, the last first, each with a button that undoes it as far as it can be."""
    if not acts:
        tag("p", "No file was moved yet.", classes="lk-muted")
        return
    into = tag("ul", classes="lk-plain lk-acts")
    Paged(into, acts, lambda act: _show(act, undo), label="Earlier", count=_PAGE)


def _show(act: ActFacts, undo: Callable[[int], Awaitable[None]]) -> None:
    with tag("li"):
        with tag("div"):
            tag("strong", f"{files_text(act.files)} {_PLACES[act.how]}, {size_text(act.bytes)}")
            tag("p", f"{_when(act.begun_ns)}: {_state(act)}", classes="lk-muted lk-small")
        if act.can_be_undone:
            undoing = button("Undo", partial(undo, act.number), small=True)
            undoing.props["aria-label"] = f"Undo act {act.number}: {files_text(act.away)}"


def _state(act: ActFacts) -> str:
    """Whether it is undone, and what failed."""
    if not act.files:
        return "nothing could be moved"
    if act.undone == act.files:
        states = ["all are back"]
    elif act.away == act.files:
        states = ["can be undone"]
    else:
        counts = {"can be brought back": act.away, "back": act.undone}
        states = [f"{count:,} {state}" for state, count in counts.items() if count]
    if act.failed:
        states.append(f"{act.failed:,} could not be moved")
    return ", ".join(states) or "none can be brought back"


def _when(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M UTC")
