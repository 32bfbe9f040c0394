"""Verifying an index on a disk: every byte, and what has to be true of what they say."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.archive import Archive
from lookalike.engines.rows import Rows
from lookalike.errors import CorruptStore
from lookalike.members import Members
from lookalike.native import Measure
from lookalike.snapshot import Snapshot
from lookalike.store.digest import digests_of_rows
from lookalike.store.folder import Folder, Progress

__all__ = ["Verified", "verify"]

_CHUNK = 1 << 16  # rows that are looked at together
_CLOSE = 1e-5  # of 1: how well a length fits its vector


@dataclass(frozen=True, slots=True)
class Verified:
    """What verifying an index has found.

    Attributes
    ----------
    path : str
    problems : tuple of str
        What is wrong; empty for an index that is as it was written.
    checked_bytes : int
    vectors : int
        Members, as far as they can be told.
    """

    path: str
    problems: tuple[str, ...]
    checked_bytes: int
    vectors: int

    def __str__(self) -> str:
        if not self.problems:
            return (
                f"{self.path}: {self.vectors:,} vectors, {self.checked_bytes:,} bytes, all as they "
                "were written"
            )
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        return f"{self.path}: not as it was written\n{lines}"

    def to_dict(self) -> dict[str, Any]:
        """Of plain values, for JSON."""
        return {
            "path": self.path,
            "problems": list(self.problems),
            "checked_bytes": self.checked_bytes,
            "vectors": self.vectors,
        }


def verify(
    path: str | os.PathLike[str], *, progress: Progress | None = None, threads: int = 1
) -> Verified:
    """Check every digest, and every invariant of what is stored.

    Parameters
    ----------
    path : path
        Of an index.
    progress : callable, optional
        Called with the bytes that were checked and how many there are; False cancels.
    threads : int
        For what is computed anew to be compared.

    Returns
    -------
    Verified
        With all that is wrong, and not only the first.

    Raises
    ------
    UnreadableFile
        When there is no index, or ``NewerFormat`` when a later version wrote it.
    """
    try:
        folder = Folder(Path(path), writing=False)
    except CorruptStore as error:
        return Verified(str(path), (f"{error.what}: {error.why}",), 0, 0)
    problems = [str(damage) for damage in folder.damages(progress)]
    checked = sum(segment.file_bytes for segment in folder.manifest.segments)
    vectors = 0
    if not problems:
        archive = Archive(folder, mapped=True)
        try:
            state = archive.load()
        except CorruptStore as error:
            return Verified(str(path), (f"{error.what}: {error.why}",), checked, 0)
        if state is not None:
            vectors = len(state.members)
            problems = [
                *_wrong_digests(folder),
                *_wrong_members(state.members),
                *_wrong_rows(state.rows),
                *_wrong_plan(state, threads),
            ]
    return Verified(str(path), tuple(problems), checked, vectors)


def _wrong_digests(folder: Folder) -> Iterator[str]:
    """Digests of rows that do not fit these: repair would drop the rows."""
    with folder.opened() as segments:
        for segment in segments:
            if {"rows", "row_digests"} <= set(segment.files):
                rows = segment.files["rows"].mapped()
                digests = segment.files["row_digests"].mapped()
                if rows.ndim != 2 or not np.array_equal(digests_of_rows(rows), digests):
                    yield f"segment {segment.segment.name}, array row_digests: not of the rows"


def _wrong_members(members: Members) -> Iterator[str]:
    ids, present = members.own_ids, members.present
    if present is not None and present.max(initial=0) > 1:
        yield "present: marks must be 0 or 1"
    if ids is None:
        if members.next_id < members.rows:
            yield "next_id: it is smaller than an id"
        return
    own = members.ids
    if len(own) and own.min() < 0:
        yield "ids: some are negative"
    if len(np.unique(own)) < len(own):
        yield "ids: two members have the same"
    if len(ids) and int(ids.max()) >= members.next_id:
        yield "next_id: it is not larger than all ids"
    if members.ascending != bool((ids[1:] > ids[:-1]).all()):
        yield "ids: whether they ascend is told wrongly"


def _wrong_rows(rows: Rows) -> Iterator[str]:
    for first in range(0, len(rows), _CHUNK):
        part = rows.view(first, min(first + _CHUNK, len(rows)))
        yield from (
            f"rows from number {first:,}: {what}"
            for what in (_wrong_floats(part) if part.are_floats else _wrong_bytes(part))
        )


def _wrong_bytes(rows: Rows) -> Iterator[str]:
    if rows.array[:, rows.width :].any():
        yield "padding is not zero"
    if rows.measure != Measure.differing_bits and int(rows.vectors.max(initial=0)) > rows.limit:
        yield f"a value is larger than {rows.limit}"


def _wrong_floats(rows: Rows) -> Iterator[str]:
    values = rows.floats
    angles = rows.measure == Measure.float_angles
    if values[:, rows.width : values.shape[1] - angles].any():
        yield "padding is not zero"
    if not np.isfinite(values).all():
        yield "a value is not finite"
    elif angles:
        lengths = np.sqrt(np.einsum("ij,ij->i", values[:, :-1], values[:, :-1], dtype=np.float64))
        if (np.abs(lengths * values[:, -1] - 1.0) > _CLOSE).any():
            yield "a length does not fit its vector"


def _wrong_plan(state: Snapshot, threads: int) -> list[str]:
    if state.plan is None or not len(state.members):
        return []
    return [f"plan: {problem}" for problem in state.plan.check(threads)]
