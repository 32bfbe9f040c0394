"""An album of a million files: pace, memory, and what an interruption costs.

Makes so many small JPEGs in nested folders: of every twenty, one is a copy of a file far away, and
one a file far away that was saved anew. So it is known what is there twice. Then every step runs
in a process of its own. The first sync is killed half-way.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import harness
import numpy as np
from PIL import Image

FILES = 1_000_000
BLOCK = 20  # files, the last two of which are made of files of another block
FOLDER = 1_000  # files
ADDED = 1_000
SIDE = 64  # pixels
QUALITY, QUALITY_ANEW = 85, 60
LEVELS = ("exact", "near", "similar")


def path_of(number: int) -> Path:
    """Where a file is in the album."""
    folder = number // FOLDER
    return Path(f"{folder // 100:03}") / f"{folder % 100:02}" / f"{number:08}.jpg"


def source_of(number: int, count: int) -> int:
    """Which file this one was made of: the same number for one that is like no other."""
    block, place = divmod(number, BLOCK)
    if place < BLOCK - 2:
        return number
    blocks = count // BLOCK
    return (block + blocks // 2) % blocks * BLOCK + place - (BLOCK - 2)


def jpeg(number: int, quality: int) -> bytes:
    """A picture that is like no other, with details as fine as PDQ looks at."""
    coarse = np.random.default_rng(number).integers(0, 256, (16, 16, 3), np.uint8)
    buffer = io.BytesIO()
    picture = Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def write(folder: Path, numbers: range, count: int) -> None:
    """Write some of so many files."""
    for number in numbers:
        path = folder / path_of(number)
        if number % FOLDER == 0:
            path.parent.mkdir(parents=True, exist_ok=True)
        anew = number % BLOCK == BLOCK - 1
        data = jpeg(source_of(number, count), QUALITY_ANEW if anew else QUALITY)
        path.write_bytes(data)


def write_all(folder: Path, count: int, workers: int) -> None:
    """Write all files, on all cores."""
    with ProcessPoolExecutor(workers) as pool:
        parts = [range(n, min(n + FOLDER, count)) for n in range(0, count, FOLDER)]
        for done in [pool.submit(write, folder, part, count) for part in parts]:
            done.result()


SYNC = """
import json, os, signal, sys, time
from pathlib import Path
from lookalike.album import Album

folder, workers, encoders, stop = json.loads(sys.argv[1])
peaks, reached = {}, 0

