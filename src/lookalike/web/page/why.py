"""Why two pictures match, or do not: what each encoder says, and what its search makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lookalike.album.comparison import Comparison, Judgement
from lookalike.errors import LookalikeError
from lookalike.web.collection import Item, Searched, id_of
from lookalike.web.page.parts import notice, panel, section, tag, thumbnail, wrong
from lookalike.web.site import Site

__all__ = ["Why", "fate", "show_why", "why_of"]

_LEVELS = {
    "exact": "They are the same picture: all bytes are equal.",
    "near": "They are near-duplicates: at least one encoder calls them so.",
    "similar": "They are similar: at least one encoder calls them so.",
    "different": "They are different: no encoder calls them similar.",
}
_DECIDED = {
    "apart": "You decided that they are no duplicates, whatever encoders say.",
    "kept": "You decided that both stay.",
}
_SAYS = {"near": "near-duplicates"}


@dataclass(frozen=True, slots=True)
class Why:
    """Why another picture is found, or is not.

    Attributes
    ----------
    items : tuple of Item
        Both.
    comparison : Comparison
    fates : dict from str to str
        What the search of an encoder makes of the other, in words.
    """

    items: tuple[Item, Item]
    comparison: Comparison
    fates: dict[str, str]


def why_of(
    site: Site, item: Item, other: str, searches: Sequence[Searched]
) -> Why | LookalikeError:
    """Why another is found or not; or why that cannot be told, which leaves the rest as it is."""
    try:
        both = item, site.album.item(other)
        comparison = site.album.compare(item.id, other)
    except LookalikeError as error:
        return error
    fates = {own.encoder: fate(own, id_of(item.id), id_of(other)) for own in searches}
    return Why(both, comparison, fates)


def fate(own: Searched, one: int, other: int) -> str:
    """What a search makes of another picture, in words.

    Parameters
    ----------
    own : Searched
    one, other : int
        What was searched for, which a search leaves out; and the other.
    """
    if one == other:
        return "leaves it out: it is what is searched for"
    found = [number for number in own.explanation.hits.ids.tolist() if number not in (one, -1)]
    if other in found:
        return f"finds it: number {found.index(other) + 1:,} of {len(found):,}"
    nearest = [number for number in own.exact_ids if number != one]
    if other in nearest:
        return f"misses it, though it is number {nearest.index(other) + 1:,} of the nearest"
    return f"does not show it: {len(nearest):,} others are nearer"


def show_why(why: Why | LookalikeError | None) -> None:
    """The section about two pictures; None where there are no two of an album."""
    with section("Why these two"):
        if why is None:
            notice("This is told of two pictures of an album. Search for one of its pictures.")
        elif isinstance(why, LookalikeError):
            wrong("These two cannot be compared", str(why))
        else:
            _show_comparison(why)


def _show_comparison(why: Why) -> None:
    with tag("div", classes="lk-why-two"):
        for item, words in zip(why.items, ("Searched for", "The other"), strict=True):
            with tag("figure"):
                thumbnail(item, lazy=False)
                tag("figcaption", f"{words}: {item.title}")
    tag("p", _LEVELS[why.comparison.level])
    if why.comparison.decided is not None:
        notice(_DECIDED[why.comparison.decided])
    with tag("div", classes="lk-why-each"):
        for judgement in why.comparison.judgements:
            made = why.fates.get(judgement.encoder, "is not made by this encoder")
            _show_judgement(judgement, made)


def _show_judgement(own: Judgement, made: str) -> None:
    facts = {
        "Distance": "none" if own.distance is None else f"{own.distance:g}",
        "Near-duplicates": f"up to {own.near:g}",
        "Similar": f"up to {own.similar:g}",
        "This search": made,
        "Can it be missed": own.miss,
    }
    with panel("lk-why-one"):
        tag("h3", f"By {own.encoder}: {_SAYS.get(own.says, own.says)}")
        tag("p", own.why.removeprefix(f"{own.encoder}: "), classes="lk-muted lk-small")
        with tag("dl"):
            for name, words in facts.items():
                tag("dt", name)
                tag("dd", words)
