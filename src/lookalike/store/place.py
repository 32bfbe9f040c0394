"""What is in the folder of an index: the names that are its own, and what may be done with it."""

from __future__ import annotations

import re
from pathlib import Path

from lookalike.errors import CorruptStore, WouldOverwrite
from lookalike.store.open_segment import SEGMENTS

__all__ = [
    "COPY",
    "DAMAGED",
    "LOCK",
    "MANIFEST",
    "NEXT",
    "check_free",
    "check_replaceable",
    "is_index",
    "is_segment",
    "numbered",
]

MANIFEST, NEXT, COPY = "manifest.json", "manifest.next", "manifest.copy.json"
LOCK, DAMAGED = "writer.lock", "damaged"
_OWN = {MANIFEST, NEXT, COPY, LOCK, SEGMENTS}
_SEGMENT_NAME = re.compile(r"[0-9]{8,18}")
_NAMED = 3  # things in the way that are listed


def is_index(path: Path) -> bool:
    """Whether an index is in this folder: its manifest, or at least the copy of it."""
    return (path / MANIFEST).exists() or (path / COPY).exists()


def is_segment(folder: Path) -> bool:
    """Whether a folder has the name of a segment, and holds arrays alone."""
    if not _SEGMENT_NAME.fullmatch(folder.name) or folder.is_symlink() or not folder.is_dir():
        return False
    return all(there.suffix == ".npy" for there in folder.iterdir())


def numbered(path: Path) -> list[Path]:
    """What has the name of a segment in a folder, which need not be there."""
    if not path.is_dir():
        return []
    return sorted(there for there in path.iterdir() if _SEGMENT_NAME.fullmatch(there.name))


def check_free(path: Path, *, replace: bool = False, how: str = "pass replace=True") -> None:
    """Check that an index may be written to a folder.

    Parameters
    ----------
    path : Path
    replace : bool
        Whether there may be one already.
    how : str
        To have it replaced, as messages say it.

    Raises
    ------
    WouldOverwrite
        When something is there.
    """
    if is_index(path):
        if replace:
            return
        raise WouldOverwrite(
            f"an index must be saved to a folder that is not there yet; got {path}, where there "
            f"is one. Choose another, or {how}."
        )
    if path.exists() and not _is_left_over(path):
        raise WouldOverwrite(
            f"an index must be saved to a folder that is not there yet, or empty; got {path}, "
            "where there is something that is no index. Choose another."
        )


def check_replaceable(path: Path, error: CorruptStore) -> None:
    """Check that all in the folder of a damaged index is its own.

    Its manifest cannot tell: a file of that name may be anybody's.

    Parameters
    ----------
    path : Path
    error : CorruptStore
        What is wrong with the index.

    Raises
    ------
    WouldOverwrite
        When something may be somebody else's.
    """
    others = sorted(there.name for there in path.iterdir() if there.name not in {*_OWN, DAMAGED})
    for name in (SEGMENTS, DAMAGED):
        if (path / name).is_symlink() or ((path / name).exists() and not (path / name).is_dir()):
            others.append(name)
    if not others and not (path / SEGMENTS).exists():
        others.append(MANIFEST)
    elif not others:
        foreign = (own for own in sorted((path / SEGMENTS).iterdir()) if not is_segment(own))
        others += [f"{SEGMENTS}/{own.name}" for own in foreign]
    if others:
        raise WouldOverwrite(
            f"a damaged index must be alone in its folder to be replaced; got {error.what}, of "
            f"which {error.why}, and {', '.join(others[:_NAMED])}, which may be somebody's. Choose "
            "another folder, or move away what you want to keep and remove the rest."
        ) from error


def _is_left_over(path: Path) -> bool:
    """Whether a folder is empty, or has nothing but what a save that was cut off has left."""
    if not path.is_dir() or not {there.name for there in path.iterdir()} <= _OWN:
        return False
    segments = path / SEGMENTS
    return not segments.exists() or all(is_segment(there) for there in segments.iterdir())
