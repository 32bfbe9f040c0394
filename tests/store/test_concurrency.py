"""Many processes search an index on a disk while one changes it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.store.conftest import (
    Contents,
    all_of,
    check_answers,
    child,
    contents,
    ended,
    item,
    items,
    nearest,
    on_disk,
    saved,
)

from lookalike import Index, archive

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

SECONDS = float(os.environ.get("LOOKALIKE_SOAK_SECONDS", "10"))  # make soak: 60
READERS = 4
BLOCK = 10  # ids that are added and removed together
BLOCKS = 30
FIRST = 24  # ids that are always there


def block(number: int) -> list[int]:
    return list(range(FIRST + number * BLOCK, FIRST + (number + 1) * BLOCK))


def write(path: Path, until: float) -> int:
    """Add and remove blocks, replace their items, compact: how many changes were made."""
    random, there, changes = np.random.default_rng(0), set[int](), 0
    with Index.open(path, "r+") as index:
        while time.monotonic() < until:
            number = int(random.integers(BLOCKS))
            if random.random() < 0.05:
                index.compact()
            elif number not in there:
                index.add(items(block(number), version=changes), block(number))
                there.add(number)
            elif random.random() < 0.3:
                index.add(items(block(number), version=changes), block(number), replace=True)
            else:
                index.remove(block(number))
                there.remove(number)
            changes += 1
    return changes


def check_snapshot(index: Index, random: np.random.Generator) -> Contents:
    """What is there was there at one time: whole blocks of one version; answers are of these."""
    known = contents(index)
    assert set(range(FIRST)) <= known.keys()
    for number in range(BLOCKS):
        here = [one for one in block(number) if one in known]
        assert here in ([], block(number)), f"a part of block {number} is there: {here}"
    for one in range(FIRST):
        assert known[one] == item(one).tobytes()
    queries = random.integers(0, 256, (3, 8), np.uint8)
    expected = [nearest(known, query, 7) for query in queries]
    assert index.search(queries, 7).ids.tolist() == expected
    assert index.search(queries[0], 7).ids.tolist() == expected[0]
    return known


def read(path: Path, until: float, reader: int) -> tuple[int, int]:
    """Refresh, open and check: how many snapshots were newer ones, and how many were checked."""
    random, newer, checked = np.random.default_rng(reader), 0, 0
    mapped = reader % 2 == 0
    index = Index.open(path, map=mapped)
    while time.monotonic() < until:
        if random.random() < 0.2:
            index = Index.open(path, map=mapped, verify="full" if reader < 2 else "header")
        else:
            newer += index.refresh()
        known = check_snapshot(index, random)
        if random.random() < 0.2:
            time.sleep(0.02)  # the writer goes on, and the snapshot stays
            assert check_snapshot(index, random) == known
        checked += 1
    return newer, checked


def test_readers_see_whole_snapshots_while_a_writer_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "_LEAST_BASE_BYTES", 1 << 9)
    path = tmp_path / "index"
    saved(path, FIRST)
    until = time.monotonic() + SECONDS

    def writing(pipe: int) -> None:
        os.write(pipe, f"{write(path, until)}".encode())

    def reading(reader: int) -> Callable[[int], object]:
        return lambda pipe: os.write(pipe, "{} {}".format(*read(path, until, reader)).encode())

    children = [child(writing), *(child(reading(reader)) for reader in range(READERS))]
    told = [all_of(pipe) for _, pipe in children]
    assert [ended(process) for process, _ in children] == [0] * len(children), told
    assert int(told[0]) > 0
    for each in told[1:]:
        newer, checked = map(int, each.split())
        assert newer > 0
        assert checked > newer
    check_snapshot(Index.open(path, verify="full"), np.random.default_rng(0))
    assert len(list((path / "segments").iterdir())) < 30  # what is not needed was removed


@pytest.mark.parametrize("mapped", [True, False])
@pytest.mark.parametrize("planned", ["before", "after"])
def test_a_reader_goes_on_with_its_snapshot_when_its_files_are_gone(
    planned: str, mapped: bool, tmp_path: Path
) -> None:
    path = tmp_path / "index"
    before = saved(path, FIRST, tails=3)
    reader = Index.open(path, map=mapped)
    if planned == "before":
        check_answers(reader, before)
    names = {there.name for there in (path / "segments").iterdir()}
    with Index.open(path, "r+") as writer:
        writer.remove([0, 1, 2])
        writer.compact()
        writer.add(items([700, 5], version=1), [700, 5], replace=True)
        after = contents(writer)
    assert names.isdisjoint(there.name for there in (path / "segments").iterdir())
    for _ in range(2):
        check_answers(reader, before)
    assert reader.refresh()
    check_answers(reader, after)
    assert not reader.refresh()
    assert on_disk(path) == after


def test_opening_starts_again_when_a_commit_comes_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files that the manifest names are gone when they are looked for."""
    from lookalike.store.folder import Folder

    path = tmp_path / "index"
    known = saved(path, FIRST, tails=2)
    real, times = Folder.read_manifest, list[int]()
    with Index.open(path, "r+") as writer:

        def slowly(folder: Folder) -> object:
            manifest = real(folder)
            if len(times) < 3 and not folder.is_writing:
                times.append(manifest.generation)
                writer.compact()
            return manifest

        monkeypatch.setattr(Folder, "read_manifest", slowly)
        reader = Index.open(path)
        monkeypatch.undo()
    assert len(set(times)) == 3
    check_answers(reader, known)


def test_a_writer_has_nothing_to_refresh(tmp_path: Path) -> None:
    known = saved(tmp_path / "index", FIRST)
    with Index.open(tmp_path / "index", "r+") as writer:
        writer.remove([0])
        del known[0]
        assert not writer.refresh()
        check_answers(writer, known)