def look(done, total):
    global reached
    reached = done
    if total is not None and stop is not None and done >= stop:
        print(json.dumps({"memory": sum(peaks.values()), "encoded": done}), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    if done % 500 and done != total:
        return
    tasks = Path("/proc/self/task").glob("*/children")
    for process in ["self", *(own for task in tasks for own in task.read_text().split())]:
        try:
            lines = Path(f"/proc/{process}/status").read_text().splitlines()
            peaks[process] = next(
                1024 * int(own.split()[1]) for own in lines if own.startswith("VmHWM")
            )
        except (OSError, StopIteration):
            pass  # it has just ended

report = Album(folder, encoders=encoders).sync(workers=workers, progress=look)
look(reached, reached)
print(json.dumps({**report.to_dict(), "memory": sum(peaks.values())}))
"""

SEARCH = """
import json, sys, time
from lookalike.album import Album

folder, paths = json.loads(sys.argv[1])
start = time.perf_counter()
album = Album(folder)
album.search(paths[0], k=10)
first = time.perf_counter() - start
start = time.perf_counter()
for path in paths[1:]:
    album.search(path, k=10)
print(json.dumps({"first": first, "seconds": (time.perf_counter() - start) / len(paths[1:])}))
"""

DUPLICATES = """
import json, resource, sys, time
from lookalike.album import Album

folder, level, threads = json.loads(sys.argv[1])
start = time.perf_counter()
groups = Album(folder).duplicates(level, threads=threads)
print(json.dumps({
    "seconds": time.perf_counter() - start,
    "memory": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    "groups": [[member.path.decode() for member in group.members] for group in groups],
}))
"""


def run(program: str, *given: Any) -> dict[str, Any]:
    """What a program prints, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(given)], stdout=subprocess.PIPE, check=False
    )
    if done.returncode not in (0, -signal.SIGKILL):
        raise SystemExit(f"a step ended with exit status {done.returncode}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def planted(count: int, level: str) -> set[frozenset[int]]:
    """Groups that were made: pairs of a file and what was made of it."""
    last = [BLOCK - 2] if level == "exact" else [BLOCK - 2, BLOCK - 1]
    pairs = (
        (number, source_of(number, count))
        for block in range(count // BLOCK)
        for number in (block * BLOCK + place for place in last)
    )
    return {frozenset(pair) for pair in pairs}


def size_of(folder: Path) -> int:
    """Bytes of a folder's files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


class Steps:
    """Runs them, and prints a line of a table for each."""

    def __init__(self, folder: Path, count: int, workers: int, encoders: Sequence[str]) -> None:
        self.folder, self.count = folder, count
        self.workers, self.encoders = workers, encoders
        self.memory = 0

    def sync(self, stop: int | None = None) -> dict[str, Any]:
        """A sync, and the seconds of its process."""
        start = time.monotonic()
        result = run(SYNC, str(self.folder), self.workers, list(self.encoders), stop)
        self.memory = max(self.memory, result["memory"])
        return result | {"whole": time.monotonic() - start}

    def first(self) -> None:
        """The first sync, killed half-way and run again."""
        half = self.sync(self.count // 2)
        rest = self.sync()
        seconds = half["whole"] + rest["whole"]
        line("first sync, killed half-way", half["whole"], half["memory"])
        again = half["encoded"] + rest["new"] - self.count
        line(f"run again: {again} files were read twice", rest["whole"], rest["memory"])
        assert rest["files"] == self.count
        assert not rest["unreadable"]
        print(
            f"| both: {self.count / seconds:,.0f} files a second | {seconds:,.1f} | |", flush=True
        )

    def later(self) -> None:
        """Syncs when nothing, or little, has changed."""
        self.timed(f"{self.count:,} unchanged files", "unchanged", self.count)
        write(self.folder, range(self.count, self.count + ADDED), self.count)
        self.timed(f"{ADDED:,} files more", "new", ADDED)
        folder = (self.folder / path_of(0)).parent
        folder.rename(folder.with_name("renamed"))
        self.timed(f"a folder of {FOLDER:,} renamed", "moved", FOLDER)
        folder.with_name("renamed").rename(folder)
        (self.folder / path_of(self.count)).unlink()
        self.timed("named as before, and one file deleted", "deleted", 1)

    def timed(self, what: str, count: str, expected: int) -> None:
        """One of them."""
        result = self.sync()
        assert result[count] == expected, result
        line(f"sync: {what}", result["seconds"], result["memory"])

    def search(self) -> None:
        """Searches, in a process that has just started, and then."""
        numbers = np.random.default_rng(1).integers(0, self.count, 101).tolist()
        result = run(SEARCH, str(self.folder), [str(path_of(number)) for number in numbers])
        line("`search`, the first of a process", result["first"])
        print(f"| `search`, each of those after it | {result['seconds']:.4f} | |", flush=True)

    def duplicates(self, level: str) -> None:
        """Groups of duplicates, beside those that were made."""
        result = run(DUPLICATES, str(self.folder), level, self.workers)
        # What was added later are copies of files that are there already, or new.
        found = [[int(Path(own).stem) for own in group] for group in result["groups"]]
        groups = {frozenset(n for n in group if n < self.count) for group in found}
        made = planted(self.count, level)
        missing = len(made - groups)
        other = sum(len(group) > 1 for group in groups - made)
        line(
            f'`duplicates("{level}")`: {len(made):,} groups were made, {missing:,} of these are '
            f"not found as such, {other:,} others are",
            result["seconds"],
            result["memory"],
        )


def line(what: str, seconds: float, memory: int | None = None) -> None:
    """Print a line of the table."""
    text = "" if memory is None else f"{memory / 1e6:,.0f}"
    print(f"| {what} | {seconds:,.2f} | {text} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=FILES)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--encoders", nargs="+", default=["pdq", "phash"])
    parser.add_argument("--levels", nargs="*", default=LEVELS)
    parser.add_argument("--folder", type=Path, help="for the files, which stay; a new one if not")
    own = parser.parse_args()
    count = own.files // (2 * FOLDER) * 2 * FOLDER
    folder = own.folder or Path(tempfile.mkdtemp())
    try:
        start = time.monotonic()
        if not (folder / path_of(count - 1)).exists():
            write_all(folder, count, own.workers)
        print(f"{harness.machine()}; {own.workers} workers; {', '.join(own.encoders)}\n")
        print(f"| {count:,} files | seconds | MB at the peak |\n|---|---|---|")
        line("(making them)", time.monotonic() - start)
        steps = Steps(folder, count, own.workers, own.encoders)
        steps.first()
        steps.later()
        steps.search()
        for level in own.levels:
            steps.duplicates(level)
        print(
            f"\nThe album's own files: {size_of(folder / '.lookalike') / count:,.0f} bytes a file"
        )
    finally:
        if own.folder is None:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
