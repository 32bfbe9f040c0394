"""Which file a path is, what is said of one that cannot be read, and by which thresholds."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from tests.album.conftest import album_of, put, scene, synced

from lookalike import InvalidInput, UnreadableImage

# ---- which file a path is


def test_a_file_that_is_there_wins_over_a_member_of_that_name(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    album = synced(photos)
    put(tmp_path / "0.jpg", scene(3), 60)
    monkeypatch.chdir(tmp_path)
    assert album.search("0.jpg", k=1)[0].path == b"3.jpg"
    assert album.search("1.jpg", k=9)[0].path != b"1.jpg"  # of the album: nothing else is there
    assert album.explain("0.jpg", "3.jpg").level == "near"
    assert album.explain("0.jpg", photos / "0.jpg").level == "different"


@pytest.mark.parametrize("call", ["not_duplicates", "keep", "calibrate"])
def test_a_decision_is_not_about_another_file_than_the_one_that_is_there(
    call: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    album = synced(photos)
    put(tmp_path / "0.jpg", scene(3), 60)
    monkeypatch.chdir(tmp_path)
    arguments = ([("0.jpg", "1.jpg", True)],) if call == "calibrate" else ("0.jpg", "1.jpg")
    with pytest.raises(InvalidInput) as caught:
        getattr(album, call)(*arguments)
    assert f"{tmp_path}/0.jpg" in str(caught.value)
    assert f"{photos}/0.jpg" in str(caught.value)
    assert album.decisions() == []


def test_a_path_from_within_the_album_is_that_of_the_file_there(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(photos / "trip" / "1.jpg", scene(2), 60)
    album = synced(photos.absolute())
    monkeypatch.chdir(photos / "trip")
    for path in ("1.jpg", "./1.jpg", "../trip/1.jpg", "trip/1.jpg"):
        file = album.member(path)
        assert file is not None
        assert file.name.path == b"trip/1.jpg"
    assert album.member("../1.jpg") == album.catalog.find(b"1.jpg")


def test_the_same_file_by_another_way_is_the_member(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "way").symlink_to(photos)
    album = synced(photos)
    (tmp_path / "0.jpg").symlink_to(photos / "0.jpg")
    monkeypatch.chdir(tmp_path)
    album.not_duplicates("0.jpg", "way/1.jpg")
    named = sorted(path for [path] in album.decisions()[0].paths)
    assert named == [b"0.jpg", b"1.jpg"]


# ---- what cannot be read


def test_an_unreadable_member_cannot_be_searched_for(photos: Path) -> None:
    (photos / "bad.jpg").write_bytes(b"no picture")
    album = synced(photos)
    with pytest.raises(UnreadableImage, match="of none of the formats") as caught:
        album.search("bad.jpg")
    assert str(photos / "bad.jpg") in str(caught.value)
    put(photos / "bad.jpg", scene(0), 60)
    assert album_of(photos).search("bad.jpg", k=1)[0].path in (b"0.jpg", b"trip/0 small.jpg")


# ---- thresholds


def test_nearness_is_by_the_thresholds_of_the_album(photos: Path) -> None:
    album = synced(photos)
    measured = album.search("0.jpg", k=4, encoder="pdq")
    with album.changing() as catalog, catalog.change():
        catalog.set_fact("thresholds", {"similar": {"pdq": 30.0}})
    again = album.search("0.jpg", k=4, encoder="pdq")
    assert [own.path for own in again] == [own.path for own in measured]
    assert [own.nearness for own in again] == [own.distance / 30 for own in measured]


def test_by_a_threshold_of_zero_only_equal_vectors_are_similar(photos: Path) -> None:
    album = synced(photos)
    measured = album.search("0.jpg", k=4, encoder="pdq")
    with album.changing() as catalog, catalog.change():
        catalog.set_fact("thresholds", {"near": {"pdq": 0.0}, "similar": {"pdq": 0.0}})
    again = album.search("0.jpg", k=4, encoder="pdq")
    assert [own.path for own in again] == [own.path for own in measured]
    assert {own.nearness for own in again} == {math.inf}
    assert {own.to_dict()["nearness"] for own in again} == {None}
    both = album.search("0.jpg", k=4)
    assert {own.encoder for own in both} == {"phash"}
