"""Verify finds what is damaged and what contradicts itself; repair loses that and nothing else."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.store.damaging import (
    BLOCK,
    KINDS,
    file_of,
    flip,
    grown,
    items_of,
    names_of,
    rewritten,
)

from lookalike import CorruptStore, Index, UnreadableFile
from lookalike.upkeep import describe, repair, verify


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def path(kind: str, tmp_path: Path) -> Path:
    """A base, a tail with rows, a tail with removed rows, and one with ids of its own."""
    return grown(tmp_path / "index", kind)


def test_all_is_well(path: Path) -> None:
    verified = verify(path)
    assert verified.problems == ()
    assert verified.vectors == 5583
    assert verified.checked_bytes == sum(f.stat().st_size for f in path.rglob("*.npy"))
    assert "as they were written" in str(verified)
    before = (path / "manifest.json").read_bytes()
    assert "nothing to repair" in str(repair(path))
    assert (path / "manifest.json").read_bytes() == before


def test_every_array_is_checked(path: Path) -> None:
    for segment in range(4):
        for name in names_of(path, segment):
            file = file_of(path, name, segment)
            for at in (0, file.stat().st_size // 2, -1):
                kept = file.read_bytes()
                flip(file, at)
                (problem,) = verify(path).problems
                assert name in problem
                file.write_bytes(kept)
            kept = file.read_bytes()
            file.unlink()
            assert verify(path).problems
            file.write_bytes(kept)
    assert verify(path).problems == ()


def test_a_flipped_bit_of_a_vector_loses_its_block_and_nothing_else(path: Path) -> None:
    before = Index.open(path, map=False)
    kept = before.vectors(before.ids)
    stride = Index.open(path, map=False)._state.rows.stride  # type: ignore[union-attr]
    flip(file_of(path, "rows"), file_of(path, "rows").stat().st_size - stride * (5000 - 1000))
    assert len(verify(path).problems) == 1
    repaired = repair(path)
    lost = np.arange(3 * BLOCK, 4 * BLOCK)
    assert repaired.lost_vectors == BLOCK
    assert list(repaired.lost_ids) == lost.tolist()
    after = Index.open(path, verify="full")
    assert after.ids.tolist() == np.setdiff1d(before.ids, lost, assume_unique=True).tolist()
    same = np.isin(before.ids, after.ids)
    assert (after.vectors(after.ids) == kept[same]).all()
    assert verify(path).problems == ()
    assert (path / "damaged").exists()  # nothing is thrown away
    hits = after.search(kept[same][5], k=1)
    assert hits.distances[0] == pytest.approx(0.0, abs=1e-6) or index_is_lossy(after)


def index_is_lossy(index: Index) -> bool:
    return index.recall is None or index.recall < 1.0


def test_damaged_arrays_of_the_plan_are_built_again(path: Path) -> None:
    plan = [n for n in names_of(path) if n not in ("rows", "row_digests", "ids", "present")]
    before = Index.open(path, map=False)
    ids, engine = before.ids, before.plan.engine
    for name in plan:
        flip(file_of(path, name), -1)
    repaired = repair(path)
    assert len(repaired.damages) == len(plan)
    assert repaired.lost_vectors == 0
    after = Index.open(path, verify="full")
    assert after.ids.tolist() == ids.tolist()
    assert after.plan.engine == engine
    assert verify(path).problems == ()


def test_damage_of_ids_and_marks_is_told(path: Path) -> None:
    flip(file_of(path, "ids", 3), -1)
    repaired = repair(path)
    assert repaired.lost_vectors == 3
    assert repaired.vectors == 5580
    assert any("ids are damaged" in note for note in repaired.notes)


def test_removed_vectors_that_may_be_back_are_told(path: Path) -> None:
    flip(file_of(path, "removed", 2), -1)
    repaired = repair(path)
    assert any("may be back" in note for note in repaired.notes)
    assert repaired.vectors == 5603


def test_a_damaged_manifest_is_taken_from_its_copy(path: Path) -> None:
    flip(path / "manifest.json", 100)
    assert "manifest.json" in verify(path).problems[0]
    with pytest.raises(CorruptStore, match="lookalike repair"):
        Index.open(path)
    repaired = repair(path)
    assert "copy" in str(repaired)
    assert repaired.vectors == len(Index.open(path, verify="full")) == 5583
    flip(path / "manifest.json", 100)
    flip(path / "manifest.copy.json", 100)
    with pytest.raises(CorruptStore):
        repair(path)


def swap_ends(array: npt.NDArray[Any]) -> None:
    array[[0, -1]] = array[[-1, 0]]


@pytest.mark.parametrize("kind", ["cells"], indirect=True)
@pytest.mark.parametrize("name", ["rows", "block_rows", "cell_sizes", "row_digests"])
def test_what_contradicts_the_vectors_is_found_though_all_digests_agree(
    path: Path, kind: str, name: str
) -> None:
    rewritten(path, name, swap_ends if name != "block_rows" else np.ndarray.sort)
    assert verify(path).problems


@pytest.mark.parametrize("kind", ["bits"], indirect=True)
@pytest.mark.parametrize("name", ["order", "rows"])
def test_postings_that_are_not_sorted_are_found(path: Path, kind: str, name: str) -> None:
    rewritten(path, name, swap_ends)
    assert verify(path).problems


@pytest.mark.parametrize("kind", ["cells"], indirect=True)
def test_padding_and_values_that_are_no_numbers_are_found(path: Path, kind: str) -> None:
    def spoil(array: npt.NDArray[Any]) -> None:
        array.view(np.float32)[7, 3] = np.nan

    rewritten(path, "rows", spoil)
    assert any("not finite" in problem for problem in verify(path).problems)


def test_a_description_reads_no_array(path: Path, kind: str) -> None:
    described = describe(path)
    assert described.vectors == 5583
    assert described.segments == 4
    assert json.loads(json.dumps(described.to_dict()))["vectors"] == 5583
    for file in path.rglob("*.npy"):
        os.truncate(file, 0)
    assert describe(path).vectors == 5583


@pytest.mark.parametrize("kind", ["bits"], indirect=True)
def test_progress_is_told_in_bytes_and_cancels(path: Path, kind: str) -> None:
    told: list[tuple[int, int]] = []
    verify(path, progress=lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1] > 0
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    from lookalike import Cancelled

    with pytest.raises(Cancelled):
        verify(path, progress=lambda done, total: False)


@pytest.mark.parametrize("kind", ["bits"], indirect=True)
def test_opening_for_changes_renews_the_copy(path: Path, kind: str) -> None:
    (path / "manifest.copy.json").write_bytes(b"old")
    Index.open(path)
    assert (path / "manifest.copy.json").read_bytes() == b"old"
    Index.open(path, "r+").close()
    assert (path / "manifest.copy.json").read_bytes() == (path / "manifest.json").read_bytes()


def test_an_empty_index_is_repaired_too(tmp_path: Path) -> None:
    Index("l2").save(tmp_path / "index")
    flip(tmp_path / "index" / "manifest.json", 100)
    assert "copy" in str(repair(tmp_path / "index"))
    assert verify(tmp_path / "index").problems == ()
    assert len(Index.open(tmp_path / "index")) == 0


@pytest.mark.parametrize("kind", ["bits"], indirect=True)
def test_of_two_vectors_with_one_id_the_later_is_kept(path: Path, kind: str) -> None:
    with Index.open(path, "r+") as index:
        index.add(items_of(kind, 3, seed=9), ids=[5, 6, 7], replace=True)
        wanted = index.vectors([5, 6, 7])
    flip(file_of(path, "removed", -1), -1)
    assert "3 vectors with the id of a later one are dropped" in str(repair(path))
    assert verify(path).problems == ()
    assert (Index.open(path).vectors([5, 6, 7]) == wanted).all()


@pytest.mark.parametrize("kind", ["bits"], indirect=True)
@pytest.mark.parametrize("why", [errno.EACCES, errno.EMFILE])
def test_a_file_that_may_not_be_read_is_not_dropped(
    path: Path, kind: str, why: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def refusing(name: Any, *args: Any, **options: Any) -> int:
        if name == "rows.npy":
            raise OSError(why, os.strerror(why))
        return real(name, *args, **options)

    before = (path / "manifest.json").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refusing)
        for act in (repair, verify, Index.open):
            with pytest.raises(UnreadableFile, match="the system refuses") as raised:
                act(path)
            assert not isinstance(raised.value, CorruptStore)
    assert (path / "manifest.json").read_bytes() == before
    assert verify(path).problems == ()
