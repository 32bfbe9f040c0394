"""Sync: an album is in step with its folder, whatever happened to either."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.album.conftest import ENCODERS, album_of, answers, jpeg, put, scene, synced

from lookalike import Cancelled, InvalidInput, Locked, UnreadableFile
from lookalike.album import Album, walk


def fresh_answers(folder: Path) -> dict[str, Any]:
    """What an album that is built afresh says."""
    with tempfile.TemporaryDirectory() as home, album_of(folder, at=home) as album:
        album.sync(workers=1)
        return answers(album)


def test_new_pictures_are_found_encoded_and_searched(photos: Path) -> None:
    album = album_of(photos)
    report = album.sync()
    assert (report.files, report.new, report.encoded) == (5, 5, 5)
    first = album.search(photos / "0.jpg", k=1)[0]
    assert first.path == b"trip/0 small.jpg"
    assert first.nearness < 1
    assert (photos / ".lookalike" / "catalog.sqlite").is_file()


def test_nothing_is_read_again_when_nothing_has_changed(photos: Path) -> None:
    put(photos / "5.jpg", scene(5))
    for path in photos.rglob("*.jpg"):
        os.utime(path, ns=(0, time.time_ns() - 10**10))
    synced(photos)
    report = album_of(photos).sync(workers=1)
    assert (report.files, report.unchanged, report.encoded) == (6, 6, 0)


def test_a_moved_picture_is_not_encoded_again(photos: Path) -> None:
    synced(photos)
    (photos / "1.jpg").rename(photos / "trip" / "one.jpg")
    (photos / "trip").rename(photos / "journey")
    report = album_of(photos).sync(workers=1)
    assert (report.moved, report.new, report.deleted, report.encoded) == (2, 0, 0, 0)
    assert album_of(photos).search("2.jpg", k=9)[0].path.startswith((b"journey", b"0", b"3"))


def test_changed_and_deleted_pictures_are_noticed(photos: Path) -> None:
    album = synced(photos)
    put(photos / "1.jpg", scene(77))
    (photos / "2.jpg").unlink()
    report = album.sync(workers=1)
    assert (report.changed, report.deleted, report.encoded) == (1, 1, 1)
    assert answers(album) == fresh_answers(photos)
    assert len(album.index("pdq")) == 4


def test_a_change_that_left_size_and_time_is_noticed(photos: Path) -> None:
    """Case 29: other bytes under the same name, size and time."""
    album = synced(photos)
    path = photos / "1.jpg"
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[300] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    report = album.sync(workers=1)
    assert report.changed == 1
    assert answers(album) == fresh_answers(photos)


def test_a_change_in_the_same_tick_of_a_coarse_clock_is_noticed(photos: Path) -> None:
    """Case 20: times that count two seconds; the catalogue saw the file in the same two."""
    album = synced(photos)
    path, changed = photos / "1.jpg", bytearray((photos / "1.jpg").read_bytes())
    changed[300] ^= 1
    path.write_bytes(changed)
    stamp = path.stat()
    with album.changing() as catalog, catalog.change():
        catalog.run(
            "UPDATE files SET size = ?, mtime_ns = ?, ctime_ns = ?, inode = ? WHERE name = ?",
            [(stamp.st_size, stamp.st_mtime_ns, stamp.st_ctime_ns, stamp.st_ino, b"1.jpg")],
        )
    assert album.sync(workers=1).changed == 1


def test_checksum_reads_everything(photos: Path) -> None:
    for path in photos.rglob("*.jpg"):
        os.utime(path, ns=(0, time.time_ns() - 10**10))
    album = synced(photos)
    report = album.sync(workers=1, checksum=True)
    assert (report.unchanged, report.encoded, report.changed) == (5, 0, 0)


def test_one_bad_picture_stops_nothing_and_is_reported(photos: Path) -> None:
    (photos / "empty.png").write_bytes(b"")
    (photos / "half.jpg").write_bytes(jpeg(scene(9))[:900])
    (photos / "text.gif").write_text("no picture")
    (photos / "letter.txt").write_text("no picture")
    album = album_of(photos)
    report = album.sync(workers=1)
    assert [path for path, _ in report.unreadable] == ["empty.png", "half.jpg", "text.gif"]
    assert (report.files, report.encoded, report.ignored) == (8, 5, 1)
    again = album.sync(workers=1)
    assert again.unreadable == report.unreadable
    put(photos / "half.jpg", scene(9))
    assert [path for path, _ in album.sync(workers=1).unreadable] == ["empty.png", "text.gif"]


def test_pictures_without_detail_match_nothing_but_their_own_bytes(photos: Path) -> None:
    flat = np.full((90, 120, 3), 200, np.uint8)
    put(photos / "flat.jpg", flat)
    put(photos / "flat too.jpg", flat, 80)
    shutil.copy(photos / "flat.jpg", photos / "copy.jpg")
    album = synced(photos)
    assert len(album.index("pdq")) == 5
    found = album.search("flat.jpg")
    assert [(match.path, match.why) for match in found] == [(b"copy.jpg", "the same bytes")]
    assert len(found.notes) == 2
    groups = album.duplicates("similar")
    assert [[member.path for member in group.members] for group in groups] == [
        [b"0.jpg", b"trip/0 small.jpg"],
        [b"copy.jpg", b"flat.jpg"],
    ]


NAMES = (
    b"caf\xe9.jpg",
    b"new\nline.jpg",
    "\u202egpj.exe.jpg".encode(),
    b"a" * 251 + b".jpg",
    b"<img src=x onerror=alert(1)>.jpg",
    "cafe\u0301.jpg".encode(),
    b"-rf.jpg",
    b"%2e%2e.jpg",
)


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_any_name_is_a_name(name: bytes, photos: Path) -> None:
    """Case 26."""
    path = photos / os.fsdecode(name)
    put(path, scene(42))
    album = synced(photos)
    assert album.catalog.find(name) is not None
    assert [match.path for match in album.search(scene(42), k=1)] == [name]
    path.unlink()
    assert album.sync(workers=1).deleted == 1


def test_composed_and_decomposed_names_are_two_files(photos: Path) -> None:
    put(photos / "caf\u00e9.jpg", scene(42))
    put(photos / "cafe\u0301.jpg", scene(43))
    assert synced(photos).catalog.count()["files"] == 7


def test_links_are_left_alone_unless_followed_and_a_cycle_ends(photos: Path) -> None:
    """Case 27."""
    (photos / "trip" / "up").symlink_to(photos)
    (photos / "alias.jpg").symlink_to(photos / "1.jpg")
    (photos / "nowhere.jpg").symlink_to(photos / "gone.jpg")
    album = album_of(photos)
    report = album.sync(workers=1)
    assert (report.files, report.links) == (5, 3)
    report = album.sync(workers=1, links=True)
    assert (report.files, report.links) == (6, 0)
    assert album.catalog.find(b"alias.jpg") is not None
    assert album.sync(workers=1).files == 6  # it is remembered


def test_hidden_and_excluded_files_do_not_belong_to_it(photos: Path) -> None:
    put(photos / ".secret" / "1.jpg", scene(10))
    put(photos / ".png", scene(11))
    put(photos / "cache" / "1.jpg", scene(12))
    album = album_of(photos)
    assert album.sync(workers=1).files == 6
    assert album.sync(workers=1, exclude=["cache", "trip/*"]).deleted == 2
    assert album.sync(workers=1, hidden=True, exclude=[]).files == 8
    assert album.sync(workers=1, include=["*.png"]).files == 1


def test_what_cannot_be_looked_into_is_reported_and_not_forgotten(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    album = synced(photos)
    real = os.scandir

    def refusing(path: Any) -> Any:
        if os.fsencode(path).endswith(b"trip"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refusing)
    report = album.sync(workers=1)
    assert report.refused == [("trip", "Permission denied")]
    assert report.deleted == 0
    assert album.search("0.jpg", k=1)[0].path == b"trip/0 small.jpg"


def test_an_empty_folder_is_no_reason_to_forget_everything(photos: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    album = album_of(photos, at=home)
    album.sync(workers=1)
    photos.rename(tmp_path / "unmounted")
    photos.mkdir()
    with pytest.raises(UnreadableFile, match="Is the drive mounted"):
        album.sync(workers=1)
    assert album.catalog.count()["files"] == 5
    assert album.sync(workers=1, emptied=True).deleted == 5
    assert len(album.index("pdq")) == 0


def test_two_syncs_at_once_are_one_too_many(photos: Path) -> None:
    album = synced(photos)
    with album.changing(), pytest.raises(Locked, match=f"process {os.getpid()}"):
        album_of(photos).sync(workers=1)


def test_an_album_of_a_folder_that_is_only_read_lives_elsewhere(
    photos: Path, tmp_path: Path
) -> None:
    before = sorted(photos.rglob("*"))
    album = album_of(photos, at=tmp_path / "own")
    album.sync(workers=1)
    assert sorted(photos.rglob("*")) == before
    assert len(album_of(photos, at=tmp_path / "own").search("1.jpg")) == 4


def test_an_encoder_can_be_added_and_dropped(photos: Path) -> None:
    synced(photos)
    with Album(photos, encoders=("pdq", "pixels")) as album:
        assert album.sync(workers=1).encoded == 5
        assert len(album.index("pixels")) == 5
    assert Album(photos).encoders == ("pdq", "pixels")
    assert not list(photos.glob(".lookalike/phash*"))


def test_versions_of_an_encoder_are_not_mixed(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    album = synced(photos)
    monkeypatch.setattr(type(album.encoder("pdq")), "version", "next", raising=False)
    with pytest.raises(InvalidInput, match="encoder that made its index"):
        album_of(photos).search("1.jpg")
    with pytest.raises(InvalidInput, match="encoder that made its index"):
        album_of(photos).sync(workers=1)


def test_a_damaged_index_is_filled_again_after_repair(photos: Path) -> None:
    album = synced(photos)
    album.close()
    shutil.rmtree(photos / ".lookalike" / "pdq.index")
    assert album.sync(workers=1).encoded == 5
    assert answers(album) == fresh_answers(photos)


@pytest.mark.parametrize("beyond", [False, True])
def test_a_damaged_album_is_repaired_and_filled_by_sync(beyond: bool, photos: Path) -> None:
    album = synced(photos)
    folder = album.folder_of("pdq")
    rows = next(folder.rglob("rows.npy"))
    data = bytearray(rows.read_bytes())
    data[-40] ^= 1
    rows.unlink()
    rows.write_bytes(data)
    if beyond:
        for manifest in folder.glob("manifest*"):
            manifest.write_bytes(b"{}")
    assert album.verify().problems
    mended = album.repair()
    assert mended.lacking == 5
    assert str(mended).endswith("5 pictures are to be encoded again: run sync")
    assert album.sync(workers=1).encoded == 5
    assert album.verify().problems == ()
    assert answers(album) == fresh_answers(photos)


def test_cancelling_keeps_what_was_committed(photos: Path) -> None:
    album = album_of(photos)
    with pytest.raises(Cancelled):
        album.sync(workers=1, progress=lambda done, total: total is None or done < 2)
    album.sync(workers=1)
    assert answers(album) == fresh_answers(photos)


def test_a_folder_may_have_more_files_than_are_looked_at_at_a_time(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        put(photos / f"{number}.jpg", scene(20 + number))
    files = len(list(photos.rglob("*.jpg")))
    monkeypatch.setattr(walk, "_MOST", 2)
    album = album_of(photos)
    assert album.sync(workers=1).new == files
    (photos / "1.jpg").unlink()
    (photos / "3.jpg").rename(photos / "moved.jpg")
    put(photos / "4.jpg", scene(40))
    report = album.sync(workers=1)
    assert (report.deleted, report.moved, report.changed, report.new) == (1, 1, 1, 0)
    assert report.unchanged == report.files - 2 == files - 3
    assert answers(album) == fresh_answers(photos)


# ---- any edits, and any interruptions

EDITS = st.lists(
    st.tuples(
        st.sampled_from(["new", "change", "move", "copy", "delete", "touch", "bad", "sync", "cut"]),
        st.integers(0, 7),
        st.integers(0, 7),
    ),
    min_size=4,
    max_size=14,
)


def edit(folder: Path, what: str, one: int, other: int) -> None:
    """One of the things that people do to files."""
    path = folder / ("sub" if one % 2 else ".") / f"{one}.jpg"
    target = folder / ("other" if other % 3 else ".") / f"{other}.jpg"
    if what == "new":
        put(path, scene(other))
    elif what == "bad":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(scene(other))[: 400 + 10 * one])
    elif not path.exists():
        return
    elif what == "change":
        put(path, scene(other), 60)
    elif what == "move":
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    elif what == "copy" and path != target:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    elif what == "delete":
        path.unlink()
    elif what == "touch":
        os.utime(path, ns=(one * 10**9, other * 10**9))


def only_until(end: int) -> Any:
    """Progress that cancels after so many files."""
    return lambda done, total: done < end


@settings(max_examples=8, phases=[Phase.explicit, Phase.generate])  # shrinking takes minutes
@given(edits=EDITS)
def test_after_any_edits_and_interruptions_it_answers_like_one_built_afresh(
    edits: list[tuple[str, int, int]],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "photos"
        put(folder / "first.jpg", scene(100))
        album = album_of(folder)
        for what, one, other in edits:
            if what == "sync":
                album.sync(workers=1)
            elif what == "cut":
                with contextlib.suppress(Cancelled):
                    album.sync(workers=1, progress=only_until(one % 3))
            else:
                edit(folder, what, one, other)
        album.sync(workers=1)
        assert answers(album) == fresh_answers(folder)
        assert album.verify().problems == ()
        album.close()


# ---- kills


def sync_and_tell(folder: Path, out: int) -> None:
    """In a child: say that it begins, sync, and say that it has ended."""
    os.write(out, b"begun\n")
    album_of(folder).sync(workers=1)
    os.write(out, b"ended\n")


def killed_after(folder: Path, seconds: float) -> bool:
    """Sync in a child that is killed; whether it had ended."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            os.close(read)
            sync_and_tell(folder, write)
        finally:
            os._exit(0)
    os.close(write)
    assert os.read(read, 6) == b"begun\n"
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    ended = os.read(read, 6) == b"ended\n"
    os.close(read)
    return ended


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_a_sync_that_is_killed_at_any_instant_loses_nothing(tmp_path: Path) -> None:
    kills = int(os.environ.get("LOOKALIKE_SOAK_ALBUM_KILLS", "50"))
    random = np.random.default_rng()
    seed = int(random.integers(2**31))
    random = np.random.default_rng(seed)
    folder, home = tmp_path / "photos", tmp_path / "photos" / ".lookalike"
    put(folder / "first.jpg", scene(100))
    begun = time.monotonic()
    album_of(folder).sync(workers=1)
    usual_s = time.monotonic() - begun
    ended = 0
    for number in range(kills):
        for one in random.integers(0, 12, 4).tolist():
            edit(folder, "new", one, int(random.integers(40)))
        what = ("move", "delete", "change", "copy", "bad")[int(random.integers(5))]
        edit(folder, what, *random.integers(0, 12, 2).tolist())
        ended += killed_after(folder, float(random.uniform(0, 1.3 * usual_s)))
        if number % 10 == 9 or number == kills - 1:
            album = album_of(folder)
            album.sync(workers=1)
            assert answers(album) == fresh_answers(folder), f"seed {seed}, kill {number}"
            assert album.verify().problems == (), f"seed {seed}, kill {number}"
            album.close()
            if random.random() < 0.3:
                shutil.rmtree(home)
    assert 0 < ended < kills


