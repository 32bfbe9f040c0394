"""Exact search of the rows that a filter allows."""

from __future__ import annotations

import numpy as np

from lookalike.engines.engine import Distances, Items, Mask, Slots
from lookalike.engines.exact import ExactEngine
from lookalike.engines.rows import Rows

__all__ = ["FilteredRows"]

_COPIED_FOR = 4  # queries that pay for a copy of the allowed rows, which are then read in a stream
_BOUND_FOR = 2000  # queries that pay for learning bounds of them


class FilteredRows:
    """A few rows, searched for as long as the same filter is used.

    Parameters
    ----------
    rows : Rows
        All rows.
    allowed : ndarray of uint8, shape (len(rows),)
        0 for those that must not be found.
    """

    def __init__(self, rows: Rows, allowed: Mask) -> None:
        self._rows = rows
        self._allowed = allowed.copy()
        self._slots = np.flatnonzero(allowed.view(np.bool_))
        self._queries = 0
        self._copy: Rows | None = None
        self._engine: ExactEngine | None = None

    def __len__(self) -> int:
        return len(self._slots)

    def is_of(self, allowed: Mask) -> bool:
        """Whether this is the same filter."""
        return np.array_equal(self._allowed, allowed)

    def nearest(
        self, items: Items, count: int | None, k: int, threads: int
    ) -> tuple[Slots, Distances]:
        """The k nearest of the allowed rows."""
        before, self._queries = self._queries, self._queries + (1 if count is None else count)
        if not len(self._slots) or self._queries < _COPIED_FOR:
            plain = ExactEngine(self._rows, bounding=False)
            return plain.nearest_among(items, count, self._slots, k, threads)
        copied = self._copy if self._copy is not None else self._rows.taken(self._slots)
        engine = self._engine
        if engine is None or before < _BOUND_FOR <= self._queries:
            engine = ExactEngine(copied, None if self._queries >= _BOUND_FOR else False)
        self._copy, self._engine = copied, engine
        places, distances = engine.nearest(items, count, k, threads)
        return np.where(places >= 0, self._slots[places], -1), distances
