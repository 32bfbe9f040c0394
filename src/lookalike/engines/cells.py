"""Data-dependent hashing: learned cells, compact sketches, exact verification.

Hash: the query is projected, and the cells with the nearest centroids are probed. Filter: the
sketches in these cells give an estimate of every distance, and only the rows with the smallest
estimates are kept. Verify: exact distances of these.

How many cells are probed and how many rows verified is the *effort*, and decides the recall and
the time; see :mod:`lookalike.recall`, which measures what is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike import native
from lookalike.engines.effort import Effort, Regions, Sightings
from lookalike.engines.engine import Distances, Engine, Found, Items, Mask, Slots
from lookalike.engines.projection import Components, Projection
from lookalike.engines.rows import Rows
from lookalike.engines.sketch import Sketches, extended_sketches, learn_sketches, misplaced
from lookalike.results import Step
from lookalike.store.named import Arrays, array_of, number_of

__all__ = ["CellTables", "CellsEngine", "Ranks"]

_MOST_DIMENSIONS = 256  # that tables may have: sums of estimates then fit 32 bits
_INT64 = np.dtype(np.int64)  # looked up once: a search of one item takes microseconds


class Ranks(NamedTuple):
    """Where searches would find wanted rows.

    A row is verified when at least as many cells are probed as the rank of its cell says, and
    as many rows verified as the rank of its estimate says: shape (m, k) each.
    """

    cells: npt.NDArray[np.uint32]
    estimates: npt.NDArray[np.uint32]
    seen: Sightings


class CellTables:
    """Everything that is learned and stored for searching in cells, of any effort.

    Parameters
    ----------
    rows : Rows
        The rows present now; later ones are not seen.
    projection : Projection
    sketches : Sketches
        Of these rows, or of those that were not removed.
    regions : Regions
        Of the cells.
    """

    def __init__(
        self, rows: Rows, projection: Projection, sketches: Sketches, regions: Regions
    ) -> None:
        self.count = len(rows)
        self.width = rows.width
        self.projection = projection
        self.sketches = sketches
        self.regions = regions
        self.verifier = rows.scan()
        self.scan = native.CellScan(
            self.verifier,
            self.projection.native,
            self.sketches.cells,
            self.sketches.sketch,
            self.sketches.starts,
            self.sketches.blocks,
            self.sketches.rows,
        )

    @classmethod
    def learn(
        cls, rows: Rows, components: Components, dimensions: int, seed: int, threads: int = 1
    ) -> CellTables:
        """Learn from the rows, and encode them.

        Parameters
        ----------
        rows : Rows
        components : Components
        dimensions : int
            Of the projection; a multiple of 8.
        seed : int
        threads : int
            How many to build with; the tables do not depend on it.
        """
        projection = Projection(components, dimensions, of_bytes=not rows.are_floats)
        sketches = learn_sketches(rows, projection, seed, threads)
        return cls(rows, projection, sketches, Regions.learn(sketches.cells, seed))

    def facts(self) -> dict[str, Any]:
        """What :meth:`from_arrays` takes, beside arrays."""
        cells, sketch = self.sketches.cells, self.sketches.sketch
        return {
            "encoded": self.count,
            "centroid_unit": cells.unit,
            "sketch_unit": sketch.unit,
        }

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The same, the arrays."""
        cells, sketch = self.sketches.cells, self.sketches.sketch
        steps = np.asarray(cells.steps)
        return {
            "centroid_codes": np.asarray(cells.codes).reshape(len(cells), len(steps)),
            "centroid_steps": steps,
            "cell_regions": self.regions.of_cell,
            "sketch_steps": np.asarray(sketch.steps),
            "block_starts": self.sketches.starts,
            "blocks": self.sketches.blocks,
            "block_rows": self.sketches.rows,
            "cell_sizes": self.sketches.sizes,
        }

    @classmethod
    def from_arrays(
        cls, rows: Rows, components: Components, facts: Mapping[str, Any], arrays: Arrays
    ) -> CellTables:
        """Tables of these rows that were stored.

        Raises
        ------
        ValueError
            When they cannot be of these rows.
        """
        steps = array_of(arrays, "centroid_steps", np.float32, (None,))
        dimensions = len(steps)
        codes = array_of(arrays, "centroid_codes", np.int8, (None, dimensions))
        regions = array_of(arrays, "cell_regions", np.uint8, (len(codes),))
        if not dimensions or dimensions > _MOST_DIMENSIONS or not len(codes):
            raise ValueError("there must be cells of some dimensions")
        cells = native.Cells(steps, number_of(facts, "centroid_unit"), codes)
        sketches = Sketches(
            cells,
            native.Sketch(
                array_of(arrays, "sketch_steps", np.float32, (dimensions,)),
                number_of(facts, "sketch_unit"),
            ),
            array_of(arrays, "block_starts", np.uint32, (len(codes) + 1,)),
            array_of(arrays, "blocks", np.uint8, (None, None)),
            array_of(arrays, "block_rows", np.uint32, (None,)),
            array_of(arrays, "cell_sizes", np.int64, (len(codes),)),
        )
        projection = Projection(components, dimensions, of_bytes=not rows.are_floats)
        return cls(rows, projection, sketches, Regions(regions))

    def check(self, rows: Rows, present: Mask | None) -> list[str]:
        """What is wrong with the tables: nothing, if every row is where searches look for it.

        Parameters
        ----------
        rows : Rows
            Those that the tables are of, and later ones.
        present : ndarray of uint8, shape (len(rows),), or None
            0 for rows that were removed.
        """
        return misplaced(
            self.sketches,
            rows.view(0, self.count),
            None if present is None else present[: self.count],
            self.projection,
        )

    def extended(self, rows: Rows, kept: Mask, threads: int) -> CellTables:
        """Tables of more rows, encoded with what was learned.

        Parameters
        ----------
        rows : Rows
            The same rows, and later ones.
        kept : ndarray of uint8, shape (self.count,)
            0 for rows that were removed: they leave their cells.
        threads : int
        """
        later = rows.view(self.count, len(rows))
        sketches = extended_sketches(self.sketches, later, kept, self.projection, threads)
        return CellTables(rows, self.projection, sketches, self.regions)

    @property
    def cells(self) -> int:
        """Number of cells."""
        return len(self.sketches.cells)

    @property
    def size_bytes(self) -> int:
        """Memory used beyond the rows."""
        return self.sketches.size_bytes

    def ranks(
        self,
        items: Items,
        wanted: Slots,
        excluded: Slots,
        threads: int,
        allowed: Mask | None = None,
    ) -> Ranks:
        """Where the search for each item would find its wanted rows.

        Parameters
        ----------
        items : ndarray, m items
        wanted : ndarray of int64, shape (m, k)
            Rows; negative for none, whose ranks are then 0.
        excluded : ndarray of int64, shape (m,)
            A row for each item, its own, that does not count; -1 for none.
        """
        ranks = np.empty((*wanted.shape, 2), np.uint32)
        first, signs = np.empty(len(wanted), np.uint32), np.empty((len(wanted), 2), np.float32)
        self.scan.ranks(items, wanted, excluded, threads, ranks, first, signs, allowed)
        return Ranks(ranks[..., 0], ranks[..., 1], Sightings(first, signs))


