"""Which pairs of files are looked for: reference folders, and one folder against another."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike.album.catalog import shown
from lookalike.album.walk import is_below
from lookalike.errors import InvalidInput

__all__ = ["KINDS", "Kind", "Scope", "checked_folders"]


class Kind(NamedTuple):
    """What a file is in a scope.

    Attributes
    ----------
    side : int
        0 or 1 for the two folders whose files are compared, 2 where there are none, or it is in
        neither.
    is_reference : bool
    """

    side: int
    is_reference: bool


KINDS = [Kind(side, own) for side in range(3) for own in (False, True)]


@dataclass(frozen=True, slots=True)
class Scope:
    """Which pairs of files are looked for.

    Attributes
    ----------
    reference : tuple of bytes
        Folders that are taken to be clean: two files in them are no pair.
    across : tuple of two bytes, or None
        Folders of which each has one file of a pair. A file in both belongs to the inner one.
    """

    reference: tuple[bytes, ...] = ()
    across: tuple[bytes, bytes] | None = None

    @classmethod
    def checked(
        cls,
        reference: Sequence[bytes],
        across: tuple[bytes, bytes] | None,
        folders: Sequence[bytes],
    ) -> Scope:
        """Of folders that are among those of the album."""
        own = checked_folders(reference, "reference", folders)
        if across is None:
            return cls(own)
        first, second = checked_folders(across, "across", folders)
        if first == second:
            raise InvalidInput(
                "across must name two folders, so that each has one file of a pair; got "
                f"{shown(first)!r} twice. Leave it out for pairs within a folder."
            )
        return cls(own, (first, second))

    @property
    def is_everything(self) -> bool:
        """Whether any two files are a pair."""
        return not self.reference and self.across is None

    def kind(self, path: bytes) -> Kind:
        """Of a file, or of all files in a folder but those in folders below."""
        return Kind(self._side(path), any(is_below(path, own) for own in self.reference))

    def _side(self, path: bytes) -> int:
        sides = [
            (len(folder), side)
            for side, folder in enumerate(self.across or ())
            if is_below(path, folder)
        ]
        return max(sides)[1] if sides else 2

    def has(self, kind: Kind) -> bool:
        """Whether files of a kind can be in a pair."""
        return self.across is None or kind.side != 2

    def are_across(self, one: Kind, other: Kind) -> bool:
        """Whether files of two kinds are in both folders, where there are two."""
        return self.across is None or {one.side, other.side} == {0, 1}

    def are_pair(self, one: Kind, other: Kind) -> bool:
        """Whether files of two kinds are a pair."""
        return self.are_across(one, other) and not (one.is_reference and other.is_reference)

    def have_pair(self, kinds: Iterable[Kind]) -> bool:
        """Whether two of some files are a pair."""
        counts = Counter(kinds)
        return any(
            self.are_pair(one, other) and (one != other or counts[one] > 1)
            for one, other in itertools.combinations_with_replacement(counts, 2)
        )

    def pairs_of_sets(self) -> npt.NDArray[np.bool_]:
        """Whether files of two contents can be a pair, by the sets of kinds that each has.

        Returns
        -------
        ndarray of bool, shape (64, 64)
            A set is a number: bit i is set for ``KINDS[i]``.
        """
        sets = [
            [kind for bit, kind in enumerate(KINDS) if number >> bit & 1]
            for number in range(1 << len(KINDS))
        ]
        pairs = {own: self.are_pair(*own) for own in itertools.product(KINDS, KINDS)}
        return np.array(
            [[any(pairs[own] for own in itertools.product(a, b)) for b in sets] for a in sets]
        )


def checked_folders(
    given: Sequence[bytes], what: str, folders: Sequence[bytes]
) -> tuple[bytes, ...]:
    """Folders of an album, without a slash at the end.

    Raises
    ------
    InvalidInput
        When nothing is in one of them: one that is misspelt would protect nothing.
    """
    own = tuple(folder.rstrip(b"/") for folder in given)
    for folder in own:
        if not any(is_below(known, folder) for known in folders):
            raise InvalidInput(
                f"{what} must name folders of the album, as paths in it; got {shown(folder)!r}, "
                "where the album has no file. Is it misspelt, or not synced yet?"
            )
    return own
