"""The lab, live: what k bits and m tables do to the search of 1,797 handwritten digits.

The first 1,500 are indexed, as in the course; the other 297 are searched for.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike import arrays
from lookalike.errors import InvalidInput
from lookalike.hashing.bit_sampling import BitSampling
from lookalike.hashing.curves import s_curve
from lookalike.index import Index
from lookalike.web.collection import text_of

__all__ = [
    "INDEXED",
    "LARGEST_BITS",
    "LARGEST_TABLES",
    "Lab",
    "Neighbour",
    "Speed",
    "TablesResult",
    "curve",
    "tables_index",
]

INDEXED = 1500  # of the digits, in the order of the data set; the rest is searched for
LARGEST_BITS, LARGEST_TABLES = 64, 64
_LARGEST_PIXEL = 16
_K = 10  # neighbours of a search
_KEPT = 64  # settings whose results are kept
_ROUNDS = 3  # of a timing, in turns; the first of what is cold is never the quickest
_NUMPY_BATCH = 16  # queries that NumPy compares together: more do not fit the caches
_NUMPY_QUERIES = 2 * _NUMPY_BATCH  # that it is timed with: it takes thirty times as long
_FAMILY = BitSampling(64, _LARGEST_PIXEL)
_CURVE = range(0, 513, 8)  # distances at which the curve is drawn: the farthest neighbour is near


@dataclass(frozen=True, slots=True)
class Speed:
    """Microseconds a query, for the ten nearest, with one thread.

    Attributes
    ----------
    batch : float
        All queries in one call.
    call : float
        One query a call.
    """

    batch: float
    call: float


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One of the true ten nearest of a query.

    Attributes
    ----------
    id : str
    label : str
        What it shows.
    distance : float
        L1.
    chance : float
        That it shares a bucket with the query: over the draw of the hash functions, not of this
        draw, which has found it or has not.
    found : bool
        In this draw.
    """

    id: str
    label: str
    distance: float
    chance: float
    found: bool


@dataclass(frozen=True, slots=True)
class TablesResult:
    """What k bits and m tables do.

    Attributes
    ----------
    k, m : int
    indexed, queries : int
        How many digits are indexed, and searched for.
    build_ms : float
        Milliseconds to hash and index them.
    candidates : float
        Mean number of candidates of a query, in this draw of the hash functions.
    expected_candidates : float
        The mean over all draws.
    nearest_found : float
        Share of the queries whose nearest (or one as near) is found.
    recall : float
        Share of the ten nearest that is found.
    empty : float
        Share of the queries without any candidate.
    tables, exact, numpy : Speed
        With these tables; with the exact search of lookalike; with NumPy: timed in turns.
    query, label : str
        The query that the rest is about: its id, and what it shows.
    query_candidates : int
    neighbours : tuple of Neighbour
        Its true ten nearest, the nearest first.
    curve : tuple of (float, float)
        Distance, and the chance that a digit at that distance is found: the S-curve.
    """

    k: int
    m: int
    indexed: int
    queries: int
    build_ms: float
    candidates: float
    expected_candidates: float
    nearest_found: float
    recall: float
    empty: float
    tables: Speed
    exact: Speed
    numpy: Speed
    query: str
    label: str
    query_candidates: int
    neighbours: tuple[Neighbour, ...]
    curve: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class _Setting:
    """What is measured of a pair of k and m, whichever query is looked at."""

    build_ms: float
    candidates: tuple[npt.NDArray[np.int64], ...]
    expected: float
    nearest_found: float
    recall: float
    tables: Speed
    exact: Speed
    numpy: Speed


