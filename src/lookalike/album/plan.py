"""A plan: which files are to go, and what stays in their place.

It is a file, so that people can read and edit it before anything is done. So it is believed as
little as one of a stranger: paths stay in the album, and nothing is in it twice. What it says of
files is checked again right before each of them is moved.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from lookalike.album.catalog import shown
from lookalike.album.group import DuplicateGroup, Link, suggestions
from lookalike.album.matches import path_dict
from lookalike.errors import InvalidInput, NewerFormat, UnreadableFile, WouldOverwrite
from lookalike.store import disk

__all__ = ["FORMAT", "LARGEST_BYTES", "Plan", "Removal"]

FORMAT = 1
LARGEST_BYTES = 1 << 28  # of a file: about a million removals
_KIND = "lookalike plan"
_LONGEST_REASON = 500  # characters
_MOST_SIZE = 2**63
_DIGEST = re.compile(r"[0-9a-f]{32}")
_EQUAL_BYTES = "equal bytes"


@dataclass(frozen=True, slots=True)
class Removal:
    """A file that is to go, because another one stays.

    Attributes
    ----------
    path : bytes
        In the album.
    digest : str
        xxh3-128 of all its bytes, in hexadecimal.
    size : int
        Bytes.
    keeper : bytes
        Path in the album of the file that stays.
    keeper_digest : str
    reason : str
        Why they are duplicates: "equal bytes", or for example "pdq 12".
    exact : bool
        Whether they have the same bytes, which is then compared byte by byte.
    """

    path: bytes
    digest: str
    size: int
    keeper: bytes
    keeper_digest: str
    reason: str
    exact: bool

    def __post_init__(self) -> None:
        _check_path(self.path, "path")
        _check_path(self.keeper, "keeper")
        for name in ("digest", "keeper_digest"):
            own = getattr(self, name)
            if not isinstance(own, str) or not _DIGEST.fullmatch(own):
                _refuse(f"{name} must be 32 hexadecimal digits", own)
        if type(self.size) is not int or not 0 <= self.size < _MOST_SIZE:
            _refuse("size must be a number of bytes", self.size)
        if not isinstance(self.reason, str) or len(self.reason) > _LONGEST_REASON:
            _refuse(f"reason must be a text of at most {_LONGEST_REASON} characters", self.reason)
        if not isinstance(self.exact, bool):
            _refuse("exact must be true or false", self.exact)

    def to_dict(self) -> dict[str, Any]:
        """As it is in the file."""
        return path_dict(self.path) | {
            "digest": self.digest,
            "size": self.size,
            "keeper": path_dict(self.keeper),
            "keeper_digest": self.keeper_digest,
            "reason": self.reason,
            "exact": self.exact,
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """Which files of an album are to go.

    Attributes
    ----------
    album : Path
        The folder, as an absolute path.
    made : str
        When, in ISO 8601.
    removals : tuple of Removal
        Each file once.
    protected : tuple of bytes
        Reference folders, as paths in the album: nothing in them goes.

    Raises
    ------
    InvalidInput
        When a path leads out of the album, a file is to go twice, or a value cannot be.
    """

    album: Path
    made: str
    removals: tuple[Removal, ...]
    protected: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if not self.album.is_absolute() or "\0" in str(self.album):
            _refuse("album must be an absolute path", str(self.album))
        _check_time(self.made)
        for folder in self.protected:
            _check_path(folder, "protected", or_top=True)
        seen: set[bytes] = set()
        for removal in self.removals:
            if removal.path in seen:
                _refuse("a file may be named once", shown(removal.path))
            seen.add(removal.path)

    @classmethod
    def of(
        cls, album: Path, groups: Iterable[DuplicateGroup], protected: Sequence[bytes] = ()
    ) -> Plan:
        """All suggestions of some groups.

        Parameters
        ----------
        album : Path
            The folder.
        groups : iterable of DuplicateGroup
        protected : sequence of bytes
            Reference folders, as paths in the album.
        """
        return cls(
            Path(os.path.abspath(album)),  # noqa: PTH100  # links in it stay
            datetime.now(UTC).isoformat(timespec="seconds"),
            tuple(removal for group in groups for removal in _removals(group)),
            tuple(protected),
        )

    def __str__(self) -> str:
        exact = sum(removal.exact for removal in self.removals)
        text = (
            f"{len(self.removals):,} files of {self.album} are to go, {self.freed_bytes:,} bytes: "
            f"{exact:,} with the bytes of one that stays, {len(self.removals) - exact:,} that look "
            "like one"
        )
        return text + (f"; {len(self.protected):,} folders protected" if self.protected else "")

    @property
    def freed_bytes(self) -> int:
        """Of all files that are to go."""
        return sum(removal.size for removal in self.removals)

    # ---- as a file

    def to_json(self) -> str:
        """The text of its file."""
        facts = {
            "kind": _KIND,
            "format": FORMAT,
            "album": path_dict(os.fsencode(self.album)),
            "made": self.made,
            "protected": [path_dict(folder) for folder in self.protected],
            "removals": [removal.to_dict() for removal in self.removals],
        }
        return json.dumps(facts, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Plan:
        """Read the text of a file, and believe nothing of it.

        Raises
        ------
        InvalidInput
            When it is no plan, or says what a plan cannot.
        NewerFormat
            When a later version made it.
        """
        facts = _object(_parsed(text), ("kind", "format"), others=True)
        if facts["kind"] != _KIND or type(facts["format"]) is not int or facts["format"] < 1:
            _refuse(f'kind must be "{_KIND}", with a format', [facts["kind"], facts["format"]])
        if facts["format"] > FORMAT:
            raise NewerFormat(
                f"a plan must have format {FORMAT}; this one has {facts['format']}, of a later "
                "version of lookalike. Upgrade it, or make the plan anew."
            )
        names = ("kind", "format", "album", "made", "protected", "removals")
        _object(facts, names)
        return cls(
            Path(os.fsdecode(_path_in(facts["album"]))),
            facts["made"],
            tuple(_removal_in(entry) for entry in _list(facts["removals"])),
            tuple(_path_in(entry) for entry in _list(facts["protected"])),
        )

    def write(self, path: Path, *, replace: bool = False) -> None:
        """Write its file, whole or not at all.

        Raises
        ------
        WouldOverwrite
            When there is one, unless it may be replaced.
        """
        if not replace and os.path.lexists(path):
            raise WouldOverwrite(
                f"a plan must be written to a new file; got {path}, which exists. Choose another "
                "name, or pass replace=True."
            )
        beside = path.with_name(f".lookalike-{secrets.token_hex(8)}")
        try:
            with disk.create(beside) as file:
                disk.write(file, self.to_json().encode())
                disk.sync(file)
            disk.replace(beside, path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        disk.sync_folder(path.parent)

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Read a file; see :meth:`from_json`.

        Raises
        ------
        UnreadableFile
            When it cannot be read, or is too large.
        """
        try:
            with path.open("rb") as file:
                text = file.read(LARGEST_BYTES + 1)
        except OSError as error:
            raise UnreadableFile(
                f"a plan must be a file that can be read; got {path}: {error.strerror}. Check the "
                "path."
            ) from error
        if len(text) > LARGEST_BYTES:
            raise UnreadableFile(
                f"a plan must have at most {LARGEST_BYTES:,} bytes; {path} has more. Make several, "
                "for a folder each."
            )
        return cls.from_json(text)


