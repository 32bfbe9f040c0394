"""Verifying an index on a disk: every byte, and what has to be true of what they say."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike.archive import Archive
from lookalike.engines.rows import Rows
from lookalike.errors import CorruptStore
from lookalike.members import Members
from lookalike.native import Measure
from lookalike.snapshot import Snapshot
from lookalike.store.digest import digests_of_rows
from lookalike.store.folder import Damage, Folder, Progress

__all__ = ["Findings", "Verified", "faults_of", "findings", "verify"]

Mask = npt.NDArray[np.bool_]

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
    try:
        found = findings(folder, progress, threads)
    except CorruptStore as error:
        return Verified(str(path), (f"{error.what}: {error.why}",), 0, 0)
    checked = sum(segment.file_bytes for segment in folder.manifest.segments)
    return Verified(str(path), found.problems, checked, found.vectors)


class Findings(NamedTuple):
    """What is wrong with an index on a disk."""

    damages: tuple[Damage, ...]  # files that are not what was written
    contradictions: tuple[str, ...]  # of files that are; not looked for where any is damaged
    vectors: int

    @property
    def problems(self) -> tuple[str, ...]:
        """All that is wrong, in words."""
        return (*map(str, self.damages), *self.contradictions)


def findings(folder: Folder, progress: Progress | None, threads: int) -> Findings:
    """What is wrong with one snapshot of an index, whoever changes it meanwhile.

    Parameters
    ----------
    folder : Folder
    progress, threads
        As above.
    """
    with folder.opened(damaged=True):
        damages = folder.damages(progress)
        if damages:
            return Findings(damages, (), 0)
        try:
            state = Archive(folder, mapped=True).load()
            if state is None:
                return Findings((), (), 0)
            contradictions = (
                *_wrong_digests(folder),
                *_wrong_members(state.members),
                *_wrong_rows(state.rows),
                *_wrong_plan(state, threads),
            )
        except CorruptStore as error:
            return Findings((), (f"{error.what}: {error.why}",), 0)
        return Findings((), contradictions, len(state.members))


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
        faults = faults_of(rows.view(first, min(first + _CHUNK, len(rows))))
        yield from (f"rows from number {first:,}: {what}" for what in faults)


def faults_of(rows: Rows) -> dict[str, Mask]:
    """What is wrong with rows, and with which of them.

    Parameters
    ----------
    rows : Rows
        Not too many, as their values are looked at together.
    """
    faults = _faults_of_floats(rows) if rows.are_floats else _faults_of_bytes(rows)
    return {what: mask for what, mask in faults.items() if mask.any()}


def _faults_of_bytes(rows: Rows) -> dict[str, Mask]:
    faults = {"padding is not zero": _any(rows.array[:, rows.width :])}
    if rows.measure != Measure.differing_bits:
        faults[f"a value is larger than {rows.limit}"] = _any(rows.vectors > rows.limit)
    return faults


def _faults_of_floats(rows: Rows) -> dict[str, Mask]:
    values = rows.floats
    angles = rows.measure == Measure.float_angles
    padding = values[:, rows.width : values.shape[1] - angles]
    finite = ~_any(~np.isfinite(values))
    faults = {"padding is not zero": _any(padding), "a value is not finite": ~finite}
    if angles:
        vectors, lengths = values[:, :-1], values[:, -1]
        with np.errstate(all="ignore"):  # of what is not finite
            own = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))
            faults["a length does not fit its vector"] = finite & ~(
                np.abs(own * lengths - 1.0) <= _CLOSE
            )
    faults["values are too large to be compared"] = finite & ~_fit(rows, finite)
    return faults


def _any(values: npt.NDArray[Any]) -> Mask:
    """In which rows anything is not zero."""
    return np.asarray(values.any(axis=1), np.bool_)


def _fit(rows: Rows, finite: Mask) -> Mask:
    """Which rows the core takes for items."""
    vectors = np.where(finite[:, None], rows.vectors, np.float32(1.0))
    if rows.are_items(vectors):
        return np.ones(len(rows), np.bool_)
    return np.array([rows.are_items(vectors[at : at + 1]) for at in range(len(rows))])


def _wrong_plan(state: Snapshot, threads: int) -> list[str]:
    if state.plan is None or not len(state.members):
        return []
    return [f"plan: {problem}" for problem in state.plan.check(threads)]
