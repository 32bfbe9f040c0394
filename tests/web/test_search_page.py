"""The search page, in a browser."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.web.conftest import check_accessible, opened, serving

Screen = Callable[[Any, str], None]
Stroke = Sequence[tuple[float, float]]

_ONE: Stroke = [(0.5, 0.15), (0.5, 0.85)]
_SEVEN: Stroke = [(0.3, 0.2), (0.7, 0.2), (0.5, 0.5), (0.42, 0.85)]
_ZERO: Stroke = [
    (0.5, 0.12),
    (0.32, 0.3),
    (0.27, 0.5),
    (0.32, 0.7),
    (0.5, 0.88),
    (0.68, 0.7),
    (0.73, 0.5),
    (0.68, 0.3),
    (0.5, 0.12),
]
_DROP = """([data, name, type]) => {
  const bytes = Uint8Array.from(atob(data), (own) => own.charCodeAt(0));
  const moved = new DataTransfer();
  moved.items.add(new File([bytes], name, { type }));
  const place = document.querySelector("[data-lk-drop]");
  place.dispatchEvent(new DragEvent("dragover", { dataTransfer: moved, bubbles: true }));
  place.dispatchEvent(new DragEvent("drop", { dataTransfer: moved, bubbles: true }));
}"""
_PASTE = """([data, name, type]) => {
  const bytes = Uint8Array.from(atob(data), (own) => own.charCodeAt(0));
  const moved = new DataTransfer();
  moved.items.add(new File([bytes], name, { type }));
  document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: moved, bubbles: true }));
}"""


def start(tab: Any, address: str) -> None:
    tab.goto(address)
    tab.wait_for_function("window.did_handshake && document.querySelector('[data-lk-state]')")


def names(tab: Any) -> list[str]:
    """What is shown, in order."""
    own: list[str] = tab.locator(".lk-tile .lk-name-of").evaluate_all(
        "all => all.map(own => own.title)"
    )
    return own


def arrived(tab: Any, number: int) -> None:
    """Wait until the server has shown so many answers."""
    tab.wait_for_function(
        "n => JSON.parse(document.querySelector('[data-lk-state]').dataset.lkState).number >= n",
        arg=number,
    )


def draw(tab: Any, stroke: Stroke) -> None:
    box = tab.locator("canvas[data-lk-draw]").bounding_box()
    points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
    tab.mouse.move(*points[0])
    tab.mouse.down()
    for point in points[1:]:
        tab.mouse.move(*point, steps=5)
    tab.mouse.up()


def given(path: Path, name: str = "picture.jpg", type: str = "image/jpeg") -> list[str]:
    return [base64.b64encode(path.read_bytes()).decode(), name, type]


def see_all(tab: Any) -> None:
    """Have every picture loaded, also those below."""
    tab.evaluate("document.querySelectorAll('img').forEach(own => { own.loading = 'eager' })")
    tab.wait_for_function("[...document.images].every(own => own.complete && own.naturalWidth)")


@pytest.fixture(params=[(1280, False), (400, False), (1280, True), (400, True)], ids=str)
def any_tab(browser: Any, request: pytest.FixtureRequest) -> Iterator[tuple[Any, str]]:
    width, dark = request.param
    with opened(browser, width=width, dark=dark) as page:
        yield page, f"{'dark' if dark else 'light'}-{width}"


# ---- digits


@pytest.mark.parametrize(("digit", "stroke"), [("0", _ZERO), ("1", _ONE), ("7", _SEVEN)])
def test_most_of_what_is_found_for_a_drawn_digit_is_that_digit(
    tab: Any, digits_site: str, digit: str, stroke: Stroke
) -> None:
    start(tab, digits_site)
    draw(tab, stroke)
    arrived(tab, 1)
    found = names(tab)
    assert len(found) == 24
    assert sum(name.startswith(f"a {digit},") for name in found) > 12, found


def test_a_second_stroke_belongs_to_the_same_drawing(tab: Any, digits_site: str) -> None:
    start(tab, digits_site)
    draw(tab, _ONE)
    arrived(tab, 1)
    address, ones = tab.url, names(tab)
    draw(tab, [(0.25, 0.5), (0.75, 0.5)])
    tab.wait_for_function("own => location.href !== own", arg=address)
    arrived(tab, 2)
    assert names(tab) != ones
    assert tab.locator("canvas[data-lk-draw]").evaluate(
        "own => own.getContext('2d').getImageData(own.width / 2, own.height / 4, 1, 1).data[0] < 50"
    )
    tab.go_back()  # strokes of one drawing are one place in the history
    tab.get_by_text("Or begin from one of these").wait_for()


def test_clear_empties_the_canvas_and_the_page_invites_again(tab: Any, digits_site: str) -> None:
    start(tab, digits_site)
    draw(tab, _ONE)
    arrived(tab, 1)
    tab.get_by_role("button", name="Clear").click()
    tab.get_by_text("Or begin from one of these").wait_for()
    assert "upload" not in tab.url
    ink = tab.locator("canvas[data-lk-draw]").evaluate(
        "own => own.getContext('2d').getImageData(0, 0, own.width, own.height).data"
        ".some(value => value < 255)"
    )
    assert not ink


def test_a_link_to_a_drawing_shows_it_and_finds_the_same(
    tab: Any, browser: Any, digits_site: str
) -> None:
    start(tab, digits_site)
    draw(tab, _SEVEN)
    arrived(tab, 1)
    with opened(browser) as other:
        start(other, tab.url)
        assert names(other) == names(tab)
        other.wait_for_function(
            "(() => { const own = document.querySelector('canvas[data-lk-draw]');"
            "return own.getContext('2d').getImageData(0, 0, own.width, own.height).data"
            ".some(value => value < 50) })()"
        )


def test_digits_are_enlarged_without_smoothing(tab: Any, digits_site: str) -> None:
    start(tab, digits_site)
    image = tab.locator(".lk-tile img").first
    assert image.evaluate("own => getComputedStyle(own).imageRendering") == "pixelated"


# ---- albums


def test_a_dropped_photo_is_searched(tab: Any, album_site: str, demo_album: Path) -> None:
    start(tab, album_site)
    tab.evaluate(_DROP, given(demo_album / "phone" / "flower.jpg"))
    arrived(tab, 1)
    assert all("flower" in name for name in names(tab)[:5]), names(tab)
    assert re.search(r"\?upload=[0-9a-f]{32}$", tab.url)
    see_all(tab)


def test_a_pasted_photo_is_searched(tab: Any, album_site: str, demo_album: Path) -> None:
    start(tab, album_site)
    tab.evaluate(_PASTE, given(demo_album / "phone" / "china.jpg"))
    arrived(tab, 1)
    assert all("china" in name for name in names(tab)[:5]), names(tab)


def test_a_picked_photo_is_searched(tab: Any, album_site: str, demo_album: Path) -> None:
    start(tab, album_site)
    tab.get_by_label("Choose a picture").set_input_files(demo_album / "phone" / "china.jpg")
    arrived(tab, 1)
    assert all("china" in name for name in names(tab)[:5]), names(tab)


def test_a_click_searches_from_a_picture_and_back_returns(tab: Any, album_site: str) -> None:
    start(tab, album_site)
    offered = names(tab)
    tab.locator(".lk-tile a").nth(1).click()
    arrived(tab, 1)
    first, address = names(tab), tab.url
    tab.locator(".lk-tile a").nth(2).click()
    arrived(tab, 2)
    assert tab.url != address
    assert tab.get_by_text(first[2], exact=True).first.is_visible()
    tab.go_back()
    arrived(tab, 3)
    assert (tab.url, names(tab)) == (address, first)
    tab.go_back()
    arrived(tab, 4)
    assert names(tab) == offered


def test_a_link_finds_the_same_with_the_same_controls(
    tab: Any, browser: Any, album_site: str
) -> None:
    start(tab, album_site)
    tab.locator(".lk-tile a").first.click()
    arrived(tab, 1)
    tab.get_by_label("How many").select_option("12")
    arrived(tab, 2)
    tab.get_by_label("Compared by").select_option("phash")
    arrived(tab, 3)
    tab.get_by_label("Mirrored too").check()
    arrived(tab, 4)
    assert {"k=12", "encoder=phash", "flips=1"} < set(tab.url.partition("?")[2].split("&"))
    with opened(browser) as other:
        start(other, tab.url)
        assert names(other) == names(tab)
        assert other.get_by_label("How many").input_value() == "12"
        assert other.get_by_label("Compared by").input_value() == "phash"
        assert other.get_by_label("Mirrored too").is_checked()
        assert not other.get_by_label("Turned too").is_checked()


def test_mirrored_pictures_are_found_when_asked_for(
    tab: Any, album_site: str, demo_album: Path
) -> None:
    start(tab, album_site)
    tab.evaluate(_DROP, given(demo_album / "mirror" / "china.jpg"))
    arrived(tab, 1)
    upright = sum("china" in name for name in names(tab)[:5])
    tab.get_by_label("Mirrored too").check()
    arrived(tab, 2)
    assert upright < 5
    assert all("china" in name for name in names(tab)[:5]), names(tab)
    assert tab.get_by_text(", mirrored").count() >= 4


def test_how_it_was_found_is_asked_for_the_same(tab: Any, album_site: str) -> None:
    start(tab, album_site)
    tab.locator(".lk-tile a").first.click()
    arrived(tab, 1)
    line = tab.url.partition("?")[2]
    links = tab.get_by_role("link", name="How it was found")
    assert [own.get_attribute("href") for own in links.all()] == [f"/how?{line}"] * 2


def test_compare_shows_both_and_the_difference_and_ends_with_escape(
    tab: Any, album_site: str, demo_album: Path
) -> None:
    start(tab, album_site)
    tab.evaluate(_DROP, given(demo_album / "phone" / "flower.jpg"))
    arrived(tab, 1)
    button = tab.get_by_role("button", name="Compare with old/flower.jpg")
    button.focus()
    tab.keyboard.press("Enter")
    dialog = tab.get_by_role("dialog", name="Side by side")
    dialog.get_by_role("img", name="Difference").wait_for()
    assert dialog.get_by_role("img").count() == 3
    light = "own => own.getContext('2d').getImageData(0, 0, own.width, own.height).data.reduce("
    light += "(sum, value, at) => at % 4 === 3 ? sum : sum + value, 0)"
    sums = [own.evaluate(light) for own in dialog.get_by_role("img").all()]
    assert all(sums)  # grey is not colour: there is a difference, and it is not one of the two
    assert len(set(sums)) == 3
    tab.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert button.evaluate("own => own === document.activeElement")


def test_a_picture_compared_with_its_mirror_image_is_turned(
    tab: Any, album_site: str, demo_album: Path
) -> None:
    start(tab, f"{album_site}/?flips=1")
    tab.evaluate(_DROP, given(demo_album / "mirror" / "china.jpg"))
    arrived(tab, 1)
    tab.get_by_role("button", name="Compare with phone/china.jpg").click()
    dialog = tab.get_by_role("dialog", name="Side by side")
    dialog.get_by_role("img", name="Difference").wait_for()
    said = dialog.get_by_text("on average").inner_text()
    assert float(re.findall(r"([\d.]+) %", said)[0]) < 5, said


# ---- keyboard, readers, widths


def test_the_keyboard_reaches_everything_in_the_order_of_the_page(
    tab: Any, album_site: str
) -> None:
    start(tab, album_site)
    reached = []
    for _ in range(13):
        tab.keyboard.press("Tab")
        reached.append(
            tab.evaluate(
                "(() => { const own = document.activeElement;"
                "return own.dataset.lkParam || own.type || own.textContent.trim() })()"
            )
        )
    assert reached[0] == "To the content"
    assert reached[2:6] == ["Search", "How it was found", "Duplicates", "Album"]
    assert reached[6:11] == ["file", "k", "encoder", "flips", "rotations"]
    tab.keyboard.press("Enter")
    arrived(tab, 1)
    tab.get_by_role("heading", name="Searched for").wait_for()
    assert tab.evaluate("document.activeElement.hasAttribute('data-lk-arrive')")


def test_axe_finds_nothing_serious(any_tab: tuple[Any, str], album_site: str) -> None:
    tab, _ = any_tab
    start(tab, album_site)
    tab.locator(".lk-tile a").first.click()
    arrived(tab, 1)
    check_accessible(tab)


def test_axe_finds_nothing_serious_where_one_draws(digits_site: str, tab: Any) -> None:
    start(tab, digits_site)
    draw(tab, _SEVEN)
    arrived(tab, 1)
    tab.locator("[data-lk-compare]").first.click()
    tab.locator("dialog[data-lk-done]").wait_for()
    check_accessible(tab)


def test_the_page_fits_every_width(
    any_tab: tuple[Any, str], album_site: str, digits_site: str, screen: Screen
) -> None:
    tab, name = any_tab
    start(tab, album_site)
    see_all(tab)
    screen(tab, f"search-begin-{name}")
    tab.locator(".lk-tile a").nth(1).click()
    arrived(tab, 1)
    see_all(tab)
    _fits(tab)
    screen(tab, f"search-album-{name}")
    tab.locator("[data-lk-compare]").nth(3).click()
    tab.locator("dialog[data-lk-done]").wait_for()
    _fits(tab)
    screen(tab, f"compare-{name}")
    start(tab, digits_site)
    draw(tab, _SEVEN)
    arrived(tab, 1)
    see_all(tab)
    _fits(tab)
    screen(tab, f"search-digits-{name}")


def _fits(tab: Any) -> None:
    wide = tab.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, f"{wide} pixels too wide"


def test_the_page_can_be_read_at_twice_the_size(browser: Any, album_site: str) -> None:
    with opened(browser, width=640, height=400) as tab:  # what 1280 x 800 is at 200 %
        start(tab, album_site)
        _fits(tab)


# ---- what goes wrong


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ("id=0000000000000001", "This picture is not here"),
        ("id=../../etc/passwd", "This picture is not here"),
        ("upload=" + "0" * 32, "This picture is not here"),
    ],
)
def test_what_is_not_there_is_said_with_what_to_do(
    tab: Any, album_site: str, screen: Screen, line: str, title: str
) -> None:
    start(tab, f"{album_site}/?{line}")
    tab.get_by_role("alert").get_by_text(title).wait_for()
    screen(tab, f"search-wrong-{line[:2]}")
    tab.get_by_role("alert").get_by_role("link", name="Start again").click()
    tab.get_by_text("Or begin from one of these").wait_for()


def test_a_file_that_is_no_picture_is_said_with_the_reason(
    tab: Any, album_site: str, tmp_path: Path, screen: Screen
) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff" + bytes(range(256)))
    start(tab, album_site)
    tab.evaluate(_DROP, given(tmp_path / "broken.jpg"))
    tab.get_by_role("alert").get_by_text("This picture cannot be read").wait_for()
    screen(tab, "search-unreadable")


def test_text_that_is_dropped_is_answered(tab: Any, album_site: str) -> None:
    start(tab, album_site)
    tab.evaluate(
        """() => {
          const moved = new DataTransfer();
          moved.setData("text/plain", "http://example.org/cat.jpg");
          document.querySelector("[data-lk-drop]").dispatchEvent(
            new DragEvent("drop", { dataTransfer: moved, bubbles: true }));
        }"""
    )
    tab.get_by_text("That was not a file.").wait_for()


@pytest.mark.parametrize("line", ["k=abc", "k=-3", "encoder=nothing", "first=99999999999"])
def test_an_address_that_makes_no_sense_shows_the_usual(
    tab: Any, album_site: str, line: str
) -> None:
    start(tab, f"{album_site}/?{line}")
    tab.get_by_text("Or begin from one of these").wait_for()


def test_a_name_that_is_html_is_shown_as_text(tab: Any, demo_album: Path, tmp_path: Path) -> None:
    from lookalike import Album

    folder = tmp_path / "hostile"
    folder.mkdir()
    name = "<img src=x onerror=document.title='gotcha'>.jpg"
    (folder / name).write_bytes((demo_album / "phone" / "china.jpg").read_bytes())
    (folder / "{{1+1}}.jpg").write_bytes((demo_album / "sent" / "china.jpg").read_bytes())
    (folder / "${1+1}`.jpg").write_bytes((demo_album / "old" / "china.jpg").read_bytes())
    with Album(folder, encoders=("pdq", "phash")) as album:
        album.sync()
    with serving(str(folder)) as address:
        start(tab, address)
        assert set(names(tab)) == {name, "{{1+1}}.jpg", "${1+1}`.jpg"}
        tab.locator(".lk-tile a", has_text="{{1+1}}").click()
        arrived(tab, 1)
        tab.locator("[data-lk-compare]").first.click()
        tab.locator("dialog[data-lk-done]").wait_for()
        assert "gotcha" not in tab.title()
