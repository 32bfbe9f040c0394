"""Work off the event loop: so much at a time, so much that waits, for so long."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar, cast

from lookalike.errors import LookalikeError
from lookalike.web.lane import Lane
from lookalike.web.limits import Limits

__all__ = ["Busy", "TooSlow", "Work"]

_P = ParamSpec("_P")
_T = TypeVar("_T")
_Item = TypeVar("_Item")


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
        self._lane = Lane()
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
        return cast(
            "_T", await self._in_time(self._begun(functools.partial(function, *args, **named)))
        )

    async def run_each(
        self, kind: Hashable, function: Callable[[Sequence[_Item]], Sequence[_T]], item: _Item
    ) -> _T:
        """The result for one of many small items: where these are brief, of several together.

        Parameters
        ----------
        kind : hashable
            Items of one kind take about as long as each other.
        function : callable
            Takes items of one kind, and gives a result for each.
        item : object

        Raises
        ------
        Busy, TooSlow
            As :meth:`run`.
        """
        if not self._lane.takes(kind):
            return cast("_T", (await self.run(self._lane.timed, kind, function, [item]))[0])
        self._check_busy()
        return cast("_T", await self._in_time(self._counted(self._lane.put(kind, function, item))))

    async def _in_time(self, future: asyncio.Future[Any]) -> Any:
        """What a call returns, if it ends early enough."""
        await asyncio.wait((future,), timeout=self._limits.seconds)
        if not future.done():
            raise TooSlow(
                f"a request may take {self._limits.seconds:g} s; this one takes longer. Ask for "
                "less, or again when less is going on."
            )
        return future.result()

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
        self._check_busy()
        return self._counted(asyncio.get_running_loop().run_in_executor(self._threads, call))

    def _check_busy(self) -> None:
        if self._under_way >= self._limits.waiting:
            raise Busy(
                f"at most {self._limits.waiting:,} requests are answered or wait at a time; there "
                "are as many now. Ask again in a second."
            )

    def _counted(self, future: asyncio.Future[Any]) -> asyncio.Future[Any]:
        self._under_way += 1
        future.add_done_callback(self._ended)
        return future

    def _ended(self, future: asyncio.Future[Any]) -> None:
        self._under_way -= 1
        if not future.cancelled():
            future.exception()  # of one that nobody waits for any more: it was seen

    def close(self) -> None:
        """Take no more, and wait for no one."""
        self._lane.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
