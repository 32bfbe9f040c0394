"""How many dimensions a sketch should have: more to read of every row, or more rows to verify.

Tried out before anything is built, on a sample of queries with their true neighbours: with so
many dimensions, how many rows would have smaller estimates than the neighbours have?
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike.costs import cells_cost_ns
from lookalike.engines.projection import Components, unit_rows
from lookalike.engines.rows import Rows
from lookalike.engines.sketch import TAIL_WEIGHT, cells_for
from lookalike.sample import Sample

__all__ = ["MOST_DIMENSIONS", "best_dimensions"]

Floats = npt.NDArray[np.float32]

MOST_DIMENSIONS = 256
_DIMENSIONS = (16, 32, 48, 64, 96, 128, 192, MOST_DIMENSIONS)  # of the projection, tried in turn
_TRIED_QUERIES, _TRIED_K, _TRIED_ROWS = 200, 10, 8192
_TRIED_SCANNED = 0.03  # share of all rows that a search scans
_TRIED_RECALL = 0.95


def best_dimensions(components: Components, sample: Sample, rows: Rows) -> int:
    """How many dimensions make the cheapest search: more to read, or more to verify.

    Few rows stand for all: the rank of a neighbour's estimate among them, times how many rows
    each stands for, is its rank among all.
    """
    queries = min(_TRIED_QUERIES, len(sample))
    k = min(_TRIED_K, sample.k)
    near = sample.neighbours[:queries, :k]
    step = max(1, len(rows) // _TRIED_ROWS)
    asked = Rows(rows.width, rows.measure, rows.limit, rows.scale)
    asked.append(sample.items[:queries])
    y = _centred(components, asked, slice(None))
    others = _centred(components, rows, slice(None, None, step))
    neighbours = _centred(components, rows, near.ravel()).reshape(queries, k, -1)
    most = len(components)
    choices = [d for d in _DIMENSIONS if d < most] + [-(-most // 8) * 8]
    best = (np.inf, choices[-1])
    for dimensions in choices:
        near_estimates = _estimates(y[:, None], neighbours, dimensions)
        estimates = _estimates_of_all(y, others, dimensions)
        estimates.sort(axis=1)
        ranks = [
            np.searchsorted(row, near, side="right") * step + k
            for row, near in zip(estimates, near_estimates, strict=True)
        ]
        candidates = float(np.quantile(ranks, _TRIED_RECALL))
        scanned = _TRIED_SCANNED * len(rows)
        cost = cells_cost_ns(rows, dimensions, cells_for(len(rows)), 0, scanned, candidates)
        best = min(best, (cost, dimensions))
    return best[1]


def _centred(components: Components, rows: Rows, which: Any) -> Floats:
    """Coordinates along the components, and behind them what these leave out, squared."""
    array = unit_rows(rows.array[which], rows)
    values = array.view(np.float32) if rows.are_floats else array
    centred = values[:, : rows.width].astype(np.float32) - components.mean
    y = centred @ components.basis.T
    rest = np.einsum("ij,ij->i", centred, centred) - np.einsum("ij,ij->i", y, y)
    return np.concatenate([y, np.maximum(rest, 0.0)[:, None]], axis=1, dtype=np.float32)


def _tails(y: Floats, dimensions: int) -> Floats:
    return np.asarray(TAIL_WEIGHT * ((y[..., dimensions:-1] ** 2).sum(axis=-1) + y[..., -1]))


def _estimates(query: Floats, y: Floats, dimensions: int) -> Floats:
    kept = min(dimensions, y.shape[-1] - 1)
    difference = y[..., :kept] - query[..., :kept]
    return np.asarray((difference**2).sum(axis=-1) + _tails(y, kept))


def _estimates_of_all(queries: Floats, y: Floats, dimensions: int) -> Floats:
    kept = min(dimensions, y.shape[-1] - 1)
    q, x = queries[:, :kept], y[:, :kept]
    squares = (q**2).sum(axis=1)[:, None] + (x**2).sum(axis=1) - 2.0 * (q @ x.T)
    return np.asarray(squares + _tails(y, kept))
