"""Data-independent hashing with a guarantee: prefix tables.

Hash: in each of some tables a row has a code of 32 bits, and rows lie in the order of their codes.
A search looks at the rows that share the longest prefixes with the query first, then at shorter
ones. Filter: of the rows met, those whose sketches (256 more bits) differ in too many bits are
dropped. Verify: exact distances of the rest.

A search ends when a row as near as the k-th best so far would have been met, and have passed the
filter, with the probability asked for. It is over the draw of the hash functions, and holds for
each true neighbour of any query in any data: nothing was learned from them.

Aumueller, Christiani, Pagh and Vesterli, "PUFFINN: parameterless and universally fast finding of
nearest neighbors", ESA 2019.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike import native
from lookalike.engines.engine import Distances, Engine, Found, Items, Mask, Slots
from lookalike.engines.rows import Rows
from lookalike.hashing.bit_sampling import BitSampling
from lookalike.native import Measure
from lookalike.results import Step
from lookalike.seeds import Purpose, normals
from lookalike.store.named import Arrays, array_of

__all__ = ["PrefixEngine", "PrefixTables", "Stops"]

_TABLES, _TABLES_FOR, _TABLES_GROWTH = 32, 60_000, 0.35  # that many for so many rows
_FILTER_SHARE = 0.2  # of the misses that are allowed, for those that the sketches make
_HALVINGS = 60
_NORMAL_SPREAD = 8.0  # standard deviation of what `normals` draws
_BYTE_SPREAD, _LARGEST_BYTE = 5.0, 16
_CANDIDATES_K = 10


class PrefixTables:
    """All rows in the order of their codes, once for each table.

    Parameters
    ----------
    rows : Rows
        The rows present now; later ones are not seen. Not of float32 for L1, for which there are
        no single bits.
    exact : native.ExactScan
        Of the same rows: for queries that share prefixes with very many.
    seed : int
        Of the draw that the guarantee is over.
    tables : int, optional
        More for more rows unless given.
    threads : int
        How many to build with; the tables do not depend on it.
    stored : mapping, optional
        What :meth:`arrays` of such tables has given: it is taken up, and not built.

    Raises
    ------
    ValueError
        When what was stored is not of these rows.
    """

    def __init__(
        self,
        rows: Rows,
        exact: native.ExactScan,
        seed: int,
        *,
        tables: int | None = None,
        threads: int = 1,
        stored: Arrays | None = None,
    ) -> None:
        tables = _tables_for(len(rows)) if tables is None else tables
        known = None if stored is None else _known(stored, tables, len(rows))
        self._centre = None if stored is None else stored.get("prefix_centre")
        self.count, self.width, self.tables = len(rows), rows.width, tables
        self._seed = seed
        self.verifier = exact
        codes = tables + native.SKETCH_CODES
        if rows.measure in (Measure.absolute_differences, Measure.differing_bits):
            packed = rows.measure == Measure.differing_bits
            family = BitSampling(8 * rows.width) if packed else BitSampling(rows.width, rows.limit)
            functions = family.draw(seed, tables=codes, bits=native.PREFIX_BITS)
            self.scan = native.PrefixScan.of_bits(
                self.verifier, functions.sampler, float(family.string_bits), threads, known
            )
        else:
            if self._centre is None:
                self._centre = _centre_of(rows)
            elif self._centre.shape != (rows.width,) or not np.isfinite(self._centre).all():
                raise ValueError("the centre must be a vector")
            planes = _byte_planes if not rows.are_floats else _float_planes
            centred = rows.measure != Measure.float_angles
            self.scan = native.PrefixScan.of_planes(
                self.verifier, planes(rows, codes, seed, self._centre), centred, threads, known
            )

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What is built: to be stored, and taken up again."""
        codes, rows, sketches = self.scan.arrays()
        arrays: dict[str, npt.NDArray[Any]] = {
            "prefix_codes": codes.reshape(self.tables, self.count),
            "prefix_rows": rows.reshape(self.tables, self.count),
            "prefix_sketches": sketches.reshape(self.count, -1),
        }
        if self._centre is not None:
            arrays["prefix_centre"] = self._centre
        return arrays

    def check(self, rows: Rows) -> list[str]:
        """What is wrong with the tables: nothing, if building them from these rows gives them.

        Parameters
        ----------
        rows : Rows
            Those that the tables are of, and later ones.
        """
        first = rows.view(0, self.count)
        again = PrefixTables(first, self.verifier, self._seed, tables=self.tables).arrays()
        return [
            f"{name} is not what the rows give"
            for name, array in self.arrays().items()
            if not np.array_equal(array, again[name])
        ]


