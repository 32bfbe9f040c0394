"""The review of duplicates, over HTTP: groups, decisions, plans and undo."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.web.conftest import serving

CHANGE = {"X-Lookalike-Request": "1"}


@pytest.fixture
def own_site(own_album: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """A client of a server with an album that may be changed, and a trash of its own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    with (
        serving(str(own_album)) as address,
        httpx.Client(base_url=f"{address}/api/v1", headers=CHANGE, timeout=60) as client,
    ):
        yield client


def groups_of(client: httpx.Client, level: str = "exact", **asked: Any) -> dict[str, Any]:
    answer = client.get("/duplicates", params={"level": level, **asked})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_groups_come_in_pages_with_a_keeper_each(own_site: httpx.Client) -> None:
    whole = groups_of(own_site, "similar")
    assert whole["total"] == len(whole["groups"]) > 2
    for group in whole["groups"]:
        stays = [own for own in group["members"] if own["verdict"] == "keeper"]
        assert [own["file"] for own in stays] == [group["keeper"]]
        assert len(group["members"]) > 1
    second = groups_of(own_site, "similar", first=1, count=1)
    assert [own["group"] for own in second["groups"]] == [whole["groups"][1]["group"]]
    assert groups_of(own_site, folder="backup")["total"] == 3
    assert groups_of(own_site, folder="../backup")["total"] == 0


def test_a_decision_hides_a_group_and_is_taken_back(own_site: httpx.Client) -> None:
    before = groups_of(own_site, "near")
    one, other = (own["group"] for own in before["groups"][:2])
    for kind, group in (("keep", one), ("not_duplicates", other)):
        body = {"kind": kind, "group": group, "level": "near"}
        answer = own_site.post("/decisions", json=body)
        assert answer.status_code == (201 if answer.json().get("decided") else 422)
    left = {own["group"] for own in groups_of(own_site, "near")["groups"]}
    assert one not in left
    while own_site.delete("/decisions/last").status_code == 200:
        pass
    assert groups_of(own_site, "near")["groups"] == before["groups"]
    assert own_site.get("/decisions").json() == {"decisions": []}
    assert own_site.delete("/decisions/last").status_code == 404


def test_a_plan_is_dry_until_it_is_applied_and_comes_back(
    own_site: httpx.Client, own_album: Path
) -> None:
    plan = own_site.post("/plans", json={"level": "exact"}).json()
    going = [own_album / own["path"] for own in plan["removals"]]
    assert len(going) == 3
    assert own_site.get(f"/plans/{plan['plan']}").json() == plan
    dry = own_site.post(f"/plans/{plan['plan']}/apply").json()
    assert dry["dry_run"]
    assert all(path.exists() for path in going)
    done = own_site.post(f"/plans/{plan['plan']}/apply", params={"dry_run": False}).json()
    assert len(done["done"]) == 3, done
    assert not any(path.exists() for path in going)
    assert groups_of(own_site)["total"] == 0
    (act,) = own_site.get("/journal").json()["acts"]
    assert act["can_be_undone"]
    assert len(own_site.post("/undo").json()["restored"]) == 3
    assert all(path.exists() for path in going)


def test_another_keeper_may_be_chosen(own_site: httpx.Client) -> None:
    group = groups_of(own_site)["groups"][0]
    goes = next(own for own in group["members"] if own["verdict"] == "may go")
    body = {
        "level": "exact",
        "groups": [group["group"]],
        "keepers": {group["group"]: goes["file"]},
    }
    (removal,) = own_site.post("/plans", json=body).json()["removals"]
    assert removal["keeper"]["path"] == goes["path"]
    assert removal["path"] != goes["path"]
    body["keepers"] = {group["group"]: "0" * 16}
    assert own_site.post("/plans", json=body).status_code == 404


