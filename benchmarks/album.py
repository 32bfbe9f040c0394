"""An album: how fast a sync is beside decoding alone, what a second one costs, and a peer.

Prints the section "Albums" of ``docs/benchmarks.md``. Pictures are made on the spot: 12-megapixel
JPEGs of enlarged photographs with grain, and 100,000 small ones.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import photographs
from PIL import Image

from lookalike.album import Album
from lookalike.pictures.encoders import PDQ
from lookalike.pictures.read import read_picture

LARGE, REPEATED, SIZE = 960, 40, (4000, 3000)
SMALL, COPIES = 1000, 100
DRAFT = 8  # by which a 12-megapixel picture is shrunk while it is decoded


def large_pictures(folder: Path, count: int) -> list[Path]:
    """Write pictures as a camera would: 4000 x 3000 pixels, 3 to 4 MB.

    Each is there several times, with a comment of its own at its end, since they take a second to
    make: other bytes, the same work.
    """
    paths = []
    for number, (_, picture) in zip(range(count // REPEATED), photographs.sources(), strict=False):
        grain = np.random.default_rng(number).normal(0, 6, (SIZE[1], SIZE[0], 1))
        pixels = np.asarray(picture.resize(SIZE, Image.Resampling.BICUBIC), np.float32) + grain
        own = [folder / f"IMG_{number:04}_{again}.jpg" for again in range(REPEATED)]
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(own[0], quality=90)
        for again, path in enumerate(own[1:]):
            path.write_bytes(own[0].read_bytes() + b"%d" % again)
        paths += own
    return paths


def small_pictures(folder: Path, count: int, copies: int) -> None:
    """Write small pictures, and copies of each in other folders."""
    random = np.random.default_rng(0)
    for number in range(count):
        coarse = Image.fromarray(random.integers(0, 256, (6, 8, 3), np.uint8))
        buffer = io.BytesIO()
        coarse.resize((64, 48), Image.Resampling.BICUBIC).save(buffer, "JPEG")
        for copy in range(copies):
            own = folder / f"{copy:03}"
            own.mkdir(parents=True, exist_ok=True)
            (own / f"{number:04}.jpg").write_bytes(buffer.getvalue())


def decode(path: Path) -> tuple[int, int]:
    """What any program has to do at the least: Pillow's draft mode, and nothing else."""
    with Image.open(path) as image:
        image.draft("RGB", (SIZE[0] // DRAFT, SIZE[1] // DRAFT))
        image.load()
        return image.size


def seconds(call: Callable[[], Any]) -> float:
    """That a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def decode_all(paths: Sequence[Path], workers: int) -> float:
    """Seconds to decode all on so many cores, without the start of the processes."""
    with ProcessPoolExecutor(workers) as pool:
        list(pool.map(decode, paths[:workers]))
        return seconds(lambda: list(pool.map(decode, paths, chunksize=2)))


def pdq_differences(paths: Sequence[Path]) -> list[int]:
    """Bits in which PDQ of the shrunk picture differs from that of the whole one."""
    encoder, found = PDQ(), []
    for path in paths:
        whole = np.asarray(Image.open(path).convert("RGB"))
        one, other = encoder.encode([read_picture(path).pixels, whole]).vectors
        found.append(int(np.unpackbits(one ^ other).sum()))
    return found


PROGRAM = """
import json, os, sys
from pathlib import Path
from lookalike.album import Album

peaks = {}

def look(done, total):
    if done % 20:
        return
    tasks = Path("/proc/self/task").glob("*/children")
    for process in ["self", *(own for task in tasks for own in task.read_text().split())]:
        try:
            lines = Path(f"/proc/{process}/status").read_text().splitlines()
            peaks[process] = next(int(own.split()[1]) for own in lines if own.startswith("VmHWM"))
        except (OSError, StopIteration):
            pass  # it has just ended

report = Album(sys.argv[1], encoders=("pdq", "phash")).sync(
    workers=int(sys.argv[2]), progress=look
)
look(0, 0)
print(json.dumps({
    "seconds": report.seconds,
    "encoded": report.encoded,
    "memory": 1024 * sum(peaks.values()),
}))
"""


def synced(folder: Path, workers: int) -> dict[str, Any]:
    """Sync in a process of its own, with the memory that it and its workers took."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder), str(workers)],
        check=True,
        capture_output=True,
        text=True,
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


PEER = """
import sys, time
from imagededup.methods import PHash

if __name__ == "__main__":
    start = time.perf_counter()
    method = PHash(verbose=False)
    codes = method.encode_images(image_dir=sys.argv[1], num_enc_workers=int(sys.argv[2]))
    encoded = time.perf_counter()
    method.find_duplicates(
        encoding_map=codes, max_distance_threshold=10, num_dist_workers=int(sys.argv[2])
    )
    print(encoded - start, time.perf_counter() - encoded)
"""


def imagededup_seconds(python: str, folder: Path, workers: int) -> tuple[float, float]:
    """Seconds in which imagededup encodes the same folder by pHash, and finds the duplicates."""
    with tempfile.TemporaryDirectory() as home:
        program = Path(home) / "peer.py"  # a file, since its workers read it too
        program.write_text(PEER)
        done = subprocess.run(
            [python, str(program), str(folder), str(workers)],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    encoded, found = map(float, done.stdout.split()[-2:])
    return encoded, found


def duplicates_seconds(folder: Path) -> float:
    """Seconds in which we find the duplicates, by the default thresholds."""
    with Album(folder) as album:
        return seconds(lambda: album.duplicates("near"))


def print_large(folder: Path, count: int, rounds: int, workers: int, peer: str | None) -> None:
    """Compare sync with decoding, in turns."""
    paths = large_pictures(folder, count)
    times: dict[str, list[float]] = {name: [] for name in NAMES}
    memory = 0
    for _ in range(rounds):
        times["decode"].append(decode_all(paths, workers))
        shutil.rmtree(folder / ".lookalike", ignore_errors=True)
        result = synced(folder, workers)
        assert result["encoded"] == count
        times["sync"].append(result["seconds"])
        memory = max(memory, result["memory"])
        times["duplicates"].append(duplicates_seconds(folder))
        shutil.rmtree(folder / ".lookalike")
        if peer is not None:
            encoded, found = imagededup_seconds(peer, folder, workers)
            times["imagededup"].append(encoded)
            times["imagededup finds"].append(found)
    own = {name: float(np.median(values)) for name, values in times.items() if values}
    bits = pdq_differences(paths[:: max(1, len(paths) // 24)])
    print(
        f"{count} JPEGs of 12 megapixels, {sum(p.stat().st_size for p in paths) / count / 1e6:.1f} "
        f"MB each, on {workers} cores; medians of {rounds} rounds in turns.\n\n"
        "| | pictures a second | of decoding alone |\n|---|---|---|"
    )
    for name, value in own.items():
        print(f"| {NAMES[name]} | {count / value:,.1f} | {own['decode'] / value:.2f} |")
    if peer is None:
        print("\nimagededup was not run: it needs torch and torchvision, and --imagededup PYTHON.")
    print(
        f"\nPDQ of the shrunk picture differs from that of the whole one in {max(bits)} of 256\n"
        f"bits at the most, {np.mean(bits):.1f} on average. Memory of the process and its workers "
        f"together:\n{memory / 1e6:,.0f} MB at the peak, as if all had theirs at once.\n"
    )


NAMES = {
    "decode": f"Pillow, draft mode at 1/{DRAFT}: decoding alone",
    "sync": "`album.sync()`, pdq and phash, from an empty album",
    "duplicates": '`album.duplicates("near")`, after it',
    "imagededup": "imagededup, pHash alone (`encode_images`)",
    "imagededup finds": "imagededup, `find_duplicates` within 10 bits, after it",
}


def print_small(folder: Path, count: int, copies: int, workers: int) -> None:
    """What syncs cost when nothing, or little, has changed."""
    small_pictures(folder, count, copies)
    first = synced(folder, workers)
    again = [synced(folder, workers) for _ in range(3)]
    moved = folder / "moved"
    (folder / "000").rename(moved)
    after = synced(folder, workers)
    with Album(folder) as album:
        album.search("moved/0001.jpg")
        search = seconds(lambda: [album.search(f"moved/{n:04}.jpg") for n in range(100)]) / 100
        groups = seconds(lambda: album.duplicates("similar"))
    total = count * copies
    peak = max(run["memory"] for run in (first, *again, after))
    print(
        f"{total:,} small files, {count:,} different pictures in {copies} folders:\n\n"
        "| | seconds |\n|---|---|\n"
        f"| first sync | {first['seconds']:.1f} |\n"
        f"| second sync: times were too young to be believed, all is digested | "
        f"{again[0]['seconds']:.1f} |\n"
        f"| sync of {total:,} unchanged files | {again[-1]['seconds']:.2f} |\n"
        f"| sync after a folder of {count:,} was renamed | {after['seconds']:.2f} |\n"
        f"| `search` of a member, both encoders | {search:.4f} |\n"
        f'| `duplicates("similar")`, {total:,} files | {groups:.2f} |\n\n'
        f"Memory: {peak / 1e6:,.0f} MB at the peak, counted as above.\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", type=int, default=LARGE)
    parser.add_argument("--small", type=int, default=SMALL)
    parser.add_argument("--copies", type=int, default=COPIES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--imagededup", metavar="PYTHON", help="an interpreter that has it")
    arguments = parser.parse_args()
    print("## Albums\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "large"
        folder.mkdir()
        print_large(
            folder, arguments.large, arguments.rounds, arguments.workers, arguments.imagededup
        )
    with tempfile.TemporaryDirectory() as name:
        print_small(Path(name), arguments.small, arguments.copies, arguments.workers)


if __name__ == "__main__":
    main()
