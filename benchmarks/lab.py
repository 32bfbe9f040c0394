"""The lab's `lsh` on the library beside the same class in plain Python.

Constructing `lsh(40, 15)` (loading the images included), asking for the candidates of the 297
test images, and the whole sweep of the worked tasks. Answers are compared before anything is timed.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import harness
import numpy as np
from plain_lsh import INDEXED, PlainLsh

from lookalike import datasets
from lookalike.lab import tasks
from lookalike.lab.lsh import lsh

K, M = 40, 15


def bench_build(rounds: int) -> list[harness.Timing]:
    return harness.in_turns(
        [
            ("lookalike", lambda: lsh(K, M), 1, ""),
            ("plain Python", lambda: PlainLsh("images.npy", K, M), 1, "from the description"),
            ("plain Python, tuned", lambda: PlainLsh("images.npy", K, M, lists=True), 1, "lists"),
        ],
        rounds=rounds,
    )


def bench_candidates(rounds: int) -> list[harness.Timing]:
    ours, plain = lsh(K, M), PlainLsh("images.npy", K, M)
    tuned = PlainLsh("images.npy", K, M, lists=True)
    tests = list(ours.data[INDEXED:])
    for image in tests:
        assert ours.candidates(image) == plain.candidates(image)

    def ask(index: lsh | PlainLsh) -> None:
        for image in tests:
            index.candidates(image)

    return harness.in_turns(
        [
            ("lookalike", lambda: ask(ours), len(tests), "returns a set, as the course does"),
            ("plain Python", lambda: ask(plain), len(tests), "from the description"),
            ("plain Python, tuned", lambda: ask(tuned), len(tests), "lists"),
        ],
        rounds=rounds,
    )


def main() -> None:
    options = harness.arguments(__doc__ or "")
    harness.pin_to_one_core()
    print(f"\n## The lab\n\n{harness.machine()}.")
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "images.npy", datasets.digits().images)
        os.chdir(folder)
        tables = {
            f"Construct lsh({K}, {M})": bench_build(max(3, options.rounds // 3)),
            f"candidates(im) of lsh({K}, {M})": bench_candidates(options.rounds),
        }
        start = time.perf_counter()
        settings = tasks.sweep()
        seconds = time.perf_counter() - start
        os.chdir(tempfile.gettempdir())
    for title, timings in tables.items():
        per = "construction" if title.startswith("Construct") else "query"
        harness.print_table(title, timings, "lookalike", per)
    print(f"\nThe worked sweep over {len(settings)} settings of k and m took {seconds:.2f} s.")
    if options.json:
        harness.print_json(tables)


if __name__ == "__main__":
    main()
