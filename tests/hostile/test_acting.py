"""No file is lost or goes that must not: bad plans, races, faults, and kills at every step."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.album.removing import Photos, contents_of, digest_of, private_trash, why

from lookalike.album import moving
from lookalike.album import trash as trash_module
from lookalike.album.acting import journal, recover
from lookalike.album.catalog import Catalog
from lookalike.album.places import place_at
from lookalike.album.plan import Removal
from lookalike.errors import CorruptStore, InvalidInput

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
OTHER_DEVICE = Path("/dev/shm")  # another file system than that of temporary folders


@pytest.fixture(autouse=True)
def trash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return private_trash(monkeypatch, tmp_path / "user")


@pytest.fixture
def photos(tmp_path: Path) -> Photos:
    return Photos(tmp_path / "photos")


@pytest.fixture
def to(tmp_path: Path) -> Path:
    return tmp_path / "elsewhere"


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system."""
    if not OTHER_DEVICE.is_dir() or OTHER_DEVICE.stat().st_dev == tmp_path.stat().st_dev:
        assert "LOOKALIKE_CI" not in os.environ
        pytest.skip("needs a second file system")
    with tempfile.TemporaryDirectory(dir=OTHER_DEVICE) as folder:
        yield Path(folder)


def check_refused(photos: Photos, text: str, *removals: Any, **options: Any) -> None:
    """None of some removals is done, in any way; the reason has a text."""
    before = photos.files()
    for way in ({"dry_run": True}, {}, {"to": photos.root.parent / "elsewhere"}):
        report = photos.apply(*removals, **options, **way)
        assert report.done == []
        assert all(text in refusal.why for refusal in report.refused), report.refused
        assert len(report.refused) == len(removals)
    assert photos.files() == before


# ---- what must stay


def test_a_file_that_has_changed_stays(photos: Photos) -> None:
    removal = photos.pair()
    size = photos.path("a.jpg").stat().st_size
    photos.path("a.jpg").write_bytes(b"x" * size)
    check_refused(photos, "its bytes are not those", removal)
    photos.path("a.jpg").write_bytes(b"x" * (size + 1))
    check_refused(photos, "15 bytes, and 14 in the plan", removal)
    photos.path("a.jpg").unlink()
    check_refused(photos, "not there any more", removal)


def test_a_file_stays_when_its_keeper_has_changed_or_gone(photos: Photos) -> None:
    exact = photos.pair()
    photos.put("b.jpg", b"similar")
    similar = photos.removal("b.jpg", "k.jpg")
    photos.path("k.jpg").write_bytes(b"x" * 14)
    check_refused(photos, "what is to stay, k.jpg: its bytes are not those", exact, similar)
    photos.path("k.jpg").unlink()
    check_refused(photos, "what is to stay, k.jpg: it is not there", exact, similar)
    photos.path("k.jpg").mkdir()
    check_refused(photos, "what is to stay, k.jpg: it is no file", exact, similar)


def test_exact_duplicates_are_compared_byte_by_byte(photos: Photos) -> None:
    photos.put("a.jpg", b"one")
    photos.put("k.jpg", b"two")
    claimed = dataclasses.replace(photos.removal("a.jpg", "k.jpg"), exact=True)
    check_refused(photos, "it has not the bytes of what is to stay", claimed)


@pytest.mark.parametrize("longer", ["a.jpg", "k.jpg"])
def test_exact_duplicates_have_the_same_length(photos: Photos, longer: str) -> None:
    photos.put("a.jpg", b"x" * (1 << 20))
    photos.put("k.jpg", b"x" * (1 << 20))
    photos.put(longer, b"x" * ((1 << 20) + 1))
    claimed = dataclasses.replace(photos.removal("a.jpg", "k.jpg"), exact=True)
    check_refused(photos, "it has not the bytes of what is to stay", claimed)


