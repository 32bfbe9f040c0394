"""Levels: up to which distance pictures are duplicates, in a word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from lookalike.errors import InvalidInput

__all__ = ["LEVELS", "HasThresholds", "thresholds_of"]

LEVELS = ("exact", "near", "similar")


class HasThresholds(Protocol):
    """What is asked of an encoder."""

    @property
    def near(self) -> float:
        """The largest distance of near-duplicates."""

    @property
    def similar(self) -> float:
        """The largest distance of similar pictures."""


Own = Mapping[str, Mapping[str, float]]


def thresholds_of(
    level: str, encoders: Mapping[str, HasThresholds], own: Own | None = None
) -> dict[str, float]:
    """The threshold of each encoder at a level.

    Parameters
    ----------
    level : {"exact", "near", "similar"}
    encoders : mapping of str to encoder
    own : mapping, optional
        Calibrated thresholds: by level, then by encoder.

    Returns
    -------
    dict of str to float
        None for "exact". Whatever was calibrated, "similar" takes in all that "near" does.
    """
    if level not in LEVELS:
        raise InvalidInput(
            f"level must be one of {', '.join(LEVELS)}; got {level!r}. Choose one of those."
        )
    if level == "exact":
        return {}
    own = own or {}
    thresholds = {}
    for name, encoder in encoders.items():
        near = own.get("near", {}).get(name)
        similar = own.get("similar", {}).get(name)
        if near is None:
            near = encoder.near if similar is None else min(encoder.near, similar)
        similar = max(encoder.similar if similar is None else similar, near)
        thresholds[name] = float(near if level == "near" else similar)
    return thresholds
