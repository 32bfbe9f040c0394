"""The index: vectors in, nearest neighbours out."""

from __future__ import annotations

import threading
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

from lookalike import arrays
from lookalike.engines.engine import Engine
from lookalike.engines.exact import ExactEngine
from lookalike.engines.rows import Rows
from lookalike.engines.tables import TablesEngine
from lookalike.errors import InvalidInput
from lookalike.hashing.bit_sampling import BitSampling
from lookalike.layout import Layout
from lookalike.metrics import metric_named
from lookalike.planner import Plan, plan_exact, plan_tables
from lookalike.results import Explanation, Neighbors, Ranges
from lookalike.seeds import resolve_seed

__all__ = ["Index"]

_DEFAULT_RECALL = 0.95
_UINT8 = np.dtype(np.uint8)  # looked up once: a search of few items takes microseconds
_MOST_THREADS = 1024
_MOST_HASHED = 65_536  # bits of a code, and tables
_MOST_PADDED = 100_000  # neighbours that may be asked for although there are fewer items


class Index:
    """Finds the stored items that are nearest to a query.

    Parameters
    ----------
    metric : {"l1", "hamming"}
        "l1" for integer vectors such as grey pixels, "hamming" for packed bits.
    recall : float, optional
        How complete answers must be, in (0, 1]; 0.95 unless given. Not together with
        ``bits`` and ``tables``, which decide it.
    bits, tables : int, optional
        k bits x m tables: classic LSH with the parameters of your choice. Both or neither.
    value_range : int, optional
        For "l1": the largest value an item may hold, at most 255, which is the default. Hash
        functions are drawn for this range, so give it when it is smaller.
    width_bits : int, optional
        For "hamming": bits of an item; 8 for each byte unless given.
    seed : int or None
        Of all random choices. None draws one, kept in ``index.seed``.

    Examples
    --------
    >>> import numpy, lookalike
    >>> images = numpy.zeros((3, 8, 8), numpy.uint8)
    >>> images[1] += 2
    >>> index = lookalike.Index("l1")
    >>> index.add(images)
    array([0, 1, 2])
    >>> index.search(images[1], k=2)
    Neighbors(1: 0, 0: 128)
    """

    def __init__(
        self,
        metric: str,
        *,
        recall: float | None = None,
        bits: int | None = None,
        tables: int | None = None,
        value_range: int | None = None,
        width_bits: int | None = None,
        seed: int | None = 0,
    ) -> None:
        self._metric = metric_named(metric)
        self.recall = _recall_of(recall, bits, tables)
        self.bits = None if bits is None else arrays.positive_integer(bits, "bits", _MOST_HASHED)
        self.tables = (
            None if tables is None else arrays.positive_integer(tables, "tables", _MOST_HASHED)
        )
        self._check_ranges(value_range, width_bits)
        self.value_range = (
            255 if value_range is None else arrays.positive_integer(value_range, "value_range", 255)
        )
        self.width_bits = (
            None if width_bits is None else arrays.positive_integer(width_bits, "width_bits")
        )
        self.seed = resolve_seed(seed)
        self._layout: Layout | None = None  # both from the first batch on
        self._rows: Rows | None = None
        self._item_shape: tuple[int, ...] | None = None
        self._engine: Engine | None = None
        self._lock = threading.RLock()

    # ---- what is stored

    def __len__(self) -> int:
        return 0 if self._rows is None else len(self._rows)

    def __contains__(self, id: object) -> bool:
        whole = isinstance(id, (int, np.integer)) and not isinstance(id, bool)
        return whole and 0 <= int(id) < len(self)  # type: ignore[call-overload]

    def __repr__(self) -> str:
        shape = "" if self._item_shape is None else f" of shape {self._item_shape}"
        return f"<Index {self.metric}, {len(self):,} items{shape}, engine {self.plan.engine}>"

    @property
    def metric(self) -> str:
        """Name of the metric."""
        return self._metric.name

    @property
    def item_shape(self) -> tuple[int, ...] | None:
        """Shape of one item, fixed by the first batch; None before."""
        return self._item_shape

    @property
    def plan(self) -> Plan:
        """What the index does and why."""
        stored_as = self._layout.stored_as if self._layout else "nothing stored yet"
        if self.bits is None or self.tables is None:
            return plan_exact(self._metric, stored_as)
        return plan_tables(self._metric, stored_as, self.bits, self.tables)

    def add(self, items: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Store a batch.

        Parameters
        ----------
        items : array_like, shape (n, d) or (n, *item_shape)
            The first batch fixes the item shape. For "l1": whole numbers in
            [0, value_range], of any dtype. For "hamming": uint8 in ``numpy.packbits`` order,
            or bool.

        Returns
        -------
        ndarray of int64, shape (n,)
            The ids given to the items, counting on from those stored before.

        Raises
        ------
        InvalidInput
            For a wrong shape, dtype or value. Nothing was added.
        """
        array = arrays.as_array(items, "items")
        with self._lock:
            layout = self._layout or Layout.of(
                array, self._metric, self.value_range, self.width_bits
            )
            if layout.count(array, "items") is None:
                raise InvalidInput(
                    f"items must be a batch, also when it is one item; got shape {array.shape}. "
                    "Add an axis: items[None]."
                )
            stored = layout.rows(array, "items")
            rows = self._rows or Rows(layout.width, self._metric.row_alignment, layout.value_range)
            start = len(rows)
            rows.append(stored)
            self._layout, self._rows, self._engine = layout, rows, None
            self._item_shape, self.width_bits = layout.item_shape, layout.width_bits
            return np.arange(start, len(rows), dtype=np.int64)

    def vectors(self, ids: npt.ArrayLike) -> npt.NDArray[np.uint8]:
        """Return stored items.

        Parameters
        ----------
        ids : int or array of int, shape (n,)

        Returns
        -------
        ndarray of uint8, shape item_shape or (n, *item_shape)
            As stored: whole numbers come back as uint8, booleans as packed bits.

        Raises
        ------
        InvalidInput
            When an id is not in the index.
        """
        wanted = self._known_ids(ids, "ids")
        if self._rows is None or self._layout is None:
            return np.empty((0, 0), np.uint8)  # no id can be known to an empty index
        return self._rows.vectors[wanted].reshape(*wanted.shape, *self._layout.item_shape)

    # ---- searching

    def search(
        self,
        query: npt.ArrayLike | None = None,
        k: int = 10,
        *,
        id: int | None = None,
        exclude: npt.ArrayLike | None = None,
        threads: int = 1,
    ) -> Neighbors:
        """Find the k nearest items.

        Parameters
        ----------
        query : array_like
            One item, or a batch (see ``add``).
        k : int
            How many; where fewer are found, id -1 and distance infinity fill up.
        id : int, optional
            Search for the neighbours of this member, itself excluded, in place of a query.
        exclude : array of int, optional
            Ids that must not be returned.
        threads : int
            How many to use. The result does not depend on it.

        Returns
        -------
        Neighbors
            ``ids`` and ``distances`` of shape (k,) for one item, (n, k) for a batch.

        Raises
        ------
        InvalidInput
            For a wrong query, k, id or number of threads.
        """
        if type(k) is not int or not 0 < k <= _MOST_PADDED:
            k = self._wanted(k)
        if type(threads) is not int or threads != 1:
            threads = _threads(threads)
        if id is not None or exclude is not None:
            return self._search_without(query, k, id, exclude, threads)
        engine = self._engine or self._settled(threads)
        if self._is_plain(query):
            found = engine.nearest_of_one(query, k)
            if found is not None:  # else the full check finds what is wrong, or converts
                return Neighbors(*found)
        if self._is_plain_batch(query):
            try:
                return Neighbors(*engine.nearest(query, len(query), k, threads))
            except ValueError:  # the full check says what is wrong
                pass
        items, count = self._items(query)
        return Neighbors(*engine.nearest(items, count, k, threads))

    def within(self, query: npt.ArrayLike, radius: float, *, threads: int = 1) -> Ranges:
        """Find all items within a radius.

        Parameters
        ----------
        query : array_like
            One item, or a batch.
        radius : float
            In units of the metric; items at exactly this distance are included.
        threads : int
            How many to use. The result does not depend on it.

        Returns
        -------
        Ranges
            Nearest first. With ``bits`` and ``tables`` only candidates are found.

        Raises
        ------
        InvalidInput
            For a wrong query, or a radius that is negative or NaN.
        """
        radius, threads = arrays.as_radius(radius), _threads(threads)
        engine = self._engine or self._settled(threads)
        items, count = self._items(query)
        found = engine.within(items, radius, threads)
        return Ranges(found.slots, found.distances, None if count is None else found.offsets)

    def candidates(
        self, query: npt.ArrayLike, *, threads: int = 1
    ) -> npt.NDArray[np.int64] | list[npt.NDArray[np.int64]]:
        """Ids of the items that would be verified: the union of the query's buckets.

        Parameters
        ----------
        query : array_like
            One item, or a batch.

        Returns
        -------
        ndarray of int64, or list of them for a batch
            Ascending. Every id, when the plan is exact search.
        """
        threads = _threads(threads)
        engine = self._engine or self._settled(threads)
        if self._is_plain(query):
            found = engine.candidates_of_one(query)
            if found is not None:
                return found
        items, count = self._items(query)
        offsets, slots = engine.candidates(items, threads)
        if count is None:
            return slots
        return np.split(slots, offsets[1:-1]) if count else []

    def explain(self, query: npt.ArrayLike, k: int = 10) -> Explanation:
        """Search one item and tell, step by step, what happened.

        Returns
        -------
        Explanation
            The plan, and for each step how many vectors were left and the microseconds.
            ``print`` it, or take ``to_dict()``.
        """
        k = self._wanted(k)
        items, count = self._items(query)
        if count is not None:
            raise InvalidInput(
                f"explain must be given one item; got a batch of {count}. Pass one of them."
            )
        engine = self._engine or self._settled()
        steps = engine.trace(items, k)
        slots, distances = engine.nearest(items, None, k, 1)
        return Explanation(str(self.plan), len(self), steps, Neighbors(slots, distances))

    # ---- inside

    def _check_ranges(self, value_range: int | None, width_bits: int | None) -> None:
        wrong, given = (
            ("value_range", value_range) if self.metric == "hamming" else ("width_bits", width_bits)
        )
        if given is not None:
            raise InvalidInput(
                f"{wrong} must be left out for metric {self.metric!r}, to which it does not "
                f"apply; got {given!r}. value_range is for 'l1', width_bits for 'hamming'."
            )

    def _items(self, query: npt.ArrayLike | None) -> tuple[npt.NDArray[np.uint8], int | None]:
        """Check a query fully; return it as bytes, and its count (None for one item)."""
        if query is None:
            raise InvalidInput(
                "search must be given a query or an id; got neither. Pass an item, a batch, or "
                "id= for the neighbours of a member."
            )
        array = arrays.as_array(query, "query")
        if self._layout is None:
            raise _empty_index()
        count = self._layout.count(array, "query")
        return self._layout.rows(array, "query"), count

    def _wanted(self, k: object) -> int:
        """Check how many neighbours are wanted: results take memory, found or not."""
        return arrays.positive_integer(k, "k", max(len(self), _MOST_PADDED))

    def _is_plain(self, query: object) -> TypeGuard[npt.NDArray[Any]]:
        """Whether a query is one item that the core may be able to read by itself."""
        return (
            type(query) is np.ndarray
            and query.shape == self._item_shape
            and (self.width_bits is None or self._layout.may_be_plain(query))  # type: ignore[union-attr]
        )

    def _is_plain_batch(self, query: object) -> TypeGuard[npt.NDArray[np.uint8]]:
        """Whether a query is a batch of bytes that the core reads, and checks, as it is."""
        return (
            type(query) is np.ndarray
            and query.dtype is _UINT8
            and query.shape[1:] == self._item_shape
            and query.flags.c_contiguous
            and (self.width_bits is None or self._layout.may_be_plain(query))  # type: ignore[union-attr]
        )

    def _settled(self, threads: int = 1) -> Engine:
        """The engine for what is stored now, built at first need."""
        with self._lock:
            if self._engine is None:
                self._engine = self._built(threads)
            return self._engine

    def _built(self, threads: int) -> Engine:
        if not len(self) or self._rows is None:
            raise _empty_index()
        if self.bits is None or self.tables is None:
            return ExactEngine(self._rows, self._metric)
        if self.width_bits is None:
            family = BitSampling(self._rows.width, self.value_range)
        else:
            family = BitSampling(self.width_bits)
        functions = family.draw(self.seed, tables=self.tables, bits=self.bits)
        return TablesEngine(self._rows, self._metric, functions, threads)

    def _known_ids(self, ids: npt.ArrayLike, what: str) -> npt.NDArray[np.int64]:
        array = arrays.as_array(ids, what)
        if array.size and array.dtype.kind not in "iu":
            raise InvalidInput(
                f"{what} must be whole numbers; got dtype {array.dtype}. Use the ids that add "
                "returned."
            )
        unknown = array[(array < 0) | (array >= len(self))]
        if unknown.size:
            holds = f"holds 0 to {len(self) - 1}" if len(self) else "is empty"
            raise InvalidInput(
                f"{what} must be in this index, which {holds}; got {unknown.size} others, the "
                f"first {unknown.flat[0]}. Use the ids that add returned."
            )
        return array.astype(np.int64)

    def _search_without(
        self,
        query: npt.ArrayLike | None,
        k: int,
        id: int | None,
        exclude: npt.ArrayLike | None,
        threads: int,
    ) -> Neighbors:
        """Search for more, then drop the excluded ids: by id, never by rank."""
        banned = np.unique(self._known_ids([] if exclude is None else exclude, "exclude"))
        if id is not None:
            if query is not None:
                raise InvalidInput(
                    "search must be given a query or an id; got both. Leave one out."
                )
            self._known_ids(id, "id")
            query = self.vectors(id)
            if query.ndim != len(self._item_shape or ()):
                raise InvalidInput(
                    f"id must be one member; got an array of shape {np.shape(id)}. For several, "
                    "search their vectors and exclude them one by one."
                )
            banned = np.union1d(banned, [id])
        assert query is not None
        hits = self.search(query, min(k + len(banned), max(len(self), k)), threads=threads)
        ids, distances = np.atleast_2d(hits.ids), np.atleast_2d(hits.distances)
        allowed = ~np.isin(ids, banned)
        # A stable sort moves the allowed ones to the front and keeps their order.
        order = np.argsort(~allowed, axis=1, kind="stable")[:, :k]
        kept = np.take_along_axis(allowed, order, axis=1)
        ids = np.where(kept, np.take_along_axis(ids, order, axis=1), -1)
        distances = np.where(kept, np.take_along_axis(distances, order, axis=1), np.inf)
        shape = (*hits.ids.shape[:-1], k)
        return Neighbors(ids.reshape(shape), distances.reshape(shape))


def _recall_of(recall: float | None, bits: int | None, tables: int | None) -> float | None:
    """Check that the three go together; None when bits and tables decide."""
    if (bits is None) != (tables is None):
        raise InvalidInput(
            f"bits and tables must be given together; got bits={bits!r}, tables={tables!r}. "
            "Give both, or neither and a recall."
        )
    if bits is not None:
        if recall is not None:
            raise InvalidInput(
                f"bits and tables decide the recall, so recall must be left out; got "
                f"recall={recall!r}. Give one or the other."
            )
        return None
    if recall is None:
        return _DEFAULT_RECALL
    number = arrays.real_number(recall)
    if not 0.0 < number <= 1.0:  # phrased so that NaN fails as well
        raise InvalidInput(
            f"recall must be in (0, 1]; got {recall!r}. 0.95 finds 19 of 20 true neighbours."
        )
    return number


def _threads(threads: int) -> int:
    return arrays.positive_integer(threads, "threads", _MOST_THREADS)


def _empty_index() -> InvalidInput:
    return InvalidInput(
        "a search must have items to find; got an empty index. Call add with a batch first."
    )
