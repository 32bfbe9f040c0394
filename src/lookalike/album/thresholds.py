"""Thresholds of the user's own: calibrated by a few pairs of pictures that they have judged.

Each encoder comes with two thresholds that were measured, for near-duplicates and for similar
pictures. :func:`calibrate` moves them as far as the examples ask, and says what to expect.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike.album.catalog import Content
from lookalike.album.levels import LEVELS, HasThresholds, thresholds_of
from lookalike.errors import InvalidInput
from lookalike.index import Index
from lookalike.joins import compared, distances_within
from lookalike.recall import TWO_SIDED, interval

__all__ = [
    "Calibrated",
    "CalibratedEncoder",
    "Example",
    "Share",
    "calibrate",
    "thresholds_of",
]

Distances = npt.NDArray[np.float64]  # one for each example; NaN where an encoder sees too little
Mask = npt.NDArray[np.bool_]

_RANDOM = 500  # pictures whose distances from each other are taken to be those of unlike ones
_FEW = 10  # of which nothing can be said
_DEVIATIONS = 6.0  # below the usual distance of unlike pictures: one pair of 10**9, were it normal
_NORMAL = 1.4826  # standard deviations of a normal distribution in its median absolute one


class Example(NamedTuple):
    """Two pictures that the user has judged.

    Attributes
    ----------
    one, other : Content
    same : bool
        Whether they are duplicates.
    """

    one: Content
    other: Content
    same: bool


@dataclass(frozen=True, slots=True)
class Share:
    """A share that was counted, and what it may be for other pairs like these.

    Attributes
    ----------
    count, of : int
    low, high : float
        Interval of Wilson, 95 %; everything when none was counted.
    """

    count: int
    of: int
    low: float
    high: float

    @classmethod
    def counted(cls, hits: Mask) -> Share:
        """Of answers."""
        low, high = interval(hits.astype(np.float64), 1, TWO_SIDED) if len(hits) else (0.0, 1.0)
        return cls(int(hits.sum()), len(hits), low, high)

    def __str__(self) -> str:
        return f"{self.count} of {self.of} ({self.low:.2f} to {self.high:.2f})"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"count": self.count, "of": self.of, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class CalibratedEncoder:
    """What examples say of one encoder.

    Attributes
    ----------
    name : str
    threshold, default : float
        The threshold now, and the measured one of the encoder.
    is_capped : bool
        Whether examples ask for more than what pictures taken at random leave room for.
    seen : int
        Examples in both of whose pictures it sees enough.
    precision, recall : Share
        Of pairs within the threshold, those that are the same; of pairs that are the same, those
        within. Each example is judged by the threshold that the others give.
    """

    name: str
    threshold: float
    default: float
    is_capped: bool
    seen: int
    precision: Share
    recall: Share

    def __str__(self) -> str:
        ends = "; the examples ask for more, where pictures at random would match"
        return (
            f"{self.name:<10} {self.threshold:.4g} (measured: {self.default:.4g}"
            f"{ends if self.is_capped else ''}): precision "
            f"{self.precision}, recall {self.recall}"
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "encoder": self.name,
            "threshold": self.threshold,
            "default": self.default,
            "is_capped": self.is_capped,
            "seen": self.seen,
            "precision": self.precision.to_dict(),
            "recall": self.recall.to_dict(),
        }


@dataclass(frozen=True, slots=True)
class Calibrated:
    """Thresholds from examples, and what can be expected of them.

    Attributes
    ----------
    level : str
        The level that they are for.
    encoders : tuple of CalibratedEncoder
    precision, recall : Share
        Of all encoders together: a pair counts when any says so.
    """

    level: str
    encoders: tuple[CalibratedEncoder, ...]
    precision: Share
    recall: Share

    @property
    def thresholds(self) -> dict[str, float]:
        """By encoder, as :func:`thresholds_of` takes them for the level."""
        return {own.name: own.threshold for own in self.encoders}

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "level": self.level,
            "encoders": [own.to_dict() for own in self.encoders],
            "precision": self.precision.to_dict(),
            "recall": self.recall.to_dict(),
        }

    def __str__(self) -> str:
        return "\n".join(
            [
                f"thresholds for {self.level!r}, from {self.recall.of} pairs that are the same:",
                *(f"  {own}" for own in self.encoders),
                f"  together   precision {self.precision}, recall {self.recall}",
                "Expected for pairs like these, in intervals of 95 %. An album has many more pairs "
                "that differ.",
            ]
        )


def calibrate(
    indexes: Mapping[str, Index],
    encoders: Mapping[str, HasThresholds],
    examples: Sequence[Example],
    *,
    level: str = "near",
) -> Calibrated:
    """Choose thresholds by pairs that the user has judged.

    The threshold of an encoder is moved no farther than the examples ask. It stays where no other
    has a better balanced accuracy: the mean of the share of pairs that are the same and lie within,
    and of those that are not and lie beyond. Otherwise it goes to the nearest that has the best: to
    the middle between two distances of examples.

    Parameters
    ----------
    indexes : mapping of str to Index
        By the name of the encoder.
    encoders : mapping of str to encoder
        By the same names.
    examples : sequence of (Content, Content, bool)
        Two contents, and whether they are the same to the user.
    level : {"near", "similar"}

    Returns
    -------
    Calibrated
        ``print`` it for the precision and recall to be expected.

    Raises
    ------
    InvalidInput
        Without examples, or when one has the same bytes twice, which says nothing.

    Notes
    -----
    A threshold that examples ask for may let in pictures that have nothing in common: of a million,
    there are 5e11 pairs. So none is set above that of the encoder, but where the distances of 500
    pictures from each other leave room: six standard deviations below their median, the deviation
    taken from the median absolute one, which duplicates among them do not move.
    """
    same = _checked(examples, level)
    chosen, within_any = [], np.zeros(len(examples), np.bool_)
    for name, encoder in encoders.items():
        index, default = indexes[name], thresholds_of(level, {name: encoder})[name]
        is_whole = index.metric == "hamming"
        chooser = _Chooser(default, _ceiling(index, default), is_whole)
        unbound = _Chooser(default, math.inf, is_whole)
        distances = np.array([_distance(index, own.one, own.other) for own in examples])
        within = chooser.judged_by_others(distances, same)
        within_any |= within
        chosen.append(
            CalibratedEncoder(
                name,
                chooser.choose(distances, same),
                default,
                unbound.choose(distances, same) > chooser.ceiling,
                int(np.isfinite(distances).sum()),
                Share.counted(same[within]),
                Share.counted(within[same]),
            )
        )
    return Calibrated(
        level, tuple(chosen), Share.counted(same[within_any]), Share.counted(within_any[same])
    )


def _checked(examples: Sequence[Example], level: str) -> Mask:
    """Which examples are the same."""
    if level not in LEVELS[1:]:
        raise InvalidInput(
            f"level must be 'near' or 'similar' to be calibrated; got {level!r}. 'exact' has no "
            "threshold."
        )
    if not examples:
        raise InvalidInput(
            "calibrate must be given pairs that you have judged; got none. Some that are the same "
            "and some that are not will do."
        )
    for one, other, _ in examples:
        if one.digest == other.digest:
            raise InvalidInput(
                "the two pictures of an example must differ in their bytes; got one content twice, "
                f"with digest {one.digest}. Leave it out: it says nothing about encoders."
            )
    return np.array([bool(same) for _, _, same in examples])


def _distance(index: Index, one: Content, other: Content) -> float:
    """NaN where the encoder sees too little in one."""
    if one.id not in index or other.id not in index:
        return math.nan
    (distances,) = distances_within(index, [np.array([one.id, other.id])])
    return float(distances[0, 1])


def _ceiling(index: Index, default: float) -> float:
    """Beyond which pictures taken at random begin to match."""
    ids = np.sort(index.ids)
    if len(ids) < _FEW:
        return default
    (distances,) = distances_within(index, [ids[compared(len(ids), 0, _RANDOM)]])
    unlike = distances[np.triu_indices(len(distances), 1)]
    usual = float(np.median(unlike))
    deviation = _NORMAL * float(np.median(np.abs(unlike - usual)))
    return max(default, usual - _DEVIATIONS * deviation)


@dataclass(frozen=True, slots=True)
class _Chooser:
    """Chooses the threshold of one encoder."""

    default: float
    ceiling: float
    is_whole: bool

    def choose(self, distances: Distances, same: Mask) -> float:
        """The threshold with the best balanced accuracy that is nearest to the default."""
        return max(
            self._possible(distances),
            key=lambda own: (_accuracy(distances <= own, same), -abs(own - self.default), -own),
        )

    def _possible(self, distances: Distances) -> list[float]:
        """The default, and up to the ceiling a threshold for each way of cutting the examples."""
        seen = np.unique(distances[np.isfinite(distances)])
        middles = (np.concatenate([[0.0], seen[:-1]]) + seen) / 2
        own = [*(np.floor(middles) if self.is_whole else middles).tolist(), *seen[-1:].tolist()]
        return [self.default, *(min(one, self.ceiling) for one in own)]

    def judged_by_others(self, distances: Distances, same: Mask) -> Mask:
        """Whether each example lies within the threshold that all others give."""
        others = ~np.eye(len(same), dtype=np.bool_)
        return np.array(
            [
                bool(distances[i] <= self.choose(distances[others[i]], same[others[i]]))
                for i in range(len(same))
            ]
        )


def _accuracy(within: Mask, same: Mask) -> float:
    """Balanced accuracy; of one class alone where there is one."""
    rates = [float(own.mean()) for own in (within[same], ~within[~same]) if len(own)]
    return sum(rates) / len(rates) if rates else 0.0
