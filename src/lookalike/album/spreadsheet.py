"""Groups of duplicates as a table for a spreadsheet: comma-separated values, a row for each file.

File names are text of strangers, and spreadsheets run what looks like a formula to them. So every
text is quoted, and one that could be a formula begins with an apostrophe.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from lookalike import report
from lookalike.album.catalog import shown
from lookalike.album.group import DuplicateGroup
from lookalike.album.verdicts import legible, verdicts
from lookalike.errors import WouldOverwrite

__all__ = ["check_free", "spreadsheet", "write_spreadsheet"]

_MARK = "\ufeff"  # by which Excel knows UTF-8
_COLUMNS = (
    *("group", "path", "path_hex", "verdict", "why", "encoder", "distance", "nearness"),
    *("width", "height", "bytes", "format", "taken", "digest"),
)
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")  # the wide ones too


def spreadsheet(groups: Sequence[DuplicateGroup]) -> str:
    """A table of groups of duplicates.

    Parameters
    ----------
    groups : sequence of DuplicateGroup

    Returns
    -------
    str
        A line of heads, then a row for each file. ``path`` is for people: where it is not the path
        to the byte, ``path_hex`` has that in hexadecimal.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(_COLUMNS)
    for number, group in enumerate(groups, 1):
        writer.writerows([_cell(value) for value in row] for row in _rows(number, group))
    return _MARK + buffer.getvalue()


def _rows(number: int, group: DuplicateGroup) -> Iterator[list[object]]:
    for member, verdict in verdicts(group):
        link, content = member.link, member.content
        path = shown(member.path)
        yield [
            *(number, path, "" if _cell(path) == path else member.path.hex(), str(verdict)),
            group.why if member.path == group.keeper.path else "",
            *(("", "", "") if link is None else (link.encoder, link.distance, link.nearness)),
            *(_number(content.width), _number(content.height), content.size),
            *(content.format or "", content.taken or "", content.digest),
        ]


def _number(value: int | None) -> object:
    return "" if value is None else value


def _cell(value: object) -> object:
    """A cell that is legible, and in which no spreadsheet sees a formula."""
    if not isinstance(value, str):
        return value
    text = legible(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def check_free(path: Path) -> None:
    """Refuse a path that holds anything but an earlier table of ours.

    Raises
    ------
    WouldOverwrite
    """
    head = spreadsheet([]).encode()
    if path.exists() and not (path.is_file() and _start(path, len(head)) == head):
        raise WouldOverwrite(
            f"the table must go to a new file or replace an earlier one; got {path}, which is "
            "something else. Move it away, or choose another name."
        )


def _start(path: Path, count: int) -> bytes:
    with path.open("rb") as file:
        return file.read(count)


def write_spreadsheet(path: Path, groups: Sequence[DuplicateGroup]) -> None:
    """Write a table, replacing an earlier one of ours and nothing else.

    Raises
    ------
    WouldOverwrite
        When the file in the way is something else. Nothing was written.
    """
    check_free(path)
    report.put(path, spreadsheet(groups))
