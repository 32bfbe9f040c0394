"""The lab in a browser: the lesson of the course in ten seconds."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from tests.web.conftest import check_accessible, opened


def figure(tab: Any, name: str) -> float:
    text = tab.locator("dl div", has_text=name).locator("dd").inner_text()
    return float(re.sub(r"[^0-9.].*", "", text.replace(",", "")))


def measured(tab: Any, address: str) -> None:
    tab.goto(address)
    tab.get_by_text(re.compile(r"of 1,500")).first.wait_for()


def pressed(tab: Any, slider: str, key: str, times: int) -> None:
    before = tab.locator(".lk-figures").inner_text()
    tab.get_by_role("slider", name=slider).focus()
    for _ in range(times):
        tab.keyboard.press(key)
    tab.wait_for_function(
        "before => document.querySelector('.lk-figures').innerText !== before", arg=before
    )
    tab.wait_for_timeout(600)


def test_more_bits_leave_fewer_candidates_and_find_less(tab: Any, digits_site: str) -> None:
    measured(tab, f"{digits_site}/lab")
    candidates, found = figure(tab, "Candidates"), figure(tab, "Of the ten")
    pressed(tab, "Bits in a code", "ArrowRight", 8)
    assert figure(tab, "Candidates") < candidates
    assert figure(tab, "Of the ten") < found


def test_more_tables_find_more_and_compare_more(tab: Any, digits_site: str) -> None:
    measured(tab, f"{digits_site}/lab")
    candidates, found = figure(tab, "Candidates"), figure(tab, "Of the ten")
    pressed(tab, "Tables", "ArrowRight", 8)
    assert figure(tab, "Candidates") > candidates
    assert figure(tab, "Of the ten") > found


def test_the_sliders_have_names_and_the_focus_is_on_what_has_one(
    tab: Any, digits_site: str
) -> None:
    measured(tab, f"{digits_site}/lab?k=12&m=7")
    for name, value in (("Bits in a code (k)", "12"), ("Tables (m)", "7")):
        slider = tab.get_by_role("slider", name=name, exact=True)
        assert slider.count() == 1
        slider.focus()
        assert slider.evaluate("own => own === document.activeElement")
        assert slider.input_value() == value
        assert slider.evaluate("own => [own.min, own.max]") == ["1", "64"]


def test_a_slider_stays_where_it_was_moved_to(tab: Any, digits_site: str) -> None:
    measured(tab, f"{digits_site}/lab?k=12&m=7")
    for _ in range(3):
        pressed(tab, "Bits in a code", "ArrowRight", 5)
    assert tab.get_by_role("slider", name="Bits in a code").input_value() == "27"
    assert tab.locator(".lk-lab-value").all_inner_texts() == ["27", "7"]
    tab.get_by_text("27 bits").wait_for()  # and that is what was measured


def test_the_table_and_the_legends_fit_a_telephone(browser: Any, digits_site: str) -> None:
    with opened(browser, width=400) as tab:
        measured(tab, f"{digits_site}/lab")
        table = tab.get_by_role("group", name="What is found of the ten nearest")
        assert table.evaluate("own => own.scrollWidth <= own.clientWidth")
        for chart in tab.locator(".lk-chart").all():
            words = chart.locator(
                "text", has_text=re.compile("^(before|now|chance to|found|missed)")
            )
            tops = words.evaluate_all("all => all.map(own => own.getBoundingClientRect().top)")
            assert len(tops) >= 2
            assert max(tops) - min(tops) < 3


def test_another_digit_has_other_neighbours(tab: Any, digits_site: str) -> None:
    measured(tab, f"{digits_site}/lab")
    before = tab.locator(".lk-lab-neighbours").inner_text()
    tab.locator(".lk-lab-digit").nth(3).click()
    tab.wait_for_function(
        "before => document.querySelector('.lk-lab-neighbours').innerText !== before", arg=before
    )
    assert tab.locator(".lk-lab-neighbours li").count() == 10
    assert tab.locator(".lk-lab-digit[aria-pressed=true]").count() == 1


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("dark", [False, True])
def test_it_is_readable_everywhere(
    browser: Any, digits_site: str, screen: Callable[[Any, str], None], width: int, dark: bool
) -> None:
    with opened(browser, width=width, dark=dark) as tab:
        measured(tab, f"{digits_site}/lab")
        tab.wait_for_timeout(500)
        screen(tab, f"lab-{width}-{'dark' if dark else 'light'}")
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        check_accessible(tab)
