"""Duplicates: groups of files that are the same, or look so to an encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from lookalike import arrays
from lookalike.album.catalog import Catalog, shown
from lookalike.album.decisions import Reviews
from lookalike.album.group import DuplicateGroup, Link, Member, suggestions
from lookalike.album.grouping import Grouping
from lookalike.album.keepers import Keep, checked_rule
from lookalike.album.linking import Candidates, Linker
from lookalike.album.scope import Scope, checked_folders
from lookalike.errors import Cancelled, InvalidInput
from lookalike.index import Index

__all__ = [
    "DuplicateGroup",
    "Keep",
    "Link",
    "Member",
    "find_duplicates",
    "suggestions",
    "with_keepers",
]

Ids = npt.NDArray[np.int64]

_TOGETHER = 10_000  # contents whose files are asked for at a time


def find_duplicates(
    catalog: Catalog,
    indexes: Mapping[str, Index],
    thresholds: Mapping[str, float],
    *,
    keep: str = Keep.ORIGINAL,
    prefer: Sequence[bytes] = (),
    reference: Sequence[bytes] = (),
    across: tuple[bytes, bytes] | None = None,
    split: bool = False,
    recall: float | None = None,
    progress: Callable[[float], object] | None = None,
    threads: int = 1,
) -> list[DuplicateGroup]:
    """Find groups of duplicates among the pictures of an album.

    Two files are duplicates when their bytes are equal, or when any encoder finds them within its
    threshold. Groups hang together by such pairs. Pairs that were said to be no duplicates are
    none; groups all of whose contents were kept together are left out.

    Parameters
    ----------
    catalog : Catalog
    indexes : mapping of str to Index
        By the name of the encoder. They must not be refreshed or changed meanwhile.
    thresholds : mapping of str to float
        By the name of the encoder, those that are asked; none for equal bytes alone. Pairs at
        exactly this distance are duplicates.
    keep : {"original", "largest", "oldest", "sharpest", "preferred"}
        The rule for the member that is suggested to stay: see :class:`Keep`.
    prefer : sequence of bytes
        With ``Keep.PREFERRED``: folders in the album, the most preferred first.
    reference : sequence of bytes
        Folders in the album that are clean: their files always stay, and pairs of two of them
        are not looked for.
    across : tuple of two bytes, optional
        Folders in the album, of which each must have one file of a pair. A file in both belongs
        to the inner one.
    split : bool
        Split groups so that any two members lie within a threshold. Those of more than 2,000
        contents stay whole, and say that they were sampled.
    recall : float, optional
        The share of the pairs that is found, in place of that of the indexes.
    progress : callable, optional
        Called now and then with the part of the work that is done; False cancels.
    threads : int

    Returns
    -------
    list of DuplicateGroup
        Those that free the most bytes first; of equals by the path of the first member. It
        depends on files, vectors and decisions, and not on how the album came about.

    Raises
    ------
    InvalidInput
        For a folder that has no files, an encoder without index, or a wrong threshold.
    Cancelled

    Notes
    -----
    Files that are no readable pictures are left out, also where their bytes are equal. Pairs are
    never all in memory; a content takes about 30 bytes while they are read.
    """
    thresholds = _checked_thresholds(thresholds, indexes)
    rule = checked_rule(keep, prefer)
    tell = _Teller(progress)
    with catalog.view():
        folders = catalog.folders()
        scope = Scope.checked(reference, across, folders)
        candidates = Candidates(catalog, scope)
        linker = Linker(catalog, candidates, indexes, thresholds)
        grouping = Grouping(
            candidates,
            linker,
            scope,
            Reviews(catalog),
            rule,
            checked_folders(prefer, "prefer", folders),
            split,
        )
    found: list[DuplicateGroup] = []
    alike = linker.components(recall, threads, tell)
    for batch in _batches(_with_equal_bytes(candidates, alike)):
        holders = catalog.holders(candidates.ids[np.concatenate(batch)].tolist())
        found += grouping.groups(batch, holders)
        tell(1.0)
    return sorted(found, key=lambda group: (-group.freed_bytes, group.members[0].path))


def with_keepers(
    catalog: Catalog,
    indexes: Mapping[str, Index],
    thresholds: Mapping[str, float],
    chosen: Sequence[tuple[DuplicateGroup, Member]],
    *,
    across: tuple[bytes, bytes] | None = None,
) -> list[DuplicateGroup]:
    """Groups in which other members stay than those that were suggested.

    Each of the others is compared with the one that stays: those within a threshold of it may go,
    and what only a chain joins with it stays, as in a group that was found with this keeper.

    Parameters
    ----------
    catalog : Catalog
    indexes : mapping of str to Index
    thresholds : mapping of str to float
        As for :func:`find_duplicates`, with which the groups were found.
    chosen : sequence of (DuplicateGroup, Member)
        Each group with the member of it that stays.
    across : tuple of two bytes, optional
        As the groups were found with.

    Raises
    ------
    InvalidInput
        When a member is none of its group, or not in the album any more.
    """
    thresholds = _checked_thresholds(thresholds, indexes)
    with catalog.view():
        scope = Scope.checked((), across, catalog.folders())
        candidates = Candidates(catalog, scope)
        linker = Linker(catalog, candidates, indexes, thresholds)
        grouping = Grouping(
            candidates, linker, scope, Reviews(catalog), Keep.ORIGINAL, (), split=False
        )
    for _, keeper in chosen:
        if keeper.content.id not in candidates:
            raise InvalidInput(
                "the file that stays must be a picture of the album; got "
                f"{shown(keeper.path)}, which is none any more. Look for duplicates again."
            )
    return [grouping.with_keeper(group, group.member(keeper.path)) for group, keeper in chosen]


def _checked_thresholds(
    thresholds: Mapping[str, float], indexes: Mapping[str, Index]
) -> dict[str, float]:
    unknown = sorted(set(thresholds) - set(indexes))
    if unknown:
        raise InvalidInput(
            f"thresholds must be of encoders that have an index: {', '.join(indexes) or 'none'}; "
            f"got {', '.join(unknown)}. Add it with sync."
        )
    return {name: arrays.as_radius(own) for name, own in thresholds.items()}


class _Teller:
    """Tells how much is done, and cancels."""

    def __init__(self, progress: Callable[[float], object] | None) -> None:
        self._progress = progress

    def __call__(self, done: float) -> None:
        if self._progress is not None and self._progress(done) is False:
            raise Cancelled(
                "the search for duplicates must go on to the end; it was cancelled. Nothing has "
                "changed: start it again."
            )


def _with_equal_bytes(candidates: Candidates, alike: Iterator[Ids]) -> Iterator[Ids]:
    """Contents that look alike, then those that are like no other, but in several files."""
    alone = np.ones(len(candidates), np.bool_)
    for places in alike:
        alone[places] = False
        yield places
    several = candidates.several
    yield from several[alone[several]][:, None]


def _batches(groups: Iterator[Ids]) -> Iterator[list[Ids]]:
    """Some groups at a time, whose files are asked for together."""
    batch, size = list[Ids](), 0
    for places in groups:
        batch.append(places)
        size += len(places)
        if size >= _TOGETHER:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
