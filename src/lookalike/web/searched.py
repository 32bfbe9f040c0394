"""How one vector is searched, beside a comparison with every vector of the same index."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike.index import Index
from lookalike.results import Explanation, Neighbors
from lookalike.web.collection import Searched

__all__ = ["searched"]

_ROUNDS = 3


def searched(
    encoder: str,
    index: Index,
    vector: npt.NDArray[Any],
    k: int,
    recall: float | None,
    similar: float,
) -> Searched:
    """How a search for one vector goes, beside a comparison with every vector of the index.

    Both are timed warm, in turns, and the quickest of each is told: the first search of an index
    may build its tables, or work out what a recall takes. Where an index knows no recall 1 that
    compares all, tables and the substrings of bits, a filter that allows every member does; the
    check of that filter, some tens of microseconds for 60,000, is part of what is told.

    Parameters
    ----------
    encoder : str
    index : Index
        With items.
    vector : ndarray
        One item.
    k : int
        Neighbours; all there are, if these are fewer.
    recall : float or None
        In place of that of an index whose searches are not exact.
    similar : float
        Distance at which this encoder calls pictures similar.
    """
    k = min(k, len(index))
    own = None if index.recall is None else recall
    compare = _comparing(index, vector, k)
    index.search(vector, k, recall=own)
    exact = compare()
    explained, times = [], []
    for _ in range(_ROUNDS):
        explained.append(index.explain(vector, k, recall=own))
        started = time.perf_counter()
        compare()
        times.append(time.perf_counter() - started)
    explanation = min(explained, key=_microseconds)
    true = exact.distances[exact.ids >= 0]
    return Searched(
        encoder,
        index.metric,
        explanation,
        min(times) * 1e6,
        tuple(exact.ids[exact.ids >= 0].tolist()),
        tuple(true.tolist()),
        _recall_of(explanation.hits.distances, true),
        own if own is not None else index.recall,
        similar,
    )


def _comparing(index: Index, vector: npt.NDArray[Any], k: int) -> Callable[[], Neighbors]:
    """A search that compares with every vector of an index."""
    if index.plan.engine == "exact":
        return lambda: index.search(vector, k)
    if index.recall is not None and index.metric != "hamming":
        return lambda: index.search(vector, k, recall=1.0)
    everything = np.ones(len(index), bool)
    return lambda: index.search(vector, k, where=everything)


def _microseconds(explanation: Explanation) -> float:
    return sum(step.microseconds for step in explanation.steps)


def _recall_of(found: npt.NDArray[np.float64], true: npt.NDArray[np.float64]) -> float:
    """The share of the true neighbours' places that found distances fill."""
    if not len(true):
        return 1.0
    return float(np.count_nonzero(found[: len(true)] <= true[-1]) / len(true))
