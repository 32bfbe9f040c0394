"""A plan and its file, which may have been edited by hand or come from a stranger."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.album.planted import Planted, content

from lookalike.album import plan as plan_module
from lookalike.album.plan import Plan, Removal
from lookalike.errors import InvalidInput, NewerFormat, UnreadableFile, WouldOverwrite

REMOVAL = Removal(b"trip/a.jpg", "0" * 32, 300, b"k.jpg", "0" * 32, "equal bytes", True)
OTHER = Removal(b"b\xff\n.jpg", "1" * 32, 20, b"k\xe9.jpg", "2" * 32, "pdq 12", False)
PLAN = Plan(Path("/home/me/photos"), "2026-10-14T12:00:00+00:00", (REMOVAL, OTHER), (b"best",))


def edited(**changes: Any) -> str:
    """The text of a plan with other values at its top."""
    return json.dumps(json.loads(PLAN.to_json()) | changes)


def with_removal(**changes: Any) -> str:
    """The text of a plan whose first removal has other values; None takes one away."""
    facts = json.loads(PLAN.to_json())
    own = facts["removals"][0] | changes
    facts["removals"][0] = {name: value for name, value in own.items() if value is not None}
    return json.dumps(facts)


def test_a_plan_comes_back_from_its_file(tmp_path: Path) -> None:
    PLAN.write(tmp_path / "plan.json")
    assert Plan.read(tmp_path / "plan.json") == PLAN
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]


def test_its_file_can_be_read_by_people() -> None:
    text = PLAN.to_json()
    assert text.isascii()
    facts = json.loads(text)
    assert (facts["kind"], facts["format"]) == ("lookalike plan", 1)
    assert facts["removals"][0] == {
        "path": "trip/a.jpg",
        "digest": "0" * 32,
        "size": 300,
        "keeper": {"path": "k.jpg"},
        "keeper_digest": "0" * 32,
        "reason": "equal bytes",
        "exact": True,
    }
    assert facts["removals"][1]["path_hex"] == b"b\xff\n.jpg".hex()


def test_names_that_are_no_text_come_back(tmp_path: Path) -> None:
    folder = Path("/home/\udcff/photos")
    names = [b"\xff", b"\xc3", "\u202e\U0001f600".encode(), b"a\nb", b" ", b"..."]
    removals = tuple(dataclasses.replace(REMOVAL, path=name) for name in names)
    plan = Plan(folder, PLAN.made, removals, (b"\xfe/x", b""))
    assert Plan.from_json(plan.to_json()) == plan


def test_it_says_how_much_would_go() -> None:
    assert str(PLAN) == (
        "2 files of /home/me/photos are to go, 320 bytes: 1 with the bytes of one that stays, "
        "1 that look like one; 1 folders protected"
    )


def test_an_empty_plan_is_one() -> None:
    plan = dataclasses.replace(PLAN, removals=())
    assert Plan.from_json(plan.to_json()) == plan


def test_suggestions_become_removals(tmp_path: Path) -> None:
    planted = Planted(tmp_path)
    same, near = content("same", 900), content("near", 800)
    planted.add("ref/k.jpg", same, pdq=[1, 2])
    planted.add("a.jpg", same, pdq=[1, 2])
    planted.add("b.jpg", near, pdq=[1, 2, 3, 4])
    groups = planted.groups(reference=(b"ref",))
    plan = Plan.of(tmp_path, groups, (b"ref",))
    assert (plan.album, plan.protected) == (tmp_path, (b"ref",))
    assert [(own.path, own.keeper, own.exact) for own in plan.removals] == [
        (b"a.jpg", b"ref/k.jpg", True),
        (b"b.jpg", b"ref/k.jpg", False),
    ]
    assert [own.reason for own in plan.removals] == ["equal bytes", "pdq 2"]
    assert [own.size for own in plan.removals] == [900, 800]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not json",
        b"\xff\xfe\xff",
        "[]",
        "null",
        "[" * 100_000,
        PLAN.to_json().replace('"size": 300', '"size": 300, "size": 300'),
        edited(kind="lookalike index"),
        edited(format=0),
        edited(format=True),
        edited(format="1"),
        edited(more=1),
        edited(album="text"),
        edited(album={"path": "relative"}),
        edited(album={"path": "/a\0b"}),
        edited(made="yesterday"),
        edited(made=3),
        edited(removals={}),
        edited(removals=["text"]),
        edited(removals=[json.loads(PLAN.to_json())["removals"][0]] * 2),
        edited(protected=None),
        edited(protected=[{"path": "../x"}]),
        edited(protected=[{"path": "/x"}]),
        edited(protected=["best"]),
    ],
    ids=lambda text: str(text[:30]),
)
def test_what_is_no_plan_is_refused(text: str | bytes) -> None:
    with pytest.raises(InvalidInput, match="a plan must be"):
        Plan.from_json(text)


@pytest.mark.parametrize(
    "changes",
    [
        {"path": "../a.jpg"},
        {"path": "/etc/passwd"},
        {"path": "a/../../b"},
        {"path": ""},
        {"path": "."},
        {"path": "a//b"},
        {"path": "a/"},
        {"path": "a\0b"},
        {"path": 3},
        {"path": "\ud800"},
        {"path": None},
        {"path_hex": "612e6a7067"},  # another path than the text
        {"path": "\ufffd", "path_hex": "zz"},
        {"path": "\ufffd", "path_hex": 3},
        {"path": "../\ufffd", "path_hex": b"../\xff".hex()},
        {"path": "a", "path_hex": b"a".hex()},  # which needs none
        {"keeper": "k.jpg"},
        {"keeper": {"path": "../k.jpg"}},
        {"keeper": {"path": "k.jpg", "more": 1}},
        {"digest": "0" * 31},
        {"digest": "G" * 32},
        {"digest": 0},
        {"keeper_digest": "0" * 31 + "\n"},
        {"size": -1},
        {"size": 1.5},
        {"size": True},
        {"size": "3"},
        {"size": 2**63},
        {"size": None},
        {"reason": 3},
        {"reason": "x" * 501},
        {"exact": 1},
        {"exact": None},
        {"more": 1},
    ],
    ids=str,
)
def test_a_removal_that_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="a plan must be"):
        Plan.from_json(with_removal(**changes))


def test_numbers_that_are_none_are_refused() -> None:
    for number in ("NaN", "Infinity", "1" * 5000):
        with pytest.raises(InvalidInput, match="a plan must be"):
            Plan.from_json(PLAN.to_json().replace("300", number))


def test_a_plan_of_a_later_version_is_named() -> None:
    with pytest.raises(NewerFormat, match="this one has 2"):
        Plan.from_json(edited(format=2, whatever="is new"))


def test_a_plan_is_checked_however_it_was_made() -> None:
    with pytest.raises(InvalidInput, match="a file may be named once"):
        dataclasses.replace(PLAN, removals=(REMOVAL, REMOVAL))
    with pytest.raises(InvalidInput, match="absolute"):
        dataclasses.replace(PLAN, album=Path("photos"))
    with pytest.raises(InvalidInput, match="path in the album"):
        dataclasses.replace(REMOVAL, keeper=b"a/../b")


def test_a_long_value_is_cut_in_a_message() -> None:
    with pytest.raises(InvalidInput) as caught:
        Plan.from_json(with_removal(reason="x" * 10_000_000))
    assert len(str(caught.value)) < 1000


def test_a_file_that_is_too_large_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_module, "LARGEST_BYTES", 1000)
    (tmp_path / "plan.json").write_bytes(b" " * 1001)
    with pytest.raises(UnreadableFile, match="at most 1,000 bytes"):
        Plan.read(tmp_path / "plan.json")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(UnreadableFile, match="a plan must be a file"):
            Plan.read(path)


def test_a_file_is_replaced_when_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text("mine")
    with pytest.raises(WouldOverwrite, match="a new file"):
        PLAN.write(path)
    assert path.read_text() == "mine"
    PLAN.write(path, replace=True)
    assert Plan.read(path) == PLAN
