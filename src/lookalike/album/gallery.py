"""The report of duplicates: one HTML file with thumbnails, and a table for a spreadsheet.

File names, and what decoders say, are text of strangers: everything is escaped, nothing is a
script, and the page may load nothing.
"""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from lookalike.album.catalog import shown
from lookalike.album.group import DuplicateGroup, Member, suggestions
from lookalike.errors import UnreadableFile
from lookalike.pictures.read import read_picture
from lookalike.report import page, prose, section

__all__ = ["duplicates_page", "spreadsheet"]

_MOST_GROUPS = 500  # of a page, which holds all its thumbnails
_MOST_MEMBERS = 40  # of a group
_SIDE = 220  # pixels of a thumbnail
_QUALITY = 72
_STYLE = """<style>
main { max-width: 76rem; }
.group { border-top: 1px solid var(--faint); padding: 1.1rem 0 .4rem; }
.group h3 { font-size: 1rem; margin: 0 0 .2rem; overflow-wrap: anywhere; }
.group .said { color: var(--muted); font-size: .88rem; margin: 0 0 .7rem; max-width: none; }
.flag { color: var(--series-1); font-weight: 600; }
.members { display: grid; grid-template-columns: repeat(auto-fill, minmax(11.5rem, 1fr));
  gap: .8rem; padding: 0; margin: 0; list-style: none; }
.members li { background: var(--panel); border: 1px solid var(--faint); border-radius: .5rem;
  padding: .5rem; font-size: .82rem; line-height: 1.35; min-width: 0; }
.members li.keeper { border-color: var(--series-2); border-width: 2px; }
.members .frame { display: flex; align-items: center; justify-content: center; height: 9.5rem;
  margin-bottom: .45rem; }
.members img { max-width: 100%; max-height: 9.5rem; border-radius: .25rem; }
.members .none { color: var(--muted); text-align: center; overflow-wrap: anywhere; }
.members .path { overflow-wrap: anywhere; font-weight: 600; }
.members .fact { color: var(--muted); }
.mark { display: inline-block; font-size: .72rem; font-weight: 600; border-radius: 1rem;
  padding: .02rem .5rem; margin-bottom: .2rem; border: 1px solid currentColor; }
.mark.stays { color: var(--series-2); } .mark.goes { color: var(--series-1); }
.mark.looks { color: var(--muted); }
@media (max-width: 30rem) { .members { grid-template-columns: 1fr 1fr; gap: .5rem; }
  .members .frame, .members img { max-height: 7rem; height: auto; } }
</style>"""


def duplicates_page(root: Path, groups: Sequence[DuplicateGroup], asked: str) -> str:
    """A page that shows groups of duplicates.

    Parameters
    ----------
    root : Path
        Of the album: thumbnails are made of its pictures.
    groups : sequence of DuplicateGroup
    asked : str
        What was asked for, in words.

    Returns
    -------
    str
        HTML that holds everything it shows. Of more than 500 groups it shows the first 500, and of
        a group 40 members, and says so.
    """
    files = sum(len(group) for group in groups)
    going = sum(len(suggestions(group)) for group in groups)
    freed = sum(group.freed_bytes for group in groups)
    said = [
        f"{len(groups):,} groups of {files:,} files. If all suggestions were followed, {going:,} "
        f"files would go and {_bytes(freed)} would be free. Nothing was changed.",
        f"Asked for: {asked}.",
    ]
    if len(groups) > _MOST_GROUPS:
        said.append(f"The first {_MOST_GROUPS} groups are shown, those that free most.")
    if not groups:
        said = [f"Nothing is there twice. Asked for: {asked}."]
    shown_groups = [
        _group(root, number, group) for number, group in enumerate(groups[:_MOST_GROUPS], 1)
    ]
    body = [_STYLE, prose(*said), *([section("Groups", *shown_groups)] if shown_groups else [])]
    return page(f"Duplicates in {_text(shown(str(root).encode()))}", "lookalike", *body)


