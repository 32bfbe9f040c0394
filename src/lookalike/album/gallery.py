"""The report of duplicates: one HTML file with thumbnails side by side.

File names, and what decoders say, are text of strangers: everything is escaped, nothing is a
script, and the page may load nothing.
"""

from __future__ import annotations

import base64
import io
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from html import escape
from pathlib import Path
from typing import NamedTuple

from lookalike.album.catalog import shown
from lookalike.album.group import DuplicateGroup, Link, Member, suggestions
from lookalike.album.verdicts import (
    Verdict,
    ends,
    flags,
    legible,
    link_text,
    size_text,
    verdicts,
)
from lookalike.errors import Cancelled
from lookalike.pictures.read import read_picture
from lookalike.report import page, prose, section

__all__ = ["duplicates_page"]

_MOST_GROUPS = 500  # of a page, which holds all its thumbnails
_MOST_PICTURES = 2_500
_MOST_MEMBERS = 24  # of a group
_SIDE = 200  # pixels of a thumbnail
_QUALITY = 72
_WEAK = 0.8  # of a threshold, from where on a link is flagged
_TOGETHER = 64  # thumbnails that are made before progress is told
_STYLE = """
main { max-width: 78rem; }
h1 { overflow-wrap: anywhere; }
.figures { display: flex; flex-wrap: wrap; gap: .6rem; margin: 1.4rem 0 1rem; padding: 0; }
.figures div { background: var(--panel); border-radius: .6rem; padding: .6rem 1rem .7rem; }
.figures dt { color: var(--muted); font-size: .8rem; }
.figures dd { margin: 0; font-size: 1.45rem; font-weight: 600; line-height: 1.2;
  font-variant-numeric: tabular-nums; }
.group { border-top: 1px solid var(--faint); padding: 1.2rem 0 1.4rem; }
.group h3 { font-size: 1rem; margin: 0; }
.group h3 span { color: var(--muted); font-weight: 400; }
.group .said { color: var(--muted); font-size: .86rem; margin: .1rem 0 0; max-width: none;
  overflow-wrap: anywhere; }
.flags { display: flex; flex-wrap: wrap; gap: .35rem; margin: .45rem 0 0; padding: 0;
  list-style: none; }
.flags li { color: var(--series-1); border: 1px solid currentColor; border-radius: .4rem;
  font-size: .78rem; padding: .05rem .5rem; overflow-wrap: anywhere; min-width: 0; }
.members { display: grid; grid-template-columns: repeat(auto-fill, minmax(11.6rem, 1fr));
  gap: .8rem; padding: 0; margin: .8rem 0 0; list-style: none; }
.members > li { min-width: 0; background: var(--panel); border: 1px solid var(--faint);
  border-radius: .6rem; overflow: hidden; font-size: .8rem; line-height: 1.4; }
.members > li.keeper { border-color: var(--series-2); box-shadow: 0 0 0 1px var(--series-2); }
.frame { display: flex; align-items: center; justify-content: center; height: 200px;
  background: var(--ground); border-bottom: 1px solid var(--faint); }
.frame img { display: block; max-width: 100%; max-height: 100%; }
.frame p { color: var(--muted); text-align: center; padding: 0 .8rem; margin: 0;
  overflow-wrap: anywhere; max-height: 100%; overflow: hidden; }
.facts { padding: .5rem .65rem .65rem; }
.path { font-weight: 600; overflow-wrap: anywhere; }
.path span { color: var(--muted); font-weight: 400; }
.fact { color: var(--muted); font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.mark { display: inline-block; font-size: .74rem; font-weight: 600; border-radius: 1rem;
  padding: 0 .55rem; margin-bottom: .25rem; border: 1px solid currentColor; }
.mark.keeper, .mark.reference { color: var(--series-2); }
.mark.go { color: var(--series-1); }
.mark.look { color: var(--muted); border-style: dashed; }
meter { width: 100%; height: .7rem; display: block; margin-top: .3rem; }
@media (max-width: 30rem) {
  .figures { display: grid; grid-template-columns: 1fr 1fr; gap: .45rem; }
  .figures div { padding: .5rem .7rem; } .figures dd { font-size: 1.2rem; }
  .members { grid-template-columns: 1fr 1fr; gap: .5rem; } .frame { height: 9rem; } }
@media print { .group, .members > li { break-inside: avoid; } }
"""
_MARKS = {
    Verdict.KEEPER: ("keeper", "keeper"),
    Verdict.REFERENCE: ("reference", "reference, stays"),
    Verdict.MAY_GO: ("go", "may go"),
    Verdict.LOOK: ("look", "look at it"),
}

