"""The projection: a vector becomes the few numbers in which vectors differ most.

Learned once, by principal component analysis of a sample; stored; and applied from then on in
integer or fixed-order arithmetic, with the same result on every processor.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike import native
from lookalike.engines.rows import Rows
from lookalike.errors import CorruptStore
from lookalike.seeds import Purpose, shuffled
from lookalike.store.named import Arrays, array_of

__all__ = ["Components", "Projection", "Vectors", "learn_components", "unit_rows"]

Floats = npt.NDArray[np.float32]

_LEAST_SAMPLE = 4096
_SAMPLE_PER_VALUE = 6
_WIDEST_COVARIANCE = 1024  # wider rows: subspace iteration, which needs no width^2 memory
_ITERATIONS = 6
_EXTRA_DIRECTIONS = 16  # carried along by the iteration, so that the wanted ones settle
_LEAST_VARIANCE = 1e-7  # of the largest; directions below are noise of the arithmetic
_LARGEST_BYTE = 16  # of the projection of bytes (project_bytes in kernels.h)
_OUTPUT_MULTIPLE = 16
_LONGEST, _LEAST_SPREAD = 1.0 + 1e-3, 1e-30  # of what was stored: float32 can go on with these
_CHUNK = 16_384  # rows whose unit vectors are in memory at a time


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """What principal component analysis of a sample found.

    Attributes
    ----------
    mean : ndarray of float32, shape (width,)
    basis : ndarray of float32, shape (count, width)
        Orthonormal directions, that of largest variance first.
    spreads : ndarray of float32, shape (count,)
        Standard deviation of the sample along each.
    """

    mean: Floats
    basis: Floats
    spreads: Floats

    def __len__(self) -> int:
        return len(self.basis)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What :meth:`from_arrays` takes."""
        return {"mean": self.mean, "basis": self.basis, "spreads": self.spreads}

    @classmethod
    def from_arrays(cls, arrays: Arrays, width: int) -> Components:
        """Components of vectors of this width that were stored.

        Raises
        ------
        ValueError
            When they cannot be.
        """
        basis = array_of(arrays, "basis", np.float32, (None, width))
        mean = array_of(arrays, "mean", np.float32, (width,))
        spreads = array_of(arrays, "spreads", np.float32, (len(basis),))
        if not np.isfinite(mean).all() or not (np.abs(basis) <= _LONGEST).all():
            raise ValueError("mean must be a vector, and basis directions of length 1")
        if not ((spreads >= _LEAST_SPREAD) & (spreads <= 1 / _LEAST_SPREAD)).all():
            raise ValueError("spreads must be positive")
        return cls(mean, basis, spreads)


@dataclass(frozen=True, slots=True, eq=False)
class Vectors:
    """Projected rows.

    Attributes
    ----------
    y : ndarray of float32, shape (n, outputs)
    tails : ndarray of float32, shape (n,)
        Squared length of what the projection leaves out of each.
    """

    y: Floats
    tails: Floats


