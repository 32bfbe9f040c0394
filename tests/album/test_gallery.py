"""The report and the spreadsheet of duplicates: what they say, and what they do not run."""

from __future__ import annotations

import base64
import csv
import io
import os
import re
import zlib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from tests.album.conftest import put, scene, synced

from lookalike import Cancelled, WouldOverwrite
from lookalike.album.catalog import Content
from lookalike.album.gallery import duplicates_page
from lookalike.album.group import DuplicateGroup, Link, Member
from lookalike.album.spreadsheet import spreadsheet, write_spreadsheet
from lookalike.album.verdicts import Verdict, legible, size_text, verdicts

FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\uff1d1", "=cmd|' /C calc'!A0")


class Seen(HTMLParser):
    """What a browser would make of a page: its tags, their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all_of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def content(number: int, size: int = 1000) -> Content:
    return Content(f"{number:032x}", size, 640, 480, "jpeg")


def member(path: str, number: int, near: float | None = 0.5, **more: bool) -> Member:
    """A file; with its nearness to the keeper, which is content 0."""
    link = None if near is None else Link(0, number, "pdq", 60 * near, near)
    return Member(os.fsencode(path), content(number), 0, link, **more)


def group(*others: Member, diameter: float = 0.5, weakest: float = 0.5) -> DuplicateGroup:
    """A group whose keeper is keep.jpg."""
    keeper = Member(b"keep.jpg", content(0), 0)
    members = tuple(sorted((keeper, *others), key=lambda own: own.path))
    link = Link(0, others[0].content.id, "pdq", 60 * weakest, weakest)
    return DuplicateGroup(members, keeper, "largest: 640 x 480", b"keep.jpg", diameter, link)


def shown_in(page: str) -> list[str]:
    """The cards of a page, as text."""
    cards = page.split('<ul class="members">')[1:]
    return [
        " ".join("".join(Seen(f"<ul>{part.split('</ul>')[0]}</ul>").text).split()) for part in cards
    ]


# ---- the page


def test_the_page_shows_every_file_with_its_picture_reason_and_verdict(photos: Path) -> None:
    with synced(photos) as album:
        groups = album.duplicates("near")
        page = duplicates_page(photos, groups, "near: pdq up to 31; keeper: original")
    seen = Seen(page)
    assert [own["alt"] for own in seen.all_of("img")] == ["0.jpg", "trip/0 small.jpg"]
    text = "".join(seen.text)
    assert "Asked for: near: pdq up to 31; keeper: original." in text
    assert f"Keeper: {groups[0].why}." in text
    [cards] = shown_in(page)
    assert cards.startswith("keeper0.jpg160 x 120, ")
    assert re.search(r"may gotrip/0 small\.jpg80 x 60, [\d.]+ kB, jpegp\w+ \d+, \d+% of its", cards)
    assert len(seen.all_of("meter")) == 1


def test_the_page_loads_nothing_and_runs_nothing(photos: Path) -> None:
    with synced(photos) as album:
        page = duplicates_page(photos, album.duplicates("near"), "near")
    seen = Seen(page)
    assert not {"script", "link", "iframe", "object", "form", "a", "base"} & {
        t for t, _ in seen.tags
    }
    attributes = {name for _, own in seen.tags for name in own}
    assert not [name for name in attributes if name.startswith("on") or name in ("href", "style")]
    sources = [str(own["src"]) for own in seen.all_of("img")]
    assert len(sources) == 2
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert not [word for word in ("http:", "https:", "@import", "url(") if word in page]
    [policy] = [o for o in seen.all_of("meta") if o.get("http-equiv") == "Content-Security-Policy"]
    assert str(policy["content"]).startswith("default-src 'none'; img-src data:; style-src")
    assert page.index("Content-Security-Policy") < page.index("<style>") < page.index("<img")


def test_names_are_text_wherever_they_are(tmp_path: Path) -> None:
    names = (
        "<img src=x onerror=alert(1)>.jpg",
        '" onerror="alert(1).jpg',
        "</li></ul><script>alert(1)</script>.jpg",
        "line\nbreak.jpg",
        "\u202egpj.exe",
        os.fsdecode(b"latin \xe9.jpg"),
    )
    root = tmp_path / "<i>root"
    for name in names:
        put(root / name.replace("/", "_"), scene(1))
    others = [member(name, number, 0.9) for number, name in enumerate(names, 1)]
    named = replace(group(*others, weakest=0.9), why="<b>why</b>")
    seen = Seen(duplicates_page(root, [named], "<u>asked"))
    assert not {"script", "b", "i", "u"} & {tag for tag, _ in seen.tags}
    assert all("onerror" not in own for _, own in seen.tags)
    assert {own["alt"] for own in seen.all_of("img")} >= {*names[:2]}
    text = "".join(seen.text)
    for name in (*names[:3], "line\\nbreak.jpg", "\\u202egpj.exe", "latin \\udce9.jpg"):
        assert name.rpartition("/")[2] in text
    assert "in " + str(tmp_path) in text
    assert "between keep.jpg and <img src=x onerror=alert(1)>.jpg" in text


def test_thumbnails_are_small_jpegs(tmp_path: Path) -> None:
    put(tmp_path / "keep.jpg", scene(1, 1600, 900))
    put(tmp_path / "tall.jpg", scene(2, 30, 400))
    page = duplicates_page(tmp_path, [group(member("tall.jpg", 1))], "near")
    sizes = []
    for own in Seen(page).all_of("img"):
        data = base64.b64decode(str(own["src"]).partition(",")[2])
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            sizes.append(image.size)
    assert sizes == [(200, 113), (15, 200)]
    assert len(page) < 40_000


def bomb() -> bytes:
    """A PNG whose header says that it has 100,000 x 100,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + check

    side = (100_000).to_bytes(4, "big")
    head = chunk(b"IHDR", side + side + b"\x08\x02\0\0\0")
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", b"x") + chunk(b"IEND", b"")


