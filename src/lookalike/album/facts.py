"""What an album says of itself: what is in it, and whether it is as it was written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lookalike import upkeep
from lookalike.errors import CorruptStore, UnreadableFile

if TYPE_CHECKING:
    from lookalike.album.album import Album

__all__ = ["AlbumFacts", "AlbumVerified", "facts_of", "verified"]


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
        For each: vectors, engine, promise, thresholds and bytes of its index.
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
    for name in album.encoders:
        own = upkeep.describe(album.folder_of(name))
        encoders[name] = {
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
        decisions=len(album.decisions()),
    )


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
