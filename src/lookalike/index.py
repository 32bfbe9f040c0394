"""The index: vectors in, nearest neighbours out."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from lookalike import arrays
from lookalike.archive import Archive, believing, index_facts
from lookalike.engines.engine import Engine
from lookalike.engines.rows import Rows
from lookalike.errors import Drifted, InvalidInput, NotSupported, ReadOnly, WouldOverwrite
from lookalike.layout import Layout
from lookalike.members import (
    Ids,
    Members,
    Where,
    new_ids,
    refuse_known,
    rows_of_known,
)
from lookalike.metrics import metric_named
from lookalike.pairs import JoinPlan, Pairs
from lookalike.planner.cells import CellsPlanner
from lookalike.planner.choice import planner_for
from lookalike.planner.planner import Plan, Planner
from lookalike.recall import Measured, measure
from lookalike.results import Explanation, Neighbors, Ranges
from lookalike.seeds import Purpose, shuffled
from lookalike.settings import Settings, checked_recall
from lookalike.snapshot import Snapshot
from lookalike.store.folder import Folder, Progress, folder_for
from lookalike.store.manifest import Manifest

__all__ = ["Index"]

_MOST_THREADS = 1024
_MOST_PADDED = 100_000  # neighbours that may be asked for although there are fewer items
_CANDIDATES_K = 10
_MEASURED = 1000  # members that recall is measured on
_PAIRS_TOGETHER = 1 << 20  # that are in memory at a time
_SEARCHED_TOGETHER = 4096  # members of another index
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
    promise : {"calibrated", "guaranteed"}
        What a recall is. "calibrated": the mean over queries like the items, measured on them;
        learned from the data, and fast. "guaranteed": the probability with which each true
        neighbour of any query is found, over the draw of the hash functions; nothing is learned,
        and searches take 7 to 40 times as long.
    bits, tables : int, optional
        k bits x m tables: classic LSH with the parameters of your choice. Both or neither. A
        "bit" is one hash function of the family.
    family : {"bit_sampling", "p_stable", "hyperplane", "cross_polytope"}, optional
        With bits and tables: which functions. Unless given, bits of the items for "hamming" and
        for "l1" of bytes, intervals of random lines ("p_stable") for "l2" and for "l1" of other
        numbers, the sides of planes for "cosine"; "cross_polytope" is the other one for "cosine".
    probes : int
        With bits and tables: how many buckets of each table are looked at, the likeliest first.
    bucket_width : float, optional
        Length of the intervals, in units of the metric. Four times the median distance of the
        tenth neighbours of 64 members unless given.
    value_range : int, optional
        For "l1" and "l2": items are whole numbers up to this one, at most 255. Otherwise items
        are stored as bytes if those of the first batch are such, and else as float32. Hash
        functions are drawn for this range, so give it when it is smaller than 255.
    width_bits : int, optional
        For "hamming": bits of an item; 8 for each byte unless given.
    seed : int or None
        Of all random choices. None draws one, kept in ``index.seed``.
    encoder : str, optional
        What makes the vectors, with its version: kept with the index, part of its fingerprint.
        Indexes whose encoders differ are not joined.

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

    Notes
    -----
    An index may be searched from many threads while one of them changes it: every search sees
    one state, that before a change or that after it, and no search waits for a change. Changes
    wait for each other.
    """

    def __init__(
        self,
        metric: str,
        *,
        recall: float | None = None,
        promise: str = "calibrated",
        bits: int | None = None,
        tables: int | None = None,
        family: str | None = None,
        probes: int = 1,
        bucket_width: float | None = None,
        value_range: int | None = None,
        width_bits: int | None = None,
        seed: int | None = 0,
        encoder: str | None = None,
    ) -> None:
        self._metric = metric_named(metric)
        self._settings = Settings.checked(
            self._metric.name,
            recall=recall,
            promise=promise,
            bits=bits,
            tables=tables,
            family=family,
            probes=probes,
            bucket_width=bucket_width,
            value_range=value_range,
            width_bits=width_bits,
            seed=seed,
            encoder=encoder,
        )
        self._begin()

    def _begin(self) -> None:
        """Empty, and in memory alone."""
        self.width_bits = self._settings.width_bits
        self._state: Snapshot | None = None  # from the first batch on; replaced, never changed
        self._changing = threading.RLock()
        self._warned = False
        self._archive: Archive | None = None  # where the index is on a disk

    # ---- on disk

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        mode: Literal["r", "r+"] = "r",
        *,
        verify: Literal["header", "full"] = "header",
        map: bool = True,
        progress: Progress | None = None,
    ) -> Index:
        """Open an index that :meth:`save` has written.

        Parameters
        ----------
        path : path
            Of its folder.
        mode : {"r", "r+"}
            "r" to search: any number of processes may, also while one changes it; each sees the
            state that it opened, until :meth:`refresh`. "r+" to change it as well: one process at
            a time. What ``add`` and ``remove`` have returned from is then on the disk for good.
        verify : {"header", "full"}
            "header" checks lengths, headers and 64 KiB at both ends of each file, which finds what
            was cut off, swapped or left half written, and no flipped bit between. "full" reads
            and checks every byte.
        map : bool
            Leave the files on the disk, and read what searches need: an index may be larger than
            the memory, and processes share what is read. False reads all into memory, and is
            then safe from whoever truncates a file that is in use, which kills a process that
            maps it. lookalike itself never writes to a file again.
        progress : callable, optional
            Called with the bytes that were checked and how many there are; False cancels.

        Raises
        ------
        UnreadableFile
            When there is no index; ``CorruptStore`` when it is damaged, ``NewerFormat`` when a
            later version wrote it.
        Locked
            For "r+", when another process has it.

        Examples
        --------
        >>> import numpy, lookalike, tempfile
        >>> path = tempfile.mkdtemp() + "/digits.index"
        >>> index = lookalike.Index("l1")
        >>> ids = index.add(numpy.eye(8, dtype=numpy.uint8))
        >>> index.save(path)
        >>> lookalike.Index.open(path)
        <Index l1, 8 items of shape (8,), engine exact>
        """
        if mode not in ("r", "r+") or verify not in ("header", "full"):
            raise InvalidInput(
                "open must be given mode 'r' or 'r+' and verify 'header' or 'full'; got "
                f"{mode!r} and {verify!r}. 'r' is for searching, 'r+' for changes too."
            )
        archive = Archive(Folder(Path(path), writing=mode == "r+"), mapped=map)
        index = cls.__new__(cls)
        try:
            state = archive.load(whole=verify == "full", progress=progress)
            # After loading, which goes on to a newer index where one has just been put there.
            index._settings = archive.settings
            index._metric = metric_named(index._settings.metric)
            index._begin()
            index._archive = archive
            index._take_up(state)
        except BaseException:
            archive.folder.close()
            raise
        return index

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        replace: bool = False,
        progress: Progress | None = None,
        threads: int = 1,
    ) -> None:
        """Write the index to a folder, planned and ready to be searched.

        Parameters
        ----------
        path : path
            Of a folder that is not there yet, or empty.
        replace : bool
            Put it in the place of the index that is there, also of a damaged one: at once, or not
            at all. Whoever has opened that one goes on with it.
        progress : callable, optional
            Called with the bytes that were written and how many there are; False cancels.
        threads : int
            To plan with, if that was not done yet.

        Raises
        ------
        WouldOverwrite
            When something is there.
        NotWritten
            When the disk refuses; what was there is untouched.
        """
        threads = _threads(threads)
        with self._changing:
            if self._archive is not None and self._archive.folder.is_at(Path(path)):
                raise WouldOverwrite(
                    f"an index must be saved to another place than its own; got {path}. What "
                    "changed there is on the disk already; compact() writes it anew."
                )
            archive = Archive(folder_for(Path(path), replace=replace), mapped=False)
            try:
                state = self._state
                if state is None:
                    archive.folder.commit(index_facts(self._settings, None), ())
                    return
                if len(state.members):
                    state = self._filled(threads)
                archive.commit(
                    self._settings, state, whole=True, planned=lambda own: own, progress=progress
                )
            finally:
                archive.folder.close()

    def refresh(self) -> bool:
        """Go on to the newest state on the disk.

        Returns
        -------
        bool
            Whether there was a newer one. Always False for an index in memory, and for the one
            that makes the changes.

        Raises
        ------
        CorruptStore
            When the newest state is damaged. The index stays at the one it has.
        """
        archive = self._archive
        if archive is None:
            return False
        with self._changing:
            if archive.folder.read_manifest() == archive.folder.manifest:
                return False
            newer = Archive(archive.folder.newest(), mapped=archive.mapped)
            state = newer.load()
            self._settings = newer.settings  # save(replace=True) may have put another there
            self._metric = metric_named(self._settings.metric)
            self._take_up(state)
            self._archive = newer
            return True

    def compact(self, *, progress: Progress | None = None, threads: int = 1) -> None:
        """Write an index on a disk anew, as one segment without what was removed.

        It is then as if built from its members: planned and calibrated for them.

        Parameters
        ----------
        progress : callable, optional
            Called with the bytes that were written and how many there are; False cancels.
        threads : int

        Raises
        ------
        ReadOnly
            When it was not opened with mode "r+".
        NotWritten
            When the disk refuses; it is as it was.
        """
        threads = _threads(threads)
        with self._changing:
            self._check_changeable()
            if self._archive is None:
                raise ReadOnly(
                    "compact must be given an index on a disk; this one is in memory. Call "
                    "rebuild(), or save() it first."
                )
            if self._state is not None:
                self._rebuild(self._state, threads, planned=True, progress=progress)

    def close(self) -> None:
        """Let others change the index on the disk. This one can still be searched."""
        if self._archive is not None:
            self._archive.folder.close()

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _take_up(self, state: Snapshot | None) -> None:
        """Go on with a state that was loaded."""
        self._state = state
        self._warned = False
        self.width_bits = self._settings.width_bits if state is None else state.width_bits

    def _check_changeable(self) -> None:
        archive = self._archive
        if archive is not None and not archive.folder.is_writing:
            raise ReadOnly(
                f"{archive.folder.path} must be open for changes; it was opened to be read, was "
                'closed, or belongs to the parent of this process. Open it with mode "r+".'
            )

    # ---- what is stored

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, id: object) -> bool:
        if isinstance(id, bool) or not isinstance(id, (int, np.integer)):
            return False
        number = int(id)
        return 0 <= number < 2**63 and bool(self._members.find(np.array([number])) >= 0)

    def __repr__(self) -> str:
        state = self._state
        shape = "" if state is None else f" of shape {state.item_shape}"
        planned = state is not None and state.planner is not None
        engine = "not planned yet"
        if planned:
            engine = f"engine {self.plan.engine}"
        elif state is not None and state.plan is not None:
            engine = f"engine {state.plan.engine}"
        return f"<Index {self.metric}, {len(self):,} items{shape}, {engine}>"

    @property
    def metric(self) -> str:
        """Name of the metric."""
        return self._metric.name

    @property
    def recall(self) -> float | None:
        """What was asked for; None when bits and tables decide it."""
        return self._settings.recall

    @property
    def seed(self) -> int:
        """Of all random choices."""
        return self._settings.seed

    @property
    def encoder(self) -> str | None:
        """What makes the vectors; None where it was not said."""
        return self._settings.encoder

    @property
    def item_shape(self) -> tuple[int, ...] | None:
        """Shape of one item, fixed by the first batch; None before."""
        return None if self._state is None else self._state.item_shape

    @property
    def ids(self) -> Ids:
        """The ids of all members, in the order in which they were added."""
        return self._members.ids

    @property
    def plan(self) -> Plan:
        """What a search for 10 neighbours does and why; planned now if it was not before."""
        if len(self):
            return _planner_of(self._filled()).plan(self.recall)
        engine = "not planned yet" if self._settings.bits is None else "tables"
        return Plan(engine, self.metric, "nothing stored yet", reason="the plan follows the items")

    @property
    def size_bytes(self) -> int:
        """Memory of the stored vectors and of what the plan has built so far, in bytes."""
        state = self._state
        if state is None:
            return 0
        return state.rows.array.nbytes + (0 if state.planner is None else state.planner.size_bytes)

    def add(
        self,
        items: npt.ArrayLike,
        ids: npt.ArrayLike | None = None,
        *,
        replace: bool = False,
        threads: int = 1,
    ) -> Ids:
        """Store a batch.

        Parameters
        ----------
        items : array_like, shape (n, d) or (n, *item_shape)
            The first batch fixes the item shape. For "hamming": uint8 in ``numpy.packbits``
            order, or bool. Otherwise numbers of any dtype: whole ones up to 255 are stored as
            bytes, others as float32.
        ids : array of int, shape (n,), optional
            Your own, from 0 to 2**63 - 1. Without them ids count on from the largest so far; no
            id is given a second time, also when its item was removed.
        replace : bool
            Put items in the place of those that have these ids already, which is otherwise an
            error.
        threads : int
            How many to use when the plan has to follow: an index that has been searched is
            encoded, and measured again now and then, while the next items come in.

        Returns
        -------
        ndarray of int64, shape (n,)
            The ids of the items.

        Raises
        ------
        InvalidInput
            For a wrong shape, dtype, value or id. Nothing was added.
        """
        array, threads = arrays.as_array(items, "items"), _threads(threads)
        with self._changing:
            self._check_changeable()
            layout = self._layout_for(array)
            count = layout.count(array, "items")
            if count is None:
                raise InvalidInput(
                    f"items must be a batch, also when it is one item; got shape {array.shape}. "
                    "Add an axis: items[None]."
                )
            members = self._members
            own = None if ids is None else new_ids(ids, count)
            if own is not None:
                slots = members.find(own)
                if not replace:
                    refuse_known(own[slots >= 0])
                members = members.without(slots[slots >= 0])
            rows = self._rows_of(layout)
            start = len(rows)
            rows.append(layout.rows(array, "items"))
            members = members.added(count, own)
            self._change(layout, rows, members, threads)
            return members.ids_of(np.arange(start, len(rows), dtype=np.int64))

    def remove(self, ids: npt.ArrayLike, *, threads: int = 1) -> None:
        """Remove members.

        Parameters
        ----------
        ids : int or array of int
            Their memory is used again after ``rebuild``, which happens by itself when more than
            half have been removed.
        threads : int
            How many to use when the plan has to follow.

        Raises
        ------
        InvalidInput
            When one of them is not in the index. Nothing was removed.
        """
        threads = _threads(threads)
        with self._changing:
            self._check_changeable()
            slots = np.unique(rows_of_known(self._members, ids, "ids"))
            state = self._state
            if state is not None and len(slots):
                members = state.members.without(slots)
                self._change(state.layout, state.store, members, threads)

    def rebuild(self, *, progress: Progress | None = None, threads: int = 1) -> None:
        """Build again from the members: learn, plan and calibrate for what is stored now.

        Answers keep the same promise before and after. Rebuilding gives back the memory of
        removed items, and is what to do after the warning that the items have drifted.

        Parameters
        ----------
        progress : callable, optional
            For an index on a disk: called with the bytes that were written and how many there
            are; False cancels, and leaves it as it was.
        threads : int
        """
        threads = _threads(threads)
        with self._changing:
            self._check_changeable()
            state = self._state
            if state is not None:
                planned = state.planner is not None or state.plan is not None
                self._rebuild(state, threads, planned=planned, progress=progress)

    def _change(self, layout: Layout, rows: Rows, members: Members, threads: int) -> None:
        """Publish another state, with a plan that follows when there was one.

        Where the plan is still on the disk, it follows at the first search; how many rows are of
        no use is known without it.
        """
        old = self._state
        state = Snapshot(layout, rows, members)
        outgrown = members.are_mostly_removed
        if old is not None and layout.measure == old.layout.measure and len(members):
            state.plan = old.plan
            if old.planner is not None and not outgrown:
                state.planner = old.planner.changed(state.rows, members.present, threads)
                outgrown = state.planner.outgrown
        if outgrown:
            planned = old is not None and (old.planner is not None or old.plan is not None)
            self._rebuild(state, threads, planned=planned)
        else:
            self._publish(state, threads)

    def _rebuild(
        self,
        state: Snapshot,
        threads: int,
        *,
        planned: bool,
        progress: Progress | None = None,
    ) -> Snapshot:
        """Publish a state of the same members, planned from them alone."""
        members = state.members
        rows = state.store if members.present is None else state.store.taken(members.slots)
        state = Snapshot(state.layout, rows, members.compacted())
        if planned and len(members):
            state.planner = self._built(state, threads)
        self._warned = False
        return self._publish(state, threads, whole=True, progress=progress)

    def _publish(
        self,
        state: Snapshot,
        threads: int,
        *,
        whole: bool = False,
        progress: Progress | None = None,
    ) -> Snapshot:
        """Let searches see a state, with the engines that were in use.

        Nothing of a change lasts before its last line, so that Ctrl-C leaves the old state; nor
        before the commit, where the index is on a disk.
        """
        archive = self._archive
        if archive is None:
            return self._shown(state, threads)
        before = archive.folder.manifest
        try:
            state = self._committed(archive, state, threads, whole, progress)
            return self._shown(state, threads)
        except BaseException:
            self._agree(archive, before)
            raise

    def _shown(self, state: Snapshot, threads: int) -> Snapshot:
        """Let searches see a state."""
        old = self._state
        # After drift, the next search has to come by where the warning is.
        warned = self._warned or state.planner is None or not state.planner.has_drifted
        if old is not None and state.planner is not None and warned:
            for k, recall in list(old.engines):
                wanted = self._wanted_recall(recall)
                state.engines[k, recall] = state.planner.engine(k, wanted, threads)
        self.width_bits = state.layout.width_bits
        self._state = state
        return state

    def _committed(
        self,
        archive: Archive,
        state: Snapshot,
        threads: int,
        whole: bool,
        progress: Progress | None,
    ) -> Snapshot:
        """The same state, on the disk for good."""
        planned = state.planner is not None
        state = archive.commit(
            self._settings,
            state,
            whole=whole,
            planned=lambda own: self._with_planner(own, threads),
            progress=progress,
        )
        return self._with_planner(state, threads) if planned else state

    def _agree(self, archive: Archive, before: Manifest) -> None:
        """After a change that did not end: what is on the disk is what holds."""
        try:
            newest = archive.folder.read_manifest()
            if newest != before:
                archive.folder.manifest = newest
                self._take_up(archive.load())
        except BaseException:
            archive.folder.close()  # who does not know what holds must not write
            raise

    def _with_planner(self, state: Snapshot, threads: int) -> Snapshot:
        """A state whose plan is on the disk, with the planner that was stored."""
        if state.planner is None and state.plan is not None and len(state.members):
            state.planner = state.plan.planner(state.rows, state.present, threads)
        return state

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
        state = self._state
        slots = rows_of_known(self._members if state is None else state.members, ids, "ids")
        if state is None:
            return np.empty((0, 0), np.uint8)
        found: npt.NDArray[Any] = state.rows.vectors[slots]
        return found.reshape(*slots.shape, *state.item_shape)

    # ---- searching

    def search(
        self,
        query: npt.ArrayLike | None = None,
        k: int = 10,
        *,
        id: int | None = None,
        exclude: npt.ArrayLike | None = None,
        where: Where | None = None,
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
        where : ndarray of bool, array of int, or callable, optional
            Which members may be found: a truth value for each in the order of ``index.ids``,
            the ids that are allowed (others are ignored), or a function that takes
            ``index.ids`` and returns truth values. The answer is then exact, whatever the
            recall: all allowed members are compared.
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
            return self._search_without(query, k, id, exclude, where, recall, threads)
        state = self._state
        engine = None if state is None else state.engines.get((k, recall))
        if state is None or engine is None:
            state = self._filled(threads)
            self._warn_of_drift(_planner_of(state))
            engine = self._engine_for(state, k, recall, threads)
        if where is not None:
            engine = _planner_of(state).filtered(state.members.mask(where))
        if state.is_ordered and state.is_plain(query):
            if state.are_rows:
                found = engine.nearest_of_one(query, k)
                if found is not None:  # else the full check finds what is wrong, or converts
                    return Neighbors(*found)
            else:
                found = engine.nearest_of_one(query, k, state.present)
                if found is not None:
                    return Neighbors(state.members.ids_of(found[0]), found[1], found[2])
        if state.is_plain_batch(query):
            try:
                return state.nearest(engine, query, len(query), k, threads)
            except ValueError:  # the full check says what is wrong
                pass
        items, count = self._items(state, query)
        return state.nearest(engine, items, count, k, threads)

    def within(
        self,
        query: npt.ArrayLike,
        radius: float,
        *,
        where: Where | None = None,
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
        where : ndarray of bool, array of int, or callable, optional
            Which members may be found, as for ``search``.
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
        state = self._filled(threads)
        planner = _planner_of(state)
        self._warn_of_drift(planner)
        if where is None and state.is_ordered and state.is_plain(query):
            near = planner.within_one(query, radius)
            if near is not None:
                return Ranges(state.members.ids_of(near[0]), near[1])
        items, count = self._items(state, query)
        if where is None:
            found = planner.within(items, radius, wanted, threads)
        else:
            engine = planner.filtered(state.members.mask(where))
            found = engine.within(items, radius, threads)
        return state.within(found, count)

    @overload
    def pairs(
        self,
        radius: float,
        *,
        other: Index | None = None,
        limit: int | None = None,
        recall: float | None = None,
        progress: Callable[[float], object] | None = None,
        threads: int = 1,
        dry_run: Literal[False] = False,
    ) -> Pairs: ...

    @overload
    def pairs(
        self,
        radius: float,
        *,
        other: Index | None = None,
        limit: int | None = None,
        recall: float | None = None,
        progress: Callable[[float], object] | None = None,
        threads: int = 1,
        dry_run: Literal[True],
    ) -> JoinPlan: ...

    def pairs(
        self,
        radius: float,
        *,
        other: Index | None = None,
        limit: int | None = None,
        recall: float | None = None,
        progress: Callable[[float], object] | None = None,
        threads: int = 1,
        dry_run: bool = False,
    ) -> Pairs | JoinPlan:
        """Find all pairs of items within a radius.

        Parameters
        ----------
        radius : float
            In units of the metric; pairs at exactly this distance are included.
        other : Index, optional
            Find the pairs of an item of this index and one of the other, which has the same
            metric and item shape. Equal ids are then no reason to leave a pair out.
        limit : int, optional
            End after so many pairs, and say so in ``truncated``: items that are all alike have
            n (n - 1) / 2.
        recall : float, optional
            For this call: the share of the pairs that is found, on average.
        progress : callable, optional
            Called now and then with the part of the work that is done.
        threads : int
            How many to use. The result does not depend on it.
        dry_run : bool
            Find nothing: return what it would take.

        Returns
        -------
        Pairs or JoinPlan
            To iterate over, in bounded memory, or to collect with ``all()``. It is of the items
            that are there now, whatever is added or removed meanwhile.

        Raises
        ------
        InvalidInput
            For a radius that is negative or NaN, a limit below 1, or another index of another kind.

        Examples
        --------
        >>> import numpy, lookalike
        >>> index = lookalike.Index("hamming")
        >>> ids = index.add(numpy.array([[0], [1], [255]], numpy.uint8))
        >>> index.pairs(radius=1).all().ids.tolist()
        [[0, 1]]
        """
        radius, threads = arrays.as_radius(radius), _threads(threads)
        most = None if limit is None else arrays.positive_integer(limit, "limit", 2**62)
        wanted = self._wanted_recall(recall)
        state = self._filled(threads)
        planner = _planner_of(state)
        if dry_run:
            others = None if other is None else len(other)
            return planner.join_plan(radius, wanted, _PAIRS_TOGETHER, others)
        together = _PAIRS_TOGETHER if most is None else min(_PAIRS_TOGETHER, most + 1)
        if other is None:
            found = state.pairs(planner.pairs(radius, wanted, together, threads))
        else:
            found = self._across(state, other, radius, wanted, threads)
        return Pairs(radius, planner.plan(wanted).promise, found, most, progress)

    def _across(
        self, state: Snapshot, other: Index, radius: float, recall: float | None, threads: int
    ) -> Iterator[tuple[Ids, Ids, npt.NDArray[np.float64], float]]:
        """The pairs with the members of another index: each of these is searched for."""
        theirs = other._filled()
        if (other.metric, theirs.item_shape, theirs.width_bits) != (
            self.metric,
            state.item_shape,
            state.width_bits,
        ):
            raise InvalidInput(
                f"the other index must have metric {self.metric!r} and item shape "
                f"{state.item_shape}, like this one; got {other.metric!r} and {theirs.item_shape}. "
                "Build it from the same kind of items."
            )
        if other.encoder != self.encoder:
            raise InvalidInput(
                "the other index must have vectors of the same encoder, so that distances mean "
                f"something; got {other.encoder!r} and {self.encoder!r}. Encode one of them anew."
            )

        def found() -> Iterator[tuple[Ids, Ids, npt.NDArray[np.float64], float]]:
            slots = theirs.members.slots
            for first in range(0, len(slots), _SEARCHED_TOGETHER):
                own = slots[first : first + _SEARCHED_TOGETHER]
                items, count = self._items(state, theirs.rows.vectors[own])
                near = _planner_of(state).within(items, radius, recall, threads)
                assert count == len(own)
                yield (
                    state.members.ids_of(near.slots),
                    np.repeat(theirs.members.ids_of(own), np.diff(near.offsets)),
                    near.distances,
                    (first + len(own)) / len(slots),
                )

        return found()

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
        state = self._filled()
        engine = self._engine_for(state, _CANDIDATES_K, None, threads)
        members = state.members
        if members.are_rows and state.is_plain(query):
            found = engine.candidates_of_one(query)
            if found is not None:
                return found
        items, count = self._items(state, query)
        offsets, slots = engine.candidates(items, threads, members.present)
        ids = members.ids_of(slots)
        each = np.split(ids, offsets[1:-1]) if len(offsets) > 1 else []
        if not members.ascending:
            each = [np.sort(part) for part in each]
        return each[0] if count is None else each

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
        state = self._filled()
        items, count = self._items(state, query)
        if count is not None:
            raise InvalidInput(
                f"explain must be given one item; got a batch of {count}. Pass one of them."
            )
        slot = None if id is None else int(rows_of_known(state.members, id, "id"))
        wanted = self._wanted_recall(recall)
        planner = _planner_of(state)
        engine = planner.engine(k, wanted)
        steps = engine.trace(items, k, state.members.present)
        hits = state.nearest(engine, items, None, k, 1)
        fate = None
        if id is not None and slot is not None:
            fate = replace(planner.fate(items, k, wanted, slot, id in hits.ids), id=int(id))
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
        state = self._filled(threads)
        planner = _planner_of(state)
        if queries is None:
            slots = state.members.slots
            chosen = shuffled(
                len(slots), _MEASURED, seed=self.seed, purpose=Purpose.CALIBRATION, stream=1
            )
            own = slots[chosen]
            items = state.rows.items(own)
        else:
            items = self._batch(state, queries, "queries")
            own = np.full(len(items), -1)
        engine = planner.engine(k, wanted, threads)
        return measure(engine, planner.exact, items, own, k, threads, state.members.present)

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
        threads = _threads(threads)
        with self._changing:
            self._check_changeable()
            state = self._filled()
            planner = _planner_of(state)
            items = self._batch(state, queries, "queries")
            if not isinstance(planner, CellsPlanner):
                raise NotSupported(
                    f"calibrate must be given an index whose plan is measured; got the plan "
                    f"{planner.plan(self.recall).engine!r}, which does not depend on queries. "
                    "There is nothing to do."
                )
            if not len(items):
                raise InvalidInput(
                    "queries must be some hundreds of your own; got none. Pass a batch."
                )
            calibrated = planner.calibrated(items)
            known = Snapshot(state.layout, state.store, state.members, calibrated)
            self._publish(known, threads, whole=True)

    # ---- inside

    def _layout_for(self, batch: npt.NDArray[Any]) -> Layout:
        """The layout in which the items so far and this batch can be stored."""
        settings = self._settings
        if self._state is None:
            # Sampled bits are drawn for bytes.
            hashed = settings.samples_bits and (
                settings.family == "bit_sampling" or arrays.are_whole_bytes(batch, 255)
            )
            value_range = settings.value_range or (255 if hashed else None)
            return Layout.of(batch, self._metric, value_range, self.width_bits)
        layout = self._state.layout
        if (
            settings.may_widen
            and self.width_bits is None
            and not layout.are_floats
            and not arrays.are_whole_bytes(batch, layout.value_range)
        ):
            return layout.widened(batch)
        return layout

    @property
    def _members(self) -> Members:
        return Members() if self._state is None else self._state.members

    def _rows_of(self, layout: Layout) -> Rows:
        """The rows so far, in this layout, to be added to."""
        state = self._state
        if state is not None and layout.measure == state.layout.measure:
            state.store.cut(len(state.rows))  # what a change that was interrupted has left
            return state.store
        rows = Rows(layout.width, layout.measure, layout.value_range, layout.scale)
        if state is not None:
            rows.append(np.ascontiguousarray(state.rows.vectors))
        return rows

    def _items(
        self, state: Snapshot, query: npt.ArrayLike | None
    ) -> tuple[npt.NDArray[Any], int | None]:
        """Check a query fully; return it as the core reads it, and its count (None for one)."""
        if query is None:
            raise InvalidInput(
                "search must be given a query or an id; got neither. Pass an item, a batch, or "
                "id= for the neighbours of a member."
            )
        array = arrays.as_array(query, "query")
        count = state.layout.count(array, "query")
        return state.layout.rows(array, "query"), count

    def _batch(self, state: Snapshot, queries: npt.ArrayLike, what: str) -> npt.NDArray[Any]:
        items, count = self._items(state, queries)
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
        return checked_recall(recall)

    def _wanted(self, k: object) -> int:
        """Check how many neighbours are wanted: results take memory, found or not."""
        return arrays.positive_integer(k, "k", max(len(self), _MOST_PADDED))

    def _filled(self, threads: int = 1) -> Snapshot:
        """The state to search, planned at first need."""
        state = self._state
        if state is None or not len(state.members):
            raise _empty_index()
        if state.planner is None:
            state = self._planned(threads)
        return state

    def _planned(self, threads: int) -> Snapshot:
        """Plan the present state: the one time that a search waits for changes."""
        with self._changing:
            state = self._state
            assert state is not None
            self._with_planner(state, threads)
            if state.planner is None:
                if self._archive is not None:
                    return self._planned_on_disk(state, threads)
                if state.members.present is not None:  # nothing is learned from what was removed
                    state = self._rebuild(state, threads, planned=False)
                state.planner = self._built(state, threads)
            elif (
                state.planner.outgrown and self._is_writing
            ):  # by what came before it was asked for
                return self._rebuild(state, threads, planned=True)
            return state

    @property
    def _is_writing(self) -> bool:
        """Whether changes go to the disk."""
        return self._archive is not None and self._archive.folder.is_writing

    def _planned_on_disk(self, state: Snapshot, threads: int) -> Snapshot:
        """Plan an index on a disk; who may change it keeps the plan there."""
        if self._is_writing:
            return self._rebuild(state, threads, planned=True)
        rows = state.store.taken(state.members.slots) if state.present is not None else state.store
        state = Snapshot(state.layout, rows, state.members.compacted())
        state.planner = self._built(state, threads)
        self._state = state
        return state

    def _warn_of_drift(self, planner: Planner) -> None:
        """Warn once, until it is built again."""
        if self._warned or not planner.has_drifted:
            return
        self._warned = True
        warnings.warn(
            "the items of this index have changed so much since it was built that searches cost "
            f"{planner.drift:.1f} times what they should; they keep their recall. Call rebuild().",
            Drifted,
            stacklevel=3,
        )

    def _engine_for(self, state: Snapshot, k: int, recall: float | None, threads: int) -> Engine:
        """The engine for a search, remembered for the next."""
        wanted = self._wanted_recall(recall)
        assert state.planner is not None
        engine = state.planner.engine(k, wanted, threads)
        if len(state.engines) >= _MOST_ENGINES:
            state.engines = {}
        state.engines[k, recall] = engine
        return engine

    def _built(self, state: Snapshot, threads: int) -> Planner:
        about = self._settings, self._metric, state.layout, state.rows, threads
        if self._archive is None:
            return planner_for(*about)
        with believing(self._archive.folder.about):  # rows on a disk may be anything
            return planner_for(*about)

    def _search_without(
        self,
        query: npt.ArrayLike | None,
        k: int,
        id: int | None,
        exclude: npt.ArrayLike | None,
        where: Where | None,
        recall: float | None,
        threads: int,
    ) -> Neighbors:
        """Search for more, then drop the excluded ids: by id, never by rank."""
        state = self._filled(threads)
        banned = np.unique(np.empty(0, np.int64) if exclude is None else np.asarray(exclude))
        rows_of_known(state.members, banned, "exclude")
        if id is not None:
            if query is not None:
                raise InvalidInput(
                    "search must be given a query or an id; got both. Leave one out."
                )
            slot = rows_of_known(state.members, id, "id")
            if slot.ndim:
                raise InvalidInput(
                    f"id must be one member; got an array of shape {slot.shape}. For several, "
                    "search their vectors and exclude them one by one."
                )
            query = state.rows.vectors[slot].reshape(state.item_shape)
            banned = np.union1d(banned, [id])
        more = min(k + len(banned), max(len(state.members), k))
        engine = (
            self._engine_for(state, more, recall, threads)
            if where is None
            else _planner_of(state).filtered(state.members.mask(where))
        )
        items, count = self._items(state, query)
        believed: AbstractContextManager[None] = nullcontext()
        if id is not None and self._archive is not None:
            believed = believing(self._archive.folder.about)  # rows on a disk may be anything
        with believed:
            found = state.nearest(engine, items, count, more, threads)
        return found.without(banned, k)


def _planner_of(state: Snapshot) -> Planner:
    """The planner of a state that was planned."""
    assert state.planner is not None
    return state.planner


def _threads(threads: int) -> int:
    return arrays.positive_integer(threads, "threads", _MOST_THREADS)


def _empty_index() -> InvalidInput:
    return InvalidInput(
        "a search must have items to find; got an empty index. Call add with a batch first."
    )