assert set(ENCODERS) == {"pdq", "phash"}


def test_rules_that_no_file_matches_are_told_and_not_remembered(photos: Path) -> None:
    album = synced(photos)
    with pytest.raises(UnreadableFile, match=r"no file matches include='\*\.png'.*there were 5"):
        album.sync(workers=1, include=["*.png"])
    with pytest.raises(UnreadableFile, match=r"no file matches exclude='\*\.jpg', 'trip'"):
        album.sync(workers=1, exclude=["*.jpg", "trip"])
    report = album.sync(workers=1)
    assert (report.files, report.deleted) == (5, 0)
    assert album.sync(workers=1, include=["*.png"], emptied=True).deleted == 5
    assert album.sync(workers=1, include=[]).new == 5


def test_encoders_of_a_sync_that_failed_are_not_those_of_the_album(photos: Path) -> None:
    synced(photos)
    with Album(photos, encoders=("pdq", "pixels")) as other, pytest.raises(UnreadableFile):
        other.sync(workers=1, include=["*.png"])
    with Album(photos) as album:
        assert album.encoders == ENCODERS
        assert album.search("0.jpg", k=1, encoder="phash")[0].path == b"trip/0 small.jpg"


def test_patterns_of_paths_are_about_the_top_of_the_album_too(photos: Path) -> None:
    put(photos / "cache" / "9.jpg", scene(9))
    put(photos / "trip" / "cache" / "9.jpg", scene(8))
    assert synced(photos, exclude=["*/cache/*"]).catalog.count()["files"] == 5
    assert synced(photos, exclude=["cache"]).catalog.count()["files"] == 5
    assert synced(photos, exclude=["trip/*"]).catalog.count()["files"] == 5


def test_an_encoder_that_was_not_synced_yet_is_added_by_sync(photos: Path) -> None:
    synced(photos)
    with Album(photos, encoders=("pdq", "pixels")) as album:
        for ask in (album.info, album.duplicates, lambda: album.search("0.jpg")):
            with pytest.raises(InvalidInput, match=r"got 'pixels'\. Run sync, which adds it"):
                ask()
        album.sync(workers=1)
        assert set(album.info().encoders) == {"pdq", "pixels"}