def test_a_keeper_that_goes_as_well_keeps_nothing(photos: Photos) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        photos.put(name, b"the same")
    pairs = [("a.jpg", "b.jpg"), ("b.jpg", "c.jpg"), ("c.jpg", "a.jpg")]
    a, b, c = (photos.removal(*pair) for pair in pairs)
    check_refused(photos, "is to go as well", a, b, c)
    check_refused(photos, "is to go as well", dataclasses.replace(a, keeper=b"a.jpg"))
    report = photos.apply(a, b)  # a chain: the last one of it stays for the one before
    assert report.done == [b]
    assert "b.jpg, is to go as well" in why(report)


def test_a_keeper_that_an_earlier_plan_removed_keeps_nothing(photos: Photos) -> None:
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        photos.put(name, b"the same")
    first, second = photos.removal("b.jpg", "c.jpg"), photos.removal("a.jpg", "b.jpg")
    photos.apply(first)
    check_refused(photos, "what is to stay, b.jpg: it is not there", second)


def test_another_name_of_the_keeper_stays(photos: Photos) -> None:
    photos.put("k.jpg", b"the same")
    photos.path("a.jpg").hardlink_to(photos.path("k.jpg"))
    check_refused(photos, "by another name or mount", photos.removal("a.jpg", "k.jpg"))


def test_another_name_of_what_stays_for_another_file_stays(photos: Photos) -> None:
    """A name may be one and the same in another spelling, or through another mount."""
    for name in ("a.jpg", "k.jpg", "l.jpg"):
        photos.put(name, b"the same")
    photos.path("K.JPG").hardlink_to(photos.path("k.jpg"))
    first, second = photos.removal("a.jpg", "k.jpg"), photos.removal("K.JPG", "l.jpg")
    for dry_run in (True, False):
        report = photos.apply(first, second, dry_run=dry_run)
        assert report.done == [first]
        assert "it is what stays for one that has gone" in why(report)
    assert set(photos.files()) == {"K.JPG", "k.jpg", "l.jpg"}


def test_files_of_reference_folders_stay(photos: Photos) -> None:
    removal, deep = photos.pair("ref/a.jpg"), photos.pair("ref/deep/a.jpg")
    check_refused(photos, "reference folder", removal, deep, protected=(b"other", b"ref"))
    check_refused(photos, "reference folder", removal, protected=(b"",))
    assert photos.apply(removal, protected=(b"re", b"ref/deep")).done == [removal]


def test_files_of_a_reference_folder_stay_by_another_path_to_it(photos: Photos) -> None:
    removal = photos.pair("mounted/a.jpg")
    photos.path("ref").mkdir()
    if subprocess.run(["mount", "--bind", photos.path("mounted"), photos.path("ref")]).returncode:
        pytest.skip("needs the right to mount")
    try:
        check_refused(photos, "reference folder", removal, protected=(b"ref",))
        same = photos.removal("mounted/a.jpg", "ref/a.jpg")
        check_refused(photos, "by another name or mount", same)
    finally:
        subprocess.run(["umount", photos.path("ref")], check=True)


@pytest.mark.parametrize(
    "path", [".lookalike/catalog.sqlite", ".LookAlike/a.jpg", "sub/.lookalike/pdq.index/a.jpg"]
)
def test_the_own_files_of_an_album_stay(photos: Photos, path: str) -> None:
    if not photos.path(path).exists():
        photos.put(path, b"own")
    photos.put("k.jpg", photos.path(path).read_bytes())
    check_refused(photos, "own files", photos.removal(path, "k.jpg"))
    removal = photos.removal("k.jpg", path)
    check_refused(photos, "own files", removal)


def test_the_own_files_stay_wherever_they_are(photos: Photos) -> None:
    shutil.move(photos.home, photos.path("index"))
    photos.catalog.close()
    photos.catalog = Catalog(photos.path("index"), create=False)
    check_refused(photos, "own files", photos.pair("index/a.jpg", "k.jpg"))


