"""The manifest: the one file that says what an index on disk consists of.

JSON whose last member is a digest of all bytes before it. Whoever wrote it, it is checked field by
field before it is believed: names cannot lead out of the folder, and no number is larger than what
memory is ever asked for.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NoReturn

from lookalike.errors import CorruptStore, NewerFormat
from lookalike.store.array_file import DTYPES, StoredArray
from lookalike.store.digest import DIGITS, hasher

__all__ = ["FORMAT", "Facts", "Manifest", "Segment"]

FORMAT = 1
_KIND = "lookalike index"
_LARGEST_BYTES = 1 << 26  # of a manifest
_LARGEST_NUMBER = 2**63 - 1
_MOST_DIMENSIONS, _MOST_VALUES = 3, 2**56
_MOST_DIGITS = 40  # a seed has 39
_DEEPEST = 32  # lists and objects in each other
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_SEGMENT_NAME = re.compile(r"[0-9]{8,18}")
_DIGEST = re.compile(rf"[0-9a-f]{{{DIGITS}}}")
_LAST, _END = b',\n"digest": "', b'"}\n'

Facts = Mapping[str, Any]  # what JSON can say


@dataclass(frozen=True, slots=True)
class Segment:
    """A folder of arrays that is never changed.

    Attributes
    ----------
    name : str
        Of its folder: digits, larger than those of all segments that were written before it.
    facts : mapping
        What the index says of it; the store does not look into it.
    arrays : mapping of str to StoredArray
        By name: that of the file without ``.npy``.
    """

    name: str
    facts: Facts
    arrays: Mapping[str, StoredArray]

    @property
    def file_bytes(self) -> int:
        """Bytes of all its files."""
        return sum(stored.file_bytes for stored in self.arrays.values())


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an index consists of.

    Attributes
    ----------
    generation : int
        Larger by one with every commit.
    next_segment : int
        Larger than the number of any segment so far.
    index : mapping
        What the index says of itself; the store does not look into it.
    segments : tuple of Segment
        In the order of their rows.
    """

    generation: int
    next_segment: int
    index: Facts
    segments: tuple[Segment, ...]

    @property
    def fingerprint(self) -> str:
        """Digest over what the index says of itself: equal for indexes that may be mixed."""
        return hasher(_json({"format": FORMAT, "index": dict(self.index)})).hexdigest()

    def to_bytes(self) -> bytes:
        """The file: the same bytes for the same manifest, everywhere."""
        body = {
            "kind": _KIND,
            "format": FORMAT,
            "generation": self.generation,
            "next_segment": self.next_segment,
            "fingerprint": self.fingerprint,
            "index": dict(self.index),
            "segments": [_segment_body(segment) for segment in self.segments],
        }
        before = json.dumps(body, indent=1, allow_nan=False).encode("ascii")[:-2] + _LAST
        return before + hasher(before).hexdigest().encode("ascii") + _END

    @classmethod
    def from_bytes(cls, data: bytes, about: str) -> Manifest:
        """Read a file, and believe nothing of it.

        Parameters
        ----------
        data : bytes
        about : str
            How messages name it.

        Raises
        ------
        CorruptStore
            When it is damaged or contradicts itself.
        NewerFormat
            When a later version wrote it.
        """
        body = _checked_body(data, about)
        version = body.get("format")
        if type(version) is int and version > FORMAT:
            raise NewerFormat(
                f"{about} must be of format {FORMAT} or older; it is of format {version}. Install "
                "a newer lookalike."
            )
        try:
            _check(_is_shallow(body), "it is nested too deeply")
            manifest = cls(
                _number(body, "generation"),
                _number(body, "next_segment"),
                MappingProxyType(_object(body, "index")),
                tuple(_segment(entry) for entry in _list(body, "segments")),
            )
            known = type(version) is int and version == FORMAT
            _check(body.get("kind") == _KIND and known, "it is of another kind")
            _check(body.get("fingerprint") == manifest.fingerprint, "its fingerprint is wrong")
            names = [int(segment.name) for segment in manifest.segments]
            _check(len(set(names)) == len(names), "two segments have one name")
            _check(max(names, default=-1) < manifest.next_segment, "a segment is yet to come")
        except _Wrong as wrong:
            raise CorruptStore(about, str(wrong)) from None
        return manifest


class _Wrong(Exception):
    """What contradicts itself."""


