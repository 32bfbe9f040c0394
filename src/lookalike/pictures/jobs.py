"""What a pool is asked and what it answers: a file to be read, and what became of it."""

from __future__ import annotations

import os
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy.typing as npt

__all__ = ["Code", "Job", "Outcome", "Stamp", "Status"]

Status = Literal["encoded", "known", "unreadable", "lost", "gone", "refused"]
_63_BITS = 2**63 - 1  # databases have whole numbers with a sign


@dataclass(frozen=True, slots=True)
class Job:
    """A file that is to be read.

    Attributes
    ----------
    path : Path
        With any bytes in its names, as ``os.fsdecode`` gives them.
    known : container of str
        Digests of contents that need not be encoded again, in hexadecimal. Asked once, for that
        of this file, when it was read.
    digest_only : bool
        Read and digest it, and decode nothing.
    about : object
        Anything of the caller's, which is found again in the outcome.
    """

    path: Path
    known: Container[str] = frozenset()
    digest_only: bool = False
    about: Any = None


class Code(NamedTuple):
    """What an encoder makes of a picture."""

    vector: npt.NDArray[Any]  # (n,) uint8 or float32
    usable: bool  # False: too little is to be seen in the picture to tell it from others


class Stamp(NamedTuple):
    """Of the opened file, when its bytes were read."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """Of a file that was asked for it."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino & _63_BITS)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a job.

    Attributes
    ----------
    job : Job
    status : str
        "encoded"; "known", when its content was, or only the digest was asked for; "unreadable",
        when it is no picture that can be read; "lost", when its decoder crashed, hung or was
        killed, which may go better another time; "gone", when there is no such file; "refused",
        when the file could not be read this time: it should be tried again.
    reason : str or None
        Why it is unreadable, lost or refused.
    digest : str or None
        xxh3-128 of all bytes, in hexadecimal; None when they could not be read.
    size, mtime_ns, ctime_ns, inode : int
        Of the file whose bytes were read; 0 when none were.
    width, height : int or None
        Pixels, upright.
    format, taken : str or None
    sharpness : float or None
    codes : mapping of str to Code
        By the name that the pool was given of the encoder; empty unless the status is "encoded".
    """

    job: Job
    status: Status
    reason: str | None = None
    digest: str | None = None
    size: int = 0
    mtime_ns: int = 0
    ctime_ns: int = 0
    inode: int = 0
    width: int | None = None
    height: int | None = None
    format: str | None = None
    taken: str | None = None
    sharpness: float | None = None
    codes: Mapping[str, Code] = field(default_factory=dict)
