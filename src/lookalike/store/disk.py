"""Every way in which the store changes a disk, and nothing else.

A change is on the disk for good after :func:`sync` of the file and :func:`sync_folder` of the
folder that names it; until then a power cut may undo it, in any order. The tests put other
functions in the place of these, which record, refuse or die.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

__all__ = [
    "create",
    "link",
    "make_folder",
    "remove",
    "remove_folder",
    "replace",
    "sync",
    "sync_folder",
    "write",
]


def create(path: Path) -> BinaryIO:
    """A new file, to be written; an error if there is one already."""
    return path.open("xb", buffering=0)


def write(file: BinaryIO, data: bytes | memoryview) -> None:
    """Append all of these bytes."""
    rest = memoryview(data).cast("B")
    while rest:
        rest = rest[file.write(rest) :]


def sync(file: BinaryIO) -> None:
    """Return when the bytes of a file are on the disk."""
    os.fsync(file.fileno())


def make_folder(path: Path) -> None:
    """Make a folder, with those above it."""
    path.mkdir(parents=True, exist_ok=True)


def replace(source: Path, target: Path) -> None:
    """Rename a file or a folder, over what has that name: at once or not at all."""
    os.replace(source, target)  # noqa: PTH105  # tests put their own function here


def link(source: Path, target: Path) -> None:
    """Give a file a second name."""
    target.hardlink_to(source)


def sync_folder(path: Path) -> None:
    """Return when the names in a folder are on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file."""
    path.unlink()


def remove_folder(path: Path) -> None:
    """Remove an empty folder."""
    path.rmdir()