class Lab:
    """Hash tables over the digits, built when they are asked for.

    Parameters
    ----------
    images : ndarray of uint8, shape (n, 8, 8)
        All digits, in the order of the data set.
    labels : ndarray of int, shape (n,)
        What they show.

    Notes
    -----
    May be called from several threads. One setting is measured at a time, so that no
    measurement disturbs another.
    """

    def __init__(self, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> None:
        self._labels = labels
        self._images = images.reshape(len(images), -1)
        self._indexed, self._queries = self._images[:INDEXED], self._images[INDEXED:]
        self._settings: OrderedDict[tuple[int, int], _Setting] = OrderedDict()
        self._measuring = threading.Lock()
        self._distances = _distances(self._queries, self._indexed)
        self._nearest = np.argsort(self._distances, axis=1, kind="stable")[:, :_K]
        self._true = np.take_along_axis(self._distances, self._nearest, axis=1)
        self._spread = np.bincount(self._distances.ravel(), minlength=_FAMILY.string_bits + 1)
        self._exact = Index("l1", recall=1.0, value_range=_LARGEST_PIXEL)
        self._exact.add(self._indexed)

    @property
    def queries(self) -> range:
        """Numbers of the digits that are searched for."""
        return range(INDEXED, len(self._images))

    def tables(self, k: int, m: int, query: int | None = None) -> TablesResult:
        """What k bits and m tables do, to all queries and to one of them.

        Parameters
        ----------
        k, m : int
            From 1 to 64.
        query : int, optional
            Number of a digit that is searched for, from 1,500; the first unless given.

        Raises
        ------
        InvalidInput
            When one of them is out of range.
        """
        k = arrays.positive_integer(k, "k", LARGEST_BITS)
        m = arrays.positive_integer(m, "m", LARGEST_TABLES)
        number = self._checked(query)
        with self._measuring:
            setting = self._setting(k, m)
        own = number - INDEXED
        return TablesResult(
            k=k,
            m=m,
            indexed=INDEXED,
            queries=len(self._queries),
            build_ms=setting.build_ms,
            candidates=float(np.mean([len(part) for part in setting.candidates])),
            expected_candidates=setting.expected,
            nearest_found=setting.nearest_found,
            recall=setting.recall,
            empty=float(np.mean([len(part) == 0 for part in setting.candidates])),
            tables=setting.tables,
            exact=setting.exact,
            numpy=setting.numpy,
            query=text_of(number),
            label=str(self._labels[number]),
            query_candidates=len(setting.candidates[own]),
            neighbours=self._neighbours(own, k, m, setting.candidates[own]),
            curve=curve(k, m),
        )

    def _checked(self, query: int | None) -> int:
        if query is None:
            return INDEXED
        if query not in self.queries:
            raise InvalidInput(
                f"query must be the number of a digit that is not indexed, {INDEXED:,} to "
                f"{len(self._images) - 1:,}; got {query!r}. Choose one of these."
            )
        return query

    def _neighbours(
        self, own: int, k: int, m: int, candidates: npt.NDArray[np.int64]
    ) -> tuple[Neighbour, ...]:
        chances = s_curve(_agreement(self._true[own]), k, m)
        found = np.isin(self._nearest[own], candidates)
        return tuple(
            Neighbour(text_of(number), str(self._labels[number]), float(distance), chance, there)
            for number, distance, chance, there in zip(
                self._nearest[own].tolist(),
                self._true[own].tolist(),
                chances.tolist(),
                found.tolist(),
                strict=True,
            )
        )

    # ---- measuring

    def _setting(self, k: int, m: int) -> _Setting:
        """A setting, measured now or lately."""
        if (k, m) not in self._settings:
            self._settings[k, m] = self._measured(k, m)
            if len(self._settings) > _KEPT:
                self._settings.popitem(last=False)
        self._settings.move_to_end((k, m))
        return self._settings[k, m]

    def _measured(self, k: int, m: int) -> _Setting:
        started = time.perf_counter()
        index = tables_index(self._indexed, k, m)
        index.search(self._queries[0], _K)  # the tables are built at the first search
        build_ms = (time.perf_counter() - started) * 1e3
        found = index.search(self._queries, _K).distances
        chances = s_curve(_agreement(np.arange(len(self._spread))), k, m)
        return _Setting(
            build_ms,
            tuple(index.candidates(self._queries)),
            float(chances @ self._spread) / len(self._queries),
            float((found[:, 0] <= self._true[:, 0]).mean()),
            float((found <= self._true[:, -1:]).mean()),
            *self._speeds(index),
        )

    def _speeds(self, tables: Index) -> tuple[Speed, Speed, Speed]:
        """Of tables, exact search and NumPy, in turns: what else goes on slows all of them."""
        indexed = self._indexed.astype(np.int16)
        few = self._queries[:_NUMPY_QUERIES].astype(np.int16)
        batches = np.split(few, range(_NUMPY_BATCH, len(few), _NUMPY_BATCH))
        calls: list[Callable[[], Any]] = [
            lambda: tables.search(self._queries, _K),
            lambda: [tables.search(query, _K) for query in self._queries],
            lambda: self._exact.search(self._queries, _K),
            lambda: [self._exact.search(query, _K) for query in self._queries],
            lambda: [_nearest_by_numpy(indexed, batch) for batch in batches],
            lambda: [_nearest_by_numpy(indexed, query[np.newaxis]) for query in few],
        ]
        least = np.min([[_seconds(call) for call in calls] for _ in range(_ROUNDS)], axis=0)
        counts = np.repeat([len(self._queries), len(self._queries), len(few)], 2)
        each = (least / counts * 1e6).tolist()
        return Speed(*each[:2]), Speed(*each[2:4]), Speed(*each[4:])


def tables_index(images: npt.NDArray[np.uint8], k: int, m: int) -> Index:
    """Index digits in m tables of k bits."""
    index = Index("l1", bits=k, tables=m, value_range=_LARGEST_PIXEL)
    index.add(images)
    return index


def curve(k: int, m: int) -> tuple[tuple[float, float], ...]:
    """Distances, and the chance that a digit at each is a candidate: the S-curve."""
    chances = s_curve(_agreement(np.array(_CURVE)), k, m)
    return tuple(zip(map(float, _CURVE), chances.tolist(), strict=True))


def _seconds(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _distances(
    queries: npt.NDArray[np.uint8], indexed: npt.NDArray[np.uint8]
) -> npt.NDArray[np.int64]:
    """All L1 distances, shape (queries, indexed)."""
    wide = indexed.astype(np.int16)
    return np.stack([np.abs(wide - query).sum(axis=1) for query in queries.astype(np.int16)])


def _nearest_by_numpy(
    indexed: npt.NDArray[np.int16], queries: npt.NDArray[np.int16]
) -> npt.NDArray[np.int64]:
    """The ten nearest as one would write it with NumPy, in order."""
    distances = np.abs(queries[:, np.newaxis] - indexed).sum(axis=2, dtype=np.int16)
    nearest = np.argpartition(distances, _K, axis=1)[:, :_K]
    order = np.argsort(np.take_along_axis(distances, nearest, axis=1), axis=1)
    return np.take_along_axis(nearest, order, axis=1)


def _agreement(distances: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Chance that one bit of the code is the same at each of these distances."""
    return np.array([_FAMILY.collision_probability(own) for own in distances.tolist()])
