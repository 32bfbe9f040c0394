"""What repair keeps, what it loses, and what it says of both."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.store.damaging import (
    BLOCK,
    Array,
    file_of,
    flip,
    grown,
    items_of,
    manifest_of,
    rewritten,
)

from lookalike import CorruptStore, Index, UnreadableFile
from lookalike.store.array_file import header_of
from lookalike.upkeep import repair, verify


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return grown(tmp_path / "index", "bits")


# ---- a drive that cannot read a place


@contextmanager
def unreadable(
    monkeypatch: pytest.MonkeyPatch, file: Path, at: int, code: int = errno.EIO
) -> Iterator[None]:
    """Refuse every read of one byte of a file."""
    own = os.stat(file).st_ino  # noqa: PTH116  # the name may go to another file
    pread, preadv = os.pread, os.preadv

    def check(descriptor: int, start: int, count: int) -> None:
        if os.fstat(descriptor).st_ino == own and start <= at < start + count:
            raise OSError(code, os.strerror(code))

    def refusing(descriptor: int, count: int, start: int) -> bytes:
        check(descriptor, start, count)
        return pread(descriptor, count, start)

    def refusing_into(descriptor: int, buffers: list[memoryview], start: int) -> int:
        check(descriptor, start, sum(map(len, buffers)))
        return preadv(descriptor, buffers, start)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", refusing)
        patch.setattr(os, "preadv", refusing_into)
        yield


def place_in_rows(path: Path, row: int) -> int:
    """Where a row of the base begins in its file."""
    stored = manifest_of(path).segments[0].arrays["rows"]
    return len(header_of(stored.dtype, stored.shape)) + row * stored.shape[1]


def test_a_place_that_cannot_be_read_loses_its_block_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Index.open(path, map=False)
    kept = before.vectors(before.ids)
    with unreadable(monkeypatch, file_of(path, "rows"), place_in_rows(path, 1000)):
        (problem,) = verify(path).problems
        assert "array rows: it cannot be read: Input/output error" in problem
        repaired = repair(path)
    assert list(repaired.lost_ids) == list(range(3 * BLOCK, 4 * BLOCK))
    assert repaired.vectors == 5583 - BLOCK
    after = Index.open(path, verify="full")
    same = np.isin(before.ids, after.ids)
    assert (after.vectors(after.ids) == kept[same]).all()
    assert verify(path).problems == ()


@pytest.mark.parametrize("row", [0, 4999])
def test_the_first_and_the_last_block_are_lost_alone_too(
    row: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = 4999 // BLOCK * BLOCK
    with unreadable(monkeypatch, file_of(path, "rows"), place_in_rows(path, row)):
        lost = set(repair(path).lost_ids)
    block = range(BLOCK) if row == 0 else range(last, 5000)
    assert lost == set(block) - set(range(100, 120))  # which had been removed


@pytest.mark.parametrize("code", [errno.ENOMEM, errno.EAGAIN])
def test_what_is_no_fault_of_the_drive_loses_nothing(
    code: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (path / "manifest.json").read_bytes()
    with unreadable(monkeypatch, file_of(path, "rows"), place_in_rows(path, 1000), code):
        for act in (repair, verify):
            with pytest.raises(UnreadableFile, match=os.strerror(code)) as raised:
                act(path)
            assert not isinstance(raised.value, CorruptStore)
    assert (path / "manifest.json").read_bytes() == before


def test_a_file_that_cannot_be_read_any_more_is_not_taken_for_zeros(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is whole when it is checked, and then the drive fails."""
    from lookalike.upkeep import salvage

    flip(file_of(path, "order"), -1)
    init = salvage.Salvage.__init__

    def failing(*arguments: Any) -> None:
        with unreadable(monkeypatch, file_of(path, "rows"), place_in_rows(path, 7)):
            init(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(salvage.Salvage, "__init__", failing)
        with pytest.raises(CorruptStore, match="Input/output error"):
            repair(path)
    assert repair(path).lost_vectors == 0


# ---- verify and repair agree


def _set(where: Any, value: Any) -> Callable[[Array], None]:
    def change(array: Array) -> None:
        array[where] = value

    return change


def _float(where: Any, value: float) -> Callable[[Array], None]:
    def change(array: Array) -> None:
        array.view(np.float32)[where] = value

    return change


FORGED: dict[str, tuple[str, str, Callable[[Array], None], int, dict[str, Any], int]] = {
    # The name says what it is; kind, array, change, segment, facts, vectors that are left.
    "an id twice": ("bits", "ids", _set(1, 70_000), 3, {}, 5582),
    "an id of an earlier segment": ("bits", "ids", _set(1, 7), 3, {}, 5582),
    "a negative id": ("bits", "ids", _set(1, -5), 3, {}, 5582),
    "an id that is to come": ("bits", "ids", _set(1, 10**9), 3, {}, 5583),
    "the largest id": ("bits", "ids", _set(1, 2**63 - 1), 3, {}, 5583),
    "a next id that is there": ("bits", "ids", _set(1, 60_001), 3, {"next_id": 60_000}, 5583),
    "a removed row that is not there": ("bits", "removed", _set(-1, 10**9), 2, {}, 5584),
    "a negative removed row": ("bits", "removed", _set(0, -1), 2, {}, 5584),
    "digests of other rows": ("bits", "row_digests", _set(0, 1), 0, {}, 5583),
    "substrings that are not sorted": ("bits", "order", _set(0, 4999), 0, {}, 5583),
    "padding": ("angles", "rows", _float((7, 50), 2.0), 0, {}, 5583),
    "a value that is no number": ("cells", "rows", _float((7, 3), np.nan), 0, {}, 5582),
    "a value that is infinite": ("exact", "rows", _float((7, 3), np.inf), 0, {}, 5582),
    "a value that is too large": ("exact", "rows", _float((7, 3), 3e38), 0, {}, 5582),
    "cells that have other sizes": ("cells", "cell_sizes", _set(0, 10**6), 0, {}, 5583),
    "a length of another vector": ("angles", "rows", _float((7, -1), 99.0), 0, {}, 5583),
    "a vector without a direction": ("angles", "rows", _float(7, 0.0), 0, {}, 5582),
    "a value out of range": ("digits", "rows", _set((7, 3), 200), 0, {}, 5582),
    "many that are out of range": ("digits", "rows", _set((slice(0, 50), 3), 17), 0, {}, 5533),
}


@pytest.mark.parametrize("what", FORGED)
def test_what_contradicts_itself_is_found_by_both_and_is_sound_afterwards(
    what: str, tmp_path: Path
) -> None:
    kind, name, change, segment, facts, left = FORGED[what]
    path = grown(tmp_path / "index", kind)
    rewritten(path, name, change, segment, facts)
    problems = verify(path).problems
    assert problems
    repaired = repair(path)
    assert repaired.damages == problems
    assert repaired.vectors == left
    assert verify(path).problems == ()
    assert len(Index.open(path, verify="full")) == left
    assert "nothing to repair" in str(repair(path))
    if left < 5583:
        assert (path / "damaged").exists()  # what was left out can be looked at
        assert repaired.lost_vectors == 5583 - left or repaired.notes


def test_of_two_equal_ids_the_later_vector_is_kept_and_this_is_told(path: Path) -> None:
    items = items_of("bits", 3, seed=3)
    rewritten(path, "ids", _set(2, 7), 3)
    repaired = repair(path)
    assert repaired.notes == (
        "1 vectors with the id of a later one are dropped: it has taken their place",
    )
    assert (Index.open(path).vectors([7])[0] == items[2]).all()


@pytest.mark.parametrize(
    "facts",
    [
        {"rows": 4999},
        {"rows": -1},
        {"rows": None},
        {"rows": 2**50},
        {"next_id": "1"},
        {"next_id": 2**63 + 1},
    ],
)
def test_facts_that_cannot_be_are_refused_by_both(facts: dict[str, Any], path: Path) -> None:
    rewritten(path, "ids", lambda array: None, 3, {"rows": 3, **facts})
    before = (path / "manifest.json").read_bytes()
    assert verify(path).problems
    with pytest.raises(CorruptStore, match="it says what cannot be"):
        repair(path)
    assert (path / "manifest.json").read_bytes() == before


def test_damage_of_an_index_that_is_empty_is_repaired_too(tmp_path: Path) -> None:
    index = Index("l1")
    index.add(np.arange(64, dtype=np.uint8).reshape(8, 8))
    index.remove(index.ids)
    index.save(tmp_path / "index")
    flip(file_of(tmp_path / "index", "rows"), -1)
    assert verify(tmp_path / "index").problems
    assert repair(tmp_path / "index").damages
    assert verify(tmp_path / "index").problems == ()


def test_a_manifest_that_is_gone_is_found_by_both(path: Path) -> None:
    (path / "manifest.json").unlink()
    assert "manifest.json: it is missing" in verify(path).problems[0]
    with pytest.raises(CorruptStore, match="it is missing"):
        Index.open(path)
    assert "it is missing; its copy is used" in repair(path).damages[0]
    assert verify(path).vectors == 5583


# ---- queries of the user


@pytest.fixture
def calibrated(tmp_path: Path) -> Path:
    """An index whose recall is promised for queries unlike its members."""
    path = grown(tmp_path / "index", "cells")
    with Index.open(path, "r+") as index:
        index.calibrate(items_of("cells", 600, seed=9) * np.float32(1.5))
    return path


@pytest.mark.parametrize("name", ["blocks", "sample", "centroid_codes"])
def test_queries_of_the_user_stay_what_is_promised_for(name: str, calibrated: Path) -> None:
    [queries] = calibrated.glob("segments/*/queries.npy")
    kept = np.load(queries)
    flip(file_of(calibrated, name), -1)
    assert repair(calibrated).lost_vectors == 0
    [queries] = calibrated.glob("segments/*/queries.npy")
    assert (np.load(queries) == kept).all()
    assert verify(calibrated).problems == ()
    again = Index.open(calibrated)
    index = Index("l2")
    index.add(again.vectors(again.ids), again.ids)
    index.calibrate(kept)
    assert str(again.plan) == str(index.plan)


def test_queries_of_the_user_that_are_damaged_are_told(calibrated: Path) -> None:
    flip(file_of(calibrated, "queries"), -1)
    repaired = repair(calibrated)
    assert any("Calibrate it again" in note for note in repaired.notes)
    assert not list(calibrated.glob("segments/*/queries.npy"))


# ---- an older copy of the manifest


@pytest.fixture
def older(path: Path) -> Path:
    """The manifest is damaged, and its copy does not know of the last five vectors."""
    copy = (path / "manifest.copy.json").read_bytes()
    with Index.open(path, "r+") as index:
        index.add(items_of("bits", 5, seed=4), ids=[90, 91, 92, 93, 94], replace=True)
    (path / "manifest.copy.json").write_bytes(copy)
    flip(path / "manifest.json", 100)
    return path


def test_what_came_after_an_older_copy_is_told_and_kept(older: Path) -> None:
    repaired = repair(older)
    assert repaired.set_aside == ("00000005",)
    assert repaired.vectors == 5583
    text = str(repaired)
    assert "segment 00000005 is not in the index" in text
    assert "kept in damaged/00000005" in text
    assert "of what the copy knows, no vectors are lost" in text
    assert (np.load(older / "damaged" / "00000005" / "ids.npy") == np.arange(90, 95)).all()
    assert (older / "damaged" / "manifest.json").exists()
    assert verify(older).problems == ()


def test_numbers_of_a_lost_change_are_not_given_again(older: Path) -> None:
    before = manifest_of_copy(older)
    repair(older)
    after = manifest_of(older)
    assert [segment.name for segment in after.segments] == ["00000006"]
    assert after.generation > before.generation + 1
    copy = (older / "manifest.copy.json").read_bytes()
    with Index.open(older, "r+") as index:
        index.add(items_of("bits", 2, seed=5))
    (older / "manifest.copy.json").write_bytes(copy)
    flip(older / "manifest.json", 100)
    assert repair(older).set_aside == ("00000007",)  # and both are kept
    assert {"00000005", "00000007"} <= {own.name for own in (older / "damaged").iterdir()}


def manifest_of_copy(path: Path) -> Any:
    from lookalike.store.manifest import Manifest

    return Manifest.from_bytes((path / "manifest.copy.json").read_bytes(), "it")


def test_a_cancelled_repair_has_moved_nothing(older: Path) -> None:
    from lookalike import Cancelled

    before = {file: file.read_bytes() for file in older.rglob("*.*")}
    with pytest.raises(Cancelled):
        repair(older, progress=lambda done, total: False)
    assert before == {file: file.read_bytes() for file in older.rglob("*.*")}


def test_what_others_have_put_among_the_segments_stays_there(older: Path) -> None:
    song = older / "segments" / "00000099" / "song.wav"
    song.parent.mkdir()
    song.touch()
    assert repair(older).set_aside == ("00000005",)
    assert song.exists()
