"""Moving files over HTTP and in a browser: how far it is, its end, and what the journal says."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.web.conftest import check_accessible, opened

from lookalike import Album
from lookalike.errors import Cancelled, Locked
from lookalike.web.moving import MoveState, Moving

CHANGE = {"X-Lookalike-Request": "1"}


@pytest.fixture
def gated(gated_site: str, gate: Path) -> Iterator[httpx.Client]:
    """A client of the gated server."""
    with httpx.Client(base_url=f"{gated_site}/api/v1", headers=CHANGE, timeout=60) as client:
        yield client
        gate.unlink(missing_ok=True)


@pytest.fixture
def exact(demo_album: Path) -> list[int]:
    """Sizes of the files that a plan of exact copies moves, in its order."""
    with Album(demo_album) as album:
        return [own.size for own in album.plan(album.duplicates("exact")).removals]


def planned(client: httpx.Client, level: str = "exact") -> str:
    plan: str = client.post("/plans", json={"level": level}).json()["plan"]
    return plan


def moving(client: httpx.Client, **wanted: Any) -> dict[str, Any]:
    """How far it is, once it is as far as wanted."""
    for _ in range(600):
        state: dict[str, Any] = client.get("/moving").json()
        if all(state[name] == own for name, own in wanted.items()):
            return state
        time.sleep(0.05)
    raise AssertionError(f"it never becomes {wanted}: {state}")


# ---- over HTTP


def test_others_see_how_far_it_is_and_cancel_it(
    gated: httpx.Client, gate: Path, own_album: Path, exact: list[int]
) -> None:
    plan = planned(gated)
    before = sorted(own_album.rglob("*.jpg"))
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(gated.post, f"/plans/{plan}/apply", params={"dry_run": False})
        state = moving(gated, phase="moving", done=1)
        assert (state["total"], state["bytes"], state["total_bytes"]) == (3, exact[0], sum(exact))
        assert gated.post(f"/plans/{plan}/apply").json()["type"].endswith(":locked")
        assert gated.post("/undo").status_code == 409
        assert gated.delete("/moving").json()["ending"]
        gate.unlink()
        assert answer.result().status_code == 409
    problem = answer.result().json()
    assert problem["type"].endswith(":cancelled")
    assert "after 2 of 3 files" in problem["detail"]
    state = moving(gated, phase="idle")
    assert (state["ended"], state["done"], state["ending"]) == ("cancelled", 2, False)
    assert len(before) - len(sorted(own_album.rglob("*.jpg"))) == 2
    (act,) = gated.get("/journal").json()["acts"]
    assert (act["files"], act["away"], act["can_be_undone"]) == (2, 2, True)
    assert len(gated.post("/undo").json()["restored"]) == 2
    assert sorted(own_album.rglob("*.jpg")) == before
    assert moving(gated, phase="idle")["ended"] == "well"


def test_a_cancelled_undo_is_gone_on_with(
    gated: httpx.Client, gate: Path, own_album: Path, exact: list[int]
) -> None:
    before = sorted(own_album.rglob("*.jpg"))
    gate.unlink()
    gated.post(f"/plans/{planned(gated)}/apply", params={"dry_run": False})
    gate.touch()
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(gated.post, "/undo")
        state = moving(gated, phase="restoring", done=1)
        assert state["bytes"] == exact[-1]  # the last went back first
        gated.delete("/moving")
        gate.unlink()
        assert answer.result().status_code == 409
    (act,) = gated.get("/journal").json()["acts"]
    assert (act["away"], act["undone"], act["can_be_undone"]) == (1, 2, True)
    assert len(gated.post("/undo").json()["restored"]) == 1
    assert sorted(own_album.rglob("*.jpg")) == before


def test_a_server_that_ends_stops_between_two_files(
    gated: httpx.Client, gate: Path, own_album: Path
) -> None:
    plan = planned(gated)

    def follow() -> None:
        with (
            contextlib.suppress(httpx.HTTPError),  # the server may end before it answers
            httpx.Client(base_url=gated.base_url, headers=CHANGE, timeout=60) as client,
        ):
            client.post(f"/plans/{plan}/apply", params={"dry_run": False})

    thread = threading.Thread(target=follow)
    thread.start()
    moving(gated, phase="moving", done=1)
    server = int((own_album.parent / "server.pid").read_text())
    os.kill(server, signal.SIGINT)
    time.sleep(0.5)
    gate.unlink()
    thread.join()
    with Album(own_album) as album:
        for _ in range(200):  # until the server has let go of the album
            try:
                undone = album.undo()
                break
            except Locked:
                time.sleep(0.05)
        assert len(undone.restored) == 2
        assert undone.settled == []


# ---- what is told on the way


class _Watched(Album):
    """An album of which each step is seen from beside."""

    def __init__(self, path: Path, look: Callable[[], object]) -> None:
        super().__init__(path)
        self.look = look

    def _seen(self, progress: Any) -> Any:
        def tell(*told: Any) -> Any:
            answer = progress(*told)
            self.look()
            return answer

        return tell

    def apply(self, plan: Any, **options: Any) -> Any:
        return super().apply(plan, **options | {"progress": self._seen(options["progress"])})


def test_a_check_tells_files_and_bytes_and_touches_nothing(
    demo_album: Path, exact: list[int]
) -> None:
    seen: list[MoveState] = []
    with _Watched(demo_album, lambda: seen.append(own.state())) as album:
        own = Moving(album)
        plan = album.plan(album.duplicates("exact"))
        assert len(own.apply(plan).done) == 3
    assert [state.phase for state in seen] == ["checking"] * 4
    assert [state.done for state in seen] == [0, 1, 2, 3]
    assert [state.bytes for state in seen] == [sum(exact[:n]) for n in range(4)]
    assert {(state.total, state.total_bytes) for state in seen} == {(3, sum(exact))}
    assert (own.state().phase, own.state().ended) == ("idle", "well")


def test_what_is_cancelled_or_closed_says_so(demo_album: Path) -> None:
    album = _Watched(demo_album, lambda: None)
    with album:
        own = Moving(album)
        album.look = own.cancel
        plan = album.plan(album.duplicates("exact"))
        with pytest.raises(Cancelled, match="after 1 of 3"):
            own.apply(plan)
        assert own.state().ended == "cancelled"
        album.look = lambda: None
        assert len(own.apply(plan).done) == 3  # the cancel was for the one before
        own.close()
        with pytest.raises(Locked):
            own.apply(plan)


# ---- in a browser


def test_a_reader_sees_how_far_it_is_and_cancels(
    tab: Any, browser: Any, gated_site: str, gate: Path, own_album: Path, screen: Any
) -> None:
    before = sorted(own_album.rglob("*.jpg"))
    tab.goto(f"{gated_site}/duplicates?level=exact")
    tab.get_by_role("button", name="Review the plan").click()
    tab.get_by_role("button", name="Move to trash").click()
    tab.get_by_text("Moving to the trash: 1 of 3 files").wait_for()
    screen(tab, "moving-light-1280")
    for dark in (False, True):  # others see it too
        with opened(browser, width=400, dark=dark) as other:
            other.goto(f"{gated_site}/album")
            other.get_by_text("Moving to the trash: 1 of 3 files").wait_for()
            assert other.evaluate("document.documentElement.scrollWidth") <= 400
            screen(other, f"moving-album-{'dark' if dark else 'light'}-400")
            check_accessible(other)
    tab.locator(".lk-moving").get_by_role("button", name="Cancel").click()
    tab.get_by_text("Ending after this file: 1 of 3 files").wait_for()
    gate.unlink()
    tab.get_by_text("Cancelled after 2 of 3 files. What was moved stays moved").wait_for()
    assert len(before) - len(sorted(own_album.rglob("*.jpg"))) == 2
    tab.locator(".lk-group").first.wait_for()  # of the one that was not moved
    gate.touch()
    tab.get_by_role("button", name="Bring back from trash").click()
    tab.get_by_text("Bringing back: 1 of 2 files").wait_for()
    tab.locator(".lk-moving").get_by_role("button", name="Cancel").click()
    gate.unlink()
    tab.get_by_text("2 files of act 1 are back").wait_for()  # the cancel came too late
    tab.locator(".lk-moving").wait_for(state="hidden")
    assert sorted(own_album.rglob("*.jpg")) == before


def test_a_reader_who_leaves_lets_it_go_on(
    tab: Any, gated_site: str, gate: Path, own_album: Path
) -> None:
    before = len(sorted(own_album.rglob("*.jpg")))
    tab.goto(f"{gated_site}/duplicates?level=exact")
    tab.get_by_role("button", name="Review the plan").click()
    tab.get_by_role("button", name="Move to trash").click()
    tab.get_by_text("Moving to the trash: 1 of 3 files").wait_for()
    tab.goto(f"{gated_site}/album")
    time.sleep(4)  # until the server has forgotten the page that was left
    gate.unlink()
    tab.get_by_text("3 files to the trash").wait_for()
    assert before - len(sorted(own_album.rglob("*.jpg"))) == 3
    tab.get_by_role("button", name="Undo act 1: 3 files").click()
    tab.get_by_text("3 files of act 1 are back").wait_for()
    tab.get_by_text("all are back").wait_for()
    assert len(sorted(own_album.rglob("*.jpg"))) == before


def test_acts_are_listed_and_undone_one_by_one(
    tab: Any, gated_site: str, gate: Path, gated: httpx.Client
) -> None:
    gate.unlink()
    for level in ("exact", "near"):
        gated.post(f"/plans/{planned(gated, level)}/apply", params={"dry_run": False})
    tab.goto(f"{gated_site}/duplicates?level=near")
    tab.get_by_role("button", name="Bring back from trash").click()
    tab.get_by_text("files of act 2 are back").wait_for()  # the last, and not the first
    tab.goto(f"{gated_site}/album")
    rows = tab.locator(".lk-acts > li")
    rows.nth(1).wait_for()
    assert "all are back" in rows.nth(0).inner_text()
    assert rows.nth(1).inner_text().startswith("3 files to the trash, ")
    assert rows.get_by_role("button").count() == 1
    tab.get_by_role("button", name="Undo act 1: 3 files").click()
    tab.get_by_text("3 files of act 1 are back").wait_for()
    tab.wait_for_function("!document.querySelector('.lk-acts button')")
