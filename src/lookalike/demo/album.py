"""The demonstration of albums: a small one is made, brought into step, searched and tidied up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookalike.album import Album
from lookalike.album.group import DuplicateGroup
from lookalike.album.matches import Matches
from lookalike.album.sync import Synced
from lookalike.demo.pictures import write_pictures

__all__ = ["AlbumResult", "run_album"]

_ENCODERS = ("pdq", "phash")
_QUERY = "camera/china.jpg"
_MIRRORED = "mirror/china.jpg"


@dataclass(frozen=True, slots=True)
class AlbumResult:
    """What the demonstration of albums has found.

    Attributes
    ----------
    folder : Path
        Of the pictures.
    synced : Synced
    query, mirrored : str
        Pictures that were searched for.
    found, found_mirrored : Matches
        What looks like the first; like the second, mirrored pictures included.
    groups : list of DuplicateGroup
        At the level "similar".
    """

    folder: Path
    synced: Synced
    query: str
    found: Matches
    mirrored: str
    found_mirrored: Matches
    groups: list[DuplicateGroup]

    def to_dict(self) -> dict[str, Any]:
        """As ``lookalike demo --pictures --json`` prints it."""
        return {
            "folder": str(self.folder),
            "sync": self.synced.to_dict(),
            "searches": [
                {"query": query, "matches": [match.to_dict() for match in found]}
                for query, found in (
                    (self.query, self.found),
                    (self.mirrored, self.found_mirrored),
                )
            ],
            "duplicates": [group.to_dict() for group in self.groups],
        }


def run_album(
    folder: Path, *, progress: Callable[[int, int | None], bool | None] | None = None
) -> tuple[Album, AlbumResult]:
    """Make an album of photographs and edits, bring it into step, and ask it.

    Parameters
    ----------
    folder : Path
        That is not there yet, or empty.
    progress : callable, optional
        As for :meth:`lookalike.album.Album.sync`.

    Returns
    -------
    Album, AlbumResult

    Raises
    ------
    WouldOverwrite
        When something is in the folder.
    MissingExtra
        When Pillow, or a package that brings photographs along, is not installed.
    """
    write_pictures(folder)
    album = Album(folder, encoders=_ENCODERS)
    return album, AlbumResult(
        folder,
        album.sync(progress=progress),
        _QUERY,
        album.search(_QUERY, k=8),
        _MIRRORED,
        album.search(_MIRRORED, k=3, flips=True),
        album.duplicates("similar"),
    )
