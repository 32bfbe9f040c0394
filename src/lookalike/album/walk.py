"""A walk through the folders of an album: which files there are, and what could not be seen."""

from __future__ import annotations

import fnmatch
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from lookalike.album.catalog import Name, shown
from lookalike.errors import InvalidInput
from lookalike.pictures.jobs import Stamp

__all__ = ["ENDINGS", "HOME", "Found", "Rules", "Visit", "is_below", "walk"]

HOME = b".lookalike"  # the folder of an album's own files
_MOST = 10_000  # files of a visit: memory must not depend on how many a folder has
_OWN = b".lookalike-"  # what an act on a file has beside it until it has ended
ENDINGS = tuple(
    b"." + ending
    for ending in (
        b"jpg jpeg jpe jfif png webp gif bmp dib tif tiff ppm pgm pbm pnm heic heif avif"
    ).split()
)


@dataclass(frozen=True, slots=True)
class Rules:
    """Which files belong to an album.

    Attributes
    ----------
    include : tuple of str
        Patterns as of the shell; a file must match one. Without any, the endings of pictures.
    exclude : tuple of str
        Files and folders that match one do not belong to it.
    hidden : bool
        Whether those whose name begins with a dot do.
    links : bool
        Whether symbolic links are followed. Each folder is walked through once.

    Notes
    -----
    A pattern with a slash is matched with the path in the album, with and without a slash before
    it; one without with the name.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    hidden: bool = False
    links: bool = False

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Rules:
        """As they were remembered."""
        try:
            return cls(
                tuple(map(str, facts["include"])),
                tuple(map(str, facts["exclude"])),
                bool(facts["hidden"]),
                bool(facts["links"]),
            )
        except (KeyError, TypeError) as error:
            raise InvalidInput(
                f"the rules of an album must name what is included and excluded; got {facts!r}. "
                "Give them anew to sync."
            ) from error

    def to_facts(self) -> dict[str, Any]:
        """To be remembered."""
        return asdict(self)

    def in_words(self) -> str:
        """The patterns, as they were given."""
        own = {"include": self.include, "exclude": self.exclude}
        return ", ".join(
            f"{name}={', '.join(map(repr, patterns))}" for name, patterns in own.items() if patterns
        )

    def without_patterns(self) -> Rules:
        """Rules by which all files belong to an album that these may have meant."""
        return replace(self, include=("*",) if self.include else (), exclude=())

    def has_folder(self, path: bytes, name: bytes) -> bool:
        """Whether a folder is walked through."""
        if name == HOME or (not self.hidden and name.startswith(b".")):
            return False
        return not _matches(path, name, self.exclude)

    def has_file(self, path: bytes, name: bytes) -> bool:
        """Whether a file belongs to the album."""
        if name.startswith(_OWN if self.hidden else b"."):
            return False
        if self.include:
            is_wanted = _matches(path, name, self.include)
        else:
            is_wanted = name.lower().endswith(ENDINGS)
        return is_wanted and not _matches(path, name, self.exclude)


def _matches(path: bytes, name: bytes, patterns: tuple[str, ...]) -> bool:
    return any(
        fnmatch.fnmatchcase(shown(own), pattern)
        for pattern in patterns
        for own in ((path, b"/" + path) if "/" in pattern else (name,))
    )


def is_below(path: bytes, folder: bytes) -> bool:
    """Whether a path in the album is that of a folder, or of something in it."""
    return folder in (b"", path) or path.startswith(folder + b"/")


class Found(NamedTuple):
    """A file that was found."""

    stamp: Stamp
    is_link: bool


@dataclass(slots=True)
class Visit:
    """What one folder has, or a part of what a large one has.

    Attributes
    ----------
    folder : bytes
        In the album.
    is_last : bool
        Whether no other part of this folder follows.
    files : mapping of bytes to Found
        Those that belong to the album, by name.
    ignored : int
        Files that do not.
    links : int
        Symbolic links that were not followed.
    refused : list of (path, reason)
        What could not be looked at: this folder as a whole, or files.
    """

    folder: bytes
    files: dict[bytes, Found] = field(default_factory=dict)
    ignored: int = 0
    links: int = 0
    refused: list[tuple[bytes, str]] = field(default_factory=list)
    is_last: bool = True


def walk(root: bytes, rules: Rules) -> Iterator[Visit]:
    """Visit the folders of an album, each before those in it, in the order of their names.

    One of more than 10,000 files is visited several times, one after the other.

    Parameters
    ----------
    root : bytes
        Path of the album.
    rules : Rules
    """
    walked: set[tuple[int, int]] = set()  # folders, where links could lead to them again
    ahead = [b""]
    while ahead:
        visit, below = Visit(ahead.pop()), list[bytes]()
        try:
            for entry in _entries(root, visit.folder, rules, walked):
                if len(visit.files) == _MOST:
                    visit.is_last = False
                    yield visit
                    visit = Visit(visit.folder)
                _look(entry, visit, rules, below)
        except FileNotFoundError:
            if not visit.folder:
                raise
            below = []  # removed meanwhile
        except OSError as error:
            visit.refused.append((visit.folder, error.strerror or str(error)))
            below = []
        yield visit
        ahead += sorted(below, reverse=True)


def _entries(
    root: bytes, folder: bytes, rules: Rules, walked: set[tuple[int, int]]
) -> Iterator[os.DirEntry[bytes]]:
    """What a folder has; nothing where it was walked through already."""
    where = Name(root, folder).path if folder else root
    if rules.links:
        own = Path(shown(where)).stat()
        if (own.st_dev, own.st_ino) in walked:
            return
        walked.add((own.st_dev, own.st_ino))
    with os.scandir(where) as entries:
        yield from entries


def _look(entry: os.DirEntry[bytes], visit: Visit, rules: Rules, below: list[bytes]) -> None:
    """Take up one entry of a folder: in the visit, or among the folders below."""
    path = Name(visit.folder, entry.name).path
    if entry.is_symlink() and not rules.links:
        visit.links += 1
        return
    try:
        status = entry.stat()
    except FileNotFoundError:
        return  # removed just now, or a link to nothing
    except OSError as error:
        visit.refused.append((path, error.strerror or str(error)))
        return
    if stat.S_ISDIR(status.st_mode):
        if rules.has_folder(path, entry.name):
            below.append(path)
    elif stat.S_ISREG(status.st_mode) and rules.has_file(path, entry.name):
        visit.files[entry.name] = Found(Stamp.of(status), entry.is_symlink())
    else:
        visit.ignored += 1
