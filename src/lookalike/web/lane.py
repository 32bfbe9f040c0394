"""A lane: one thread that does what is brief, and what waits for it at the same time together.

Handing a call to a pool of threads and taking its result back costs more than a search by member
id does, and threads that all run Python hold each other up. A lane has one thread, to which the
loop hands items by a queue; those that wait there when it is free are done by one call. What is not
brief would hold up all others: a lane remembers how long the last of each kind has taken, and says
which may come.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from queue import SimpleQueue
from typing import Any, NamedTuple

__all__ = ["Each", "Lane", "Result"]

_BRIEF_S = 0.005
_KINDS = 256  # that are remembered
_TOGETHER = 16  # items of one call: none waits long for the others

Each = Callable[[Sequence[Any]], Sequence[Any]]


class _Call(NamedTuple):
    """An item, what is to be called with it, and who waits for the result."""

    kind: Hashable
    function: Each
    item: Any
    waiter: asyncio.Future[Any]


class Result(NamedTuple):
    """What a call has returned, or raised."""

    value: Any = None
    error: BaseException | None = None


class Lane:
    """One thread that does what is brief.

    It begins with the first item. A function that is called takes a sequence of items of one kind,
    and gives a result for each; when it raises, it is called again with each item alone.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._brief: OrderedDict[Hashable, None] = OrderedDict()
        self._one_at_a_time = threading.Lock()

    def takes(self, kind: Hashable) -> bool:
        """Whether the last of this kind was brief."""
        return kind in self._brief

    def timed(self, kind: Hashable, function: Each, items: Sequence[Any]) -> Sequence[Any]:
        """Call a function, and remember how long it takes for an item of this kind."""
        started = time.perf_counter()
        results = function(items)
        took = (time.perf_counter() - started) / len(items)
        self._remember(kind, is_brief=took < _BRIEF_S)
        return results

    def _remember(self, kind: Hashable, *, is_brief: bool) -> None:
        if is_brief == (kind in self._brief):
            return
        with self._one_at_a_time:
            if is_brief:
                self._brief[kind] = None
                if len(self._brief) > _KINDS:
                    self._brief.popitem(last=False)
            else:
                self._brief.pop(kind, None)

    def put(self, kind: Hashable, function: Each, item: Any) -> asyncio.Future[Any]:
        """Let the thread call a function with an item; the result for it. Called in a loop."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="lookalike-lane", daemon=True)
            self._thread.start()
        waiter = asyncio.get_running_loop().create_future()
        self._calls.put(_Call(kind, function, item, waiter))
        return waiter

    def close(self) -> None:
        """Let the thread end after what waits."""
        self._calls.put(None)

    def _run(self) -> None:
        first = self._calls.get()
        while first is not None:
            calls, then = self._together(first)
            results = self._results(calls)
            try:
                first.waiter.get_loop().call_soon_threadsafe(_settle, calls, results)
            except RuntimeError:  # the loop has ended: nobody waits any more
                return
            first = self._calls.get() if then is _NOTHING else then

    def _together(self, first: _Call) -> tuple[list[_Call], Any]:
        """A call and those of its kind that wait behind it; and what comes then, if known."""
        calls = [first]
        while len(calls) < _TOGETHER and not self._calls.empty():  # nobody else takes from it
            then = self._calls.get()
            if then is None or (then.kind, then.function) != (first.kind, first.function):
                return calls, then
            calls.append(then)
        return calls, _NOTHING

    def _results(self, calls: Sequence[_Call]) -> list[Result]:
        kind, function = calls[0].kind, calls[0].function
        try:
            return [Result(own) for own in self.timed(kind, function, [c.item for c in calls])]
        except BaseException as error:  # it is told to who waits, whatever it is
            if len(calls) == 1:
                return [Result(error=error)]
            return [result for call in calls for result in self._results([call])]


_NOTHING = object()


def _settle(calls: Sequence[_Call], results: Sequence[Result]) -> None:
    for call, result in zip(calls, results, strict=True):
        if call.waiter.done():  # nobody waits for it any more
            continue
        if result.error is None:
            call.waiter.set_result(result.value)
        else:
            call.waiter.set_exception(result.error)
