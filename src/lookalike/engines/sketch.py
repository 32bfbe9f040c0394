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
from lookalike.engines.projection import Projection
from lookalike.engines.rows import Rows, aligned_rows
from lookalike.seeds import Purpose, shuffled

__all__ = [
    "TAIL_WEIGHT",
    "Sketches",
    "cells_for",
    "extended_sketches",
    "learn_sketches",
    "misplaced",
]

_CELLS_PER_ROOT = 3.3  # of the number of rows: ranking cells costs little, scanning them much
_CELL_MULTIPLE = 16  # cells are scanned 16 at a time
_TRAINED_PER_CELL = 64  # rows that k-means sees for each cell
_ROUNDS = 6
_STEPS_IN_SPREAD = 1024.0  # no step is finer than this part of the largest spread
TAIL_WEIGHT = 0.3  # all of the tail is too much: neighbours have tails that agree in part
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
    """Learn cells and a sketch for these rows, and write every row's sketch.

    What is learned is learned from a sample. All rows are projected twice, a part at a time, to
    find their cells and to write them: projecting costs little, and keeping them much memory.
    """
    wanted = cells_for(len(rows))
    sample = shuffled(len(rows), _TRAINED_PER_CELL * wanted, seed=seed, purpose=Purpose.CELLS)
    y = projection.some(rows, sample, threads).y
    least_step = projection.spread / _STEPS_IN_SPREAD
    cells = native.learn_cells(y, projection.dimensions, wanted, _ROUNDS, least_step, threads)
    of_row, largest = _assigned(cells, rows, projection, threads)
    sketch = native.learn_sketch(y, cells, of_row[sample], largest, least_step)
    del y
    starts = native.block_starts(of_row, len(cells))
    blocks, places = _room(int(starts[-1]), projection.dimensions)
    writer = native.BlockWriter(starts, blocks, places)
    for part, vectors in projection.parts(rows, threads):
        writer.write(vectors.y, vectors.tails, cells, sketch, TAIL_WEIGHT, of_row[part], part.start)
    writer.pad(sketch)
    sizes = np.bincount(of_row, minlength=len(cells))
    return Sketches(cells, sketch, starts, blocks, places, sizes)


def extended_sketches(
    old: Sketches, later: Rows, kept: npt.NDArray[np.uint8], projection: Projection, threads: int
) -> Sketches:
    """The sketches of the rows that are kept and of later ones, which join the nearest cells."""
    of_row, _ = _assigned(old.cells, later, projection, threads)
    cells = len(old.cells)
    of_place = np.repeat(np.arange(cells), _BLOCK * (old.starts[1:] - old.starts[:-1]))
    used = old.rows != _NO_ROW
    used[used] = kept[old.rows[used]] != 0
    sizes = np.bincount(of_place[used], minlength=cells) + np.bincount(of_row, minlength=cells)
    starts = np.concatenate([[0], np.cumsum(-(-sizes // _BLOCK))]).astype(np.uint32)
    blocks, places = _room(int(starts[-1]), projection.dimensions)
    writer = native.BlockWriter(starts, blocks, places)
    writer.copy(old.starts, old.blocks, old.rows, kept, old.sketch)
    for part, vectors in projection.parts(later, threads):
        writer.write(
            vectors.y,
            vectors.tails,
            old.cells,
            old.sketch,
            TAIL_WEIGHT,
            of_row[part],
            len(kept) + part.start,
        )
    writer.pad(old.sketch)
    return Sketches(old.cells, old.sketch, starts, blocks, places, sizes)


def misplaced(
    sketches: Sketches,
    rows: Rows,
    present: npt.NDArray[np.uint8] | None,
    projection: Projection,
    threads: int = 1,
) -> list[str]:
    """What is wrong with sketches of these rows: which cell each belongs to is found once more."""
    of_row, _ = _assigned(sketches.cells, rows, projection, threads)
    places = _BLOCK * (sketches.starts[1:] - sketches.starts[:-1])
    of_place = np.repeat(np.arange(len(sketches.cells)), places)
    used = sketches.rows != _NO_ROW
    found = sketches.rows[used]
    problems = []
    if not np.array_equal(of_row[found], of_place[used]):
        problems.append("block_rows has rows in cells that are not the nearest")
    if not np.array_equal(np.bincount(of_place[used], minlength=len(places)), sketches.sizes):
        problems.append("cell_sizes is not how many rows the cells have")
    lost = np.ones(len(rows), np.bool_) if present is None else present != 0
    lost[found] = False
    if lost.any():
        problems.append(f"block_rows lacks {np.count_nonzero(lost)} rows")
    starts = np.concatenate([[0], np.cumsum(-(-sketches.sizes // _BLOCK))])
    if not np.array_equal(starts, sketches.starts):
        problems.append("block_starts does not fit the cells")
    return problems


def _assigned(
    cells: native.Cells, rows: Rows, projection: Projection, threads: int
) -> tuple[npt.NDArray[np.uint32], float]:
    """The cell of each row, and the largest norm that one of them may need."""
    of_row, largest = np.empty(len(rows), np.uint32), 0.0
    for part, vectors in projection.parts(rows, threads):
        cells.assign(vectors.y, threads, of_row[part])
        largest = max(largest, native.largest_norm(vectors.y, vectors.tails, cells, of_row[part]))
    return of_row, largest


def _room(blocks: int, dimensions: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint32]]:
    """Memory for so many blocks, and for the numbers of the rows in them."""
    return (
        aligned_rows(blocks, _BLOCK * (4 + dimensions // 2)),
        np.empty(blocks * _BLOCK, np.uint32),
    )