def _known(
    stored: Arrays, tables: int, count: int
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32], npt.NDArray[np.uint8]]:
    return (
        array_of(stored, "prefix_codes", np.uint32, (tables, count)),
        array_of(stored, "prefix_rows", np.uint32, (tables, count)),
        array_of(stored, "prefix_sketches", np.uint8, (count, None)),
    )


def _centre_of(rows: Rows) -> npt.NDArray[np.float32]:
    """What planes go through: the mean, in whole numbers for bytes; zero where angles count."""
    if rows.measure == Measure.float_angles:
        return np.zeros(rows.width, np.float32)
    values = rows.floats[:, : rows.width] if rows.are_floats else rows.vectors
    mean = values.mean(axis=0, dtype=np.float64)
    centre: npt.NDArray[np.float32] = (mean if rows.are_floats else np.rint(mean)).astype(
        np.float32
    )
    return centre


def _tables_for(count: int) -> int:
    """Longer prefixes tell more rows apart, and take more tables to be shared in one."""
    wanted = float(_TABLES * (count / _TABLES_FOR) ** _TABLES_GROWTH)
    return max(8, 4 * round(wanted / 4))


def _normals(rows: Rows, codes: int, seed: int) -> npt.NDArray[np.float32]:
    """Normal vectors of planes, shape (bits of all codes, width)."""
    each = [
        normals(native.PREFIX_BITS * rows.width, seed=seed, purpose=Purpose.HYPERPLANES, stream=c)
        for c in range(codes)
    ]
    return np.concatenate(each).reshape(-1, rows.width)


def _float_planes(
    rows: Rows, codes: int, seed: int, centre: npt.NDArray[np.float32]
) -> native.Projection:
    matrix = np.ascontiguousarray(_normals(rows, codes, seed).T)
    return native.Projection.of_floats(centre, matrix)


