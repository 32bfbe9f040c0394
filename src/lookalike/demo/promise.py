"""The promise on real pictures: recall asked for, reached, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike.datasets import fashion_mnist
from lookalike.index import Index
from lookalike.native import cpu_level

__all__ = ["PromiseResult", "Reached", "run_promise"]

_TARGETS = (0.8, 0.9, 0.95, 0.99, 1.0)
_QUERIES = 2000
_K = 10
_REPEATS = 3

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Reached:
    """One recall: asked for, reached, and the time of a query.

    Attributes
    ----------
    asked, reached : float
        The recall promised, and the mean over all queries.
    plan : str
        How they were searched.
    microseconds_batch, microseconds_single : float
        Of a query, in one call for all, and in a call each; medians.
    """

    asked: float
    reached: float
    plan: str
    microseconds_batch: float
    microseconds_single: float


@dataclass(frozen=True, slots=True)
class PromiseResult:
    """What the demonstration on Fashion-MNIST measured.

    Attributes
    ----------
    stored, queries : int
    k : int
        Neighbours asked for.
    seconds_to_build : float
        Adding the pictures, learning and calibrating.
    cpu_level : str
    rows : tuple of Reached
        The last one is exact search.
    """

    stored: int
    queries: int
    k: int
    seconds_to_build: float
    cpu_level: str
    rows: tuple[Reached, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain Python values, ready for JSON."""
        return {"dataset": "fashion-mnist", "metric": "l2", **asdict(self)}


def run_promise(*, seed: int = 0, progress: Progress | None = None) -> PromiseResult:
    """Index the 60,000 training pictures of Fashion-MNIST and search for 2,000 test pictures.

    Parameters
    ----------
    seed : int
        Of what the index learns and samples.
    progress : callable, optional
        Called with what is being done, steps done and steps in all.

    Raises
    ------
    UnreadableFile
        When the set is not installed.
    """
    tell = progress or (lambda *_: None)
    stored = fashion_mnist("train").images
    queries = fashion_mnist("test").images[:_QUERIES]
    steps = len(_TARGETS) + 1
    tell("building", 0, steps)
    start = perf_counter()
    index = Index("l2", seed=seed)
    index.add(stored)
    index.search(queries[0], k=_K)
    seconds = perf_counter() - start
    truth = index.search(queries, k=_K, recall=1.0).distances[:, -1:]
    rows = []
    for number, target in enumerate(_TARGETS):
        tell("searching", number + 1, steps)
        rows.append(_reached(index, queries, truth, target))
    tell("searching", steps, steps)
    return PromiseResult(len(stored), len(queries), _K, seconds, cpu_level(), tuple(rows))


def _reached(
    index: Index, queries: npt.NDArray[Any], truth: npt.NDArray[np.float64], target: float
) -> Reached:
    hits = index.search(queries, k=_K, recall=target)
    batch, single = [], []
    for _ in range(_REPEATS):
        start = perf_counter()
        index.search(queries, k=_K, recall=target)
        halfway = perf_counter()
        for query in queries:
            index.search(query, k=_K, recall=target)
        batch.append(halfway - start)
        single.append(perf_counter() - halfway)
    return Reached(
        asked=target,
        reached=float((hits.distances <= truth).mean()),
        plan=index.explain(queries[0], k=_K, recall=target).plan.split(";")[0],
        microseconds_batch=float(np.median(batch)) / len(queries) * 1e6,
        microseconds_single=float(np.median(single)) / len(queries) * 1e6,
    )
