"""An index in the place of another, sound or damaged; and nothing of others is ever removed."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.store.conftest import Contents, hooked, item, items, on_disk, operations, saved
from tests.store.damaging import flip, manifest_of
from tests.store.test_faults import Refusing, commit_of, refused

from lookalike import CorruptStore, Index, NewerFormat, NotWritten, WouldOverwrite
from lookalike.store.manifest import Manifest
from lookalike.upkeep import repair, verify

pytestmark = pytest.mark.usefixtures("no_waiting")

NEW = [*range(300, 330)]
COPY = "manifest.copy.json"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    saved(tmp_path / "index", tails=3)
    return tmp_path / "index"


@pytest.fixture
def index() -> Index:
    new = Index("hamming", recall=1.0)
    new.add(items(NEW), NEW)
    return new


def known() -> Contents:
    return {one: item(one).tobytes() for one in NEW}


def _flipped(path: Path) -> None:
    flip(path / "manifest.json", 100)


def _both_flipped(path: Path) -> None:
    flip(path / "manifest.json", 100)
    flip(path / COPY, 100)


def _zeros(path: Path) -> None:
    for name in ("manifest.json", COPY):
        (path / name).write_bytes(bytes(1000))


def _cut_off(path: Path) -> None:
    os.truncate(path / "manifest.json", 0)
    (path / COPY).unlink()


def _gone(path: Path) -> None:
    (path / "manifest.json").unlink()


def _no_number_is_left(path: Path) -> None:
    _both_flipped(path)
    (path / "damaged" / "00000099").mkdir(parents=True)


DAMAGES = [_flipped, _both_flipped, _zeros, _cut_off, _gone, _no_number_is_left]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__.strip("_"))
def test_an_index_whose_manifest_is_damaged_can_be_replaced(
    damage: Callable[[Path], None], path: Path, index: Index
) -> None:
    before = manifest_of(path)
    damage(path)
    with pytest.raises(CorruptStore):
        Index.open(path)
    index.save(path, replace=True)
    assert on_disk(path) == known()
    after = manifest_of(path)
    assert [own.name for own in sorted((path / "segments").iterdir())] == [after.segments[0].name]
    assert int(after.segments[0].name) >= before.next_segment
    if damage not in (_zeros, _cut_off):  # which leave nothing that says it
        assert after.generation > before.generation
    assert after.generation > 1
    assert int(after.segments[0].name) == (100 if damage is _no_number_is_left else 5)
    with Index.open(path, "r+") as writer:
        writer.add(items([1]), [1])
    assert verify(path).problems == ()


def test_only_when_told_to(path: Path, index: Index) -> None:
    for damage in (_flipped, _gone):
        damage(path)
        with pytest.raises(WouldOverwrite, match="where there is one"):
            index.save(path)
    assert repair(path).vectors == 30


@pytest.mark.parametrize("lasting", [False, True])
def test_a_refused_replacement_leaves_what_can_be_repaired(
    lasting: bool, path: Path, index: Index, tmp_path: Path
) -> None:
    before = on_disk(path)
    _flipped(path)
    start = tmp_path / "start"
    shutil.copytree(path, start)
    names = operations(lambda: index.save(path, replace=True))
    last = commit_of(names)
    for at in range(len(names)):
        shutil.rmtree(path)
        shutil.copytree(start, path)
        message = ""
        try:
            with hooked(Refusing(at, refused(errno.ENOSPC), lasting=lasting)):
                index.save(path, replace=True)
        except NotWritten as error:
            message = str(error)
        assert (message != "") == (at <= last + 1)
        if "it is as it was before" in message:
            assert (path / "manifest.json").read_bytes() == (start / "manifest.json").read_bytes()
            repair(path)
            assert on_disk(path) == before
        else:
            assert on_disk(path) == known()


@pytest.mark.parametrize(
    "there", ["notes.txt", "photos/cat.jpg", "segments/song.wav", "segments/00000099/song.wav"]
)
def test_a_damaged_index_with_things_of_others_is_left_alone(
    there: str, path: Path, index: Index
) -> None:
    _flipped(path)
    (path / there).parent.mkdir(exist_ok=True)
    (path / there).write_text("mine")
    before = {file: file.read_bytes() for file in path.rglob("*.*") if file.is_file()}
    told = re.escape(there.removesuffix("/song.wav").removesuffix("/cat.jpg"))
    if there == "segments/song.wav":
        told = re.escape(there)
    with pytest.raises(WouldOverwrite, match=f"{told}.*Choose another folder, or move away"):
        index.save(path, replace=True)
    assert before == {file: file.read_bytes() for file in path.rglob("*.*") if file.is_file()}


@pytest.mark.parametrize("text", ["{}", '{"name": "my web page", "icons": []}'])
def test_a_manifest_of_somebody_else_is_not_replaced(
    text: str, tmp_path: Path, index: Index
) -> None:
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "manifest.json").write_text(text)
    with pytest.raises(WouldOverwrite, match=r"manifest\.json"):
        index.save(tmp_path / "page", replace=True)
    [file] = (tmp_path / "page").iterdir()
    assert file.read_text() == text


def test_what_repair_has_set_aside_stays(path: Path, index: Index) -> None:
    flip(path / "segments" / "00000002" / "rows.npy", -1)
    repair(path)
    kept = {file: file.read_bytes() for file in (path / "damaged").rglob("*.npy")}
    assert kept
    _both_flipped(path)
    index.save(path, replace=True)
    assert kept == {file: file.read_bytes() for file in (path / "damaged").rglob("*.npy")}


def test_an_index_of_a_later_version_is_not_damaged(path: Path, index: Index) -> None:
    import json

    from tests.hostile.forging import manifest_bytes

    body = json.loads((path / "manifest.json").read_bytes())
    (path / "manifest.json").write_bytes(manifest_bytes(body | {"format": 2}))
    with pytest.raises(NewerFormat):
        index.save(path, replace=True)


def test_numbers_that_are_used_up_are_told_before_anything_is_committed(path: Path) -> None:
    manifest = manifest_of(path)
    for generation, following in ((2**63 - 1, 9), (9, 10**18)):
        forged = Manifest(generation, following, manifest.index, manifest.segments).to_bytes()
        (path / "manifest.json").write_bytes(forged)
        with Index.open(path, "r+") as writer, pytest.raises(CorruptStore, match="used up"):
            writer.add(items([1]), [1], replace=True)
        assert (path / "manifest.json").read_bytes() == forged
        assert len(Index.open(path)) == 30
