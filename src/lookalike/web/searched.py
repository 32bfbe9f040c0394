"""How one vector is searched, beside a comparison with every vector of the same index."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike.index import Index
from lookalike.web.collection import Searched

__all__ = ["searched"]

_ROUNDS = 3  # of the exact scan; the quickest counts


def searched(
    encoder: str,
    index: Index,
    vector: npt.NDArray[Any],
    k: int,
    recall: float | None,
    similar: float,
) -> Searched:
    """How a search for one vector goes, beside a comparison with every vector of the index."""
    k = min(k, len(index))
    own = None if index.recall is None else recall
    explanation = index.explain(vector, k, recall=own)
    everything = np.ones(len(index), bool)
    times, exact = [], index.search(vector, k, where=everything)
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        exact = index.search(vector, k, where=everything)
        times.append(time.perf_counter() - started)
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


def _recall_of(found: npt.NDArray[np.float64], true: npt.NDArray[np.float64]) -> float:
    """The share of the true neighbours' places that found distances fill."""
    if not len(true):
        return 1.0
    return float(np.count_nonzero(found[: len(true)] <= true[-1]) / len(true))
