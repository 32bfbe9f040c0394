"""The arrays of a segment, opened; and what of them is not what was written."""

from __future__ import annotations

import os
from typing import NamedTuple

from lookalike.errors import CorruptStore
from lookalike.store.array_file import ArrayFile
from lookalike.store.manifest import Segment
from lookalike.store.reading import open_folder

__all__ = ["SEGMENTS", "Damage", "OpenSegment", "open_segment"]

SEGMENTS = "segments"  # the folder of them


class Damage(NamedTuple):
    """A file that is not what was written."""

    segment: Segment
    name: str
    why: str

    def __str__(self) -> str:
        return f"segment {self.segment.name}, array {self.name}: {self.why}"


class OpenSegment:
    """The arrays of a segment, opened: they stay readable when their names are removed.

    Attributes
    ----------
    segment : Segment
    about : str
        How messages name it.
    files : mapping of str to ArrayFile
    damages : list of Damage
        Of the arrays that are missing or something else, and therefore not in ``files``.

    Raises
    ------
    UnreadableFile
        When the system refuses to open a file for a reason of its own.
    """

    def __init__(self, root: int, segment: Segment, about: str) -> None:
        self.segment = segment
        self.files: dict[str, ArrayFile] = {}
        self.damages: list[Damage] = []
        self.about = f"{about}, segment {segment.name}"
        try:
            folder = open_segment(segment.name, root, self.about)
        except CorruptStore as error:
            self.damages = [Damage(segment, name, error.why) for name in segment.arrays]
            return
        try:
            for name in segment.arrays:
                self._open(folder, name)
        except BaseException:
            self.close()
            raise
        finally:
            os.close(folder)

    def _open(self, folder: int, name: str) -> None:
        own = f"{self.about}, array {name}"
        try:
            self.files[name] = ArrayFile(folder, f"{name}.npy", own, self.segment.arrays[name])
        except CorruptStore as error:
            self.damages.append(Damage(self.segment, name, error.why))

    def close(self) -> None:
        """Close all files; arrays that are mapped stay."""
        for file in self.files.values():
            file.close()


def open_segment(name: str, root: int, about: str) -> int:
    """Descriptor of the folder of a segment; no link is followed on the way.

    Raises
    ------
    CorruptStore, UnreadableFile
        When it is none, or cannot be opened.
    """
    segments = open_folder(SEGMENTS, root, about)
    try:
        return open_folder(name, segments, about)
    finally:
        os.close(segments)
