"""Which planner answers, by what was asked for and what is stored."""

from __future__ import annotations

from lookalike.costs import cells_may_pay
from lookalike.engines.engine import Mask
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
from lookalike.store.named import Arrays, Stored, number_of

__all__ = ["planner_for", "restored_planner"]

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
    if settings.bits is not None:
        return _tables_planner(settings, layout, about, _interval(settings, rows), threads)
    reason = _reason_for_exact(settings, layout, rows)
    if reason is not None:
        return Planner(*about, reason)
    if _looks_up(settings, layout):
        assert layout.width_bits is not None
        return MultiIndexPlanner(*about, layout.width_bits, settings.seed, threads)
    learn = GuaranteedPlanner if settings.promise == "guaranteed" else CellsPlanner.learn
    return learn(*about, settings.seed, threads)


def restored_planner(
    settings: Settings,
    metric: Metric,
    layout: Layout,
    rows: Rows,
    present: Mask | None,
    stored: Stored,
    threads: int,
) -> Planner:
    """The planner that was stored, of the same rows.

    Raises
    ------
    ValueError, TypeError, KeyError, IndexError, OverflowError
        When it cannot be of these rows.
    """
    about = rows, metric, layout.stored_as
    kind = stored.facts["planner"]
    if (kind == "tables") != (settings.bits is not None):
        raise ValueError("hash tables are what bits and tables ask for")
    if kind == "cells":
        if layout.width_bits is not None:
            raise ValueError("packed bits have no cells")
        return CellsPlanner.restored(*about, settings.seed, threads, stored, present)
    if kind == "multi_index":
        if layout.width_bits is None:
            raise ValueError("only packed bits have substrings")
        bits = layout.width_bits
        return MultiIndexPlanner.restored(*about, bits, settings.seed, threads, stored, present)
    # What the others draw follows from the seed.
    if kind == "tables":
        own = stored.facts["interval"]
        if (own is not None) != _has_intervals(settings, rows):
            raise ValueError("an interval must be known where there are lines, and only there")
        interval = None if own is None else number_of(stored.facts, "interval")
        planner: Planner = _tables_planner(
            settings, layout, about, interval, threads, stored.arrays
        )
    elif kind == "prefixes":
        if settings.promise != "guaranteed" or rows.measure == Measure.float_absolutes:
            raise ValueError("prefixes are for a guarantee, and for items with bits to hash")
        planner = GuaranteedPlanner(*about, settings.seed, threads, stored)
    elif kind != "exact":
        raise ValueError(f"there is no planner {kind!r}")
    else:
        reason = _reason_for_exact(settings, layout, rows) or "nothing was learned yet"
        planner = Planner(*about, reason)
    planner._take_up(stored.facts, present)
    return planner


def _looks_up(settings: Settings, layout: Layout) -> bool:
    """Whether these are packed bits, which are searched exactly without comparing all."""
    guaranteed = settings.promise == "guaranteed" and settings.recall != 1.0
    return layout.width_bits is not None and not guaranteed


def _reason_for_exact(settings: Settings, layout: Layout, rows: Rows) -> str | None:
    """Why every item is compared; None if not."""
    guaranteed = settings.promise == "guaranteed"
    if _looks_up(settings, layout):
        few = len(rows) < _FEWEST_LOOKED_UP
        return "with so few items exact search costs least" if few else None
    if settings.recall == 1.0:
        return "recall 1 was asked for"
    if len(rows) < _FEWEST_GUARANTEED if guaranteed else not cells_may_pay(rows):
        return "with so few items exact search costs least"
    if guaranteed and rows.measure == Measure.float_absolutes:
        return "float32 under l1 has no single bits to hash"
    return None


def _interval(settings: Settings, rows: Rows) -> float | None:
    """How long intervals of lines are; None for hash functions that have none."""
    if not _has_intervals(settings, rows):
        return None
    return settings.bucket_width or _INTERVAL * typical_distance(rows, settings.seed) or 1.0


def _has_intervals(settings: Settings, rows: Rows) -> bool:
    """Whether hash functions are intervals of lines."""
    return settings.hashes_lines or (settings.metric == "l1" and rows.are_floats)


def _tables_planner(
    settings: Settings,
    layout: Layout,
    about: tuple[Rows, Metric, str],
    interval: float | None,
    threads: int,
    stored: Arrays | None = None,
) -> TablesPlanner:
    """Hash tables as they were asked for."""
    assert settings.bits is not None
    assert settings.tables is not None
    family = _family(settings, layout, interval)
    functions = family.draw(settings.seed, tables=settings.tables, bits=settings.bits)
    return TablesPlanner(*about, functions, settings.probes, threads, interval, stored)


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
