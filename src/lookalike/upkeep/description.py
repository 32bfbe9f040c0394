"""What an index on a disk says of itself, without its arrays being read."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lookalike.archive import OF_ROWS, layout_of, settings_of
from lookalike.errors import CorruptStore
from lookalike.layout import Layout
from lookalike.settings import Settings
from lookalike.store.folder import Folder
from lookalike.store.manifest import FORMAT, Facts, Manifest, Segment
from lookalike.store.named import count_of

__all__ = ["Description", "describe"]

_LINE = 80  # characters


@dataclass(frozen=True, slots=True)
class Description:
    """What an index on a disk says of itself, without its arrays being read.

    Attributes
    ----------
    path : str
        Of its folder.
    metric : str
    vectors : int
        Members.
    item_shape : tuple of int, or None
        None before the first batch; so is ``stored_as``.
    stored_as : str or None
        How vectors are stored, and what they were converted from.
    recall : float or None
        What was asked for; None when bits and tables decide it.
    seed : int
    engine : str or None
        Of the plan; None when there is no plan yet. So are ``promise`` and ``reason``, in words.
    parameters : mapping of str to int
        Of the engine.
    promise, reason : str or None
    planned_for : int
        Vectors that were there when the plan was written.
    removed : int
        Rows of removed vectors, whose space is used until the index is compacted.
    segments : int
        Folders of arrays: one, and those of later changes.
    rows_bytes, ids_bytes : int
        Of the vectors and their digests; of the ids and the marks of what was removed.
    plan_bytes : mapping of str to int
        Bytes of each array of the plan, the largest first.
    file_bytes : int
        Of all these files.
    format, generation : int
        Version of the format; how many times the index was written to.
    fingerprint : str
        Equal for indexes of the same settings and the same kind of items.
    """

    path: str
    metric: str
    vectors: int
    item_shape: tuple[int, ...] | None
    stored_as: str | None
    recall: float | None
    seed: int
    engine: str | None
    parameters: Mapping[str, int]
    promise: str | None
    reason: str | None
    planned_for: int
    removed: int
    segments: int
    rows_bytes: int
    ids_bytes: int
    plan_bytes: Mapping[str, int]
    file_bytes: int
    format: int
    generation: int
    fingerprint: str

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain Python values, ready for JSON."""
        shape = None if self.item_shape is None else list(self.item_shape)
        return asdict(self) | {"item_shape": shape}

    @property
    def summary(self) -> str:
        """What it is and what it promises, without what it consists of."""
        shape = "none yet"
        if self.item_shape is not None:
            shape = f"shape {self.item_shape}, stored as {self.stored_as}"
        lines = [
            self.path,
            *_told("metric", self.metric),
            *_told("vectors", f"{self.vectors:,}"),
            *_told("items", shape),
            *_told("plan", self._plan()),
            *_told("promise", self.promise),
            *_told("reason", self.reason),
        ]
        return "\n".join(lines)

    def __str__(self) -> str:
        lines = [
            self.summary,
            *_told("seed", str(self.seed)),
            *_told("removed", f"{self.removed:,} rows still stored" if self.removed else None),
            *_told("segments", str(self.segments)),
            *_told("generation", f"{self.generation}, of format {self.format}"),
            *_told("fingerprint", self.fingerprint),
            *_told("on disk", f"{self.file_bytes:,} bytes"),
        ]
        parts = {"rows": self.rows_bytes, "ids": self.ids_bytes} | dict(self.plan_bytes)
        lines += [f"    {name:<20}{size:>18,}" for name, size in parts.items() if size]
        return "\n".join(lines)

    def _plan(self) -> str:
        if self.engine is None:
            return "none yet: made by the first search" if self.vectors else "none yet"
        settings = ", ".join(f"{name}={value}" for name, value in self.parameters.items())
        grown = "" if self.planned_for == self.vectors else f", made for {self.planned_for:,}"
        return self.engine + (f" ({settings})" if settings else "") + grown


