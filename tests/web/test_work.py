"""Work off the event loop: in threads, or together in the lane."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest
from tests.web.conftest import awaited

from lookalike.errors import InvalidInput
from lookalike.web.lane import Lane
from lookalike.web.limits import Limits
from lookalike.web.work import Busy, TooSlow, Work


class Doubling:
    """Doubles numbers; holds the first call until it is told to go on."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.threads: set[str] = set()
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def __call__(self, items: Sequence[int]) -> list[int]:
        self.calls.append(list(items))
        self.threads.add(threading.current_thread().name)
        self.begun.set()
        assert self.go_on.wait(20)
        if -1 in items:
            raise InvalidInput("a number must not be -1")
        return [2 * own for own in items]


def in_loop(work: Work, call: Coroutine[Any, Any, Any]) -> Any:
    try:
        return awaited(call)
    finally:
        work.close()


async def begun(double: Doubling) -> None:
    assert await asyncio.to_thread(double.begun.wait, 20)


def test_the_first_of_a_kind_goes_to_the_threads_and_the_next_to_the_lane() -> None:
    work, double = Work(Limits()), Doubling()

    async def ask() -> None:
        assert await work.run_each("kind", double, 1) == 2
        assert not any(own == "lookalike-lane" for own in double.threads)
        assert await work.run_each("kind", double, 2) == 4
        assert "lookalike-lane" in double.threads
        assert work.under_way == 0

    in_loop(work, ask())


def test_what_waits_at_the_same_time_is_done_by_one_call() -> None:
    work, double = Work(Limits()), Doubling()

    async def ask() -> None:
        await work.run_each("kind", double, 0)
        double.go_on.clear()
        double.begun.clear()
        first = asyncio.create_task(work.run_each("kind", double, 1))
        await begun(double)
        others = [asyncio.create_task(work.run_each("kind", double, own)) for own in range(2, 30)]
        await asyncio.sleep(0)
        double.go_on.set()
        assert await asyncio.gather(first, *others) == [2 * own for own in range(1, 30)]

    in_loop(work, ask())
    assert double.calls == [[0], [1], list(range(2, 18)), list(range(18, 30))]


def test_kinds_are_not_mixed() -> None:
    work, double = Work(Limits()), Doubling()

    async def ask() -> None:
        for kind in "ab":
            await work.run_each(kind, double, 0)
        double.go_on.clear()
        double.begun.clear()
        tasks = [asyncio.create_task(work.run_each("a", double, 1))]
        await begun(double)
        tasks += [asyncio.create_task(work.run_each(kind, double, 2)) for kind in "aabb"]
        await asyncio.sleep(0)
        double.go_on.set()
        assert await asyncio.gather(*tasks) == [2, 4, 4, 4, 4]

    in_loop(work, ask())
    assert double.calls == [[0], [0], [1], [2, 2], [2, 2]]


def test_one_that_fails_fails_alone() -> None:
    work, double = Work(Limits()), Doubling()

    async def ask() -> list[Any]:
        await work.run_each("kind", double, 0)
        double.go_on.clear()
        double.begun.clear()
        tasks = [asyncio.create_task(work.run_each("kind", double, 1))]
        await begun(double)
        tasks += [asyncio.create_task(work.run_each("kind", double, own)) for own in (2, -1, 3)]
        await asyncio.sleep(0)
        double.go_on.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert await work.run_each("kind", double, 4) == 8  # the lane lives on
        return results

    one, two, wrong, three = in_loop(work, ask())
    assert (one, two, three) == (2, 4, 6)
    assert isinstance(wrong, InvalidInput)


def test_what_was_slow_does_not_come_into_the_lane_again() -> None:
    lane = Lane()

    def slow(items: Sequence[float]) -> Sequence[float]:
        for seconds in items:
            threading.Event().wait(seconds)
        return items

    lane.timed("kind", slow, [0.0])
    assert lane.takes("kind")
    lane.timed("kind", slow, [0.02])
    assert not lane.takes("kind")
    assert not lane.takes("another")


def test_a_lane_remembers_a_bounded_number_of_kinds() -> None:
    lane = Lane()
    for kind in range(1_000):
        lane.timed(kind, list, [0])
    assert 0 < sum(lane.takes(kind) for kind in range(1_000)) <= 256
    assert lane.takes(999)


def test_the_lane_has_the_limits_of_all_work() -> None:
    work, double = Work(Limits(waiting=2, seconds=0.2)), Doubling()

    async def ask() -> None:
        await work.run_each("kind", double, 0)
        double.go_on.clear()
        tasks = [asyncio.create_task(work.run_each("kind", double, own)) for own in (1, 2)]
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await work.run_each("kind", double, 3)
        for task in tasks:
            with pytest.raises(TooSlow):
                await task
        assert work.under_way == 2  # they still are
        double.go_on.set()
        while work.under_way:
            await asyncio.sleep(0.01)
        assert await work.run_each("kind", double, 4) == 8

    in_loop(work, ask())
