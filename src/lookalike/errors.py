"""Every error that lookalike raises.

::

    LookalikeError
    ├── InvalidInput       (ValueError)           an argument or a value in an array is wrong
    ├── NotSupported       (NotImplementedError)  the combination asked for does not exist
    ├── MissingExtra       (ImportError)          an optional dependency is not installed
    ├── UnreadableFile     (OSError)              a file is missing, damaged or unsafe to read
    └── WouldOverwrite     (FileExistsError)      files are in the way, nothing was written

and every warning::

    Drifted                (UserWarning)          an index should be built again

A message has four parts: what was asked, what was expected, what came, what to do.
"""

from __future__ import annotations

__all__ = [
    "Drifted",
    "InvalidInput",
    "LookalikeError",
    "MissingExtra",
    "NotSupported",
    "UnreadableFile",
    "WouldOverwrite",
]


class LookalikeError(Exception):
    """Base of all errors of this library."""


class InvalidInput(LookalikeError, ValueError):
    """An argument, or a value in an array, is outside what the call accepts."""


class NotSupported(LookalikeError, NotImplementedError):
    """The combination asked for does not exist; the message names what does."""


class MissingExtra(LookalikeError, ImportError):
    """An optional dependency is not installed; the message names the extra."""

    def __init__(self, feature: str, package: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs {package}, which is not installed; "
            f"install it with: pip install 'lookalike[{extra}]'"
        )


class UnreadableFile(LookalikeError, OSError):
    """A file is missing, damaged, or would execute code when read."""


class WouldOverwrite(LookalikeError, FileExistsError):
    """Files are in the way; nothing was written."""


class Drifted(UserWarning):
    """Members have come that are unlike those the index was built from: it should be rebuilt."""
