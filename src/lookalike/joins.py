"""Groups: what hangs together by pairs within a radius, and how closely.

A group is a connected component: from each member to each other one leads a chain of pairs. A
chain may join what is unlike at its ends, so each group says how far its members are apart and how
long the longest link is without which it would fall in two; and it can be split so that all its
members lie within the radius of each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lookalike import native
from lookalike.engines.rows import Rows
from lookalike.errors import InvalidInput
from lookalike.index import Index
from lookalike.layout import Layout
from lookalike.metrics import metric_named
from lookalike.pairs import Pairs
from lookalike.seeds import Purpose, shuffled

__all__ = [
    "Group",
    "compared",
    "complete_linkage",
    "components",
    "distances_from",
    "distances_within",
    "groups",
    "spanning_tree",
]

Ids = npt.NDArray[np.int64]
Matrix = npt.NDArray[np.float64]

_MOST_COMPARED = 2000  # members of a group that are all compared with each other


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Items that hang together.

    Attributes
    ----------
    ids : ndarray of int64
        In the order in which the items were added.
    medoid : int
        The member with the smallest mean distance from the others; of equals, the first.
    diameter : float
        The largest distance between two members.
    weakest_link : float
        The smallest distance by which all members can be chained: without links of this length
        the group would fall in two.
    sampled : bool
        Whether the last three are of a random 2,000 of the members and not of all.
    """

    ids: Ids
    medoid: int
    diameter: float
    weakest_link: float
    sampled: bool

    def __len__(self) -> int:
        return len(self.ids)


def groups(index: Index, pairs: Pairs, *, split: bool = False) -> list[Group]:
    """Connected components of pairs.

    Parameters
    ----------
    index : Index
        That the pairs are of.
    pairs : Pairs
        Of ``index.pairs(radius)``, not yet iterated over: they are used up, and never all in
        memory.
    split : bool
        Split every group so that any two of its members lie within the radius (complete linkage).
        Groups of more than 2,000 members stay whole, and say that they were sampled.

    Returns
    -------
    list of Group
        Those of two members or more; the largest first, of equals the one with the first item.

    Raises
    ------
    InvalidInput
        When an id of the pairs is not in the index.

    Notes
    -----
    Takes 20 bytes for each item of the index while pairs are read, whatever their number.

    Examples
    --------
    >>> import numpy, lookalike
    >>> from lookalike.joins import groups
    >>> index = lookalike.Index("hamming")
    >>> ids = index.add(numpy.array([[0], [1], [3], [255]], numpy.uint8))
    >>> [(g.ids.tolist(), g.medoid, g.diameter) for g in groups(index, index.pairs(radius=1))]
    [([0, 1, 2], 1, 2.0)]
    """
    ids = index.ids
    order = np.argsort(ids, kind="stable")
    edges = (
        (_places(ids, order, chunk.ids[:, 0]), _places(ids, order, chunk.ids[:, 1]))
        for chunk in pairs
    )
    found: list[tuple[int, Group]] = []  # each with the place of its first member
    for members in components(len(ids), edges):
        chosen = compared(len(members), index.seed)
        (distances,) = distances_within(index, [ids[members[chosen]]])
        if split and len(chosen) == len(members):
            for part in complete_linkage(distances, pairs.radius):
                if len(part) > 1:
                    own = distances[np.ix_(part, part)]
                    group = _group(ids[members[part]], own, np.arange(len(part)))
                    found.append((int(members[part[0]]), group))
        else:
            found.append((int(members[0]), _group(ids[members], distances, chosen)))
    return [group for _, group in sorted(found, key=lambda one: (-len(one[1]), one[0]))]


def _places(ids: Ids, order: Ids, wanted: Ids) -> Ids:
    """Where ids are among all."""
    at = np.minimum(np.searchsorted(ids, wanted, sorter=order), len(ids) - 1)
    places = order[at]
    unknown = wanted[ids[places] != wanted]
    if len(unknown):
        raise InvalidInput(
            f"pairs must be of this index; got id {int(unknown[0])}, which is not in it. Were "
            "items removed since, or is it another index?"
        )
    return places.astype(np.int64)


def components(count: int, edges: Iterable[tuple[Ids, Ids]]) -> Iterator[Ids]:
    """Connected components of a graph, of two members or more.

    Parameters
    ----------
    count : int
        Of the vertices, which are 0, 1 and so on.
    edges : iterable of pairs of ndarray of int64
        Both ends of some edges at a time: they are never all in memory.

    Yields
    ------
    ndarray of int64
        The members of one component, ascending; components by their first members.
    """
    joined = native.Components(count)
    for first, second in edges:
        joined.join(first, second)
    roots = joined.roots()
    order = np.argsort(roots, kind="stable")
    firsts = np.flatnonzero(np.diff(roots[order], prepend=np.uint32(2**32 - 1)))
    ends = np.append(firsts[1:], count)
    several = ends - firsts > 1
    for start, end in zip(firsts[several].tolist(), ends[several].tolist(), strict=True):
        yield order[start:end]


def compared(count: int, seed: int, most: int = _MOST_COMPARED) -> Ids:
    """Which of so many members are compared with each other: all, or a random part; ascending."""
    if count <= most:
        return np.arange(count)
    return np.sort(shuffled(count, most, seed=seed, purpose=Purpose.CALIBRATION, stream=3))


