"""A worker of a pool, as the pool sees it: a process, its channel, and the jobs that it has."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
from collections import deque
from typing import IO, Any, NamedTuple

from lookalike.pictures.jobs import Job, Status
from lookalike.pictures.wire import DECODE, KNOWN, frame, job_message, shown

__all__ = ["Given", "Worker"]

_DEPTH = 2  # jobs given to one worker: the next is there when it has answered one
_PIECE_BYTES = 1 << 18
_SAID_BYTES = 4096
_ENDING_S = 1.0
_FROM_OUTSIDE = (signal.SIGTERM, signal.SIGHUP)  # decoders do not end by these
_ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
# Workers find what this process finds, wherever it was put on the path, and nothing else. An
# interrupt goes to them too, and is for the pool to heed.
_PROGRAM = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.path[:] = sys.argv[2:]; "
    "from lookalike.pictures.worker import main; main(int(sys.argv[1]))"
)


class Given(NamedTuple):
    """A job that a worker has."""

    number: int
    job: Job


class Worker:
    """A process, and what it was given and has not answered.

    Parameters
    ----------
    begin : bytes
        What it is told first.
    clock_s : float
        The pool's.
    """

    def __init__(self, begin: bytes, clock_s: float) -> None:
        self.jobs: deque[Given] = deque()
        self.read: dict[str, Any] = {}  # what it said of the file that it is at
        self.received = bytearray()
        self.is_ready = False
        self.may_know = False  # whether it was told that what it is at is known
        self.since_s = clock_s  # when it began what it does
        self._unsent = bytearray(frame(begin))
        with contextlib.ExitStack() as on_failure:
            self._said = on_failure.enter_context(tempfile.TemporaryFile())
            self.channel, theirs = socket.socketpair()
            on_failure.enter_context(self.channel)
            with theirs:
                self.process = _started(theirs.fileno(), self._said)
            on_failure.pop_all()
        self.channel.setblocking(False)

    @property
    def has_room(self) -> bool:
        """Whether it may have one more job."""
        return len(self.jobs) < _DEPTH

    @property
    def awaits(self) -> int:
        """What its channel is watched for."""
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)

    def give(self, number: int, job: Job, clock_s: float) -> None:
        """Let it have a job, after those that it has."""
        if not self.jobs and self.is_ready:
            self.since_s = clock_s
        self.jobs.append(Given(number, job))
        self._unsent += frame(job_message(number, job))
        self._send()

    def tell(self, *, is_known: bool) -> None:
        """Let it know whether the content that it has read has to be decoded."""
        self.may_know = is_known
        self._unsent += frame(KNOWN if is_known else DECODE)
        self._send()

    def next(self, clock_s: float) -> None:
        """It has answered, and begins the next."""
        self.jobs.popleft()
        self.read, self.may_know, self.since_s = {}, False, clock_s

    def exchange(self) -> bool:
        """Send and receive what can be without waiting; False at the end of what it sends."""
        self._send()
        try:
            piece = self.channel.recv(_PIECE_BYTES)
        except BlockingIOError:
            return True
        except ConnectionError:
            return False
        self.received += piece
        return bool(piece)

    def _send(self) -> None:
        # A broken channel is noticed where it is read, after what was said before it broke.
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while self._unsent:
                del self._unsent[: self.channel.send(self._unsent)]

    def ending(self) -> tuple[Status, str]:
        """What is to be said of the file that it was at, when it ends by itself."""
        try:
            status = self.process.wait(_ENDING_S)
        except subprocess.TimeoutExpired:
            return "lost", "the decoder stopped to answer"
        if -status in _FROM_OUTSIDE:
            return "refused", f"its worker was stopped (signal {-status})"
        if status < 0:
            return "lost", f"the decoder crashed (signal {-status})"
        return "lost", f"the decoder ended (exit status {status})"

    def end(self, ended: list[subprocess.Popen[bytes]]) -> str:
        """Kill it, without waiting until it is gone; the last line that it said of its start."""
        self.process.kill()
        self.channel.close()
        ended[:] = [process for process in (*ended, self.process) if process.poll() is None]
        with self._said as said:
            said.seek(max(0, said.seek(0, os.SEEK_END) - _SAID_BYTES))
            lines = said.read(_SAID_BYTES).decode(errors="replace").split("\n")
        return shown(next(filter(None, map(str.strip, reversed(lines))), ""))


def _started(channel: int, said: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603  # this very interpreter
        [sys.executable, "-P", "-c", _PROGRAM, str(channel), *sys.path],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=said,
        pass_fds=[channel],
        env={**os.environ, **dict.fromkeys(_ONE_THREAD, "1")},
    )
