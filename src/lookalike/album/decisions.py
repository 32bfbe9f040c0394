"""What was decided about pictures: these are no duplicates, these are all to stay.

Decisions are about contents, by their digests, not about files: they hold after files were moved
and renamed, and also for pictures that were gone for a while.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike.album.catalog import Catalog, Content, content_id
from lookalike.album.matches import path_dict
from lookalike.errors import InvalidInput

__all__ = [
    "Decision",
    "Reviews",
    "apart_ids",
    "count",
    "decided",
    "decisions",
    "forget",
    "keep_group",
    "not_duplicates",
]

APART = "apart"
KEPT = "kept"
_MOST = 300  # pictures of one call: each pair of them is remembered


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision.

    Attributes
    ----------
    kind : str
        "apart": these two are no duplicates. "kept": all of these are to stay.
    digests : tuple of str
        Of the contents, ascending.
    review : int or None
        Number of what was kept.
    paths : tuple of tuple of bytes
        The files that have these contents now; none where one is gone.
    """

    kind: str
    digests: tuple[str, ...]
    review: int | None = None
    paths: tuple[tuple[bytes, ...], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "kind": self.kind,
            "review": self.review,
            "contents": [
                {"digest": digest, "files": [path_dict(path) for path in paths]}
                for digest, paths in zip(self.digests, self.paths, strict=True)
            ],
        }


def not_duplicates(catalog: Catalog, *contents: Content) -> None:
    """Remember that no two of some contents are duplicates, whatever encoders say.

    Parameters
    ----------
    catalog : Catalog
    *contents : Content
        Two or more, 300 at the most: each pair of them is remembered.

    Raises
    ------
    InvalidInput
        When these are too many, or fewer than two: files with the same bytes are one content.
    """
    digests = _digests(contents)
    if len(digests) < 2:
        raise InvalidInput(
            "not_duplicates must be given pictures of two contents or more; got "
            f"{len(digests)}. Files with the same bytes are duplicates: keep them, to see them no "
            "more."
        )
    if len(digests) > _MOST:
        raise InvalidInput(
            f"not_duplicates must be given {_MOST} pictures at the most, since each pair is "
            f"remembered; got {len(digests):,}, {math.comb(len(digests), 2):,} pairs. Give those "
            "that were taken for duplicates, group by group."
        )
    with catalog.change():
        catalog.run("INSERT OR IGNORE INTO apart VALUES (?, ?)", itertools.combinations(digests, 2))


def keep_group(catalog: Catalog, contents: Iterable[Content]) -> int:
    """Remember that all of some contents are to stay.

    A group is not shown again while all its contents were kept together.

    Parameters
    ----------
    catalog : Catalog
    contents : iterable of Content
        One for files with the same bytes; another copy of these does not bring them back.

    Returns
    -------
    int
        Number of the decision.
    """
    digests = _digests(contents)
    if not digests:
        raise InvalidInput("keep_group must be given a picture or more; got none. Name them.")
    with catalog.change():
        reviews = _reviews(catalog)
        for number, known in reviews.items():
            if known.issuperset(digests):
                return number
        number = max(reviews, default=0) + 1
        catalog.run("DELETE FROM kept WHERE review = ?", _within(reviews, digests))
        catalog.run("INSERT INTO kept VALUES (?, ?)", ((number, digest) for digest in digests))
    return number


def decisions(catalog: Catalog) -> list[Decision]:
    """All decisions, with the files that they are about now."""
    with catalog.view():
        found = [
            Decision(APART, row)
            for row in catalog.ask("SELECT one, other FROM apart ORDER BY one, other")
        ]
        found += [
            Decision(KEPT, tuple(sorted(digests)), number)
            for number, digests in sorted(_reviews(catalog).items())
        ]
        ids = {content_id(digest) for decision in found for digest in decision.digests}
        holders = catalog.holders(sorted(ids))
    paths = {
        content.digest: tuple(sorted(file.name.path for file in files))
        for content, files in holders.values()
    }
    return [
        Decision(own.kind, own.digests, own.review, tuple(paths.get(d, ()) for d in own.digests))
        for own in found
    ]


def count(catalog: Catalog) -> int:
    """How many decisions there are."""
    ((number,),) = catalog.ask(
        "SELECT (SELECT count(*) FROM apart) + (SELECT count(DISTINCT review) FROM kept)"
    )
    return int(number)


def forget(catalog: Catalog, *taken_back: Decision) -> int:
    """Take decisions back, all at once.

    Returns
    -------
    int
        How many were there.
    """
    found = 0
    with catalog.change():
        for own in taken_back:
            if own.kind == APART:
                query = "DELETE FROM apart WHERE one = ? AND other = ? RETURNING one"
                rows = catalog.ask(query, own.digests)
            else:
                query = "DELETE FROM kept WHERE review = ? RETURNING review"
                rows = catalog.ask(query, (own.review,))
            found += bool(rows)
    return found


def decided(catalog: Catalog, one: Content, other: Content) -> str | None:
    """What was decided about two contents: "apart", "kept" or nothing."""
    pair = tuple(sorted((one.digest, other.digest)))
    if catalog.ask("SELECT 1 FROM apart WHERE one = ? AND other = ?", pair):
        return APART
    together = catalog.ask(
        "SELECT 1 FROM kept AS a JOIN kept AS b USING (review) WHERE a.digest = ? AND b.digest = ?",
        pair,
    )
    return KEPT if together else None


def apart_ids(catalog: Catalog) -> npt.NDArray[np.int64]:
    """Ids of contents that are no duplicates, a row for each pair: shape (n, 2)."""
    rows = catalog.ask("SELECT one, other FROM apart")
    ids = [(content_id(one), content_id(other)) for one, other in rows]
    return np.array(ids, np.int64).reshape(-1, 2)


class Reviews:
    """What was kept.

    Parameters
    ----------
    catalog : Catalog
    """

    def __init__(self, catalog: Catalog) -> None:
        self._reviews_of: dict[str, set[int]] = {}
        for number, digests in _reviews(catalog).items():
            for digest in digests:
                self._reviews_of.setdefault(digest, set()).add(number)

    def hide(self, digests: Collection[str]) -> bool:
        """Whether all these contents were kept together."""
        common = [self._reviews_of.get(digest, set()) for digest in digests]
        return bool(set.intersection(*common))

    def new(self, digests: Collection[str]) -> frozenset[str]:
        """Those that were never kept, if others of them were."""
        unknown = frozenset(digest for digest in digests if digest not in self._reviews_of)
        return unknown if len(unknown) < len(set(digests)) else frozenset()


def _digests(contents: Iterable[Content]) -> list[str]:
    return sorted({content.digest for content in contents})


def _reviews(catalog: Catalog) -> dict[int, set[str]]:
    """Digests of each review."""
    found: dict[int, set[str]] = {}
    for number, digest in catalog.ask("SELECT review, digest FROM kept"):
        found.setdefault(number, set()).add(digest)
    return found


def _within(reviews: dict[int, set[str]], digests: Collection[str]) -> list[tuple[int]]:
    """Reviews that a larger one makes needless, as rows."""
    return [(number,) for number, known in reviews.items() if known.issubset(digests)]
