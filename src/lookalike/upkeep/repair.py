"""Repairing an index on a disk: what is damaged is dropped, and nothing else.

Vectors whose bytes are as they were written are kept, and all that was built from them is built
again. Damaged files are never removed: they are set aside in the folder ``damaged`` of the index.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike.archive import OF_ROWS, Archive, layout_of, settings_of
from lookalike.engines.rows import Rows
from lookalike.layout import Layout
from lookalike.members import Members
from lookalike.planner.choice import planner_for
from lookalike.settings import Settings
from lookalike.snapshot import Snapshot
from lookalike.store.digest import ROWS_PER_DIGEST, digests_of_rows
from lookalike.store.folder import Damage, Folder, Progress
from lookalike.store.manifest import Segment

__all__ = ["Repaired", "repair"]

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Repaired:
    """What repairing an index has found and done.

    Attributes
    ----------
    path : str
    damages : tuple of str
        Files that were not as they were written; empty when nothing was done.
    lost_vectors : int
        Those that could not be read.
    lost_ids : tuple of int
        Their ids, where these can be read.
    notes : tuple of str
        What else is not as it was.
    vectors : int
        Members now.
    """

    path: str
    damages: tuple[str, ...]
    lost_vectors: int
    lost_ids: tuple[int, ...]
    notes: tuple[str, ...]
    vectors: int

    def __str__(self) -> str:
        if not self.damages:
            return f"{self.path}: {self.vectors:,} vectors, nothing to repair"
        lost = f"{self.lost_vectors:,} vectors are lost"
        if self.lost_ids:
            named = ", ".join(map(str, self.lost_ids[:_NAMED]))
            more = len(self.lost_ids) - _NAMED
            lost += f", those with ids {named}" + (f" and {more:,} more" if more > 0 else "")
        lines = [*self.damages, lost, *self.notes, f"{self.vectors:,} vectors are there"]
        return f"{self.path}: repaired\n" + "\n".join(f"  {line}" for line in lines)

    def to_dict(self) -> dict[str, Any]:
        """Of plain values, for JSON."""
        return {
            "path": self.path,
            "damages": list(self.damages),
            "lost_vectors": self.lost_vectors,
            "lost_ids": list(self.lost_ids),
            "notes": list(self.notes),
            "vectors": self.vectors,
        }


_NAMED = 10  # ids that are listed for people


def repair(
    path: str | os.PathLike[str], *, progress: Progress | None = None, threads: int = 1
) -> Repaired:
    """Drop what is damaged, and build again what follows from the vectors.

    Parameters
    ----------
    path : path
        Of an index.
    progress : callable, optional
        Called with the bytes that were checked and how many there are; False cancels.
    threads : int
        For what is built again.

    Returns
    -------
    Repaired
        What was lost: a damaged array of the plan loses nothing, damaged rows lose those of the
        blocks of 256 that are not as they were.

    Raises
    ------
    UnreadableFile
        When there is no index; ``CorruptStore`` when its manifest and the copy of it are damaged.
    Locked
        When somebody is changing the index.
    """
    folder, notes = Folder.recovered(Path(path))
    try:
        settings = settings_of(folder.manifest.index, folder.about)
        layout = layout_of(folder.manifest.index, settings, folder.about)
        damages = folder.damages(progress)
        if layout is None and notes:
            folder.commit(folder.manifest.index, ())
        if layout is None or not (damages or notes):
            archive = Archive(folder, mapped=True)
            state = archive.load()
            vectors = 0 if state is None else len(state.members)
            return Repaired(str(path), tuple(notes), 0, (), (), vectors)
        folder.set_aside(damages)
        salvage = _Salvage(folder, layout, damages)
        state = salvage.state(settings, threads)
        archive = Archive(folder, mapped=False)
        archive.commit(settings, state, whole=True, planned=lambda own: own)
    finally:
        folder.close()
    told = tuple(str(damage) for damage in damages)
    return Repaired(
        str(path),
        told or tuple(notes),
        salvage.lost_vectors,
        salvage.lost_ids,
        (*(notes if told else ()), *salvage.notes),
        len(state.members),
    )


class _Salvage:
    """Rows, ids and marks that can be read of a damaged index, segment by segment."""

    def __init__(self, folder: Folder, layout: Layout, damages: tuple[Damage, ...]) -> None:
        self._folder, self._layout = folder, layout
        self._damaged = {(damage.segment.name, damage.name) for damage in damages}
        self.notes: list[str] = []
        self.lost_vectors = 0
        self.lost_ids: tuple[int, ...] = ()
        self._rows = Rows(layout.width, layout.measure, layout.value_range, layout.scale)
        self._stride = self._rows.stride
        self._parts: list[npt.NDArray[np.uint8]] = []
        self._ids: list[Ids] = []
        self._good: list[npt.NDArray[np.bool_]] = []
        self._present: list[npt.NDArray[np.bool_]] = []
        self._removed: list[Ids] = []
        self._next_id = 0
        first = 0
        for segment in folder.manifest.segments:
            first += self._take(segment, first)

    def state(self, settings: Settings, threads: int) -> Snapshot:
        """What is left, planned anew."""
        layout = self._layout
        present = np.concatenate([np.empty(0, np.bool_), *self._present])
        for removed in self._removed:
            present[removed[removed < len(present)]] = False
        good = np.concatenate([np.empty(0, np.bool_), *self._good])
        lost = present & ~good
        whole = np.concatenate([np.empty((0, self._stride), np.uint8), *self._parts])
        ids = np.concatenate([np.empty(0, np.int64), *self._ids])
        kept = self._without_doubles(present & good, ids)
        self.lost_vectors = int(np.count_nonzero(lost))
        self.lost_ids = tuple(ids[lost & (ids >= 0)].tolist())
        memory = np.ascontiguousarray(whole[kept])
        how = layout.width, layout.measure, layout.value_range, layout.scale
        rows = Rows.of_memory(memory, len(memory), *how).taken(np.arange(len(memory)))
        members = Members(ids[kept], None, len(rows), self._next_id).compacted()
        state = Snapshot(layout, rows, members)
        if len(members):
            state.planner = planner_for(settings, layout.metric, layout, rows, threads)
        return state

    def _without_doubles(self, kept: npt.NDArray[np.bool_], ids: Ids) -> npt.NDArray[np.bool_]:
        """Of rows with one id the last: it was put in the place of those before it."""
        slots = np.flatnonzero(kept)[::-1]
        last = slots[np.unique(ids[slots], return_index=True)[1]]
        if len(last) < len(slots):
            self.notes.append(
                f"{len(slots) - len(last):,} vectors that had been replaced are dropped again"
            )
        once = np.zeros(len(kept), np.bool_)
        once[last] = True
        return once

    def _take(self, segment: Segment, first: int) -> int:
        """Take what can be read of a segment; how many rows it had."""
        count = int(segment.facts["rows"])
        self._next_id = int(segment.facts["next_id"])
        about = f"segment {segment.name}"
        plan = [n for s, n in sorted(self._damaged) if s == segment.name and n not in OF_ROWS]
        if plan:
            self.notes.append(f"{about}: the plan is built again ({', '.join(plan)})")
        whole, good = self._vectors(segment, count)
        ids = self._ids_of(segment, first, count)
        if ids is None:
            self.notes.append(f"{about}: its ids are damaged, and its vectors lost with them")
            good[:] = False
            ids = np.full(count, -1, np.int64)
        present = self._marks(segment, "present")
        removed = self._marks(segment, "removed")
        if removed is not None:
            self._removed.append(removed.astype(np.int64))
        self._parts.append(whole)
        self._good.append(good)
        self._ids.append(ids)
        self._present.append(np.ones(count, np.bool_) if present is None else present != 0)
        return count

    def _vectors(
        self, segment: Segment, count: int
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
        """The rows, zeros where they cannot be read, and which can."""
        whole, good = np.zeros((count, self._stride), np.uint8), np.zeros(count, np.bool_)
        if not count:
            return whole, good
        found = self._folder.salvaged(segment, "rows")
        rows = found[: len(found) // self._stride * self._stride].reshape(-1, self._stride)[:count]
        whole[: len(rows)] = rows
        if (segment.name, "rows") not in self._damaged:
            good[:] = True
        elif (segment.name, "row_digests") not in self._damaged:
            wanted = self._folder.salvaged(segment, "row_digests").view("<u8")
            same = digests_of_rows(whole) == wanted
            good = np.repeat(same, ROWS_PER_DIGEST)[:count]
            good[len(rows) :] = False
        return whole, good

    def _ids_of(self, segment: Segment, first: int, count: int) -> Ids | None:
        """The ids of a segment's rows; None where they cannot be read."""
        if "ids" not in segment.arrays:
            return np.arange(first, first + count, dtype=np.int64)
        if (segment.name, "ids") in self._damaged:
            return None
        return self._folder.salvaged(segment, "ids").view("<i8").astype(np.int64)

    def _marks(self, segment: Segment, name: str) -> npt.NDArray[Any] | None:
        """Which rows are there, or which were removed; None where it does not say."""
        if name not in segment.arrays:
            return None
        if (segment.name, name) in self._damaged:
            self.notes.append(
                f"segment {segment.name}: which vectors were removed is damaged, so that removed "
                "ones may be back"
            )
            return None
        return self._folder.salvaged(segment, name).view(segment.arrays[name].dtype)
