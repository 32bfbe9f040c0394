"""Groups: what hangs together by pairs within a radius, and how closely.

A group is a connected component: from each member to each other one leads a chain of pairs. A
chain may join what is unlike at its ends, so each group says how far its members are apart and how
long the longest link is without which it would fall in two; and it can be split so that all its
members lie within the radius of each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lookalike import native
from lookalike.errors import InvalidInput
from lookalike.index import Index
from lookalike.pairs import Pairs
from lookalike.seeds import Purpose, shuffled

__all__ = ["Group", "groups"]

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
    components = native.Components(len(ids))
    for chunk in pairs:
        components.join(*(_places(ids, order, chunk.ids[:, end]) for end in (0, 1)))
    found: list[tuple[int, Group]] = []  # each with the place of its first member
    for members in _components(components.roots()):
        distances, compared = _distances(index, ids[members])
        if split and len(compared) == len(members):
            for part in _complete_linkage(distances, pairs.radius):
                if len(part) > 1:
                    own = distances[np.ix_(part, part)]
                    group = _group(ids[members[part]], own, np.arange(len(part)))
                    found.append((int(members[part[0]]), group))
        else:
            found.append((int(members[0]), _group(ids[members], distances, compared)))
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


def _components(roots: npt.NDArray[np.uint32]) -> Iterator[Ids]:
    """The members of each component of two or more."""
    order = np.argsort(roots, kind="stable")
    starts = np.flatnonzero(np.diff(roots[order], prepend=np.uint32(2**32 - 1)))
    for members in np.split(order, starts[1:]):
        if len(members) > 1:
            yield members


def _distances(index: Index, ids: Ids) -> tuple[Matrix, Ids]:
    """Distances between members, and which members these are of: all, or a random 2,000."""
    count = len(ids)
    chosen = np.arange(count)
    if count > _MOST_COMPARED:
        chosen = np.sort(
            shuffled(count, _MOST_COMPARED, seed=index.seed, purpose=Purpose.CALIBRATION, stream=3)
        )
    own = Index(
        index.metric,
        recall=1,
        width_bits=index.width_bits if index.metric == "hamming" else None,
    )
    vectors = index.vectors(ids[chosen])
    own.add(vectors)
    hits = own.search(vectors, k=len(chosen))
    distances = np.empty((len(chosen), len(chosen)))
    np.put_along_axis(distances, hits.ids, hits.distances, axis=1)
    return np.maximum(distances, distances.T), chosen


def _group(ids: Ids, distances: Matrix, compared: Ids) -> Group:
    return Group(
        ids,
        int(ids[compared[int(distances.mean(axis=1).argmin())]]),
        float(distances.max()),
        _weakest_link(distances),
        len(compared) < len(ids),
    )


def _weakest_link(distances: Matrix) -> float:
    """The longest edge of a minimal spanning tree.

    Notes
    -----
    Prim, "Shortest connection networks and some generalizations", 1957.
    """
    nearest = distances[0].copy()
    outside = np.ones(len(distances), np.bool_)
    outside[0] = False
    longest = 0.0
    for _ in range(len(distances) - 1):
        joined = int(np.where(outside, nearest, np.inf).argmin())
        longest = max(longest, float(nearest[joined]))
        outside[joined] = False
        np.minimum(nearest, distances[joined], out=nearest)
    return longest


def _complete_linkage(distances: Matrix, radius: float) -> list[Ids]:
    """Merge the two clusters whose farthest members are nearest, as long as these lie within."""
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