def test_nothing_goes_through_a_symbolic_link(photos: Photos, tmp_path: Path) -> None:
    removal = photos.pair("folder/a.jpg", "kept/k.jpg")
    for name in ("folder", "kept"):
        shutil.move(photos.path(name), tmp_path / name)
        photos.path(name).symlink_to(tmp_path / name)
        check_refused(photos, f"{name} is a symbolic link", removal)
        photos.path(name).unlink()
        shutil.move(tmp_path / name, photos.path(name))
    for name in ("folder/a.jpg", "kept/k.jpg"):
        shutil.move(photos.path(name), tmp_path / "file")
        photos.path(name).symlink_to(tmp_path / "file")
        check_refused(photos, "it is a symbolic link", removal)
        photos.path(name).unlink()
        shutil.move(tmp_path / "file", photos.path(name))
    assert photos.apply(removal).done == [removal]


@pytest.mark.parametrize("path", [b"../a.jpg", b"/etc/passwd", b"a/../../b", b"", b"./a", b"a//b"])
def test_a_plan_stays_in_the_album(photos: Photos, path: bytes) -> None:
    removal = photos.pair()
    with pytest.raises(InvalidInput, match="path must be a path in the album"):
        dataclasses.replace(removal, path=path)
    with pytest.raises(InvalidInput, match="keeper must be a path in the album"):
        dataclasses.replace(removal, keeper=path)


def test_a_fifo_and_a_folder_stay(photos: Photos) -> None:
    removal = photos.pair()
    photos.path("a.jpg").unlink()
    os.mkfifo(photos.path("a.jpg"))
    check_refused(photos, "it is no file", removal)  # and nobody waits for it
    photos.path("a.jpg").unlink()
    photos.path("a.jpg").mkdir()
    check_refused(photos, "it is no file", removal)


def test_a_link_in_the_folder_to_move_to_is_not_followed(
    photos: Photos, to: Path, tmp_path: Path
) -> None:
    removal = photos.pair("sub/a.jpg")
    to.mkdir()
    (to / "sub").symlink_to(photos.root)
    for dry_run in (True, False):
        report = photos.apply(removal, to=to, dry_run=dry_run)
        assert "sub is a symbolic link" in why(report)
    assert set(photos.files()) == {"k.jpg", "sub/a.jpg"}


def test_the_trash_of_another_file_system_is_on_it(tmp_path: Path) -> None:
    drive = tmp_path / "drive"
    drive.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", drive]).returncode:
        pytest.skip("needs the right to mount")
    try:
        photos = Photos(drive / "photos")
        removal = photos.pair("sub/a.jpg")
        before = photos.files()
        assert photos.apply(removal).done == [removal]
        trash = drive / f".Trash-{os.getuid()}"
        assert contents_of(trash / "files") == {"a.jpg": before["sub/a.jpg"]}
        assert photos.undo().refused == []
        assert (photos.files(), contents_of(trash)) == (before, {})
        photos.catalog.close()
    finally:
        subprocess.run(["umount", drive], check=True)


# ---- faults


@pytest.mark.parametrize("broken", ["a file", "no room for info"])
def test_a_trash_that_fails_moves_and_deletes_nothing(
    photos: Photos, trash: Path, broken: str
) -> None:
    removal = photos.pair()
    before = photos.files()
    if broken == "a file":
        trash.write_bytes(b"in the way")
    else:
        trash.mkdir()
        (trash / "info").write_bytes(b"in the way")
    report = photos.apply(removal)
    assert "the trash refuses it" in why(report)
    assert report.act is None  # there is nothing to undo
    assert photos.files() == before
    assert photos.knows("a.jpg")
    (deed,) = journal(photos.catalog)[0].deeds
    assert deed.state == "failed"
    assert "the trash refuses it" in str(deed.why)