Progress = Callable[[int, int], object]


def duplicates_page(
    root: Path, groups: Sequence[DuplicateGroup], asked: str, *, progress: Progress | None = None
) -> str:
    """A page that shows groups of duplicates.

    Parameters
    ----------
    root : Path
        Of the album: thumbnails are made of its pictures, as they are now.
    groups : sequence of DuplicateGroup
    asked : str
        What was asked for, in words.
    progress : callable, optional
        Called with the thumbnails that were made and how many there are; False cancels.

    Returns
    -------
    str
        HTML that holds everything it shows, and neither loads nor runs anything. It shows at most
        500 groups and 2,500 pictures, of a group at most 24, and says so where there are more.

    Raises
    ------
    Cancelled
    """
    several = list(itertools.islice(_fitting(groups), _MOST_GROUPS))
    pictures = _thumbnails(root, [own.member for part in several for own in part.cards], progress)
    parts = [_group(number, part, pictures) for number, part in enumerate(several, 1)]
    return page(
        "Duplicates",
        f"in {legible(str(root))}",
        _figures(groups),
        prose(*_said(groups, len(several), asked)),
        *([section("Groups", *parts)] if parts else []),
        style=_STYLE,
    )


class _Card(NamedTuple):
    """A file, and what is suggested for it."""

    member: Member
    verdict: Verdict


class _Part(NamedTuple):
    """A group, and what is shown of it."""

    group: DuplicateGroup
    cards: list[_Card]


def _fitting(groups: Sequence[DuplicateGroup]) -> Iterator[_Part]:
    """Groups, for as long as their pictures are not too many."""
    count = 0
    for group in groups:
        cards = [_Card(*own) for own in itertools.islice(verdicts(group), _MOST_MEMBERS)]
        count += len(cards)
        if count > _MOST_PICTURES:
            return
        yield _Part(group, cards)


def _figures(groups: Sequence[DuplicateGroup]) -> str:
    figures = {
        "groups": f"{len(groups):,}",
        "files in them": f"{sum(map(len, groups)):,}",
        "may go": f"{sum(len(suggestions(group)) for group in groups):,}",
        "would be freed": size_text(sum(group.freed_bytes for group in groups)),
    }
    tiles = "".join(f"<div><dt>{name}</dt><dd>{own}</dd></div>" for name, own in figures.items())
    return f'<dl class="figures">{tiles}</dl>'


def _said(groups: Sequence[DuplicateGroup], shown_groups: int, asked: str) -> Iterator[str]:
    yield f"Asked for: {legible(asked)}."
    if not groups:
        yield "Nothing is there twice."
        return
    yield (
        "Nothing was changed. The keeper of a group is a suggestion, and so is what may go: only "
        "files that are linked to the keeper itself. Bars show how near a file is to the keeper: "
        "a full one is at the threshold."
    )
    if shown_groups < len(groups):
        yield (
            f"Only the first {shown_groups:,} of {len(groups):,} groups are shown, those that free "
            "most. The table (--csv) and the plan (--plan) have all of them."
        )


def _group(number: int, part: _Part, pictures: Iterator[str]) -> str:
    group = part.group
    cards = "\n".join(_card(card, next(pictures)) for card in part.cards)
    link = group.weakest_link
    said = [f"Keeper: {group.why}."]
    if link is not None:
        said.append(f"Weakest link: {_between(group, link)}.")
    return (
        f'<article class="group"><h3>{number}. {len(group):,} files '
        f"<span>· {size_text(group.freed_bytes)} to be freed</span></h3>\n"
        f'<p class="said">{escape(legible(" ".join(said)))}</p>\n{_flags(part)}'
        f'<ul class="members">\n{cards}\n</ul></article>'
    )


