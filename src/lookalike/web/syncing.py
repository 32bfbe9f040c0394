"""A sync of the album that is served, in a thread of its own; the album stays searchable."""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from lookalike.album.album import Album
from lookalike.album.sync import Synced
from lookalike.errors import Cancelled, Locked, LookalikeError

__all__ = ["SyncState", "Syncing"]

Phase = Literal["idle", "looking", "reading"]


@dataclass(frozen=True, slots=True)
class SyncState:
    """How far a sync is.

    Attributes
    ----------
    version : int
        Grows with every change.
    phase : {"idle", "looking", "reading"}
    run : int
        How many were started.
    looked, read : int
        Files that it has looked at, and read.
    to_read : int or None
        Files that have changed; None until all were looked at.
    seconds : float
        Since it has started, or from start to end.
    reading_s : float
        Of these, since it reads.
    ended : {"well", "cancelled", "badly"} or None
        How the last one has ended.
    error : str or None
        Why it has ended badly.
    report : Synced or None
        Of the last that has ended well.
    """

    version: int = 0
    phase: Phase = "idle"
    run: int = 0
    looked: int = 0
    read: int = 0
    to_read: int | None = None
    seconds: float = 0.0
    reading_s: float = 0.0
    ended: Literal["well", "cancelled", "badly"] | None = None
    error: str | None = None
    report: Synced | None = None

    @property
    def is_running(self) -> bool:
        """Whether one is under way."""
        return self.phase != "idle"

    @property
    def rate(self) -> float | None:
        """Files read in a second."""
        return self.read / self.reading_s if self.read and self.reading_s > 0 else None

    @property
    def eta_s(self) -> float | None:
        """Seconds until all are read, at this rate."""
        if self.phase != "reading" or self.rate is None or self.to_read is None:
            return None
        return (self.to_read - self.read) / self.rate

    def to_dict(self) -> dict[str, Any]:
        """As the HTTP API tells it."""
        own = asdict(replace(self, report=None))
        del own["reading_s"]
        return own | {
            "rate": self.rate,
            "eta_s": self.eta_s,
            "report": None if self.report is None else self.report.to_dict(),
        }


class Syncing:
    """Starts and cancels syncs, one at a time.

    Parameters
    ----------
    album : Album
        It is only named: a sync has one of its own, so that its changes are seen whole.
    """

    def __init__(self, album: Album) -> None:
        self._path, self._home = album.path, album.home
        self._lock = threading.Lock()
        self._state = SyncState()
        self._started = self._reads_since = 0.0
        self._cancelled = False
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    @property
    def is_closed(self) -> bool:
        """Whether the server is about to end: nobody need wait for news."""
        return self._closed.is_set()

    def state(self) -> SyncState:
        """How far it is now."""
        with self._lock:
            if not self._state.is_running:
                return self._state
            now = time.monotonic()
            reading_s = now - self._reads_since if self._state.phase == "reading" else 0.0
            return replace(self._state, seconds=now - self._started, reading_s=reading_s)

    def start(self, *, retry: bool = False, emptied: bool = False) -> SyncState:
        """Begin a sync.

        Parameters
        ----------
        retry : bool
            Read unreadable pictures again.
        emptied : bool
            It is right that no picture is there any more.

        Raises
        ------
        Locked
            When one is under way.
        """
        with self._lock:
            if self._state.is_running or self._closed.is_set():
                raise Locked(
                    "a sync must be the only one of an album; one is under way. Wait until it has "
                    "ended, or cancel it."
                )
            self._cancelled = False
            self._started = time.monotonic()
            last = self._state
            self._state = SyncState(last.version + 1, "looking", last.run + 1, report=last.report)
            self._thread = threading.Thread(
                target=self._run, args=(retry, emptied), name="lookalike-sync", daemon=True
            )
            self._thread.start()
            return self._state

    def cancel(self) -> SyncState:
        """Ask the sync to end after the picture that it is at. What it has committed stays."""
        self._cancelled = True
        return self.state()

    def wait(self, seconds: float | None = None) -> SyncState:
        """Wait until no sync is under way."""
        if self._thread is not None:
            self._thread.join(seconds)
        return self.state()

    def end_news(self) -> None:
        """Let those who wait for news go."""
        self._closed.set()

    def close(self) -> None:
        """Cancel what is under way, and wait for it."""
        self._closed.set()
        self.cancel()
        self.wait()

    def _run(self, retry: bool, emptied: bool) -> None:
        self._ended(self._outcome(retry, emptied))

    def _outcome(self, retry: bool, emptied: bool) -> dict[str, Any]:
        try:
            with Album(self._path, at=self._home) as album:
                report = album.sync(
                    retry=retry, emptied=emptied, workers=_workers(), progress=self._progress
                )
        except Cancelled:
            return {"ended": "cancelled"}
        except LookalikeError as error:
            return {"ended": "badly", "error": str(error)}
        except Exception:  # nobody else would hear of it
            traceback.print_exc(file=sys.stderr)
            return {"ended": "badly", "error": "it met a mistake of ours: see the server's log"}
        return {"ended": "well", "report": report}

    def _progress(self, done: int, total: int | None) -> bool:
        if total is None:
            self._change(looked=done)
        else:
            if self._state.phase == "looking":
                self._reads_since = time.monotonic()
            self._change(phase="reading", read=done, to_read=total)
        return not self._cancelled

    def _change(self, **changes: Any) -> None:
        with self._lock:
            self._state = replace(self._state, version=self._state.version + 1, **changes)

    def _ended(self, outcome: dict[str, Any]) -> None:
        last = self.state()
        self._change(phase="idle", seconds=last.seconds, reading_s=last.reading_s, **outcome)


def _workers() -> int:
    """One core is left for those who search meanwhile."""
    return max(1, len(os.sched_getaffinity(0)) - 1)