def test_a_trash_that_deletes_is_not_believed(
    photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    removal = photos.pair()
    before = photos.files()
    monkeypatch.setattr(trash_module, "_send", os.unlink)
    for can_look in (True, False):
        monkeypatch.setattr(trash_module, "CAN_LOOK", can_look)
        assert "it is back, as" in why(photos.apply(removal))
        assert photos.files() == before


def without_the_call(source: Any, target: Any) -> None:
    raise OSError(errno.EINVAL, "as NFS says")


def test_a_file_system_without_the_careful_rename_takes_a_copy(
    photos: Photos, to: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "_renameat2", without_the_call)
    removal = photos.pair()
    before = photos.files()
    assert photos.apply(removal, to=to).done == [removal]
    assert contents_of(to) == {"a.jpg": before["a.jpg"]}
    assert set(photos.files()) == {"k.jpg"}
    photos.undo()
    assert (photos.files(), contents_of(to)) == (before, {})
    (to / "a.jpg").write_bytes(b"taken")
    assert photos.apply(removal, to=to).done == [removal]
    assert set(contents_of(to)) == {"a.jpg", "a (2).jpg"}


def test_a_copy_keeps_times_mode_and_attributes(photos: Photos, far: Path) -> None:
    removal = photos.pair()
    path = photos.path("a.jpg")
    path.chmod(0o640)
    os.utime(path, ns=(10**18 + 1, 10**18 + 7))
    with contextlib.suppress(OSError):
        os.setxattr(path, "user.tags", b"holiday")
    attributes = os.listxattr(path)
    photos.apply(removal, to=far)
    copy = (far / "a.jpg").stat()
    assert (copy.st_mtime_ns, copy.st_mode & 0o777) == (10**18 + 7, 0o640)
    photos.undo()
    back = path.stat()
    assert (back.st_mtime_ns, back.st_mode & 0o777) == (10**18 + 7, 0o640)
    assert set(os.listxattr(path)) <= set(attributes)


@pytest.mark.parametrize("step", ["write", "fsync", "rename", "link"])
def test_a_disk_that_refuses_a_step_loses_nothing(
    photos: Photos, far: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    removal = photos.pair()
    before = photos.files()

    def refuse(*args: Any, **options: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, step, refuse)
        report = photos.apply(removal, to=far)
        trashed = photos.apply(removal) if not report.done else report
    assert bool(report.done) == (step == "link")  # which is only a second hand
    if trashed.done:
        photos.undo()
    assert photos.files() == before
    assert not [name for name in contents_of(far) if "lookalike" in name]


def test_a_copy_that_is_not_like_the_file_is_not_believed(
    photos: Photos, far: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removal = photos.pair()
    before = photos.files()
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real(file, data[:-1] + b"?"))
    assert "its copy is not like it" in why(photos.apply(removal, to=far))
    assert (photos.files(), contents_of(far)) == (before, {})


def test_a_private_name_goes_when_its_bytes_are_elsewhere_and_not_before(tmp_path: Path) -> None:
    held, proof = tmp_path / "held", tmp_path / "proof"
    with place_at(os.fsencode(held)) as one, place_at(os.fsencode(proof)) as other:
        assert one is not None
        assert other is not None
        for own, copy in ((b"a", b"b"), (b"b", b"a"), (b"a", None)):
            held.write_bytes(own)
            proof.unlink(missing_ok=True)
            if copy is not None:
                proof.write_bytes(copy)
            assert not moving.drop(one, other, digest_of(b"a"))
            assert held.read_bytes() == own
        proof.write_bytes(b"a")
        assert moving.drop(one, other, digest_of(b"a"))
        assert not held.exists()
        held.hardlink_to(proof)
        assert moving.drop(one, other, digest_of(b"of before it was changed"))
        assert (held.exists(), proof.read_bytes()) == (False, b"a")


# ---- races


def replaced(path: Path, data: bytes) -> None:
    """As editors save."""
    new = path.with_name("new")
    new.write_bytes(data)
    new.replace(path)


def rewritten(path: Path, data: bytes) -> None:
    """In its place; with the times of before, as some programs do."""
    before = path.stat()
    path.write_bytes(data[: before.st_size].ljust(before.st_size))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def swapped_folder(path: Path, data: bytes) -> None:
    """The folder becomes a link to another one with a file of the same name."""
    other = path.parent.with_name("other")
    other.mkdir()
    (other / path.name).write_bytes(data)
    path.parent.rename(path.parent.with_name("was"))
    path.parent.symlink_to(other)


@pytest.mark.parametrize("change", [replaced, rewritten])
@pytest.mark.parametrize("way", ["folder", "far", "trash"])
def test_a_file_that_changes_at_the_last_moment_stays(
    photos: Photos,
    to: Path,
    far: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path, bytes], None],
    way: str,
) -> None:
    removal = photos.pair("folder/a.jpg")
    path = photos.path("folder/a.jpg")
    module: Any = trash_module if way == "trash" else moving
    name = "_send" if way == "trash" else "_renameat2"
    real = getattr(module, name)
    times = iter([True])

    def late(*args: Any) -> Any:
        if next(times, False):
            change(path, b"just saved by an editor")
        return real(*args)

    monkeypatch.setattr(module, name, late)
    report = photos.apply(removal, to={"folder": to, "far": far, "trash": None}[way])
    assert report.done == []
    assert path.read_bytes() == b"just saved by an editor"[: 23 if change is replaced else 14]
    left = {name for name in photos.files() if "lookalike" in name}
    assert left == set()


