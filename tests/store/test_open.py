"""An index that was saved and opened answers like the one in memory, also when both change."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lookalike import Index, InvalidInput, ReadOnly, UnreadableFile, WouldOverwrite, archive
from lookalike.store.manifest import Manifest

Array = npt.NDArray[Any]
KINDS = {
    "exact l1": {"metric": "l1", "recall": 1.0},
    "exact l2 of floats": {"metric": "l2", "recall": 1.0},
    "exact cosine": {"metric": "cosine", "recall": 1.0},
    "cells l1": {"metric": "l1"},
    "cells l2 of floats": {"metric": "l2"},
    "cells cosine": {"metric": "cosine"},
    "bits": {"metric": "hamming"},
    "tables": {"metric": "l1", "bits": 16, "tables": 4},
    "tables of lines": {"metric": "l2", "bits": 8, "tables": 4},
    "prefixes of bytes": {"metric": "l1", "promise": "guaranteed"},
    "prefixes of floats": {"metric": "cosine", "promise": "guaranteed"},
}
EXACT = ("exact l1", "exact l2 of floats", "exact cosine", "bits")


def items_of(kind: str, count: int, seed: int = 1) -> Array:
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(60, 32))
    values = centres[random.integers(0, 60, count)] + 0.4 * random.normal(size=(count, 32))
    if kind == "bits":
        return np.packbits(np.tile(values, 4) + random.normal(size=(count, 128)) > 0, axis=1)
    if kind in ("exact l1", "cells l1", "tables", "prefixes of bytes"):
        return np.clip(128 + 40 * values, 0, 255).astype(np.uint8)
    return values.astype(np.float32)


def manifest_of(path: Path) -> Manifest:
    return Manifest.from_bytes((path / "manifest.json").read_bytes(), "it")


def same_answers(one: Index, other: Index, queries: Array) -> None:
    found, wanted = one.search(queries, k=7), other.search(queries, k=7)
    assert found.ids.tolist() == wanted.ids.tolist()
    assert found.distances.tolist() == wanted.distances.tolist()
    radius = float(np.median(wanted.distances[:, 3]))
    near, far = one.within(queries, radius), other.within(queries, radius)
    assert near.ids.tolist() == far.ids.tolist()
    assert len(one) == len(other)
    assert one.ids.tolist() == other.ids.tolist()


@pytest.mark.parametrize("mapped", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_it_answers_like_the_one_in_memory(kind: str, mapped: bool, tmp_path: Path) -> None:
    index = Index(**KINDS[kind])  # type: ignore[arg-type]
    items = items_of(kind, 4300)
    index.add(items, ids=np.random.default_rng(3).permutation(9000)[:4300])
    index.remove(index.ids[5:9])
    index.save(tmp_path / "index")
    opened = Index.open(tmp_path / "index", map=mapped)
    same_answers(opened, index, items_of(kind, 30, 2))
    assert str(opened.plan) == str(index.plan)
    assert opened.metric == index.metric
    assert (opened.seed, opened.recall, opened.item_shape) == (
        index.seed,
        index.recall,
        index.item_shape,
    )
    assert (opened.vectors(opened.ids[:9]) == items[[*range(5), *range(9, 13)]]).all()


@pytest.mark.parametrize("kind", EXACT)
def test_several_segments_answer_like_one_index(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "_LEAST_BASE_BYTES", 1 << 14)
    memory = Index(**KINDS[kind])  # type: ignore[arg-type]
    memory.save(tmp_path / "index")
    random = np.random.default_rng(4)
    with Index.open(tmp_path / "index", "r+") as living:
        reader = Index.open(tmp_path / "index")
        for step in range(60):
            batch = items_of(kind, int(random.integers(1, 90)), 100 + step)
            ids = None
            if step % 5 == 4:
                ids = random.permutation(10_000)[: len(batch)]
                ids = ids[~np.isin(ids, memory.ids)]
                batch = batch[: len(ids)]
            assert memory.add(batch, ids).tolist() == living.add(batch, ids).tolist()
            if step % 7 == 6:
                gone = random.choice(memory.ids, 20, replace=False)
                memory.remove(gone)
                living.remove(gone)
            if step % 10 == 9:
                queries = items_of(kind, 10, 1000 + step)
                same_answers(living, memory, queries)
                assert reader.refresh()
                same_answers(reader, memory, queries)
                same_answers(Index.open(tmp_path / "index", verify="full"), memory, queries)
        assert len(manifest_of(tmp_path / "index").segments) > 1
        living.compact()
        same_answers(living, memory, items_of(kind, 10, 5))
    assert len(manifest_of(tmp_path / "index").segments) == 1


def test_merges_keep_segments_few_and_write_each_byte_a_few_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "_LEAST_BASE_BYTES", 1 << 16)
    Index("l1", recall=1.0).save(tmp_path / "index")
    with Index.open(tmp_path / "index", "r+") as index:
        for step in range(600):
            index.add(items_of("exact l1", 64, step))
            assert len(manifest_of(tmp_path / "index").segments) <= 1 + 3 * 7
        assert index._archive is not None
        rows = len(index) * 32
        assert index._archive.folder.written_bytes < 40 * rows  # small files are mostly headers


@pytest.mark.parametrize("planned", [False, True])
def test_what_was_removed_leaves_the_disk_though_nobody_searches(
    planned: bool, tmp_path: Path
) -> None:
    path, items = tmp_path / "it", items_of("cells l1", 800)
    index = Index("l1")
    if planned:
        index.add(items)
    index.save(path)
    with Index.open(path, "r+") as writer:
        oldest = list(map(int, writer.ids)) or writer.add(items).tolist()
        for _ in range(12):  # as a camera's: the newest 800 are kept
            oldest += writer.add(items[:200]).tolist()
            writer.remove(oldest[:200])
            del oldest[:200]
        assert writer.ids.tolist() == oldest
    assert sum(int(own.facts["rows"]) for own in manifest_of(path).segments) <= 2 * 800
    assert Index.open(path).ids.tolist() == oldest


def test_a_plan_that_was_outgrown_before_the_first_search_is_made_again(tmp_path: Path) -> None:
    path, items = tmp_path / "it", items_of("cells l1", 3000)
    index = Index("l1")
    index.add(items[:1000])
    index.save(path)
    with Index.open(path, "r+") as writer:
        writer.add(items[1000:])
        writer.search(items[0])
        assert len(manifest_of(path).segments) == 1
        assert writer.plan.engine == Index.open(path).plan.engine


def test_the_promise_holds_over_several_segments_and_after_a_merge(tmp_path: Path) -> None:
    index = Index("l2", recall=0.95)
    index.add(items_of("cells l2 of floats", 6000))
    index.save(tmp_path / "index")
    queries = items_of("cells l2 of floats", 1500, 7)
    with Index.open(tmp_path / "index", "r+") as living:
        for step in range(10):
            living.add(items_of("cells l2 of floats", 400, 20 + step))
        living.remove(living.ids[::9])
        assert len(manifest_of(tmp_path / "index").segments) > 1
        opened = Index.open(tmp_path / "index")
        assert opened.plan.engine == living.plan.engine == "cells"
        for one in (opened, living):
            assert one.measure(10, queries).high >= 0.95
        living.compact()
        assert living.measure(10, queries).high >= 0.95
        assert opened.refresh()
        assert opened.measure(10, queries).high >= 0.95


def test_the_users_own_queries_stay_what_is_promised_for(tmp_path: Path) -> None:
    index = Index("l2")
    index.add(items_of("cells l2 of floats", 5000))
    index.save(tmp_path / "index")
    unlike = items_of("cells l2 of floats", 900, 8) * np.float32(1.5)
    with Index.open(tmp_path / "index", "r+") as living:
        living.calibrate(unlike[:600])
        plan = str(living.plan)
    assert str(Index.open(tmp_path / "index").plan) == plan


def test_an_empty_index_can_be_saved_and_grown(tmp_path: Path) -> None:
    Index("cosine", seed=None).save(tmp_path / "index")
    with Index.open(tmp_path / "index", "r+") as index:
        assert len(index) == 0
        ids = index.add(items_of("exact cosine", 3))
        index.remove(ids)
        assert len(index) == 0
        index.compact()
        assert index.add(items_of("exact cosine", 2)).tolist() == [3, 4]  # ids never come back
    assert Index.open(tmp_path / "index").ids.tolist() == [3, 4]


def test_bytes_become_floats_on_the_disk_too(tmp_path: Path) -> None:
    Index("l2", recall=1.0).save(tmp_path / "index")
    with Index.open(tmp_path / "index", "r+") as index:
        index.add(np.arange(12, dtype=np.uint8).reshape(3, 4))
        index.add(np.full((1, 4), 0.5))
    opened = Index.open(tmp_path / "index")
    assert opened.vectors([0, 3]).tolist() == [[0, 1, 2, 3], [0.5] * 4]


def test_what_an_index_is_saved_to(tmp_path: Path) -> None:
    index = Index("l1")
    index.add(items_of("exact l1", 5))
    (tmp_path / "empty").mkdir()
    index.save(tmp_path / "empty")
    with pytest.raises(WouldOverwrite, match="replace=True"):
        index.save(tmp_path / "empty")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()
    for there in (tmp_path / "photos", tmp_path / "photos" / "cat.jpg"):
        for replace in (False, True):
            with pytest.raises(WouldOverwrite):
                index.save(there, replace=replace)
    old = Index.open(tmp_path / "empty")
    index.add(items_of("exact l1", 5))
    index.save(tmp_path / "empty", replace=True)
    assert (len(old), len(Index.open(tmp_path / "empty"))) == (5, 10)
    assert old.search(items_of("exact l1", 5)[0], k=1).distances[0] == 0
    with (
        Index.open(tmp_path / "empty", "r+") as own,
        pytest.raises(WouldOverwrite, match="compact"),
    ):
        own.save(tmp_path / "empty", replace=True)


@pytest.mark.parametrize("there", ["segments/1/song.wav", "segments/00000001/song.wav"])
def test_nothing_of_others_is_removed(there: str, tmp_path: Path) -> None:
    file = tmp_path / "out" / there
    file.parent.mkdir(parents=True)
    file.touch()
    with pytest.raises(WouldOverwrite):
        Index("l1").save(tmp_path / "out")
    Index("l1").save(tmp_path / "index")
    mine = tmp_path / "index" / there
    mine.parent.mkdir(parents=True)
    mine.touch()
    Index.open(tmp_path / "index", "r+").close()
    assert file.exists()
    assert mine.exists()


def test_an_index_that_took_the_place_of_another_by_its_name_is_noticed(tmp_path: Path) -> None:
    for name, count in (("index", 3), ("other", 5)):
        index = Index("l1")
        index.add(items_of("exact l1", count))
        index.save(tmp_path / name)
    reader = Index.open(tmp_path / "index")
    (tmp_path / "index").rename(tmp_path / "old")
    (tmp_path / "other").rename(tmp_path / "index")
    assert reader.refresh()
    assert len(reader) == 5
    assert not reader.refresh()


def test_what_cannot_be_opened_is_told(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(UnreadableFile, match="Check the path"):
            Index.open(path)
    Index("l1").save(tmp_path / "index")
    with pytest.raises(InvalidInput, match="mode"):
        Index.open(tmp_path / "index", "w")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="verify"):
        Index.open(tmp_path / "index", verify="all")  # type: ignore[arg-type]


def test_what_was_opened_to_be_read_is_not_changed(tmp_path: Path) -> None:
    index = Index("l1")
    index.add(items_of("exact l1", 50))
    index.save(tmp_path / "index")
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    opened = Index.open(tmp_path / "index")
    for change in (
        lambda: opened.add(items_of("exact l1", 1)),
        lambda: opened.remove(3),
        opened.rebuild,
        opened.compact,
    ):
        with pytest.raises(ReadOnly, match=r'mode "r\+"'):
            change()
    opened.search(items_of("exact l1", 1)[0])
    assert before == {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    with pytest.raises(ReadOnly, match="in memory"):
        index.compact()
    assert not index.refresh()


def test_the_manifest_and_the_arrays_are_the_same_bytes_for_the_same_index(tmp_path: Path) -> None:
    for name in ("one", "two"):
        index = Index("l1")
        index.add(items_of("cells l1", 4300))
        index.save(tmp_path / name, threads=1 + (name == "two"))
    files = [file.relative_to(tmp_path / "one") for file in (tmp_path / "one").rglob("*.*")]
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


_OPENS = """
import sys
import numpy as np
from lookalike import Index

def resident():
    return int(open("/proc/self/status").read().split("VmRSS:")[1].split()[0])

import xxhash
before = resident()
index = Index.open(sys.argv[1])
print(resident() - before, len(index))
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="needs /proc")  # noqa: PTH110
def test_opening_reads_no_array(tmp_path: Path) -> None:
    index = Index("hamming")
    index.add(np.random.default_rng(0).integers(0, 256, (200_000, 64), np.uint8))
    index.save(tmp_path / "index")
    done = subprocess.run(
        [sys.executable, "-c", _OPENS, str(tmp_path / "index")],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    kilobytes, count = map(int, done.stdout.split())
    assert count == 200_000
    assert kilobytes < 6000  # of the 26 MB on the disk


def test_the_encoder_is_kept_and_changes_the_fingerprint(tmp_path: Path) -> None:
    prints = set()
    for encoder in ("pdq 1", "pdq 2", None):
        path = tmp_path / str(encoder)
        Index("hamming", encoder=encoder).save(path)
        assert Index.open(path).encoder == encoder
        prints.add(manifest_of(path).fingerprint)
    assert len(prints) == 3
