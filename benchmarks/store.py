"""An index on a disk: writing, opening, searching mapped, adding durably; beside NumPy and faiss.

Vectors vary in 24 directions around 1,000 random centres, and a little in all: 1,000,000 x 128
float32 for opening and searching, images of 784 bytes for adding. Files were just written, so that
they are in the system's cache: what is measured is the work of the programs and not of the drive,
but for the syncs of durable adds.
"""

from __future__ import annotations

import harness  # isort: skip  # before the peers: it gives all of them one thread

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike import Index
from lookalike.store import disk
from lookalike.store.manifest import Manifest

COUNT, WIDTH, QUERIES = 1_000_000, 128, 1000
CENTRES, DIRECTIONS = 1000, 24
IMAGES, PIXELS, BATCH = 200_000, 784, 1000
PLANNED = 60_000  # images that are there and searched before those that are added
Array = npt.NDArray[Any]


def vectors_of(count: int, width: int, seed: int) -> npt.NDArray[np.float32]:
    fixed, random = np.random.default_rng(0), np.random.default_rng(seed)
    places = fixed.normal(size=(CENTRES, DIRECTIONS)).astype(np.float32)
    directions = fixed.normal(size=(DIRECTIONS, width)).astype(np.float32) / DIRECTIONS**0.5
    latent: npt.NDArray[np.float32] = places[random.integers(0, CENTRES, count)]
    latent += 0.5 * random.normal(size=latent.shape).astype(np.float32)
    noise = random.normal(size=(count, width)).astype(np.float32)
    vectors: npt.NDArray[np.float32] = latent @ directions + 0.1 * noise
    return vectors


def images_of(count: int, seed: int) -> npt.NDArray[np.uint8]:
    return np.clip(128 + 40 * vectors_of(count, PIXELS, seed), 0, 255).astype(np.uint8)


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    answer = call()
    return answer, time.perf_counter() - start


def bytes_in(path: Path) -> int:
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())


def resident_mb() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


# ---- opening, each in a process of its own


def open_ours(path: Path) -> Callable[[Array], object]:
    return Index.open(path).search


def open_ours_in_memory(path: Path) -> Callable[[Array], object]:
    return Index.open(path, map=False).search


def open_ours_verified(path: Path) -> Callable[[Array], object]:
    return Index.open(path, verify="full").search


def open_numpy(path: Path) -> Callable[[Array], object]:
    array = np.load(path)
    return lambda query: np.argpartition(np.square(array - query).sum(axis=1), 10)[:10]


def open_faiss(path: Path) -> Callable[[Array], object]:
    import faiss

    index = faiss.read_index(str(path))
    return lambda query: index.search(query[None], 10)


OPENING: dict[str, tuple[str, Callable[[Path], Callable[[Array], object]]]] = {
    "lookalike": ("ours", open_ours),
    'lookalike, verify="full"': ("ours", open_ours_verified),
    "lookalike, map=False": ("ours", open_ours_in_memory),
    "numpy.load": ("vectors.npy", open_numpy),
    "faiss Flat": ("flat.faiss", open_faiss),
    "faiss IVF1024,Flat": ("ivf.faiss", open_faiss),
}


def opened(name: str, folder: Path) -> dict[str, float]:
    file, opening = OPENING[name]
    query = vectors_of(1, WIDTH, 2)[0]
    if "faiss" in name:
        import faiss  # noqa: F401  # importing is not opening
    before = resident_mb()
    search, seconds = timed(partial(opening, folder / file))
    resident = resident_mb() - before
    _, first = timed(partial(search, query))
    _, second = timed(partial(search, query))
    return {
        "open_ms": seconds * 1e3,
        "resident_mb": resident,
        "total_mb": before + resident,
        "first_ms": first * 1e3,
        "second_ms": second * 1e3,
    }


