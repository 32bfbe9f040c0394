"""Multi-probe: which buckets beside its own an item's near neighbours are likely to be in.

An item that lies close to the boundary of its bucket has neighbours on the other side. A
*perturbation* changes some of the values that make a code, each at a cost: the square of the
item's distance from the boundary that it crosses. Buckets are probed in the order of their total
costs.

Lv, Josephson, Wang, Charikar and Li, "Multi-probe LSH: efficient indexing for high-dimensional
similarity search", VLDB 2007.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Alternatives", "probed_values"]

_TOGETHER = 1 << 22  # members of perturbations in memory at once


@dataclass(frozen=True, slots=True, eq=False)
class Alternatives:
    """What the values of codes may become, for m codes of some functions.

    Attributes
    ----------
    values : ndarray of int64, shape (m, functions)
        The codes' own values.
    functions : ndarray of int64, shape (m, alternatives)
        Which value each alternative takes the place of.
    others : ndarray of int64, shape (m, alternatives)
        By what.
    costs : ndarray of float64, shape (m, alternatives)
        At least 0.
    """

    values: npt.NDArray[np.int64]
    functions: npt.NDArray[np.int64]
    others: npt.NDArray[np.int64]
    costs: npt.NDArray[np.float64]


def probed_values(alternatives: Alternatives, count: int) -> npt.NDArray[np.int64]:
    """The values of the cheapest codes, each code's own first.

    Parameters
    ----------
    alternatives : Alternatives
        Of m codes.
    count : int
        How many codes for each. Where there are not so many, the first fill up.

    Returns
    -------
    ndarray of int64, shape (m, count, functions)
        By ascending cost; equal costs in the same order on every machine.
    """
    codes, functions = alternatives.values.shape
    kept = min(count, alternatives.costs.shape[1])
    probed = np.empty((codes, count, functions), np.int64)
    together = max(1, _TOGETHER // (2 * count * max(kept, functions)))
    for first in range(0, codes, together):
        part = slice(first, first + together)
        probed[part] = _probed(alternatives, part, count, kept)
    return probed


def _probed(
    alternatives: Alternatives, part: slice, count: int, kept: int
) -> npt.NDArray[np.int64]:
    # No perturbation among the cheapest uses an alternative that is not: each of those before it
    # would be cheaper alone.
    order = np.argsort(alternatives.costs[part], axis=1, kind="stable")[:, :kept]
    costs = np.take_along_axis(alternatives.costs[part], order, axis=1)
    functions = np.take_along_axis(alternatives.functions[part], order, axis=1)
    others = np.take_along_axis(alternatives.others[part], order, axis=1)
    values = np.repeat(alternatives.values[part][:, None], count, axis=1)
    for probe, chosen in enumerate(_cheapest(costs, functions, count - 1), start=1):
        code, place = np.nonzero(chosen)
        values[code, probe, functions[code, place]] = others[code, place]
    return values


def _cheapest(
    costs: npt.NDArray[np.float64], functions: npt.NDArray[np.int64], count: int
) -> npt.NDArray[np.bool_]:
    """Sets of alternatives by ascending cost: shape (count, m, alternatives).

    Alternatives are sorted by cost. From each set that was cheapest come two that cost no less: its
    last alternative is replaced by the next, or the next is added. So every set comes up once,
    and never before one that is cheaper. All codes take their steps at the same time. Sets with
    two alternatives of one function are no codes and are left out.
    """
    codes, kept = costs.shape
    found = np.zeros((count, codes, kept), np.bool_)
    reached = np.zeros(codes, np.int64)
    waiting = _Waiting(costs)
    every = np.arange(codes)
    while count and kept and (reached < count).any():
        best, total = waiting.cheapest()
        if not np.isfinite(total).any():
            break  # there are no more
        sets = waiting.sets[every, best]
        fits = np.isfinite(total) & (reached < count) & _are_codes(sets, functions)
        found[reached[fits], fits.nonzero()[0]] = sets[fits]
        reached += fits
        waiting.follow(best)
    return found


def _are_codes(
    sets: npt.NDArray[np.bool_], functions: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Whether no function has two alternatives in a set."""
    named = np.where(sets, functions, -1 - np.arange(sets.shape[1]))
    named.sort(axis=1)
    return np.asarray((named[:, 1:] != named[:, :-1]).all(axis=1))


class _Waiting:
    """Sets that may be the next cheapest, for each code."""

    def __init__(self, costs: npt.NDArray[np.float64]) -> None:
        codes, kept = costs.shape
        self._costs = costs
        self.sets = np.zeros((codes, min(kept, 1), kept), np.bool_)
        self.sets[:, :1, :1] = True
        self._last = np.zeros((codes, min(kept, 1)), np.int64)
        self._totals = costs[:, :1].copy()

    def cheapest(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Which set is next for each code, and its cost: infinity for none."""
        best = self._totals.argmin(axis=1)
        return best, np.take_along_axis(self._totals, best[:, None], axis=1)[:, 0]

    def follow(self, best: npt.NDArray[np.int64]) -> None:
        """Put the two sets that follow each of these in its place and at the end."""
        codes, kept = self._costs.shape
        every = np.arange(codes)
        sets, last = self.sets[every, best], self._last[every, best]
        total, following = self._totals[every, best], np.minimum(last + 1, kept - 1)
        more = np.where(last + 1 < kept, self._costs[every, following], np.inf)
        added = sets.copy()
        added[every, following] = True
        replaced = added.copy()
        replaced[every, last] = last + 1 >= kept
        self.sets[every, best] = replaced
        self._last[every, best] = following
        self._totals[every, best] = np.where(
            np.isfinite(total), total - self._costs[every, last] + more, np.inf
        )
        self.sets = np.concatenate([self.sets, added[:, None]], axis=1)
        self._last = np.concatenate([self._last, following[:, None]], axis=1)
        self._totals = np.concatenate([self._totals, (total + more)[:, None]], axis=1)
