"""Packed bits: every match within a radius, the ten nearest, and all pairs; beside faiss.

Codes are 256 bits: nine tenths uniform, one tenth clusters of ten copies with up to 40 flips.
Queries are members with up to 31 flips. All programs but binary HNSW and BinaryHash answer exactly;
their settings are the least flips that make them so, and every answer is compared with faiss Flat.
"""

from __future__ import annotations

import harness  # isort: skip  # before the peers: it gives all of them one thread

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike import Index, native
from lookalike.pairs import PairChunk

WIDTH, CLUSTER, MOST_FLIPS = 256, 10, 40
COUNT, QUERIES, QUERY_FLIPS, K = 1_000_000, 1000, 31, 10
RADII = (15, 31)
EDGES, EDGES_AT_ONCE = 100_000_000, 1_000_000
SIZES = (100_000, 1_000_000, 10_000_000)
FAISS_MULTI = ((16, 16), (11, 23))  # tables, bits of each
PICTURE = Path(__file__).parents[1] / "docs" / "figures" / "hamming.png"
Bytes = npt.NDArray[np.uint8]


def flipped(codes: Bytes, flips: npt.NDArray[np.int64], random: np.random.Generator) -> Bytes:
    """Codes of which so many randomly chosen bits are flipped, or a few less by repetition."""
    codes = codes.copy()
    for step in range(int(flips.max(initial=0))):
        rows = np.flatnonzero(flips > step)
        bits = random.integers(0, WIDTH, len(rows))
        codes[rows, bits // 8] ^= (128 >> (bits % 8)).astype(np.uint8)
    return codes


def codes_of(count: int, seed: int = 0) -> Bytes:
    random = np.random.default_rng(seed)
    codes = random.integers(0, 256, (count, WIDTH // 8), np.uint8)
    clusters = count // 10 // CLUSTER
    centres = codes[:clusters]
    for copy in range(1, CLUSTER):
        flips = random.integers(0, MOST_FLIPS + 1, clusters)
        codes[copy * clusters : (copy + 1) * clusters] = flipped(centres, flips, random)
    return codes[random.permutation(count)]


def queries_of(codes: Bytes) -> Bytes:
    random = np.random.default_rng(1)
    chosen = codes[random.choice(len(codes), QUERIES, replace=False)]
    return flipped(chosen, random.integers(0, QUERY_FLIPS + 1, QUERIES), random)


# ---- faiss


def faiss_flat(codes: Bytes) -> Any:
    import faiss

    index = faiss.IndexBinaryFlat(WIDTH)
    index.add(codes)
    return index


def faiss_multi(codes: Bytes, tables: int, bits: int) -> Any:
    import faiss

    index = faiss.IndexBinaryMultiHash(WIDTH, tables, bits)
    index.add(codes)
    return index


def faiss_hash(codes: Bytes) -> Any:
    import faiss

    index = faiss.IndexBinaryHash(WIDTH, 16)
    index.nflip = 2
    index.add(codes)
    return index


def faiss_hnsw(codes: Bytes) -> Any:
    import faiss

    index = faiss.IndexBinaryHNSW(WIDTH, 16)
    index.add(codes)
    return index


def matches(index: Any, queries: Bytes, radius: int) -> int:
    """How many faiss finds; its radius excludes the boundary."""
    return int(index.range_search(queries, radius + 1)[0][-1])


def recall_of(index: Any, queries: Bytes, truth: npt.NDArray[Any]) -> float:
    distances = index.search(queries, K)[0]
    return float((distances <= truth[:, -1:]).mean())


# ---- the tables


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    answer = call()
    return answer, time.perf_counter() - start


def one_by_one(ask: Callable[[Bytes], object], queries: Bytes) -> None:
    for query in queries:
        ask(query[None])


def within_one(index: Index, radius: int, queries: Bytes) -> None:
    for query in queries:
        index.within(query, radius)


def print_searches(codes: Bytes, queries: Bytes, rounds: int) -> dict[str, list[harness.Timing]]:
    index = Index("hamming")
    index.add(codes)
    _, seconds = timed(lambda: index.search(queries[0]))
    flat = faiss_flat(codes)
    beyond = (index.size_bytes - codes.nbytes) / 1e6
    print(f"\nlookalike: {seconds:.2f} s to build, {beyond:.0f} MB beyond the codes. {index.plan}.")
    multi = {}
    for tables, bits in FAISS_MULTI:
        built, taken = timed(partial(faiss_multi, codes, tables, bits))
        multi[f"faiss BinaryMultiHash {tables} x {bits}", tables] = built
        print(f"\nfaiss BinaryMultiHash {tables} x {bits}: {taken:.1f} s to build.")
    found = {}
    for radius in RADII:
        truth = matches(flat, queries, radius)
        ids = index.within(queries, radius).ids
        assert len(ids) == truth, "ours is not exact"
        programs: list[harness.Program] = [
            ("lookalike", partial(within_one, index, radius, queries), QUERIES, "one query a call"),
            ("lookalike, batch", partial(index.within, queries, radius), QUERIES, ""),
        ]
        ask = partial(flat_range, flat, radius)
        programs.append(("faiss BinaryFlat", partial(one_by_one, ask, queries), QUERIES, ""))
        for (name, tables), built in multi.items():
            built.nflip = radius // tables
            count = matches(built, queries, radius)
            assert count == truth, f"{name} is not exact"
            ask = partial(flat_range, built, radius)
            programs.append(
                (name, partial(one_by_one, ask, queries), QUERIES, f"{built.nflip} flips: exact")
            )
        hashed = faiss_hash(codes)
        share = matches(hashed, queries, radius) / truth
        ask = partial(flat_range, hashed, radius)
        programs.append(
            ("faiss BinaryHash", partial(one_by_one, ask, queries), QUERIES, f"finds {share:.2f}")
        )
        title = f"Every match within {radius} bits"
        found[title] = harness.in_turns(programs, rounds=rounds)
        harness.print_table(title, found[title], "lookalike")
    title = "The ten nearest"
    found[title] = nearest(index, flat, codes, queries, rounds)
    harness.print_table(title, found[title], "lookalike")
    one = next(t.microseconds for t in found[title] if t.name == "lookalike")
    print(f"\nOne query reads {codes.nbytes / 1e6:.0f} MB: {codes.nbytes / one / 1e3:.1f} GB/s.")
    return found


def all_pairs(index: Index, radius: int) -> PairChunk:
    return index.pairs(radius).all()


def count_pairs(index: Index, radius: int) -> int:
    """Without keeping them."""
    return sum(len(chunk.ids) for chunk in index.pairs(radius))


def flat_range(index: Any, radius: int, query: Bytes) -> object:
    return index.range_search(query, radius + 1)


def nearest(
    index: Index, flat: Any, codes: Bytes, queries: Bytes, rounds: int
) -> list[harness.Timing]:
    few = queries[:100]
    truth = flat.search(few, K)[0]
    assert (index.search(few, k=K).distances == truth).all(), "ours is not exact"
    graph = faiss_hnsw(codes[:100_000])
    near = recall_of(graph, few, flat_truth(codes[:100_000], few))

    def ours() -> None:
        for query in few:
            index.search(query, k=K)

    programs: list[harness.Program] = [
        ("lookalike", ours, len(few), "one query a call"),
        ("lookalike, batch", partial(index.search, few, K), len(few), ""),
        (
            "faiss BinaryFlat",
            partial(one_by_one, lambda query: flat.search(query, K), few),
            len(few),
            "",
        ),
        ("faiss BinaryFlat, batch", partial(flat.search, few, K), len(few), ""),
        (
            "faiss BinaryHNSW, 100,000 codes",
            partial(one_by_one, lambda query: graph.search(query, K), few),
            len(few),
            f"a tenth of the codes, recall {near:.2f}",
        ),
    ]
    return harness.in_turns(programs, rounds=rounds)


def flat_truth(codes: Bytes, queries: Bytes) -> npt.NDArray[Any]:
    return np.asarray(faiss_flat(codes).search(queries, K)[0])


def print_joins(codes: Bytes) -> None:
    """All pairs of the million codes, beside faiss's range search of a part of them."""
    index = Index("hamming")
    index.add(codes)
    index.search(codes[0])
    flat = faiss_multi(codes, *FAISS_MULTI[0])
    part = 20_000
    print(f"\n### All pairs of {len(codes):,} codes\n")
    print("| radius | pairs | lookalike, s | predicted, s | faiss BinaryMultiHash, s | times |")
    print("|---:|---:|---:|---:|---:|---:|")
    for radius in (7, *RADII):
        plan = index.pairs(radius, dry_run=True)
        pairs, seconds = timed(partial(all_pairs, index, radius))
        flat.nflip = radius // FAISS_MULTI[0][0]
        _, of_part = timed(partial(matches, flat, codes[:part], radius))
        theirs = of_part * len(codes) / part
        print(
            f"| {radius} | {len(pairs.ids):,} | {seconds:.1f} | {plan.seconds:.1f} "
            f"| {theirs:,.0f} | {theirs / seconds:.0f} |"
        )
    print(
        f"\nfaiss: a range search for {part:,} of the codes in a batch, times "
        f"{len(codes) / part:g}."
    )


def grown(count: int) -> dict[str, float]:
    """What one size takes, in a process of its own."""
    codes = codes_of(count)
    queries = queries_of(codes)
    index = Index("hamming")
    index.add(codes)
    _, build = timed(lambda: index.search(queries[0]))
    row: dict[str, float] = {"count": count, "build_s": build}
    for radius in RADII:
        _, seconds = timed(partial(within_one, index, radius, queries))
        row[f"query_{radius}_us"] = seconds / QUERIES * 1e6
    for radius in (7, 15):
        found, seconds = timed(partial(count_pairs, index, radius))
        row[f"join_{radius}_s"], row[f"pairs_{radius}"] = seconds, found
    row["peak_mb"] = peak_mb()
    return row


def peak_mb() -> float:
    status = Path("/proc/self/status").read_text()  # ru_maxrss would be the parent's
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def in_own_process(*options: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, *options], check=True, capture_output=True, text=True
    )
    row: dict[str, float] = json.loads(done.stdout)
    print(row, file=sys.stderr, flush=True)
    return row


def components_of(edges: int) -> dict[str, float]:
    """Connect as many items as edges by random edges, which never are in memory all at once."""
    random = np.random.default_rng(0)
    start_mb = peak_mb()
    components = native.Components(edges)
    seconds = 0.0
    for _ in range(edges // EDGES_AT_ONCE):
        ends = random.integers(0, edges, (2, EDGES_AT_ONCE))
        seconds += timed(partial(components.join, *ends))[1]
    roots, last = timed(components.roots)
    count = int((roots == np.arange(edges, dtype=np.uint32)).sum())
    return {"seconds": seconds + last, "components": count, "mb": peak_mb() - start_mb}


def print_components() -> None:
    row = in_own_process("--components")
    print(
        f"\nComponents of {EDGES:,} random edges over {EDGES:,} items: {row['seconds']:.0f} s, "
        f"{row['mb']:,.0f} MB, {row['components']:,} components."
    )


def print_growth() -> None:
    rows = [in_own_process("--one", str(count)) for count in SIZES]
    print("\n### Growth\n")
    print(
        "| codes | build, s | within 15, us | within 31, us | all pairs within 7, s | within 15, s "
        "| pairs within 15 | peak of the process, MB |"
    )
    print("|---:|---:|---:|---:|---:|---:|---:|---:|")
    for r in rows:
        print(
            f"| {r['count']:,} | {r['build_s']:.1f} | {r['query_15_us']:.0f} "
            f"| {r['query_31_us']:.0f} | {r['join_7_s']:.1f} | {r['join_15_s']:.1f} "
            f"| {r['pairs_15']:,} | {r['peak_mb']:,.0f} |"
        )
    counts = np.log([r["count"] for r in rows])
    for name, what in (
        ("query_15_us", "a search within 15"),
        ("query_31_us", "a search within 31"),
        ("join_15_s", "all pairs within 15"),
    ):
        power = np.polyfit(counts, np.log([r[name] for r in rows]), 1)[0]
        print(f"\nThe time of {what} grows as n^{power:.2f}.")
    draw(rows)
    print("\n![Time of a search and of a join against the number of codes](figures/hamming.png)")


def draw(rows: list[dict[str, float]]) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    counts = [r["count"] for r in rows]
    for radius in RADII:
        left.plot(counts, [r[f"query_{radius}_us"] for r in rows], "o-", label=f"within {radius}")
    for radius in (7, 15):
        right.plot(counts, [r[f"join_{radius}_s"] for r in rows], "s-", label=f"within {radius}")
    left.set(title="one search", ylabel="microseconds")
    right.set(title="all pairs", ylabel="seconds")
    for axes in (left, right):
        axes.set(xscale="log", yscale="log", xlabel="codes of 256 bits")
        axes.grid(visible=True, which="both", alpha=0.25)
        axes.legend(fontsize=8)
    figure.savefig(PICTURE, dpi=110)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one", type=int, help="measure growth at this size, print JSON")
    parser.add_argument("--components", action="store_true", help="only those, print JSON")
    options = parser.parse_args()
    harness.pin_to_one_core()
    if options.one:
        print(json.dumps(grown(options.one)))
        return
    if options.components:
        print(json.dumps(components_of(EDGES)))
        return
    print(f"\n## Packed bits: {COUNT:,} x {WIDTH}\n\n{harness.machine()}.")
    codes = codes_of(COUNT)
    print_searches(codes, queries_of(codes), options.rounds)
    print_joins(codes)
    print_components()
    print_growth()


if __name__ == "__main__":
    main()
