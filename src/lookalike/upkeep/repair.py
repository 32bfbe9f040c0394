"""Repairing an index on a disk: what is damaged is dropped, and nothing else.

Vectors whose bytes are as they were written are kept, and all that was built from them is built
again. Damaged files are never removed: they are set aside in the folder ``damaged`` of the index.
What is to be repaired is what :func:`verify` finds.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.archive import OF_ROWS, Archive, layout_of, settings_of
from lookalike.planner.cells import CellsPlanner
from lookalike.planner.choice import planner_for
from lookalike.settings import Settings
from lookalike.snapshot import Snapshot
from lookalike.store.folder import Folder, Progress
from lookalike.upkeep.salvage import Salvage
from lookalike.upkeep.verification import Findings, findings

__all__ = ["Repaired", "repair"]


@dataclass(frozen=True, slots=True)
class Repaired:
    """What repairing an index has found and done.

    Attributes
    ----------
    path : str
    damages : tuple of str
        What was not as it was written, as :func:`verify` says it; empty when nothing was done.
    lost_vectors : int
        Those that could not be read, or could not be.
    lost_ids : tuple of int
        Their ids, where these can be read.
    set_aside : tuple of str
        Segments in the folder ``damaged`` that the copy of a damaged manifest does not know of:
        of a change that is lost, or of one that was never finished.
    notes : tuple of str
        What else is not as it was.
    vectors : int
        Members now.
    """

    path: str
    damages: tuple[str, ...]
    lost_vectors: int
    lost_ids: tuple[int, ...]
    set_aside: tuple[str, ...]
    notes: tuple[str, ...]
    vectors: int

    def __str__(self) -> str:
        if not self.damages:
            return f"{self.path}: {self.vectors:,} vectors, nothing to repair"
        lines = [
            *self.damages,
            *(
                f"segment {name} is not in the index: it is of a change that came after the copy, "
                f"and is lost, or of one that was never finished. It is kept in damaged/{name}"
                for name in self.set_aside
            ),
            self._lost(),
            *self.notes,
            f"{self.vectors:,} vectors are there",
        ]
        return f"{self.path}: repaired\n" + "\n".join(f"  {line}" for line in lines)

    def _lost(self) -> str:
        count = f"{self.lost_vectors:,}" if self.lost_vectors else "no"
        lost = f"{count} vectors are lost"
        if self.set_aside:
            lost = f"of what the copy knows, {lost}"
        if self.lost_ids:
            named = ", ".join(map(str, self.lost_ids[:_NAMED]))
            more = len(self.lost_ids) - _NAMED
            lost += f", those with ids {named}" + (f" and {more:,} more" if more > 0 else "")
        return lost

    def to_dict(self) -> dict[str, Any]:
        """Of plain values, for JSON."""
        return {
            "path": self.path,
            "damages": list(self.damages),
            "lost_vectors": self.lost_vectors,
            "lost_ids": list(self.lost_ids),
            "set_aside": list(self.set_aside),
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
        When there is no index; ``CorruptStore`` when its manifest and the copy of it are damaged,
        or say what cannot be.
    Locked
        When somebody is changing the index.
    """
    folder, why = Folder.recovered(Path(path))
    try:
        settings = settings_of(folder.manifest.index, folder.about)
        layout = layout_of(folder.manifest.index, settings, folder.about)
        found = findings(folder, progress, threads)
        problems = found.problems
        if why:
            problems = (f"manifest.json: {why}; its copy is used", *problems)
        if not problems:
            return Repaired(str(path), (), 0, (), (), (), found.vectors)
        if layout is None:
            newer = folder.set_lost_aside()
            folder.commit(folder.manifest.index, ())
            return Repaired(str(path), problems, 0, (), newer, (), 0)
        salvage = Salvage(folder, layout, found.damages)
        state = _planned(salvage, settings, threads)
        _set_aside(folder, found, salvage)
        newer = folder.set_lost_aside()
        archive = Archive(folder, mapped=False)
        archive.commit(settings, state, whole=True, planned=lambda own: own)
    finally:
        folder.close()
    return Repaired(
        str(path),
        problems,
        salvage.lost_vectors,
        salvage.lost_ids,
        newer,
        tuple(salvage.notes),
        len(state.members),
    )


def _planned(salvage: Salvage, settings: Settings, threads: int) -> Snapshot:
    """What is left, planned anew, and for the queries of the user where there were any."""
    state = salvage.state()
    if not len(state.members):
        return state
    layout, rows = state.layout, state.rows
    state.planner = planner_for(settings, layout.metric, layout, rows, threads)
    queries = salvage.queries
    if queries is not None and isinstance(state.planner, CellsPlanner):
        dtype = np.float32 if rows.are_floats else np.uint8
        fits = queries.dtype == dtype and queries.shape == (len(queries), rows.width)
        if len(queries) and fits and rows.are_items(queries):
            state.planner = state.planner.calibrated(queries)
        else:
            salvage.notes.append("the queries that the recall was calibrated on cannot be")
    return state


def _set_aside(folder: Folder, found: Findings, salvage: Salvage) -> None:
    """Keep files that are damaged, and those that are not but of which vectors are left out."""
    for damage in found.damages:
        folder.set_aside(damage.segment, [damage.name])
    if salvage.drops:
        for segment in folder.manifest.segments:
            folder.set_aside(segment, [name for name in OF_ROWS if name in segment.arrays])
