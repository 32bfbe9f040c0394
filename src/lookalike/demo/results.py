"""What the demonstration searches and what it measures."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike import plots
from lookalike.datasets import LabelledImages
from lookalike.hashing.bit_sampling import BitSampling
from lookalike.index import Index

__all__ = ["DemoResult", "Digits", "Method", "Wanted", "distances_between", "summary"]

_STORED = 1500

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Digits:
    """1,500 digits to search among, 297 to search for, and all distances between them.

    Attributes
    ----------
    source : LabelledImages
    stored, queries : ndarray of float64, shape (1500, 8, 8) and (297, 8, 8)
    distances : ndarray of float64, shape (297, 1500)
        L1, as NumPy computes it: what all methods are judged by.
    """

    source: LabelledImages
    stored: Floats
    queries: Floats
    distances: Floats

    @classmethod
    def of(cls, source: LabelledImages) -> Digits:
        """Split the digits."""
        stored, queries = source.images[:_STORED], source.images[_STORED:]
        return cls(source, stored, queries, distances_between(stored, queries))

    @property
    def family(self) -> BitSampling:
        """The hash family of the images."""
        return BitSampling(self.stored[0].size, self.source.value_range)

    @property
    def chances(self) -> Floats:
        """For each query and stored image, the chance that one bit agrees."""
        return 1.0 - self.distances / self.family.string_bits

    def index(self, bits: int | None = None, tables: int | None = None, seed: int = 0) -> Index:
        """Index the stored images, with k and m or for exact search."""
        index = Index(
            "l1", bits=bits, tables=tables, value_range=self.source.value_range, seed=seed
        )
        index.add(self.stored)
        return index


def distances_between(stored: Floats, queries: Floats) -> Floats:
    """L1 distances, shape (queries, stored), by brute force in NumPy."""
    return np.stack([np.abs(stored - query).sum(axis=(1, 2)) for query in queries])


@dataclass(frozen=True, slots=True)
class Method:
    """One way to find the closest image, measured over all queries.

    Attributes
    ----------
    name : str
    engine : {"tables", "exact", "numpy"}
    bits, tables : int or None
        k and m, for hash tables.
    candidates : float
        Mean number of images left to compare with a query.
    expected_candidates : float or None
        f(k, m), for hash tables: the mean of ``candidates`` over all draws of hash functions.
    nearest_found : float
        Share of queries whose hit is as near as the nearest of all stored images.
    unanswered : int
        Queries without a candidate.
    mean_distance : float or None
        From the answered queries to their hits; None when none was answered.
    microseconds_batch, microseconds_single : float
        Median time of a query: all in one call, and one call each.
    speedup : float
        Time of plain NumPy divided by ``microseconds_batch``.
    """

    name: str
    engine: str
    bits: int | None
    tables: int | None
    candidates: float
    expected_candidates: float | None
    nearest_found: float
    unanswered: int
    mean_distance: float | None
    microseconds_batch: float
    microseconds_single: float
    speedup: float


@dataclass(frozen=True, slots=True)
class Wanted:
    """What k and m were chosen for.

    Attributes
    ----------
    recall : float
        Chance that an image at ``distance`` is found, at least.
    distance : float
        Nine of ten stored images have another one within it.
    bits, tables : int
        The choice.
    """

    recall: float
    distance: float
    bits: int
    tables: int


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What one run of the demonstration measured.

    Attributes
    ----------
    stored, queries : int
        Number of images.
    seed : int
    repeats : int
        Timings of which the median is given.
    cpu_level : str
    wanted : Wanted
    methods : tuple of Method
    sweep : tuple of plots.Cost
        Candidates, of several draws of hash functions, and time over a grid of k and m.
    digits : Digits
        The images searched.
    """

    stored: int
    queries: int
    seed: int
    repeats: int
    cpu_level: str
    wanted: Wanted
    methods: tuple[Method, ...]
    sweep: tuple[plots.Cost, ...]
    digits: Digits = field(repr=False, compare=False)

    def first(self, engine: str) -> Method:
        """Return the first method of that engine."""
        return next(method for method in self.methods if method.engine == engine)

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the images as plain Python values, ready for JSON."""
        return {
            "dataset": "digits",
            "metric": "l1",
            "stored": self.stored,
            "queries": self.queries,
            "seed": self.seed,
            "repeats": self.repeats,
            "cpu_level": self.cpu_level,
            "wanted": asdict(self.wanted),
            "methods": [asdict(method) for method in self.methods],
            "sweep": [asdict(cost) for cost in self.sweep],
            "summary": summary(self),
        }


def summary(result: DemoResult) -> list[str]:
    """Say in plain sentences what the measured figures mean."""
    exact, tables = result.first("exact"), _fastest_complete(result)
    ratio = exact.microseconds_batch / tables.microseconds_batch if tables else 0.0
    nanoseconds = exact.microseconds_batch / result.stored * 1e3
    said = [
        f"Exact search finds every nearest image in {exact.microseconds_batch:.1f} microseconds "
        f"a query, {exact.speedup:.0f} times as fast as NumPy: {nanoseconds:.1f} nanoseconds for "
        "each stored image.",
        _beside_exact(tables, ratio, result),
    ]
    if ratio < 2:
        said.append(
            f"Hash tables save comparisons, and {result.stored:,} of them are too cheap for that "
            "to matter much. What carries over to more images is the number of candidates."
        )
    return said


def _fastest_complete(result: DemoResult) -> Method | None:
    """The fastest hash tables that keep the wanted recall, if any do."""
    complete = [
        method
        for method in result.methods
        if method.engine == "tables" and method.nearest_found >= result.wanted.recall
    ]
    return min(complete, key=lambda method: method.microseconds_batch, default=None)


def _beside_exact(tables: Method | None, ratio: float, result: DemoResult) -> str:
    wanted = result.wanted.recall
    if tables is None:
        return f"None of the hash tables finds {wanted:.0%} of the nearest images."
    speed = f"{ratio:.1f} times as fast as" if ratio > 1 else f"{1 / ratio:.1f} times as long as"
    missed = result.queries - round(tables.nearest_found * result.queries)
    return (
        f"The fastest hash tables that find at least {wanted:.0%} of the nearest, {tables.name}, "
        f"take {tables.microseconds_batch:.1f} microseconds, {speed} exact search, and miss "
        f"{missed} of {result.queries}."
    )
