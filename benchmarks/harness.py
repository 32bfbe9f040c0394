"""What every benchmark here shares: one core, programs in turns, medians, a table.

Machines are noisy and differ, so a figure is only worth something beside another one of the
same run: every table has a peer's row, and a ratio.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import lookalike

# One thread each, whatever a peer would take: must be set before they are imported.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")


@dataclass(frozen=True)
class Timing:
    """Time of one program, per query."""

    name: str
    microseconds: float  # median over rounds
    least: float
    most: float
    note: str = ""


Program = tuple[str, Callable[[], object], int, str]  # name, call, queries it answers, note


def pin_to_one_core() -> None:
    """Stay on the last core that this process may use, where the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def machine() -> str:
    """Processor, CPU level and versions, in a line."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return (
        f"{model}, CPU level {lookalike.cpu_level()}, one core, "
        f"Python {platform.python_version()}, lookalike {lookalike.__version__}"
    )


def in_turns(
    programs: Sequence[Program],
    *,
    rounds: int = 15,
    least_seconds: float = 0.02,
) -> list[Timing]:
    """Time programs A B C A B C ..., so that a slow moment of the machine hits all of them."""
    repeats = []
    for _, call, _, _ in programs:
        call()  # warm up
        start = time.perf_counter()
        call()
        repeats.append(max(1, round(least_seconds / (time.perf_counter() - start + 1e-9))))
    times: list[list[float]] = [[] for _ in programs]
    for _ in range(rounds):
        for (_, call, queries, _), repeat, taken in zip(programs, repeats, times, strict=True):
            start = time.perf_counter()
            for _ in range(repeat):
                call()
            taken.append((time.perf_counter() - start) / (repeat * queries) * 1e6)
    return [
        Timing(name, statistics.median(taken), min(taken), max(taken), note)
        for (name, _, _, note), taken in zip(programs, times, strict=True)
    ]


def print_table(title: str, timings: Sequence[Timing], reference: str, per: str = "query") -> None:
    """Print a Markdown table with each row's time as a multiple of the reference's."""
    base = next(t.microseconds for t in timings if t.name == reference)
    print(f"\n### {title}\n")
    print(f"| program | us a {per}, median (least to most) | times {reference} | |")
    print("|---|---:|---:|---|")
    for t in timings:
        spread = f"{t.microseconds:,.2f} ({t.least:,.2f} to {t.most:,.2f})"
        print(f"| {t.name} | {spread} | {t.microseconds / base:,.2f} | {t.note} |")


def arguments(description: str) -> argparse.Namespace:
    """Options that every benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
    parser.add_argument("--rounds", type=int, default=15, help="how often each program's turn is")
    return parser.parse_args()


def print_json(tables: Mapping[str, Sequence[Timing]]) -> None:
    """Print all tables as one JSON object."""
    json.dump(
        {title: [asdict(t) for t in timings] for title, timings in tables.items()}, sys.stdout
    )
    print()
