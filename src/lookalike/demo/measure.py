"""Measure every way to find the closest digit, in one run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from time import perf_counter

import numpy as np
import numpy.typing as npt

from lookalike import plots
from lookalike.datasets import digits
from lookalike.demo.results import DemoResult, Digits, Method, Wanted, distances_between
from lookalike.hashing.curves import choose_tables, s_curve
from lookalike.index import Index
from lookalike.native import cpu_level
from lookalike.seeds import resolve_seed

__all__ = ["run_demo"]

_SETTINGS = ((5, 5), (10, 5), (20, 5), (20, 15), (40, 15))  # (k, m)
_SWEEP = tuple(product((5, 10, 20, 40), (1, 5, 15, 50)))
_WANTED_RECALL = 0.9
_SAMPLE = 150  # stored images that stand for queries while k and m are chosen

Ids = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Progress = Callable[[str, int, int], None]


def run_demo(
    *, seed: int | None = 0, repeats: int = 7, draws: int = 5, progress: Progress | None = None
) -> DemoResult:
    """Search the digits in every way and measure it.

    Parameters
    ----------
    seed : int or None
        Of the hash functions; draw i of the sweep uses seed + i. None draws one.
    repeats : int
        Timings of each method; one more is made first and thrown away.
    draws : int
        Of the hash functions, for each k and m of the sweep.
    progress : callable, optional
        Called with what is being done, steps done and steps in all.

    Raises
    ------
    MissingExtra
        When scikit-learn is not installed.
    """
    seed = resolve_seed(seed)
    tell = progress or (lambda *_: None)
    data = Digits.of(digits())
    wanted = _chosen(data)
    contenders = _contenders(data, wanted, seed)
    times = _timed(contenders, repeats, tell)
    return DemoResult(
        stored=len(data.stored),
        queries=len(data.queries),
        seed=seed,
        repeats=repeats,
        cpu_level=cpu_level(),
        wanted=wanted,
        methods=tuple(
            _judged(contender, data, *times[row], numpy=times[-1, 0])
            for row, contender in enumerate(contenders)
        ),
        sweep=_sweep(data, seed, draws, tell),
        digits=data,
    )


def _chosen(data: Digits) -> Wanted:
    """Choose k and m from stored images alone: queries are not known beforehand."""
    every = len(data.stored) // _SAMPLE
    distances = np.sort(distances_between(data.stored, data.stored[::every]), axis=1)
    distances = distances[:, 1:]  # the first is that of the image to itself
    wanted = float(np.quantile(distances[:, 0], 0.9))
    # One typical query: an even selection from the distances of all in the sample.
    typical = np.sort(distances, axis=None)[:: len(distances)]
    choice = choose_tables(
        data.family.collision_probability(wanted),
        _WANTED_RECALL,
        1.0 - typical / data.family.string_bits,
    )
    return Wanted(_WANTED_RECALL, wanted, choice.bits, choice.tables)


# ---- the measurement


@dataclass(frozen=True, slots=True)
class _Contender:
    """A method that answers all queries: in one call, or in one call each."""

    name: str
    engine: str
    batch: Callable[[], Ids]
    single: Callable[[], Ids]
    index: Index | None = None


def _contenders(data: Digits, wanted: Wanted, seed: int) -> list[_Contender]:
    """All methods; the last one is the measure of speed."""
    settings = [*_SETTINGS, (wanted.bits, wanted.tables)]
    searched = [
        _searching(f"k = {k}, m = {m}", "tables", data.index(k, m, seed), data.queries)
        for k, m in settings
    ]
    searched.append(_searching("exact search", "exact", data.index(), data.queries))
    columns = np.ascontiguousarray(data.stored.reshape(len(data.stored), -1).T, np.int8)
    rows = data.queries.reshape(len(data.queries), -1).astype(np.int8)
    return [
        *searched,
        _looping("NumPy, tuned", lambda: _numpy_tuned(columns, rows)),
        _looping("NumPy", lambda: _numpy_plain(data.stored, data.queries)),
    ]


def _searching(name: str, engine: str, index: Index, queries: Floats) -> _Contender:
    return _Contender(
        name,
        engine,
        lambda: index.search(queries, k=1).ids[:, 0],
        lambda: np.array([index.search(query, k=1).ids[0] for query in queries]),
        index,
    )


def _looping(name: str, answers: Callable[[], Ids]) -> _Contender:
    return _Contender(name, "numpy", answers, answers)


def _numpy_plain(stored: Floats, queries: Floats) -> Ids:
    """Brute force as one writes it: images as they were loaded."""
    return np.array([np.abs(stored - query).sum(axis=(1, 2)).argmin() for query in queries])


def _numpy_tuned(columns: npt.NDArray[np.int8], queries: npt.NDArray[np.int8]) -> Ids:
    """Brute force as fast as we could make it: one byte a pixel, all images of a pixel adjacent."""
    return np.array(
        [
            np.abs(columns - query[:, None]).sum(axis=0, dtype=np.uint16).argmin()
            for query in queries
        ]
    )


def _timed(contenders: Sequence[_Contender], repeats: int, tell: Progress) -> Floats:
    """Median microseconds of all queries, in one call and in one call each, per contender.

    The contenders take turns, so a slow moment of the machine does not fall on one of them.
    """
    rounds = np.empty((repeats + 1, len(contenders), 2))
    steps = rounds.shape[0] * rounds.shape[1]
    for number, row in product(range(repeats + 1), range(len(contenders))):
        contender = contenders[row]
        rounds[number, row] = _seconds(contender.batch), _seconds(contender.single)
        tell("timing", number * len(contenders) + row + 1, steps)
    return np.asarray(np.median(rounds[1:], axis=0) * 1e6)


def _seconds(call: Callable[[], object]) -> float:
    start = perf_counter()
    call()
    return perf_counter() - start


def _judged(
    contender: _Contender, data: Digits, batch: float, single: float, *, numpy: float
) -> Method:
    """Turn a contender and its times into a row of the table."""
    hits, queries = contender.batch(), len(data.queries)
    answered = hits >= 0
    distances = data.distances[answered, hits[answered]]
    nearest = data.distances.min(axis=1)[answered]
    plan = {} if contender.index is None else contender.index.plan.parameters
    bits, tables = plan.get("bits"), plan.get("tables")
    return Method(
        name=contender.name,
        engine=contender.engine,
        bits=bits,
        tables=tables,
        candidates=_mean_candidates(contender.index, data),
        expected_candidates=None
        if bits is None or tables is None
        else float(s_curve(data.chances, bits, tables).sum()) / queries,
        nearest_found=float((distances == nearest).sum()) / queries,
        unanswered=int((~answered).sum()),
        mean_distance=float(distances.mean()) if answered.any() else None,
        microseconds_batch=float(batch) / queries,
        microseconds_single=float(single) / queries,
        speedup=float(numpy / batch),
    )


def _mean_candidates(index: Index | None, data: Digits) -> float:
    if index is None:
        return float(len(data.stored))
    return sum(len(found) for found in index.candidates(data.queries)) / len(data.queries)


def _sweep(data: Digits, seed: int, draws: int, tell: Progress) -> tuple[plots.Cost, ...]:
    costs = []
    for number, (bits, tables) in enumerate(_SWEEP):
        measured, seconds = [], []
        for draw in range(draws):
            index = data.index(bits, tables, (seed + draw) % 2**128)
            measured.append(_mean_candidates(index, data))
            seconds.append(_seconds(partial(index.search, data.queries, k=1)))
            tell("drawing hash functions", number * draws + draw + 1, len(_SWEEP) * draws)
        expected = float(s_curve(data.chances, bits, tables).sum()) / len(data.queries)
        microseconds = float(np.median(seconds)) / len(data.queries) * 1e6
        costs.append(plots.Cost(bits, tables, expected, tuple(measured), microseconds))
    return tuple(costs)
