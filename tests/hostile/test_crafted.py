"""Items that were made to lie in one bucket: memory and work stay bounded, and answers right."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import numpy.typing as npt
import pytest

from lookalike import Index
from lookalike.hashing.bit_sampling import BitSampling

BITS, TABLES, WIDTH = 12, 6, 256


def crafted(count: int, seed: int) -> npt.NDArray[np.uint8]:
    """Bits that agree wherever the functions of this seed look, and differ elsewhere."""
    functions = BitSampling(WIDTH).draw(seed, tables=TABLES, bits=BITS)
    random = np.random.default_rng(1)
    bits = random.integers(0, 2, (count, WIDTH), np.uint8)
    zeros = functions.hash(np.packbits(np.zeros((1, WIDTH), np.uint8), axis=1))
    for place in range(WIDTH):
        one = np.zeros((1, WIDTH), np.uint8)
        one[0, place] = 1
        if (functions.hash(np.packbits(one, axis=1)) != zeros).any():
            bits[:, place] = 0  # some function looks here
    return np.packbits(bits, axis=1)


def test_a_known_seed_can_be_aimed_at_and_an_unknown_one_can_not() -> None:
    items = crafted(2000, seed=0)
    known = Index("hamming", bits=BITS, tables=TABLES, seed=0)
    known.add(items)
    assert len(known.candidates(items[0])) == 2000
    unknown = Index("hamming", bits=BITS, tables=TABLES, seed=None)
    unknown.add(items)
    # Half of them only if 11 of a table's 12 functions look where all agree, at 72 of 256 places
    # at the most: a chance of one in 20,000.
    assert len(unknown.candidates(items[0])) < 1000


def test_crafted_items_are_still_answered_exactly() -> None:
    items = crafted(2000, seed=0)
    index = Index("hamming", bits=BITS, tables=TABLES, seed=0)
    index.add(items)
    exact = Index("hamming", recall=1)
    exact.add(items)
    some = items[:300]
    found, truth = index.search(some, k=5), exact.search(some, k=5)
    assert (found.ids == truth.ids).all()
    assert (found.distances == truth.distances).all()
    radius = 60
    within, all_within = index.within(some, radius), exact.within(some, radius)
    assert (within.ids == all_within.ids).all()
    assert within.offsets is not None
    assert all_within.offsets is not None
    assert (within.offsets == all_within.offsets).all()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak of a process")
@pytest.mark.parametrize("ask", ["search(items[:600], k=3)", "within(items[:600], 0)"])
def test_a_batch_among_items_of_one_bucket_takes_bounded_memory(ask: str) -> None:
    # All unions at once would be 600 times 200,000 numbers: 1 GB, twice.
    script = f"""
import numpy as np
from lookalike import Index
items = np.zeros((200_000, 8), np.uint8)
items[:, 7] = np.arange(200_000) % 251
index = Index("hamming", bits=1, tables=2)
index.add(items)
found = index.{ask}
status = open("/proc/self/status").read()
print(status.split("VmHWM:")[1].split()[0])  # not ru_maxrss, which a child has from its parent
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) * 1024 < 1 << 30


def test_the_guarantee_gives_up_hashing_before_it_costs_much_more_than_comparing_all() -> None:
    # Nearly all items share every prefix with the query and lie at one distance from it.
    random = np.random.default_rng(2)
    items = np.full((20_000, 32), 100, np.uint8)
    items[np.arange(20_000), random.integers(0, 32, 20_000)] += 1
    index = Index("l2", promise="guaranteed", recall=0.9)
    index.add(items)
    explanation = index.explain(items[0], k=10)
    looked_at = sum(step.left for step in explanation.steps)
    assert looked_at <= 2 * len(items)
    assert index.search(items[0], k=10).distances[0] == 0
