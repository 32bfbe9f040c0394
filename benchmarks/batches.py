"""What a large batch saves: its queries are answered in the order of their cells.

The same queries in batches of 16, which have too few in common, and in larger ones, in turns.
Everything else is alike: calls of so many queries cost nothing to speak of.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import harness
import numpy as np
import numpy.typing as npt

from lookalike import Index, datasets

SIZES = (16, 256, 2048, 10_000)
RECALLS = (0.9, 0.95, 0.99, 0.999)
Vectors = npt.NDArray[np.generic]


def fashion() -> tuple[Vectors, Vectors]:
    base = datasets.fashion_mnist("train").images.reshape(-1, 784)
    queries = datasets.fashion_mnist("test").images.reshape(-1, 784)
    return base, queries[np.random.default_rng(0).permutation(len(queries))]


def glove() -> tuple[Vectors, Vectors]:
    vectors = datasets.glove()
    chosen = np.random.default_rng(0).permutation(len(vectors))[:10_000]
    return np.delete(vectors, chosen, axis=0), vectors[chosen]


SETS: dict[str, tuple[str, Callable[[], tuple[Vectors, Vectors]]]] = {
    "Fashion-MNIST, L2": ("l2", fashion),
    "Fashion-MNIST, L1": ("l1", fashion),
    "GloVe-50, cosine": ("cosine", glove),
}


def search(index: Index, queries: Vectors, size: int, recall: float) -> None:
    for start in range(0, len(queries), size):
        index.search(queries[start : start + size], k=10, recall=recall)


def rows(name: str, rounds: int) -> list[str]:
    metric, load = SETS[name]
    base, queries = load()
    index = Index(metric, recall=0.95)
    index.add(base)
    lines = []
    for recall in RECALLS:
        programs: list[harness.Program] = [
            (str(size), partial(search, index, queries, size, recall), len(queries), "")
            for size in SIZES
        ]
        times = [
            timing.microseconds
            for timing in harness.in_turns(programs, rounds=rounds, least_seconds=0)
        ]
        told = " | ".join(f"{time:.1f}" for time in times)
        lines.append(f"| {name} | {recall:g} | {told} | {times[0] / times[-1]:.2f} |")
    return lines


def main() -> None:
    rounds = harness.arguments(__doc__ or "").rounds
    harness.pin_to_one_core()
    print("## Batches in the order of their cells\n")
    print(f"{harness.machine()}. Microseconds a query, k = 10, by the queries in a batch.\n")
    print("| set | recall asked for | " + " | ".join(f"{size:,}" for size in SIZES) + " | times |")
    print("|---|---:|" + "---:|" * (len(SIZES) + 1))
    for name in SETS:
        print("\n".join(rows(name, rounds)), flush=True)


if __name__ == "__main__":
    main()
