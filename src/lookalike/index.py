"""The index: vectors in, nearest neighbours out."""

from __future__ import annotations

import threading
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

from lookalike import arrays
from lookalike.costs import cells_may_pay
from lookalike.engines.engine import Engine
from lookalike.engines.rows import Rows
from lookalike.errors import InvalidInput, NotSupported
from lookalike.hashing.bit_sampling import BitSampling
from lookalike.layout import Layout
from lookalike.metrics import metric_named
from lookalike.planner import CellsPlanner, Plan, Planner, TablesPlanner
from lookalike.recall import Measured, measure
from lookalike.results import Explanation, Fate, Neighbors, Ranges
from lookalike.seeds import Purpose, resolve_seed, shuffled

__all__ = ["Index"]

_DEFAULT_RECALL = 0.95
_PLAIN = (np.dtype(np.uint8), np.dtype(np.float32))  # batches that the core reads as they are
_HASHED = ("l1", "hamming")  # metrics that have hash functions
_MOST_THREADS = 1024
_MOST_HASHED = 65_536  # bits of a code, and tables
_MOST_PADDED = 100_000  # neighbours that may be asked for although there are fewer items
_CANDIDATES_K = 10
_MEASURED = 1000  # members that recall is measured on
_MOST_ENGINES = 1000  # pairs of k and recall whose engines are remembered


