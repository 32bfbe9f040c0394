"""A group of duplicates: its members, the one to keep, and which of the others may go."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lookalike.album.catalog import Content, shown
from lookalike.album.matches import BYTES, path_dict
from lookalike.errors import InvalidInput

__all__ = ["BYTES", "DuplicateGroup", "Link", "Member", "suggestions"]


@dataclass(frozen=True, slots=True)
class Link:
    """Why two contents are duplicates: the encoder that finds them nearest.

    Attributes
    ----------
    one, other : int
        Ids of the contents; the same for files with equal bytes.
    encoder : str
        Its name; "bytes" for equal bytes.
    distance : float
        In units of the encoder's metric.
    nearness : float
        The distance as a part of the threshold of that encoder, in [0, 1].
    """

    one: int
    other: int
    encoder: str
    distance: float
    nearness: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON, without the ids, which have more digits than JSON's readers keep."""
        return {"encoder": self.encoder, "distance": self.distance, "nearness": self.nearness}


@dataclass(frozen=True, slots=True)
class Member:
    """A file of a group.

    Attributes
    ----------
    path : bytes
        In the album.
    content : Content
    mtime_ns : int
        When it was changed last.
    link : Link or None
        To the keeper; None for the keeper itself, and where only a chain leads to it.
    is_reference : bool
        Whether it lies in a reference folder: it never goes.
    is_new : bool
        Whether it has joined files that were kept before.
    """

    path: bytes
    content: Content
    mtime_ns: int
    link: Link | None = None
    is_reference: bool = False
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Files that are duplicates of each other, or hang together by a chain of such.

    Attributes
    ----------
    members : tuple of Member
        By path.
    keeper : Member
        The one that is suggested to stay.
    why : str
        Why this one, in words.
    medoid : bytes
        Path of the member with the smallest mean nearness to the others.
    diameter : float
        The largest nearness of two members: 1 is at the threshold of an encoder. Infinite when
        every encoder sees too little in one of two.
    weakest_link : Link or None
        Without links as long as this one the group would fall in two. None when a sample of the
        group has no links.
    holds_apart : bool
        Whether two members were said to be no duplicates: others hold them together.
    sampled : bool
        Whether medoid, diameter and weakest link are of a random 2,000 of the contents.
    """

    members: tuple[Member, ...]
    keeper: Member
    why: str
    medoid: bytes
    diameter: float
    weakest_link: Link | None
    holds_apart: bool = False
    sampled: bool = False

    def __len__(self) -> int:
        return len(self.members)

    def member(self, path: bytes) -> Member:
        """The member at a path.

        Raises
        ------
        InvalidInput
            When there is none.
        """
        for own in self.members:
            if own.path == path:
                return own
        raise InvalidInput(
            f"a file must be one of its group; got {shown(path)}. Look at the group again."
        )

    @property
    def is_chained(self) -> bool:
        """Whether some two members are beyond all thresholds: only a chain joins them."""
        return self.diameter > 1.0

    @property
    def is_reopened(self) -> bool:
        """Whether it was kept before, and has new members since."""
        return any(member.is_new for member in self.members)

    @property
    def freed_bytes(self) -> int:
        """What would be freed if all suggestions were followed."""
        return sum(member.content.size for member in suggestions(self))

    def to_dict(self) -> dict[str, Any]:
        """As ``lookalike duplicates --json`` prints it."""
        may_go = {member.path for member in suggestions(self)}
        return {
            "keeper": path_dict(self.keeper.path),
            "why": self.why,
            "freed_bytes": self.freed_bytes,
            "members": [_member_dict(own, may_go=own.path in may_go) for own in self.members],
            "medoid": path_dict(self.medoid),
            "diameter": self.diameter if math.isfinite(self.diameter) else None,
            "weakest_link": self._weakest_link_dict(),
            "is_chained": self.is_chained,
            "is_reopened": self.is_reopened,
            "holds_apart": self.holds_apart,
            "sampled": self.sampled,
        }

    def _weakest_link_dict(self) -> dict[str, Any] | None:
        """With the first file of each of its two contents."""
        link = self.weakest_link
        if link is None:
            return None
        ends = _ends(self, link)
        return link.to_dict() | {name: path_dict(path) for name, path in ends.items()}


def _ends(group: DuplicateGroup, link: Link) -> Mapping[str, bytes]:
    """Files that a link joins: of equal bytes, the first two."""
    one = [member.path for member in group.members if member.content.id == link.one]
    other = [member.path for member in group.members if member.content.id == link.other]
    return {"one": one[0], "other": other[link.one == link.other]}


def _member_dict(member: Member, *, may_go: bool) -> dict[str, Any]:
    content = member.content
    return path_dict(member.path) | {
        "digest": content.digest,
        "bytes": content.size,
        "width": content.width,
        "height": content.height,
        "format": content.format,
        "taken": content.taken,
        "sharpness": content.sharpness,
        "is_reference": member.is_reference,
        "is_new": member.is_new,
        "may_go": may_go,
        "link": None if member.link is None else member.link.to_dict(),
    }


def suggestions(group: DuplicateGroup) -> tuple[Member, ...]:
    """The members that may go.

    Returns
    -------
    tuple of Member
        By path. Never the keeper, never a file of a reference folder, and only those that are
        linked to the keeper itself: what a chain alone leads to is for the user to look at.
    """
    return tuple(
        member
        for member in group.members
        if member.link is not None and not member.is_reference and member.path != group.keeper.path
    )