def describe(path: str | os.PathLike[str]) -> Description:
    """What an index on a disk is, from its manifest alone.

    Parameters
    ----------
    path : path
        Of its folder.

    Raises
    ------
    UnreadableFile
        When there is no index; ``CorruptStore`` when what it says cannot be, ``NewerFormat`` when
        a later version wrote it.

    Examples
    --------
    >>> import numpy, lookalike, tempfile
    >>> from lookalike.upkeep import describe
    >>> index = lookalike.Index("l1")
    >>> ids = index.add(numpy.eye(8, dtype=numpy.uint8))
    >>> index.save(path := tempfile.mkdtemp() + "/eight")
    >>> describe(path).vectors, describe(path).engine
    (8, 'exact')
    """
    folder = Folder(Path(path), writing=False)
    manifest = folder.manifest
    settings = settings_of(manifest.index, folder.about)
    layout = layout_of(manifest.index, settings, folder.about)
    try:
        return _description(folder.about, manifest, settings, layout)
    except ValueError as error:
        raise CorruptStore(folder.about, f"it says what cannot be: {error}") from error


def _description(
    path: str, manifest: Manifest, settings: Settings, layout: Layout | None
) -> Description:
    base = next((s.facts for s in manifest.segments if s.facts.get("kind") == "base"), None)
    planned_for = 0 if base is None else count_of(base, "members")
    rows = sum(count_of(segment.facts, "rows") for segment in manifest.segments)
    removed = 0 if base is None else count_of(base, "rows") - planned_for
    removed += sum(_values(segment, "removed") for segment in manifest.segments)
    if not 0 <= removed <= rows:
        raise ValueError(f"{removed:,} of {rows:,} rows were removed")
    plan = _described(base)
    sizes = _bytes_by_name(manifest.segments)
    of_plan = {name: size for name, size in sizes.items() if name not in OF_ROWS}
    return Description(
        path=path,
        metric=settings.metric,
        vectors=rows - removed,
        item_shape=None if layout is None else layout.item_shape,
        stored_as=None if layout is None else layout.stored_as,
        recall=settings.recall,
        seed=settings.seed,
        engine=plan.get("engine"),
        parameters=plan.get("parameters", {}),
        promise=plan.get("promise"),
        reason=plan.get("reason"),
        planned_for=planned_for if plan else 0,
        removed=removed,
        segments=len(manifest.segments),
        rows_bytes=sum(sizes.get(name, 0) for name in OF_ROWS[:2]),
        ids_bytes=sum(sizes.get(name, 0) for name in OF_ROWS[2:]),
        plan_bytes=of_plan,
        file_bytes=sum(sizes.values()),
        format=FORMAT,
        generation=manifest.generation,
        fingerprint=manifest.fingerprint,
    )


def _values(segment: Segment, name: str) -> int:
    stored = segment.arrays.get(name)
    return 0 if stored is None or not stored.shape else stored.shape[0]


def _bytes_by_name(segments: tuple[Segment, ...]) -> dict[str, int]:
    """Bytes of the arrays of each name, in all segments, the largest first."""
    sizes: dict[str, int] = {}
    for segment in segments:
        for name, stored in segment.arrays.items():
            sizes[name] = sizes.get(name, 0) + stored.file_bytes
    return dict(sorted(sizes.items(), key=lambda part: -part[1]))


def _described(base: Facts | None) -> dict[str, Any]:
    """The plan as it was described for people; nothing, where there is none."""
    told = None if base is None else base.get("described")
    if told is None:
        return {}
    words = ("engine", "promise", "reason")
    if not isinstance(told, dict) or not all(isinstance(told.get(word), str) for word in words):
        raise ValueError("the description of the plan has no words")
    parameters = told.get("parameters")
    if not isinstance(parameters, dict) or not all(type(n) is int for n in parameters.values()):
        raise ValueError("the parameters of the plan are no numbers")
    return told


def _told(name: str, value: str | None) -> list[str]:
    """The lines of a description, where there is something to tell."""
    if value is None:
        return []
    return textwrap.wrap(
        value,
        _LINE,
        initial_indent=f"  {name:<13}",
        subsequent_indent=" " * 15,
        break_long_words=False,
        break_on_hyphens=False,
    )
