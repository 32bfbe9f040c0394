"""Cross-polytopes: a value says which of some random axes an item lies along, and on which side.

For the cosine distance. One function tells 2 x axes directions apart where a plane tells two, so
a code of few functions tells as much; near items are separated less often for it.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike import native
from lookalike.errors import InvalidInput
from lookalike.hashing.family import HashFamily, HashFunctions
from lookalike.hashing.probing import Alternatives
from lookalike.seeds import Purpose, normals

__all__ = ["CrossPolytope", "CrossPolytopeFunctions"]

_MOST_AXES = 32
_OUTPUT_MULTIPLE = 16  # numbers that the core projects to together
_TOGETHER = 1 << 20  # projected numbers in memory at once
_VALUES_PER_WORD = 4  # of 16 bits
_FURTHEST = 7.0  # deviations that an integral goes to
_STEPS, _INNER_STEPS = 200, 200


class CrossPolytope(HashFamily):
    """The family of nearest random axes, for the cosine distance.

    Parameters
    ----------
    dimension : int
        Values in an item.
    axes : int, optional
        Of each function: 32 unless given, or as many as values when these are fewer.

    Notes
    -----
    Axes are independent normal vectors, not orthogonal ones, so that the chance of a collision can
    be computed. Andoni, Indyk, Laarhoven, Razenshteyn and Schmidt, "Practical and optimal LSH for
    angular distance", NIPS 2015.

    Examples
    --------
    >>> round(CrossPolytope(dimension=64).collision_probability(1.0), 4)  # a right angle: 1 / 64
    0.0156
    """

    def __init__(self, dimension: int, axes: int | None = None) -> None:
        self.dimension = dimension
        self.axes = min(_MOST_AXES, dimension) if axes is None else axes

    def draw(self, seed: int, *, tables: int, bits: int) -> CrossPolytopeFunctions:
        """Draw ``bits`` functions for each table, of as many axes each."""
        count = bits * self.axes * self.dimension
        drawn = [
            normals(count, seed=seed, purpose=Purpose.AXES, stream=table) for table in range(tables)
        ]
        return CrossPolytopeFunctions(
            np.stack(drawn).reshape(tables, bits, self.axes, self.dimension)
        )

    def collision_probability(self, distance: float) -> float:
        """Chance that two items have the same nearest axis, and lie on the same side.

        Parameters
        ----------
        distance : float
            Cosine distance, in [0, 2], ends included.

        Returns
        -------
        float
            To about 0.001 for three axes or more, by numerical integration. The chance is over the
            draw of the axes.

        Raises
        ------
        InvalidInput
            Outside that range, and for NaN.
        """
        if not 0.0 <= distance <= 2.0:
            raise InvalidInput(
                f"distance must be in [0, 2], the range of the cosine distance; got {distance!r}. "
                "It is 1 - cosine, not an angle."
            )
        return _same_axis(1.0 - distance, self.axes)


class CrossPolytopeFunctions(HashFunctions):
    """Drawn axes.

    Parameters
    ----------
    axes : ndarray of float32, shape (tables, bits, axes, dimension)

    Notes
    -----
    Here ``bits`` counts values. A value is twice the number of the axis, and one more where the
    item lies on its negative side. It takes 16 bits of a word, four to a word.
    """

    def __init__(self, axes: npt.NDArray[np.float32]) -> None:
        tables, bits, self._axes, self._dimension = axes.shape
        super().__init__(tables, bits)
        count = tables * bits * self._axes
        outputs = -(-count // _OUTPUT_MULTIPLE) * _OUTPUT_MULTIPLE
        matrix = np.zeros((self._dimension, outputs), np.float32)
        matrix[:, :count] = axes.reshape(count, self._dimension).T
        # The core adds in one order at every CPU level, so that codes are the same everywhere.
        centre = np.zeros(self._dimension, np.float32)
        self._projection = native.Projection.of_floats(centre, matrix)

    @property
    def words(self) -> int:
        """Words of 64 bits that a code takes: four values in each."""
        return -(-self.bits // _VALUES_PER_WORD)

    def hash(self, items: npt.NDArray[Any], threads: int = 1) -> npt.NDArray[np.uint64]:
        """Hash a batch of numbers, converted to float32; see the notes for the code."""
        flat = np.ascontiguousarray(items, np.float32).reshape(-1, self._dimension)
        codes = np.empty((self.tables, len(flat), self.words), np.uint64)
        together = max(1, _TOGETHER // self._projection.outputs)
        for first in range(0, len(flat), together):
            part = slice(first, first + together)
            codes[:, part] = self._packed(_nearest(self._sides(flat[part], threads)))
        return codes

    def _sides(self, items: npt.NDArray[np.float32], threads: int) -> npt.NDArray[np.float32]:
        """How far items lie along each side of each axis: (tables, n, bits, 2 * axes)."""
        count, outputs = len(items), self._projection.outputs
        along = np.empty((count, outputs), np.float32)
        rest = np.empty(count, np.float32)
        self._projection.apply(items.view(np.uint8), outputs, threads, along, rest)
        own = along[:, : self.tables * self.bits * self._axes]
        own = own.reshape(count, self.tables, self.bits, self._axes).transpose(1, 0, 2, 3)
        sides = np.stack([own, -own], axis=-1)
        return sides.reshape(*sides.shape[:3], 2 * self._axes)

    def _packed(self, values: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
        whole = np.zeros((*values.shape[:2], _VALUES_PER_WORD * self.words), "<u2")
        whole[..., : self.bits] = values
        return whole.view("<u8").astype(np.uint64)

    def _alternatives(self, items: npt.NDArray[Any], threads: int) -> Alternatives:
        flat = np.ascontiguousarray(items, np.float32).reshape(-1, self._dimension)
        sides = self._sides(flat, threads)
        values = _nearest(sides).reshape(-1, self.bits)
        sides = sides.reshape(len(values), self.bits, -1).astype(np.float64)
        costs = (sides.max(axis=2, keepdims=True) - sides) ** 2
        np.put_along_axis(costs, values[:, :, None], np.inf, axis=2)  # its own is no alternative
        functions, others = (
            np.broadcast_to(part.reshape(-1), (len(values), self.bits * sides.shape[2]))
            for part in np.indices((self.bits, sides.shape[2]))
        )
        return Alternatives(values, functions, others, costs.reshape(functions.shape))


def _nearest(sides: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    return np.asarray(sides.argmax(axis=-1), np.int64)


@cache
def _same_axis(cosine: float, axes: int) -> float:
    """Chance that the same of some axes has the largest share of two items, on the same side.

    Shares x and y of one axis are normal, with this correlation. The axis wins when those of all
    others are smaller: ``2 * axes`` times the integral, over x and y above 0, of their density
    times P(|x'| < x and |y'| < y) to the power of ``axes - 1``.
    """
    if cosine >= 1.0:
        return 1.0
    if cosine <= -1.0:
        return 0.0
    rest = math.sqrt(1.0 - cosine * cosine)
    x = (np.arange(_STEPS, dtype=np.float64) + 0.5) * (_FURTHEST / _STEPS)
    z = (np.arange(-_STEPS // 4, _STEPS // 4, dtype=np.float64) + 0.5) * (4 * _FURTHEST / _STEPS)
    y = cosine * x[:, None] + rest * z[None]
    density = np.where(y > 0, _density(x)[:, None] * _density(z)[None], 0.0)
    t = (np.arange(_INNER_STEPS) + 0.5) / _INNER_STEPS  # of the way from -x to x
    smaller = np.zeros(y.shape)
    for part in t:
        at = (2 * part - 1) * x[:, None]
        between = _below((y - cosine * at) / rest) - _below((-y - cosine * at) / rest)
        smaller += _density(at) * between * (2 * x[:, None] / _INNER_STEPS)
    whole = density * np.clip(smaller, 0.0, 1.0) ** (axes - 1)
    area = (_FURTHEST / _STEPS) * (4 * _FURTHEST / _STEPS)
    return float(min(1.0, 2 * axes * whole.sum() * area))


def _density(x: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    return np.asarray(np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi))


_GRID = np.linspace(-9.0, 9.0, 18_001)
_GRID_BELOW = np.array([0.5 * math.erfc(-at / math.sqrt(2)) for at in _GRID.tolist()])


def _below(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The normal distribution function, to 1e-7."""
    return np.asarray(np.interp(x, _GRID, _GRID_BELOW), np.float64)