@pytest.mark.parametrize("way", ["folder", "trash"])
def test_a_folder_that_becomes_a_link_at_the_last_moment_is_not_followed(
    photos: Photos, to: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    removal = photos.pair("folder/a.jpg")
    path = photos.path("folder/a.jpg")
    module: Any = trash_module if way == "trash" else moving
    name = "hold" if way == "trash" else "_renameat2"
    real = getattr(module, name)
    times = iter([True])

    def late(*args: Any) -> Any:
        if next(times, False):
            swapped_folder(path, b"bytes of k.jpg")
        return real(*args)

    monkeypatch.setattr(module, name, late)
    photos.apply(removal, to=to if way == "folder" else None)
    assert photos.path("other/a.jpg").read_bytes() == b"bytes of k.jpg"


def test_a_file_that_is_saved_while_its_copy_is_made_is_not_lost(
    photos: Photos, far: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removal = photos.pair()
    real = os.rename

    def late(*args: Any, **options: Any) -> None:
        replaced(photos.path("a.jpg"), b"just saved by an editor")
        real(*args, **options)

    monkeypatch.setattr(os, "rename", late)
    reason = why(photos.apply(removal, to=far))
    assert reason.startswith("it has changed just now; it is back, as")
    assert f"a copy of it is at {far}/a.jpg" in reason
    assert photos.files() == {"a.jpg": b"just saved by an editor", "k.jpg": b"bytes of k.jpg"}
    assert contents_of(far) == {"a.jpg": b"bytes of k.jpg"}


def test_a_keeper_that_changes_at_the_last_moment_keeps_nothing(
    photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    removal = photos.pair()
    real = Catalog.change

    def late(catalog: Catalog) -> Any:
        replaced(photos.path("k.jpg"), b"just saved by an editor")
        return real(catalog)

    monkeypatch.setattr(Catalog, "change", late)
    assert "what is to stay has changed just now" in why(photos.apply(removal))
    assert photos.path("a.jpg").exists()


def test_a_name_that_is_taken_at_the_last_moment_is_not_overwritten(
    photos: Photos, to: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removal = photos.pair()
    real = moving._renameat2
    times = iter([to / "a.jpg", to / "a (2).jpg"])

    def late(*args: Any) -> Any:
        if (path := next(times, None)) is not None:
            path.write_bytes(b"mine")
        return real(*args)

    monkeypatch.setattr(moving, "_renameat2", late)
    assert photos.apply(removal, to=to).done == [removal]
    assert contents_of(to) == {
        "a.jpg": b"mine",
        "a (2).jpg": b"mine",
        "a (3).jpg": b"bytes of k.jpg",
    }
    times = iter([photos.path("a.jpg")])
    assert "another file has its name" in why(photos.undo())
    assert photos.path("a.jpg").read_bytes() == b"mine"
    assert (to / "a (3).jpg").read_bytes() == b"bytes of k.jpg"


# ---- a journal of a stranger


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("path", b"../../outside.jpg"),
        ("path", b"/etc/outside.jpg"),
        ("path", "text"),
        ("went_to", b"relative"),
        ("went_to", b"/a\0b"),
        ("state", "lost"),
        ("how", "rm"),
        ("token", "../../x"),
    ],
)
def test_a_journal_is_believed_in_nothing(
    photos: Photos, to: Path, column: str, value: Any
) -> None:
    photos.apply(photos.pair(), to=to)
    photos.catalog.run(f"UPDATE deeds SET {column} = ?", [(value,)])
    with pytest.raises(CorruptStore, match="cannot be"):
        photos.undo()
    assert set(contents_of(to)) == {"a.jpg"}


def test_undo_takes_from_the_trash_what_is_in_the_trash(photos: Photos, tmp_path: Path) -> None:
    photos.apply(photos.pair())
    (tmp_path / "private").write_bytes(b"bytes of k.jpg")
    photos.catalog.run("UPDATE deeds SET went_to = ?", [(os.fsencode(tmp_path / "private"),)])
    assert "not in the trash of this user" in why(photos.undo())


def test_undo_goes_through_no_link_and_not_among_the_own_files(
    photos: Photos, to: Path, tmp_path: Path
) -> None:
    photos.apply(photos.pair("folder/a.jpg"), to=to)
    photos.path("folder").rmdir()
    photos.path("folder").symlink_to(tmp_path)
    for dry_run in (True, False):
        assert "folder is a symbolic link" in why(photos.undo(dry_run=dry_run))
    photos.catalog.run("UPDATE deeds SET path = ?", [(b".lookalike/a.jpg",)])
    assert "own files" in why(photos.undo())
    assert not (tmp_path / "a.jpg").exists()


# ---- kills

STEPS = ("link", "rename", "unlink", "mkdir", "fsync", "write", "utime")


class Killer:
    """Kills its process before one of the calls that change a disk, counted from 0."""

    def __init__(self, at: int) -> None:
        self.left = at

    def step(self) -> None:
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1

    def before(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            self.step()
            return real(*args, **options)

        return call

    def install(self) -> None:
        for name in STEPS:
            setattr(os, name, self.before(getattr(os, name)))
        moving._renameat2 = self.before(moving._renameat2)
        change = Catalog.change

        @contextlib.contextmanager
        def counted(catalog: Catalog) -> Iterator[None]:
            self.step()
            with change(catalog):
                yield
            self.step()

        Catalog.change = counted  # type: ignore[method-assign, assignment]


def is_killed(root: Path, at: int, act: Callable[[Photos], object]) -> bool:
    """Act in a child that is killed at a step; whether it lived for as long."""
    child = os.fork()
    if child == 0:
        try:
            photos = Photos(root)
            Killer(at).install()
            act(photos)
            os._exit(0)
        except BaseException:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def applying(removal: Removal, to: Path | None) -> Callable[[Photos], object]:
    return lambda album: album.apply(removal, to=to)


def check_after_kill(photos: Photos, places: list[Path], data: bytes) -> None:
    """The bytes are at a place; the journal comes to agree; undo brings all back."""
    found = [own for place in places for own in contents_of(place).values() if own == data]
    assert len(found) >= 2, "one of them is the keeper"
    settled = recover(photos.root, photos.catalog)
    is_there = photos.path("folder/a.jpg").exists()
    for deed in settled:
        assert deed.state in (("failed", "undone") if is_there else ("done",)), deed
    assert recover(photos.root, photos.catalog) == []
    names = [name for place in places for name in contents_of(place)]
    assert not [name for name in names if "lookalike" in name], names
    assert is_there == photos.knows("folder/a.jpg") if is_there else True
    if not is_there:
        assert photos.undo().refused == []
    assert photos.files() == {"folder/a.jpg": data, "k.jpg": data}


@pytest.mark.parametrize("way", ["trash", "trash that copies", "folder", "far"])
@pytest.mark.parametrize("undoing", [False, True])
def test_a_kill_at_any_step_loses_nothing(
    tmp_path: Path,
    trash: Path,
    to: Path,
    far: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
    undoing: bool,
) -> None:
    if way == "trash that copies":
        trash = private_trash(monkeypatch, far / "user")
        monkeypatch.setenv("HOME", str(tmp_path))  # which is where Send2Trash looks
    data = b"the same"
    for at in itertools.count():
        photos = Photos(tmp_path / str(at))
        photos.put("folder/a.jpg", data)
        photos.put("k.jpg", data)
        removal = photos.removal("folder/a.jpg", "k.jpg")
        own = {"folder": to / str(at), "far": far / str(at)}.get(way)
        if undoing:
            assert photos.apply(removal, to=own).done == [removal]
        photos.catalog.close()
        was_killed = is_killed(photos.root, at, Photos.undo if undoing else applying(removal, own))
        photos = Photos(photos.root)
        places = [photos.root, own or trash / "files"]
        for place in places:
            place.mkdir(parents=True, exist_ok=True)
        check_after_kill(photos, places, data)
        photos.catalog.close()
        shutil.rmtree(trash, ignore_errors=True)
        if not was_killed:
            break
    assert at > 8, "there are as many steps at the least"


def test_a_file_that_went_is_known_also_when_its_folder_is_gone(photos: Photos, to: Path) -> None:
    removals = photos.pair("one/a.jpg", "k.jpg"), photos.pair("two/b.jpg", "l.jpg")
    before = photos.files()
    photos.apply(removals[0], to=to)
    photos.apply(removals[1])
    photos.catalog.run("UPDATE deeds SET state = 'begun'", [()])
    photos.catalog.run("UPDATE deeds SET went_to = NULL WHERE how = 'trash'", [()])
    for name in ("one", "two"):
        photos.path(name).rmdir()
    assert [deed.state for deed in recover(photos.root, photos.catalog)] == ["done", "done"]
    photos.undo(1)
    photos.undo(2)
    assert photos.files() == before


def test_what_was_in_the_trash_before_is_not_what_went(photos: Photos, trash: Path) -> None:
    photos.apply(photos.pair())
    photos.catalog.run("UPDATE deeds SET state = 'begun', went_to = NULL", [()])
    info = trash / "info" / "a.jpg.trashinfo"
    for path, year in ((photos.path("a.jpg"), 2020), (photos.path("b.jpg"), 2099)):
        info.write_text(f"[Trash Info]\nPath={path}\nDeletionDate={year}-01-01T00:00:00\n")
        since = photos.catalog.ask("SELECT begun_ns FROM deeds")[0][0]
        own = os.fsencode(photos.path("a.jpg"))
        assert trash_module.find(own, digest_of(b"bytes of k.jpg"), since) is None
    (deed,) = recover(photos.root, photos.catalog)
    assert deed.state == "failed"


def test_a_file_that_cannot_be_found_is_said_to_be_lost(photos: Photos, to: Path) -> None:
    photos.apply(photos.pair(), to=to)
    photos.catalog.run("UPDATE deeds SET state = 'begun'", [()])
    (to / "a.jpg").unlink()
    (deed,) = recover(photos.root, photos.catalog)
    assert deed.state == "failed"
    assert deed.why == "it is neither where it was nor where it was to go"


def test_a_kill_is_put_in_order_by_the_next_act(photos: Photos) -> None:
    removal, other = photos.pair("folder/a.jpg"), photos.pair("b.jpg", "l.jpg")
    photos.catalog.close()
    assert is_killed(photos.root, 4, applying(removal, None))
    photos = Photos(photos.root)
    report = photos.apply(other)
    assert [deed.path for deed in report.settled] == [b"folder/a.jpg"]
    assert "of an earlier run that was cut off" in str(report)
    assert digest_of(b"bytes of k.jpg") == removal.digest