class CellsEngine(Engine):
    """Searches cells with a given effort.

    Parameters
    ----------
    tables : CellTables
    effort : Effort
        Cells that are scanned, and rows that are verified.
    """

    def __init__(self, tables: CellTables, effort: Effort) -> None:
        self._tables = tables
        self._scan = tables.scan
        self._effort = effort.native

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
        slots, distances = np.empty(shape, _INT64), np.empty(shape)
        self._scan.nearest(items, k, self._effort, threads, slots, distances, allowed, widened)
        return slots, distances

    def nearest_of_one(
        self, item: Items, k: int, allowed: Mask | None = None
    ) -> tuple[Slots, Distances, bool] | None:
        return self._scan.nearest_of_one(item, k, self._effort, allowed)

    def within(
        self, items: Items, radius: float, threads: int, allowed: Mask | None = None
    ) -> Found:
        offsets, candidates = self.candidates(items, threads, allowed)
        return Found(
            *self._tables.verifier.within_among(items, offsets, candidates, radius, threads)
        )

    def candidates(
        self, items: Items, threads: int, allowed: Mask | None = None
    ) -> tuple[Slots, Slots]:
        flat: npt.NDArray[Any] = items.reshape(-1, self._tables.width)
        found = [self._candidates(item, allowed) for item in flat]
        offsets = np.cumsum([0, *map(len, found)], dtype=np.int64)
        return offsets, np.concatenate([np.empty(0, np.int64), *found])

    def candidates_of_one(self, item: Items) -> Slots | None:
        return None

    def trace(self, item: Items, k: int, allowed: Mask | None = None) -> tuple[Step, ...]:
        probes, scanned, verified, hash_us, filter_us, verify_us = self._scan.trace(
            item, k, self._effort, allowed
        )
        cells = self._tables.cells
        return (
            Step("hash", f"project, choose {probes} of {cells} cells", scanned, hash_us),
            Step("filter", "estimate distances from sketches", verified, filter_us),
            Step("verify", "exact distances, keep the k nearest", min(k, verified), verify_us),
        )

    def _candidates(self, item: Items, allowed: Mask | None) -> Slots:
        return self._scan.candidates(item, self._effort, allowed)
