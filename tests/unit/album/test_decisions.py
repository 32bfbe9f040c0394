"""Decisions: they are remembered by what a file holds, listed, and taken back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.unit.album.planted import Planted, content, paths

from lookalike.album.catalog import Name
from lookalike.album.decisions import (
    count,
    decided,
    decisions,
    forget,
    keep_group,
    not_duplicates,
)
from lookalike.errors import InvalidInput

A, B, C, D = (content(name) for name in "abcd")


@pytest.fixture
def album(tmp_path: Path) -> Planted:
    return Planted(tmp_path)


def test_not_duplicates_is_about_all_pairs_of_several(album: Planted) -> None:
    not_duplicates(album.catalog, A, B, C)
    not_duplicates(album.catalog, B, A)
    assert len(decisions(album.catalog)) == 3
    for one, other in ((A, B), (C, A), (B, C)):
        assert decided(album.catalog, one, other) == "apart"
    assert decided(album.catalog, A, D) is None


def test_files_with_the_same_bytes_cannot_be_said_to_differ(album: Planted) -> None:
    with pytest.raises(InvalidInput, match="two contents"):
        not_duplicates(album.catalog, A, A)
    with pytest.raises(InvalidInput, match="none"):
        keep_group(album.catalog, [])


def test_decisions_outlive_moves_and_the_absence_of_the_files(album: Planted) -> None:
    album.add("a.jpg", A, pdq=range(0))
    album.add("b.jpg", B, pdq=range(1))
    not_duplicates(album.catalog, A, B)
    with album.catalog.change():
        album.catalog.drop_files([Name.of(b"a.jpg")])
        album.catalog.drop_unused()
    assert decisions(album.catalog)[0].paths in (((), (b"b.jpg",)), ((b"b.jpg",), ()))
    album.add("moved/renamed.jpg", A)
    assert album.groups() == []


def test_decisions_are_listed_with_the_files_that_they_are_about(album: Planted) -> None:
    album.add("x/a.jpg", A)
    album.add("a.jpg", A)
    album.add("b.jpg", B)
    review = keep_group(album.catalog, [B, A, A])
    not_duplicates(album.catalog, C, A)
    apart, kept = decisions(album.catalog)
    assert (apart.kind, kept.kind, kept.review) == ("apart", "kept", review)
    files = dict(zip(kept.digests, kept.paths, strict=True))
    assert files == {A.digest: (b"a.jpg", b"x/a.jpg"), B.digest: (b"b.jpg",)}
    assert dict(zip(apart.digests, apart.paths, strict=True))[C.digest] == ()
    own = json.loads(json.dumps([apart.to_dict(), kept.to_dict()]))
    assert own[1]["contents"][0]["files"]


def test_a_decision_is_taken_back_once(album: Planted) -> None:
    album.add("a.jpg", A, pdq=range(0))
    album.add("b.jpg", B, pdq=range(1))
    not_duplicates(album.catalog, A, B)
    (apart,) = decisions(album.catalog)
    assert forget(album.catalog, apart)
    assert not forget(album.catalog, apart)
    assert paths(album.groups()) == [["a.jpg", "b.jpg"]]
    keep_group(album.catalog, [A, B])
    (kept,) = decisions(album.catalog)
    assert album.groups() == []
    assert forget(album.catalog, kept)
    assert not forget(album.catalog, kept)
    assert paths(album.groups()) == [["a.jpg", "b.jpg"]]


def test_a_larger_kept_group_takes_the_place_of_those_in_it(album: Planted) -> None:
    first = keep_group(album.catalog, [A, B])
    assert keep_group(album.catalog, [B]) == first
    keep_group(album.catalog, [C, D])
    assert decided(album.catalog, A, C) is None
    assert decided(album.catalog, B, A) == "kept"
    keep_group(album.catalog, [A, B, C])
    assert sorted(len(own.digests) for own in decisions(album.catalog)) == [2, 3]


def test_what_was_kept_in_two_groups_is_shown_when_these_become_one(album: Planted) -> None:
    for number, (path, own) in enumerate({"a.jpg": A, "b.jpg": B, "c.jpg": C}.items()):
        album.add(path, own, pdq=range(number))
    keep_group(album.catalog, [A, B])
    keep_group(album.catalog, [B, C])
    (group,) = album.groups()
    assert not group.is_reopened  # nobody is new
    assert len(group) == 3


def test_pairs_of_too_many_pictures_are_refused(album: Planted) -> None:
    many = [content(str(number)) for number in range(301)]
    not_duplicates(album.catalog, *many[:300], many[0])
    assert count(album.catalog) == 44_850
    with pytest.raises(InvalidInput, match=r"300 pictures at the most.*got 301, 45,150 pairs"):
        not_duplicates(album.catalog, *many)
    assert count(album.catalog) == 44_850


def test_decisions_are_counted_as_they_are_listed(album: Planted) -> None:
    not_duplicates(album.catalog, A, B, C)
    keep_group(album.catalog, [A, B])
    keep_group(album.catalog, [C, D])
    assert count(album.catalog) == len(decisions(album.catalog)) == 5
