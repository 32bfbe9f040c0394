"""What goes between a pool and its workers: jobs and verdicts down, answers up.

A frame is four bytes with the length of its body, little-endian, and the body. Nothing is
unpickled: a picture may have taken over the decoder that answers, so an answer is checked like a
file of a stranger, and can only say something wrong about pictures.
"""

from __future__ import annotations

import json
import math
import os
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from lookalike.pictures.encoders import Encoder
from lookalike.pictures.jobs import Code, Job, Outcome, Stamp, Status

__all__ = [
    "DECODE",
    "KNOWN",
    "LENGTH",
    "READY",
    "Breach",
    "Form",
    "answer",
    "facts_in",
    "frame",
    "frame_in",
    "job_in",
    "job_message",
    "most_bytes",
    "must",
    "outcome_in",
    "shown",
    "stamp_in",
]

LENGTH = struct.Struct("<I")
_JOB = struct.Struct("<QBI")  # its number, whether it is digest_only, bytes of its path
_MOST_HEADER = 65_536
_MOST_TEXT = 500  # characters
READY = {"ready": True}  # what a worker says first
KNOWN, DECODE = b"\0", b"\1"  # verdicts on a content that was read: shorter than any job
_ENDS = ("encoded", "known", "unreadable", "gone", "refused")


class Breach(ValueError):
    """A worker answered what it may not."""


def frame(body: bytes) -> bytes:
    """A body with its length before it."""
    return LENGTH.pack(len(body)) + body


def frame_in(received: bytearray, most_bytes: int) -> bytes | None:
    """Take the first whole frame off what was received: its body, or None as long as there is none.

    Raises
    ------
    Breach
        When it says to be longer than the limit.
    """
    if len(received) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack_from(received)
    if length > most_bytes:
        raise Breach(f"an answer of {length:,} bytes, where {most_bytes:,} are the most")
    end = LENGTH.size + length
    if len(received) < end:
        return None
    body = bytes(memoryview(received)[LENGTH.size : end])
    del received[:end]
    return body


def job_message(number: int, job: Job) -> bytes:
    """The body of a frame with a job; its path made absolute, so that no one depends on where."""
    path = os.fsencode(job.path.absolute())
    head = _JOB.pack(number, job.digest_only, len(path))
    return head + path


def job_in(body: bytes) -> tuple[int, bytes, bool]:
    """Number, path and digest_only of a job; a pool is trusted."""
    number, digest_only, length = _JOB.unpack_from(body)
    return number, body[_JOB.size : _JOB.size + length], bool(digest_only)


def answer(facts: Mapping[str, Any], codes: Sequence[Code] = ()) -> bytes:
    """The body of a frame that a worker sends.

    Parameters
    ----------
    facts : mapping
        "job", its number, and what there is to say of it.
    codes : sequence of Code
        One by each encoder.
    """
    usable = [code.usable for code in codes]
    header = json.dumps({**facts, "usable": usable} if codes else facts).encode("ascii")
    vectors = (code.vector.tobytes() for code in codes)
    return b"".join((LENGTH.pack(len(header)), header, *vectors))


