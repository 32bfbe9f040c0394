"""The compiled core. This module alone imports it.

The core has one set of kernels per CPU level (``scalar``, ``avx2``, ``avx512``, ``avx512popcnt``)
and uses the best that this processor can run. All levels give identical results. The environment
variable ``LOOKALIKE_CPU`` or :func:`set_cpu_level` chooses another.
"""

from __future__ import annotations

import os

from lookalike import _core
from lookalike._core import (
    PREFIX_BITS,
    SKETCH_CODES,
    BitSampler,
    BlockWriter,
    Bounds,
    BucketTables,
    Cells,
    CellScan,
    Components,
    Efforts,
    ExactScan,
    Measure,
    MultiIndex,
    PrefixScan,
    PrefixStops,
    Projection,
    Sketch,
    SubstringJoin,
    block_starts,
    largest_norm,
    learn_cells,
    learn_sketch,
    make_projected,
    make_sums,
    map_file,
    pack_items,
    sort_by_substrings,
)
from lookalike.errors import InvalidInput

__all__ = [
    "PREFIX_BITS",
    "SKETCH_CODES",
    "BitSampler",
    "BlockWriter",
    "Bounds",
    "BucketTables",
    "CellScan",
    "Cells",
    "Components",
    "Efforts",
    "ExactScan",
    "Measure",
    "MultiIndex",
    "PrefixScan",
    "PrefixStops",
    "Projection",
    "Sketch",
    "SubstringJoin",
    "block_starts",
    "cpu_level",
    "cpu_levels",
    "largest_norm",
    "learn_cells",
    "learn_sketch",
    "make_projected",
    "make_sums",
    "map_file",
    "pack_items",
    "set_cpu_level",
    "sort_by_substrings",
]


def cpu_level() -> str:
    """Name of the CPU level in use.

    Returns
    -------
    str
        ``"scalar"``, ``"avx2"``, ``"avx512"`` or ``"avx512popcnt"``.
    """
    return _core.cpu_level()


def cpu_levels() -> dict[str, bool]:
    """Tell which CPU levels this build has and which of them this processor can run.

    Returns
    -------
    dict of str to bool
        From the slowest level to the fastest; the value says whether it can run here.
    """
    usable = set(_core.usable_levels())
    return {level: level in usable for level in _core.compiled_levels()}


def set_cpu_level(name: str) -> None:
    """Use the kernels of another CPU level from now on, in every thread.

    Results do not change, only speed: this is for tests and for measuring.

    Parameters
    ----------
    name : str
        One of the usable levels of :func:`cpu_levels`.

    Raises
    ------
    InvalidInput
        When this build lacks the level or this processor cannot run it.
    """
    _force(name, "set_cpu_level(...)")


def _force(name: str, asked_by: str) -> None:
    try:
        _core.force_level(name)
    except (TypeError, ValueError) as refusal:
        raise InvalidInput(
            f"{asked_by} must name a CPU level that can run here: "
            f"{', '.join(_core.usable_levels())}; got {name!r}: {refusal}. Choose one of those."
        ) from None


if "LOOKALIKE_CPU" in os.environ:
    _force(os.environ["LOOKALIKE_CPU"], "the environment variable LOOKALIKE_CPU")
