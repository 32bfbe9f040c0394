"""What an album says of itself: what is in it, whether it is as it was written; mending it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lookalike import upkeep
from lookalike.album.decisions import count
from lookalike.errors import CorruptStore, UnreadableFile
from lookalike.index import Index

if TYPE_CHECKING:
    from lookalike.album.album import Album

__all__ = ["AlbumFacts", "AlbumRepaired", "AlbumVerified", "facts_of", "repaired", "verified"]


@dataclass(frozen=True, slots=True)
class AlbumFacts:
    """What is in an album.

    Attributes
    ----------
    path, home : str
        Of the pictures, and of the album's own files.
    files, pictures, contents, unreadable, bytes : int
        Files; those that are pictures; how many of these differ in their bytes; files that could
        not be read; bytes of all files.
    encoders : mapping of str to dict
        For each: its version, and vectors, engine, promise, thresholds and bytes of its index.
    rules : mapping
        Which files belong to it.
    decisions : int
    """

    path: str
    home: str
    files: int
    pictures: int
    contents: int
    unreadable: int
    bytes: int
    encoders: dict[str, dict[str, Any]]
    rules: dict[str, Any]
    decisions: int

    def to_dict(self) -> dict[str, Any]:
        """As ``lookalike info --json`` prints it."""
        return {"kind": "album"} | asdict(self)

    def __str__(self) -> str:
        lines = [
            f"album {self.path}",
            f"  pictures     {self.pictures:,} in {self.files:,} files, {self.contents:,} of them "
            f"different; {self.bytes:,} bytes",
        ]
        if self.unreadable:
            lines.append(f"  unreadable   {self.unreadable:,} files")
        for name, own in self.encoders.items():
            lines.append(
                f"  {name:<12} {own['vectors']:,} vectors, {own['engine'] or 'not planned yet'}; "
                f"near up to {own['near']:g}, similar up to {own['similar']:g}; "
                f"{own['bytes']:,} bytes"
            )
        if self.decisions:
            lines.append(f"  decisions    {self.decisions:,}")
        lines.append(f"  own files    {self.home}")
        return "\n".join(lines)


def facts_of(album: Album) -> AlbumFacts:
    """What is in an album, by its catalogue and the manifests of its indexes."""
    near, similar = (album.thresholds(level) for level in ("near", "similar"))
    encoders = {}
    made_by = album.catalog.fact("encoders", {})
    for name in album.encoders:
        album.check_has(name)
        own = upkeep.describe(album.folder_of(name))
        encoders[name] = {
            "version": _version(made_by, name),
            "vectors": own.vectors,
            "engine": own.engine,
            "promise": own.promise,
            "near": near[name],
            "similar": similar[name],
            "bytes": own.file_bytes,
        }
    return AlbumFacts(
        str(album.path),
        str(album.home),
        **album.catalog.count(),
        encoders=encoders,
        rules=album.catalog.fact("rules", {}),
        decisions=count(album.catalog),
    )


def _version(made_by: Any, name: str) -> str | None:
    """The version of an encoder that made an index; a catalogue may come from a stranger."""
    try:
        return str(made_by[name]["version"])
    except (KeyError, TypeError, IndexError):
        return None


@dataclass(frozen=True, slots=True)
class AlbumVerified:
    """Whether catalogue and indexes are as they were written.

    Attributes
    ----------
    path : str
    files, vectors : int
        That were checked.
    problems : tuple of str
        None when all is well.
    """

    path: str
    files: int
    vectors: int
    problems: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As ``lookalike verify --json`` prints it."""
        return {"kind": "album"} | asdict(self) | {"problems": list(self.problems)}

    def __str__(self) -> str:
        if not self.problems:
            return (
                f"album {self.path} is as it was written: {self.files:,} files, "
                f"{self.vectors:,} vectors"
            )
        return "\n".join([f"album {self.path} is damaged:", *(f"  {own}" for own in self.problems)])


def verified(
    album: Album, progress: Callable[[int, int], object] | None, threads: int
) -> AlbumVerified:
    """Read every byte of the catalogue and of the indexes of an album."""
    problems = [f"catalogue: {problem}" for problem in album.catalog.check()]
    vectors = 0
    for name in album.encoders:
        try:
            own = upkeep.verify(album.folder_of(name), progress=progress, threads=threads)
            index = album.index(name)
        except (CorruptStore, UnreadableFile) as error:
            problems.append(f"index of {name}: {error}")
            continue
        vectors += len(index)
        problems += [f"index of {name}: {problem}" for problem in own.problems]
        lacking = len(np.setdiff1d(album.catalog.ids_with(name), index.ids))
        if lacking:
            problems.append(f"index of {name}: {lacking:,} pictures are missing; sync adds them")
    return AlbumVerified(str(album.path), album.catalog.count()["files"], vectors, tuple(problems))


@dataclass(frozen=True, slots=True)
class AlbumRepaired:
    """What was mended in the indexes of an album.

    Attributes
    ----------
    path : str
    indexes : mapping of str to str
        By encoder: what was done, in words.
    lacking : int
        Pictures whose vectors are missing now; the next sync encodes them again.
    """

    path: str
    indexes: dict[str, str]
    lacking: int

    def to_dict(self) -> dict[str, Any]:
        """As ``lookalike repair --json`` prints it."""
        return {"kind": "album"} | asdict(self)

    def __str__(self) -> str:
        lines = [f"album {self.path}"]
        lines += [f"  {name}: {text}" for name, text in self.indexes.items()]
        if self.lacking:
            lines.append(f"  {self.lacking:,} pictures are to be encoded again: run sync")
        return "\n".join(lines)


def repaired(
    album: Album, progress: Callable[[int, int], object] | None, threads: int
) -> AlbumRepaired:
    """Mend the indexes of an album. What cannot be mended is made anew by the next sync."""
    told, lacking = {}, 0
    for name in album.encoders:
        folder = album.folder_of(name)
        wanted = album.catalog.ids_with(name)
        try:
            told[name] = str(upkeep.repair(folder, progress=progress, threads=threads))
            lacking += len(np.setdiff1d(wanted, Index.open(folder).ids))
        except (CorruptStore, FileNotFoundError) as error:
            shutil.rmtree(folder, ignore_errors=True)  # nothing is in it but what pictures give
            told[name] = f"was beyond repair, and is made anew by the next sync: {error}"
            lacking += len(wanted)
    return AlbumRepaired(str(album.path), told, lacking)
