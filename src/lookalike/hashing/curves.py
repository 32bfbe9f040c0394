"""What k bits and m tables do: the S-curve, expected candidates, and how to choose.

Throughout, ``probability`` is the chance p that one hash function gives two items the same
bit (see ``HashFamily.collision_probability``). All chances are over the draw of the hash
functions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lookalike.errors import InvalidInput

__all__ = ["TableChoice", "choose_tables", "expected_candidates", "s_curve", "tables_needed"]


def s_curve(probability: npt.ArrayLike, bits: int, tables: int) -> npt.NDArray[np.float64]:
    """Chance that two items share a bucket in at least one table.

    Parameters
    ----------
    probability : float or array of float
        Chance p that one bit agrees, in [0, 1].
    bits, tables : int
        k and m.

    Returns
    -------
    ndarray of float64, shape of ``probability``
        ``1 - (1 - p**k)**m``.

    Examples
    --------
    >>> round(float(s_curve(0.9, bits=20, tables=5)), 3)
    0.477
    """
    same_code = np.asarray(probability, np.float64) ** bits
    # expm1 and log1p keep the digits where the chance of one table is tiny.
    with np.errstate(divide="ignore"):
        return np.asarray(-np.expm1(tables * np.log1p(-same_code)))


def expected_candidates(probabilities: npt.ArrayLike, bits: int, tables: int) -> float:
    """Mean number of candidates of a query: f(k, m).

    Parameters
    ----------
    probabilities : array of float, shape (n,)
        For each stored item, the chance that one bit of it and of the query agrees.
    bits, tables : int
        k and m.

    Returns
    -------
    float
        The sum of :func:`s_curve` over the items: a mean over draws of all hash functions.
        One draw scatters around it, and all queries of an index share that draw.
    """
    return float(s_curve(probabilities, bits, tables).sum())


def tables_needed(probability: float, bits: int, recall: float) -> int | None:
    """Fewest tables with which a pair is found with at least the wanted chance.

    Returns
    -------
    int or None
        The smallest m with ``1 - (1 - p**k)**m >= recall``; None when no number suffices
        (p is 0), or more than 2**31 would be needed.
    """
    same_code = probability**bits
    if same_code >= 1.0:
        return 1
    if same_code <= 0.0:
        return None
    tables = math.log1p(-recall) / math.log1p(-same_code)
    if tables > 2**31:
        return None
    needed = max(1, math.floor(tables))
    while s_curve(probability, bits, needed) < recall:  # rounding, at most a step or two
        needed += 1
    return needed


@dataclass(frozen=True, slots=True)
class TableChoice:
    """A choice of k and m.

    Attributes
    ----------
    bits, tables : int
        k and m.
    recall : float
        Chance that an item at the wanted distance is found, at least what was asked.
    candidates : float
        Expected number of candidates of a query.
    """

    bits: int
    tables: int
    recall: float
    candidates: float


def choose_tables(
    probability: float,
    recall: float,
    background: npt.ArrayLike,
    *,
    most_tables: int = 256,
    bits: Iterable[int] = range(1, 129),
) -> TableChoice:
    """Choose k and m for a wanted recall at a wanted distance.

    Parameters
    ----------
    probability : float
        Chance that one bit agrees at the wanted distance, in (0, 1].
    recall : float
        Wanted chance that an item at that distance is a candidate, in (0, 1).
    background : array of float, shape (n,)
        Chances that one bit agrees, for the items of the index and a typical query.
    most_tables : int
        Upper limit on m: memory grows with it.
    bits : iterable of int
        The k to consider.

    Returns
    -------
    TableChoice
        The one with the least work: k * m bits to test plus expected candidates, each
        counted as 8 bit tests.

    Raises
    ------
    InvalidInput
        When the arguments are out of range, or no k and m within the limits suffice.
    """
    if not 0.0 < probability <= 1.0 or not 0.0 < recall < 1.0:
        raise InvalidInput(
            "choose_tables needs a probability in (0, 1] and a recall in (0, 1); got "
            f"{probability!r} and {recall!r}. For recall 1 use exact search."
        )
    best: TableChoice | None = None
    for k in bits:
        m = tables_needed(probability, k, recall)
        if m is None or m > most_tables:
            continue
        reached = float(s_curve(probability, k, m))
        choice = TableChoice(k, m, reached, expected_candidates(background, k, m))
        if best is None or _work(choice) < _work(best):
            best = choice
    if best is None:
        raise InvalidInput(
            f"no k with at most {most_tables} tables reaches recall {recall} where one bit agrees "
            f"with chance {probability}; got none among those considered. Allow more tables, or "
            "ask for less recall or a smaller distance."
        )
    return best


def _work(choice: TableChoice) -> float:
    return choice.bits * choice.tables + 8.0 * choice.candidates
