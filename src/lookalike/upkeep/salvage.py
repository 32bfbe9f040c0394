"""What can be read of a damaged index: rows, ids and marks, segment by segment."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike.archive import OF_ROWS, believing
from lookalike.engines.rows import Rows
from lookalike.layout import Layout
from lookalike.members import Members
from lookalike.snapshot import Snapshot
from lookalike.store.digest import ROWS_PER_DIGEST, digests_of_rows
from lookalike.store.folder import Damage, Folder, OpenSegment
from lookalike.store.named import array_of, count_of
from lookalike.upkeep.verification import faults_of

__all__ = ["Salvage"]

Ids = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Values = npt.NDArray[np.uint8]

_MOST_ROWS = 2**32 - 2  # that the core counts
_CHUNK = 1 << 16  # rows that are looked at together


class Salvage:
    """Reads what is left of an index; :meth:`state` makes one of it that is sound.

    Parameters
    ----------
    folder : Folder
    layout : Layout
    damages : iterable of Damage
        All files that are not as they were written.

    Attributes
    ----------
    notes : list of str
        What is not as it was, but for vectors that are lost.
    lost_vectors : int
        Members that cannot be read, or cannot be.
    lost_ids : tuple of int
        Their ids, where these can be read.
    drops : bool
        Whether anything that can be read is left out all the same.
    queries : ndarray or None
        Those that recall was calibrated on by the user.

    Raises
    ------
    CorruptStore
        When the manifest says what cannot be.
    """

    def __init__(self, folder: Folder, layout: Layout, damages: Iterable[Damage]) -> None:
        self._folder, self._layout = folder, layout
        self._damaged = {(damage.segment.name, damage.name) for damage in damages}
        self.notes: list[str] = []
        self.lost_vectors = 0
        self.lost_ids: tuple[int, ...] = ()
        self.drops = False
        self.queries: npt.NDArray[Any] | None = None
        self._rows = self._no_rows()
        self._parts: list[Values] = []
        self._ids: list[Ids] = []
        self._good: list[Mask] = []
        self._present: list[Mask] = []
        self._removed: list[Ids] = []
        self._next_id = 0
        first = 0
        with folder.opened(damaged=True) as segments, believing(folder.about):
            for segment in segments:
                first += self._take(segment, first)

    def state(self) -> Snapshot:
        """What is left, not planned yet."""
        present = np.concatenate([np.empty(0, np.bool_), *self._present])
        for removed in self._removed:
            present[removed] = False
        good = np.concatenate([np.empty(0, np.bool_), *self._good])
        whole = np.concatenate([np.empty((0, self._rows.stride), np.uint8), *self._parts])
        ids = np.concatenate([np.empty(0, np.int64), *self._ids])
        slots = np.flatnonzero(present & good)
        rows, sound = self._mended(whole, slots)
        good[slots[~sound]] = False
        self._count_lost(ids, present & ~good)
        slots, rows = self._without_doubles(slots[sound], rows, ids)
        own = ids[slots]
        next_id = max(self._next_id, int(own.max(initial=-1)) + 1)
        return Snapshot(self._layout, rows, Members(own, None, len(rows), next_id).compacted())

    def _count_lost(self, ids: Ids, lost: Mask) -> None:
        self.lost_vectors = int(np.count_nonzero(lost))
        self.lost_ids = tuple(ids[lost & (ids >= 0)].tolist())

    def _mended(self, whole: Values, slots: Ids) -> tuple[Rows, Mask]:
        """Some rows, packed anew where they are wrong; and which of these could be packed."""
        layout = self._layout
        how = layout.width, layout.measure, layout.value_range, layout.scale
        rows = Rows.of_memory(whole, len(whole), *how).taken(slots)
        sound = np.ones(len(rows), np.bool_)
        wrong = np.zeros(len(rows), np.bool_)
        for first in range(0, len(rows), _CHUNK):
            part = rows.view(first, min(first + _CHUNK, len(rows)))
            for mask in faults_of(part).values():
                wrong[first : first + len(part)] |= mask
        for at in np.flatnonzero(wrong).tolist():
            again = self._no_rows()
            try:
                again.append(np.ascontiguousarray(rows.view(at, at + 1).vectors))
                rows.array[at] = again.array[0]
            except ValueError:
                sound[at] = False
        if not sound.all():
            self.drops = True
            count = int(np.count_nonzero(~sound))
            self.notes.append(f"{count:,} vectors with values that cannot be are lost")
            rows = rows.taken(np.flatnonzero(sound))
        return rows, sound

    def _without_doubles(self, slots: Ids, rows: Rows, ids: Ids) -> tuple[Ids, Rows]:
        """Of rows with one id the last: it was put in the place of those before it."""
        last = len(slots) - 1 - np.unique(ids[slots][::-1], return_index=True)[1]
        if len(last) == len(slots):
            return slots, rows
        self.drops = True
        self.notes.append(
            f"{len(slots) - len(last):,} vectors with the id of a later one are dropped: it has "
            "taken their place"
        )
        last.sort()
        return slots[last], rows.taken(last)

    def _take(self, own: OpenSegment, first: int) -> int:
        """Take what can be read of a segment; how many rows it had."""
        facts = own.segment.facts
        count = count_of(facts, "rows", _MOST_ROWS)
        self._next_id = count_of(facts, "next_id", 2**63)
        self._tell_of_plan(own)
        whole, good = self._vectors(own, count)
        ids = self._ids_of(own, first, count)
        unknown = ids < 0
        if unknown.any():
            good[unknown] = False
            self.drops = True
        self._take_marks(own, first + count, count)
        self._parts.append(whole)
        self._good.append(good)
        self._ids.append(ids)
        return count

    def _tell_of_plan(self, own: OpenSegment) -> None:
        """Say which part of the plan is damaged, and take what does not follow from the rows."""
        name = own.segment.name
        plan = [array for of, array in sorted(self._damaged) if of == name and array not in OF_ROWS]
        if plan:
            self.notes.append(f"segment {name}: the plan is built again ({', '.join(plan)})")
        if "queries" in plan:
            self.notes.append(
                "the queries that the recall was calibrated on are damaged: it is calibrated on "
                "members now. Calibrate it again"
            )
        elif "queries" in own.files:
            self.queries = own.files["queries"].read()

    def _vectors(self, own: OpenSegment, count: int) -> tuple[Values, Mask]:
        """The rows, zeros where they cannot be read, and which can."""
        shape = count, self._rows.stride
        if not count:
            return np.empty(shape, np.uint8), np.empty(0, np.bool_)
        if not self._is_damaged(own, "rows"):
            rows = array_of({"rows": own.files["rows"].read()}, "rows", np.uint8, shape)
            return rows, np.ones(count, np.bool_)
        stored = own.segment.arrays["rows"]
        if (stored.dtype, stored.shape) != ("|u1", shape):
            raise ValueError(f"rows must have shape {shape}")
        found = self._folder.salvaged(own.segment, "rows", ROWS_PER_DIGEST * self._rows.stride)
        there = found[: len(found) // shape[1] * shape[1]].reshape(-1, shape[1])
        whole, good = np.zeros(shape, np.uint8), np.zeros(count, np.bool_)
        whole[: len(there)] = there
        if "row_digests" in own.files and not self._is_damaged(own, "row_digests"):
            blocks = -(-count // ROWS_PER_DIGEST)
            read = {"row_digests": own.files["row_digests"].read()}
            wanted = array_of(read, "row_digests", np.uint64, (blocks,))
            digests = digests_of_rows(there)
            same = digests == wanted[: len(digests)]
            good[: len(there)] = np.repeat(same, ROWS_PER_DIGEST)[: len(there)]
        return whole, good

    def _ids_of(self, own: OpenSegment, first: int, count: int) -> Ids:
        """The ids of a segment's rows; -1 where they cannot be read."""
        if "ids" not in own.segment.arrays:
            return np.arange(first, first + count, dtype=np.int64)
        about = f"segment {own.segment.name}"
        if self._is_damaged(own, "ids"):
            self.notes.append(f"{about}: its ids are damaged, and its vectors lost with them")
            return np.full(count, -1, np.int64)
        ids = array_of({"ids": own.files["ids"].read()}, "ids", np.int64, (count,))
        negative = int(np.count_nonzero(ids < 0))
        if negative:
            self.notes.append(f"{about}: {negative:,} vectors with a negative id are lost")
        return ids

    def _take_marks(self, own: OpenSegment, rows: int, count: int) -> None:
        """Which rows are there, and which of the rows so far were removed."""
        present = self._marks(own, "present", np.uint8, count)
        self._present.append(np.ones(count, np.bool_) if present is None else present != 0)
        removed = self._marks(own, "removed", np.int64, None)
        if removed is not None:
            possible = (removed >= 0) & (removed < rows)
            if not possible.all():
                self.notes.append(
                    f"segment {own.segment.name}: rows that are not there are told to be removed"
                )
            self._removed.append(removed[possible])

    def _marks(
        self, own: OpenSegment, name: str, dtype: Any, count: int | None
    ) -> npt.NDArray[Any] | None:
        """Marks of rows; None where there are none, or they cannot be read."""
        if name not in own.segment.arrays:
            return None
        if self._is_damaged(own, name):
            self.notes.append(
                f"segment {own.segment.name}: which vectors were removed is damaged, so that "
                "removed ones may be back"
            )
            return None
        return array_of({name: own.files[name].read()}, name, dtype, (count,))

    def _is_damaged(self, own: OpenSegment, name: str) -> bool:
        return (own.segment.name, name) in self._damaged

    def _no_rows(self) -> Rows:
        layout = self._layout
        return Rows(layout.width, layout.measure, layout.value_range, layout.scale)
