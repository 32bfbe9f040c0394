"""The lock of the one who changes an index.

The kernel holds it for an open file, and lets go when the process ends, however it ends: a lock
that is left behind is none. What the file says, who holds it and where, is for messages.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import socket
import weakref
from pathlib import Path

from lookalike.errors import Locked, NotSupported

__all__ = ["WriterLock"]

_HELD: weakref.WeakSet[WriterLock] = weakref.WeakSet()
_MOST_BYTES = 4096
_INSTEAD = 'Close it there, or open it here with mode "r".'


class WriterLock:
    """Held from the call until it is released, or the process ends.

    Parameters
    ----------
    path : Path
        Of the lock file; it is made if need be, and stays.
    instead : str
        What to do when somebody holds it.

    Raises
    ------
    Locked
        When somebody holds it.
    NotSupported
        When the file system has no locks.
    """

    def __init__(self, path: Path, instead: str = _INSTEAD) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            self._lock(path, instead)
            holder = {"process": os.getpid(), "host": socket.gethostname()}
            with contextlib.suppress(OSError):  # on a full disk; it is for messages only
                os.ftruncate(self._descriptor, 0)
                os.pwrite(self._descriptor, json.dumps(holder).encode("ascii") + b"\n", 0)
        except BaseException:
            self._forget()
            raise
        self._process = os.getpid()
        _HELD.add(self)

    def _lock(self, path: Path, instead: str) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise Locked(
                    f"{path.parent} must be free to be opened for changes; {self._holder()} has "
                    f"opened it. {instead}"
                ) from None
            raise NotSupported(
                f"{path.parent} must be on a file system with locks, to be opened for changes; "
                f"this one refuses: {error.strerror}. Move it there; here it can be searched."
            ) from error

    def _holder(self) -> str:
        try:
            holder = json.loads(os.pread(self._descriptor, _MOST_BYTES, 0))
            return f"process {int(holder['process'])} on host {str(holder['host'])!r}"
        except (ValueError, TypeError, KeyError, OSError):
            return "another process"

    @property
    def is_held(self) -> bool:
        """Whether this process holds it; a child that was forked does not."""
        return self._descriptor >= 0 and self._process == os.getpid()

    def release(self) -> None:
        """Let others have it."""
        if self._descriptor >= 0:
            if self.is_held:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        if getattr(self, "_descriptor", -1) >= 0:
            self.release()

    def _forget(self) -> None:
        """Close the file: one that is somebody else's lock, a parent's for example."""
        os.close(self._descriptor)
        self._descriptor = -1


def _forget_all() -> None:
    for lock in list(_HELD):
        if lock._descriptor >= 0:
            lock._forget()


os.register_at_fork(after_in_child=_forget_all)