class Form(NamedTuple):
    """What the vectors of an encoder are."""

    dtype: np.dtype[Any]
    length: int

    @classmethod
    def of(cls, encoder: Encoder) -> Form:
        """As the metric of an encoder has them."""
        if encoder.metric == "hamming":
            return cls(np.dtype(np.uint8), -(-encoder.dimension // 8))
        return cls(np.dtype(np.uint8 if encoder.metric == "l1" else np.float32), encoder.dimension)

    @property
    def size_bytes(self) -> int:
        """Of a vector."""
        return self.dtype.itemsize * self.length

    def checked(self, vector: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A vector that has this form; Breach otherwise."""
        must(vector.dtype == self.dtype, "dtype", vector.dtype.name)
        must(vector.shape == (self.length,), "shape", vector.shape)
        must(np.isfinite(vector).all(), "values", "not finite")
        return vector


def most_bytes(forms: Mapping[str, Form]) -> int:
    """The longest body that a worker may send."""
    return LENGTH.size + _MOST_HEADER + sum(form.size_bytes for form in forms.values())


def stamp_in(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What an answer says of a file that was read: digest and stamp, as an outcome has them."""
    digest, stamp = facts.get("digest"), facts.get("stamp")
    if digest is None and stamp is None:
        return {}
    must(isinstance(digest, str) and re.fullmatch("[0-9a-f]{32}", digest), "digest", digest)
    if not (isinstance(stamp, list) and len(stamp) == len(Stamp._fields)):
        raise _breach("stamp", stamp)
    for number in stamp:
        must(type(number) is int and abs(number) < 2**63, "stamp", stamp)
    return {"digest": digest, **Stamp(*stamp)._asdict()}


def facts_in(body: bytes) -> tuple[dict[str, Any], memoryview]:
    """What an answer says, unchecked, and the bytes of its vectors."""
    try:
        (length,) = LENGTH.unpack_from(body)
        facts = json.loads(body[LENGTH.size : LENGTH.size + min(length, _MOST_HEADER)])
    except (ValueError, RecursionError, struct.error):
        raise Breach("an answer that cannot be read") from None
    must(isinstance(facts, dict), "answer", facts)
    return facts, memoryview(body)[LENGTH.size + length :]


def outcome_in(
    facts: Mapping[str, Any], vectors: memoryview, job: Job, forms: Mapping[str, Form]
) -> Outcome:
    """An outcome, when all that an answer says can be.

    Parameters
    ----------
    facts : mapping
        As :func:`facts_in` found it.
    vectors : memoryview
    job : Job
        Which was to be answered.
    forms : mapping of str to Form
        By encoder.

    Raises
    ------
    Breach
        When a worker that is in order does not answer so.
    """
    status, reason = facts.get("status"), facts.get("reason")
    must(status in _ENDS, "status", status)
    must(reason is None or isinstance(reason, str), "reason", reason)
    outcome = Outcome(job, cast(Status, status), reason and shown(reason), **stamp_in(facts))
    must(outcome.digest or status in ("unreadable", "gone", "refused"), "digest", None)
    if status != "encoded":
        return outcome
    return replace(outcome, **_picture_in(facts), codes=_codes_in(facts, vectors, forms))


def _picture_in(facts: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: facts.get(name) for name in ("width", "height", "format", "taken", "sharpness")}
    for name in ("width", "height"):
        pixels: Any = found[name]
        must(type(pixels) is int and 0 < pixels < 2**31, name, pixels)
    for name in ("format", "taken"):
        text = found[name]
        must(text is None or (isinstance(text, str) and text == shown(text)), name, text)
    sharpness = found["sharpness"]
    must(type(sharpness) is float and math.isfinite(sharpness), "sharpness", sharpness)
    return found


def _codes_in(
    facts: Mapping[str, Any], vectors: memoryview, forms: Mapping[str, Form]
) -> dict[str, Code]:
    usable = facts.get("usable", [])
    must(isinstance(usable, list) and len(usable) == len(forms), "usable", usable)
    must(all(type(each) is bool for each in usable), "usable", usable)
    must(len(vectors) == sum(form.size_bytes for form in forms.values()), "size", len(vectors))
    codes = {}
    for (name, form), each in zip(forms.items(), usable, strict=True):
        vector = np.frombuffer(vectors[: form.size_bytes], form.dtype)
        codes[name] = Code(form.checked(vector), each)
        vectors = vectors[form.size_bytes :]
    return codes


def shown(text: str) -> str:
    """A text that may be shown: short, and in one line of characters that print."""
    text = text[:_MOST_TEXT]
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def must(holds: object, what: str, got: object) -> None:
    """Raise Breach unless it holds."""
    if not holds:
        raise _breach(what, got)


def _breach(what: str, got: object) -> Breach:
    return Breach(f"an answer whose {what} cannot be: {shown(repr(got))[:80]}")
