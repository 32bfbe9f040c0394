"""All pairs within a radius: what a join returns, and what it would take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["JoinPlan", "PairChunk", "Pairs"]

Ids = npt.NDArray[np.int64]
Distances = npt.NDArray[np.float64]


class PairChunk(NamedTuple):
    """Some of the pairs within a radius.

    Attributes
    ----------
    ids : ndarray of int64, shape (m, 2)
        Of one index: the item that was added first comes first. Of two: the item of the index that
        was asked, then that of the other.
    distances : ndarray of float64, shape (m,)
    """

    ids: Ids
    distances: Distances


class Pairs:
    """All pairs within a radius, each once, found while they are iterated over.

    Iterating gives a :class:`PairChunk` at a time, in an order that does not depend on the number
    of threads; ``all()`` gives all of them at once. Whoever stops iterating cancels the rest.

    Attributes
    ----------
    radius : float
        Pairs at exactly this distance are there.
    promise : str
        How complete they are.
    truncated : bool
        Whether it ended early because there are more pairs than the limit.
    done : float
        The part of the work that is done, in [0, 1].
    """

    def __init__(
        self,
        radius: float,
        promise: str,
        found: Iterator[tuple[Ids, Ids, Distances, float]],
        limit: int | None = None,
        progress: Callable[[float], object] | None = None,
    ) -> None:
        self.radius = radius
        self.promise = promise
        self.truncated = False
        self.done = 0.0
        self._found = found
        self._left = limit
        self._progress = progress

    def __iter__(self) -> Iterator[PairChunk]:
        for first, second, distances, done in self._found:
            self.done = done
            chunk = self._cut(PairChunk(np.stack([first, second], axis=1), distances))
            if self._progress is not None:
                self._progress(done)
            if len(chunk.ids):
                yield chunk
            if self.truncated:
                return

    def _cut(self, chunk: PairChunk) -> PairChunk:
        """As many of these as the limit leaves."""
        if self._left is None:
            return chunk
        kept = min(len(chunk.ids), self._left)
        self.truncated = kept < len(chunk.ids)
        self._left -= kept
        return PairChunk(chunk.ids[:kept], chunk.distances[:kept])

    def all(self) -> PairChunk:
        """Every pair that has not been iterated over, in memory."""
        chunks = list(self)
        return PairChunk(
            np.concatenate([np.empty((0, 2), np.int64), *(chunk.ids for chunk in chunks)]),
            np.concatenate([np.empty(0), *(chunk.distances for chunk in chunks)]),
        )

    def __repr__(self) -> str:
        ended = ", truncated" if self.truncated else ""
        return f"Pairs(within {self.radius:g}, {self.promise}, {self.done:.0%} done{ended})"


@dataclass(frozen=True, slots=True)
class JoinPlan:
    """What finding all pairs would take, by the cost model.

    Attributes
    ----------
    engine : str
    tables : int
        Sorted orders that are gone through; 0 where every item is searched for.
    candidates : float
        Pairs that are compared.
    memory_bytes : int
        Beyond the index, at the most, but for pairs that one item has.
    seconds : float
        With one thread.
    promise : str
    """

    engine: str
    tables: int
    candidates: float
    memory_bytes: int
    seconds: float
    promise: str

    def __str__(self) -> str:
        tables = f"{self.tables} tables, " if self.tables else ""
        return (
            f"{self.engine}: {tables}{self.candidates:,.0f} candidates, "
            f"{self.memory_bytes / 1e6:,.0f} MB, about {self.seconds:,.1f} s; {self.promise}"
        )
