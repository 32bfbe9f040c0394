"""What searches return."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike.errors import MissingExtra

__all__ = ["Explanation", "Fate", "Neighbors", "Ranges", "Step"]

Ids = npt.NDArray[np.int64]
Distances = npt.NDArray[np.float64]

_SHOWN = 5  # results listed in a repr
_SHOWN_IN_NOTEBOOK = 20


class Neighbors:
    """The nearest items of one query or of a batch.

    Attributes
    ----------
    ids : ndarray of int64, shape (k,) for one query, (n, k) for a batch
        Nearest first, ties by id; -1 where fewer than k were found.
    distances : ndarray of float64, same shape
        Exact distances in units of the metric; infinity beside an id of -1.
    widened : bool for one query, ndarray of bool, shape (n,), for a batch
        Whether the query is unlike those that the recall was promised for, so that the search
        was widened. What is promised for others is then likely and no more.

    Notes
    -----
    Iterating over the result of one query gives (id, distance) pairs of what was found;
    iterating over a batch gives one ``Neighbors`` per query.
    """

    __slots__ = ("distances", "ids", "widened")

    def __init__(
        self, ids: Ids, distances: Distances, widened: bool | npt.NDArray[np.bool_]
    ) -> None:
        self.ids = ids
        self.distances = distances
        self.widened = widened

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, query: int) -> Neighbors:
        if isinstance(self.widened, bool):
            raise TypeError("this is the result of one query: use .ids and .distances")
        return Neighbors(self.ids[query], self.distances[query], bool(self.widened[query]))

    def __iter__(self) -> Iterator[Any]:
        if self.ids.ndim == 1:
            found = self.ids >= 0
            return iter(zip(self.ids[found].tolist(), self.distances[found].tolist(), strict=True))
        return (self[query] for query in range(len(self)))

    def __repr__(self) -> str:
        if self.ids.ndim == 2:
            return f"Neighbors({len(self)} queries, k={self.ids.shape[1]})"
        return f"Neighbors({_pairs(self.ids, self.distances)})"

    def without(self, ids: npt.ArrayLike, k: int) -> Neighbors:
        """Return the nearest of these that have none of the given ids.

        Parameters
        ----------
        ids : array of int
        k : int
            At most so many; where fewer are left, id -1 and distance infinity fill up.
        """
        own, distances = np.atleast_2d(self.ids), np.atleast_2d(self.distances)
        left = ~np.isin(own, ids)
        # A stable sort moves those that are left to the front and keeps their order.
        order = np.argsort(~left, axis=1, kind="stable")[:, :k]
        kept = np.take_along_axis(left, order, axis=1)
        own = np.where(kept, np.take_along_axis(own, order, axis=1), -1)
        distances = np.where(kept, np.take_along_axis(distances, order, axis=1), np.inf)
        shape = (*self.ids.shape[:-1], own.shape[1])
        return Neighbors(own.reshape(shape), distances.reshape(shape), self.widened)

    def to_columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return what was found as columns: query, rank (from 1), id, distance."""
        ids, distances = np.atleast_2d(self.ids), np.atleast_2d(self.distances)
        query, place = np.nonzero(ids >= 0)
        return {
            "query": query,
            "rank": place + 1,
            "id": ids[query, place],
            "distance": distances[query, place],
        }

    def to_pandas(self) -> Any:
        """Return what was found as a ``pandas.DataFrame`` of the columns of ``to_columns``.

        Raises
        ------
        MissingExtra
            When pandas is not installed.
        """
        try:
            import pandas  # noqa: PLC0415
        except ImportError:
            raise MissingExtra("a data frame", "pandas", "frames") from None
        return pandas.DataFrame(self.to_columns())

    def to_arrow(self) -> Any:
        """Return what was found as a ``pyarrow.Table`` of the columns of ``to_columns``.

        Raises
        ------
        MissingExtra
            When pyarrow is not installed.
        """
        try:
            import pyarrow  # noqa: PLC0415
        except ImportError:
            raise MissingExtra("an Arrow table", "pyarrow", "frames") from None
        return pyarrow.table(self.to_columns())

    def _repr_html_(self) -> str:
        """As a table, in a notebook."""
        if self.ids.ndim == 2:
            return f"<p>{escape(repr(self))}</p>"
        rows = [("id", "distance"), *((str(i), f"{d:g}") for i, d in self)]
        return _html_table(rows[: _SHOWN_IN_NOTEBOOK + 1])


