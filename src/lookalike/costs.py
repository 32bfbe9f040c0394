"""The cost model: what a search takes, in bytes read and operations done.

The planner chooses by these costs and never reads a clock, so that a plan does not depend on the
machine or on what else it is doing. The constants are nanoseconds of a core that reads 25 GB/s in
a stream and multiplies 64 bytes at once. They need not be right for the processor at hand, only
in proportion.
"""

from __future__ import annotations

from lookalike.engines.multi_index import LookupCosts
from lookalike.engines.rows import Rows
from lookalike.engines.sketch import cells_for

__all__ = ["cells_cost_ns", "cells_may_pay", "exact_cost_ns", "lookup_costs"]

_PER_BYTE_STREAMED = 0.04
_PER_PRODUCT, _PER_FLOAT_PRODUCT = 0.009, 0.02  # of the projection
_PER_SKETCH_BYTE = 0.018
_PER_PROBE = 40.0
_PER_CANDIDATE = 35.0
_PER_CANDIDATE_BYTE = 0.05
_PER_SEARCH = 1500.0
_PER_BUCKET, _PER_MET_ROW = 6.0, 8.0  # of packed bits: both read memory at random
_PER_EXACT_SEARCH = 500.0

_FEWEST_ROWS = 2048  # of cells: with fewer, most of a cell's blocks would be padding
_GUESSED_PROBES, _GUESSED_CANDIDATES = 0.02, 40  # for a first look: share of cells, and rows
_GUESSED_DIMENSIONS = 96


def exact_cost_ns(rows: Rows) -> float:
    """Cost of comparing with every row."""
    return _PER_BYTE_STREAMED * float(rows.array.nbytes) + _PER_EXACT_SEARCH


def lookup_costs(rows: Rows) -> LookupCosts:
    """Costs of searching packed bits with substrings."""
    return LookupCosts(exact_cost_ns(rows), _PER_BUCKET, _PER_MET_ROW)


def cells_cost_ns(
    rows: Rows, dimensions: int, cells: int, probes: float, scanned: float, candidates: float
) -> float:
    """Cost of a search in cells: project, rank cells, scan sketches, verify rows."""
    sketch_bytes = dimensions / 2 + 4
    per_product = _PER_FLOAT_PRODUCT if rows.are_floats else _PER_PRODUCT
    return (
        _PER_SEARCH
        + per_product * rows.width * dimensions
        + _PER_SKETCH_BYTE * sketch_bytes * (cells + scanned)
        + _PER_PROBE * probes
        + (_PER_CANDIDATE + _PER_CANDIDATE_BYTE * float(rows.array.shape[1])) * candidates
    )


def cells_may_pay(rows: Rows) -> bool:
    """Whether cells are worth building and calibrating, at a first look."""
    if len(rows) < _FEWEST_ROWS:
        return False
    cells = cells_for(len(rows))
    probes = max(4.0, _GUESSED_PROBES * cells)
    dimensions = min(_GUESSED_DIMENSIONS, rows.width)
    scanned = probes * len(rows) / cells
    guess = cells_cost_ns(rows, dimensions, cells, probes, scanned, _GUESSED_CANDIDATES)
    return guess < exact_cost_ns(rows)
