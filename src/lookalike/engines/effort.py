"""How hard searches in cells try: so hard in each region, and harder for unusual queries.

What finds a neighbour differs more between parts of the data than within one: where vectors lie
close together, many estimates are near the smallest. So cells that lie near each other make a
*region*, and each region has numbers of its own of cells to probe and rows to verify. A query
belongs to the region of the cell that ranks first.

A query unlike those that the numbers were measured on shows it before anything is scanned, by two
*signs*: its distance from the nearest centroid, and its *tail*, the square of what the projection
leaves out of it. When one of them is outside the usual, the search is widened.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lookalike import native
from lookalike.seeds import Purpose, shuffled

__all__ = ["Effort", "Regions", "Sightings"]

_MOST_REGIONS = 16  # a sample of 1,600 then has some hundred in each
_CELLS_PER_REGION = 8
_ROUNDS = 6
_MOST_COUNT = 2**31
_ANY = (-math.inf, math.inf)


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """Which cells lie together.

    Attributes
    ----------
    of_cell : ndarray of uint8, shape (cells,)
    """

    of_cell: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return int(self.of_cell.max()) + 1

    @classmethod
    def learn(cls, cells: native.Cells, seed: int) -> Regions:
        """Divide cells by k-means over their centroids."""
        wanted = min(_MOST_REGIONS, max(1, len(cells) // _CELLS_PER_REGION))
        centroids = _centroids(cells)
        dimensions = len(cells.steps)
        least_step = 16.0 * float(cells.steps.min())  # of an upper digit: see cells.h
        order = shuffled(len(cells), len(cells), seed=seed, purpose=Purpose.CELLS, stream=1)
        regions = native.learn_cells(centroids[order], dimensions, wanted, _ROUNDS, least_step, 1)
        of_cell = np.empty(len(cells), np.uint32)
        regions.assign(centroids, 1, of_cell)
        # Numbered without gaps: k-means may leave a region empty.
        return cls(np.unique(of_cell, return_inverse=True)[1].astype(np.uint8))


@dataclass(frozen=True, slots=True, eq=False)
class Sightings:
    """What searches know of their queries before they scan.

    Attributes
    ----------
    cells : ndarray of uint32, shape (m,)
        The cell that ranks first.
    signs : ndarray of float32, shape (m, 2)
        Squared distance from the nearest centroid, and tail.
    """

    cells: npt.NDArray[np.uint32]
    signs: npt.NDArray[np.float32]


class Effort:
    """Cells that are probed and rows that are verified, for each region.

    Parameters
    ----------
    regions : Regions
    counts : array of int, shape (regions, 2)
        Probes and candidates.
    wide : array of int, shape (regions, 2), optional
        The same for queries with unusual signs. As for others unless given.
    usual : ndarray of float32, shape (2, 2), optional
        The least and the largest of each sign that is usual, ends included; all unless given.
    """

    def __init__(
        self,
        regions: Regions,
        counts: npt.ArrayLike,
        wide: npt.ArrayLike | None = None,
        usual: npt.NDArray[np.float32] | None = None,
    ) -> None:
        self.regions = regions
        self._usual = np.array([_ANY, _ANY], np.float32) if usual is None else usual
        both = [np.asarray(counts), np.asarray(counts if wide is None else wide)]
        # By [widened, region]: probes and candidates.
        self._counts = np.minimum(np.stack(both), _MOST_COUNT).astype(np.int64)
        nearest, tail = ((float(least), float(most)) for least, most in self._usual)
        self.native = native.Efforts(
            regions.of_cell, self._counts[0], self._counts[1], nearest, tail
        )

    @classmethod
    def everywhere(cls, cells: int, probes: int, candidates: int) -> Effort:
        """The same effort for every query."""
        return cls(Regions(np.zeros(cells, np.uint8)), [[probes, candidates]])

    def counts(self, seen: Sightings) -> npt.NDArray[np.int64]:
        """Cells probed and rows verified for each query: shape (m, 2)."""
        found: npt.NDArray[np.int64] = self._counts[
            self.widens(seen).astype(np.intp), self.regions.of_cell[seen.cells]
        ]
        return found

    def widens(self, seen: Sightings) -> npt.NDArray[np.bool_]:
        """Whether the search for each query is widened: shape (m,)."""
        usual = (seen.signs >= self._usual[:, 0]) & (seen.signs <= self._usual[:, 1])
        return np.asarray(~usual.all(axis=1))


def _centroids(cells: native.Cells) -> npt.NDArray[np.float32]:
    """What the cells' codes stand for, with as many zeros behind as the core wants."""
    steps = np.asarray(cells.steps)
    values = np.asarray(cells.codes).reshape(len(cells), len(steps)) * steps
    padded = np.zeros((len(cells), -(-len(steps) // 16) * 16), np.float32)
    padded[:, : len(steps)] = values
    return padded