def _byte_planes(
    rows: Rows, codes: int, seed: int, centre: npt.NDArray[np.float32]
) -> native.Projection:
    """Normal vectors in whole numbers, so that all sums are of integers."""
    steps = _normals(rows, codes, seed) * np.float32(_BYTE_SPREAD / _NORMAL_SPREAD)
    outputs = len(steps)
    whole = np.zeros((outputs, -(-rows.width // 4) * 4), np.int8)
    whole[:, : rows.width] = np.clip(np.rint(steps), -_LARGEST_BYTE, _LARGEST_BYTE)
    offsets = (whole[:, : rows.width].astype(np.float64) @ centre).astype(np.float32)
    groups = np.ascontiguousarray(whole.reshape(outputs, -1, 4).transpose(1, 0, 2))
    return native.Projection.of_bytes(centre, groups, np.ones(outputs, np.float32), offsets)


class Stops:
    """When a search may end, for a recall.

    Parameters
    ----------
    recall : float
        Below 1: with what probability each true neighbour is found, at least.
    tables : int

    Attributes
    ----------
    met : ndarray of float64, shape (33, tables)
        ``met[length, t]``: a row whose bits each agree with the query's with this chance has been
        met when all prefixes longer than ``length``, and those of tables 0 to t of this length,
        were looked at.
    near : ndarray of float64, shape (257,)
        ``near[h]``: the sketch of such a row differs in at most h bits.

    Notes
    -----
    Of the misses allowed a fifth is left to the sketches. Tables and sketches are drawn
    independently, so the two chances multiply.
    """

    def __init__(self, recall: float, tables: int) -> None:
        passed = 1.0 - (1.0 - recall) * _FILTER_SHARE
        self.met = _least_chances(recall / passed, tables)
        self.near = _least_agreement(passed)
        self.native = native.PrefixStops(self.met, self.near)


def _least_chances(wanted: float, tables: int) -> npt.NDArray[np.float64]:
    """For each length and number of tables, by halving: the failure falls as the chance rises."""
    length = np.arange(native.PREFIX_BITS + 1)[:, None]
    done = np.arange(1, tables + 1)[None]
    longest = length == native.PREFIX_BITS  # the other tables were not looked at yet

    def missed(chance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        others = np.where(longest, 1.0, (1.0 - chance ** (length + 1)) ** (tables - done))
        return np.asarray((1.0 - chance**length) ** done * others)

    low, high = np.zeros((length.size, tables)), np.ones((length.size, tables))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        kept = missed(middle) <= 1.0 - wanted
        low, high = np.where(kept, low, middle), np.where(kept, middle, high)
    return np.where(length == 0, 0.0, high)


def _least_agreement(passed: float) -> npt.NDArray[np.float64]:
    """For each number of differing bits, by halving: the binomial distribution."""
    bits = native.PREFIX_BITS * native.SKETCH_CODES
    differ = np.arange(bits + 1)
    ways = np.array([math.comb(bits, h) for h in differ.tolist()], dtype=object)
    log_ways = np.array([math.log(way) for way in ways])
    low, high = np.zeros(bits + 1), np.ones(bits + 1)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = (
                log_ways
                + differ * np.log1p(-middle)[:, None]
                + (bits - differ) * np.log(middle)[:, None]
            )
        chances = np.cumsum(np.exp(np.nan_to_num(terms, nan=0.0)), axis=1)
        kept = chances[differ, differ] >= passed
        low, high = np.where(kept, low, middle), np.where(kept, middle, high)
    high[-1] = 0.0  # all sketches differ in no more
    return np.maximum.accumulate(high[::-1])[::-1]


class PrefixEngine(Engine):
    """Searches prefix tables until each true neighbour has been found with a probability.

    Parameters
    ----------
    tables : PrefixTables
    stops : Stops
        Of as many tables.
    """

    def __init__(self, tables: PrefixTables, stops: Stops) -> None:
        self._tables = tables
        self._scan = tables.scan
        self._stops = stops.native

    @property
    def size_bytes(self) -> int:
        return self._scan.size_bytes

    def nearest(
        self,
        items: Items,
        count: int | None,
        k: int,
        threads: int,
        allowed: Mask | None = None,
        widened: Mask | None = None,
    ) -> tuple[Slots, Distances]:
        shape = k if count is None else (count, k)
        slots, distances = np.empty(shape, np.int64), np.empty(shape)
        self._scan.nearest(items, k, self._stops, threads, slots, distances, allowed)
        return slots, distances

    def nearest_of_one(
        self, item: Items, k: int, allowed: Mask | None = None
    ) -> tuple[Slots, Distances, bool] | None:
        return self._scan.nearest_of_one(item, k, self._stops, allowed)

    def within(
        self, items: Items, radius: float, threads: int, allowed: Mask | None = None
    ) -> Found:
        each = [
            self._scan.candidates(item, radius, self._stops, allowed) for item in self._each(items)
        ]
        return Found(
            *self._tables.verifier.within_among(
                items, _offsets(each), _joined(each), radius, threads
            )
        )

    def candidates(
        self, items: Items, threads: int, allowed: Mask | None = None
    ) -> tuple[Slots, Slots]:
        each = []
        for item in self._each(items):
            distances = self.nearest(item, None, min(_CANDIDATES_K, self._tables.count), 1, allowed)
            radius = float(distances[1][-1])
            each.append(self._scan.candidates(item, radius, self._stops, allowed))
        return _offsets(each), _joined(each)

    def candidates_of_one(self, item: Items) -> Slots | None:
        return None

    def trace(self, item: Items, k: int, allowed: Mask | None = None) -> tuple[Step, ...]:
        met, verified, hash_us, search_us = self._scan.trace(item, k, self._stops, allowed)
        tables = self._tables.tables
        return (
            Step("hash", f"codes in {tables} tables", self._tables.count, hash_us),
            Step("filter", "longest common prefixes first", met, 0.0),
            Step("verify", "similar sketches, exact distances, until sure", verified, search_us),
        )

    def _each(self, items: Items) -> Items:
        return np.ascontiguousarray(items).reshape(-1, self._tables.width)


def _offsets(each: list[Slots]) -> Slots:
    return np.cumsum([0, *map(len, each)], dtype=np.int64)


def _joined(each: list[Slots]) -> Slots:
    return np.concatenate([np.empty(0, np.int64), *each])
