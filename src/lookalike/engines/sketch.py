"""Cells and sketches: where a vector lies, and a short code of where in its cell.

*Cells* are learned buckets (k-means): a vector belongs to the cell of its nearest centroid.
Within a cell, a vector is kept as 4 bits for each dimension of its *residual*, the difference
from the centroid, with a step for each dimension. From that the distance to any query can be
estimated without reading the vector.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lookalike import native
from lookalike.engines.projection import Projection, Vectors
from lookalike.engines.rows import Rows, aligned_rows
from lookalike.seeds import Purpose, shuffled

__all__ = ["TAIL_WEIGHT", "Sketches", "cells_for", "extended_sketches", "learn_sketches"]

_CELLS_PER_ROOT = 3.3  # of the number of rows: ranking cells costs little, scanning them much
_CELL_MULTIPLE = 16  # cells are scanned 16 at a time
_TRAINED_PER_CELL = 64  # rows that k-means sees for each cell
_ROUNDS = 6
_STEPS_IN_SPREAD = 1024.0  # no step is finer than this part of the largest spread
TAIL_WEIGHT = 0.5  # all of the tail is too much: neighbours have tails that agree in part
_BLOCK = 16
_NO_ROW = 2**32 - 1


@dataclass(frozen=True, slots=True, eq=False)
class Sketches:
    """All rows in their cells, as sketches.

    Attributes
    ----------
    cells : native.Cells
    sketch : native.Sketch
    starts : ndarray of uint32, shape (cells + 1,)
        First block of each cell; a block holds 16 rows.
    blocks : ndarray of uint8, shape (blocks, bytes)
    rows : ndarray of uint32, shape (16 * blocks,)
        The row in each place of a block; 2**32 - 1 for none.
    sizes : ndarray of int64, shape (cells,)
        Rows in each cell.
    """

    cells: native.Cells
    sketch: native.Sketch
    starts: npt.NDArray[np.uint32]
    blocks: npt.NDArray[np.uint8]
    rows: npt.NDArray[np.uint32]
    sizes: npt.NDArray[np.int64]

    @property
    def size_bytes(self) -> int:
        """Memory of the blocks and the numbers of their rows."""
        return self.blocks.nbytes + self.rows.nbytes + self.starts.nbytes


def cells_for(count: int) -> int:
    """How many cells so many rows are divided into: about 3.3 times the square root."""
    wanted = round(_CELLS_PER_ROOT * math.sqrt(count) / _CELL_MULTIPLE) * _CELL_MULTIPLE
    return max(_CELL_MULTIPLE, wanted)


def learn_sketches(rows: Rows, projection: Projection, seed: int, threads: int) -> Sketches:
    """Learn cells and a sketch for these rows, and write every row's sketch."""
    vectors = projection(rows, threads)
    least_step = projection.spread / _STEPS_IN_SPREAD
    cells = _learn_cells(vectors, projection.dimensions, least_step, seed, threads)
    of_row = np.empty(len(rows), np.uint32)
    cells.assign(vectors.y, threads, of_row)
    sketch = native.learn_sketch(vectors.y, vectors.tails, cells, of_row, least_step)
    starts = native.block_starts(of_row, len(cells))
    block_bytes = _BLOCK * (4 + projection.dimensions // 2)
    blocks = aligned_rows(int(starts[-1]), block_bytes)
    places = np.empty(int(starts[-1]) * _BLOCK, np.uint32)
    native.write_blocks(
        vectors.y, vectors.tails, cells, sketch, TAIL_WEIGHT, of_row, blocks, places
    )
    sizes = np.bincount(of_row, minlength=len(cells))
    return Sketches(cells, sketch, starts, blocks, places, sizes)


def extended_sketches(
    old: Sketches, later: Rows, kept: npt.NDArray[np.uint8], projection: Projection, threads: int
) -> Sketches:
    """The sketches of the rows that are kept and of later ones, which join the nearest cells."""
    vectors = projection(later, threads)
    of_row = np.empty(len(later), np.uint32)
    old.cells.assign(vectors.y, threads, of_row)
    cells = len(old.cells)
    of_place = np.repeat(np.arange(cells), _BLOCK * (old.starts[1:] - old.starts[:-1]))
    used = old.rows != _NO_ROW
    used[used] = kept[old.rows[used]] != 0
    sizes = np.bincount(of_place[used], minlength=cells) + np.bincount(of_row, minlength=cells)
    starts = np.concatenate([[0], np.cumsum(-(-sizes // _BLOCK))]).astype(np.uint32)
    blocks = aligned_rows(int(starts[-1]), old.blocks.shape[1])
    places = np.empty(int(starts[-1]) * _BLOCK, np.uint32)
    native.extend_blocks(
        old.starts,
        old.blocks,
        old.rows,
        kept,
        vectors.y,
        vectors.tails,
        old.cells,
        old.sketch,
        TAIL_WEIGHT,
        of_row,
        starts,
        blocks,
        places,
    )
    return Sketches(old.cells, old.sketch, starts, blocks, places, sizes)


def _learn_cells(
    vectors: Vectors, dimensions: int, least_step: float, seed: int, threads: int
) -> native.Cells:
    count = len(vectors.y)
    wanted = cells_for(count)
    sample = shuffled(count, _TRAINED_PER_CELL * wanted, seed=seed, purpose=Purpose.CELLS)
    return native.learn_cells(vectors.y[sample], dimensions, wanted, _ROUNDS, least_step, threads)