def test_what_cannot_be_read_any_more_has_its_reason_in_its_place(tmp_path: Path) -> None:
    put(tmp_path / "keep.jpg", scene(1))
    (tmp_path / "text.jpg").write_text("<b>no picture")
    (tmp_path / "bomb.jpg").write_bytes(bomb())
    os.mkfifo(tmp_path / "pipe.jpg")
    names = ("text.jpg", "bomb.jpg", "pipe.jpg", "gone.jpg", "<b>" * 100)
    others = [member(name, number) for number, name in enumerate(names, 1)]
    page = duplicates_page(tmp_path, [group(*others)], "near")
    assert [tag for tag, _ in Seen(page).tags if tag in ("img", "b")] == ["img"]
    text = "".join(Seen(page).text)
    assert "cannot be shown: its bytes are of none of the formats" in text
    assert "10,000,000,000 pixels, and at most 200,000,000 are decoded" in text
    assert text.count("cannot be shown: there is no such file any more") == 2
    assert "cannot be shown: [Errno 36] File name too long" in text


def test_what_a_user_should_know_of_a_group_is_flagged(tmp_path: Path) -> None:
    def flags(own: DuplicateGroup) -> str:
        page = duplicates_page(tmp_path, [own], "near")
        return " ".join(re.findall(r"<li>(.*?)</li>", page))

    plain = group(member("a.jpg", 1))
    assert flags(plain) == ""
    assert "chained" in flags(replace(plain, diameter=1.2))
    assert "were said to be no duplicates" in flags(replace(plain, holds_apart=True))
    assert "judged by a sample" in flags(replace(plain, sampled=True))
    assert "has new files" in flags(group(member("a.jpg", 1, is_new=True)))
    assert "weak link" in flags(group(member("a.jpg", 1), weakest=0.8))
    assert flags(group(member("a.jpg", 1), weakest=0.79)) == ""


def test_each_verdict_has_its_mark(tmp_path: Path) -> None:
    own = group(member("a.jpg", 1, is_reference=True), member("b.jpg", 2), member("c.jpg", 3, None))
    page = duplicates_page(tmp_path, [own], "near")
    marks = re.findall(r'<span class="mark (\w+)">([^<]+)</span><div class="path"><bdi>(\w+)', page)
    assert marks == [
        ("keeper", "keeper", "keep"),
        ("reference", "reference, stays", "a"),
        ("go", "may go", "b"),
        ("look", "look at it", "c"),
    ]
    assert page.count("not linked to the keeper itself") == 1
    assert page.count('<li class="keeper">') == 1


def test_of_very_many_groups_the_first_are_shown_and_it_is_said(tmp_path: Path) -> None:
    groups = [group(member(f"{number}.jpg", 1)) for number in range(501)]
    page = duplicates_page(tmp_path, groups, "near")
    assert page.count('<article class="group">') == 500
    assert "Only the first 500 of 501 groups are shown" in page
    assert "<dd>501</dd>" in page
    assert "<dd>1,002</dd>" in page
    assert "Only the first" not in duplicates_page(tmp_path, groups[:500], "near")


