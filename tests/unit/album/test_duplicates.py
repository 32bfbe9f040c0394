"""Groups of duplicates: which there are, which member stays, and which may go."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.album.planted import Planted, code, content, file, paths

from lookalike.album.catalog import Name
from lookalike.album.decisions import keep_group, not_duplicates
from lookalike.album.duplicates import DuplicateGroup, Keep, Link, suggestions, with_keepers
from lookalike.errors import Cancelled, InvalidInput

A, B, C, D = (content(name) for name in "abcd")


@pytest.fixture
def album(tmp_path: Path) -> Planted:
    return Planted(tmp_path)


def chain(album: Planted) -> None:
    """Three of which the middle one is near both others, which are far from each other."""
    album.add("a.jpg", A, pdq=range(0))
    album.add("b.jpg", B, pdq=range(15))
    album.add("c.jpg", C, pdq=range(31))


def going(group: DuplicateGroup) -> list[str]:
    return [member.path.decode() for member in suggestions(group)]


# ---- another keeper


def keeping(album: Planted, group: DuplicateGroup, path: bytes, **options: Any) -> DuplicateGroup:
    thresholds = {"pdq": 20.0, "phash": 6.0}
    chosen = [(group, group.member(path))]
    (own,) = with_keepers(album.catalog, album.indexes, thresholds, chosen, **options)
    return own


def test_only_what_is_near_the_chosen_keeper_may_go(album: Planted) -> None:
    chain(album)
    album.add("copy/c.jpg", C)
    (group,) = album.groups()
    assert going(group) == ["b.jpg"]
    assert going(keeping(album, group, b"b.jpg")) == ["a.jpg", "c.jpg", "copy/c.jpg"]
    last = keeping(album, group, b"c.jpg")
    assert going(last) == ["b.jpg", "copy/c.jpg"]
    assert last.member(b"b.jpg").link == Link(C.id, B.id, "pdq", 16.0, 0.8)
    assert (last.keeper.path, last.keeper.link) == (b"c.jpg", None)
    assert last.freed_bytes == B.size + C.size


def test_a_chosen_keeper_has_the_links_that_it_would_have_had(album: Planted) -> None:
    bits = {number: 5 * (number % 9) for number in range(12)}  # of which some share a content
    for number, count in bits.items():
        album.add(f"{number}.jpg", content(f"content {count}"), pdq=range(count))
    (group,) = album.groups()
    assert len(group) == 12
    assert keeping(album, group, group.keeper.path).members == group.members
    for one, count in bits.items():
        chosen = keeping(album, group, f"{one}.jpg".encode())
        near = [own for own, other in bits.items() if abs(other - count) <= 20 and own != one]
        assert sorted(going(chosen)) == sorted(f"{own}.jpg" for own in near)


def test_decisions_and_folders_hold_for_a_chosen_keeper(album: Planted) -> None:
    album.add("one/a.jpg", A, pdq=range(0))
    album.add("two/b.jpg", B, pdq=range(3))
    album.add("two/c.jpg", C, pdq=range(6))
    not_duplicates(album.catalog, B, C)
    (group,) = album.groups()
    assert going(keeping(album, group, b"two/b.jpg")) == ["one/a.jpg"]
    (group,) = album.groups(reference=[b"one"])
    assert going(keeping(album, group, b"two/c.jpg")) == []  # what is in one/ never goes
    across = (b"one", b"two")
    album.add("one/d.jpg", D, pdq=range(1))
    (group,) = album.groups(across=across)
    assert going(keeping(album, group, b"one/d.jpg", across=across)) == ["two/b.jpg", "two/c.jpg"]


def test_a_keeper_must_be_a_member_that_is_there(album: Planted) -> None:
    chain(album)
    (group,) = album.groups()
    with pytest.raises(InvalidInput, match=r"one of its group; got x\.jpg"):
        group.member(b"x.jpg")
    with album.catalog.change():
        album.catalog.drop_files([Name.of(b"b.jpg")])
    with pytest.raises(InvalidInput, match="none any more"):
        keeping(album, group, b"b.jpg")
    assert going(keeping(album, group, b"a.jpg")) == []


# ---- which pairs count


def test_equal_bytes_are_duplicates_at_every_level(album: Planted) -> None:
    for path in ("two/x.jpg", "one/x.jpg"):
        album.add(path, A)
    album.add("other.jpg", B)
    for thresholds in ({}, {"pdq": 20.0}):
        (group,) = album.groups(thresholds)
        assert paths([group]) == [["one/x.jpg", "two/x.jpg"]]
        assert group.weakest_link == Link(A.id, A.id, "bytes", 0.0, 0.0)
        assert group.diameter == 0.0
        assert going(group) == ["two/x.jpg"]
        assert group.freed_bytes == A.size


def test_pairs_at_exactly_the_threshold_are_duplicates(album: Planted) -> None:
    album.add("a.jpg", A, pdq=range(0))
    album.add("b.jpg", B, pdq=range(20))
    assert paths(album.groups({"pdq": 20})) == [["a.jpg", "b.jpg"]]
    assert album.groups({"pdq": 19}) == []


def test_a_threshold_of_zero_joins_equal_codes_alone(album: Planted) -> None:
    album.add("a.jpg", A, pdq=range(0), phash=range(0))
    album.add("b.jpg", B, pdq=range(0), phash=range(20))
    album.add("c.jpg", C, pdq=range(1), phash=range(21))
    (group,) = album.groups({"pdq": 0, "phash": 1})
    assert len(group) == 3
    assert group.diameter == 21  # of a and c by phash: by pdq they differ
    assert going(group) == ["b.jpg"]


def test_one_encoder_is_enough_and_the_one_that_finds_them_nearest_is_the_reason(
    album: Planted,
) -> None:
    album.add("a.jpg", A, pdq=range(0), phash=range(0))
    album.add("b.jpg", B, pdq=range(15), phash=range(3))
    (group,) = album.groups({"pdq": 20, "phash": 6})
    assert group.weakest_link == Link(min(A.id, B.id), max(A.id, B.id), "phash", 3.0, 0.5)
    (group,) = album.groups({"pdq": 20, "phash": 2})
    assert group.weakest_link == Link(min(A.id, B.id), max(A.id, B.id), "pdq", 15.0, 0.75)


def test_what_an_encoder_sees_too_little_in_it_does_not_match(album: Planted) -> None:
    flat = content("flat", featureless=frozenset({"pdq"}))
    album.add("a.jpg", A, pdq=range(0))
    album.add("flat.jpg", flat)
    album.indexes["pdq"].add(code(range(0), 256)[None], [flat.id])  # of a sync that was cut off
    assert album.groups() == []


def test_ids_that_the_catalogue_does_not_know_are_not_there(album: Planted) -> None:
    album.add("a.jpg", A, pdq=range(0))
    album.add("c.jpg", C, pdq=range(30))
    album.indexes["pdq"].add(code(range(15), 256)[None], [B.id])  # would chain them
    assert album.groups() == []
    album.catalog.put_contents([B])  # no file has it
    assert album.groups() == []


def test_contents_that_an_index_does_not_hold_are_not_found_by_it(album: Planted) -> None:
    album.add("a.jpg", A, pdq=range(0), phash=range(0))
    album.add("b.jpg", B, pdq=range(5), phash=range(5))
    album.add("c.jpg", C)
    album.indexes["pdq"].remove([B.id])
    (group,) = album.groups()
    assert group.weakest_link is not None
    assert group.weakest_link.encoder == "phash"


def test_files_that_are_no_pictures_are_no_duplicates(album: Planted) -> None:
    broken = content("broken", width=None, height=None, reason="cut off")
    album.add("one.jpg", broken)
    album.add("two.jpg", broken)
    assert album.groups() == []


def test_an_empty_album_has_no_duplicates(album: Planted) -> None:
    assert album.groups() == []
    album.add("a.jpg", A)
    assert album.groups() == []


# ---- chains


def test_a_chain_is_one_group_and_says_so(album: Planted) -> None:
    chain(album)
    (group,) = album.groups()
    assert paths([group]) == [["a.jpg", "b.jpg", "c.jpg"]]
    assert group.is_chained
    assert group.diameter == 31 / 20
    assert group.medoid == b"b.jpg"
    assert group.weakest_link is not None
    assert {group.weakest_link.one, group.weakest_link.other} == {B.id, C.id}
    assert group.weakest_link.nearness == 0.8
    assert not group.sampled
    assert not group.is_reopened


def test_what_only_a_chain_joins_to_the_keeper_is_never_suggested_to_go(album: Planted) -> None:
    chain(album)
    (group,) = album.groups()
    assert group.keeper.path == b"a.jpg"
    assert going(group) == ["b.jpg"]
    assert group.members[2].link is None


def test_a_split_group_has_no_members_beyond_the_threshold(album: Planted) -> None:
    chain(album)
    album.add("d.jpg", D, pdq=range(32))
    assert paths(album.groups(split=True)) == [["a.jpg", "b.jpg"], ["c.jpg", "d.jpg"]]
    assert not any(group.is_chained for group in album.groups(split=True))


def test_members_that_no_encoder_can_compare_are_infinitely_far(album: Planted) -> None:
    album.add("a.jpg", content("a", featureless=frozenset({"phash"})), pdq=range(0))
    album.add("b.jpg", B, pdq=range(10), phash=range(10))
    album.add("c.jpg", content("c", featureless=frozenset({"pdq"})), phash=range(11))
    (group,) = album.groups()
    assert group.diameter == np.inf
    assert group.is_chained
    assert group.medoid == b"b.jpg"
    assert going(group) == ["b.jpg"]


def test_large_groups_are_sampled_and_every_member_is_still_linked_to_the_keeper(
    album: Planted,
) -> None:
    many = [content(f"many {i}", width=400 + i) for i in range(2100)]
    bits = np.arange(2100) % 15
    index = album.indexes["pdq"]
    index.add(np.stack([code(range(own), 256) for own in bits]), [own.id for own in many])
    with album.catalog.change():
        album.catalog.put_contents(many)
        album.catalog.put_files([file(f"{i:04}.jpg", own) for i, own in enumerate(many)])
    (group,) = album.groups({"pdq": 20})
    assert group.sampled
    assert group.keeper.path == b"2099.jpg"
    assert group.diameter == 14 / 20
    assert group.weakest_link is not None
    assert group.weakest_link.distance == 1
    distances = [own.link.distance for own in group.members if own.link is not None]
    assert distances == np.abs(bits - bits[-1])[:-1].tolist()
    assert len(going(group)) == 2099


# ---- the one that stays


def test_the_largest_stays_by_pixels_then_by_bytes(album: Planted) -> None:
    album.add("small.jpg", content("a", 9000, width=10, height=10), pdq=range(0))
    album.add("large.jpg", content("b", 100, width=4000, height=3000), pdq=range(1))
    (group,) = album.groups(keep="largest")
    assert group.keeper.path == b"large.jpg"
    assert group.why == "largest: 4,000 x 3,000 pixels"
    album.add("larger.jpg", content("c", 123456, width=3000, height=4000), pdq=range(2))
    (group,) = album.groups(keep="largest")
    assert group.keeper.path == b"larger.jpg"
    assert group.why == "most bytes: 123,456"


def test_the_original_is_large_and_has_its_cameras_date(album: Planted) -> None:
    album.add("framed.jpg", content("a", 9000, width=4200, height=3200), pdq=range(0))
    dated = {"taken": "2019-05-17T10:30:00"}
    album.add("camera.jpg", content("b", 800, width=4000, height=3000, **dated), pdq=range(1))
    album.add("small.jpg", content("c", 90, width=400, height=300, **dated), pdq=range(2))
    (group,) = album.groups()
    assert group.keeper.path == b"camera.jpg"
    assert group.why == "has its camera's date, 2019-05-17 10:30:00"
    assert album.groups(keep="largest")[0].keeper.path == b"framed.jpg"


def test_the_oldest_is_the_one_that_was_taken_first_then_that_changed_first(
    album: Planted,
) -> None:
    album.add("a.jpg", A, mtime_ns=1, pdq=range(0))
    album.add("b.jpg", content("b", taken="2020-02-01T10:00:00"), mtime_ns=9, pdq=range(1))
    album.add("c.jpg", content("c", taken="2019-12-31T23:59:59"), mtime_ns=8, pdq=range(2))
    (group,) = album.groups(keep=Keep.OLDEST)
    assert group.keeper.path == b"c.jpg"
    assert group.why == "oldest: taken 2019-12-31 23:59:59"


def test_without_dates_the_oldest_file_stays(album: Planted) -> None:
    album.add("a.jpg", A, mtime_ns=10**18, pdq=range(0))
    album.add("b.jpg", content("b", width=9000), mtime_ns=1_500_000_000 * 10**9, pdq=range(1))
    album.add("c.jpg", C, mtime_ns=-(10**18), pdq=range(2))
    (group,) = album.groups(keep=Keep.OLDEST)
    assert group.keeper.path == b"c.jpg"
    assert group.why == "oldest: file of 1938-04-24 22:13:20+00:00"


def test_the_sharpest_stays(album: Planted) -> None:
    album.add("a.jpg", content("a", sharpness=1.5), pdq=range(0))
    album.add("b.jpg", content("b", sharpness=20.0), pdq=range(1))
    album.add("c.jpg", content("c", width=9000), pdq=range(2))
    (group,) = album.groups(keep=Keep.SHARPEST)
    assert (group.keeper.path, group.why) == (b"b.jpg", "sharpest: 20")


def test_the_first_preferred_folder_that_has_one_decides(album: Planted) -> None:
    album.add("in/a.jpg", content("a", width=9000), pdq=range(0))
    album.add("best/deep/b.jpg", B, pdq=range(1))
    album.add("best2/c.jpg", C, pdq=range(2))
    album.add("elsewhere/d.jpg", D)
    (group,) = album.groups(keep=Keep.PREFERRED, prefer=[b"elsewhere", b"best/", b"in"])
    assert group.keeper.path == b"best/deep/b.jpg"
    assert group.why == "in the preferred folder best"


def test_of_equals_the_older_stays_then_the_shorter_path_then_the_first(album: Planted) -> None:
    for path, mtime_ns in (("bb.jpg", 5), ("a.jpg", 6), ("b.jpg", 6)):
        album.add(path, A, mtime_ns)
    assert album.groups()[0].keeper.path == b"bb.jpg"
    album.add("bb.jpg", A, 6)
    (group,) = album.groups()
    assert (group.keeper.path, group.why) == (b"a.jpg", "first by path")
    album.add("aa/z.jpg", A, 5)
    album.add("z.jpg", A, 5)
    (group,) = album.groups()
    assert (group.keeper.path, group.why) == (b"z.jpg", "shortest path")


@pytest.mark.parametrize(
    "options", [{"keep": Keep.PREFERRED}, {"prefer": [b"a"]}, {"keep": "none"}]
)
def test_a_rule_and_its_folders_come_together(album: Planted, options: dict[str, Any]) -> None:
    album.add("a/a.jpg", A)
    with pytest.raises(InvalidInput, match=r"keep|prefer"):
        album.groups(**options)


# ---- reference folders


def test_files_of_a_reference_folder_stay_and_never_go(album: Planted) -> None:
    album.add("ref/a.jpg", content("a", width=1), pdq=range(0))
    album.add("b.jpg", B, pdq=range(1))
    album.add("ref/deep/c.jpg", C, pdq=range(2))
    (group,) = album.groups(reference=[b"ref/"])
    assert group.keeper.path == b"ref/deep/c.jpg"
    assert group.why == "in a reference folder; large: 400 x 300 pixels"
    assert going(group) == ["b.jpg"]
    assert [member.is_reference for member in group.members] == [False, True, True]


def test_a_folder_whose_name_begins_alike_is_no_reference(album: Planted) -> None:
    album.add("ref/x.jpg", A)
    album.add("reference2/x.jpg", A)
    (group,) = album.groups(reference=[b"ref"])
    assert group.why == "in a reference folder"
    assert going(group) == ["reference2/x.jpg"]


def test_two_references_are_no_pair_and_do_not_connect(album: Planted) -> None:
    album.add("b.jpg", B, pdq=range(0))
    album.add("ref/a.jpg", A, pdq=range(15))
    album.add("ref/c.jpg", C, pdq=range(30))
    album.add("d.jpg", D, pdq=range(45))
    album.add("ref/copy.jpg", content("e"))
    album.add("ref/copy2.jpg", content("e"))
    assert paths(album.groups(reference=[b"ref"])) == [
        ["b.jpg", "ref/a.jpg"],
        ["d.jpg", "ref/c.jpg"],
    ]


@pytest.mark.parametrize("what", ["reference", "prefer", "across"])
def test_a_folder_that_is_misspelt_protects_nothing_and_is_refused(
    album: Planted, what: str
) -> None:
    album.add("ref/a.jpg", A)
    options: dict[str, Any] = {what: [b"ref", b"reff"]}
    if what == "prefer":
        options["keep"] = "preferred"
    with pytest.raises(InvalidInput, match="'reff'"):
        album.groups(**options)


# ---- one folder against another


def test_across_finds_pairs_of_two_folders_alone(album: Planted) -> None:
    album.add("new/a.jpg", A, pdq=range(0))
    album.add("new/b.jpg", B, pdq=range(1))
    album.add("old/c.jpg", C, pdq=range(2))
    album.add("x/d.jpg", D, pdq=range(3))
    album.add("old/e.jpg", content("e"), pdq=range(100, 150))
    album.add("old/f.jpg", content("f"), pdq=range(100, 151))
    (group,) = album.groups(across=(b"new", b"old"))
    assert paths([group]) == [["new/a.jpg", "new/b.jpg", "old/c.jpg"]]
    assert group.keeper.path == b"new/a.jpg"
    assert going(group) == ["old/c.jpg"]  # not its neighbour in the same folder


def test_equal_bytes_across_folders_need_a_file_in_each(album: Planted) -> None:
    for path in ("new/1.jpg", "new/2.jpg", "x/3.jpg"):
        album.add(path, A)
    album.add("old/other.jpg", B)
    assert album.groups(across=(b"new", b"old")) == []
    album.add("old/4.jpg", A)
    assert paths(album.groups({}, across=(b"new", b"old"))) == [
        ["new/1.jpg", "new/2.jpg", "old/4.jpg"]
    ]


def test_a_file_in_both_folders_belongs_to_the_inner_one(album: Planted) -> None:
    album.add("new/1.jpg", A)
    album.add("new/2.jpg", A)
    album.add("top.jpg", B)
    assert album.groups(across=(b"new", b"")) == []
    album.add("3.jpg", A)
    (group,) = album.groups(across=(b"", b"new"))
    assert group.keeper.path == b"3.jpg"
    assert going(group) == ["new/1.jpg", "new/2.jpg"]


def test_one_folder_is_not_across(album: Planted) -> None:
    album.add("new/1.jpg", A)
    with pytest.raises(InvalidInput, match="twice"):
        album.groups(across=(b"new", b"new/"))


# ---- decisions


def test_a_pair_that_is_apart_gives_no_link(album: Planted) -> None:
    album.add("a.jpg", A, pdq=range(0))
    album.add("b.jpg", B, pdq=range(1))
    not_duplicates(album.catalog, A, B)
    assert album.groups() == []


def test_others_may_hold_together_what_is_apart_and_neither_goes_for_the_other(
    album: Planted,
) -> None:
    for number, (path, own) in enumerate({"a.jpg": A, "b.jpg": B, "c.jpg": C}.items()):
        album.add(path, own, pdq=range(number))
    album.add("far.jpg", D)
    not_duplicates(album.catalog, B, A)
    (group,) = album.groups()
    assert group.holds_apart
    assert group.keeper.path == b"a.jpg"
    assert going(group) == ["c.jpg"]
    assert not album.groups({"phash": 0, "pdq": 0})


def test_what_is_apart_is_no_link_however_near(album: Planted) -> None:
    album.add("a.jpg", A, pdq=range(0))
    album.add("b.jpg", B, pdq=range(1))
    album.add("c.jpg", C, pdq=[*range(1, 6)])
    not_duplicates(album.catalog, A, B)
    (group,) = album.groups()
    assert group.weakest_link is not None
    assert group.weakest_link.distance == 6  # of b and c, not 5 of a and c beside 1 of a and b


def test_what_is_apart_is_not_in_one_part_of_a_split_group(album: Planted) -> None:
    for number, (path, own) in enumerate({"a.jpg": A, "b.jpg": B, "c.jpg": C}.items()):
        album.add(path, own, pdq=range(2 * number))
    not_duplicates(album.catalog, A, C)
    (group,) = album.groups(split=True)
    assert len(group) == 2
    assert not group.holds_apart


def test_a_kept_group_is_shown_again_when_a_new_member_joins_and_which(album: Planted) -> None:
    album.add("a.jpg", A, pdq=range(0))
    album.add("b.jpg", B, pdq=range(1))
    keep_group(album.catalog, [A, B])
    assert album.groups() == []
    album.add("c.jpg", C, pdq=range(2))
    (group,) = album.groups()
    assert group.is_reopened
    assert [member.path for member in group.members if member.is_new] == [b"c.jpg"]
    keep_group(album.catalog, [A, B, C])
    assert album.groups() == []


def test_parts_of_a_kept_group_stay_hidden(album: Planted) -> None:
    album.add("a.jpg", A, pdq=range(0))
    album.add("b.jpg", B, pdq=range(1))
    album.add("b2.jpg", B)
    keep_group(album.catalog, [A, B, C])
    assert album.groups() == []
    assert album.groups({}) == []


# ---- the answer as a whole


def test_groups_that_free_the_most_come_first(album: Planted) -> None:
    for name, size, copies in (("a", 10, 2), ("b", 500, 2), ("c", 100, 4), ("d", 10, 2)):
        for copy in range(copies):
            album.add(f"{name}{copy}.jpg", content(name, size))
    assert [group.freed_bytes for group in album.groups()] == [500, 300, 10, 10]
    assert [names[0] for names in paths(album.groups())] == ["b0.jpg", "c0.jpg", "a0.jpg", "d0.jpg"]


def test_a_group_goes_into_json_whatever_its_names_are(album: Planted) -> None:
    album.add(b"\xff.jpg", A, pdq=range(0))
    album.add("b.jpg", content("b", featureless=frozenset({"phash"})), pdq=range(1))
    album.add("c.jpg", content("c", featureless=frozenset({"pdq"})))
    album.indexes["phash"].add(album.indexes["phash"].vectors([A.id]), [C.id], replace=True)
    (group,) = album.groups()
    own = json.loads(json.dumps(group.to_dict(), allow_nan=False))
    assert own["diameter"] is None
    assert own["members"][2]["path_hex"] == "ff2e6a7067"
    assert own["keeper"]["path"] == group.keeper.path.decode(errors="replace")
    assert {member["path"] for member in own["members"] if member["may_go"]}
    assert {"one", "other", "encoder", "distance", "nearness"} == set(own["weakest_link"])


def test_progress_ends_at_one_and_may_cancel(album: Planted) -> None:
    chain(album)
    told: list[float] = []
    album.groups(progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0
    with pytest.raises(Cancelled):
        album.groups(progress=lambda done: False)


@pytest.mark.parametrize("thresholds", [{"pdq": -1.0}, {"pdq": np.nan}, {"clip": 1.0}])
def test_wrong_thresholds_are_refused(album: Planted, thresholds: dict[str, float]) -> None:
    album.add("a.jpg", A)
    with pytest.raises(InvalidInput):
        album.groups(thresholds)


# ---- against the definition, and whatever the history

FOLDERS = ("", "x", "x/y", "z")
Scene = list[tuple[str, int, int]]  # folder, content, and mtime of each file

scenes = st.lists(
    st.tuples(st.sampled_from(FOLDERS), st.integers(0, 9), st.integers(0, 2)),
    min_size=1,
    max_size=14,
)
pairs = st.tuples(st.integers(0, 9), st.integers(0, 9)).filter(lambda pair: pair[0] != pair[1])
decided = st.lists(pairs, max_size=3)
options = st.fixed_dictionaries(
    {
        "reference": st.sampled_from([(), (b"x",), (b"z", b"x/y")]),
        "across": st.sampled_from([None, (b"x", b"z"), (b"", b"x")]),
        "split": st.booleans(),
    }
)
CONTENTS = [
    content(f"content {i}", size=1 + i % 3, featureless=frozenset({"pdq"} if i == 4 else ()))
    for i in range(10)
]
BITS = [range(12 * (i % 5), 12 * (i % 5) + 13) for i in range(10)]  # neighbours are 24 bits apart


def planted(
    home: Path, scene: Scene, apart: list[tuple[int, int]], shuffle: Callable[[list[int]], None]
) -> Planted:
    album = Planted(home)
    for folder in FOLDERS:  # each folder has a file
        album.add(f"{folder}/own.jpg".lstrip("/"), content(f"of {folder}"))
    order = list(range(len(scene)))
    shuffle(order)
    for i in order:
        folder, own, mtime_ns = scene[i]
        bits = {"pdq": BITS[own], "phash": range(own // 2 * 4)}
        album.add(f"{folder}/{i}.jpg".lstrip("/"), CONTENTS[own], mtime_ns, **bits)
    for one, other in apart:
        not_duplicates(album.catalog, CONTENTS[one], CONTENTS[other])
    return album


def answers(album: Planted, options: dict[str, Any]) -> list[DuplicateGroup]:
    return album.groups({"pdq": 24.0, "phash": 4.0}, **options)


@settings(max_examples=40)
@given(scenes, decided, options, st.randoms(use_true_random=False))
def test_the_answer_depends_on_files_and_decisions_and_not_on_their_history(
    tmp_path_factory: pytest.TempPathFactory,
    scene: Scene,
    apart: list[tuple[int, int]],
    options: dict[str, Any],
    chance: random.Random,
) -> None:
    fresh = planted(tmp_path_factory.mktemp("a"), scene, apart, lambda order: None)
    edited = planted(tmp_path_factory.mktemp("b"), scene, apart[::-1], chance.shuffle)
    for index in edited.indexes.values():  # what an interrupted sync leaves, and a second time
        ids = index.ids[:3]
        vectors = index.vectors(ids)
        index.add(vectors, ids + 1)
        index.remove(ids)
        index.add(vectors, ids)
    assert answers(edited, options) == answers(fresh, options)


@settings(max_examples=60)
@given(scenes, decided, options)
def test_groups_are_those_of_the_definition(
    tmp_path_factory: pytest.TempPathFactory,
    scene: Scene,
    apart: list[tuple[int, int]],
    options: dict[str, Any],
) -> None:
    album = planted(tmp_path_factory.mktemp("a"), scene, apart, lambda order: None)
    files = {f"{folder}/{i}.jpg".lstrip("/"): own for i, (folder, own, _) in enumerate(scene)}
    wanted = _components(files, lambda one, other: _is_pair(files, one, other, apart, options))
    groups = answers(album, options | {"split": False})
    assert sorted(paths(groups)) == sorted(wanted)
    for group in [*groups, *answers(album, options)]:
        keeper = group.keeper.path.decode()
        references = {member.path for member in group.members if member.is_reference}
        assert not references or group.keeper.path in references
        for path in going(group):
            assert path != keeper
            assert path.encode() not in references
            assert _is_pair(files, path, keeper, apart, options)


def _components(files: dict[str, int], are_pair: Callable[[str, str], bool]) -> list[list[str]]:
    of = {path: {path} for path in files}
    for one, other in itertools.combinations(files, 2):
        if are_pair(one, other) and of[one] is not of[other]:
            of[one] |= of[other]
            for path in of[one]:
                of[path] = of[one]
    return [sorted(own) for path, own in of.items() if len(own) > 1 and path == min(own)]


def _is_pair(
    files: dict[str, int],
    one: str,
    other: str,
    apart: list[tuple[int, int]],
    options: dict[str, Any],
) -> bool:
    return (
        _look_alike(files[one], files[other])
        and (files[one], files[other]) not in apart
        and (files[other], files[one]) not in apart
        and not (_is_in(one, options["reference"]) and _is_in(other, options["reference"]))
        and (options["across"] is None or {_side(one, options), _side(other, options)} == {0, 1})
    )


def _look_alike(one: int, other: int) -> bool:
    if one == other:
        return True
    by_pdq = 4 not in (one, other) and len(set(BITS[one]) ^ set(BITS[other])) <= 24
    return by_pdq or abs(one // 2 - other // 2) <= 1


def _is_in(path: str, folders: object) -> bool:
    assert isinstance(folders, tuple)
    return any(own == b"" or path.startswith(own.decode() + "/") for own in folders)


def _side(path: str, options: dict[str, Any]) -> int | None:
    across = options["across"]
    assert isinstance(across, tuple)
    own = [side for side in (0, 1) if _is_in(path, (across[side],))]
    return max(own, key=lambda side: len(across[side]), default=None)
