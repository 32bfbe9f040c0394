"""Which member of a group is suggested to stay, and why."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from lookalike.album.catalog import shown
from lookalike.album.group import Member
from lookalike.album.walk import is_below
from lookalike.errors import InvalidInput

__all__ = ["Keep", "checked_rule", "choose_keeper"]


class Keep(StrEnum):
    """A rule for the member that stays.

    Of equals by the rule, the one with more pixels stays, then with more bytes, the older, the one
    with the shorter path, and the first by path.
    """

    ORIGINAL = "original"
    """Of those with half of the most pixels at the least: one that has its camera's date."""
    LARGEST = "largest"
    """The most pixels, then the most bytes."""
    OLDEST = "oldest"
    """Taken first, by the camera; those that do not say when come after, by the file's time."""
    SHARPEST = "sharpest"
    PREFERRED = "preferred"
    """In the first of the preferred folders that has one."""


class _Criterion(NamedTuple):
    """A step of a rule.

    Attributes
    ----------
    key : callable
        Of a member: the smaller stays.
    why : callable
        Of a member: why it stays, in words.
    """

    key: Callable[[Member], Any]
    why: Callable[[Member], str]


def checked_rule(keep: str, prefer: Sequence[bytes]) -> Keep:
    """A rule by its name, with folders where it is for folders, and there alone."""
    if keep not in list(Keep):
        raise InvalidInput(f"keep must be one of {', '.join(Keep)}; got {keep!r}. Choose one.")
    rule = Keep(keep)
    if (rule is Keep.PREFERRED) != bool(prefer):
        raise InvalidInput(
            f"prefer must name folders with the rule {str(Keep.PREFERRED)!r}, and none with "
            f"another; got {len(prefer)} with {str(rule)!r}. Give both or neither."
        )
    return rule


def choose_keeper(
    members: Sequence[Member], keep: Keep, prefer: Sequence[bytes] = ()
) -> tuple[Member, str]:
    """The member that stays, and why.

    Parameters
    ----------
    members : sequence of Member
        Two or more. If files of reference folders are among them, one of these stays.
    keep : Keep
    prefer : sequence of bytes
        Folders for ``Keep.PREFERRED``, the most preferred first.

    Returns
    -------
    (Member, str)
        The reason is what tells it from the next one.
    """
    criteria = [_REFERENCE, *_rule(members, keep, prefer), *_TIES]
    best, next_best = heapq.nsmallest(
        2, members, key=lambda member: tuple(own.key(member) for own in criteria)
    )
    deciding = next(own for own in criteria if own.key(best) != own.key(next_best))
    why = deciding.why(best)
    if best.is_reference and deciding is not _REFERENCE:
        why = f"{_REFERENCE.why(best)}; {why}"
    return best, why


def _rule(members: Sequence[Member], keep: Keep, prefer: Sequence[bytes]) -> list[_Criterion]:
    if keep is Keep.PREFERRED:
        return [_preferred(tuple(prefer))]
    if keep is Keep.ORIGINAL:
        return [_large(max(map(_pixels, members)) // 2), _DATED]
    return {Keep.LARGEST: [], Keep.OLDEST: [_TAKEN, _CHANGED], Keep.SHARPEST: [_SHARP]}[keep]


def _large(least: int) -> _Criterion:
    """At the least so many pixels: an edit may add some, as a border does."""
    return _Criterion(
        lambda member: _pixels(member) < least,
        lambda member: f"large: {member.content.width:,} x {member.content.height:,} pixels",
    )


def _preferred(folders: tuple[bytes, ...]) -> _Criterion:
    def place(member: Member) -> int:
        places = (i for i, own in enumerate(folders) if is_below(member.path, own))
        return next(places, len(folders))

    return _Criterion(
        place, lambda member: f"in the preferred folder {shown(folders[place(member)]) or '.'}"
    )


def _pixels(member: Member) -> int:
    return (member.content.width or 0) * (member.content.height or 0)


def _sharpness(member: Member) -> float:
    own = member.content.sharpness
    return -math.inf if own is None else own


def _day(mtime_ns: int) -> str:
    try:
        return datetime.fromtimestamp(mtime_ns / 1e9, UTC).isoformat(" ", "seconds")
    except (OverflowError, OSError, ValueError):  # file systems hold years that calendars do not
        return f"{mtime_ns} ns"


_REFERENCE = _Criterion(lambda member: not member.is_reference, lambda _: "in a reference folder")
_TAKEN = _Criterion(
    lambda member: member.content.taken or "~",  # after all digits
    lambda member: f"oldest: taken {str(member.content.taken).replace('T', ' ')}",
)
_DATED = _Criterion(
    lambda member: member.content.taken is None,
    lambda member: f"has its camera's date, {str(member.content.taken).replace('T', ' ')}",
)
_CHANGED = _Criterion(
    lambda member: member.mtime_ns,
    lambda member: f"oldest: file of {_day(member.mtime_ns)}",
)
_SHARP = _Criterion(
    lambda member: -_sharpness(member), lambda member: f"sharpest: {_sharpness(member):.4g}"
)
_TIES = (  # Keep.LARGEST is no more than these
    _Criterion(
        lambda member: -_pixels(member),
        lambda member: f"largest: {member.content.width:,} x {member.content.height:,} pixels",
    ),
    _Criterion(
        lambda member: -member.content.size,
        lambda member: f"most bytes: {member.content.size:,}",
    ),
    _CHANGED,
    _Criterion(lambda member: len(member.path), lambda _: "shortest path"),
    _Criterion(lambda member: member.path, lambda _: "first by path"),
)
