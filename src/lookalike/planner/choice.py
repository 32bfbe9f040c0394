"""Which planner answers, by what was asked for and what is stored."""

from __future__ import annotations

from lookalike.costs import cells_may_pay
from lookalike.engines.rows import Rows
from lookalike.hashing.bit_sampling import BitSampling
from lookalike.hashing.cross_polytope import CrossPolytope
from lookalike.hashing.family import HashFamily
from lookalike.hashing.hyperplane import Hyperplane
from lookalike.hashing.p_stable import PStable
from lookalike.layout import Layout
from lookalike.metrics import Metric
from lookalike.native import Measure
from lookalike.planner.cells import CellsPlanner
from lookalike.planner.multi_index import MultiIndexPlanner
from lookalike.planner.planner import Planner
from lookalike.planner.prefixes import GuaranteedPlanner
from lookalike.planner.tables import TablesPlanner
from lookalike.recall import typical_distance
from lookalike.settings import Settings

__all__ = ["planner_for"]

_INTERVAL = 4.0  # length of an interval, in typical distances of near neighbours
_FEWEST_LOOKED_UP = 4096  # packed bits: fewer are compared in some ten microseconds
_FEWEST_GUARANTEED = 4096  # members that are worth prefix tables


def planner_for(
    settings: Settings, metric: Metric, layout: Layout, rows: Rows, threads: int
) -> Planner:
    """Plan, learn and build for these rows.

    Parameters
    ----------
    settings : Settings
    metric : Metric
        Of the settings.
    layout : Layout
        Of the rows.
    rows : Rows
        Those of the members, and at least one.
    threads : int
    """
    about = rows, metric, layout.stored_as
    if settings.bits is not None and settings.tables is not None:
        width = _interval(settings, rows)
        family = _family(settings, layout, width)
        functions = family.draw(settings.seed, tables=settings.tables, bits=settings.bits)
        return TablesPlanner(*about, functions, settings.probes, threads, width)
    guaranteed = settings.promise == "guaranteed"
    if layout.width_bits is not None and not (guaranteed and settings.recall != 1.0):
        if len(rows) < _FEWEST_LOOKED_UP:
            return Planner(*about, "with so few items exact search costs least")
        return MultiIndexPlanner(*about, layout.width_bits, settings.seed, threads)
    if settings.recall == 1.0:
        return Planner(*about, "recall 1 was asked for")
    reason = _reason_for_exact(rows, guaranteed)
    if reason is not None:
        return Planner(*about, reason)
    planner = GuaranteedPlanner if guaranteed else CellsPlanner
    return planner(*about, settings.seed, threads)


def _reason_for_exact(rows: Rows, guaranteed: bool) -> str | None:
    """Why exact search answers although a recall below 1 was asked for; None if it does not."""
    if len(rows) < _FEWEST_GUARANTEED if guaranteed else not cells_may_pay(rows):
        return "with so few items exact search costs least"
    if guaranteed and rows.measure == Measure.float_absolutes:
        return "float32 under l1 has no single bits to hash"
    return None


def _interval(settings: Settings, rows: Rows) -> float | None:
    """How long intervals of lines are; None for hash functions that have none."""
    if not settings.hashes_lines and not (settings.metric == "l1" and rows.are_floats):
        return None
    return settings.bucket_width or _INTERVAL * typical_distance(rows, settings.seed) or 1.0


def _family(settings: Settings, layout: Layout, interval: float | None) -> HashFamily:
    """The hash functions of classic LSH."""
    if interval is not None:
        return PStable(layout.width, interval, settings.metric)
    if settings.metric == "cosine":
        crosses = settings.family == "cross_polytope"
        return CrossPolytope(layout.width) if crosses else Hyperplane(layout.width)
    if layout.width_bits is None:
        return BitSampling(layout.width, layout.value_range)
    return BitSampling(layout.width_bits)