def test_plans_and_the_journal_come_in_pages(own_site: httpx.Client) -> None:
    made = own_site.post("/plans", json={"level": "similar"}).json()
    whole = own_site.get(f"/plans/{made['plan']}", params={"count": 200}).json()
    assert made["total"] == whole["total"] == len(whole["removals"]) > 10
    assert whole["freed_bytes"] == sum(own["size"] for own in whole["removals"])
    parts = [
        own_site.get(f"/plans/{made['plan']}", params={"first": first, "count": 4}).json()
        for first in range(0, whole["total"], 4)
    ]
    assert [own for part in parts for own in part["removals"]] == whole["removals"]
    for group in groups_of(own_site)["groups"]:
        plan = own_site.post("/plans", json={"level": "exact", "groups": [group["group"]]}).json()
        own_site.post(f"/plans/{plan['plan']}/apply", params={"dry_run": False})
    journal = own_site.get("/journal").json()
    assert ([own["act"] for own in journal["acts"]], journal["total"]) == ([3, 2, 1], 3)
    part = own_site.get("/journal", params={"first": 1, "count": 1}).json()
    assert part["acts"] == [journal["acts"][1]]
    act = own_site.get("/journal/2").json()
    (deed,) = act["deeds"]
    assert (deed["state"], deed["size"], act["how"]) == ("done", act["bytes"], "trash")
    assert own_site.get("/journal/2", params={"first": 1}).json()["deeds"] == []
    assert own_site.get("/journal/4").status_code == 404
    assert own_site.get("/journal/0").status_code == 422


def test_only_what_is_like_the_chosen_keeper_goes(own_site: httpx.Client) -> None:
    group = next(own for own in groups_of(own_site, "similar")["groups"] if len(own["members"]) > 6)
    posts, prints = (
        next(own for own in group["members"] if own["path"].startswith(f"{folder}/"))
        for folder in ("posts", "prints")
    )
    apart = {"kind": "not_duplicates", "pictures": [posts["picture"], prints["picture"]]}
    assert own_site.post("/decisions", json=apart).status_code == 201
    body = {
        "level": "similar",
        "groups": [group["group"]],
        "keepers": {group["group"]: posts["file"]},
    }
    going = {own["path"] for own in own_site.post("/plans", json=body).json()["removals"]}
    paths = {own["path"] for own in group["members"]}
    assert going == paths - {posts["path"], prints["path"]}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/decisions", {"kind": "keep", "group": "0" * 16}),
        ("POST", "/decisions", {"kind": "not_duplicates", "pictures": ["0" * 16, "1" * 16]}),
        ("POST", "/plans", {"groups": ["../../etc"]}),
        ("GET", "/plans/unknown", None),
        ("POST", "/plans/unknown/apply", None),
    ],
)
def test_what_is_not_there_is_a_problem(
    album_site: str, method: str, path: str, body: dict[str, Any] | None
) -> None:
    answer = httpx.request(method, f"{album_site}/api/v1{path}", json=body, headers=CHANGE)
    assert answer.status_code == 404, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_pictures_are_said_to_be_no_duplicates(own_site: httpx.Client) -> None:
    group = groups_of(own_site, "near")["groups"][0]
    pictures = sorted({own["picture"] for own in group["members"]})
    if len(pictures) < 2:
        pictures += [groups_of(own_site, "near")["groups"][1]["members"][0]["picture"]]
    body = {"kind": "not_duplicates", "pictures": pictures}
    assert own_site.post("/decisions", json=body).status_code == 201
    kinds = {own["kind"] for own in own_site.get("/decisions").json()["decisions"]}
    assert kinds == {"apart"}


def test_taking_a_decision_back_restores_what_it_had_replaced(own_site: httpx.Client) -> None:
    for level in ("exact", "near"):
        group = next(
            own
            for own in groups_of(own_site, level)["groups"]
            if any(member["path"] == "camera/china.jpg" for member in own["members"])
        )
        body = {"kind": "keep", "group": group["group"], "level": level}
        assert own_site.post("/decisions", json=body).status_code == 201
    (larger,) = own_site.get("/decisions").json()["decisions"]
    assert len(larger["contents"]) > 1
    assert own_site.delete("/decisions/last").status_code == 200
    (smaller,) = own_site.get("/decisions").json()["decisions"]
    assert len(smaller["contents"]) == 1


def test_files_with_equal_bytes_stay_duplicates_whatever_is_said_of_others(
    own_site: httpx.Client,
) -> None:
    group = groups_of(own_site, "near")["groups"][0]
    same = {"camera", "backup"}
    assert same <= {own["path"].partition("/")[0] for own in group["members"]}
    body = {"kind": "not_duplicates", "group": group["group"], "level": "near"}
    assert own_site.post("/decisions", json=body).status_code == 201
    left = groups_of(own_site, "near")["groups"]
    assert group["group"] not in {own["group"] for own in left}
    names = [{m["path"].partition("/")[0] for m in own["members"]} for own in left]
    assert len(left) == 3
    assert same in names
