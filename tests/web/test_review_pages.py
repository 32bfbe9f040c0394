"""The pages Duplicates and Album, in a browser."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.web.conftest import check_accessible, opened, serving

from lookalike.album.verdicts import size_text

CHANGE = {"X-Lookalike-Request": "1"}


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


def sync(site: str) -> None:
    """Sync the album, to its end."""
    with httpx.Client(base_url=f"{site}/api/v1", headers=CHANGE, timeout=60) as client:
        client.post("/sync")
        for _ in range(1200):
            if client.get("/sync").json()["phase"] == "idle":
                return
            time.sleep(0.05)
    raise AssertionError("the sync does not end")


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
    listed = tab.locator(".lk-plan .lk-name-of").all_inner_texts()
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


def test_every_file_of_a_plan_can_be_reviewed(
    tab: Any, browser: Any, own_site: str, own_album: Path, screen: Callable[[Any, str], None]
) -> None:
    for number in range(230):
        shutil.copy(own_album / "camera/flower.jpg", own_album / f"copy {number:03}.jpg")
    sync(own_site)
    tab.goto(f"{own_site}/duplicates?level=exact")
    tab.locator(".lk-group").first.wait_for()
    (own_album / "copy 007.jpg").unlink()
    (own_album / "copy 229.jpg").write_bytes(b"something else")
    tab.get_by_role("button", name="Review the plan").click()
    tab.get_by_role("heading", name="231 files to go to the trash").wait_for()
    assert tab.locator(".lk-stays .lk-name-of").all_inner_texts() == [
        "copy 007.jpg",
        "copy 229.jpg",
    ]
    screen(tab, "plan-paged-light-1280")
    check_accessible(tab)
    pages = tab.get_by_role("navigation", name="More files of the plan")
    seen = list(tab.locator(".lk-plan .lk-name-of").all_inner_texts())
    for said in ("101 to 200 of 233", "201 to 233 of 233"):
        pages.get_by_role("button", name="Next").click()
        pages.get_by_text(said).wait_for()
        seen += tab.locator(".lk-plan .lk-name-of").all_inner_texts()
    assert pages.get_by_role("button", name="Next").is_disabled()
    pages.get_by_role("button", name="First").click()
    pages.get_by_text("1 to 100 of 233").wait_for()
    assert len(seen) == len(set(seen)) == 233
    shutil.copy(own_album / "camera/flower.jpg", own_album / "copy 007.jpg")  # it is back
    going = [own_album / name for name in seen[2:]]
    assert all(path.exists() for path in going)
    tab.get_by_role("button", name="Move to trash").click()
    tab.get_by_text("231 files went").wait_for()
    assert not any(path.exists() for path in going)
    assert (own_album / "copy 007.jpg").exists()  # readers were told that it stays
    for width, dark in ((400, False), (400, True), (1280, True)):
        with opened(browser, width=width, dark=dark) as other:
            other.goto(f"{own_site}/duplicates?level=similar")
            other.get_by_role("button", name="Review the plan").click()
            other.get_by_role("button", name="Move to trash").wait_for()
            other.wait_for_load_state("networkidle")
            assert other.evaluate("document.documentElement.scrollWidth") <= width
            screen(other, f"plan-paged-{'dark' if dark else 'light'}-{width}")
            check_accessible(other)


def test_a_keeper_that_is_not_like_all_others_says_which_stay(
    tab: Any, own_site: str, screen: Callable[[Any, str], None]
) -> None:
    with httpx.Client(base_url=f"{own_site}/api/v1", headers=CHANGE, timeout=60) as client:
        group = client.get("/duplicates", params={"level": "similar"}).json()["groups"][0]
        ends = [
            own["picture"]
            for own in group["members"]
            if own["path"].startswith(("posts/", "prints/"))
        ]
        client.post("/decisions", json={"kind": "not_duplicates", "pictures": ends})
    tab.goto(f"{own_site}/duplicates?level=similar")
    row = tab.locator(f'[data-group="{group["group"]}"]')
    posts = row.locator(".lk-member", has_text="posts/")
    posts.get_by_role("button", name="Keep this one").click()
    row.get_by_text("you have chosen it").wait_for()
    row.get_by_text("1 of these stays as well: by itself no duplicate of posts/").wait_for()
    prints = row.locator(".lk-member", has_text="prints/")
    assert "stays: look at it" in prints.inner_text()
    assert row.get_by_text("may go").count() == len(group["members"]) - 2
    screen(tab, "chosen-light-1280")
    tab.get_by_role("button", name="Review the plan").click()
    tab.get_by_role("button", name="Move to trash").wait_for()
    names = tab.locator(".lk-plan .lk-name-of").all_inner_texts()
    goes = [name for name in names if name.endswith(Path(group["members"][0]["path"]).name)]
    assert len(goes) == len(group["members"]) - 2
    assert not any(name.startswith(("posts/", "prints/")) for name in goes)
    tab.keyboard.press("Escape")
    prints.get_by_role("link", name="Why?").click()
    tab.get_by_text("You decided that they are no duplicates").wait_for()


def test_a_question_mark_lists_the_keys_and_enter_compares(
    tab: Any, own_site: str, screen: Callable[[Any, str], None]
) -> None:
    tab.goto(f"{own_site}/duplicates?level=near")
    before = groups(tab)
    tab.keyboard.press("?")
    listed = tab.get_by_role("dialog")
    listed.get_by_text("they are no duplicates").wait_for()
    assert listed.locator("kbd").all_inner_texts() == ["n", "p", "Enter", "y", "x", "u", "?"]
    screen(tab, "keys-light-1280")
    check_accessible(tab)
    tab.keyboard.press("y")  # what is behind the list hears nothing
    tab.keyboard.press("Escape")
    listed.wait_for(state="hidden")
    tab.keyboard.press("n")
    tab.wait_for_selector(f'.lk-at[data-group="{before[1]}"]')
    tab.keyboard.press("Enter")
    compared = tab.locator("dialog.lk-compare[data-lk-done]")
    compared.wait_for()
    keeper = tab.locator(f'[data-group="{before[1]}"] .lk-keeper .lk-name-of').inner_text()
    figures = compared.locator("figcaption").all_inner_texts()
    assert figures[0] == f"Stays\n{keeper}"
    assert figures[1].startswith("Its duplicate\nbackup/")
    tab.wait_for_timeout(300)
    screen(tab, "compare-duplicates-light-1280")
    tab.keyboard.press("y")
    tab.keyboard.press("Escape")
    compared.wait_for(state="detached")
    tab.locator(".lk-shot").first.focus()
    with tab.context.expect_page() as whole:
        tab.keyboard.press("Enter")  # which is for the link
    whole.value.close()
    button = tab.locator(f'[data-group="{before[1]}"]').get_by_role("button", name="Keep all")
    button.focus()
    tab.keyboard.press("Enter")  # which is for the button
    gone(tab, before[1])
    assert tab.locator("dialog.lk-compare").count() == 0
    assert groups(tab) == [before[0], *before[2:]]


def test_the_album_page_tells_versions_sizes_and_every_unreadable_file(
    tab: Any, own_site: str, own_album: Path
) -> None:
    for number in range(110):
        (own_album / f"broken {number:03}.jpg").write_bytes(b"\xff\xd8\xff %d" % number)
    sync(own_site)
    facts = httpx.get(f"{own_site}/api/v1/album").json()["encoders"]["pdq"]
    assert facts["version"] == "1"
    tab.goto(f"{own_site}/album")
    row = tab.get_by_role("region", name="Encoders").locator("tr", has_text="pdq")
    row.wait_for()
    cells = row.locator("td").all_inner_texts()
    assert cells[:3] == ["1", f"{facts['vectors']:,}", size_text(facts["bytes"])]
    both = sum(
        own["bytes"] for own in httpx.get(f"{own_site}/api/v1/album").json()["encoders"].values()
    )
    tab.locator(".lk-figures div", has_text="indexes on the disk").get_by_text(
        size_text(both)
    ).wait_for()
    unreadable = tab.get_by_role("region", name="Files that cannot be read")
    seen = unreadable.locator("th").all_inner_texts()
    assert len(seen) == 100
    pages = tab.get_by_role("navigation", name="More files that cannot be read")
    pages.get_by_role("button", name="Next").click()
    pages.get_by_text("101 to 111 of 111").wait_for()
    seen += unreadable.locator("th").all_inner_texts()
    assert len(set(seen)) == 111
    tab.get_by_text("No file was moved yet.").wait_for()


def test_levels_and_folders_filter(tab: Any, album_site: str) -> None:
    tab.goto(f"{album_site}/duplicates?level=similar&folder=mirror")
    assert groups(tab) or "Nothing is there twice" in tab.locator(".lk-page").inner_text()
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
