"""How far files are moved or brought back, with a button that ends it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import ui

from lookalike.album.verdicts import size_text
from lookalike.web.moving import MoveState, Moving
from lookalike.web.page.parts import button, files_text, tag

__all__ = ["MoveBar", "cancelled_text"]

_LOOK_S = 0.25
_DOES = {
    "checking": "Checking",
    "moving": "Moving to the trash",
    "restoring": "Bringing back",
}


class MoveBar:
    """A bar for as long as files are moved, whoever has begun it; nothing otherwise.

    Parameters
    ----------
    moving : Moving
    ended : callable
        Called when it has ended: what is shown may have changed.
    """

    def __init__(self, moving: Moving, ended: Callable[[], Awaitable[None]]) -> None:
        self._moving, self._ended = moving, ended
        self._is_shown = False
        with tag("div", classes="lk-moving") as self._place:
            self._line = tag("p")
            self._bar = tag("progress", classes="lk-progress", max="1", aria_label="Files moved")
            button("Cancel", moving.cancel, small=True)
        self._place.set_visibility(False)
        ui.timer(_LOOK_S, self._look)

    async def _look(self) -> None:
        state = self._moving.state()
        if state.is_running:
            self._line.text = _line(state)
            self._bar.props["value"] = f"{_share(state):.3f}"
        was_shown, self._is_shown = self._is_shown, state.is_running
        if was_shown != self._is_shown:
            self._place.set_visibility(self._is_shown)
            if was_shown:
                await self._ended()


def cancelled_text(state: MoveState, *, restoring: bool = False) -> str:
    """What a cancelled move has left, in words."""
    head = f"Cancelled after {state.done:,} of {state.total:,} files."
    if restoring:
        return f"{head} Those are back; the rest can be brought back later."
    return f"{head} What was moved stays moved, and can be brought back."


def _line(state: MoveState) -> str:
    sizes = f"{size_text(state.bytes)} of {size_text(state.total_bytes)}"
    does = "Ending after this file" if state.ending else _DOES[state.phase]
    return f"{does}: {state.done:,} of {files_text(state.total)}, {sizes}"


def _share(state: MoveState) -> float:
    """By bytes, which take the time; of empty files by their number."""
    if state.total_bytes:
        return state.bytes / state.total_bytes
    return state.done / state.total if state.total else 0.0