def distances_within(index: Index, groups: Iterable[Ids]) -> Iterator[Matrix]:
    """Distances of members of an index from the others of their group.

    Parameters
    ----------
    index : Index
    groups : iterable of ndarray of int64
        Ids of the members of each group, one or more.

    Yields
    ------
    ndarray of float64, shape (n, n)
        For each group; symmetric.
    """
    together, count = list[Ids](), 0  # small groups, so that each costs no call of its own
    for ids in groups:
        if together and count + len(ids) > _MOST_COMPARED:
            yield from _distances(index, together)
            together, count = [], 0
        together.append(ids)
        count += len(ids)
    if together:
        yield from _distances(index, together)


def _distances(index: Index, groups: Sequence[Ids]) -> Iterator[Matrix]:
    """The same for groups that are compared in one call."""
    sizes = np.array([len(ids) for ids in groups])
    starts = np.cumsum(sizes) - sizes
    each = np.repeat(starts, sizes), np.repeat(sizes, sizes)
    slots, distances = _compare(index, np.concatenate(groups), slice(None), *each)
    slots -= each[0][:, None]
    for start, size in zip(starts.tolist(), sizes.tolist(), strict=True):
        own, rows = np.empty((size, size)), slice(start, start + size)
        np.put_along_axis(own, slots[rows, :size], distances[rows, :size], axis=1)
        yield np.maximum(own, own.T)


def distances_from(index: Index, one: int, ids: Ids) -> npt.NDArray[np.float64]:
    """Distances of members of an index from one of its members."""
    start, size = np.array([1]), np.array([len(ids)])
    slots, distances = _compare(index, np.append(one, ids), slice(1), start, size)
    ordered = np.empty(len(ids))
    ordered[slots[0] - 1] = distances[0]
    return ordered


def _compare(index: Index, ids: Ids, which: slice, starts: Ids, counts: Ids) -> tuple[Ids, Matrix]:
    """Places and distances of some members from which ones, each of these from a run of them."""
    vectors = index.vectors(ids)
    width_bits = index.width_bits if index.metric == "hamming" else None
    layout = Layout.of(vectors, metric_named(index.metric), width_bits=width_bits)
    items = layout.rows(vectors, "items")
    rows = Rows(layout.width, layout.measure, layout.value_range, layout.scale)
    rows.append(items)
    ends = np.cumsum(counts)
    candidates = np.arange(ends[-1]) + np.repeat(starts - (ends - counts), counts)
    shape = len(counts), int(counts.max())
    slots, distances = np.empty(shape, np.int64), np.empty(shape)
    rows.scan().nearest_among(
        items[which], np.append(0, ends), candidates, shape[1], 1, slots, distances
    )
    return slots, distances


def _group(ids: Ids, distances: Matrix, chosen: Ids) -> Group:
    ends = spanning_tree(distances)
    return Group(
        ids,
        int(ids[chosen[int(distances.mean(axis=1).argmin())]]),
        float(distances.max()),
        float(distances[ends[:, 0], ends[:, 1]].max(initial=0.0)),
        len(chosen) < len(ids),
    )


def spanning_tree(distances: Matrix) -> Ids:
    """Both ends of each edge of a minimal spanning tree.

    Parameters
    ----------
    distances : ndarray of float64, shape (n, n)
        Infinite where there is no edge: the tree then has infinite edges only where it must.

    Returns
    -------
    ndarray of int64, shape (n - 1, 2)
        In the order in which they were joined; the end that was there before comes first.

    Notes
    -----
    Prim, "Shortest connection networks and some generalizations", 1957.
    """
    nearest = distances[0].copy()
    joined_by = np.zeros(len(distances), np.int64)
    outside = np.ones(len(distances), np.bool_)
    outside[0] = False
    ends = np.empty((len(distances) - 1, 2), np.int64)
    for edge in range(len(ends)):
        candidates = np.flatnonzero(outside)
        joined = int(candidates[nearest[candidates].argmin()])  # also if all are infinitely far
        ends[edge] = joined_by[joined], joined
        outside[joined] = False
        joined_by[distances[joined] < nearest] = joined
        np.minimum(nearest, distances[joined], out=nearest)
    return ends


def complete_linkage(distances: Matrix, radius: float) -> list[Ids]:
    """Clusters of which any two members lie within a radius.

    Merges the two clusters whose farthest members are nearest, as long as these lie within.

    Parameters
    ----------
    distances : ndarray of float64, shape (n, n)
    radius : float

    Returns
    -------
    list of ndarray of int64
        The members of each, ascending.
    """
    between = distances.copy()
    np.fill_diagonal(between, np.inf)
    clusters: dict[int, list[int]] = {i: [i] for i in range(len(between))}
    while len(clusters) > 1:
        nearest = between.argmin(axis=1)
        values = between[np.arange(len(between)), nearest]
        a = int(values.argmin())
        if values[a] > radius:
            break
        b = int(nearest[a])
        between[a] = np.maximum(between[a], between[b])
        between[:, a] = between[a]
        between[a, a] = np.inf
        between[b], between[:, b] = np.inf, np.inf
        clusters[a] += clusters.pop(b)
    return [np.array(sorted(members)) for members in clusters.values()]
