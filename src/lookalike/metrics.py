"""The metrics: what each distance is, in which unit, on which arrays."""

from __future__ import annotations

from dataclasses import dataclass

from lookalike.errors import InvalidInput
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
    of_bytes : Measure or None
        The kernel for items stored as bytes; None when they are stored as floats.
    of_floats : Measure or None
        The kernel for items stored as float32; None when they must be bytes.
    """

    name: str
    definition: str
    unit: str
    of_bytes: Measure | None
    of_floats: Measure | None


METRICS = {
    "l1": Metric(
        name="l1",
        definition="sum of |x_j - y_j|",
        unit="grey levels",
        of_bytes=Measure.absolute_differences,
        of_floats=Measure.float_absolutes,
    ),
    "l2": Metric(
        name="l2",
        definition="square root of the sum of (x_j - y_j)^2",
        unit="the items' own",
        of_bytes=Measure.squared_differences,
        of_floats=Measure.float_squares,
    ),
    "cosine": Metric(
        name="cosine",
        definition="1 - <x, y> / (|x| |y|)",
        unit="none: 0 for one direction, 1 for a right angle, 2 for opposite ones",
        of_bytes=None,
        of_floats=Measure.float_angles,
    ),
    "hamming": Metric(
        name="hamming",
        definition="number of bits that differ",
        unit="bits",
        of_bytes=Measure.differing_bits,
        of_floats=None,
    ),
}


def metric_named(name: str) -> Metric:
    """Return the metric of that name.

    Raises
    ------
    InvalidInput
        For any other name.
    """
    metric = METRICS.get(name) if isinstance(name, str) else None
    if metric is None:
        works = ", ".join(repr(known) for known in METRICS)
        raise InvalidInput(f"metric must be one of {works}; got {name!r}. Choose one of those.")
    return metric
