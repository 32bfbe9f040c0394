"""Queries unlike the data: recall of single clusters, blurred, noisy and inverted images.

Fashion-MNIST, L2. The index holds the training images and was calibrated on some of them; queries
are test images, as they are and changed. Recall is promised for queries like the data. For the
others it is measured, and the table says for how many the search was widened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

import harness
import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from lookalike import Index, datasets
from lookalike.engines.cells import CellsEngine
from lookalike.engines.effort import Effort
from lookalike.planner.cells import CellsPlanner
from lookalike.recall import measure

TARGETS = (0.9, 0.95, 0.99)
CHANGED = 2000  # test images that are blurred, and so on
BLURS = (1.0, 2.0)  # standard deviations in pixels
NOISES = (10.0, 20.0, 40.0)  # standard deviations in grey levels
ROUNDS = 101
Bytes = npt.NDArray[np.uint8]


def as_bytes(values: npt.NDArray[np.float64]) -> Bytes:
    return np.clip(values.round(), 0, 255).astype(np.uint8).reshape(len(values), -1)


def kinds(images: Bytes, labels: Bytes) -> Iterator[tuple[str, Bytes]]:
    yield "test images", as_bytes(images.astype(float))
    for label in np.unique(labels):
        yield f"class {label} alone", as_bytes(images[labels == label].astype(float))
    some, random = images[:CHANGED].astype(float), np.random.default_rng(0)
    for blur in BLURS:
        yield f"blurred, {blur:g} pixels", as_bytes(gaussian_filter(some, (0, blur, blur)))
    for noise in NOISES:
        noisy = some + random.normal(size=some.shape) * noise
        yield f"noisy, {noise:g} levels", as_bytes(noisy)
    yield "inverted", as_bytes(255 - some)


def one_row(index: Index, name: str, queries: Bytes) -> str:
    state = index._state
    assert state is not None
    assert state.planner is not None
    nobody = np.full(len(queries), -1)
    same = measure(uniform(index, 0.95), state.planner.exact, queries, nobody, 10, 1)
    cells = []
    for target in TARGETS:
        reached = index.measure(10, queries, recall=target)
        low = " (low)" if reached.recall < target - 0.01 else ""
        cells.append(f"{reached.recall:.4f}{low}")
    widened = np.mean(index.search(queries).widened)
    return (
        f"| {name} | {len(queries):,} | {' | '.join(cells)} | {widened:.1%} | {same.recall:.4f} |"
    )


def uniform(index: Index, target: float) -> CellsEngine:
    """The cheapest effort that promises as much and is the same for every query.

    What searches did before there were regions and signs; the parts of the planner that know it
    are private to it.
    """
    state = index._state
    assert state is not None
    planner = cast(CellsPlanner, state.planner)
    calibration, tables = planner._calibration, planner.tables
    assert tables is not None
    ranks = calibration._ranks
    assert ranks is not None
    whole = calibration._undivided(ranks, 10, target, planner._cost_ns)
    assert whole is not None
    return CellsEngine(tables, Effort.everywhere(tables.cells, *whole))


def bench_price(index: Index, queries: Bytes) -> Iterator[str]:
    """What regions and signs cost queries like the data."""
    for target in TARGETS:
        index.search(queries[0], recall=target)
        plain = uniform(index, target)

        def ours(target: float = target) -> None:
            for query in queries:
                index.search(query, recall=target)

        def same(plain: CellsEngine = plain) -> None:
            # In the place of a recall that nothing else asks for: the same call times it.
            index._state.engines[10, 0.5] = plain  # type: ignore[union-attr]
            for query in queries:
                index.search(query, recall=0.5)

        programs: list[tuple[str, Callable[[], object], int, str]] = [
            ("", ours, len(queries), ""),
            ("", same, len(queries), ""),
        ]
        a, b = harness.in_turns(programs, rounds=ROUNDS)
        yield (
            f"| {target} | {a.microseconds:.1f} | {b.microseconds:.1f} | "
            f"{a.microseconds / b.microseconds - 1:+.1%} |"
        )


def main() -> None:
    harness.pin_to_one_core()
    items = datasets.fashion_mnist("train").images.reshape(-1, 784)
    tests = datasets.fashion_mnist("test")
    index = Index("l2")
    index.add(items)
    index.search(items[0])
    print("## Queries unlike the data\n\nFashion-MNIST, L2; recall@10 by what was asked for.\n")
    targets = " | ".join(str(t) for t in TARGETS)
    print(f"| queries | number | {targets} | widened at .95 | .95, same effort for all |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, queries in kinds(tests.images, tests.labels.astype(np.uint8)):
        print(one_row(index, name, queries))
    print("\nTime of a search for a test image, in microseconds, beside the cheapest effort that")
    print("promises as much and is the same for all queries.\n")
    print("| recall | by region, widened if unusual | the same for all | more |")
    print("|---:|---:|---:|---:|")
    print("\n".join(bench_price(index, tests.images.reshape(-1, 784)[:1000])))


if __name__ == "__main__":
    main()