def _between(group: DuplicateGroup, link: Link) -> str:
    names = " and ".join(shown(member.path) for member in ends(group, link))
    return f"{link_text(link)}, between {names}"


def _flags(part: _Part) -> str:
    group, link = part.group, part.group.weakest_link
    found = flags(group)
    if link is not None and link.nearness >= _WEAK:
        found.append("weak link: close to the threshold")
    if len(part.cards) < len(group):
        found.append(f"{len(group) - len(part.cards):,} more files are not shown")
    items = "".join(f"<li>{escape(flag)}</li>" for flag in found)
    return f'<ul class="flags">{items}</ul>\n' if items else ""


def _card(card: _Card, picture: str) -> str:
    member, content = card.member, card.member.content
    kind, text = _MARKS[card.verdict]
    sizes = [f"{content.width or 0:,} x {content.height or 0:,}", size_text(content.size)]
    facts = [", ".join([*sizes, *([content.format] if content.format else [])])]
    if content.taken:
        facts.append(f"taken {content.taken.replace('T', ' ')}")
    if member.is_new:
        facts.append("new since the group was kept")
    lines = "".join(f'<div class="fact">{escape(legible(fact))}</div>' for fact in facts)
    frame = ' class="keeper"' if card.verdict is Verdict.KEEPER else ""
    return (
        f'<li{frame}><div class="frame">{picture}</div>\n<div class="facts">'
        f'<span class="mark {kind}">{text}</span>{_path(member.path)}{lines}{_link(card)}'
        "</div></li>"
    )


def _path(path: bytes) -> str:
    """The name stands out from the folders; text from right to left stays in its place."""
    folder, name = os.path.split(path)
    above = f"<span>{escape(legible(folder + b'/'))}</span>" if folder else ""
    return f'<div class="path"><bdi>{above}{escape(legible(name))}</bdi></div>'


def _link(card: _Card) -> str:
    link = card.member.link
    if card.verdict is Verdict.KEEPER:
        return ""
    if link is None:
        return '<div class="fact">not linked to the keeper itself</div>'
    words = escape(legible(link_text(link)))
    nearness = min(max(link.nearness, 0.0), 1.0)
    return (
        f'<div class="fact">{words}</div><meter min="0" max="1" low="0.5" high="{_WEAK}" '
        f'optimum="0" value="{nearness:.3f}"></meter>'
    )


# ---- thumbnails


def _thumbnails(root: Path, members: Sequence[Member], progress: Progress | None) -> Iterator[str]:
    """The pictures of members, in their order, made on all cores."""
    made = list[str]()
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for start in range(0, len(members), _TOGETHER):
            if progress is not None and progress(start, len(members)) is False:
                raise Cancelled(
                    "a report must have all its pictures; it was cancelled. Nothing was written: "
                    "start it again."
                )
            batch = members[start : start + _TOGETHER]
            made += threads.map(lambda member: _thumbnail(root, member.path), batch)
    return iter(made)


def _thumbnail(root: Path, path: bytes) -> str:
    """A picture in the page itself; what cannot be read any more is said in its place."""
    file = root / shown(path)
    try:
        if not file.is_file():  # a pipe, for one, would never end
            return _none("there is no such file any more")
        data = base64.b64encode(_jpeg(file)).decode("ascii")
    except (OSError, ValueError) as error:
        return _none(getattr(error, "why", str(error)))
    return f'<img src="data:image/jpeg;base64,{data}" alt="{escape(legible(path))}">'


def _jpeg(file: Path) -> bytes:
    from PIL import Image  # noqa: PLC0415  # optional

    image = Image.fromarray(read_picture(file).pixels)
    image.thumbnail((_SIDE, _SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()


def _none(why: str) -> str:
    return f"<p>cannot be shown: {escape(legible(why))}</p>"
