"""lookalike: find the images that look like this one."""

from __future__ import annotations

from importlib import import_module as _import_module
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

if _TYPE_CHECKING:
    from lookalike.album import Album
    from lookalike.index import Index
    from lookalike.native import cpu_level, cpu_levels, set_cpu_level
    from lookalike.pairs import JoinPlan, Pairs
    from lookalike.planner.planner import Plan
    from lookalike.results import Explanation, Neighbors, Ranges, Step

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


# Loaded when they are asked for: a worker that reads pictures, or the help of a command, needs
# nothing of them, and they take as long to load as NumPy does.
_LATER = {
    "Album": "album",
    "Explanation": "results",
    "Index": "index",
    "JoinPlan": "pairs",
    "Neighbors": "results",
    "Pairs": "pairs",
    "Plan": "planner.planner",
    "Ranges": "results",
    "Step": "results",
    "cpu_level": "native",
    "cpu_levels": "native",
    "set_cpu_level": "native",
}


def __getattr__(name: str) -> _Any:
    """A public name that was not loaded yet."""
    if name not in _LATER:
        raise AttributeError(f"module 'lookalike' has no attribute {name!r}")
    found = globals()[name] = getattr(_import_module(f"lookalike.{_LATER[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