class Ranges:
    """All items within a radius, of one query or of a batch.

    Attributes
    ----------
    ids : ndarray of int64, shape (total,)
        Of all queries one after the other; within a query nearest first, ties by id.
    distances : ndarray of float64, shape (total,)
    offsets : ndarray of int64, shape (n + 1,), or None for one query
        The results of query i are ``ids[offsets[i]:offsets[i + 1]]``.

    Notes
    -----
    Iterating over a batch, or indexing it, gives one ``Ranges`` per query; iterating over one
    query gives (id, distance) pairs.
    """

    __slots__ = ("distances", "ids", "offsets")

    def __init__(self, ids: Ids, distances: Distances, offsets: Ids | None = None) -> None:
        self.ids = ids
        self.distances = distances
        self.offsets = offsets

    def __len__(self) -> int:
        return len(self.ids) if self.offsets is None else len(self.offsets) - 1

    def __getitem__(self, query: int) -> Ranges:
        if self.offsets is None:
            raise TypeError("this is the result of one query: use .ids and .distances")
        if not -len(self) <= query < len(self):
            raise IndexError(f"query {query} of a batch of {len(self)}")
        query %= len(self)
        part = slice(self.offsets[query], self.offsets[query + 1])
        return Ranges(self.ids[part], self.distances[part])

    def __iter__(self) -> Iterator[Any]:
        if self.offsets is None:
            return iter(zip(self.ids.tolist(), self.distances.tolist(), strict=True))
        return (self[query] for query in range(len(self)))

    def __repr__(self) -> str:
        if self.offsets is not None:
            return f"Ranges({len(self)} queries, {len(self.ids)} found)"
        return f"Ranges({_pairs(self.ids, self.distances)})"


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a search: what it does, how many vectors were left, how long it took."""

    name: str
    does: str
    left: int
    microseconds: float


@dataclass(frozen=True, slots=True)
class Fate:
    """What happened to one member in a search.

    Attributes
    ----------
    id : int
    distance : float
        Its exact distance from the query.
    rank : int
        Its true place among all members, 1 for the nearest.
    what : str
        Found, or which step lost it.
    recall : float or None
        Where it was lost: the smallest recall, of those tried, that would have found it.
    """

    id: int
    distance: float
    rank: int
    what: str
    recall: float | None = None

    def __str__(self) -> str:
        remedy = "" if self.recall is None else f"; recall={self.recall:g} would have found it"
        return f"id {self.id}, distance {self.distance:g}, rank {self.rank:,}: {self.what}{remedy}"


@dataclass(frozen=True, slots=True)
class Explanation:
    """How one query was answered.

    Attributes
    ----------
    plan : str
        The plan of the index, in a line.
    size : int
        Number of vectors in the index.
    steps : tuple of Step
        In order; each with the number of vectors left after it. The times are measured on
        this call and vary from call to call.
    hits : Neighbors
        The answer.
    fate : Fate or None
        Of the member that was asked about.
    """

    plan: str
    size: int
    steps: tuple[Step, ...]
    hits: Neighbors = field(repr=False)
    fate: Fate | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain Python values, ready for JSON."""
        return {
            "plan": self.plan,
            "size": self.size,
            "steps": [
                {
                    "name": step.name,
                    "does": step.does,
                    "left": step.left,
                    "microseconds": step.microseconds,
                }
                for step in self.steps
            ],
            "ids": self.hits.ids.tolist(),
            "distances": [d if np.isfinite(d) else None for d in self.hits.distances.tolist()],
            "fate": None if self.fate is None else asdict(self.fate),
        }

    def _rows(self) -> list[tuple[str, str, str, str]]:
        rows = [("step", "vectors left", "microseconds", "")]
        return rows + [
            (s.name, f"{s.left:,}", f"{s.microseconds:,.1f}", s.does) for s in self.steps
        ]

    def _repr_html_(self) -> str:
        """As a table, in a notebook."""
        fate = "" if self.fate is None else f"<p>{escape(str(self.fate))}</p>"
        plan = f"<p>{escape(self.plan)}<br>{self.size:,} vectors</p>"
        return plan + _html_table(self._rows()) + fate

    def __str__(self) -> str:
        rows = self._rows()
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        lines = [
            f"  {name:<{widths[0]}}  {left:>{widths[1]}}  {time:>{widths[2]}}  {does}".rstrip()
            for name, left, time, does in rows
        ]
        fate = [] if self.fate is None else [str(self.fate)]
        return "\n".join([f"plan: {self.plan}", f"{self.size:,} vectors", *lines, *fate])


def _html_table(rows: Sequence[Sequence[str]]) -> str:
    """An HTML table; the first row is its head."""
    head, *body = [[escape(text) for text in row] for row in rows]
    lines = ["<tr>" + "".join(f"<th>{text}</th>" for text in head) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{text}</td>" for text in row) + "</tr>" for row in body]
    return "<table>" + "".join(lines) + "</table>"


def _pairs(ids: Ids, distances: Distances) -> str:
    shown = [
        f"{i}: {d:g}"
        for i, d in zip(ids[:_SHOWN].tolist(), distances[:_SHOWN].tolist(), strict=True)
    ]
    more = len(ids) - len(shown)
    return ", ".join(shown) + (f", ... {more} more" if more > 0 else "")
