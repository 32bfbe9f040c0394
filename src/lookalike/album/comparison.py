"""Why two pictures match, or why a search for the one does not find the other."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from lookalike.album.matches import path_dict, why
from lookalike.index import Index
from lookalike.pictures.encoders import Encoder

__all__ = ["Comparison", "Judgement", "judged"]

Vector = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one encoder says of two pictures.

    Attributes
    ----------
    encoder : str
    distance : float or None
        None when it sees too little in one of them.
    near, similar : float
        The distances up to which it calls pictures near-duplicates, and similar.
    says : str
        "near", "similar", "different", or "sees too little".
    why : str
        In words.
    miss : str
        The chance that a search does not find one of them for the other although it should.
    """

    encoder: str
    distance: float | None
    near: float
    similar: float
    says: str
    why: str
    miss: str

    def __str__(self) -> str:
        return (
            f"{self.encoder:<10} {self.says:<15} {self.why} (near up to {self.near:g}, similar up "
            f"to {self.similar:g}); {self.miss}"
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is known of two pictures.

    Attributes
    ----------
    one, other : str
        Their paths.
    same_bytes : bool
    judgements : tuple of Judgement
        Of each encoder.
    decided : str or None
        What was decided about them: "apart" or "kept".
    """

    one: str
    other: str
    same_bytes: bool
    judgements: tuple[Judgement, ...]
    decided: str | None

    @property
    def level(self) -> str:
        """The strictest level of ``duplicates`` that joins them, if nothing was decided."""
        if self.same_bytes:
            return "exact"
        said = {judgement.says for judgement in self.judgements}
        return next((level for level in ("near", "similar") if level in said), "different")

    def __str__(self) -> str:
        lines = [f"{self.one}", f"{self.other}", f"  together they are: {self.level}"]
        if self.same_bytes:
            lines.append("  bytes      equal")
        lines += [f"  {judgement}" for judgement in self.judgements]
        if self.decided is not None:
            lines.append(f"  decided    {_DECIDED[self.decided]}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """As ``lookalike explain --json`` prints it."""
        return {
            "one": path_dict(os.fsencode(self.one)),
            "other": path_dict(os.fsencode(self.other)),
            "level": self.level,
            "same_bytes": self.same_bytes,
            "decided": self.decided,
            "encoders": [
                {name: getattr(own, name) for name in Judgement.__dataclass_fields__}
                for own in self.judgements
            ],
        }


_DECIDED = {
    "apart": "these are no duplicates, whatever encoders say",
    "kept": "both are to stay; they are shown again when a new one joins them",
}


def judged(
    name: str,
    encoder: Encoder,
    index: Index,
    one: Vector | None,
    other: Vector | None,
    near: float,
    similar: float,
) -> Judgement:
    """What an encoder says of two vectors; None where it sees too little."""
    if one is None or other is None:
        return Judgement(
            name,
            None,
            near,
            similar,
            "sees too little",
            "one of them has too little detail to be told apart",
            "it is never found by this encoder",
        )
    distance = _distance(encoder, one, other)
    says = "near" if distance <= near else "similar" if distance <= similar else "different"
    return Judgement(name, distance, near, similar, says, why(encoder, distance), _miss(index))


def _distance(encoder: Encoder, one: Vector, other: Vector) -> float:
    pair = Index(
        encoder.metric,
        recall=1,
        width_bits=encoder.dimension if encoder.metric == "hamming" else None,
    )
    pair.add(one[None])
    return float(pair.search(other, k=1).distances[0])


def _miss(index: Index) -> str:
    """The chance of a miss, by the plan of the index."""
    if not len(index):
        return "nothing is in its index"
    if index.plan.engine != "cells":
        return "searches are exact: no chance of a miss"
    return f"a search misses it with a chance of {1 - (index.recall or 1):.2g} at the most"
