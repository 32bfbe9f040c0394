"""Every error that lookalike raises.

::

    LookalikeError
    ├── InvalidInput       (ValueError)           an argument or a value in an array is wrong
    ├── NotSupported       (NotImplementedError)  the combination asked for does not exist
    ├── MissingExtra       (ImportError)          an optional dependency is not installed
    ├── UnreadableFile     (OSError)              a file is missing, damaged or unsafe to read
    │   ├── UnreadableImage                       a picture is damaged, too large or none at all
    │   ├── CorruptStore                          files of an index are not what was written
    │   └── NewerFormat                           a later version wrote the index
    ├── WouldOverwrite     (FileExistsError)      files are in the way, nothing was written
    ├── NotWritten         (OSError)              the disk refused; what was there is untouched
    ├── Locked             (BlockingIOError)      another process is changing the index
    ├── ReadOnly           (PermissionError)      an index that was opened to be read
    └── Cancelled                                 a progress callback returned False

and every warning::

    Drifted                (UserWarning)          an index should be built again

A message has four parts: what was asked, what was expected, what came, what to do.
"""

from __future__ import annotations

__all__ = [
    "Cancelled",
    "CorruptStore",
    "Drifted",
    "InvalidInput",
    "Locked",
    "LookalikeError",
    "MissingExtra",
    "NewerFormat",
    "NotSupported",
    "NotWritten",
    "ReadOnly",
    "UnreadableFile",
    "UnreadableImage",
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


class UnreadableImage(UnreadableFile):
    """A picture is damaged, too large, or none that is read here.

    Parameters
    ----------
    what : str
        The picture.
    why : str
        What is wrong with it, with the numbers.
    advice : str
        What to do.
    """

    def __init__(
        self,
        what: str,
        why: str,
        advice: str = "Save it anew with another program, or leave it out.",
    ) -> None:
        super().__init__(f"{what} must be a picture that can be read as a whole; {why}. {advice}")
        self.what, self.why = what, why


class CorruptStore(UnreadableFile):
    """Files of an index are not what was written, or contradict each other.

    Parameters
    ----------
    what : str
        The index, file or value.
    why : str
        What is wrong with it.
    """

    def __init__(self, what: str, why: str) -> None:
        super().__init__(
            f"{what} must be as it was written; {why}. Copy the index again, or see what is lost "
            "with: lookalike repair"
        )
        self.what, self.why = what, why


class NewerFormat(UnreadableFile):
    """A later version of lookalike wrote the index."""


class WouldOverwrite(LookalikeError, FileExistsError):
    """Files are in the way; nothing was written."""


class NotWritten(LookalikeError, OSError):
    """The disk refused a change of an index, which is as it was before."""


class Locked(LookalikeError, BlockingIOError):
    """Another process is changing the index; the message names it."""


class ReadOnly(LookalikeError, PermissionError):
    """The index was opened to be read, or was closed."""


class Cancelled(LookalikeError):
    """A progress callback returned False; nothing has changed."""


class Drifted(UserWarning):
    """Members have come that are unlike those the index was built from: it should be rebuilt."""
