from html.parser import HTMLParser
from pathlib import Path

import pytest

from lookalike import WouldOverwrite, report

PAGE = report.page(
    "Title",
    "Sub",
    report.section("One", report.prose("first", "second"), report.table(["", "n"], [["a", "1"]])),
)


class Outline(HTMLParser):
    """Collects the tags of a page, and fails when they are not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def outline(text: str) -> Outline:
    parser = Outline()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    return parser


def test_a_page_is_well_nested_html() -> None:
    tags = outline(PAGE).tags
    assert tags[:2] == ["html", "head"]
    assert [tags.count(tag) for tag in ("h1", "h2", "p", "table", "td")] == [1, 1, 3, 1, 2]


def test_a_page_loads_nothing_and_runs_nothing() -> None:
    seen = outline(PAGE)
    assert not {"script", "link", "iframe", "img", "object"} & set(seen.tags)
    assert not {"src", "href", "onload"} & set(seen.attributes)
    assert not [word for word in ("http:", "https:", "@import", "url(") if word in PAGE]


def test_a_page_follows_the_dark_setting_and_the_width_of_a_phone() -> None:
    assert "@media (prefers-color-scheme: dark)" in PAGE
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in PAGE


@pytest.mark.parametrize(
    "made",
    [
        report.prose("<b>&"),
        report.prose("<b>&", note=True),
        report.section("<b>&"),
        report.table(["<b>&"], []),
        report.table([""], [["<b>&"]]),
        report.figure("<svg></svg>", describes="x", caption="<b>&"),
        report.page("<b>&", ""),
        report.page("", "<b>&"),
    ],
    ids=["prose", "note", "heading", "head", "cell", "caption", "title", "subtitle"],
)
def test_text_is_escaped(made: str) -> None:
    assert "<b>" not in made
    assert "&lt;b&gt;&amp;" in made


def test_a_description_cannot_leave_its_attribute() -> None:
    made = report.figure("<svg></svg>", describes='" onload="x', caption="")
    assert '<svg role="img" aria-label="&quot; onload=&quot;x"></svg>' in made


def test_marked_rows_stand_out() -> None:
    made = report.table([""], [["a"], ["b"]], marked=[1])
    assert "<tr><td>a</td></tr>" in made
    assert '<tr class="marked"><td>b</td></tr>' in made


def test_a_page_is_written_to_a_folder_that_is_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "report.html"
    report.write_page(path, PAGE)
    assert path.read_text(encoding="utf-8") == PAGE


def test_an_earlier_report_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    report.write_page(path, PAGE)
    report.write_page(path, PAGE.replace("first", "third"))
    assert "third" in path.read_text(encoding="utf-8")
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("<html>my thesis</html>")
    with pytest.raises(WouldOverwrite) as caught:
        report.write_page(path, PAGE)
    assert str(caught.value) == (
        "the report must go to a new file or replace an earlier report; got "
        f"{path}, which is something else. Move it away, or choose another folder."
    )
    assert path.read_text() == "<html>my thesis</html>"
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def test_a_folder_in_the_way_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(WouldOverwrite):
        report.write_page(tmp_path / "report.html", PAGE)


def test_a_failed_write_leaves_the_earlier_report_and_no_sibling(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    report.write_page(path, PAGE)
    with pytest.raises(UnicodeEncodeError):
        report.write_page(path, PAGE + "\ud800")  # half a character cannot be written
    assert path.read_text(encoding="utf-8") == PAGE
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]
