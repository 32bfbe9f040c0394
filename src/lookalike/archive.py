"""An index in a folder: states become segments, and segments a state.

The first segment, the *base*, holds rows, ids and what was learned and built for them. Each change
after it adds a *tail*: the rows that came, and the numbers of the rows that were removed. Tails are
merged by tiers, as the digits of a number are carried: eight of one level make one of the next.
When the tails are together half as large as the base, all become a new base. So a row is written
some few times however many changes there are, and an opened index has few segments.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike import native
from lookalike.engines.rows import Rows, aligned_rows
from lookalike.errors import CorruptStore, UnreadableFile
from lookalike.layout import Layout
from lookalike.members import Ids, Mask, Members
from lookalike.metrics import metric_named
from lookalike.native import Measure
from lookalike.planner.choice import restored_planner
from lookalike.planner.planner import PLANNED_K, Planner
from lookalike.settings import Settings
from lookalike.snapshot import Snapshot
from lookalike.store.array_file import unmappable
from lookalike.store.digest import digests_of_rows
from lookalike.store.folder import Folder, OpenSegment, Progress, Progressing
from lookalike.store.manifest import Facts, Segment
from lookalike.store.named import Stored, array_of, count_of, number_of

__all__ = ["OF_ROWS", "Archive", "believing", "index_facts", "layout_of", "settings_of"]

OF_ROWS = ("rows", "row_digests", "ids", "present", "removed")  # all else is of the plan
_TIER = 8  # tails of one level that become one of the next
_LEAST_BASE_BYTES = 1 << 24  # of tails, before they become a base
_TAILS_SHARE = 2  # of the base, that tails may be together
_LEAST_ROOM_BYTES = 1 << 26  # of address space behind rows that others may be added to

_MOST_HASHING = 2**28  # values of all hash functions, which are drawn anew when they are needed
_MOST_ROWS = 2**32 - 2  # that the core counts

# What reading facts of strangers raises, where they cannot be.
_IMPOSSIBLE = (ValueError, TypeError, KeyError, IndexError, OverflowError, AttributeError)


def index_facts(settings: Settings, layout: Layout | None) -> dict[str, Any]:
    """What the manifest says of an index as a whole."""
    own = asdict(settings)
    if settings.encoder is None:
        del own["encoder"]
    return {
        "settings": own,
        "layout": None
        if layout is None
        else {
            "measure": layout.measure.name,
            "item_shape": list(layout.item_shape),
            "value_range": layout.value_range,
            "width_bits": layout.width_bits,
            "scale": layout.scale,
            "came_as": layout.came_as,
        },
    }


def settings_of(facts: Facts, about: str) -> Settings:
    """The settings in a manifest.

    Raises
    ------
    CorruptStore
        When they cannot be.
    """
    with believing(about):
        own = dict(facts["settings"])
        if own["seed"] is None:
            raise ValueError("a seed must be known")
        metric = metric_named(own.pop("metric"))
        return Settings.checked(metric.name, **own)


def layout_of(facts: Facts, settings: Settings, about: str) -> Layout | None:
    """The layout in a manifest; None where nothing was added yet.

    Raises
    ------
    CorruptStore
        When it cannot be.
    """
    own = facts.get("layout")
    if own is None:
        return None
    with believing(about):
        layout = Layout(
            metric_named(settings.metric),
            Measure[own["measure"]],
            tuple(own["item_shape"]),
            count_of(own, "value_range", 255),
            None if own["width_bits"] is None else count_of(own, "width_bits"),
            number_of(own, "scale"),
            own["came_as"],
        )
        layout.check()
        if layout.width_bits is not None and layout.value_range != 255:
            raise ValueError("packed bits are bytes of any value")
        if settings.bits is not None and settings.tables is not None:
            values = 1 if layout.width_bits is not None else layout.width
            if settings.bits * settings.tables * values > _MOST_HASHING:
                raise ValueError("there cannot be so many hash functions")
        return layout


class believing:  # noqa: N801  # reads as a statement
    """Turn what cannot be into an error that says so."""

    def __init__(self, about: str) -> None:
        self._about = about

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, _IMPOSSIBLE) and not isinstance(error, CorruptStore):
            raise CorruptStore(self._about, f"it says what cannot be: {error}") from error


@dataclass(frozen=True, slots=True)
class _BasePlan:
    """The planner that was stored with a base."""

    settings: Settings
    layout: Layout
    rows: Rows
    present: Mask | None
    stored: Stored
    about: str

    @property
    def engine(self) -> str:
        """Name of the engine."""
        return str(self.stored.facts.get("planner"))

    def check(self, threads: int) -> list[str]:
        """What does not follow from the rows of the base."""
        try:
            return self.planner(self.rows, self.present, threads).check()
        except CorruptStore as error:
            return [str(error.why)]

    def planner(self, rows: Rows, present: Mask | None, threads: int) -> Planner:
        """The planner of these rows, which begin with those of the base."""
        same = len(rows) == len(self.rows) and present is self.present
        with believing(self.about):
            planner = restored_planner(
                self.settings,
                self.layout.metric,
                self.layout,
                rows.view(0, len(self.rows)),
                self.present,
                self.stored,
                threads,
            )
            return planner if same else planner.changed(rows, present, threads)


class _Tail(NamedTuple):
    """A segment after the base."""

    segment: Segment
    first: int  # of its rows
    removed: Ids


class Archive:
    """The states of an index, on a disk.

    Parameters
    ----------
    folder : Folder
    mapped : bool
        Leave rows and what was built on the disk, to be read when they are used.
    """

    def __init__(self, folder: Folder, *, mapped: bool) -> None:
        self.folder = folder
        self.mapped = mapped
        self._saved: Snapshot | None = None  # the state that the manifest describes
        self._base: Segment | None = None
        self._tails: list[_Tail] = []

    @property
    def _base_rows(self) -> int:
        return 0 if self._base is None else int(self._base.facts["rows"])

    # ---- reading

    @property
    def settings(self) -> Settings:
        """Of the index."""
        return settings_of(self.folder.manifest.index, self.folder.about)

    def load(self, *, whole: bool = False, progress: Progress | None = None) -> Snapshot | None:
        """The newest state on the disk; None before the first batch.

        Parameters
        ----------
        whole : bool
            Check every byte, and not only lengths, headers and ends.
        progress : callable, optional

        Raises
        ------
        CorruptStore
        """
        with self.folder.opened() as segments:
            told = Progressing(progress, sum(s.segment.file_bytes for s in segments))
            for segment in segments:
                for file in segment.files.values():
                    if whole:
                        file.check_whole(told)
                    else:
                        file.check_ends()
            about = self.folder.about
            layout = layout_of(self.folder.manifest.index, self.settings, about)
            with believing(about):
                try:
                    self._saved = None if layout is None else self._state(segments, layout)
                except MemoryError as error:
                    raise UnreadableFile(
                        f"{about} must fit the memory; it has {self.folder.file_bytes:,} bytes. "
                        "Open it with map=True, or where there is more."
                    ) from error
        return self._saved

    def _state(self, segments: list[OpenSegment], layout: Layout) -> Snapshot:
        counts = [_row_count(segment) for segment in segments]
        bases = [segment.segment.facts.get("kind") == "base" for segment in segments]
        if any(bases[1:]):
            raise ValueError("only the first segment can be a base")
        base = segments[0] if bases and bases[0] else None
        rows = self._rows(segments, counts, base, layout)
        members = _members(segments, counts, base, self.mapped)
        self._base = None if base is None else base.segment
        self._tails = _tails(segments, counts, base)
        plan = None
        if base is not None and base.segment.facts.get("plan") is not None:
            plan = self._plan(base, layout, rows, members)
        return Snapshot(layout, rows, members, plan=plan)

    def _rows(
        self,
        segments: list[OpenSegment],
        counts: list[int],
        base: OpenSegment | None,
        layout: Layout,
    ) -> Rows:
        """All rows, one behind the other in memory: those of the base are read when used."""
        how = layout.width, layout.measure, layout.value_range, layout.scale
        total, stride = sum(counts), Rows(*how).stride
        if total > _MOST_ROWS:
            raise ValueError(f"there cannot be {total:,} rows")
        for segment, count in zip(segments, counts, strict=True):
            if count and segment.files["rows"].stored.shape[1] != stride:
                raise ValueError(f"rows have {stride} bytes")
        if self.mapped and base is not None and counts[0]:
            file = base.files["rows"]
            if total == counts[0] and not self.folder.is_writing:
                return Rows.of_memory(file.mapped(), total, *how)
            room = total + max(counts[0], _LEAST_ROOM_BYTES // stride)
            header = file.header_bytes
            try:
                memory = native.map_file(
                    file.descriptor, file.stored.file_bytes, header + room * stride
                )
            except RuntimeError as error:  # of the system
                raise unmappable(file.about, error) from error
            memory = memory[header:].reshape(room, stride)
            late = 1
        else:
            memory, late = aligned_rows(total, stride), 0
        first = sum(counts[:late])
        for segment, count in zip(segments[late:], counts[late:], strict=True):
            if count:
                segment.files["rows"].read(memory[first : first + count])
            first += count
        return Rows.of_memory(memory, total, *how)

    def _plan(self, base: OpenSegment, layout: Layout, rows: Rows, members: Members) -> _BasePlan:
        arrays = {name: self._array(base, name) for name in base.files if name not in OF_ROWS}
        facts = dict(base.segment.facts["plan"])
        present = None
        if "present" in base.files:
            present = base.files["present"].read()
        own = rows.view(0, self._base_rows)
        if len(self._tails) == 0:
            present = members.present  # the very same, so that nothing seems to have changed
        return _BasePlan(self.settings, layout, own, present, Stored(facts, arrays), base.about)

    def _array(self, segment: OpenSegment, name: str) -> npt.NDArray[Any]:
        file = segment.files[name]
        return file.mapped() if self.mapped else file.read()

    # ---- writing

    def commit(
        self,
        settings: Settings,
        state: Snapshot,
        *,
        whole: bool = False,
        planned: Callable[[Snapshot], Snapshot],
        progress: Progress | None = None,
    ) -> Snapshot:
        """Make a state that of the disk, for good.

        Parameters
        ----------
        settings : Settings
        state : Snapshot
        whole : bool
            Write everything anew, and not only what has changed.
        planned : callable
            Gives a state of the same members with its planner, to be kept with a base.
        progress : callable, optional

        Returns
        -------
        Snapshot
            The state to search: its rows may be on the disk now.

        Raises
        ------
        NotWritten, Locked, ReadOnly
            The disk is as it was.
        """
        saved = self._saved
        if (
            whole
            or (saved is not None and state.layout != saved.layout)
            or (saved is not None and state.store is not saved.store)
            or self._tails_are_large(state)
        ):
            return self._checkpoint(settings, planned(state), progress)
        self._append(settings, state, saved)
        self._saved = state
        return state

    def _tails_are_large(self, state: Snapshot) -> bool:
        stride = state.rows.stride
        late = (state.members.rows - self._base_rows) * stride
        return late > max(_LEAST_BASE_BYTES, self._base_rows * stride // _TAILS_SHARE)

    def _checkpoint(
        self, settings: Settings, state: Snapshot, progress: Progress | None
    ) -> Snapshot:
        """Write everything as a new base, and take it up from there."""
        members = state.members
        rows = state.rows.array
        arrays: dict[str, npt.NDArray[Any]] = {"rows": rows, "row_digests": digests_of_rows(rows)}
        if members.own_ids is not None:
            arrays["ids"] = members.own_ids
        if members.present is not None:
            arrays["present"] = members.present
        facts: dict[str, Any] = {
            "kind": "base",
            "rows": members.rows,
            "members": len(members),
            "next_id": members.next_id,
            "ascending": members.ascending,
            "plan": None,
            "described": None,
        }
        if state.planner is not None:
            # First, because it works out what a search takes, which is then stored too.
            facts["described"] = _described(state.planner, settings)
            stored = state.planner.stored()
            arrays |= stored.arrays
            facts["plan"] = stored.facts
        folder = self.folder
        segment = folder.write_segment(folder.manifest.next_segment, facts, arrays, progress)
        folder.commit(index_facts(settings, state.layout), (segment,))
        if not self.mapped:
            self._saved, self._base, self._tails = state, segment, []
            return state
        loaded = self.load()
        assert loaded is not None
        return loaded

    def _append(self, settings: Settings, state: Snapshot, saved: Snapshot | None) -> None:
        """Write what has changed, together with the tails that are carried."""
        first = 0 if saved is None else saved.members.rows
        removed = _newly_removed(state.members, None if saved is None else saved.members)
        if first == state.members.rows and not len(removed):
            return
        kept, level = list(self._tails), 0
        while len(kept) >= _TIER - 1 and all(
            tail.segment.facts["level"] == level for tail in kept[1 - _TIER :]
        ):
            carried = kept[1 - _TIER :]
            first = carried[0].first
            removed = np.concatenate([*(tail.removed for tail in carried), removed])
            del kept[1 - _TIER :]
            level += 1
        members = state.members
        arrays: dict[str, npt.NDArray[Any]] = {}
        if first < members.rows:
            arrays["rows"] = state.store.array[first : members.rows]
            arrays["row_digests"] = digests_of_rows(arrays["rows"])
            if members.own_ids is not None:
                arrays["ids"] = members.own_ids[first:]
        if len(removed):
            arrays["removed"] = np.sort(removed)
        facts = {
            "kind": "tail",
            "rows": members.rows - first,
            "level": level,
            "next_id": members.next_id,
        }
        folder = self.folder
        segment = folder.write_segment(folder.manifest.next_segment, facts, arrays)
        base = () if self._base is None else (self._base,)
        segments = (*base, *(tail.segment for tail in kept), segment)
        folder.commit(index_facts(settings, state.layout), segments)
        self._tails = [*kept, _Tail(segment, first, removed)]


def _described(planner: Planner, settings: Settings) -> dict[str, Any]:
    """The plan for people who read the manifest; nothing reads it back."""
    plan = planner.plan(settings.recall, PLANNED_K)
    return {
        "engine": plan.engine,
        "parameters": dict(plan.parameters),
        "stored_as": plan.stored_as,
        "promise": plan.promise,
        "reason": plan.reason,
    }


def _newly_removed(members: Members, saved: Members | None) -> Ids:
    """The rows that are no members any more."""
    if members.present is None:
        return np.empty(0, np.int64)
    gone = members.present == 0
    if saved is not None and saved.present is not None:
        gone[: saved.rows] &= saved.present != 0
    return np.flatnonzero(gone).astype(np.int64)


def _row_count(segment: OpenSegment) -> int:
    """How many rows a segment has, which all its arrays of rows must have."""
    count = count_of(segment.segment.facts, "rows")
    for name, dtype, dimensions in (("rows", "|u1", 2), ("ids", "<i8", 1), ("present", "|u1", 1)):
        if name in segment.files:
            stored = segment.files[name].stored
            if (stored.dtype, len(stored.shape)) != (dtype, dimensions) or stored.shape[0] != count:
                raise ValueError(f"{name} must be of {count} rows")
    if count and "rows" not in segment.files:
        raise ValueError("rows are missing")
    return count


def _tails(segments: list[OpenSegment], counts: list[int], base: OpenSegment | None) -> list[_Tail]:
    tails, first = [], 0
    for segment, count in zip(segments, counts, strict=True):
        if segment is not base:
            count_of(segment.segment.facts, "level", 64)
            tails.append(_Tail(segment.segment, first, _removed(segment, first + count)))
        first += count
    return tails


def _removed(segment: OpenSegment, rows: int) -> Ids:
    """The rows that a segment says were removed, which came before its end."""
    if "removed" not in segment.files:
        return np.empty(0, np.int64)
    if math.prod(segment.files["removed"].stored.shape) > rows:  # before it is read
        raise ValueError("each row can be removed once")
    removed = array_of({"removed": segment.files["removed"].read()}, "removed", np.int64, (None,))
    if len(removed) and not (
        removed[0] >= 0 and removed[-1] < rows and (removed[1:] > removed[:-1]).all()
    ):
        raise ValueError("removed rows must be there, and ascend")
    return removed


def _members(
    segments: list[OpenSegment], counts: list[int], base: OpenSegment | None, mapped: bool
) -> Members:
    """Which ids are where, after all segments."""
    total = sum(counts)
    next_id = 0
    if segments:
        next_id = count_of(segments[-1].segment.facts, "next_id", 2**63)
    ids = present = None
    if any("ids" in segment.files for segment in segments):
        ids = _ids(segments, counts, total, mapped)
    first = 0
    for segment, count in zip(segments, counts, strict=True):
        removed = _removed(segment, first + count)
        if "present" in segment.files or len(removed):
            if present is None:
                present = np.ones(total, np.uint8)
            if "present" in segment.files:
                present[first : first + count] = segment.files["present"].read()
            present[removed] = 0
        first += count
    known = None
    if base is not None and len(segments) == 1:
        known = bool(base.segment.facts["ascending"])
    return Members(ids, present, total, next_id, ascending=known)


def _ids(segments: list[OpenSegment], counts: list[int], total: int, mapped: bool) -> Ids:
    """The ids of all rows; those of which none are stored are the numbers of the rows."""
    if len(segments) == 1:
        file = segments[0].files["ids"]
        return file.mapped() if mapped else file.read()
    ids, first = np.arange(total, dtype=np.int64), 0
    for segment, count in zip(segments, counts, strict=True):
        if "ids" in segment.files:
            segment.files["ids"].read(ids[first : first + count])
        first += count
    return ids
