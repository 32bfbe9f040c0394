"""Random lines cut into intervals: the families for the l2 and the l1 distance of any numbers.

An item is projected to a random line, and its value is the number of the interval it falls in. The
normal distribution is *2-stable*: the difference of two projections to a line of normal numbers is
normal, with the l2 distance of the items as its deviation. The Cauchy distribution is 1-stable:
the same with the l1 distance as its scale.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike.errors import InvalidInput
from lookalike.hashing.family import HashFamily
from lookalike.hashing.probing import Alternatives
from lookalike.hashing.projected import ProjectedFunctions
from lookalike.seeds import Purpose, integers_below, normals

__all__ = ["PStable", "PStableFunctions"]

_DEVIATION = math.sqrt(64 + 1 / 12)  # of what ``normals`` draws
_SHIFTS = 1 << 24  # steps of a shift: all of them are float32
_FURTHEST = 2.0**31 - 128  # the largest float32 that is an int32


class PStable(HashFamily):
    """The family for the l2 or the l1 distance.

    Parameters
    ----------
    dimension : int
        Values in an item.
    width : float
        Length of an interval, in units of the distance; positive and finite.
    metric : {"l2", "l1"}

    Notes
    -----
    A function is ``floor((a.x + b) / width)``, ``a`` of normal numbers for "l2" and of Cauchy
    numbers for "l1" (each the ratio of two normal ones), and ``b`` uniform in [0, width). Datar,
    Immorlica, Indyk and Mirrokni, "Locality-sensitive hashing scheme based on p-stable
    distributions", SoCG 2004.

    Examples
    --------
    >>> round(PStable(dimension=64, width=4.0).collision_probability(1.0), 3)
    0.801
    """

    def __init__(self, dimension: int, width: float, metric: str = "l2") -> None:
        assert metric in ("l1", "l2")
        if not 0.0 < width < math.inf:
            raise InvalidInput(
                f"width must be a positive finite number; got {width!r}. "
                "Take a few times the distance of near neighbours."
            )
        self.dimension = dimension
        self.width = width
        self.metric = metric

    def draw(self, seed: int, *, tables: int, bits: int) -> PStableFunctions:
        """Draw ``bits`` lines and shifts per table."""
        lines, shifts = [], []
        for table in range(tables):
            lines.append(self._line(bits * self.dimension, seed, table))
            shifts.append(
                integers_below(_SHIFTS, bits, seed=seed, purpose=Purpose.SHIFTS, stream=table)
            )
        scaled = (np.stack(lines) / self.width).astype(np.float32)
        return PStableFunctions(
            scaled.reshape(tables, bits, self.dimension),
            (np.stack(shifts) / _SHIFTS).astype(np.float32),
        )

    def _line(self, count: int, seed: int, table: int) -> npt.NDArray[np.float64]:
        """The numbers of some lines; the first do not depend on how many."""
        if self.metric == "l2":
            drawn = normals(count, seed=seed, purpose=Purpose.LINES, stream=table)
            return drawn.astype(np.float64) / _DEVIATION
        pairs = normals(2 * count, seed=seed, purpose=Purpose.LINES, stream=table)
        return pairs[::2].astype(np.float64) / pairs[1::2]

    def collision_probability(self, distance: float) -> float:
        """Chance that two items fall in the same interval of one random line.

        Parameters
        ----------
        distance : float
            In the metric, for "l2" not its square; at least 0.

        Returns
        -------
        float
            The chance is over the draw of the line and of its shift.

        Raises
        ------
        InvalidInput
            For a negative distance, and for NaN.
        """
        if not distance >= 0.0:
            raise InvalidInput(
                f"distance must be at least 0; got {distance!r}. It is the distance itself, not "
                "its square."
            )
        if distance == 0.0:
            return 1.0
        ratio = self.width / distance
        if ratio == 0.0:
            return 0.0
        if self.metric == "l1":
            return 2 * math.atan(ratio) / math.pi - math.log1p(ratio * ratio) / (math.pi * ratio)
        lost = math.sqrt(2 / math.pi) / ratio * -math.expm1(-ratio * ratio / 2)
        return math.erf(ratio / math.sqrt(2)) - lost


class PStableFunctions(ProjectedFunctions):
    """Drawn lines.

    Parameters
    ----------
    lines : ndarray of float32, shape (tables, bits, dimension)
        Directions, divided by the width.
    shifts : ndarray of float32, shape (tables, bits)
        In [0, 1], in widths.

    Notes
    -----
    Here ``bits`` counts values. Value j takes 32 bits, as two's complement: the low half of word
    ``j // 2`` when j is even, the high half when it is odd. What lies beyond is in the last
    interval on its side.
    """

    value_bits = 32

    def __init__(self, lines: npt.NDArray[np.float32], shifts: npt.NDArray[np.float32]) -> None:
        super().__init__(lines[:, :, None])
        self._shifts = shifts

    def _values(self, products: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        return _intervals(self._places(products))

    def _places(self, products: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Where items lie on the lines, in widths: shape (tables, n, bits)."""
        return np.asarray(products[..., 0] + self._shifts[:, None], np.float32)

    def _perturbed(self, products: npt.NDArray[np.float32]) -> Alternatives:
        places = self._places(products).reshape(-1, self.bits).astype(np.float64)
        values = _intervals(places)
        above = places - np.floor(places)  # of the lower end of its interval
        functions = np.broadcast_to(np.tile(np.arange(self.bits), 2), (len(values), 2 * self.bits))
        others = np.concatenate([values - 1, values + 1], axis=1)
        costs = np.concatenate([above**2, (1.0 - above) ** 2], axis=1)
        costs[np.abs(others) > _FURTHEST] = np.inf  # there is no interval beyond the last
        return Alternatives(values, functions, others, costs)


def _intervals(places: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.int64]:
    return np.asarray(np.clip(np.floor(places), -_FURTHEST, _FURTHEST), np.int64)
