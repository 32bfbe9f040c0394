"""A group of duplicates as the page shows it: its files, which one stays, and why others do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple

from nicegui.elements.mixins.text_element import TextElement

from lookalike.album.group import DuplicateGroup, Member
from lookalike.album.verdicts import Verdict, flags, legible, link_text, size_text, verdicts
from lookalike.web.collection import text_of
from lookalike.web.keepers import file_id
from lookalike.web.page.paged import Paged
from lookalike.web.page.parts import (
    button,
    panel,
    picture,
    picture_url,
    plain,
    tag,
    thumbnail_url,
)

__all__ = ["Deciding", "group_row"]

_MOST_SHOWN = 24  # members at a time
_WEAK = 0.8  # of a threshold
_WORDS = {
    Verdict.KEEPER: "stays",
    Verdict.REFERENCE: "stays",
    Verdict.MAY_GO: "may go",
    Verdict.LOOK: "stays: look at it",
}
_CHAINED = "By itself no duplicate of the one that is kept: others lead from one to the other."


class Deciding(NamedTuple):
    """What a reader does with a group.

    Attributes
    ----------
    decide : callable
        With "keep" or "apart".
    choose : callable
        With the id of the file that is to stay.
    """

    decide: Callable[[str], Awaitable[None]]
    choose: Callable[[str], Awaitable[None]]


def group_row(id: str, group: DuplicateGroup, deciding: Deciding) -> TextElement:
    """Show a group."""
    with panel("lk-group") as row:
        row.props["data-group"] = id
        tag("h2", f"{len(group):,} files, {size_text(group.freed_bytes)} to be freed")
        tag("p", plain(f"The one that stays: {legible(group.why)}."), classes="lk-muted")
        rows = verdicts(group)
        for text in _told(group, rows):
            tag("p", plain(text), classes="lk-flag")
        Paged(
            tag("ul", classes="lk-members"),
            rows,
            lambda own: _show_member(group, *own, deciding),
            label="More files of this group",
            count=_MOST_SHOWN,
        )
        with tag("div", classes="lk-row"):
            button("Keep all", partial(deciding.decide, "keep"))
            button("Not duplicates", partial(deciding.decide, "apart"))
    return row


def _told(group: DuplicateGroup, rows: list[tuple[Member, Verdict]]) -> list[str]:
    """What a reader should know before following what is suggested."""
    told = flags(group)
    weak = group.weakest_link
    if weak is not None and weak.nearness >= _WEAK:
        told.append(f"weakest link: {legible(link_text(weak))}")
    stay = sum(verdict is Verdict.LOOK for _, verdict in rows)
    if stay:
        told.append(
            f"{stay:,} of these {'stay' if stay > 1 else 'stays'} as well: by "
            f"{'themselves' if stay > 1 else 'itself'} no duplicate of "
            f"{legible(group.keeper.path)}, which is kept"
        )
    return told


def _show_member(
    group: DuplicateGroup, member: Member, verdict: Verdict, deciding: Deciding
) -> None:
    content = member.content
    is_keeper = verdict is Verdict.KEEPER
    name = plain(legible(member.path))
    picture_id = text_of(content.id)
    with tag("li", classes="lk-member lk-keeper" if is_keeper else "lk-member"):
        with tag("a", href=picture_url(picture_id), target="_blank", classes="lk-shot"):
            picture(thumbnail_url(picture_id), name)
        tag("p", name, classes="lk-name-of")
        size = f"{content.width or 0:,} x {content.height or 0:,}, {size_text(content.size)}"
        tag("p", size, classes="lk-muted lk-small")
        if member.link is not None:
            tag("p", plain(legible(link_text(member.link))), classes="lk-muted lk-small")
        elif verdict is Verdict.LOOK:
            tag("p", _CHAINED, classes="lk-muted lk-small")
        tag("p", _WORDS[verdict], classes="lk-mark lk-mark-keeper" if is_keeper else "lk-mark")
        if not is_keeper:
            _show_choices(group.keeper, member, deciding)


def _show_choices(keeper: Member, member: Member, deciding: Deciding) -> None:
    """What can be done with a file beside the one that stays."""
    link = member.link
    with tag("div", classes="lk-row lk-tight"):
        button("Keep this one", partial(deciding.choose, file_id(member)), small=True)
        tag(
            "button",
            "Compare",
            type="button",
            classes="lk-button lk-small",
            data_lk_compare=picture_url(text_of(member.content.id)),
            data_lk_title=legible(member.path),
            data_lk_words="by itself no duplicate" if link is None else legible(link_text(link)),
            data_lk_with=picture_url(text_of(keeper.content.id)),
            data_lk_with_title=legible(keeper.path),
        )
        if link is None:
            ends = f"id={text_of(keeper.content.id)}&other={text_of(member.content.id)}"
            tag("a", "Why?", href=f"/how?{ends}", classes="lk-small")
