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

from lookalike.errors import InvalidInput
from lookalike.hashing.family import HashFamily
from lookalike.hashing.probing import Alternatives
from lookalike.hashing.projected import ProjectedFunctions
from lookalike.seeds import Purpose, normals

__all__ = ["CrossPolytope", "CrossPolytopeFunctions"]

_MOST_AXES = 32
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


class CrossPolytopeFunctions(ProjectedFunctions):
    """Drawn axes.

    Parameters
    ----------
    axes : ndarray of float32, shape (tables, bits, axes, dimension)

    Notes
    -----
    Here ``bits`` counts values. A value is twice the number of the axis, and one more where the
    item lies on its negative side. It takes 16 bits of a word, four to a word.
    """

    value_bits = 16

    def _values(self, products: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        return np.asarray(_sides(products).argmax(axis=-1), np.int64)

    def _perturbed(self, products: npt.NDArray[np.float32]) -> Alternatives:
        values = self._values(products).reshape(-1, self.bits)
        sides = _sides(products).reshape(len(values), self.bits, -1).astype(np.float64)
        costs = (sides.max(axis=2, keepdims=True) - sides) ** 2
        np.put_along_axis(costs, values[:, :, None], np.inf, axis=2)  # its own is no alternative
        functions, others = (
            np.broadcast_to(part.reshape(-1), (len(values), self.bits * sides.shape[2]))
            for part in np.indices((self.bits, sides.shape[2]))
        )
        return Alternatives(values, functions, others, costs.reshape(functions.shape))


def _sides(products: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """How far items lie along each side of each axis: shape (tables, n, bits, 2 * axes)."""
    return np.stack([products, -products], axis=-1).reshape(*products.shape[:3], -1)


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