class Projection:
    """The first directions of the components, applied to rows.

    Parameters
    ----------
    components : Components
    dimensions : int
        How many directions; a multiple of 8. Those that the components lack are zero.
    of_bytes : bool
        Whether rows are bytes. Then the directions are rounded to 33 levels, so that all sums
        are of integers; base and queries see the same rounded directions.

    Notes
    -----
    Pearson, "On lines and planes of closest fit to systems of points in space", 1901.
    """

    def __init__(
        self,
        components: Components,
        dimensions: int,
        *,
        of_bytes: bool,
        contracting: bool = False,
    ) -> None:
        self.dimensions = dimensions
        self.spread = float(components.spreads[0])
        basis = components.basis[:dimensions]
        outputs = -(-dimensions // _OUTPUT_MULTIPLE) * _OUTPUT_MULTIPLE
        make = _byte_projection if of_bytes else _float_projection
        self.native = make(components.mean, basis, outputs, contracting)

    def __call__(self, rows: Rows, threads: int) -> Vectors:
        """Project all rows, which should be few."""
        return self.some(rows, np.arange(len(rows)), threads)

    def some(self, rows: Rows, slots: npt.NDArray[np.int64], threads: int) -> Vectors:
        """Project some of the rows, in this order."""
        some = Vectors(
            np.empty((len(slots), self.native.outputs), np.float32),
            np.empty(len(slots), np.float32),
        )
        for part in _parts(len(slots)):
            array = unit_rows(rows.array[slots[part]], rows)
            self.native.apply(array, self.dimensions, threads, some.y[part], some.tails[part])
        return some

    def parts(self, rows: Rows, threads: int) -> Iterator[tuple[slice, Vectors]]:
        """Project rows a part at a time: which ones, and their vectors."""
        for part in _parts(len(rows)):
            yield part, self._vectors(unit_rows(rows.array[part], rows), threads)

    def chunks(self, rows: Rows, threads: int) -> Iterator[tuple[slice, Floats, float]]:
        """The same: which ones, the vectors, the length of the longest row."""
        for part in _parts(len(rows)):
            array = unit_rows(rows.array[part], rows)
            values = array.view(np.float32) if rows.are_floats else array
            squares = np.einsum("ij,ij->i", values, values, dtype=np.float64)
            yield part, self._vectors(array, threads).y, float(np.sqrt(squares.max()))

    def _vectors(self, array: npt.NDArray[np.uint8], threads: int) -> Vectors:
        count = len(array)
        vectors = Vectors(
            np.empty((count, self.native.outputs), np.float32), np.empty(count, np.float32)
        )
        self.native.apply(array, self.dimensions, threads, vectors.y, vectors.tails)
        return vectors


def _parts(count: int) -> Iterator[slice]:
    for first in range(0, count, _CHUNK):
        yield slice(first, min(first + _CHUNK, count))


def unit_rows(array: npt.NDArray[np.uint8], rows: Rows) -> npt.NDArray[np.uint8]:
    """Rows as the projection wants them: of length 1 where the measure is of angles."""
    if rows.measure != native.Measure.float_angles:
        return array
    floats = array.view(np.float32)
    unit = floats * floats[:, -1:]
    unit[:, -1] = 0.0
    return unit.view(np.uint8)


def learn_components(rows: Rows, most: int, seed: int) -> Components:
    """Principal components of a random sample of the rows.

    Parameters
    ----------
    rows : Rows
    most : int
        How many directions at the most; fewer when the sample varies in fewer.
    seed : int
        Decides the sample.
    """
    wanted = max(_LEAST_SAMPLE, _SAMPLE_PER_VALUE * rows.width)
    slots = np.sort(shuffled(len(rows), wanted, seed=seed, purpose=Purpose.COMPONENTS))
    array = unit_rows(rows.array[slots], rows)
    values = array.view(np.float32) if rows.are_floats else array
    sample = values[:, : rows.width].astype(np.float32)
    mean = sample.mean(axis=0, dtype=np.float64).astype(np.float32)
    sample -= mean
    find = _by_covariance if rows.width <= _WIDEST_COVARIANCE else _by_iteration
    try:
        variances, basis = find(sample, most)
    except np.linalg.LinAlgError as error:
        raise CorruptStore("the rows of this index", f"they have no components: {error}") from error
    kept = variances > _LEAST_VARIANCE * max(float(variances[0]), 0.0)
    return Components(
        mean,
        np.ascontiguousarray(basis[kept], np.float32),
        np.sqrt(variances[kept]).astype(np.float32),
    )


def _by_covariance(sample: Floats, most: int) -> tuple[npt.NDArray[np.float64], Floats]:
    covariance = (sample.T @ sample).astype(np.float64) / len(sample)
    variances, directions = np.linalg.eigh(covariance)
    return variances[::-1][:most], directions[:, ::-1][:, :most].T.astype(np.float32)


def _by_iteration(sample: Floats, most: int) -> tuple[npt.NDArray[np.float64], Floats]:
    """Subspace iteration: multiply directions by the covariance until they settle."""
    count = min(most + _EXTRA_DIRECTIONS, *sample.shape)
    # Rows of the sample span what is looked for, and need no random numbers.
    directions = np.linalg.qr(sample[:count].T)[0]
    for _ in range(_ITERATIONS):
        directions = np.linalg.qr(sample.T @ (sample @ directions))[0]
    small = sample @ directions
    covariance = (small.T @ small).astype(np.float64) / len(sample)
    variances, rotation = np.linalg.eigh(covariance)
    basis = (directions @ rotation[:, ::-1].astype(np.float32))[:, :most].T
    return variances[::-1][:most], basis


def _float_projection(
    mean: Floats, basis: Floats, outputs: int, contracting: bool
) -> native.Projection:
    matrix = np.zeros((len(mean), outputs), np.float32)
    matrix[:, : len(basis)] = basis.T * _shrinkage(basis, contracting)
    return native.Projection.of_floats(mean, matrix)


def _byte_projection(
    mean: Floats, basis: Floats, outputs: int, contracting: bool
) -> native.Projection:
    width, kept = len(mean), len(basis)
    whole = np.zeros((outputs, -(-width // 4) * 4), np.int8)
    scales, offsets = np.zeros(outputs, np.float32), np.zeros(outputs, np.float32)
    scales[:kept] = np.abs(basis).max(axis=1) / _LARGEST_BYTE
    whole[:kept, :width] = np.rint(basis / scales[:kept, None])
    scales *= _shrinkage(whole[:kept] * scales[:kept, None], contracting)
    # Of the rounded directions, so that the mean itself is projected to zero.
    offsets[:kept] = scales[:kept] * (whole[:kept, :width].astype(np.float64) @ mean)
    groups = whole.reshape(outputs, -1, 4).transpose(1, 0, 2)
    return native.Projection.of_bytes(mean, np.ascontiguousarray(groups), scales, offsets)


def _shrinkage(matrix: Floats, contracting: bool) -> float:
    """What makes the largest stretch of the matrix a little less than 1."""
    if not contracting:
        return 1.0
    stretch = float(np.linalg.norm(matrix.astype(np.float64), 2))
    return (1.0 - 1e-5) / max(1.0, stretch)