def _check(condition: bool, why: str) -> None:
    if not condition:
        raise _Wrong(why)


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _checked_body(data: bytes, about: str) -> dict[str, Any]:
    """The JSON object of a file whose digest is right."""
    if len(data) > _LARGEST_BYTES:
        raise CorruptStore(about, f"it has more than {_LARGEST_BYTES:,} bytes")
    before = data[: -(DIGITS + len(_END))]
    digest = data[len(before) : -len(_END)]
    if not before.endswith(_LAST) or not data.endswith(_END):
        raise CorruptStore(about, "it does not end with a digest")
    if hasher(before).hexdigest().encode("ascii") != digest:
        raise CorruptStore(about, "its digest is another one")
    try:
        body = json.loads(
            data.decode("ascii"),
            object_pairs_hook=_without_doubles,
            parse_constant=_refused,
            parse_int=_whole,
            parse_float=_finite,
        )
    except (ValueError, RecursionError, _Wrong) as error:
        raise CorruptStore(about, f"it is no JSON: {error}") from None
    if not isinstance(body, dict):
        raise CorruptStore(about, "it is no JSON object")
    return body


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    _check(len(members) == len(pairs), "a name is there twice")
    return members


def _refused(constant: str) -> NoReturn:
    raise _Wrong(f"{constant} is no number")


def _whole(digits: str) -> int:
    _check(len(digits) <= _MOST_DIGITS, "a number is too long")  # very long ones take for ever
    return int(digits)


def _finite(digits: str) -> float:
    _check(len(digits) <= _MOST_DIGITS, "a number is too long")
    number = float(digits)
    _check(math.isfinite(number), "a number is too large")
    return number


def _is_shallow(value: Any) -> bool:
    """Whether it can be compared and written again without recursing too deeply."""
    level = [value]
    for _ in range(_DEEPEST):
        inner = [own for own in level if isinstance(own, (dict, list))]
        level = [part for own in inner for part in (own.values() if isinstance(own, dict) else own)]
        if not level:
            return True
    return False


def _segment_body(segment: Segment) -> dict[str, Any]:
    arrays = {
        name: {
            "dtype": stored.dtype,
            "shape": list(stored.shape),
            "bytes": stored.file_bytes,
            "digest": stored.digest,
            "ends": stored.ends,
        }
        for name, stored in sorted(segment.arrays.items())
    }
    return {"name": segment.name, "facts": dict(segment.facts), "arrays": arrays}


def _segment(entry: Any) -> Segment:
    _check(isinstance(entry, dict), "a segment is no object")
    name = entry.get("name")
    _check(isinstance(name, str) and bool(_SEGMENT_NAME.fullmatch(name)), "a segment has no name")
    arrays = {}
    for own, stored in _object(entry, "arrays").items():
        _check(bool(_NAME.fullmatch(own)), "an array has no name")
        _check(isinstance(stored, dict), f"array {own} is no object")
        arrays[own] = _stored_array(stored, own)
    facts = MappingProxyType(_object(entry, "facts"))
    return Segment(name, facts, MappingProxyType(arrays))


def _stored_array(entry: dict[str, Any], name: str) -> StoredArray:
    dtype, shape = entry.get("dtype"), _list(entry, "shape")
    _check(dtype in DTYPES, f"array {name} has a dtype that is not stored")
    _check(len(shape) <= _MOST_DIMENSIONS, f"array {name} has too many dimensions")
    _check(
        all(type(size) is int and 0 <= size <= _MOST_VALUES for size in shape)
        and math.prod(max(size, 1) for size in shape) <= _MOST_VALUES,
        f"array {name} has no possible shape",
    )
    for key in ("digest", "ends"):
        digest = entry.get(key)
        _check(
            isinstance(digest, str) and bool(_DIGEST.fullmatch(digest)),
            f"array {name} has no {key}",
        )
    stored = StoredArray(str(dtype), tuple(shape), entry["digest"], entry["ends"])
    _check(_number(entry, "bytes") == stored.file_bytes, f"array {name} has a wrong length")
    return stored


def _number(entry: dict[str, Any], key: str) -> int:
    value = entry.get(key)
    if type(value) is not int or not 0 <= value <= _LARGEST_NUMBER:
        raise _Wrong(f"{key} is no possible number")
    return value


def _object(entry: dict[str, Any], key: str) -> dict[str, Any]:
    value = entry.get(key)
    if not isinstance(value, dict):
        raise _Wrong(f"{key} is no object")
    return value


def _list(entry: dict[str, Any], key: str) -> list[Any]:
    value = entry.get(key)
    if not isinstance(value, list):
        raise _Wrong(f"{key} is no list")
    return value