def print_opening(folder: Path, writing: dict[str, float]) -> None:
    print(f"\n### {COUNT:,} x {WIDTH} float32: writing and opening\n")
    print(
        "| program | write, s | bytes a vector | open, ms | more memory, MB (of the process) "
        "| first search, ms | second |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, (file, _) in OPENING.items():
        done = subprocess.run(
            [sys.executable, __file__, "--opened", name, str(folder)],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        row = json.loads(done.stdout)
        written = f"{writing[file]:.2f}" if file in writing else ""
        print(
            f"| {name} | {written} | {bytes_in(folder / file) / COUNT:,.0f} "
            f"| {row['open_ms']:,.1f} | {row['resident_mb']:,.0f} ({row['total_mb']:,.0f}) "
            f"| {row['first_ms']:,.1f} | {row['second_ms']:,.2f} |"
        )
        writing.pop(file, None)


def write_all(folder: Path, vectors: Array) -> tuple[Index, dict[str, float]]:
    import faiss

    index = Index("l2")
    index.add(vectors)
    _, planning = timed(lambda: index.search(vectors[0]))
    writing = {"ours": timed(lambda: index.save(folder / "ours"))[1]}
    writing["vectors.npy"] = timed(lambda: np.save(folder / "vectors.npy", vectors))[1]
    flat = faiss.IndexFlatL2(WIDTH)
    flat.add(vectors)
    writing["flat.faiss"] = timed(lambda: faiss.write_index(flat, str(folder / "flat.faiss")))[1]
    ivf = faiss.index_factory(WIDTH, "IVF1024,Flat")

    def build() -> None:
        ivf.train(vectors[: 64 * 1024])
        ivf.add(vectors)

    _, of_faiss = timed(build)
    writing["ivf.faiss"] = timed(lambda: faiss.write_index(ivf, str(folder / "ivf.faiss")))[1]
    print(f"\nBuilding: lookalike {planning:.1f} s, faiss IVF1024,Flat {of_faiss:.1f} s.")
    return index, writing


# ---- searching


def one_by_one(index: Index, queries: Array) -> None:
    for query in queries:
        index.search(query)


def print_searching(index: Index, folder: Path, rounds: int) -> None:
    queries = vectors_of(QUERIES, WIDTH, 2)
    indexes = {
        "in memory": index,
        "mapped": Index.open(folder / "ours"),
        'mapped, "r+"': Index.open(folder / "ours", "r+"),
    }
    programs: list[harness.Program] = []
    for name, own in indexes.items():
        programs.append((name, partial(one_by_one, own, queries), QUERIES, "one query a call"))
    for name, own in indexes.items():
        programs.append((f"{name}, batch", partial(own.search, queries), QUERIES, ""))
    title = "Ten nearest of them, recall 0.95, warm"
    harness.print_table(title, harness.in_turns(programs, rounds=rounds), "in memory")
    indexes['mapped, "r+"'].close()


# ---- adding


class Counted:
    """Bytes that were written and syncs that were waited for, while it is in use."""

    def __init__(self) -> None:
        self.bytes = self.syncs = 0
        self._write, self._sync, self._sync_folder = disk.write, disk.sync, disk.sync_folder

    def __enter__(self) -> Counted:
        def write(file: Any, data: Any) -> None:
            self.bytes += memoryview(data).nbytes
            self._write(file, data)

        def sync(file: Any) -> None:
            self.syncs += 1
            self._sync(file)

        def sync_folder(path: Path) -> None:
            self.syncs += 1
            self._sync_folder(path)

        disk.write, disk.sync, disk.sync_folder = write, sync, sync_folder
        return self

    def __exit__(self, *exception: object) -> None:
        disk.write, disk.sync, disk.sync_folder = self._write, self._sync, self._sync_folder


def added(path: Path, images: Array, first: int, *, searched: bool) -> str:
    """Add all images, so many of them before the clock starts; a row of the table."""
    Index("l2").save(path)
    with Index.open(path, "r+") as index, Counted() as counted:
        if first:
            index.add(images[:first])
            index.search(images[0], threads=2)
        counted.bytes = counted.syncs = 0
        longest, start = 0.0, time.perf_counter()
        for at in range(first, len(images), BATCH):
            _, seconds = timed(partial(index.add, images[at : at + BATCH], threads=2))
            longest = max(longest, seconds)
            if searched:
                index.search(images[at])
        seconds = time.perf_counter() - start
        count = len(images) - first
        manifest = Manifest.from_bytes((path / "manifest.json").read_bytes(), "it")
        what = "searched before, and after each" if searched else "never searched"
        return (
            f"| {what} | {first:,} | {count:,} | {count / seconds * 60:,.0f} | {longest:.2f} "
            f"| {counted.bytes / (count * PIXELS):.2f} | {counted.syncs / (count / BATCH):.1f} "
            f"| {len(manifest.segments)} |"
        )


def print_adding(folder: Path) -> None:
    images = images_of(IMAGES, 3)
    print(f"\n### Adding images of {PIXELS} bytes, durably, {BATCH:,} at a time, two cores\n")
    print(
        "| index | there before | added | a minute | longest add, s | bytes written a byte added "
        "| syncs an add | segments at the end |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    print(added(folder / "plain", images, 0, searched=False))
    print(added(folder / "planned", images[: 2 * PLANNED], PLANNED, searched=True))
    with (folder / "once.bin").open("wb") as file:
        start = time.perf_counter()
        file.write(images.data)
        os.fsync(file.fileno())
        seconds = time.perf_counter() - start
    megabytes = images.nbytes / 1e6
    print(f"\nWriting the same {megabytes:,.0f} MB to one file and syncing once: {seconds:.2f} s.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--opened", nargs=2, help="open this program's file, print JSON")
    options = parser.parse_args()
    if options.opened:
        harness.pin_to_one_core()
        print(json.dumps(opened(options.opened[0], Path(options.opened[1]))))
        return
    print(f"\n## The store\n\n{harness.machine()}.")
    folder = Path(tempfile.mkdtemp(prefix="lookalike-store-"))
    cores = os.sched_getaffinity(0)
    try:
        harness.pin_to_one_core()
        index, writing = write_all(folder, vectors_of(COUNT, WIDTH, 1))
        print_opening(folder, writing)
        print_searching(index, folder, options.rounds)
        os.sched_setaffinity(0, cores)
        print_adding(folder)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
