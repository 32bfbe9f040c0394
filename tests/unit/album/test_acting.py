"""Acting on duplicates: what goes, where it goes, and how it comes back."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path

import pytest
from tests.unit.album.removing import Photos, contents_of, private_trash, why

from lookalike.album import trash as trash_module
from lookalike.album.acting import apply, journal
from lookalike.album.acts import acts, count_acts, facts_of_act, last_away
from lookalike.errors import Cancelled, CorruptStore, InvalidInput, MissingExtra

NAMES = [
    b"plain.jpg",
    b"new\nline.jpg",
    b"caf\xe9.jpg",  # no UTF-8
    "\u202ertl \U0001f600.jpg".encode(),
    b"100%25 #1?.jpg",
    b" .jpg",
    b"-rf",
    b"no ending",
]


@pytest.fixture(autouse=True)
def trash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return private_trash(monkeypatch, tmp_path / "user")


@pytest.fixture
def photos(tmp_path: Path) -> Photos:
    return Photos(tmp_path / "photos")


@pytest.fixture
def to(tmp_path: Path) -> Path:
    return tmp_path / "elsewhere"


def test_a_dry_run_is_the_default_and_touches_nothing(photos: Photos, trash: Path) -> None:
    removal = photos.pair()
    before = photos.files(), photos.catalog.ask("SELECT * FROM deeds")
    report = photos.apply(removal, dry_run=True)
    assert report.done == [removal]
    assert report.freed_bytes == removal.size
    assert report.act is None
    assert (photos.files(), photos.catalog.ask("SELECT * FROM deeds")) == before
    assert photos.knows("a.jpg")
    assert not trash.exists()
    from lookalike.album.acting import apply

    assert apply(photos.root, photos.catalog, photos.plan(removal)).dry_run


def test_a_dry_run_refuses_what_a_run_refuses(photos: Photos, to: Path) -> None:
    good, changed = photos.pair("a.jpg", "k.jpg"), photos.pair("b.jpg", "l.jpg")
    photos.path("b.jpg").write_bytes(b"other bytes now!!")
    for folder in (to, None):
        dry = photos.apply(good, changed, dry_run=True, to=folder)
        assert dry.done == [good]
        assert [own.removal for own in dry.refused] == [changed]
    assert not to.exists()
    assert photos.apply(good, changed).refused == dry.refused


def test_files_go_to_the_trash_and_come_back(photos: Photos, trash: Path) -> None:
    removal = photos.pair("trip/a.jpg", "k.jpg")
    data = photos.path("trip/a.jpg").read_bytes()
    report = photos.apply(removal)
    assert (report.done, report.refused, report.act) == ([removal], [], 1)
    assert photos.files() == {"k.jpg": data}
    assert contents_of(trash / "files") == {"a.jpg": data}
    assert [path.name for path in (trash / "info").iterdir()] == ["a.jpg.trashinfo"]
    assert photos.catalog.find(b"trip/a.jpg") is None
    undone = photos.undo()
    assert [deed.path for deed in undone.restored] == [b"trip/a.jpg"]
    assert photos.files() == {"k.jpg": data, "trip/a.jpg": data}
    assert contents_of(trash) == {}
    assert photos.knows("trip/a.jpg")


def test_files_go_to_a_folder_with_their_paths_and_come_back(photos: Photos, to: Path) -> None:
    removals = photos.pair("one/two/a.jpg", "k.jpg"), photos.pair("b.jpg", "l.jpg")
    before = photos.files()
    report = photos.apply(*removals, to=to / "deep")
    assert report.done == list(removals)
    assert set(contents_of(to / "deep")) == {"one/two/a.jpg", "b.jpg"}
    assert set(photos.files()) == {"k.jpg", "l.jpg"}
    photos.path("one/two").rmdir()  # and the folder is made again
    photos.undo()
    assert photos.files() == before
    assert contents_of(to) == {}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("into", ["trash", "folder"])
def test_any_name_goes_and_comes_back(
    photos: Photos, trash: Path, to: Path, name: bytes, into: str
) -> None:
    removal = photos.pair(name, b"folder\xff/k.jpg")
    before = photos.files()
    assert photos.apply(removal, to=to if into == "folder" else None).done == [removal]
    assert set(photos.files().values()) == {before["folder\udcff/k.jpg"]}
    assert len(contents_of(to if into == "folder" else trash / "files")) == 1
    assert photos.undo().refused == []
    assert photos.files() == before


def test_a_name_of_255_bytes_goes_to_a_folder_and_the_trash_refuses_it(
    photos: Photos, to: Path
) -> None:
    name = "é" * 125 + "x.jpg"
    assert len(name.encode()) == 255
    removal = photos.pair(name)
    assert "255 bytes" in why(photos.apply(removal, dry_run=True))
    assert "255 bytes" in why(photos.apply(removal))
    (to / "x").parent.mkdir()
    (to / name).write_bytes(b"taken")
    assert photos.apply(removal, to=to).done == [removal]
    (other,) = set(contents_of(to)) - {name}
    assert other == "é" * 123 + " (2).jpg"  # as much of it as fits, in whole characters
    photos.undo()
    assert photos.path(name).exists()


def test_a_file_in_the_way_is_never_overwritten(photos: Photos, to: Path) -> None:
    removal = photos.pair()
    to.mkdir()
    (to / "a.jpg").write_bytes(b"mine")
    (to / "a (2).jpg").symlink_to("nowhere")
    assert photos.apply(removal, to=to).done == [removal]
    assert contents_of(to) == {"a.jpg": b"mine", "a (3).jpg": b"bytes of k.jpg"}


def test_of_several_in_the_trash_the_right_one_comes_back(photos: Photos, trash: Path) -> None:
    first, second = photos.pair("one/a.jpg", "k.jpg"), photos.pair("two/a.jpg", "l.jpg")
    photos.apply(first)
    photos.apply(second)
    photos.put("one/a.jpg", b"bytes of k.jpg")
    photos.apply(first)  # again, from the same path
    assert len(contents_of(trash / "files")) == 3
    photos.undo(2)
    assert photos.path("two/a.jpg").read_bytes() == b"bytes of l.jpg"
    assert not photos.path("one/a.jpg").exists()
    photos.undo()
    assert photos.path("one/a.jpg").read_bytes() == b"bytes of k.jpg"
    assert contents_of(trash / "files") == {"a.jpg": b"bytes of k.jpg"}


def test_a_file_that_was_put_elsewhere_in_the_trash_is_found(photos: Photos, trash: Path) -> None:
    photos.apply(photos.pair())
    (trash / "files" / "a.jpg").rename(trash / "files" / "a 9.jpg")
    (trash / "info" / "a.jpg.trashinfo").rename(trash / "info" / "a 9.jpg.trashinfo")
    assert photos.undo().refused == []
    assert contents_of(trash) == {}


def test_undo_takes_the_last_act_that_is_not_undone(photos: Photos) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        photos.apply(photos.pair(name, f"keeper of {name}"))
    assert [photos.undo().act for _ in range(3)] == [3, 2, 1]
    with pytest.raises(InvalidInput, match="no act of this album"):
        photos.undo()
    with pytest.raises(InvalidInput, match="act 2, which has none left"):
        photos.undo(2)


def test_undo_of_an_album_where_nothing_was_done_says_so(photos: Photos) -> None:
    with pytest.raises(InvalidInput, match=r"got none, and no act of this album has any\. See"):
        photos.undo()
    with pytest.raises(InvalidInput, match=r"got act 7, which is none of this album\. See"):
        photos.undo(7)
    number = photos.apply(photos.pair()).act
    photos.undo(number)
    with pytest.raises(InvalidInput, match=r"got act 1, which has none left\. See"):
        photos.undo(number)


def test_a_dry_undo_touches_nothing(photos: Photos, to: Path) -> None:
    photos.apply(photos.pair("folder/a.jpg"), to=to)
    photos.path("folder").rmdir()
    report = photos.undo(dry_run=True)
    assert len(report.restored) == 1
    assert set(photos.files()) == {"k.jpg"}
    assert not photos.path("folder").exists()
    assert set(contents_of(to)) == {"folder/a.jpg"}


@pytest.mark.parametrize("dry_run", [True, False])
def test_undo_overwrites_nothing(photos: Photos, to: Path, dry_run: bool) -> None:
    photos.apply(photos.pair(), to=to)
    photos.path("a.jpg").write_bytes(b"a new picture")
    assert "another file has its name" in why(photos.undo(dry_run=dry_run))
    assert photos.path("a.jpg").read_bytes() == b"a new picture"
    assert set(contents_of(to)) == {"a.jpg"}
    photos.path("a.jpg").unlink()
    assert photos.undo(dry_run=dry_run).refused == []  # it can be tried again


@pytest.mark.parametrize("dry_run", [True, False])
def test_undo_refuses_what_has_other_bytes_now(photos: Photos, to: Path, dry_run: bool) -> None:
    photos.apply(photos.pair(), to=to)
    (to / "a.jpg").write_bytes(b"bytes of another")
    assert "other bytes" in why(photos.undo(dry_run=dry_run))
    assert contents_of(to) == {"a.jpg": b"bytes of another"}
    assert not photos.path("a.jpg").exists()


def test_undo_says_when_the_trash_was_emptied(photos: Photos, trash: Path) -> None:
    photos.apply(photos.pair())
    (trash / "files" / "a.jpg").unlink()
    assert "emptied" in why(photos.undo())
    (trash / "info" / "a.jpg.trashinfo").unlink()
    assert "emptied" in why(photos.undo())


def test_a_file_that_somebody_else_brought_back_is_undone(photos: Photos, trash: Path) -> None:
    photos.apply(photos.pair())
    (trash / "files" / "a.jpg").rename(photos.path("a.jpg"))
    assert photos.undo().refused == []
    assert not journal(photos.catalog)[0].can_be_undone


def test_the_journal_says_what_was_done(photos: Photos, to: Path) -> None:
    photos.apply(photos.pair())
    photos.apply(photos.pair("b.jpg", "l.jpg"), to=to)
    photos.undo(1)
    first, second = journal(photos.catalog)
    assert [(deed.state, deed.how) for deed in (*first.deeds, *second.deeds)] == [
        ("undone", "trash"),
        ("done", "folder"),
    ]
    (deed,) = second.deeds
    assert (deed.path, deed.keeper, deed.reason) == (b"b.jpg", b"l.jpg", "equal bytes")
    assert deed.went_to == os.fsencode(to / "b.jpg")
    assert not first.can_be_undone
    assert second.can_be_undone
    assert "done: b.jpg, folder to" in str(second)
    said = json.loads(json.dumps(second.to_dict()))
    assert said["deeds"][0]["path"] == "b.jpg"
    assert datetime.fromisoformat(said["begun"]).tzinfo is not None


def test_reports_say_what_went_and_what_stays(photos: Photos) -> None:
    good, bad = photos.pair(), photos.pair("b.jpg", "l.jpg")
    photos.path("b.jpg").unlink()
    dry = photos.apply(good, bad, dry_run=True)
    assert str(dry).startswith("1 files would go, 14 bytes\n1 stay:\n  b.jpg: it is not there")
    report = photos.apply(good, bad)
    assert str(report).startswith("1 files went, 14 bytes; act 1")
    assert json.loads(json.dumps(report.to_dict()))["refused"][0]["path"] == "b.jpg"
    undone = photos.undo()
    assert str(undone) == "1 files of act 1 are back"
    assert json.loads(json.dumps(undone.to_dict()))["restored"][0]["path"] == "a.jpg"


def test_a_cancelled_act_can_be_undone(photos: Photos) -> None:
    removals = [photos.pair(f"{n}.jpg", f"k{n}.jpg") for n in range(3)]
    before = photos.files()
    seen = []

    def progress(done: int, total: int | None) -> bool:
        seen.append((done, total))
        return done < 2

    with pytest.raises(Cancelled, match="after 2 of 3"):
        photos.apply(*removals, progress=progress)
    assert seen == [(0, 3), (1, 3), (2, 3)]
    assert len(photos.files()) == len(before) - 2
    photos.undo()
    assert photos.files() == before


def test_a_cancelled_undo_leaves_the_rest_to_be_undone_later(photos: Photos) -> None:
    removals = [photos.pair(f"{n}.jpg", f"k{n}.jpg") for n in range(3)]
    before = photos.files()
    photos.apply(*removals)
    with pytest.raises(Cancelled, match=r"after 1 of 3 files\. Those are back"):
        photos.undo(progress=lambda done, _: done < 1)
    assert set(before) - set(photos.files()) == {"0.jpg", "1.jpg"}  # the last went back first
    assert [deed.path for deed in journal(photos.catalog)[0].away] == [b"1.jpg", b"0.jpg"]
    assert photos.knows("2.jpg")
    seen = []
    photos.undo(progress=lambda *told: seen.append(told))
    assert seen == [(0, 2), (1, 2), (2, 2)]
    assert photos.files() == before


def test_it_is_too_late_to_cancel_when_all_is_done(photos: Photos) -> None:
    removal = photos.pair()
    assert photos.apply(removal, progress=lambda done, _: done < 1).done == [removal]
    assert len(photos.undo(progress=lambda done, _: done < 1).restored) == 1


def test_a_check_that_is_cancelled_touches_nothing(photos: Photos) -> None:
    removal = photos.pair()
    before = photos.files()
    with pytest.raises(Cancelled, match="Nothing was touched"):
        photos.apply(removal, dry_run=True, progress=lambda *_: False)
    photos.apply(removal)
    with pytest.raises(Cancelled, match="Nothing was touched"):
        photos.undo(dry_run=True, progress=lambda *_: False)
    assert set(before) - set(photos.files()) == {"a.jpg"}


# ---- the acts in figures


def test_acts_are_told_in_figures_the_last_first(photos: Photos, to: Path) -> None:
    pairs = [photos.pair(f"{n}.jpg", f"k{n}.jpg") for n in range(3)]
    photos.apply(*pairs[:2])
    photos.apply(pairs[2], to=to)
    with pytest.raises(Cancelled):
        photos.undo(1, progress=lambda done, _: done < 1)
    last, first = acts(photos.catalog)
    size = pairs[0].size
    assert (last.number, last.how, last.files, last.away) == (2, "folder", 1, 1)
    assert (first.number, first.how, first.files, first.bytes) == (1, "trash", 2, 2 * size)
    assert (first.away, first.away_bytes, first.undone, first.failed) == (1, size, 1, 0)
    assert first.begun == journal(photos.catalog)[0].begun
    assert acts(photos.catalog, 1, 1) == [first]
    assert count_acts(photos.catalog) == 2
    photos.undo(2)
    assert last_away(photos.catalog) == first
    photos.undo(1)
    assert last_away(photos.catalog) is None
    assert facts_of_act(photos.catalog, 3) is None


def test_what_could_not_be_moved_is_no_file_of_an_act(
    photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("lookalike.album.trash.move_to_trash", refuse)
    photos.apply(photos.pair())
    (act,) = acts(photos.catalog)
    assert (act.files, act.bytes, act.failed, act.can_be_undone) == (0, 0, 1, False)


@pytest.mark.parametrize("what", ["how = 'shred'", "size = 1.5", "begun_ns = 'now'"])
def test_an_act_that_cannot_be_is_told(photos: Photos, what: str) -> None:
    photos.apply(photos.pair())
    with photos.catalog.change():
        photos.catalog.run(f"UPDATE deeds SET {what}", [()])
    with pytest.raises(CorruptStore):
        acts(photos.catalog)


def test_moving_to_the_trash_without_send2trash_says_what_to_install(
    photos: Photos, monkeypatch: pytest.MonkeyPatch, to: Path
) -> None:
    import sys

    removal = photos.pair()
    monkeypatch.setitem(sys.modules, "send2trash", None)
    for dry_run in (True, False):
        with pytest.raises(MissingExtra, match=r"lookalike\[pictures\]"):
            photos.apply(removal, dry_run=dry_run)
    assert photos.path("a.jpg").exists()
    assert photos.apply(removal, to=to).done == [removal]


@pytest.mark.parametrize("where", ["sub", "sub/deep", ".hidden", ".", "..", "link", "file"])
@pytest.mark.parametrize("dry_run", [True, False])
def test_files_are_moved_out_of_the_album_alone(
    photos: Photos, tmp_path: Path, where: str, dry_run: bool
) -> None:
    removal = photos.pair()
    photos.path("sub").mkdir()
    (tmp_path / "link").symlink_to(photos.path("sub"))
    (tmp_path / "file").write_bytes(b"")
    to = tmp_path / where if where in ("link", "file") else photos.root / where
    with pytest.raises(InvalidInput, match=r"files (must be moved|can be moved) to a folder"):
        photos.apply(removal, to=to, dry_run=dry_run)
    assert photos.path("a.jpg").exists()


def test_the_trash_of_a_mount_is_known(photos: Photos, tmp_path: Path) -> None:
    user = str(os.getuid())
    for trash in (tmp_path / f".Trash-{user}", tmp_path / ".Trash" / user):
        for part in ("files", "info"):
            (trash / part).mkdir(parents=True, exist_ok=True)
        (tmp_path / ".Trash").mkdir(exist_ok=True)
        (tmp_path / ".Trash").chmod(0o1777)
        removal = photos.pair()
        photos.apply(removal)
        (deed,) = journal(photos.catalog)[-1].deeds
        assert deed.went_to is not None
        Path(os.fsdecode(deed.went_to)).rename(trash / "files" / "a.jpg")
        (trash / "info" / "a.jpg.trashinfo").write_text(
            f"[Trash Info]\nPath=photos/a.jpg\nDeletionDate={datetime.now():%Y-%m-%dT%H:%M:%S}\n"
        )
        assert photos.undo().refused == []
        assert contents_of(trash) == {}


def test_a_trash_that_does_not_say_what_it_has_is_named(
    photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trash_module, "CAN_LOOK", False)  # as on macOS
    assert len(photos.apply(photos.pair()).done) == 1
    assert set(photos.files()) == {"k.jpg"}
    assert "take it out there" in why(photos.undo())


def test_a_plan_is_applied_to_its_own_album_alone(photos: Photos, tmp_path: Path) -> None:
    removal = photos.pair()
    other = Photos(tmp_path / "other")
    assert other.pair() == removal
    with pytest.raises(
        InvalidInput, match=f"a plan must be of the album .*got one of {photos.root}"
    ):
        apply(other.root, other.catalog, photos.plan(removal), dry_run=False)
    assert sorted(other.files()) == ["a.jpg", "k.jpg"]
    (tmp_path / "way").symlink_to(photos.root)
    apply(tmp_path / "way", photos.catalog, photos.plan(removal), dry_run=False)
    assert sorted(photos.files()) == ["k.jpg"]