def test_of_very_large_groups_the_nearest_are_shown_and_it_is_said(tmp_path: Path) -> None:
    large = group(*(member(f"{number:03}.jpg", number, number / 100) for number in range(1, 100)))
    page = duplicates_page(tmp_path, [large] * 200, "near")
    assert "76 more files are not shown" in page
    assert page.count('<article class="group">') == 2500 // 24
    assert "Only the first 104 of 200 groups are shown" in page
    assert "023.jpg" in page
    assert "024.jpg" not in page


def test_without_duplicates_the_page_says_so(tmp_path: Path) -> None:
    page = duplicates_page(tmp_path, [], "exact: the same bytes")
    assert "Nothing is there twice." in page
    assert "<dd>0 bytes</dd>" in page


def test_progress_is_told_and_cancels(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    groups = [group(member("a.jpg", 1))] * 50
    duplicates_page(tmp_path, groups, "near", progress=lambda *own: told.append(own))
    assert told == [(0, 100), (64, 100)]
    with pytest.raises(Cancelled):
        duplicates_page(tmp_path, groups, "near", progress=lambda *own: False)


# ---- the spreadsheet


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True))


def test_the_spreadsheet_has_a_row_for_each_file() -> None:
    rows = rows_of(spreadsheet([group(member("a.jpg", 1)), group(member("b, c.jpg", 2, None))]))
    told = [(row["group"], row["path"], row["verdict"], row["distance"]) for row in rows]
    assert told == [
        ("1", "keep.jpg", "keeper", ""),
        ("1", "a.jpg", "may go", "30.0"),
        ("2", "keep.jpg", "keeper", ""),
        ("2", "b, c.jpg", "look", ""),
    ]
    assert {row["path_hex"] for row in rows} == {""}
    assert (rows[0]["why"], rows[1]["why"]) == ("largest: 640 x 480", "")


@pytest.mark.parametrize("name", FORMULAS)
def test_no_cell_is_a_formula(name: str) -> None:
    text = spreadsheet([replace(group(member(name, 1)), why=name)])
    own = rows_of(text)[1]
    assert own["path"].startswith(("'", "\\"))
    assert bytes.fromhex(own["path_hex"]) == name.encode()
    assert rows_of(text)[0]["why"] == own["path"]
    for line in csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")):
        assert not [
            cell for cell in line if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\uff1d"))
        ]


def test_every_text_is_quoted_and_names_are_there_to_the_byte() -> None:
    name = os.fsdecode(b'a";b\n\xe9.jpg')
    text = spreadsheet([group(member(name, 1))])
    line = text.splitlines()[2]
    assert line.startswith('1,"a"";b\\n\\udce9.jpg","6122')
    assert bytes.fromhex(rows_of(text)[1]["path_hex"]) == os.fsencode(name)
    assert text.encode().startswith(b'\xef\xbb\xbf"group",')


def test_an_earlier_spreadsheet_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write_spreadsheet(path, [group(member("a.jpg", 1))])
    write_spreadsheet(path, [])
    assert path.read_bytes().decode() == spreadsheet([])
    path.write_text("group,mine\n")
    with pytest.raises(WouldOverwrite) as caught:
        write_spreadsheet(path, [])
    assert str(caught.value) == (
        f"the table must go to a new file or replace an earlier one; got {path}, which is "
        "something else. Move it away, or choose another name."
    )
    assert path.read_text() == "group,mine\n"
    assert [own.name for own in tmp_path.iterdir()] == ["a.csv"]


# ---- verdicts


def test_the_keeper_is_first_and_then_the_nearest() -> None:
    same = Member(b"z.jpg", content(0), 0, Link(0, 0, "bytes", 0.0, 0.0))
    own = group(member("a.jpg", 1, 0.9), member("b.jpg", 2, 0.0), member("c.jpg", 3, None), same)
    assert [(found.path, verdict) for found, verdict in verdicts(own)] == [
        (b"keep.jpg", Verdict.KEEPER),
        (b"z.jpg", Verdict.MAY_GO),
        (b"b.jpg", Verdict.MAY_GO),
        (b"a.jpg", Verdict.MAY_GO),
        (b"c.jpg", Verdict.LOOK),
    ]


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (99_940, "99.9 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (3_200_000_000_000, "3.2 TB"),
        (10**16, "10,000 TB"),
    ],
)
def test_sizes_are_said_as_people_do(count: int, text: str) -> None:
    assert size_text(count) == text


def test_what_is_legible_stays_and_the_rest_is_escaped() -> None:
    assert legible("Grüße 犬 🐈.jpg") == "Grüße 犬 🐈.jpg"
    assert legible(b"\x1b[31m\n\xff\xe2\x80\xae") == "\\x1b[31m\\n\\udcff\\u202e"
