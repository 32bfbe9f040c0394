"""lookalike: find the images that look like this one."""

from __future__ import annotations

from importlib.metadata import version as _version

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

__version__ = _version("lookalike")

__all__ = [
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
