"""Indexes that this or an earlier version wrote: every later one opens them, and finds the same.

Never write these again to make a test pass: before 0.1.0 a new format needs a line in the
changelog, and after it none is possible that does not open them. For new ones, run this file as a
script; it refuses to write over what is there.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lookalike import Index
from lookalike.upkeep import verify

FOLDER = Path(__file__).parent / "indexes"
QUERIES, K = 8, 5
Array = npt.NDArray[Any]


def clustered(count: int, width: int, seed: int) -> npt.NDArray[np.float64]:
    """Vectors around forty centres."""
    centres = np.random.default_rng(0).normal(size=(40, width))
    random = np.random.default_rng(seed)
    return centres[random.integers(0, 40, count)] + 0.4 * random.normal(size=(count, width))


def pixels(count: int, seed: int) -> npt.NDArray[np.uint8]:
    """Small pictures."""
    return np.clip(128 + 40 * clustered(count, 64, seed), 0, 255).astype(np.uint8)


def floats(count: int, seed: int) -> npt.NDArray[np.float32]:
    """Embeddings."""
    return clustered(count, 32, seed).astype(np.float32)


def bits(count: int, seed: int) -> npt.NDArray[np.uint8]:
    """Packed bits."""
    return np.packbits(clustered(count, 64, seed) > 0, axis=1)


def living(index: Index, path: Path) -> None:
    """Save an index, and change it on the disk."""
    index.save(path)
    with Index.open(path, "r+") as changed:
        changed.add(pixels(20, 5), ids=np.arange(900, 880, -1))
        changed.remove([3, 890])
        changed.add(pixels(1, 6))


def saved(index: Index, path: Path) -> None:
    """Save an index."""
    index.save(path)


Kind = tuple[Callable[[], Index], Callable[[int, int], Array], int, Callable[[Index, Path], None]]
KINDS: dict[str, Kind] = {
    "cells-bytes": (lambda: Index("l1"), pixels, 4500, saved),
    "cells-floats": (lambda: Index("cosine"), floats, 4500, saved),
    "multi-index": (lambda: Index("hamming"), bits, 4200, saved),
    "exact": (lambda: Index("l2", recall=1.0), floats, 100, saved),
    "tables": (lambda: Index("l1", bits=12, tables=4, seed=7), pixels, 300, saved),
    "prefixes": (lambda: Index("l2", promise="guaranteed"), floats, 4200, saved),
    "living": (lambda: Index("l2"), pixels, 300, living),
}


NAMES = list(KINDS)


def found(name: str, what: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.loadtxt(FOLDER / f"{name}.{what}.txt", ndmin=2)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mapped", [True, False])
def test_they_open_and_find_the_same(name: str, mapped: bool) -> None:
    index = Index.open(FOLDER / name, verify="full", map=mapped)
    queries = KINDS[name][1](QUERIES, 2)
    hits = index.search(queries, k=K)
    assert hits.ids.tolist() == found(name, "ids").tolist()
    assert hits.distances.tolist() == found(name, "distances").tolist()


@pytest.mark.parametrize("name", NAMES)
def test_what_they_say_holds(name: str) -> None:
    assert verify(FOLDER / name).problems == ()


@pytest.mark.parametrize("name", [name for name in NAMES if name != "living"])
def test_what_is_learned_is_written_byte_for_byte_the_same(name: str, tmp_path: Path) -> None:
    golden = FOLDER / name
    Index.open(golden).save(tmp_path / "again")
    for file in [*sorted(golden.rglob("*.npy")), golden / "manifest.json"]:
        again = tmp_path / "again" / file.relative_to(golden)
        assert again.read_bytes() == file.read_bytes(), file.name


@pytest.mark.parametrize("name", NAMES)
def test_they_can_be_changed(name: str, tmp_path: Path) -> None:
    shutil.copytree(FOLDER / name, tmp_path / name)
    items = KINDS[name][1](30, 9)
    with Index.open(tmp_path / name, "r+") as index:
        before = len(index)
        ids = index.add(items)
        assert index.within(items[0], 0.0).ids.tolist() == [int(ids[0])]
        index.compact()
    assert len(Index.open(tmp_path / name, verify="full")) == before + 30


def main() -> None:
    for name, (make, items, count, save) in KINDS.items():
        index = make()
        index.add(items(count, 1))
        save(index, FOLDER / name)
        hits = Index.open(FOLDER / name).search(items(QUERIES, 2), k=K)
        np.savetxt(FOLDER / f"{name}.ids.txt", hits.ids, "%d")
        np.savetxt(FOLDER / f"{name}.distances.txt", hits.distances, "%.17g")


if __name__ == "__main__":
    main()
