"""lookalike: find the images that look like this one."""

from __future__ import annotations

from importlib.metadata import version as _version
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from lookalike.errors import (
    Cancelled,
    CorruptStore,
    Drifted,
    InvalidInput,
    Locked,
    LookalikeError,
    MissingExtra,
    NewerFormat,
    NotSupported,
    NotWritten,
    ReadOnly,
    UnreadableFile,
    UnreadableImage,
    WouldOverwrite,
)
from lookalike.index import Index
from lookalike.native import cpu_level, cpu_levels, set_cpu_level
from lookalike.pairs import JoinPlan, Pairs
from lookalike.planner.planner import Plan
from lookalike.results import Explanation, Neighbors, Ranges, Step

if _TYPE_CHECKING:
    from lookalike.album import Album

__version__ = _version("lookalike")

__all__ = [
    "Album",
    "Cancelled",
    "CorruptStore",
    "Drifted",
    "Explanation",
    "Index",
    "InvalidInput",
    "JoinPlan",
    "Locked",
    "LookalikeError",
    "MissingExtra",
    "Neighbors",
    "NewerFormat",
    "NotSupported",
    "NotWritten",
    "Pairs",
    "Plan",
    "Ranges",
    "ReadOnly",
    "Step",
    "UnreadableFile",
    "UnreadableImage",
    "WouldOverwrite",
    "__version__",
    "cpu_level",
    "cpu_levels",
    "set_cpu_level",
]


def __getattr__(name: str) -> _Any:
    """Albums are loaded when they are asked for: an index needs nothing of them."""
    if name == "Album":
        from lookalike.album import Album  # noqa: PLC0415  # that is the point

        return Album
    raise AttributeError(f"module 'lookalike' has no attribute {name!r}")
