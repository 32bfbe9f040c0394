"""Files that are moved or brought back: one plan or act at a time, how far it is, and its end."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from lookalike.album.acting import Applied, Undone
from lookalike.album.album import Album
from lookalike.album.deeds import Act
from lookalike.album.plan import Plan
from lookalike.errors import Cancelled, Locked

__all__ = ["MoveState", "Moving"]

Phase = Literal["idle", "checking", "moving", "restoring"]
Tell = Callable[[int, int | None], bool]


@dataclass(frozen=True, slots=True)
class MoveState:
    """How far files are moved.

    Attributes
    ----------
    version : int
        Grows with every change.
    phase : {"idle", "checking", "moving", "restoring"}
        "checking" touches nothing; "restoring" brings files back.
    done, total : int
        Files; those that were refused are done too.
    bytes, total_bytes : int
        Of these.
    seconds : float
        Since it has started, or from start to end.
    ending : bool
        Whether it was asked to end before the next file.
    ended : {"well", "cancelled", "badly"} or None
        How the last one has ended.
    """

    version: int = 0
    phase: Phase = "idle"
    done: int = 0
    total: int = 0
    bytes: int = 0
    total_bytes: int = 0
    seconds: float = 0.0
    ending: bool = False
    ended: Literal["well", "cancelled", "badly"] | None = None

    @property
    def is_running(self) -> bool:
        """Whether files are moved or checked now."""
        return self.phase != "idle"

    def to_dict(self) -> dict[str, Any]:
        """As the HTTP API tells it."""
        return asdict(self)


class Moving:
    """Follows plans and undoes acts, one at a time; others see how far it is, and may cancel it.

    Parameters
    ----------
    album : Album
    """

    def __init__(self, album: Album) -> None:
        self._album = album
        self._one_at_a_time = threading.Lock()
        self._lock = threading.Lock()
        self._state = MoveState()
        self._started = 0.0
        self._cancelled = self._closed = False

    def state(self) -> MoveState:
        """How far it is now."""
        with self._lock:
            if not self._state.is_running:
                return self._state
            return replace(self._state, seconds=time.monotonic() - self._started)

    def apply(self, plan: Plan, *, dry_run: bool = True) -> Applied:
        """Check a plan, or follow it: files go to the trash.

        Raises
        ------
        Locked
            When others are moved now.
        Cancelled
            What was moved until then stays moved, and is in the journal.
        """
        sizes = [removal.size for removal in plan.removals]
        with self._running("checking" if dry_run else "moving", sizes) as tell:
            return self._album.apply(plan, dry_run=dry_run, progress=tell)

    def undo(self, act: int | None = None, *, dry_run: bool = False) -> Undone:
        """Bring the files of an act back; of the last, unless another is named.

        Raises
        ------
        Locked
            When others are moved now.
        Cancelled
            What is back until then stays, and the rest can be undone later.
        """
        sizes = _sizes(self._album.journal(), act)
        with self._running("checking" if dry_run else "restoring", sizes) as tell:
            return self._album.undo(act, dry_run=dry_run, progress=tell)

    def cancel(self) -> MoveState:
        """Ask it to end before the next file."""
        with self._lock:
            self._cancelled = True
            if self._state.is_running:
                version = self._state.version + 1
                self._state = replace(self._state, version=version, ending=True)
        return self.state()

    def end(self) -> None:
        """Cancel what is under way, and begin nothing more: the server is about to end."""
        self._closed = True
        self.cancel()

    def close(self) -> None:
        """Cancel what is under way, and wait for it."""
        self.end()
        with self._one_at_a_time:
            pass

    @contextlib.contextmanager
    def _running(self, phase: Phase, sizes: Sequence[int]) -> Iterator[Tell]:
        """While files are moved; gives what is to be told how many are done."""
        if self._closed or not self._one_at_a_time.acquire(blocking=False):
            raise Locked(
                "files must be moved for one at a time; others are moved or checked now. Wait "
                "until that has ended, or cancel it."
            )
        try:
            self._begin(phase, sizes)
            with self._ending():
                yield self._telling(sizes)
        finally:
            self._one_at_a_time.release()

    def _begin(self, phase: Phase, sizes: Sequence[int]) -> None:
        with self._lock:
            self._cancelled = self._closed
            self._started = time.monotonic()
            self._state = MoveState(
                self._state.version + 1, phase, total=len(sizes), total_bytes=sum(sizes)
            )

    @contextlib.contextmanager
    def _ending(self) -> Iterator[None]:
        """Write down how it has ended."""
        ended: Literal["well", "cancelled", "badly"] = "badly"
        try:
            yield
            ended = "well"
        except Cancelled:
            ended = "cancelled"
            raise
        finally:
            self._change(phase="idle", seconds=self.state().seconds, ending=False, ended=ended)

    def _telling(self, sizes: Sequence[int]) -> Tell:
        bytes_before = list(itertools.accumulate(sizes, initial=0))

        def tell(done: int, total: int | None) -> bool:
            known = min(done, len(sizes))  # a run that was cut off may have changed what is away
            self._change(done=done, total=total or 0, bytes=bytes_before[known])
            return not self._cancelled

        return tell

    def _change(self, **changes: Any) -> None:
        with self._lock:
            self._state = replace(self._state, version=self._state.version + 1, **changes)


def _sizes(acts: Sequence[Act], number: int | None) -> list[int]:
    """Of the files that an undo of this act brings back, in its order."""
    able = [act for act in acts if act.can_be_undone and number in (None, act.number)]
    return [deed.size for deed in able[-1].away] if able else []
