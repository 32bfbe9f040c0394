"""What is suggested for each file of a group, in words that reports share."""

from __future__ import annotations

from enum import StrEnum

from lookalike.album.catalog import shown
from lookalike.album.group import BYTES, DuplicateGroup, Link, Member, suggestions

__all__ = ["Verdict", "ends", "flags", "legible", "link_text", "size_text", "verdicts"]


class Verdict(StrEnum):
    """What is suggested for a file."""

    KEEPER = "keeper"
    REFERENCE = "reference"
    """It lies in a reference folder, and stays."""
    MAY_GO = "may go"
    LOOK = "look"
    """Only a chain joins it with the keeper: it stays unless the user says otherwise."""


def verdicts(group: DuplicateGroup) -> list[tuple[Member, Verdict]]:
    """The members of a group, each with what is suggested.

    Returns
    -------
    list of (Member, Verdict)
        The keeper first, then those that are linked to it, the nearest first; of equals by path.
    """
    may_go = {member.path for member in suggestions(group)}

    def verdict(member: Member) -> Verdict:
        if member.path == group.keeper.path:
            return Verdict.KEEPER
        if member.path in may_go:
            return Verdict.MAY_GO
        return Verdict.REFERENCE if member.is_reference else Verdict.LOOK

    def place(found: tuple[Member, Verdict]) -> tuple[bool, bool, float, bytes]:
        member, own = found
        link = member.link
        nearness = 0.0 if link is None else link.nearness
        is_bytes = link is not None and link.encoder == BYTES
        return own is not Verdict.KEEPER, link is None, nearness - is_bytes, member.path

    return sorted(((member, verdict(member)) for member in group.members), key=place)


def flags(group: DuplicateGroup) -> list[str]:
    """What a user should know of a group before following its suggestions."""
    found = {
        "chained: its ends are not within any threshold of each other": group.is_chained,
        "two of these were said to be no duplicates": group.holds_apart,
        "was kept before, and has new files": group.is_reopened,
        "large: judged by a sample": group.sampled,
    }
    return [text for text, holds in found.items() if holds]


def ends(group: DuplicateGroup, link: Link) -> list[Member]:
    """Files that a link joins, one for each end: of equal bytes, the first two."""
    one = [member for member in group.members if member.content.id == link.one]
    other = [member for member in group.members if member.content.id == link.other]
    return one[:2] if link.one == link.other else one[:1] + other[:1]


def link_text(link: Link) -> str:
    """A link in words."""
    if link.encoder == BYTES:
        return "the same bytes"
    return f"{link.encoder} {link.distance:.4g}, {link.nearness:.0%} of its threshold"


def legible(path: bytes | str) -> str:
    """A path, or other text of strangers, as one line in which nothing controls what shows it."""
    text = path if isinstance(path, str) else shown(path)
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def size_text(count: int) -> str:
    """A number of bytes, as people say it."""
    size, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if round(size) < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:,.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"
