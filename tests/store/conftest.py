"""What the tests of crashes and faults share: other disk operations, and small indexes."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pytest

from lookalike import Index
from lookalike.store import disk

WIDTH = 8  # bytes of an item
Contents = dict[int, bytes]
Items = npt.NDArray[np.uint8]


class Hook(Protocol):
    """What is called in the place of every disk operation."""

    def __call__(self, name: str, real: Callable[..., Any], *args: Any) -> Any:
        """Do, refuse or record one operation."""


@contextlib.contextmanager
def hooked(hook: Hook) -> Iterator[None]:
    """Let a hook have every operation of the store until the end."""
    real = {name: getattr(disk, name) for name in disk.__all__}

    def put(name: str) -> None:
        setattr(disk, name, lambda *args: hook(name, real[name], *args))

    for name in real:
        put(name)
    try:
        yield
    finally:
        for name, function in real.items():
            setattr(disk, name, function)


class Counter:
    """Counts the operations of a call, and names them."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, name: str, real: Callable[..., Any], *args: Any) -> Any:
        self.names.append(name)
        return real(*args)


def operations(change: Callable[[], object]) -> list[str]:
    """The disk operations of a change, in order."""
    counter = Counter()
    with hooked(counter):
        change()
    return counter.names


def item(id: int, version: int = 0) -> Items:
    """The item that has this id: what it is follows from the id, so that anyone can check it."""
    return np.random.default_rng([id, version]).integers(0, 256, WIDTH, np.uint8)


def items(ids: list[int], version: int = 0) -> Items:
    """A batch of them."""
    return np.stack([item(one, version) for one in ids])


def contents(index: Index) -> Contents:
    """Everything that an index holds, by id."""
    ids = index.ids
    found = {
        one: vector.tobytes() for one, vector in zip(ids.tolist(), index.vectors(ids), strict=True)
    }
    assert len(found) == len(index) == len(ids)
    return found


def on_disk(path: Path) -> Contents:
    """Everything that an index on a disk holds, after checking each byte."""
    return contents(Index.open(path, verify="full"))


def nearest(known: Contents, query: Items, k: int) -> list[int]:
    """The k nearest ids, compared one by one: nearest first, ties by id."""
    ids = np.array(sorted(known), np.int64)
    rows = np.frombuffer(b"".join(known[one] for one in ids.tolist()), np.uint8).reshape(-1, WIDTH)
    bits = np.unpackbits(rows ^ query, axis=1).sum(axis=1)
    found: list[int] = ids[np.argsort(bits, kind="stable")[:k]].tolist()
    return found


def check_answers(index: Index, known: Contents) -> None:
    """An index holds exactly this, and finds it."""
    assert contents(index) == known
    if known:
        query, k = item(10**6), min(5, len(known))
        assert index.search(query, k).ids.tolist() == nearest(known, query, k)


class Step(NamedTuple):
    """One change of an index."""

    what: str
    ids: list[int]
    version: int = 0

    def of_index(self, index: Index) -> None:
        if self.what == "add":
            index.add(items(self.ids, self.version), self.ids, replace=True)
        elif self.what == "remove":
            index.remove(self.ids)
        else:
            assert self.what == "compact"
            index.compact()

    def of_contents(self, known: Contents) -> Contents:
        if self.what == "add":
            return known | {one: item(one, self.version).tobytes() for one in self.ids}
        if self.what == "remove":
            return {one: known[one] for one in known if one not in self.ids}
        return known


def states(known: Contents, steps: list[Step]) -> list[Contents]:
    """What an index holds before the first step and after each."""
    found = [known]
    for step in steps:
        found.append(step.of_contents(found[-1]))
    return found


def saved(path: Path, count: int = 24, tails: int = 0) -> Contents:
    """Save an index of so many items, and add so many tails of two items each."""
    index = Index("hamming", recall=1.0)
    index.add(items(list(range(count))))
    index.save(path)
    with Index.open(path, "r+") as writer:
        for tail in range(tails):
            writer.add(items([count + 2 * tail, count + 2 * tail + 1]))
    return on_disk(path)


def child(work: Callable[[int], object]) -> tuple[int, int]:
    """Fork a process that does some work, and is gone.

    Returns
    -------
    process, descriptor : int
        The descriptor is of a pipe that the work was given the other end of.
    """
    reading, writing = os.pipe()
    process = os.fork()
    if process:
        os.close(writing)
        return process, reading
    status = 1
    try:
        os.close(reading)
        work(writing)
        status = 0
    except BaseException as error:  # it must never get back into pytest
        with contextlib.suppress(OSError):
            os.write(writing, f"failed: {error!r}\n".encode())
    finally:
        os._exit(status)


def ended(process: int) -> int:
    """Wait for a child: its exit status, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def killed(process: int) -> None:
    """Kill a child, and wait until it is gone."""
    os.kill(process, signal.SIGKILL)
    assert ended(process) == -signal.SIGKILL


def all_of(descriptor: int) -> str:
    """What a child has written to its pipe."""
    with open(descriptor) as pipe:  # a descriptor
        return pipe.read()


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out syncs, which change nothing that another process can see; hooks get them still."""
    monkeypatch.setattr(disk, "sync", lambda file: None)
    monkeypatch.setattr(disk, "sync_folder", lambda path: None)
