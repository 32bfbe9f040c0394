"""Progress of long work: told in bytes, and an opportunity to stop."""

from __future__ import annotations

from collections.abc import Callable

from lookalike.errors import Cancelled

__all__ = ["Progress", "Progressing"]

Progress = Callable[[int, int], object]  # (done, total) bytes -> False to cancel


class Progressing:
    """Counts what is done, tells a callback, and cancels when it says False.

    Parameters
    ----------
    callback : callable or None
        Called with what is done and the total.
    total : int
    """

    def __init__(self, callback: Progress | None, total: int) -> None:
        self._callback, self._total, self._done = callback, total, 0

    def __call__(self, count: int) -> None:
        """So many more are done."""
        self._done = min(self._done + count, self._total)
        if self._callback is not None and self._callback(self._done, self._total) is False:
            raise Cancelled(
                f"stopped after {self._done:,} of {self._total:,} bytes, as progress asked for; "
                "nothing has changed. Call again to start anew."
            )