def _removals(group: DuplicateGroup) -> Iterable[Removal]:
    keeper = group.keeper
    for member in suggestions(group):
        exact = member.content.digest == keeper.content.digest
        yield Removal(
            member.path,
            member.content.digest,
            member.content.size,
            keeper.path,
            keeper.content.digest,
            _EQUAL_BYTES if exact else _reason(member.link),
            exact,
        )


def _reason(link: Link | None) -> str:
    assert link is not None, "suggestions are linked to the keeper"
    return f"{link.encoder} {link.distance:g}"


def _check_path(path: bytes, name: str, *, or_top: bool = False) -> None:
    """A path that stays in the album, written in the one way that a walk finds."""
    if path == b"" and or_top:
        return
    parts = path.split(b"/")
    if b"\0" in path or not {b"", b".", b".."}.isdisjoint(parts):
        _refuse(f"{name} must be a path in the album, without '..'", shown(path))


def _check_time(made: object) -> None:
    try:
        datetime.fromisoformat(made)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        _refuse("made must be a time in ISO 8601", made)


def _parsed(text: str | bytes) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_without_repeats, parse_constant=_no_constant)
    except InvalidInput:
        raise
    except (ValueError, RecursionError) as error:
        raise InvalidInput(
            f"a plan must be one JSON object; got a text that is none: {error}. Make it anew with: "
            "lookalike duplicates --plan"
        ) from error


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two values by one name, readers differ in which they believe."""
    found = dict(pairs)
    if len(found) != len(pairs):
        _refuse("a name may be in an object once", [name for name, _ in pairs])
    return found


def _no_constant(name: str) -> NoReturn:
    _refuse("numbers must be finite", name)


def _object(value: Any, names: Sequence[str], *, others: bool = False) -> Mapping[str, Any]:
    """An object with these names, and no others."""
    if not isinstance(value, dict) or not set(names) <= set(value):
        _refuse(f"an object with {', '.join(names)} is expected", value)
    if not others and len(value) != len(names):
        _refuse(f"an object with {', '.join(names)} alone is expected", sorted(value))
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        _refuse("a list is expected", value)
    return value


def _removal_in(entry: Any) -> Removal:
    facts = dict(_object(entry, ("path",), others=True))
    own = {name: facts.pop(name) for name in ("path", "path_hex") if name in facts}
    names = ("digest", "size", "keeper", "keeper_digest", "reason", "exact")
    facts = dict(_object(facts, names))
    return Removal(**{**facts, "path": _path_in(own), "keeper": _path_in(facts["keeper"])})


def _path_in(entry: Any) -> bytes:
    """A path as :func:`path_dict` writes it; where both forms are there, they must agree."""
    has_hex = isinstance(entry, dict) and "path_hex" in entry
    facts = _object(entry, ("path", "path_hex") if has_hex else ("path",))
    if not all(isinstance(own, str) for own in facts.values()):
        _refuse("path must be a text", facts)
    try:
        path = bytes.fromhex(facts["path_hex"]) if has_hex else facts["path"].encode()
    except ValueError:  # half of a surrogate pair, or no hexadecimal digits
        _refuse("path must be UTF-8, and path_hex the bytes of one that is not", facts)
    if path_dict(path) != facts:
        _refuse("path and path_hex must say the same", facts)
    return path


def _refuse(expected: str, came: object) -> NoReturn:
    text = came if isinstance(came, str) else repr(came)
    text = text if len(text) <= _LONGEST_REASON else text[:_LONGEST_REASON] + "..."
    raise InvalidInput(
        f"a plan must be as lookalike writes it: {expected}; got {text!r}. Make it anew with: "
        "lookalike duplicates --plan"
    )
