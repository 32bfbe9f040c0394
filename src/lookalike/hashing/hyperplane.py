"""Hyperplanes: each bit of a code says on which side of a random plane an item lies.

The planes go through the origin, so an item's length does not matter: this is the family for the
cosine distance. Two items are separated by a plane whose normal vector points anywhere with equal
chance exactly when it cuts the angle between them.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from lookalike.errors import InvalidInput
from lookalike.hashing.family import HashFamily, bit_alternatives
from lookalike.hashing.probing import Alternatives
from lookalike.hashing.projected import ProjectedFunctions
from lookalike.seeds import Purpose, normals

__all__ = ["Hyperplane", "HyperplaneFunctions"]


class Hyperplane(HashFamily):
    """The family for the cosine distance.

    Parameters
    ----------
    dimension : int
        Values in an item.

    Notes
    -----
    P[one bit agrees] is ``1 - angle / pi``, where ``angle = arccos(1 - distance)``. Charikar,
    "Similarity estimation techniques from rounding algorithms", STOC 2002.

    Examples
    --------
    >>> Hyperplane(dimension=64).collision_probability(1.0)  # a right angle
    0.5
    """

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension

    def draw(self, seed: int, *, tables: int, bits: int) -> HyperplaneFunctions:
        """Draw normal vectors of planes; the values of each are independent and normal."""
        planes = np.stack(
            [
                normals(bits * self.dimension, seed=seed, purpose=Purpose.HYPERPLANES, stream=table)
                for table in range(tables)
            ]
        )
        return HyperplaneFunctions(planes.reshape(tables, bits, self.dimension))

    def collision_probability(self, distance: float) -> float:
        """Chance that two items lie on the same side of one random plane.

        Parameters
        ----------
        distance : float
            Cosine distance, in [0, 2], ends included.

        Returns
        -------
        float
            ``1 - arccos(1 - distance) / pi``. The chance is over the draw of the plane.

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
        return 1.0 - math.acos(1.0 - distance) / math.pi


class HyperplaneFunctions(ProjectedFunctions):
    """Drawn planes.

    Parameters
    ----------
    planes : ndarray of float32, shape (tables, bits, dimension)
        The normal vector of each.

    Notes
    -----
    An item that lies in a plane counts as above it. Lengths do not matter as long as the products
    fit float32, which the checks of an index see to.
    """

    def __init__(self, planes: npt.NDArray[np.float32]) -> None:
        super().__init__(planes[:, :, None])
        squares = np.einsum("tbd,tbd->tb", planes, planes, dtype=np.float64)
        self._lengths = np.sqrt(squares)  # of the normal vectors

    def _values(self, products: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        return (products[..., 0] >= 0).astype(np.int64)

    def _perturbed(self, products: npt.NDArray[np.float32]) -> Alternatives:
        heights = products[..., 0].astype(np.float64) / self._lengths[:, None]
        return bit_alternatives(self._values(products), heights**2)
