"""How it was found, in a browser."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.web.conftest import check_accessible, opened, serving

import lookalike
from lookalike import Album
from lookalike.results import Step
from lookalike.web import lab
from lookalike.web.album import AlbumCollection
from lookalike.web.digits import DigitsCollection
from lookalike.web.page.steps import step_words
from lookalike.web.page.why import fate
from lookalike.web.searched import searched

_ENGINES = Path(lookalike.__file__).parent / "engines"


def shown(tab: Any, address: str) -> None:
    tab.goto(address)
    tab.locator(".lk-how-steps").first.wait_for()


def lefts(steps: Any) -> list[tuple[str, int]]:
    """Steps and the vectors that each leaves."""
    names = steps.locator("tbody th").all_inner_texts()
    cells = steps.locator("tbody tr td:nth-child(3)").all_inner_texts()
    return list(zip(names, [int(own.replace(",", "")) for own in cells], strict=True))


@pytest.mark.parametrize("site", ["album_site", "digits_site"])
def test_steps_leave_fewer_and_fewer_beside_a_scan_of_all(
    tab: Any, site: str, request: pytest.FixtureRequest
) -> None:
    shown(tab, f"{request.getfixturevalue(site)}/how")
    assert tab.locator(".lk-how-steps").count() == 2
    for steps in tab.locator(".lk-how-steps").all():
        names, counts = zip(*lefts(steps), strict=True)
        assert len(names) >= 2
        if names[1:] == ("compare",):  # nothing else to compare it with
            assert counts[0] >= counts[1]
            continue
        assert (names[-1], counts[-1]) == ("without steps", counts[0])
        assert list(counts[:-1]) == sorted(counts[:-1], reverse=True)


def test_bits_and_tables_of_the_address_are_used(tab: Any, digits_site: str) -> None:
    shown(tab, f"{digits_site}/how?id=0000000000000005&bits=8&tables=3")
    tab.get_by_role("heading", name="The same search with 3 hash tables of 8 bits").wait_for()
    assert tab.get_by_text("Searched for: a 5, number 5").count() == 1


def test_what_the_page_leaves_out_is_said(tab: Any, album_site: str) -> None:
    shown(tab, f"{album_site}/how")
    tab.get_by_text("one of its own neighbours here").wait_for()
    assert not tab.get_by_text("mirrored or turned pictures").count()
    shown(tab, f"{album_site}/how?flips=1")
    tab.get_by_text("mirrored or turned pictures").wait_for()


def test_what_is_not_there_is_said(tab: Any, digits_site: str) -> None:
    tab.goto(f"{digits_site}/how?id=00000000000fffff")
    tab.get_by_role("alert").get_by_text("a digit must be one of").wait_for()


# ---- why these two


@pytest.fixture
def ids(demo_album: Path) -> dict[str, str]:
    """Ids of the pictures of the demonstration, by the path of each file."""
    with Album(demo_album) as album:
        items = AlbumCollection(album).items(0, 100)
    return {path: item.id for item in items for path in item.files}


def judged(tab: Any, encoder: str) -> dict[str, str]:
    """What an encoder says of two pictures."""
    panel = tab.locator(".lk-why-one", has_text=f"By {encoder}:")
    names, words = panel.locator("dt"), panel.locator("dd")
    facts = dict(zip(names.all_inner_texts(), words.all_inner_texts(), strict=True))
    return {"says": panel.locator("h3").inner_text(), **facts}


def test_why_two_pictures_match_is_told_for_each_encoder(
    tab: Any, album_site: str, demo_album: Path, ids: dict[str, str]
) -> None:
    one, other = "camera/china.jpg", "phone/china.jpg"
    shown(tab, f"{album_site}/how?id={ids[one]}&other={ids[other]}")
    with Album(demo_album) as album:
        judgements = album.explain(one, other).judgements
    assert [own.says for own in judgements] == ["near", "near"]
    assert tab.locator(".lk-why-one").count() == len(judgements)
    for own in judgements:
        said = judged(tab, own.encoder)
        assert said["says"] == f"By {own.encoder}: near-duplicates"
        assert said["Distance"] == f"{own.distance:g}"
        assert said["Near-duplicates"] == f"up to {own.near:g}"
        assert said["Similar"] == f"up to {own.similar:g}"
        assert said["This search"].startswith("finds it: number ")
        assert said["Can it be missed"] == own.miss
    both = tab.locator(".lk-why-two figcaption").all_inner_texts()
    assert other in both[1]
    assert tab.locator(".lk-why-two img").count() == 2


def test_why_a_search_does_not_show_another(tab: Any, album_site: str, ids: dict[str, str]) -> None:
    one, other = ids["camera/china.jpg"], ids["camera/flower.jpg"]
    shown(tab, f"{album_site}/how?id={one}&other={other}&k=3&encoder=pdq")
    tab.get_by_text("They are different").wait_for()
    assert judged(tab, "pdq")["This search"] == "does not show it: 2 others are nearer"
    assert judged(tab, "phash")["This search"] == "is not made by this encoder"


def test_a_neighbour_leads_to_why_it_was_found(tab: Any, album_site: str) -> None:
    shown(tab, f"{album_site}/how")
    neighbours = tab.get_by_role("list", name="The nearest by pdq")
    assert neighbours.get_by_role("listitem").count() == 12
    neighbours.get_by_role("link").first.click()  # the first is itself, and has no link
    tab.get_by_role("heading", name="Why these two").wait_for()
    assert judged(tab, "pdq")["This search"] == "finds it: number 1 of 23"


@pytest.mark.parametrize("other", ["00000000000fffff", "../../etc/passwd", "<b>"])
def test_an_unknown_other_is_said_and_the_rest_is_shown(
    tab: Any, album_site: str, other: str
) -> None:
    shown(tab, f"{album_site}/how?other={other}")
    tab.get_by_role("alert").get_by_text("These two cannot be compared").wait_for()
    assert tab.get_by_role("alert").get_by_text("A picture must be").count() == 1
    assert not tab.locator(".lk-why-one").count()
    assert tab.locator(".lk-how-steps").count() == 2


def test_another_whose_file_has_gone_is_said(
    tab: Any, own_album: Path, ids: dict[str, str]
) -> None:
    with serving(str(own_album)) as site:
        (own_album / "phone/flower.jpg").unlink()
        one, other = ids["camera/china.jpg"], ids["phone/flower.jpg"]
        shown(tab, f"{site}/how?id={one}&other={other}&k=3&encoder=pdq")
        tab.get_by_role("alert").get_by_text("its files have changed or are gone").wait_for()


def test_what_was_decided_about_the_two_is_said(
    tab: Any, own_album: Path, ids: dict[str, str]
) -> None:
    one, other = "camera/china.jpg", "phone/china.jpg"
    with Album(own_album) as album:
        album.not_duplicates(one, other)
    with serving(str(own_album)) as site:
        shown(tab, f"{site}/how?id={ids[one]}&other={ids[other]}")
        tab.get_by_role("status").get_by_text("You decided that they are no duplicates").wait_for()


def test_what_a_search_misses_is_told_from_what_is_too_far() -> None:
    digits = DigitsCollection()
    own = searched("pixels", lab.tables_index(digits.images, 20, 5), digits.images[0], 24, None, 1)
    nearest, found = own.exact_ids[1:], set(own.explanation.hits.ids.tolist())
    assert own.exact_ids[0] == 0  # itself, which is left out
    assert 0 < len(found.intersection(nearest)) < len(nearest)
    for place, number in enumerate(nearest, 1):
        said = fate(own, 0, number)
        missed = f"misses it, though it is number {place} of the nearest"
        assert said.startswith("finds it: number ") if number in found else said == missed
    far = next(number for number in range(1, 1797) if number not in {*nearest, *found})
    assert fate(own, 0, far) == "does not show it: 23 others are nearer"
    assert fate(own, 0, 0) == "leaves it out: it is what is searched for"


def test_of_digits_it_is_not_told(tab: Any, digits_site: str) -> None:
    shown(tab, f"{digits_site}/how?other=0000000000000005")
    tab.get_by_text("This is told of two pictures of an album").wait_for()


# ---- in plain words


def said_by_engines() -> Iterator[tuple[str, str]]:
    """What engines call the steps of a search, with 1,234 for each count, and its name."""
    for path in sorted(_ENGINES.glob("*.py")):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef) and function.name == "trace":
                yield from said_in(function)


def said_in(function: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    assigned = {
        target.id: node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(function):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "Step"
        ):
            name, does = node.args[:2]
            yield text(name), text(assigned[does.id] if isinstance(does, ast.Name) else does)


def text(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(text(part) for part in node.values)
    return str(node.value) if isinstance(node, ast.Constant) else "1234"


def test_all_that_engines_say_is_put_in_plain_words_with_its_counts() -> None:
    said = list(said_by_engines())
    assert len(said) >= 15
    for name, does in said:
        words = step_words(Step(name, does, 0, 0.0))
        assert words != step_words(Step(name, "something new", 0, 0.0)), does
        assert words.count("1,234") == does.count("1234"), does


def test_what_no_words_are_known_for_is_said_by_the_name_of_the_step() -> None:
    assert step_words(Step("hash", "something new", 0, 0.0)) == "Find out where to look."
    assert step_words(Step("ask", "something new", 0, 0.0)) == "something new"


@pytest.mark.parametrize("site", ["album_site", "digits_site"])
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("dark", [False, True])
def test_it_is_readable_everywhere(
    browser: Any,
    site: str,
    request: pytest.FixtureRequest,
    screen: Callable[[Any, str], None],
    width: int,
    dark: bool,
) -> None:
    address = request.getfixturevalue(site)
    with opened(browser, width=width, dark=dark) as tab:
        shown(tab, f"{address}/how")
        tab.wait_for_timeout(500)
        screen(tab, f"how-{site[:5]}-{width}-{'dark' if dark else 'light'}")
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        check_accessible(tab)


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("dark", [False, True])
def test_why_these_two_is_readable_everywhere(
    browser: Any,
    album_site: str,
    ids: dict[str, str],
    screen: Callable[[Any, str], None],
    width: int,
    dark: bool,
) -> None:
    one, other = ids["camera/china.jpg"], ids["phone/china.jpg"]
    with opened(browser, width=width, dark=dark) as tab:
        shown(tab, f"{album_site}/how?id={one}&other={other}")
        tab.wait_for_timeout(500)
        screen(tab, f"why-{width}-{'dark' if dark else 'light'}")
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        check_accessible(tab)


def test_charts_use_the_width_and_no_table_is_cut_on_a_telephone(
    browser: Any, digits_site: str
) -> None:
    for width in (1280, 400):
        with opened(browser, width=width) as tab:
            shown(tab, f"{digits_site}/how")
            wide = "own => own.getBoundingClientRect().width"
            chart = tab.locator(".lk-chart").first.evaluate(wide)
            assert chart == tab.locator(".lk-how").evaluate(wide)
            for table in tab.locator(".lk-how-steps").all():
                assert table.evaluate("own => own.scrollWidth <= own.clientWidth")
                last = table.locator("thead th").last
                assert last.evaluate("own => getComputedStyle(own).whiteSpace") == "nowrap"