class Index:
    """Finds the stored items that are nearest to a query.

    Parameters
    ----------
    metric : {"l1", "l2", "cosine", "hamming"}
        "l1" and "l2" for pixels and vectors, "cosine" for embeddings whose length says nothing,
        "hamming" for packed bits.
    recall : float, optional
        How complete answers must be, in (0, 1]; 0.95 unless given. 1 means exact search. Not
        together with ``bits`` and ``tables``, which decide it.
    bits, tables : int, optional
        k bits x m tables: classic LSH with the parameters of your choice. Both or neither; for
        "l1" and "hamming".
    value_range : int, optional
        For "l1" and "l2": items are whole numbers up to this one, at most 255. Otherwise items
        are stored as bytes if those of the first batch are such, and else as float32. Hash
        functions are drawn for this range, so give it when it is smaller than 255.
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
            None
            if value_range is None
            else arrays.positive_integer(value_range, "value_range", 255)
        )
        self.width_bits = (
            None if width_bits is None else arrays.positive_integer(width_bits, "width_bits")
        )
        self.seed = resolve_seed(seed)
        self._layout: Layout | None = None  # both from the first batch on
        self._rows: Rows | None = None
        self._item_shape: tuple[int, ...] | None = None
        self._planner: Planner | None = None
        self._engines: dict[tuple[int, float | None], Engine] = {}  # by k and recall
        self._lock = threading.RLock()

    # ---- what is stored

    def __len__(self) -> int:
        return 0 if self._rows is None else len(self._rows)

    def __contains__(self, id: object) -> bool:
        whole = isinstance(id, (int, np.integer)) and not isinstance(id, bool)
        return whole and 0 <= int(id) < len(self)  # type: ignore[call-overload]

    def __repr__(self) -> str:
        shape = "" if self._item_shape is None else f" of shape {self._item_shape}"
        engine = "not planned yet" if self._planner is None else f"engine {self.plan.engine}"
        return f"<Index {self.metric}, {len(self):,} items{shape}, {engine}>"

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
        """What a search for 10 neighbours does and why; planned now if it was not before."""
        if len(self):
            return self._settled().plan(self.recall)
        engine = "not planned yet" if self.bits is None else "tables"
        return Plan(engine, self.metric, "nothing stored yet", reason="the plan follows the items")

    @property
    def size_bytes(self) -> int:
        """Memory of the stored vectors and of what the plan has built so far, in bytes."""
        rows = 0 if self._rows is None else self._rows.array.nbytes
        return rows + (0 if self._planner is None else self._planner.size_bytes)

    def add(self, items: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Store a batch.

        Parameters
        ----------
        items : array_like, shape (n, d) or (n, *item_shape)
            The first batch fixes the item shape. For "hamming": uint8 in ``numpy.packbits``
            order, or bool. Otherwise numbers of any dtype: whole ones up to 255 are stored as
            bytes, others as float32.

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
            layout = self._layout_for(array)
            if layout.count(array, "items") is None:
                raise InvalidInput(
                    f"items must be a batch, also when it is one item; got shape {array.shape}. "
                    "Add an axis: items[None]."
                )
            stored = layout.rows(array, "items")
            rows = self._rows_of(layout)
            start = len(rows)
            rows.append(stored)
            self._layout, self._rows, self._planner, self._engines = layout, rows, None, {}
            self._item_shape, self.width_bits = layout.item_shape, layout.width_bits
            return np.arange(start, len(rows), dtype=np.int64)

    def vectors(self, ids: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return stored items.

        Parameters
        ----------
        ids : int or array of int, shape (n,)

        Returns
        -------
        ndarray of uint8 or float32, shape item_shape or (n, *item_shape)
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
        recall: float | None = None,
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
        recall : float, optional
            For this call, in place of the recall of the index. The first call of a recall
            works out what it takes; above 0.995 that takes seconds.
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
            return self._search_without(query, k, id, exclude, recall, threads)
        engine = self._engines.get((k, recall)) or self._engine_for(k, recall, threads)
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

    def within(
        self,
        query: npt.ArrayLike,
        radius: float,
        *,
        recall: float | None = None,
        threads: int = 1,
    ) -> Ranges:
        """Find all items within a radius.

        Parameters
        ----------
        query : array_like
            One item, or a batch.
        radius : float
            In units of the metric; items at exactly this distance are included.
        recall : float, optional
            For this call: the share of them that is found, on average.
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
        wanted = self._wanted_recall(recall)
        planner = self._planner or self._settled(threads)
        items, count = self._items(query)
        found = planner.within(items, radius, wanted, threads)
        return Ranges(found.slots, found.distances, None if count is None else found.offsets)

    def candidates(
        self, query: npt.ArrayLike, *, threads: int = 1
    ) -> npt.NDArray[np.int64] | list[npt.NDArray[np.int64]]:
        """Ids of the items that a search for 10 would verify.

        For tables that is the union of the query's buckets.

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
        engine = self._engine_for(_CANDIDATES_K, None, threads)
        if self._is_plain(query):
            found = engine.candidates_of_one(query)
            if found is not None:
                return found
        items, count = self._items(query)
        offsets, slots = engine.candidates(items, threads)
        if count is None:
            return slots
        return np.split(slots, offsets[1:-1]) if count else []

    def explain(
        self,
        query: npt.ArrayLike,
        k: int = 10,
        *,
        recall: float | None = None,
        id: int | None = None,
    ) -> Explanation:
        """Search one item and tell, step by step, what happened.

        Parameters
        ----------
        query : array_like
            One item.
        k : int
        recall : float, optional
            For this call, in place of the recall of the index.
        id : int, optional
            A member to follow: was it found, and if not, which step lost it?

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
        if id is not None:
            self._known_ids(id, "id")
        wanted = self._wanted_recall(recall)
        planner = self._settled()
        engine = planner.engine(k, wanted)
        steps = engine.trace(items, k)
        hits = Neighbors(*engine.nearest(items, None, k, 1))
        fate = None if id is None else self._fate(planner, items, k, wanted, int(id), hits)
        return Explanation(str(planner.plan(wanted, k)), len(self), steps, hits, fate)

    def measure(
        self,
        k: int = 10,
        queries: npt.ArrayLike | None = None,
        *,
        recall: float | None = None,
        threads: int = 1,
    ) -> Measured:
        """Measure the recall of searches, beside exact search.

        Parameters
        ----------
        k : int
            Neighbours asked for.
        queries : array_like, shape (n, d) or (n, *item_shape), optional
            A batch of your own. Without it 1,000 random members are used, each left out of its
            own search; they are not those that the index was calibrated on.
        recall : float, optional
            In place of the recall of the index.
        threads : int

        Returns
        -------
        Measured
            ``recall``, and the interval ``low`` to ``high`` which holds the mean over all such
            queries with 95 % confidence.

        Raises
        ------
        InvalidInput
            For a wrong k or queries that are no batch.
        """
        k, threads = self._wanted(k), _threads(threads)
        wanted = self._wanted_recall(recall)
        planner = self._settled(threads)
        assert self._rows is not None
        if queries is None:
            own = shuffled(
                len(self), _MEASURED, seed=self.seed, purpose=Purpose.CALIBRATION, stream=1
            )
            items = np.ascontiguousarray(self._rows.vectors[own])
        else:
            items = self._batch(queries, "queries")
            own = np.full(len(items), -1)
        engine = planner.engine(k, wanted, threads)
        return measure(engine, planner.exact, items, own, k, threads)

    def calibrate(self, queries: npt.ArrayLike, *, threads: int = 1) -> None:
        """Keep the promise for queries like these, when they are unlike the stored items.

        Parameters
        ----------
        queries : array_like, shape (n, d) or (n, *item_shape)
            A sample of your own, not used for anything else; some hundreds at least. More make
            the promise cheaper, up to 800 (3,200 for a recall above 0.995).
        threads : int

        Raises
        ------
        InvalidInput
            When they are no batch.
        NotSupported
            When the plan is not calibrated: hash tables, or exact search.
        """
        planner = self._settled(_threads(threads))
        items = self._batch(queries, "queries")
        if not isinstance(planner, CellsPlanner):
            raise NotSupported(
                f"calibrate must be given an index whose plan is measured; got the plan "
                f"{planner.plan(self.recall).engine!r}, which does not depend on queries. "
                "There is nothing to do."
            )
        if not len(items):
            raise InvalidInput("queries must be some hundreds of your own; got none. Pass a batch.")
        with self._lock:
            planner.calibrate(items, threads)
            self._engines = {}

    # ---- inside

    def _check_ranges(self, value_range: int | None, width_bits: int | None) -> None:
        wrong, given = (
            ("width_bits", width_bits)
            if self.metric in ("l1", "l2")
            else ("value_range", value_range)
        )
        if self.metric == "cosine" and width_bits is not None:
            wrong, given = "width_bits", width_bits
        if given is not None:
            raise InvalidInput(
                f"{wrong} must be left out for metric {self.metric!r}, to which it does not "
                f"apply; got {given!r}. value_range is for 'l1' and 'l2', width_bits for "
                "'hamming'."
            )
        if self.bits is not None and self.metric not in _HASHED:
            raise NotSupported(
                f"bits and tables must go with metric 'l1' or 'hamming' in this version; got "
                f"{self.metric!r}. Leave them out and say a recall."
            )

    def _layout_for(self, batch: npt.NDArray[Any]) -> Layout:
        """The layout in which the items so far and this batch can be stored."""
        if self._layout is None:
            # Hash functions of tables are drawn for bytes.
            hashed = 255 if self.bits is not None and self.metric != "hamming" else None
            return Layout.of(batch, self._metric, self.value_range or hashed, self.width_bits)
        layout = self._layout
        may_widen = self.value_range is None and self.bits is None and self.width_bits is None
        if (
            may_widen
            and not layout.are_floats
            and not arrays.are_whole_bytes(batch, layout.value_range)
        ):
            return layout.widened(batch)
        return layout

    def _rows_of(self, layout: Layout) -> Rows:
        """The rows so far, in this layout."""
        if self._rows is not None and layout.measure == self._rows.measure:
            return self._rows
        rows = Rows(layout.width, layout.measure, layout.value_range, layout.scale)
        if self._rows is not None:
            rows.append(np.ascontiguousarray(self._rows.vectors))
        return rows

    def _items(self, query: npt.ArrayLike | None) -> tuple[npt.NDArray[Any], int | None]:
        """Check a query fully; return it as the core reads it, and its count (None for one)."""
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

    def _batch(self, queries: npt.ArrayLike, what: str) -> npt.NDArray[Any]:
        items, count = self._items(queries)
        if count is None:
            raise InvalidInput(f"{what} must be a batch; got one item. Add an axis: {what}[None].")
        return items

    def _wanted_recall(self, recall: float | None) -> float | None:
        """The recall of one call."""
        if recall is None:
            return self.recall
        if self.recall is None:
            raise InvalidInput(
                f"recall must be left out, because bits and tables decide it; got {recall!r}. "
                "Build an index without them to say a recall."
            )
        return _checked_recall(recall)

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

    def _is_plain_batch(self, query: object) -> TypeGuard[npt.NDArray[Any]]:
        """Whether a query is a batch that the core reads, and checks, as it is."""
        return (
            type(query) is np.ndarray
            and query.dtype in _PLAIN
            and query.shape[1:] == self._item_shape
            and query.flags.c_contiguous
            and (self.width_bits is None or self._layout.may_be_plain(query))  # type: ignore[union-attr]
        )

    def _engine_for(self, k: int, recall: float | None, threads: int) -> Engine:
        """The engine for a search, remembered for the next."""
        wanted = self._wanted_recall(recall)
        with self._lock:
            engine = self._settled(threads).engine(k, wanted, threads)
            if len(self._engines) >= _MOST_ENGINES:
                self._engines = {}
            self._engines[k, recall] = engine
            return engine

    def _settled(self, threads: int = 1) -> Planner:
        """The planner for what is stored now, built at first need."""
        with self._lock:
            if self._planner is None:
                self._planner = self._built(threads)
            return self._planner

    def _built(self, threads: int) -> Planner:
        if not len(self) or self._rows is None or self._layout is None:
            raise _empty_index()
        about = self._rows, self._metric, self._layout.stored_as
        if self.bits is not None and self.tables is not None:
            if self.width_bits is None:
                family = BitSampling(self._rows.width, self._layout.value_range)
            else:
                family = BitSampling(self.width_bits)
            functions = family.draw(self.seed, tables=self.tables, bits=self.bits)
            return TablesPlanner(*about, functions, threads)
        if self.recall == 1.0:
            return Planner(*about, "recall 1 was asked for")
        if self.metric == "hamming":
            return Planner(*about, "exact search is the engine for packed bits")
        if not cells_may_pay(self._rows):
            return Planner(*about, "with so few items exact search costs least")
        return CellsPlanner(*about, self.seed, threads)

    def _fate(
        self,
        planner: Planner,
        items: npt.NDArray[Any],
        k: int,
        recall: float | None,
        id: int,
        hits: Neighbors,
    ) -> Fate:
        """What happened to one member in a search."""
        assert self._rows is not None
        exact = planner.exact.nearest(items, None, len(self), 1)
        place = int(np.flatnonzero(exact[0] == id)[0])
        distance = float(exact[1][place])
        if id in hits.ids:
            return Fate(id, distance, place + 1, "found")
        if place >= k:
            return Fate(id, distance, place + 1, "not among the true k nearest")
        effort = None
        if isinstance(planner, CellsPlanner) and recall is not None:
            effort = planner.effort(k, recall)
        if effort is None or not isinstance(planner, CellsPlanner):
            return Fate(id, distance, place + 1, "lost in hash: it shares no bucket")
        cell_rank, estimate_rank = planner.ranks_of(items, id)
        if cell_rank > effort.probes:
            lost = f"lost in hash: its cell is number {cell_rank}, {effort.probes} are probed"
        else:
            lost = (
                f"lost in filter: its estimate is number {estimate_rank}, "
                f"{effort.candidates} are verified"
            )
        return Fate(id, distance, place + 1, lost, planner.recall_that_finds(k, items, id))

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
        recall: float | None,
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
        more = min(k + len(banned), max(len(self), k))
        hits = self.search(query, more, recall=recall, threads=threads)
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
    return _checked_recall(recall)


def _checked_recall(recall: float) -> float:
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
