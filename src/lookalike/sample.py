"""The sample that recall is calibrated on: queries, and their true neighbours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike.engines.engine import Engine, Items, Mask
from lookalike.engines.exact import ExactEngine
from lookalike.engines.rows import Rows
from lookalike.seeds import Purpose, shuffled
from lookalike.store.named import Arrays, array_of

__all__ = ["LARGE_SAMPLE", "SMALL_SAMPLE", "Sample"]

SMALL_SAMPLE, LARGE_SAMPLE = 1600, 4000
_FEW_SHARE = 8  # queries below this part of the sample are compared with all rows as they are
_CHANGED_STREAM = 1 << 20  # random numbers of changes follow those of this number


class Sample:
    """Queries with their true neighbours, found by exact search as they are needed.

    Parameters
    ----------
    exact : callable
        Gives exact search of the rows.
    rows : Rows
    seed : int
        Decides which members are the sample.
    queries : ndarray or None
        The user's own queries in place of members.
    present : ndarray of uint8, shape (len(rows),), or None
        0 for rows that were removed.
    """

    def __init__(
        self,
        exact: Callable[[], Engine],
        rows: Rows,
        seed: int,
        queries: Items | None = None,
        present: Mask | None = None,
    ) -> None:
        self._exact = exact
        self._rows = rows
        self.queries = queries
        self.present = present
        self._count = len(rows) if present is None else int(np.count_nonzero(present))
        self._seed = seed
        self.items: Items = np.empty((0, rows.width))
        self.excluded = np.empty(0, np.int64)
        self.neighbours = np.empty((0, 0), np.int64)

    @classmethod
    def known(
        cls,
        exact: Callable[[], Engine],
        rows: Rows,
        seed: int,
        arrays: Arrays,
        present: Mask | None,
    ) -> Sample:
        """A sample that was stored, with the neighbours that were found.

        Raises
        ------
        ValueError
            When it cannot be of these rows.
        """
        queries = None
        if "queries" in arrays:
            dtype = np.float32 if rows.are_floats else np.uint8
            queries = array_of(arrays, "queries", dtype, (None, rows.width))
        sample = cls(exact, rows, seed, queries, present)
        sample.excluded = array_of(arrays, "sample", np.int64, (None,))
        size = len(sample.excluded)
        sample.neighbours = array_of(arrays, "sample_neighbours", np.int64, (size, None))
        least = 0 if queries is None else -1
        if not all(
            (least <= slots).all() and (slots < len(rows)).all()
            for slots in (sample.excluded, sample.neighbours)
        ):
            raise ValueError("a sample must be of the rows")
        if queries is None:
            sample.items = rows.items(sample.excluded)
            return sample
        if not len(queries) or size > len(queries) or not rows.are_items(queries):
            raise ValueError("a sample must be of the queries")
        sample.items = np.ascontiguousarray(queries[:size])
        return sample

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What :meth:`known` takes."""
        arrays = {"sample": self.excluded, "sample_neighbours": self.neighbours}
        if self.queries is not None:
            dtype = np.float32 if self._rows.are_floats else np.uint8
            arrays["queries"] = self.queries.reshape(-1, self._rows.width).astype(dtype)
        return arrays

    def __len__(self) -> int:
        return len(self.items)

    @property
    def k(self) -> int:
        """How many neighbours of each are known."""
        return self.neighbours.shape[1]

    def extend(self, size: int, k: int, threads: int) -> bool:
        """Make it at least this large where there are as many; whether it has changed."""
        available = self._count if self.queries is None else len(self.queries)
        available = min(available, LARGE_SAMPLE)
        size, k = max(min(size, available), len(self)), max(min(k, self._count - 1), self.k)
        if size == len(self) and k == self.k:
            return False
        if self.queries is None:
            chosen = shuffled(
                self._count, LARGE_SAMPLE, seed=self._seed, purpose=Purpose.CALIBRATION
            )
            self.excluded = self._slots[chosen[:size]]
            self.items = self._rows.items(self.excluded)
        else:
            self.excluded = np.full(size, -1)
            self.items = np.ascontiguousarray(self.queries[:size])
        self.neighbours = self._found(self._exact(), np.arange(size), k, threads)
        return True

    def changed(
        self, exact: Callable[[], Engine], rows: Rows, present: Mask | None, threads: int
    ) -> Sample:
        """A sample of the same rows and later ones, for a fraction of what another would cost.

        It keeps the queries that are still there, but for a random part that gives way to as large
        a share of the later rows as these have of all. Their neighbours are known but for the
        later rows; only queries that are new, or have lost a neighbour, are searched for in all.

        Parameters
        ----------
        exact, rows, present
            As above.
        threads : int
        """
        sample = Sample(exact, rows, self._seed, self.queries, present)
        if not len(self) or self.k >= sample._count:
            return sample
        old = len(self._rows)
        kept = np.arange(len(self))
        fresh = np.empty(0, np.int64)
        if self.queries is None:
            kept, fresh = self._divided(sample, old)
        sample.excluded = np.concatenate([self.excluded[kept], fresh])
        sample.items = np.concatenate([self.items[kept], rows.items(fresh)])
        sample.neighbours = np.full((len(sample.items), self.k), -1, np.int64)
        whole = np.ones(len(sample.items), np.bool_)
        known = self.neighbours[kept]
        if present is not None:
            whole[: len(kept)] = (present[known] == 0).any(axis=1)
        else:
            whole[: len(kept)] = False
        sample.neighbours[: len(kept)] = known
        sample._meet(old, np.flatnonzero(~whole), threads)
        again = np.flatnonzero(whole)
        if len(again):
            few = len(again) * _FEW_SHARE < len(sample)
            engine = ExactEngine(rows, bounding=False) if few else exact()
            sample.neighbours[again] = sample._found(engine, again, self.k, threads)
        return sample

    @property
    def _slots(self) -> npt.NDArray[np.int64]:
        """The rows of all members."""
        if self.present is None:
            return np.arange(len(self._rows))
        return np.flatnonzero(self.present)

    def _divided(
        self, sample: Sample, old: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Which queries stay, and which rows take the place of the others."""
        slots, present = sample._slots, sample.present
        kept = np.arange(len(self))
        if present is not None:
            kept = np.flatnonzero(present[self.excluded])
        size = min(len(self), len(slots))
        later = len(slots) - int(np.searchsorted(slots, old))
        wanted = round(size * later / len(slots))
        stay = self._drawn(len(kept), size - wanted, sample)
        kept = kept[np.sort(stay)]
        late = slots[len(slots) - later :]
        fresh = late[self._drawn(later, wanted, sample)]
        lacking = size - len(kept) - len(fresh)
        if lacking > 0:
            others = np.setdiff1d(slots, np.concatenate([self.excluded[kept], fresh]))
            fresh = np.concatenate([fresh, others[self._drawn(len(others), lacking, sample)]])
        return kept, fresh

    def _drawn(self, count: int, most: int, sample: Sample) -> npt.NDArray[np.int64]:
        """Random numbers below count, other ones for each size of the index."""
        stream = _CHANGED_STREAM + len(sample._rows)
        return shuffled(count, most, seed=self._seed, purpose=Purpose.CALIBRATION, stream=stream)

    def _meet(self, old: int, which: npt.NDArray[np.int64], threads: int) -> None:
        """Let some queries meet the later rows; their neighbours among the first are known."""
        late = len(self._rows) - old
        if not late or not len(which):
            return
        k, items = self.k, np.ascontiguousarray(self.items[which])
        allowed = None if self.present is None else np.ascontiguousarray(self.present[old:])
        tail = ExactEngine(self._rows.view(old, len(self._rows)), bounding=False)
        found, _ = tail.nearest(items, len(items), k, threads, allowed)
        found = np.where(found >= 0, found + old, self.neighbours[which][:, :1])
        both = np.sort(np.concatenate([self.neighbours[which], found], axis=1), axis=1)
        flat, offsets = _without_doubles(both)
        slots, distances = np.empty((len(items), k), np.int64), np.empty((len(items), k))
        self._rows.scan().nearest_among(items, offsets, flat, k, threads, slots, distances)
        self.neighbours[which] = slots

    def _found(
        self, engine: Engine, which: npt.NDArray[np.int64], k: int, threads: int
    ) -> npt.NDArray[np.int64]:
        """The k nearest others of some queries, by exact search of all."""
        items = np.ascontiguousarray(self.items[which])
        slots, _ = engine.nearest(items, len(which), k + 1, threads, self.present)
        others = slots != self.excluded[which][:, None]
        others[others.all(axis=1), -1] = False  # nothing was excluded: drop the farthest
        neighbours: npt.NDArray[np.int64] = slots[others].reshape(len(which), k)
        return neighbours


def _without_doubles(
    slots: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Ascending rows of each query, each once: all of them, and where those of a query begin."""
    once = np.ones(slots.shape, np.bool_)
    once[:, 1:] = slots[:, 1:] != slots[:, :-1]
    return slots[once], np.concatenate([[0], np.cumsum(once.sum(axis=1))]).astype(np.int64)
