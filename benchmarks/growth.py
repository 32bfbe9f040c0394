"""How an index grows: build, memory and search from 60,000 vectors to 4 million.

The vectors are made here: n / 1000 Gaussian centres in 16 latent dimensions, with noise, embedded
in 128. So there is structure at every size, and as many near neighbours in a cluster at each.
Queries are more vectors of the same kind. Each size is measured in a process of its own, so that
the peak of its memory is its own; hnswlib takes turns with ours up to 250,000 vectors, beyond
which its build takes many minutes.
"""

from __future__ import annotations

import harness  # isort: skip  # before the peers: it gives all of them one thread

import argparse
import json
import re
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike import Index
from lookalike.engines.sketch import cells_for

SIZES = (60_000, 250_000, 1_000_000, 4_000_000)
DTYPES = ("uint8", "float32")
WIDTH, LATENT, PER_CENTRE = 128, 16, 1000
CENTRE_SPREAD, SPREAD, NOISE = 1.0, 0.5, 0.1  # of centres, of latent vectors, of every value
LEVELS, OF_255 = 128.0, 16.0  # a byte is the value times the second, plus the first
QUERIES, RECALL, K = 2000, 0.95, 10
PEER_MOST, PEER_DEGREE, PEER_EFFORT = 250_000, 16, 200
CHUNK = 1 << 18
SHARDS = 16
KEPT = Path(__file__).parents[1] / "build" / "growth.json"
PICTURE = Path(__file__).parents[1] / "docs" / "figures" / "growth.png"
Array = npt.NDArray[Any]


def mixture(count: int, dtype: str, seed: int, centres: Array) -> Array:
    """Vectors around these centres, a part at a time: shape (count, 128)."""
    random = np.random.default_rng(seed)
    frame = np.linalg.qr(np.random.default_rng(1).normal(size=(WIDTH, LATENT)))[0].T
    frame = (frame * np.sqrt(WIDTH / LATENT)).astype(np.float32)
    vectors = np.empty((count, WIDTH), dtype)
    for first in range(0, count, CHUNK):
        part = vectors[first : first + CHUNK]
        latent = centres[random.integers(0, len(centres), len(part))]
        latent = latent + SPREAD * random.standard_normal(latent.shape, np.float32)
        values = latent @ frame
        values += NOISE * random.standard_normal(values.shape, np.float32)
        if dtype == "uint8":
            values = np.clip(np.rint(values * OF_255 + LEVELS), 0, 255)
        part[:] = values
    return vectors


@dataclass
class Grown:
    """What was measured at one size."""

    dtype: str
    count: int
    build_s: float
    memory: float  # of the index at its peak, as a multiple of the vectors
    bytes_a_vector: float  # beyond the vectors, once it is built
    parameters: dict[str, int]
    recall: float
    one_us: float
    batch_us: float
    peer_build_s: float | None = None
    peer_us: float | None = None
    peer_recall: float | None = None


