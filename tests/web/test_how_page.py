"""How it was found, in a browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.web.conftest import check_accessible, opened


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
        *own, scan = lefts(steps)
        counts = [left for _, left in own]
        assert len(own) >= 2
        assert counts == sorted(counts, reverse=True)
        assert scan == ("exact scan", counts[0])


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
