"""A worker of a pool: reads files and encodes the pictures in them, one after the other.

It has the seatbelts on before it meets a picture. What it is given and what it answers is in
:mod:`lookalike.pictures.wire`.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import resource
import signal
import socket
import stat
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xxhash

from lookalike.errors import LookalikeError, UnreadableImage
from lookalike.pictures.encoders import Encoder, encoder_named
from lookalike.pictures.jobs import Code, Stamp, Status
from lookalike.pictures.read import Limits, Picture, read_picture
from lookalike.pictures.wire import (
    DECODE,
    LENGTH,
    READY,
    Form,
    answer,
    frame,
    job_in,
    shown,
)

__all__ = ["main", "ready_encoders"]

_READS = 3  # of a file that changes meanwhile
_NOT_PLAIN = "not a plain file"
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_SIGNAL_AT_DEATH, _NO_NEW_PRIVILEGES = 1, 38  # of prctl


class _Ended(Exception):
    """A job that ends before there is a picture."""

    def __init__(self, status: Status, reason: str | None = None) -> None:
        super().__init__(status, reason)
        self.facts = {"status": status, "reason": reason and shown(reason)}


class _Content(NamedTuple):
    """The bytes of a file, when they are known to belong together."""

    data: bytes
    stamp: Stamp


class _Work(NamedTuple):
    """What a worker does with every file."""

    encoders: Sequence[Encoder]
    limits: Limits
    memory_bytes: int


def main(descriptor: int) -> None:
    """Answer what comes over a channel, until it ends.

    Parameters
    ----------
    descriptor : int
        Of the channel, a socket.
    """
    with (
        socket.socket(fileno=descriptor) as channel,
        contextlib.suppress(EOFError, ConnectionError),
    ):
        channel.set_inheritable(False)
        work = _begun(json.loads(_received(channel)))
        channel.sendall(frame(answer(READY)))
        _silence()
        inbox = _Inbox(channel)
        while True:
            _answer_one(channel, inbox, work)


class _Inbox:
    """Jobs and verdicts, which come over one channel: the next job may be there first."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._jobs: deque[bytes] = deque()

    def job(self) -> bytes:
        """The next job."""
        return self._jobs.popleft() if self._jobs else _received(self._channel)

    def must_decode(self) -> bool:
        """The verdict on the content that was read just now."""
        while len(body := _received(self._channel)) > len(DECODE):
            self._jobs.append(body)
        return body == DECODE


def ready_encoders(names: Sequence[str]) -> dict[str, Encoder]:
    """Encoders by their names, when each has encoded a picture: what they need is there.

    Raises
    ------
    MissingExtra
        When it is not installed.
    """
    picture = read_picture(np.arange(64 * 64, dtype=np.uint32).reshape(64, 64) % 251)
    encoders = {name: encoder_named(name) for name in names}
    for encoder in encoders.values():
        encoder.encode([picture.pixels])
    return encoders


def _begun(said: Mapping[str, Any]) -> _Work:
    _fasten(said["memory_bytes"])
    encoders = list(ready_encoders(said["encoders"]).values())
    return _Work(encoders, Limits(**said["limits"]), said["memory_bytes"])


