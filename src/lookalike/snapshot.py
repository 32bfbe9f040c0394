"""One state of an index, which searches see whole while another is being made."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, TypeGuard

import numpy as np
import numpy.typing as npt

from lookalike.engines.engine import Distances, Engine, Found, Items, Mask, Slots
from lookalike.engines.rows import Rows
from lookalike.layout import Layout
from lookalike.members import Members
from lookalike.planner.planner import Planner
from lookalike.results import Neighbors, Ranges

__all__ = ["Snapshot", "StoredPlan"]

_ARRAY = np.ndarray  # looked up once: a search of one item takes microseconds
_PLAIN = (np.dtype(np.uint8), np.dtype(np.float32))  # batches that the core reads as they are


class StoredPlan(Protocol):
    """What a planner is restored from."""

    @property
    def engine(self) -> str:
        """Name of the engine that it chose."""

    def planner(self, rows: Rows, present: Mask | None, threads: int) -> Planner:
        """The planner of these rows, the first of which it was stored for."""

    def check(self, threads: int) -> list[str]:
        """What is wrong with what is stored, see :meth:`Planner.check`."""


class Snapshot:
    """What is stored, and how it is searched.

    Parameters
    ----------
    layout : Layout
    store : Rows
        The rows so far. It grows with later states; ``rows``, those of the members, does not.
    members : Members
        Of these rows.
    planner : Planner or None
        None until the first search.
    plan : StoredPlan or None
        What a planner of the first rows is restored from, where it is on a disk.

    Notes
    -----
    Only ``planner`` and ``engines`` are ever written, once each, with what follows from the rest.
    """

    # What every search asks is kept beside what it follows from: one takes microseconds.
    __slots__ = (
        "are_rows",
        "engines",
        "is_ordered",
        "item_shape",
        "layout",
        "members",
        "plan",
        "planner",
        "present",
        "rows",
        "store",
        "width_bits",
    )

    def __init__(
        self,
        layout: Layout,
        store: Rows,
        members: Members,
        planner: Planner | None = None,
        plan: StoredPlan | None = None,
    ) -> None:
        self.layout = layout
        self.store, self.rows = store, store.view(0, members.rows)
        self.members = members
        self.planner = planner
        self.plan = plan
        self.item_shape, self.width_bits = layout.item_shape, layout.width_bits
        self.present, self.are_rows = members.present, members.are_rows
        self.is_ordered = members.ascending
        self.engines: dict[tuple[int, float | None], Engine] = {}  # by k and recall asked for

    def is_plain(self, query: object) -> TypeGuard[npt.NDArray[Any]]:
        """Whether a query is one item that the core reads, and checks, as it is."""
        return (
            type(query) is _ARRAY
            and query.shape == self.item_shape
            and (self.width_bits is None or self.layout.may_be_plain(query))
        )

    def is_plain_batch(self, query: object) -> TypeGuard[npt.NDArray[Any]]:
        """Whether a query is a batch that the core reads, and checks, as it is."""
        return (
            type(query) is _ARRAY
            and query.dtype in _PLAIN
            and query.shape[1:] == self.item_shape
            and query.flags.c_contiguous
            and (self.width_bits is None or self.layout.may_be_plain(query))
        )

    def nearest(
        self, engine: Engine, items: Items, count: int | None, k: int, threads: int
    ) -> Neighbors:
        """The k nearest members that an engine finds: shape (k,) or (count, k).

        Raises
        ------
        ValueError
            When an item could not be a row.
        """
        if not self.is_ordered:
            return self._nearest_by_id(engine, items, count, k, threads)
        widened = np.zeros(1 if count is None else count, np.uint8)
        slots, distances = engine.nearest(items, count, k, threads, self.present, widened)
        return Neighbors(self.members.ids_of(slots), distances, _flags(widened, count))

    def within(self, found: Found, count: int | None) -> Ranges:
        """What a search within a radius found, by ids."""
        ids, distances = self.members.ids_of(found.slots), found.distances
        if not self.is_ordered:
            query = np.repeat(np.arange(len(found.offsets) - 1), np.diff(found.offsets))
            order = np.lexsort((ids, distances, query))
            ids, distances = ids[order], distances[order]
        return Ranges(ids, distances, None if count is None else found.offsets)

    def pairs(
        self, found: Iterator[tuple[Slots, Slots, Distances, float]]
    ) -> Iterator[tuple[Slots, Slots, Distances, float]]:
        """Pairs of rows, by ids."""
        for first, second, distances, done in found:
            yield self.members.ids_of(first), self.members.ids_of(second), distances, done

    def _nearest_by_id(
        self, engine: Engine, items: Items, count: int | None, k: int, threads: int
    ) -> Neighbors:
        """The same where ids do not ascend with rows: ties are broken by id, also at the end."""
        widened = np.zeros(1 if count is None else count, np.uint8)
        slots, distances = engine.nearest(items, count, k + 1, threads, self.present, widened)
        slots, distances = np.atleast_2d(slots), np.atleast_2d(distances)
        ids = self.members.ids_of(slots)
        if not (distances[:, 1:] == distances[:, :-1]).any():  # as a rule: no tie to be broken
            ids, distances = ids[:, :k], distances[:, :k]
            if count is None:
                ids, distances = ids[0], distances[0]
            return Neighbors(ids, distances, _flags(widened, count))
        order = np.lexsort((ids, distances))
        ids = np.take_along_axis(ids, order, 1)[:, :k]
        tied = np.flatnonzero((distances[:, k - 1] == distances[:, k]) & (slots[:, k] >= 0))
        flat = items.reshape(-1, self.rows.width)
        for query in tied:
            radius = float(distances[query, k - 1])
            found = engine.within(flat[query : query + 1], radius, 1, self.present)
            own = self.within(found, 1).ids[:k]
            ids[query, : len(own)] = own  # all k, unless what was stored is not of the rows
        distances = distances[:, :k]
        if count is None:
            ids, distances = ids[0], distances[0]
        return Neighbors(ids, distances, _flags(widened, count))


def _flags(widened: Mask, count: int | None) -> bool | npt.NDArray[np.bool_]:
    """As results have it: for one query, or for each of a batch."""
    return bool(widened[0]) if count is None else widened.view(np.bool_)
