"""The metrics: what each distance is, in which unit, on which arrays."""

from __future__ import annotations

from dataclasses import dataclass

from lookalike.errors import InvalidInput, NotSupported
from lookalike.native import Measure

__all__ = ["METRICS", "Metric", "metric_named"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A distance between two items.

    Attributes
    ----------
    name : str
        As the user writes it.
    definition : str
        The formula.
    unit : str
        What a distance of 1 means.
    measure : Measure
        The kernel that computes it.
    row_alignment : int
        Stored rows are padded with zeros to a multiple of this many bytes.
    """

    name: str
    definition: str
    unit: str
    measure: Measure
    row_alignment: int


METRICS = {
    "l1": Metric(
        name="l1",
        definition="sum of |x_j - y_j|",
        unit="grey levels",
        measure=Measure.absolute_differences,
        row_alignment=16,
    ),
    "hamming": Metric(
        name="hamming",
        definition="number of bits that differ",
        unit="bits",
        measure=Measure.differing_bits,
        row_alignment=8,
    ),
}

_PLANNED = ("l2", "cosine")


def metric_named(name: str) -> Metric:
    """Return the metric of that name.

    Raises
    ------
    NotSupported
        For a metric that is planned and not there yet.
    InvalidInput
        For any other name.
    """
    metric = METRICS.get(name) if isinstance(name, str) else None
    if metric is not None:
        return metric
    works = " or ".join(repr(known) for known in METRICS)
    if name in _PLANNED:
        raise NotSupported(
            f"metric must be {works} in this version; got {name!r}, which is planned. For pixel "
            "images use 'l1', for packed bits 'hamming'."
        )
    raise InvalidInput(f"metric must be {works}; got {name!r}. Choose one of those.")