def resident_bytes(what: str) -> int:
    """VmRSS or VmHWM of this process."""
    status = Path("/proc/self/status").read_text()
    found = re.search(rf"{what}:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0


def measure(dtype: str, count: int, *, peers: bool) -> Grown:
    random = np.random.default_rng(0)
    centres = CENTRE_SPREAD * random.standard_normal((count // PER_CENTRE, LATENT), np.float32)
    base = mixture(count, dtype, 2, centres)
    queries = mixture(QUERIES, dtype, 3, centres)
    before = resident_bytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    start = time.perf_counter()
    index = Index("l2", recall=RECALL)
    index.add(base)
    index.search(queries[0], k=K)
    seconds = time.perf_counter() - start
    memory = (resident_bytes("VmHWM") - before) / base.nbytes
    one, batch = timed(index, queries)
    grown = Grown(
        dtype,
        count,
        seconds,
        memory,
        (index.size_bytes - base.nbytes) / count,
        dict(index.plan.parameters),
        index.measure(K, queries).recall,
        one,
        batch,
    )
    if peers and count <= PEER_MOST:
        beside_hnswlib(grown, index, base, queries)
    return grown


def one_by_one(index: Index, rows: list[Array]) -> None:
    for row in rows:
        index.search(row, k=K)


def timed(index: Index, queries: Array) -> tuple[float, float]:
    """Microseconds a query, one a call and in batch."""
    programs: list[harness.Program] = [
        ("one", partial(one_by_one, index, list(queries)), len(queries), ""),
        ("batch", partial(index.search, queries, K), len(queries), ""),
    ]
    one, batch = harness.in_turns(programs, rounds=5)
    return one.microseconds, batch.microseconds


def beside_hnswlib(grown: Grown, index: Index, base: Array, queries: Array) -> None:
    """Let hnswlib take turns with ours, at its fastest setting of at least the same recall."""
    import hnswlib

    start = time.perf_counter()
    graph = hnswlib.Index("l2", WIDTH)
    graph.init_index(len(base), M=PEER_DEGREE, ef_construction=PEER_EFFORT)
    graph.set_num_threads(1)
    graph.add_items(base.astype(np.float32), num_threads=1)
    grown.peer_build_s = time.perf_counter() - start
    exact = Index("l2", recall=1)
    exact.add(base)
    limit = exact.search(queries, k=K).distances[:, -1:]
    floats = queries.astype(np.float32)
    for effort in (10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 448, 640):
        graph.set_ef(effort)
        ids = graph.knn_query(floats, K, num_threads=1)[0].astype(np.int64)
        differences = base[ids].astype(np.float64) - queries[:, None].astype(np.float64)
        distances = np.sqrt((differences**2).sum(axis=2))
        grown.peer_recall = float((distances <= limit * (1 + 1e-6)).mean())
        if grown.peer_recall >= RECALL:
            break
    rows = list(floats)

    def ask() -> None:
        for row in rows:
            graph.knn_query(row, K, num_threads=1)

    programs: list[harness.Program] = [
        ("ours", partial(one_by_one, index, list(queries)), len(queries), ""),
        ("hnswlib", ask, len(queries), ""),
    ]
    ours, theirs = harness.in_turns(programs, rounds=5)
    grown.one_us, grown.peer_us = ours.microseconds, theirs.microseconds


def exponent(rows: list[Grown]) -> float:
    """Of the time of a search in the number of vectors, fitted to the logarithms."""
    counts = np.log([row.count for row in rows])
    return float(np.polyfit(counts, np.log([row.one_us for row in rows]), 1)[0])


def cache_bytes() -> dict[str, int]:
    """The caches that this core has, as the system tells."""
    found = {}
    for cache in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, size = (cache / "level").read_text().strip(), (cache / "size").read_text().strip()
        if (cache / "type").read_text().strip() != "Instruction":
            found[f"L{level}"] = int(size.rstrip("K")) * 1024
    return found


ABOUT = """# From thousands to a billion

Written by `benchmarks/growth.py`. Vectors are mixtures of Gaussians in 128 dimensions: n / 1000
centres in 16 latent ones, and noise. They are searched with L2, recall .95 asked for, k = 10, on
one core. *Memory* is that of the index at its peak while it is built, as a multiple of the vectors,
of which the index has a copy: that is the 1. Some 40 MB of it are there at any size. *Bytes beyond*
are what the index keeps beside that copy, for each vector. hnswlib (M = 16, ef_construction = 200)
took turns with ours where its build takes about a minute or less; *times* is its time for a search
over ours.
"""

ON_PAPER = """
## On paper: up to a billion

Nothing here was run. Bytes and build follow from the largest size measured, with build time
proportional to the number of vectors; cells are 3.3 times its root. The time of a search follows
the power that the two largest sizes show, and at least the square root: both the cells to rank and
the rows of a cell grow so. A shard is an index of its own over vectors dealt out at random, so that
its promise is that of the whole. Sixteen shards are searched side by side on as many cores: the
time is that of one of them, and the work sixteen times that. One core builds one shard.
"""


def print_rows(rows: list[Grown]) -> None:
    print(f"{ABOUT}\n{harness.machine()}.\n")
    print(
        "| vectors | | build s | memory | bytes beyond | cells | probes | recall | one call, us "
        "| batch, us | hnswlib build s | hnswlib, us (recall) | times |"
    )
    print("|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for r in rows:
        peer = "- | - | -"
        if r.peer_us is not None:
            peer = (
                f"{r.peer_build_s:.0f} | {r.peer_us:.1f} ({r.peer_recall:.3f}) "
                f"| {r.peer_us / r.one_us:.1f}"
            )
        cells, probes = (r.parameters.get(name, "-") for name in ("cells", "probes"))
        print(
            f"| {r.count:,} | {r.dtype} | {r.build_s:.1f} | {r.memory:.2f} "
            f"| {r.bytes_a_vector:.0f} | {cells} | {probes} | {r.recall:.4f} "
            f"| {r.one_us:.1f} | {r.batch_us:.1f} | {peer} |"
        )
    for dtype in DTYPES:
        own = [row for row in rows if row.dtype == dtype]
        if len(own) > 1:
            print(f"\nThe time of a search among {dtype} vectors grows as n^{exponent(own):.2f}.")
    print("\n![Time of a search against the number of vectors](figures/growth.png)")


def print_on_paper(rows: list[Grown]) -> None:
    """What the largest sizes measured say of larger ones."""
    print(ON_PAPER)
    print(
        "| vectors | | vectors, GB | codes, GB | cells | build, hours | one search, us "
        "| 16 shards: cells each | build, hours | one search, us |"
    )
    print("|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for dtype in DTYPES:
        own = [row for row in rows if row.dtype == dtype]
        if not own:
            continue
        known, power = own[-1], max(0.5, exponent(own[-2:]) if len(own) > 1 else 0.5)
        for count in (10**7, 10**8, 10**9):
            line = [f"{count:,}", dtype]
            line.append(f"{count * WIDTH * np.dtype(dtype).itemsize / 1e9:,.0f}")
            line.append(f"{count * known.bytes_a_vector / 1e9:,.1f}")
            for part in (count, count // SHARDS):
                line.append(f"{cells_for(part):,}")
                line.append(f"{known.build_s * part / known.count / 3600:.1f}")
                line.append(f"{known.one_us * (part / known.count) ** power:,.0f}")
            print(f"| {' | '.join(line)} |")


def draw(rows: list[Grown]) -> None:
    """Time of a search against the number of vectors, and where they leave the caches."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for number, dtype in enumerate(DTYPES):
        own = [row for row in rows if row.dtype == dtype]
        if len(own) > 1:
            label = f"lookalike, {dtype}: n^{exponent(own):.2f}"
            axes.plot(
                [row.count for row in own],
                [row.one_us for row in own],
                f"C{number}o-",
                label=label,
            )
        peers = [(row.count, row.peer_us) for row in own if row.peer_us is not None]
        if peers:
            counts, times = zip(*peers, strict=True)
            axes.plot(counts, times, f"C{number}s--", label=f"hnswlib, {dtype}")
    for name, size in cache_bytes().items():
        at = size / WIDTH
        if SIZES[0] / 4 < at < SIZES[-1] * 2:
            axes.axvline(at, color="grey", linewidth=0.8)
            words = f" bytes fill {name}"
            axes.text(at, 0.02, words, rotation=90, size=7, transform=axes.get_xaxis_transform())
    axes.set(xscale="log", yscale="log", xlabel="vectors", ylabel="microseconds a search, one call")
    axes.grid(visible=True, which="both", alpha=0.25)
    axes.legend(fontsize=8)
    figure.savefig(PICTURE, dpi=110)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--dtypes", default=",".join(DTYPES))
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--one", nargs=2, help="dtype and size: measure, print JSON")
    parser.add_argument("--table", action="store_true", help="print what was kept")
    options = parser.parse_args()
    harness.pin_to_one_core()
    if options.one:
        dtype, count = options.one
        print(json.dumps(asdict(measure(dtype, int(count), peers=not options.no_peers))))
        return
    if not options.table:
        rows = []
        for dtype in options.dtypes.split(","):
            for count in options.sizes.split(","):
                command = [sys.executable, __file__, "--one", dtype, count]
                command += ["--no-peers"] * options.no_peers
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                rows.append(json.loads(done.stdout))
                print(rows[-1], file=sys.stderr, flush=True)
        KEPT.parent.mkdir(exist_ok=True)
        KEPT.write_text(json.dumps(rows, indent=1))
    kept = [Grown(**row) for row in json.loads(KEPT.read_text())]
    print_rows(kept)
    print_on_paper(kept)
    draw(kept)


if __name__ == "__main__":
    main()
