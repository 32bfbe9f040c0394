"""Exact search beside NumPy, scikit-learn and faiss: digits, pictures and packed bits.

Every answer is compared with an integer oracle before anything is timed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import harness
import numpy as np
import numpy.typing as npt
from sklearn.neighbors import NearestNeighbors

import lookalike
from lookalike import datasets

INDEXED = 1500
BIT_ROWS, BITS, BIT_QUERIES = 1_000_000, 256, 50
PICTURE_QUERIES = 50


def each(queries: Sequence[Any], answer: Callable[[Any], object]) -> Callable[[], None]:
    """A program that answers the queries one by one and drops the answers."""

    def program() -> None:
        for query in queries:
            answer(query)

    return program


def digits() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    images = datasets.digits().images.astype(np.uint8).reshape(-1, 64)
    return images[:INDEXED], images[INDEXED:]


def l1_oracle(
    base: npt.NDArray[np.uint8], queries: npt.NDArray[np.uint8]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    distances = np.abs(queries[:, None].astype(np.int64) - base[None]).sum(axis=2)
    return distances.argmin(axis=1), distances.min(axis=1)


def bench_digits(rounds: int) -> list[harness.Timing]:
    """L1 top-1 over 1,500 digits of 64 pixels, 297 queries."""
    base, queries = digits()
    ids, distances = l1_oracle(base, queries)
    index = lookalike.Index("l1", value_range=16)
    index.add(base)
    hits = index.search(queries, k=1)
    assert (hits.ids[:, 0] == ids).all()
    assert (hits.distances[:, 0] == distances).all()
    single = list(queries)
    for query, nearest in zip(single, ids, strict=True):
        assert index.search(query, k=1).ids[0] == nearest

    wide = base.astype(np.int16)

    def numpy_one(query: npt.NDArray[np.uint8]) -> int:
        return int(np.abs(wide - query).sum(axis=1).argmin())

    brute = NearestNeighbors(n_neighbors=1, algorithm="brute", metric="manhattan").fit(base)
    programs: list[harness.Program] = [
        ("lookalike, batch", lambda: index.search(queries, k=1), len(queries), "uint8"),
        (
            "lookalike, one call a query",
            each(single, lambda q: index.search(q, k=1)),
            len(queries),
            "from Python",
        ),
        ("NumPy, one at a time", each(single, numpy_one), len(queries), "int16"),
        ("scikit-learn brute, batch", lambda: brute.kneighbors(queries), len(queries), "float64"),
    ]
    programs += faiss_l1(base, queries, distances)
    return harness.in_turns(programs, rounds=rounds)


def faiss_l1(
    base: npt.NDArray[np.uint8], queries: npt.NDArray[np.uint8], distances: npt.NDArray[np.int64]
) -> list[harness.Program]:
    try:
        import faiss
    except ImportError:
        print("(faiss is not installed: its rows are missing)")
        return []
    faiss.omp_set_num_threads(1)
    flat = faiss.IndexFlat(base.shape[1], faiss.METRIC_L1)
    flat.add(base.astype(np.float32))
    floats = queries.astype(np.float32)
    assert (flat.search(floats, 1)[0][:, 0] == distances).all()
    single = [query[None] for query in floats]
    return [
        ("faiss Flat, batch", lambda: flat.search(floats, 1), len(floats), "float32"),
        (
            "faiss Flat, one call a query",
            each(single, lambda q: flat.search(q, 1)),
            len(floats),
            "float32, from Python",
        ),
    ]


def bench_pictures(rounds: int) -> list[harness.Timing]:
    """Top-10 over the 60,000 pictures of Fashion-MNIST, L2 and L1."""
    base = datasets.fashion_mnist("train").images.reshape(-1, 784)
    queries = datasets.fashion_mnist("test").images.reshape(-1, 784)[:PICTURE_QUERIES]
    single = list(queries)
    programs: list[harness.Program] = []
    for metric in ("l2", "l1"):
        index = lookalike.Index(metric, recall=1.0)
        index.add(base)
        differences = base[None].astype(np.int32) - queries[:2, None]
        exact = (differences**2 if metric == "l2" else np.abs(differences)).sum(axis=2)
        order = np.lexsort((np.broadcast_to(np.arange(len(base)), exact.shape), exact))[:, :10]
        assert (index.search(queries[:2]).ids == order).all()
        programs += [
            (f"lookalike, {metric}, batch", partial(index.search, queries), len(queries), "uint8"),
            (
                f"lookalike, {metric}, one call a query",
                each(single, index.search),
                len(queries),
                "from Python",
            ),
        ]
    programs += faiss_pictures(base, queries)
    return harness.in_turns(programs, rounds=max(3, rounds // 3))


def faiss_pictures(
    base: npt.NDArray[np.uint8], queries: npt.NDArray[np.uint8]
) -> list[harness.Program]:
    try:
        import faiss
    except ImportError:
        return []
    faiss.omp_set_num_threads(1)
    floats = queries.astype(np.float32)
    single = [query[None] for query in floats]
    programs: list[harness.Program] = []
    for name, metric in (("l2", faiss.METRIC_L2), ("l1", faiss.METRIC_L1)):
        flat = faiss.IndexFlat(784, metric)
        flat.add(base.astype(np.float32))
        one = each(single, partial(flat.search, k=10))
        batch = partial(flat.search, floats, 10)
        programs.append((f"faiss Flat, {name}, batch", batch, len(floats), "float32"))
        programs.append((f"faiss Flat, {name}, one call a query", one, len(floats), "float32"))
    return programs


def bench_bits(rounds: int) -> list[harness.Timing]:
    """Hamming top-10 and radius 31 over 1,000,000 codes of 256 bits, one query at a time."""
    random = np.random.default_rng(0)
    codes = random.integers(0, 256, (BIT_ROWS, BITS // 8), np.uint8)
    queries = codes[random.choice(BIT_ROWS, BIT_QUERIES, replace=False)].copy()
    queries[:, 0] ^= 0b10110
    index = lookalike.Index("hamming")
    index.add(codes)
    single = list(queries)
    for query in single[:5]:
        exact = np.bitwise_count(codes ^ query).sum(axis=1, dtype=np.int64)
        order = np.lexsort((np.arange(BIT_ROWS), exact))[:10]
        assert (index.search(query, k=10).ids == order).all()
    programs: list[harness.Program] = [
        ("lookalike, top-10", each(single, lambda q: index.search(q, k=10)), BIT_QUERIES, ""),
        ("lookalike, top-10, batch", lambda: index.search(queries, k=10), BIT_QUERIES, ""),
        ("lookalike, radius 31", each(single, lambda q: index.within(q, 31)), BIT_QUERIES, ""),
    ]
    programs += faiss_bits(codes, queries)
    return harness.in_turns(programs, rounds=max(3, rounds // 3))


def faiss_bits(
    codes: npt.NDArray[np.uint8], queries: npt.NDArray[np.uint8]
) -> list[harness.Program]:
    try:
        import faiss
    except ImportError:
        return []
    faiss.omp_set_num_threads(1)
    flat = faiss.IndexBinaryFlat(BITS)
    flat.add(codes)
    single = [query[None] for query in queries]
    return [
        ("faiss BinaryFlat, top-10", each(single, lambda q: flat.search(q, 10)), len(single), ""),
        ("faiss BinaryFlat, top-10, batch", lambda: flat.search(queries, 10), len(single), ""),
        (
            "faiss BinaryFlat, radius 31",
            each(single, lambda q: flat.range_search(q, 32)),
            len(single),
            "its radius excludes the boundary, hence 32",
        ),
    ]


def main() -> None:
    options = harness.arguments(__doc__ or "")
    harness.pin_to_one_core()
    print(f"\n## Exact search\n\n{harness.machine()}.")
    tables = {
        "Digits: L1, top-1, 1,500 x 64": bench_digits(options.rounds),
        "Fashion-MNIST: top-10, 60,000 x 784": bench_pictures(options.rounds),
        "Bits: Hamming, 1,000,000 x 256": bench_bits(options.rounds),
    }
    for title, timings in tables.items():
        harness.print_table(title, timings, timings[0].name)
    one = next(t for t in tables["Bits: Hamming, 1,000,000 x 256"] if t.name == "lookalike, top-10")
    print(
        f"\nA single Hamming query reads {BIT_ROWS * BITS / 8 / 1e6:.0f} MB: "
        f"{BIT_ROWS * BITS / 8 / one.microseconds / 1e3:.1f} GB/s."
    )
    if options.json:
        harness.print_json(tables)


if __name__ == "__main__":
    main()
