"""An index while it changes: recall after edits, what edits cost, and filtered searches.

Fashion-MNIST, L2, recall .95 asked for. Recall is measured on images of the test set. Filters
are compared with a plain scan of a copy of the allowed vectors alone.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable

import harness
import numpy as np
import numpy.typing as npt

from lookalike import Drifted, Index, datasets
from lookalike.engines.exact import ExactEngine
from lookalike.engines.rows import Rows
from lookalike.native import Measure

QUERIES, TIMED = 2000, 500
FIRST = 50_000  # indexed before the first search; the other 10,000 come later
SHARES = (0.5, 0.1, 0.01, 0.001)
Bytes = npt.NDArray[np.uint8]


def built(items: Bytes) -> Index:
    index = Index("l2", recall=0.95)
    index.add(items)
    index.search(items[0])
    return index


def row(index: Index, queries: Bytes, what: str, change: Callable[[], object] | None = None) -> str:
    """Make a change, if any, then measure recall and time of a search."""
    start = time.perf_counter()
    if change is not None:
        change()
    seconds = "" if change is None else f"{time.perf_counter() - start:.2f}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Drifted)
        reached = index.measure(10, queries[:QUERIES])
        index.search(queries[0])
        start = time.perf_counter()
        for query in queries[:TIMED]:
            index.search(query)
        microseconds = (time.perf_counter() - start) / TIMED * 1e6
    return (
        f"| {what} | {len(index):,} | {seconds} | {reached.recall:.4f} "
        f"({reached.low:.4f}, {reached.high:.4f}) | {microseconds:.1f} |"
    )


def bench_changes(items: Bytes, queries: Bytes) -> list[str]:
    index = Index("l2", recall=0.95)
    index.add(items[:FIRST])
    random = np.random.default_rng(0)
    late = np.split(items[FIRST : FIRST + 1000], 100)
    lines = [
        row(index, queries, "built, by the first search", lambda: index.search(queries[0])),
        row(index, queries, "100 adds of 10", lambda: [index.add(part) for part in late]),
        row(index, queries, "9,000 added", lambda: index.add(items[FIRST + 1000 :])),
        row(
            index,
            queries,
            "half removed, at random",
            lambda: index.remove(random.permutation(60_000)[:30_000]),
        ),
        row(index, queries, "rebuilt", index.rebuild),
    ]
    index = built(items)
    inverted = 255 - queries
    lines.append(
        row(index, queries, "60,000, and 3,000 inverted", lambda: index.add(255 - items[:3000]))
    )
    lines.append(row(index, inverted, "the same, inverted queries"))
    lines.append(row(index, queries, "rebuilt", index.rebuild))
    lines.append(row(index, inverted, "the same, inverted queries"))
    return lines


def bench_filter(index: Index, items: Bytes, queries: Bytes, share: float) -> str:
    mask = np.random.default_rng(1).random(len(items)) < share
    rows = Rows(items.shape[1], Measure.squared_differences)
    rows.append(np.ascontiguousarray(items[mask]))
    plain = ExactEngine(rows, bounding=False)
    one, batch = queries[:20], queries[:200]
    truth = plain.nearest(batch, len(batch), 10, 1)[1]
    assert (index.search(batch, where=mask).distances == truth).all()

    def singly(answer: Callable[[Bytes], object]) -> None:
        for query in one:
            answer(query)

    programs: list[harness.Program] = [
        ("", lambda: singly(lambda query: index.search(query, where=mask)), len(one), ""),
        ("", lambda: singly(lambda query: plain.nearest_of_one(query, 10)), len(one), ""),
        ("", lambda: index.search(batch, where=mask), len(batch), ""),
        ("", lambda: plain.nearest(batch, len(batch), 10, 1), len(batch), ""),
    ]
    timings = harness.in_turns(programs, rounds=5)
    times = " | ".join(f"{timing.microseconds:,.0f}" for timing in timings)
    return f"| {share:.1%} | {int(mask.sum()):,} | {times} |"


def bench_filters(items: Bytes, queries: Bytes) -> list[str]:
    index = built(items)
    return [bench_filter(index, items, queries, share) for share in SHARES]


def main() -> None:
    harness.pin_to_one_core()
    items = datasets.fashion_mnist("train").images.reshape(-1, 784)
    queries = datasets.fashion_mnist("test").images.reshape(-1, 784)
    print("## An index that changes\n\nFashion-MNIST, L2, recall .95 asked for.\n")
    print("| change | items | seconds | recall@10 (interval) | one search, us |")
    print("|---|---:|---:|---:|---:|")
    print("\n".join(bench_changes(items, queries)))
    print(
        "\n### Filters\n\nMicroseconds a search with `where=`, beside a plain scan of a copy of the"
    )
    print("allowed vectors alone. All answers are exact.\n")
    print("| allowed | items | one, where= | one, plain | batch, where= | batch, plain |")
    print("|---|---:|---:|---:|---:|---:|")
    print("\n".join(bench_filters(items, queries)))


if __name__ == "__main__":
    main()
