"""Indexes on a disk that tests damage: files that are not as they were written, and forged ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike import Index
from lookalike.store import array_file
from lookalike.store.manifest import Manifest, Segment

Array = npt.NDArray[Any]

BLOCK = 256  # rows that share a digest
KINDS = ["cells", "angles", "bytes", "bits", "tables", "prefixes", "exact"]


def items_of(kind: str, count: int, seed: int = 1) -> npt.NDArray[Any]:
    random = np.random.default_rng(seed)
    if kind == "bits":
        return random.integers(0, 256, (count, 16), np.uint8)
    centres = np.random.default_rng(0).normal(size=(40, 48))
    values = centres[random.integers(0, 40, count)] + 0.5 * random.normal(size=(count, 48))
    if kind in ("bytes", "tables"):
        return np.clip(128 + 30 * values, 0, 255).astype(np.uint8)
    if kind == "digits":
        return np.clip(8 + 3 * values, 0, 16).astype(np.uint8)
    return values.astype(np.float32)


def index_of(kind: str) -> Index:
    if kind == "tables":
        return Index("l1", bits=20, tables=4)
    if kind == "prefixes":
        return Index("l2", promise="guaranteed")
    if kind == "digits":
        return Index("l1", value_range=16)
    metric = {"bits": "hamming", "angles": "cosine", "bytes": "l1"}.get(kind, "l2")
    return Index(metric, recall=1.0 if kind == "exact" else None)


def grown(path: Path, kind: str) -> Path:
    """A base, a tail with rows, a tail with removed rows, and one with ids of its own."""
    index = index_of(kind)
    index.add(items_of(kind, 5000))
    index.save(path)
    with Index.open(path, "r+") as living:
        living.add(items_of(kind, 600, seed=2))
        living.remove(np.arange(100, 120))
        living.add(items_of(kind, 3, seed=3), ids=[70_000, 60_000, 80_000])
    return path


def file_of(path: Path, name: str, segment: int = 0) -> Path:
    folders = sorted((path / "segments").iterdir())
    return folders[segment] / f"{name}.npy"


def names_of(path: Path, segment: int = 0) -> list[str]:
    return sorted(file.stem for file in file_of(path, "x", segment).parent.iterdir())


def flip(file: Path, at: int) -> None:
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)


def manifest_of(path: Path) -> Manifest:
    return Manifest.from_bytes((path / "manifest.json").read_bytes(), "it")


def rewritten(
    path: Path,
    name: str,
    change: Callable[[Array], object],
    segment: int = 0,
    facts: dict[str, Any] | None = None,
) -> None:
    """Change an array, and facts of its segment if need be, and let all digests agree."""
    manifest = manifest_of(path)
    segments = list(manifest.segments)
    old = segments[segment]
    file = file_of(path, name, segment)
    array = np.load(file)
    change(array)
    file.unlink()
    stored = array_file.write_array(file, array, lambda _: None)
    told = dict(old.facts) | (facts or {})
    segments[segment] = Segment(old.name, told, {**old.arrays, name: stored})
    changed = Manifest(manifest.generation, manifest.next_segment, manifest.index, tuple(segments))
    (path / "manifest.json").write_bytes(changed.to_bytes())