def _fasten(memory_bytes: int) -> None:
    """Put the seatbelts on: what goes wrong here stays here, and ends with the pool."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _limit(resource.RLIMIT_DATA, memory_bytes)  # and no address space: onnxruntime reserves much
    if sys.platform == "linux":
        prctl = ctypes.CDLL(None).prctl
        prctl(_SIGNAL_AT_DEATH, signal.SIGTERM, 0, 0, 0)
        prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        with contextlib.suppress(OSError):  # when memory is out, rather a worker than the album
            Path("/proc/self/oom_score_adj").write_text("1000")


def _limit(what: int, most: int) -> None:
    _, hard = resource.getrlimit(what)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(what, (most, most))


def _silence() -> None:
    """Lead away what libraries complain about pictures: nobody asked, and it could fill a disk."""
    nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(nowhere, sys.stderr.fileno())
    os.close(nowhere)


def _received(channel: socket.socket) -> bytes:
    (length,) = LENGTH.unpack(_exactly(channel, LENGTH.size))
    return _exactly(channel, length)


def _exactly(channel: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = channel.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return bytes(data)


def _answer_one(channel: socket.socket, inbox: _Inbox, work: _Work) -> None:
    number, path, digest_only = job_in(inbox.job())
    facts: dict[str, Any] = {"job": number}
    codes: list[Code] = []
    try:
        content = _read(path, work)
        digest = xxhash.xxh3_128_hexdigest(content.data)
        facts |= {"digest": digest, "stamp": content.stamp}
        if digest_only:
            raise _Ended("known")
        channel.sendall(frame(answer(facts)))  # it is known, or which content crashed will be
        if not inbox.must_decode():
            raise _Ended("known")
        picture = _decoded(content.data, work)
        codes = [_encoded(picture, encoder, work) for encoder in work.encoders]
        facts |= {"status": "encoded", **_facts_of(picture)}
    except _Ended as ended:
        codes = []
        facts |= ended.facts
    channel.sendall(frame(answer(facts, codes)))


def _read(path: bytes, work: _Work) -> _Content:
    """The bytes of a file."""
    try:
        for _ in range(_READS):
            content = _read_once(path, work.limits.file_bytes)
            if content is not None:
                return content
    except (FileNotFoundError, NotADirectoryError):
        raise _Ended("gone") from None
    except MemoryError:
        raise _Ended("unreadable", _too_much(work)) from None
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ELOOP, errno.ENXIO):
            raise _Ended("unreadable", _NOT_PLAIN) from None  # a link that came just now
        raise _Ended("refused", getattr(error, "strerror", None) or str(error)) from None
    raise _Ended("refused", "changes while it is read")


def _read_once(path: bytes, most: int) -> _Content | None:
    """The bytes of a file; None when they change meanwhile."""
    _must_be_plain(os.lstat(path))  # before it is opened: opening a device may do something
    with FileIO(os.open(path, _OPEN)) as file:
        status = os.fstat(file.fileno())
        _must_be_plain(status)
        if status.st_size > most:
            reason = f"has {status.st_size:,} bytes, where {most:,} are the most"
            raise _Ended("unreadable", reason)
        data = _bytes_of(file, status.st_size)
        before, after = Stamp.of(status), Stamp.of(os.fstat(file.fileno()))
    return _Content(data, before) if before == after and len(data) == before.size else None


def _must_be_plain(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _Ended("unreadable", _NOT_PLAIN)


def _bytes_of(file: FileIO, size: int) -> bytes:
    """What is in a file, and one byte more of one that grows."""
    pieces, missing = [], size + 1
    while missing and (piece := file.read(missing)):
        pieces.append(piece)
        missing -= len(piece)
        if missing == 1:
            break  # all of it, as a rule at once: the bytes are not copied
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _decoded(data: bytes, work: _Work) -> Picture:
    try:
        return read_picture(data, limits=work.limits)
    except UnreadableImage as error:
        raise _Ended("unreadable", error.why) from None
    except MemoryError:
        raise _Ended("unreadable", _too_much(work)) from None
    except LookalikeError as error:  # a package that is missing
        raise _Ended("refused", str(error)) from None
    except Exception as error:  # a decoder stumbled over it in a way of its own
        raise _Ended("unreadable", f"its decoder failed: {_said(error)}") from None


def _encoded(picture: Picture, encoder: Encoder, work: _Work) -> Code:
    try:
        vectors, usable = encoder.encode([picture.pixels])
        return Code(Form.of(encoder).checked(vectors[0]), bool(usable[0]))
    except MemoryError:
        raise _Ended("unreadable", _too_much(work)) from None
    except Exception as error:  # the picture was read: it is no fault of the file
        raise _Ended("refused", f"{encoder.name} failed on it: {_said(error)}") from None


def _facts_of(picture: Picture) -> dict[str, Any]:
    return {
        "width": int(picture.width),
        "height": int(picture.height),
        "format": shown(picture.format),
        "taken": picture.taken and shown(picture.taken),
        "sharpness": float(picture.sharpness),
    }


def _too_much(work: _Work) -> str:
    return f"takes more memory than {work.memory_bytes / 2**30:g} GiB"


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
