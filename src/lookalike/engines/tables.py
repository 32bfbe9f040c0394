"""Classic LSH: m hash tables of k bits.

Hash: an item has one code of k bits in each table, and its candidates are the union of the m
buckets that it falls into. Verify: exact distances of the candidates.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter_ns
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike import native
from lookalike.engines.engine import (
    Distances,
    Engine,
    Found,
    Items,
    Mask,
    Slots,
)
from lookalike.engines.rows import Rows
from lookalike.hashing.bit_sampling import BitFunctions
from lookalike.hashing.family import HashFunctions
from lookalike.results import Step
from lookalike.store.named import Arrays, array_of

__all__ = ["TablesEngine"]

_MOST_CANDIDATES = 1 << 22  # of several items together: 32 MB, and as much to compare them


class TablesEngine(Engine):
    """Searches the buckets of each item, and nothing else.

    Parameters
    ----------
    rows : Rows
        The rows present now; later ones are not seen.
    functions : HashFunctions
        ``tables * bits`` drawn hash functions.
    threads : int
        How many to build with; the tables do not depend on it.
    probes : int
        Buckets looked at in each table: the item's own, then those across the nearest boundaries.
    stored : mapping, optional
        What :meth:`arrays` of such an engine has given: it is taken up, and not built.

    Raises
    ------
    ValueError
        When what was stored is not of these rows.

    Notes
    -----
    Rows with equal codes lie next to each other in one array per table. A directory over a
    mixed key of the code leads to a bucket in constant time. Codes are compared whole, so two
    different codes never share a bucket, however many bits they have.
    """

    def __init__(
        self,
        rows: Rows,
        functions: HashFunctions,
        threads: int = 1,
        probes: int = 1,
        stored: Arrays | None = None,
    ) -> None:
        self._functions = functions
        self._probes = probes
        # Tests of bits are compiled together with the look-up; other codes are computed before.
        self._sampler = (
            functions.sampler if isinstance(functions, BitFunctions) and probes == 1 else None
        )
        self._width = rows.width
        self._count = len(rows)
        self._verifier = rows.scan()
        if stored is None:
            codes = functions.hash(np.ascontiguousarray(rows.vectors), threads)
            self._tables = native.BucketTables(codes, threads)
            return
        words = functions.hash(np.ascontiguousarray(rows.vectors[:1])).shape[2]
        self._tables = native.BucketTables.of_arrays(
            len(rows),
            words,
            array_of(stored, "buckets", np.int64, (functions.tables,)),
            array_of(stored, "bucket_keys", np.uint64, (None,)),
            array_of(stored, "bucket_codes", np.uint64, (None,)),
            array_of(stored, "bucket_starts", np.uint32, (None,)),
            array_of(stored, "bucket_rows", np.uint32, (None,)),
        )

    def check(self, rows: Rows) -> list[str]:
        """What is wrong with the tables: nothing, if building them from these rows gives them."""
        again = TablesEngine(rows.view(0, self._count), self._functions, probes=self._probes)
        known = again.arrays()
        return [
            f"{name} is not what the rows give"
            for name, array in self.arrays().items()
            if not np.array_equal(array, known[name])
        ]

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What is built: to be stored, and taken up again."""
        names = ("buckets", "bucket_keys", "bucket_codes", "bucket_starts", "bucket_rows")
        return dict(zip(names, self._tables.arrays(), strict=True))

    @property
    def size_bytes(self) -> int:
        return self._tables.size_bytes

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
        flat, found, far = items.reshape(-1, self._width), slots.reshape(-1), distances.reshape(-1)
        for part in self._parts(len(flat)):
            offsets, candidates = self.candidates(flat[part], threads, allowed)
            own = slice(part.start * k, part.stop * k)
            self._verifier.nearest_among(
                flat[part], offsets, candidates, k, threads, found[own], far[own]
            )
        return slots, distances

    def nearest_of_one(
        self, item: Items, k: int, allowed: Mask | None = None
    ) -> tuple[Slots, Distances, bool] | None:
        if allowed is not None or self._sampler is None:
            return None
        return self._tables.nearest_of_one(self._sampler, self._verifier, item, k)

    def within(
        self, items: Items, radius: float, threads: int, allowed: Mask | None = None
    ) -> Found:
        flat = items.reshape(-1, self._width)
        offsets, slots, distances = [np.zeros(1, np.int64)], [], []
        for part in self._parts(len(flat)):
            unions = self.candidates(flat[part], threads, allowed)
            found = Found(*self._verifier.within_among(flat[part], *unions, radius, threads))
            offsets.append(found.offsets[1:] + offsets[-1][-1])
            slots.append(found.slots)
            distances.append(found.distances)
        return Found(np.concatenate(offsets), np.concatenate(slots), np.concatenate(distances))

    def _parts(self, items: int) -> Iterator[slice]:
        """So few items at a time that their buckets fit the memory, whatever is in them."""
        together = max(1, _MOST_CANDIDATES // max(1, self._count * self._probes))
        for first in range(0, max(items, 1), together):
            yield slice(first, min(first + together, items))

    def candidates(
        self, items: Items, threads: int, allowed: Mask | None = None
    ) -> tuple[Slots, Slots]:
        if self._sampler is None:
            offsets, slots = self._probed(items.reshape(-1, self._width), threads)
        else:
            offsets, slots = self._tables.candidates(self._sampler, items, threads)
        if allowed is None:
            return offsets, slots
        kept = allowed[slots] != 0
        before = np.concatenate([[0], np.cumsum(kept, dtype=np.int64)])
        return before[offsets], slots[kept]

    def _probed(self, items: Items, threads: int) -> tuple[Slots, Slots]:
        """The union of all buckets that are probed for each item."""
        count, codes = len(items), self._functions.probes(items, self._probes, threads)
        whole = codes.reshape(self._functions.tables, count * self._probes, -1)
        offsets, slots = self._tables.candidates_of_codes(whole, threads)
        if self._probes == 1:
            return offsets, slots
        item = np.repeat(np.arange(count), np.diff(offsets[:: self._probes]))
        union = np.unique(item * self._count + slots)
        bounds = np.searchsorted(union, np.arange(count + 1) * self._count)
        return bounds.astype(np.int64), union % self._count

    def candidates_of_one(self, item: Items) -> Slots | None:
        if self._sampler is None:
            return None
        return self._tables.candidates_of_one(self._sampler, item)

    def bucket_sizes(self, table: int) -> Slots:
        """How many rows each bucket of a table holds."""
        offsets, _ = self._tables.buckets(table)
        return np.diff(offsets)

    def trace(self, item: Items, k: int, allowed: Mask | None = None) -> tuple[Step, ...]:
        bits, tables = self._functions.bits, self._functions.tables
        start = perf_counter_ns()
        self._functions.hash(item.reshape(1, -1))
        hashed = perf_counter_ns()
        offsets, candidates = self.candidates(item, 1, allowed)
        looked_up = perf_counter_ns()
        slots, distances = np.empty(k, np.int64), np.empty(k)
        self._verifier.nearest_among(item, offsets, candidates, k, 1, slots, distances)
        verified = perf_counter_ns()
        return (
            Step("hash", f"{tables} codes of {bits} bits", self._count, (hashed - start) / 1e3),
            Step(
                "filter",
                f"union of {tables} buckets (hashing included)",
                len(candidates),
                (looked_up - hashed) / 1e3,
            ),
            Step(
                "verify",
                "exact distances, keep the k nearest",
                int((slots >= 0).sum()),
                (verified - looked_up) / 1e3,
            ),
        )