def _group(root: Path, number: int, group: DuplicateGroup) -> str:
    may_go = {member.path for member in suggestions(group)}
    members = group.members[:_MOST_MEMBERS]
    items = "\n".join(_member(root, member, group, may_go) for member in members)
    flags = []
    if group.is_chained:
        flags.append("chained: its ends are no duplicates of each other")
    if group.holds_apart:
        flags.append("two of them were said to be no duplicates")
    if group.is_reopened:
        flags.append("was kept before, and has a new member")
    if len(group) > _MOST_MEMBERS:
        flags.append(f"{len(group) - _MOST_MEMBERS:,} more are not shown")
    link = group.weakest_link
    weakest = "" if link is None else f" Weakest link: {_link(link.encoder, link.distance)}."
    flagged = "".join(f'<br><span class="flag">{escape(flag)}</span>' for flag in flags)
    return (
        f'<div class="group"><h3>{number}. {len(group):,} files, '
        f"{_bytes(group.freed_bytes)} to be freed</h3>\n"
        f'<p class="said">Keeper, {escape(_text(group.why))}. '
        f"{escape(weakest.strip())}{flagged}</p>\n"
        f'<ul class="members">\n{items}\n</ul></div>'
    )


def _member(root: Path, member: Member, group: DuplicateGroup, may_go: set[bytes]) -> str:
    content = member.content
    is_keeper = member.path == group.keeper.path
    facts = [f"{content.width:,} x {content.height:,}", _bytes(content.size)]
    if content.taken:
        facts.append(content.taken.replace("T", " "))
    why = "" if member.link is None else _link(member.link.encoder, member.link.distance)
    path = _text(shown(member.path))
    return (
        f"<li{' class=' + chr(34) + 'keeper' + chr(34) if is_keeper else ''}>"
        f'<div class="frame">{_thumbnail(root / shown(member.path), path)}</div>'
        f"{_mark(member, is_keeper=is_keeper, may_go=member.path in may_go)}"
        f'<div class="path">{escape(path)}</div>'
        f'<div class="fact">{escape(", ".join(facts))}</div>'
        f'<div class="fact">{escape(why)}</div></li>'
    )


def _mark(member: Member, *, is_keeper: bool, may_go: bool) -> str:
    if is_keeper:
        kind, text = "stays", "keeper"
    elif member.is_reference:
        kind, text = "stays", "reference"
    elif may_go:
        kind, text = "goes", "may go"
    else:
        kind, text = "looks", "look at it yourself"
    return f'<span class="mark {kind}">{text}</span>'


def _thumbnail(path: Path, name: str) -> str:
    """The picture in the page itself; what cannot be read any more is said in its place."""
    from PIL import Image  # noqa: PLC0415  # optional

    try:
        image = Image.fromarray(read_picture(path).pixels)
    except UnreadableFile as error:
        return f'<div class="none">{escape(_text(getattr(error, "why", str(error))))}</div>'
    image.thumbnail((_SIDE, _SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f'<img src="data:image/jpeg;base64,{data}" alt="{escape(name)}" loading="lazy">'


def _link(encoder: str, distance: float) -> str:
    return "the same bytes" if encoder == "bytes" else f"{encoder} {distance:g}"


def _text(text: str) -> str:
    """Text of strangers, without what cannot be in a page."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _bytes(count: int) -> str:
    """A number of bytes, as people say it."""
    size, unit = float(count), "bytes"
    for larger in ("KB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"


_COLUMNS = (
    *("group", "path", "keeper", "may_go", "reference", "encoder", "distance", "nearness"),
    *("width", "height", "bytes", "taken", "digest"),
)


def spreadsheet(groups: Sequence[DuplicateGroup]) -> str:
    """Groups of duplicates as comma-separated values, a row for each file.

    Notes
    -----
    A cell that a spreadsheet would take for a formula begins with an apostrophe.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(_COLUMNS)
    for number, group in enumerate(groups, 1):
        writer.writerows([_harmless(cell) for cell in row] for row in _rows(number, group))
    return buffer.getvalue()


def _rows(number: int, group: DuplicateGroup) -> Iterator[list[object]]:
    may_go = {member.path for member in suggestions(group)}
    for member in group.members:
        link, content = member.link, member.content
        yield [
            *(number, _text(shown(member.path)), int(member.path == group.keeper.path)),
            *(int(member.path in may_go), int(member.is_reference)),
            *(("", "", "") if link is None else (link.encoder, link.distance, link.nearness)),
            *(content.width, content.height, content.size, content.taken or "", content.digest),
        ]


def _harmless(cell: object) -> object:
    """A cell in which no spreadsheet sees a formula."""
    if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{cell}"
    return cell
