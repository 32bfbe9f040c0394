"""The members of an index: which ids it holds, and in which rows they lie."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike import arrays
from lookalike.errors import InvalidInput

__all__ = [
    "Ids",
    "Members",
    "Where",
    "new_ids",
    "refuse_known",
    "rows_of_known",
]

Ids = npt.NDArray[np.int64]
Mask = npt.NDArray[np.uint8]
Where = npt.ArrayLike | Callable[[Ids], npt.ArrayLike]

_LARGEST_ID = 2**63 - 1
_NAMED = 3  # ids listed in a message
_LEAST_LATE, _LATE_SHARE = 4096, 64  # rows after those whose order is known, before they join it


class Members:
    """Ids and the rows they lie in; a change makes another object.

    Parameters
    ----------
    ids : ndarray of int64, shape (rows,), or None
        The id of each row. None: ids are the numbers of the rows.
    present : ndarray of uint8, shape (rows,), or None
        0 for rows whose item was removed or replaced. None: no row was.
    rows : int
    next_id : int
        Larger than any id so far, so that no id is ever given twice.
    ascending : bool, optional
        Whether ids ascend with rows, where it is known.
    """

    def __init__(
        self,
        ids: Ids | None = None,
        present: Mask | None = None,
        rows: int = 0,
        next_id: int = 0,
        *,
        ascending: bool | None = None,
    ) -> None:
        self._ids = ids
        self.present = present
        self.rows = rows
        self.next_id = next_id
        self._count = rows if present is None else int(np.count_nonzero(present))
        self._order: _Order | None = None  # of all rows, or of all but the last few
        self._late: _Order | None = None  # of these few
        if ascending is None:
            ascending = ids is None or bool((ids[1:] > ids[:-1]).all())
        self.ascending = ascending

    def __len__(self) -> int:
        return self._count

    @property
    def own_ids(self) -> Ids | None:
        """The id of each row, also of removed ones; None where they are the numbers of the rows."""
        return self._ids

    @property
    def are_rows(self) -> bool:
        """Whether every row is a member whose id is its number."""
        return self._ids is None and self.present is None

    @property
    def are_mostly_removed(self) -> bool:
        """Whether more than half of the rows are of no use any more."""
        return 2 * self._count < self.rows

    @property
    def slots(self) -> Ids:
        """The rows of all members, ascending."""
        if self.present is None:
            return np.arange(self.rows, dtype=np.int64)
        return np.flatnonzero(self.present)

    @property
    def ids(self) -> Ids:
        """All ids, in the order of their rows: that in which they were added."""
        slots = self.slots
        return slots if self._ids is None else self._ids[slots]

    def ids_of(self, slots: Ids) -> Ids:
        """The ids in these rows; -1 stays -1."""
        if self._ids is None:
            return slots
        return np.where(slots >= 0, self._ids[slots], -1)

    def find(self, ids: Ids) -> Ids:
        """The row of each id, -1 where it is not a member; any shape."""
        if self._ids is None:
            inside = (ids >= 0) & (ids < self.rows)
            slots = np.where(inside, ids, -1)
            if self.present is not None:
                slots = np.where(inside & (self.present[slots] != 0), slots, -1)
            return slots
        order, late = self._ordered()
        slots = order.find(ids)
        if self.present is not None:
            slots = np.where((slots >= 0) & (self.present[slots] != 0), slots, -1)
        return np.maximum(slots, late.find(ids))

    def added(self, count: int, ids: Ids | None) -> Members:
        """With so many more rows, which have these ids, or the next ones.

        Raises
        ------
        InvalidInput
            When there are no next ones.
        """
        if ids is not None:
            given, next_id = ids, max(self.next_id, int(ids.max(initial=-1)) + 1)
        else:
            next_id = self.next_id + count
            if next_id > _LARGEST_ID + 1:
                raise InvalidInput(
                    f"items must be given ids once the largest, {_LARGEST_ID}, is taken; got "
                    f"{count:,} without. Pass ids= that are free."
                )
            given = self.next_id + np.arange(count, dtype=np.int64)
        rows = self.rows + count
        if self._ids is None and (given == np.arange(self.rows, rows)).all():
            all_ids = None
        else:
            own = np.arange(self.rows, dtype=np.int64) if self._ids is None else self._ids
            all_ids = np.concatenate([own, given])
        present = self.present
        if present is not None:
            present = np.concatenate([present, np.ones(count, np.uint8)])
        members = Members(all_ids, present, rows, next_id)
        members._order = self._order
        return members

    def without(self, slots: Ids) -> Members:
        """Without the members in these rows."""
        if not slots.size:
            return self
        present = np.ones(self.rows, np.uint8) if self.present is None else self.present.copy()
        present[slots] = 0
        members = Members(self._ids, present, self.rows, self.next_id, ascending=self.ascending)
        members._order = self._order
        return members

    def compacted(self) -> Members:
        """Of the rows that are left when all others are dropped."""
        if self.present is None:
            return self
        ids = self.ids
        plain = bool((ids == np.arange(len(ids))).all())
        return Members(None if plain else ids, None, len(ids), self.next_id)

    def mask(self, where: Where) -> Mask:
        """The rows of the members that a filter allows, as a byte for each row.

        Parameters
        ----------
        where : ndarray of bool, shape (len(index),), array of int, or callable
            One truth value for each member in the order of ``ids``; or the ids that are allowed;
            or a function that takes all ids and returns truth values.

        Raises
        ------
        InvalidInput
            When it is neither.
        """
        array = arrays.as_array(where(self.ids) if callable(where) else where, "where")
        if array.dtype == np.bool_:
            if array.shape != (len(self),):
                raise InvalidInput(
                    f"where must have one truth value for each of the {len(self)} members; got "
                    f"shape {array.shape}. The order is that of index.ids."
                )
            if self.present is None:
                return np.ascontiguousarray(array).view(np.uint8)
            mask = np.zeros(self.rows, np.uint8)
            mask[self.slots[array]] = 1
            return mask
        if array.size and array.dtype.kind not in "iu":
            raise InvalidInput(
                "where must be truth values, ids, or a function of ids; got dtype "
                f"{array.dtype}. Compare first: where=values > 3."
            )
        slots = self.find(array.astype(np.int64))
        mask = np.zeros(self.rows, np.uint8)
        mask[slots[slots >= 0]] = 1
        return mask

    def _ordered(self) -> tuple[_Order, _Order]:
        """The order of all rows but a few late ones, which later states share; and of these few.

        So a batch that joins a large index does not have all ids sorted anew.
        """
        order, late = self._order, self._late
        if order is None:
            order = self._ordered_from(0)
        elif self.rows - order.end > max(_LEAST_LATE, order.end // _LATE_SHARE):
            order = order.joined(self._ordered_from(order.end), self.present)
        if late is None or order is not self._order:
            late = self._ordered_from(order.end)
        self._order, self._late = order, late
        return order, late

    def _ordered_from(self, start: int) -> _Order:
        """The order of the members in the rows from one on."""
        assert self._ids is not None
        ids, slots = self._ids[start:], np.arange(start, self.rows, dtype=np.int64)
        if self.present is not None:
            is_there = self.present[start:] != 0
            ids, slots = ids[is_there], slots[is_there]
        order = np.argsort(ids, kind="stable")
        return _Order(ids[order], slots[order], self.rows)


class _Order(NamedTuple):
    """Some ids, ascending, and the row of each; members may have left since."""

    ids: Ids
    slots: Ids
    end: int  # of the rows that were looked at

    def find(self, ids: Ids) -> Ids:
        """The row of each id, -1 where it is not known; any shape."""
        if not len(self.ids):
            return np.full(ids.shape, -1, np.int64)
        places = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
        return np.where(self.ids[places] == ids, self.slots[places], -1)

    def joined(self, late: _Order, present: Mask | None) -> _Order:
        """With those of later rows, without those that have left."""
        ids, slots = self.ids, self.slots
        if present is not None:
            is_there = present[slots] != 0
            ids, slots = ids[is_there], slots[is_there]
        places = np.searchsorted(ids, late.ids)
        return _Order(
            np.insert(ids, places, late.ids), np.insert(slots, places, late.slots), late.end
        )


def _checked_ids(ids: npt.ArrayLike, what: str) -> Ids:
    """Whole numbers that may be ids, or an InvalidInput."""
    array = arrays.as_array(ids, what)
    if array.size and array.dtype.kind not in "iu":
        raise InvalidInput(
            f"{what} must be whole numbers; got dtype {array.dtype}. Use the ids that add returned."
        )
    wrong = array[(array < 0) | (array > _LARGEST_ID)]
    if wrong.size:
        raise InvalidInput(
            f"{what} must be from 0 to 2**63 - 1; got {wrong.size} others, the first "
            f"{wrong.flat[0]}. Number your items, and keep their names beside."
        )
    return array.astype(np.int64)


def new_ids(ids: npt.ArrayLike, count: int) -> Ids:
    """The ids of a batch: as many as items, and each once."""
    array = _checked_ids(ids, "ids")
    if array.shape != (count,):
        raise InvalidInput(
            f"ids must have shape ({count},), one for each item; got {array.shape}. Pass as many "
            "ids as items, or none."
        )
    unique, times = np.unique(array, return_counts=True)
    if len(unique) < count:
        raise InvalidInput(
            f"ids must differ within a batch; got {_some(unique[times > 1])} more than once. Keep "
            "the item that you mean."
        )
    return array


def _some(ids: Ids) -> str:
    more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    return ", ".join(map(str, ids[:_NAMED].tolist())) + more


def refuse_known(ids: Ids) -> None:
    """Refuse ids that an index has already."""
    if ids.size:
        raise InvalidInput(
            f"ids must be new to the index; got {_some(ids)}, which it holds. Pass replace=True to "
            "put the new items in their place."
        )


def rows_of_known(members: Members, ids: npt.ArrayLike, what: str) -> Ids:
    """The rows of ids that must be members, in their shape."""
    wanted = _checked_ids(ids, what)
    slots = members.find(wanted)
    unknown = wanted[slots < 0]
    if unknown.size:
        holds = f"holds {len(members)} items" if len(members) else "is empty"
        raise InvalidInput(
            f"{what} must be in this index, which {holds}; got {unknown.size} others, the first "
            f"{unknown.flat[0]}. Use the ids that add returned."
        )
    return slots
