"""The pages Duplicates and Album, in a browser."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.web.conftest import check_accessible, opened, serving


@pytest.fixture
def own_site(own_album: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A server with an album that may be changed, and a trash of its own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    with serving(str(own_album)) as address:
        yield address


def groups(tab: Any) -> list[str]:
    """Ids of the groups that are shown."""
    tab.locator(".lk-group, .lk-state").first.wait_for()
    found: list[str] = tab.eval_on_selector_all(
        "[data-group]", "all => all.map(own => own.dataset.group)"
    )
    return found


def gone(tab: Any, group: str) -> None:
    tab.wait_for_selector(f'[data-group="{group}"]', state="detached")


def test_a_group_is_reviewed_and_the_decision_undone(tab: Any, own_site: str) -> None:
    tab.goto(f"{own_site}/duplicates?level=near")
    before = groups(tab)
    first = tab.locator(f'[data-group="{before[0]}"]')
    assert first.locator(".lk-keeper").count() == 1
    first.get_by_role("button", name="Keep all").click()
    gone(tab, before[0])
    tab.get_by_text("All are kept.").wait_for()
    tab.get_by_role("button", name="Undo last decision").click()
    tab.wait_for_selector(f'[data-group="{before[0]}"]')
    assert groups(tab) == before


def test_keys_go_through_the_groups_and_decide(tab: Any, own_site: str) -> None:
    tab.goto(f"{own_site}/duplicates?level=near")
    before = groups(tab)
    tab.keyboard.press("n")
    tab.wait_for_selector(f'.lk-at[data-group="{before[1]}"]')
    tab.keyboard.press("p")
    tab.wait_for_selector(f'.lk-at[data-group="{before[0]}"]')
    tab.keyboard.press("n")
    tab.wait_for_selector(f'.lk-at[data-group="{before[1]}"]')
    tab.keyboard.press("y")
    gone(tab, before[1])
    tab.keyboard.press("u")
    tab.wait_for_selector(f'[data-group="{before[1]}"]')


def test_a_plan_is_reviewed_followed_and_brought_back(
    tab: Any, own_site: str, own_album: Path, screen: Callable[[Any, str], None]
) -> None:
    tab.goto(f"{own_site}/duplicates?level=exact")
    assert len(groups(tab)) == 3
    first = tab.locator(".lk-group").first
    goes = first.locator(".lk-member:not(.lk-keeper) .lk-name-of").first.inner_text()
    first.get_by_role("button", name="Keep this one").click()
    first.locator(".lk-keeper", has_text=goes).wait_for()
    tab.reload()  # the choice is remembered, on whatever page the plan is made
    first.locator(".lk-keeper", has_text=goes).wait_for()
    tab.get_by_role("button", name="Review the plan").click()
    tab.get_by_role("button", name="Move to trash").wait_for()
    listed = tab.locator(".lk-plan > li > .lk-name-of").all_inner_texts()
    assert len(listed) == 3
    assert goes not in listed
    screen(tab, "plan-light-1280")
    assert all((own_album / name).exists() for name in listed)
    tab.get_by_role("button", name="Move to trash").click()
    tab.get_by_text("Nothing is there twice").wait_for()
    assert not any((own_album / name).exists() for name in listed)
    assert (own_album / goes).exists()
    tab.get_by_role("button", name="Bring back from trash").click()
    tab.locator(".lk-group").first.wait_for()
    assert all((own_album / name).exists() for name in listed)


def test_levels_and_folders_filter(tab: Any, album_site: str) -> None:
    tab.goto(f"{album_site}/duplicates?level=similar&folder=mirror")
    assert "Nothing is there twice" in tab.locator(".lk-page").inner_text() or groups(tab)
    tab.goto(f"{album_site}/duplicates?level=exact&folder=backup")
    assert len(groups(tab)) == 3
    tab.goto(f"{album_site}/duplicates?level=exact&folder=phone")
    tab.get_by_text("Nothing is there twice").wait_for()


def test_a_sync_finds_a_new_copy_and_unreadable_files_are_listed(
    tab: Any, own_site: str, own_album: Path
) -> None:
    tab.goto(f"{own_site}/album")
    tab.get_by_text("camera/damaged.jpg").wait_for()
    files = tab.locator(".lk-figures div", has_text="files").first.locator("dd")
    before = int(files.inner_text())
    shutil.copy(own_album / "camera/china.jpg", own_album / "<img src=x onerror=alert(1)>.jpg")
    tab.get_by_role("button", name="Sync now").click()
    tab.get_by_text("1 new").wait_for()
    tab.wait_for_function(
        "before => [...document.querySelectorAll('.lk-figures dd')]"
        ".some(own => own.textContent == String(before + 1))",
        arg=before,
    )
    tab.goto(f"{own_site}/duplicates?level=exact")
    tab.get_by_text("<img src=x onerror=alert(1)>.jpg").first.wait_for()


def test_recall_is_measured_on_demand(tab: Any, album_site: str) -> None:
    tab.goto(f"{album_site}/album")
    tab.get_by_role("button", name="Measure").first.click()
    tab.get_by_text("with 95 % confidence").first.wait_for()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_pages_fit_and_are_accessible(
    browser: Any, album_site: str, screen: Callable[[Any, str], None], width: int, dark: bool
) -> None:
    theme = "dark" if dark else "light"
    with opened(browser, width=width, dark=dark) as page:
        page.goto(f"{album_site}/duplicates?level=similar")
        page.locator(".lk-group img").first.wait_for()
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        screen(page, f"duplicates-{theme}-{width}")
        check_accessible(page)
        page.goto(f"{album_site}/album")
        page.get_by_text("camera/damaged.jpg").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        screen(page, f"album-{theme}-{width}")
        check_accessible(page)
