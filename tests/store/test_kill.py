"""A process that is killed while it changes an index leaves the state before or that after."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.store.conftest import (
    Contents,
    Step,
    all_of,
    check_answers,
    child,
    contents,
    ended,
    hooked,
    item,
    killed,
    on_disk,
    operations,
    saved,
    states,
)

from lookalike import Index, archive
from lookalike.store.folder import Folder

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

KILLS = int(os.environ.get("LOOKALIKE_SOAK_KILLS", "100"))  # make soak: 5000
ROUND = 100  # kills of one index, one after the other
LONGEST_SECONDS = 0.04  # from the first change to the kill


def told(step: Step) -> bytes:
    return (json.dumps([step.what, step.ids]) + "\n").encode()


def acknowledged(text: str, steps: list[Step]) -> int:
    """How many steps a child said were done, in their order."""
    lines = text.splitlines()
    assert lines == [told(step).decode().strip() for step in steps[: len(lines)]]
    return len(lines)


def generation(path: Path) -> int:
    return Folder(path, writing=False).manifest.generation


class Killer:
    """Kills its process at one disk operation.

    Parameters
    ----------
    at : int
        Which operation, from 0.
    part : float
        How much of the operation is done before: 0, or for a write 0.5.
    """

    def __init__(self, at: int, part: float) -> None:
        self.left, self.part = at, part

    def __call__(self, name: str, real: Callable[..., Any], *args: Any) -> Any:
        if self.left == 0:
            if self.part:
                file, data = args
                real(file, data[: int(len(data) * self.part)])
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1
        return real(*args)


def check_survivor(path: Path, *possible: Contents) -> Contents:
    """The index holds one of these, and can be changed at once; returns what it holds now."""
    found = on_disk(path)
    assert found in possible
    with Index.open(path, "r+") as index:
        check_answers(index, found)
        (new,) = index.add(item(0, 99)[None]).tolist()
    assert new > max(found, default=-1)
    now = on_disk(path)
    assert now == found | {new: item(0, 99).tobytes()}
    return now


SCRIPTS: dict[str, tuple[int, int, list[Step]]] = {
    # The name says what is in it: tails before, least bytes of a base, steps.
    "a tail, replaced items, removed ones, a merge of eight tails, a compaction": (
        5,
        1 << 24,
        [
            Step("add", [100, 101]),
            Step("add", [3, 100, 200], version=1),
            Step("remove", [1, 2, 101]),
            Step("compact", []),
            Step("add", [300]),
        ],
    ),
    "two new bases": (
        0,
        16,
        [
            Step("add", [*range(100, 120)]),
            Step("remove", [0, 100]),
            Step("add", [*range(200, 230)]),
            Step("remove", [*range(1, 20)]),
        ],
    ),
    "a compaction of tails alone": (3, 1 << 24, [Step("compact", [])]),
    "everything is removed": (0, 1 << 24, [Step("remove", [*range(24)]), Step("compact", [])]),
}


def test_the_scripts_merge_and_make_bases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the test below would not test what it says."""
    levels = set[object]()
    for number, (tails, least, steps) in enumerate(SCRIPTS.values()):
        monkeypatch.setattr(archive, "_LEAST_BASE_BYTES", least)
        saved(tmp_path / str(number), tails=tails)
        bases = {Folder(tmp_path / str(number), writing=False).manifest.segments[0].name}
        with Index.open(tmp_path / str(number), "r+") as index:
            for step in steps:
                step.of_index(index)
                assert index._archive is not None
                segments = index._archive.folder.manifest.segments
                assert len(segments) == 1 or step.what != "compact"
                levels.update(segment.facts.get("level") for segment in segments)
                bases.add(segments[0].name)
        assert len(bases) >= 2
    assert 1 in levels


@pytest.mark.usefixtures("no_waiting")  # what was written stays in the memory of the kernel
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_kill_at_any_disk_operation(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tails, least, steps = SCRIPTS[script]
    monkeypatch.setattr(archive, "_LEAST_BASE_BYTES", least)
    expected = states(saved(tmp_path / "start", tails=tails), steps)
    path = tmp_path / "index"

    def run(report: Callable[[Step], object]) -> None:
        with Index.open(path, "r+") as index:
            for step in steps:
                step.of_index(index)
                report(step)

    def copy() -> None:
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(tmp_path / "start", path)

    copy()
    generations = [generation(path)]
    names = operations(lambda: run(lambda step: generations.append(generation(path))))
    assert on_disk(path) == expected[-1]
    assert {"create", "write", "sync", "replace", "sync_folder", "make_folder"} <= set(names)
    assert {"remove", "remove_folder"} <= set(names)
    # Every step was killed at one of its operations, and both outcomes were seen.
    seen = set()
    for at, name in enumerate(names):
        for part in (0.0, 0.5) if name == "write" else (0.0,):

            def work(pipe: int, at: int = at, part: float = part) -> None:
                with hooked(Killer(at, part)):
                    run(lambda step: os.write(pipe, told(step)))

            copy()
            process, pipe = child(work)
            text = all_of(pipe)
            assert ended(process) == -signal.SIGKILL, f"operation {at}, {name}: {text}"
            done = acknowledged(text, steps)
            after = int(generation(path) == generations[done + 1])
            assert after or generation(path) == generations[done]
            seen.add((done, after))
            check_survivor(path, expected[done + after])
    assert seen == {(done, after) for done in range(len(steps)) for after in (0, 1)}


def endless(known: Contents, seed: int) -> Iterator[Step]:
    """Changes that go on for ever, the same for one seed."""
    random = np.random.default_rng(seed)
    while True:
        what = random.choice(["add", "replace", "remove", "compact"], p=[0.45, 0.2, 0.3, 0.05])
        ids = sorted(known)
        if what == "add":
            first, count = max(ids, default=-1) + 1000, int(random.integers(1, 9))
            step = Step("add", list(range(first, first + count)), int(random.integers(9)))
        elif what == "compact" or len(ids) < 20:
            step = Step("compact", [])
        else:
            some = random.choice(ids, 9, replace=False).tolist()
            step = Step(str(what).replace("replace", "add"), some, int(random.integers(9)))
        known = step.of_contents(known)
        yield step


@pytest.mark.parametrize("least", [1 << 24, 16])
def test_kills_at_random_instants(
    least: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One index lives through them all; the disk is waited for, as it is in earnest."""
    monkeypatch.setattr(archive, "_LEAST_BASE_BYTES", least)
    random = np.random.default_rng(least)
    path, done, longest = tmp_path / "index", 0, LONGEST_SECONDS
    for number in range(KILLS // 2):
        if number % ROUND == 0:
            shutil.rmtree(path, ignore_errors=True)
            known = saved(path)

        def work(pipe: int, known: Contents = known, seed: int = number) -> None:
            with Index.open(path, "r+") as index:
                assert contents(index) == known
                os.write(pipe, b"\n")
                for step in endless(known, seed):
                    step.of_index(index)
                    os.write(pipe, told(step))

        process, pipe = child(work)
        began = os.read(pipe, 1)
        time.sleep(float(random.uniform(0, longest)))
        killed(process)
        lines = (began.decode() + all_of(pipe)).split("\n", 1)
        assert lines[0] == "", lines
        changes = endless(known, number)
        steps = [next(changes) for _ in range(lines[1].count("\n") + 1)]
        count = acknowledged(lines[1], steps)
        known = check_survivor(path, *states(known, steps)[count : count + 2])
        done += count
        longest *= 1.0 if done else 1.1  # where nothing is done in time, a machine is busy
    assert done > 0
