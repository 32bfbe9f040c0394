"""Work off the event loop: so much at a time, so much that waits, for so long."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar, cast

from lookalike.errors import LookalikeError
from lookalike.web.limits import Limits

__all__ = ["Busy", "TooSlow", "Work"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Busy(LookalikeError):
    """As many requests as may wait are waiting."""


class TooSlow(LookalikeError):
    """A request takes longer than it may."""


class Work:
    """Threads that do what blocks.

    Parameters
    ----------
    limits : Limits
    threads : int, optional
        One for each core, and one so that decoding holds nobody up, unless given.
    """

    def __init__(self, limits: Limits, threads: int | None = None) -> None:
        self._limits = limits
        self._under_way = 0
        self._threads = ThreadPoolExecutor(
            threads or len(os.sched_getaffinity(0)) + 1, "lookalike-web"
        )

    @property
    def under_way(self) -> int:
        """Calls that are at work or wait."""
        return self._under_way

    async def run(self, function: Callable[_P, _T], *args: _P.args, **named: _P.kwargs) -> _T:
        """Call a function in a thread.

        Raises
        ------
        Busy
            At once, when too many wait.
        TooSlow
            When it takes too long. The thread goes on until the function ends.
        """
        future = self._begun(functools.partial(function, *args, **named))
        try:
            return cast("_T", await asyncio.wait_for(asyncio.shield(future), self._limits.seconds))
        except TimeoutError:
            raise TooSlow(
                f"a request may take {self._limits.seconds:g} s; this one takes longer. Ask for "
                "less, or again when less is going on."
            ) from None

    async def finish(self, function: Callable[_P, _T], *args: _P.args, **named: _P.kwargs) -> _T:
        """The same, however long it takes: who moves files must learn how it went.

        Raises
        ------
        Busy
            At once, when too many wait.
        """
        return cast(
            "_T", await asyncio.shield(self._begun(functools.partial(function, *args, **named)))
        )

    def _begun(self, call: Callable[[], Any]) -> asyncio.Future[Any]:
        if self._under_way >= self._limits.waiting:
            raise Busy(
                f"at most {self._limits.waiting:,} requests are answered or wait at a time; there "
                "are as many now. Ask again in a second."
            )
        self._under_way += 1
        future = asyncio.get_running_loop().run_in_executor(self._threads, call)
        future.add_done_callback(self._ended)
        return future

    def _ended(self, future: asyncio.Future[Any]) -> None:
        self._under_way -= 1
        if not future.cancelled():
            future.exception()  # of one that nobody waits for any more: it was seen

    def close(self) -> None:
        """Take no more, and wait for no one."""
        self._threads.shutdown(wait=False, cancel_futures=True)
