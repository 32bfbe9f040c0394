"""What the disk refuses changes nothing: not the index in memory, not the one on the disk."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from tests.store.conftest import (
    Contents,
    Step,
    check_answers,
    hooked,
    item,
    items,
    on_disk,
    operations,
    saved,
)

import lookalike
from lookalike import Cancelled, Index, NotWritten, UnreadableFile, archive
from lookalike.planner.planner import Planner
from lookalike.store import disk
from lookalike.store.array_file import ArrayFile

pytestmark = pytest.mark.usefixtures("no_waiting")

ERRORS = [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS]
LINES = 23  # of which one is interrupted at
TAILS = 7  # so that one change more merges eight

STEPS: dict[str, tuple[int, Step]] = {
    # The name says what it writes; the number is the least bytes of a base.
    "a merge": (1 << 24, Step("add", [100, 101])),
    "a tail that replaces and goes back": (1 << 24, Step("add", [200, 3, 100], version=1)),
    "removed rows": (1 << 24, Step("remove", [1, 2, 30])),
    "a base": (16, Step("add", [*range(100, 140)])),
    "a compaction": (1 << 24, Step("compact", [])),
}


class Refusing:
    """Refuses one operation, or that one and all after it.

    Parameters
    ----------
    at : int
        Which operation, from 0.
    error : OSError or KeyboardInterrupt
    lasting : bool
    part : float
        How much of a write is done before.
    """

    def __init__(
        self, at: int, error: BaseException, *, lasting: bool = False, part: float = 0.0
    ) -> None:
        self.at, self.error, self.lasting, self.part = at, error, lasting, part
        self.names: list[str] = []

    def __call__(self, name: str, real: Callable[..., Any], *args: Any) -> Any:
        number = len(self.names)
        self.names.append(name)
        if number == self.at or (self.lasting and number > self.at):
            if name == "write" and self.part:
                file, data = args
                real(file, data[: int(len(data) * self.part)])
            raise self.error
        return real(*args)


def refused(code: int) -> OSError:
    return OSError(code, os.strerror(code))


class Place:
    """An index on a disk, again and again as it was in the beginning."""

    def __init__(self, path: Path) -> None:
        self.path, self.start = path / "index", path / "start"
        self.known = saved(self.start, tails=TAILS)

    def fresh(self) -> Path:
        shutil.rmtree(self.path, ignore_errors=True)
        shutil.copytree(self.start, self.path)
        return self.path

    def opened(self, *, searched: bool = True) -> Index:
        index = Index.open(self.fresh(), "r+")
        if searched:
            check_answers(index, self.known)
        return index


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def must_be_refused(names: list[str]) -> int:
    """How many of the operations come before a commit is on the disk for good.

    What follows is no longer needed: a second manifest, and the removal of what was replaced.
    """
    return commit_of(names) + 2


def commit_of(names: list[str]) -> int:
    """Which operation gives the manifest its place: that of its copy is not waited for."""
    return max(at for at, pair in enumerate(pairwise(names)) if pair == ("replace", "sync_folder"))


def check_goes_on(index: Index, path: Path, known: Contents) -> None:
    """Memory and disk hold this, and the next changes are as if nothing had been."""
    check_answers(index, known)
    assert on_disk(path) == known
    assert index.add(items([9_000]), [9_000]).tolist() == [9_000]
    index.remove([9_000, min(known)])
    now = {one: known[one] for one in known if one != min(known)}
    check_answers(index, now)
    check_answers(Index.open(path, verify="full"), now)


@pytest.mark.parametrize("code", ERRORS, ids=errno.errorcode.get)
@pytest.mark.parametrize("name", STEPS)
def test_a_refusal_leaves_the_old_state(
    name: str, code: int, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    least, step = STEPS[name]
    monkeypatch.setattr(archive, "_LEAST_BASE_BYTES", least)
    with place.opened() as index:
        names = operations(lambda: step.of_index(index))
    assert {"create", "write", "sync", "sync_folder", "replace"} <= set(names)
    after = step.of_contents(place.known)
    for at, operation in enumerate(names):
        for part in (0.0, 0.5) if operation == "write" else (0.0,):
            with place.opened() as index:
                hook = Refusing(at, refused(code), part=part)
                with hooked(hook):
                    if at < must_be_refused(names):
                        with pytest.raises(NotWritten, match=os.strerror(code)) as caught:
                            step.of_index(index)
                        assert str(place.path) in str(caught.value)
                        assert "it is as it was before" in str(caught.value)
                    else:
                        step.of_index(index)
                assert hook.names[: at + 1] == names[: at + 1]
                check_goes_on(
                    index, place.path, place.known if at < must_be_refused(names) else after
                )


@pytest.mark.parametrize("name", STEPS)
def test_a_disk_that_goes_on_refusing(
    name: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what was begun cannot be removed; then the disk is mended."""
    least, step = STEPS[name]
    monkeypatch.setattr(archive, "_LEAST_BASE_BYTES", least)
    with place.opened() as index:
        names = operations(lambda: step.of_index(index))
    for at in range(must_be_refused(names)):
        code = ERRORS[at % len(ERRORS)]
        with place.opened() as index:
            with hooked(Refusing(at, refused(code), lasting=True)):
                with pytest.raises(NotWritten, match=os.strerror(code)) as caught:
                    step.of_index(index)
                kept = "it is as it was before" in str(caught.value)
                # Only a commit that was seen, and is then refused for good, cannot be taken back.
                assert kept == (at < must_be_refused(names) - 1)
                check_answers(index, place.known if kept else step.of_contents(place.known))
                with pytest.raises(NotWritten):
                    index.add(items([8_000]))
            check_goes_on(index, place.path, place.known if kept else step.of_contents(place.known))


@pytest.mark.parametrize("lasting", [False, True])
def test_a_refused_save_leaves_what_was_there(lasting: bool, place: Place, tmp_path: Path) -> None:
    index = Index("hamming", recall=1.0)
    index.add(items([*range(300, 330)]), [*range(300, 330)])
    known = {one: item(one).tobytes() for one in range(300, 330)}
    names = operations(lambda: index.save(place.fresh(), replace=True))
    for at in range(len(names)):
        place.fresh()
        message = None
        with hooked(Refusing(at, refused(errno.ENOSPC), lasting=lasting)):
            try:
                index.save(place.path, replace=True)
            except NotWritten as error:
                message = str(error)
        assert (message is not None) == (at < must_be_refused(names))
        kept = message is not None and "it is as it was before" in message
        assert on_disk(place.path) == (place.known if kept else known)
        check_answers(index, known)
        index.save(place.path, replace=True)
        assert on_disk(place.path) == known


@pytest.mark.parametrize("lasting", [False, True])
def test_a_refused_first_save_leaves_no_index(lasting: bool, tmp_path: Path) -> None:
    index = Index("hamming", recall=1.0)
    index.add(items([*range(30)]))
    path = tmp_path / "made" / "index"
    names = operations(lambda: index.save(path))
    errors = []  # they keep what failed alive, which must not keep the lock
    for at in range(must_be_refused(names)):
        shutil.rmtree(path.parent)
        hook = Refusing(at, refused(errno.ENOSPC), lasting=lasting)
        with hooked(hook), pytest.raises(NotWritten) as caught:
            index.save(path)
        errors.append(caught.value)
        if "it is as it was before" in str(caught.value):
            with pytest.raises(UnreadableFile):
                Index.open(path)
            index.save(path)
        check_answers(Index.open(path, verify="full"), {i: item(i).tobytes() for i in range(30)})
        with Index.open(path, "r+") as again:
            again.add(items([100]))


def test_what_cannot_be_removed_stays_and_harms_nobody(place: Place) -> None:
    def hook(name: str, real: Callable[..., Any], *args: Any) -> Any:
        if name == "remove_folder" or (name == "remove" and args[0].suffix == ".npy"):
            raise refused(errno.EIO)
        return real(*args)

    with place.opened() as index:
        with hooked(hook):
            index.compact()
            index.remove([0])
            index.compact()
        assert len(list((place.path / "segments").iterdir())) > 3
        known = {one: place.known[one] for one in place.known if one != 0}
        check_answers(index, known)
    assert on_disk(place.path) == known
    Index.open(place.path, "r+").close()
    assert len(list((place.path / "segments").iterdir())) == 1
    assert on_disk(place.path) == known


COPY = "manifest.copy.json"


@pytest.mark.parametrize("lasting", [False, True])
def test_a_full_disk_leaves_a_copy_of_the_manifest_this_one_or_the_one_before(
    lasting: bool, place: Place
) -> None:
    step = STEPS["a merge"][1]
    with place.opened() as index:
        names = operations(lambda: step.of_index(index))
    for at in range(len(names)):
        with place.opened() as index:
            before = (place.path / COPY).read_bytes()
            hook = Refusing(at, refused(errno.ENOSPC), lasting=lasting, part=0.5)
            with hooked(hook), contextlib.suppress(NotWritten):
                step.of_index(index)
            after = (place.path / "manifest.json").read_bytes()
            assert (place.path / COPY).read_bytes() in (before, after)


def test_where_removing_makes_room_the_copy_is_written_after_it(place: Place) -> None:
    freed = []

    def hook(name: str, real: Callable[..., Any], *args: Any) -> Any:
        if name == "remove_folder":
            freed.append(args)
        if name == "replace" and args[1].name == COPY and not freed:
            raise refused(errno.ENOSPC)
        return real(*args)

    with place.opened() as index, hooked(hook):
        index.compact()
    assert freed
    manifest = (place.path / "manifest.json").read_bytes()
    assert (place.path / COPY).read_bytes() == manifest


@pytest.fixture
def read_only(place: Place) -> Iterator[Path]:
    """An index that may not be written to."""
    path = place.fresh()
    folders = [path, *(there for there in path.rglob("*") if there.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    (path / "writer.lock").chmod(0o444)
    yield path
    for folder in folders:
        folder.chmod(0o755)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_write_access_can_be_searched_only(read_only: Path, place: Place) -> None:
    check_answers(Index.open(read_only, verify="full"), place.known)
    with pytest.raises(NotWritten, match=os.strerror(errno.EACCES)):
        Index.open(read_only, "r+")
    with pytest.raises(NotWritten, match=os.strerror(errno.EACCES)):
        Index("hamming").save(read_only, replace=True)
    with pytest.raises(NotWritten, match=os.strerror(errno.EACCES)):
        Index("hamming").save(read_only / "below")


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_a_folder_whose_lock_cannot_be_opened_can_be_searched_only(
    code: int, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for root, who may write everywhere: what the system would refuse is refused."""
    path, real = place.fresh(), os.open

    def opened(name: Any, flags: int, *args: Any, **named: Any) -> int:
        if flags & (os.O_RDWR | os.O_WRONLY | os.O_CREAT):
            raise refused(code)
        return real(name, flags, *args, **named)

    monkeypatch.setattr(os, "open", opened)
    check_answers(Index.open(path, verify="full"), place.known)
    with pytest.raises(NotWritten, match=os.strerror(code)):
        Index.open(path, "r+")


@pytest.mark.parametrize("function", ["ftruncate", "pwrite"])
def test_a_full_disk_keeps_nobody_from_taking_the_lock_or_giving_it_back(
    function: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has it is only written down for messages."""

    def full(*_: object) -> None:
        raise refused(errno.ENOSPC)

    path = place.fresh()
    monkeypatch.setattr(os, function, full)
    for _ in range(2):
        with Index.open(path, "r+") as index:
            check_answers(index, place.known)


@pytest.mark.parametrize("name", STEPS)
def test_ctrl_c_at_any_disk_operation(
    name: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    least, step = STEPS[name]
    monkeypatch.setattr(archive, "_LEAST_BASE_BYTES", least)
    with place.opened() as index:
        names = operations(lambda: step.of_index(index))
    committed = commit_of(names) + 1
    after = step.of_contents(place.known)
    for at, operation in enumerate(names):
        for part in (0.0, 0.5) if operation == "write" else (0.0,):
            with place.opened() as index:
                hook = Refusing(at, KeyboardInterrupt(), part=part)
                with hooked(hook), pytest.raises(KeyboardInterrupt):
                    step.of_index(index)
                check_goes_on(index, place.path, place.known if at < committed else after)


class CtrlC:
    """Interrupts at the n-th line that some files execute."""

    FILES = ("index.py", "archive.py", "folder.py", "array_file.py", "manifest.py", "members.py")

    def __init__(self, at: int) -> None:
        self.at, self.lines = at, 0
        self.names = {str(Path(lookalike.__file__).parent / name) for name in self.FILES}
        self.names |= {str(Path(disk.__file__).parent / name) for name in self.FILES}

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename not in self.names:
            return None
        if event == "line":
            self.lines += 1
            if self.lines == self.at:
                sys.settrace(None)
                raise KeyboardInterrupt
        return self

    def during(self, change: Callable[[], object]) -> bool:
        """Whether it came to an interruption."""
        before = sys.gettrace()
        sys.settrace(self)
        try:
            change()
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(before)
        return False


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # a file was open when it came
@pytest.mark.parametrize("name", STEPS)
def test_ctrl_c_at_any_line(name: str, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory and disk agree, wherever it came."""
    least, step = STEPS[name]
    monkeypatch.setattr(archive, "_LEAST_BASE_BYTES", least)
    after = step.of_contents(place.known)
    at, seen = 1, set()
    while True:
        with place.opened() as index:
            with hooked(Refusing(-1, KeyboardInterrupt())):
                came = CtrlC(at).during(partial(step.of_index, index))
            if not came:
                break
            found = on_disk(place.path)
            assert found in (place.known, after), f"line {at}"
            seen.add(found == after)
            check_goes_on(index, place.path, found)
        at += LINES
    assert at > 100
    assert True in seen


@pytest.mark.parametrize("at", ["changed", "engine"])
@pytest.mark.parametrize("name", STEPS)
def test_ctrl_c_while_the_plan_follows(
    name: str, at: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the commit, and after it while engines are made ready."""
    least, step = STEPS[name]
    monkeypatch.setattr(archive, "_LEAST_BASE_BYTES", least)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with place.opened() as index:
        with monkeypatch.context() as patch:
            patch.setattr(Planner, at, interrupted)
            if step.what != "compact" or at == "engine":  # which builds, and follows nothing
                with pytest.raises(KeyboardInterrupt):
                    step.of_index(index)
        found = on_disk(place.path)
        assert found == (step.of_contents(place.known) if at == "engine" else place.known)
        check_goes_on(index, place.path, found)


def test_who_cannot_read_what_was_committed_writes_nothing_more(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For example when the process has too many open files."""
    with place.opened() as index:

        def refusing(*_: object) -> None:
            raise refused(errno.EMFILE)

        with monkeypatch.context() as patch:
            patch.setattr(ArrayFile, "mapped", refusing)
            patch.setattr(ArrayFile, "check_ends", refusing)
            with pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
                index.compact()
        check_answers(index, place.known)
        with pytest.raises(lookalike.ReadOnly):
            index.add(items([100]))
    assert on_disk(place.path) == place.known
    with Index.open(place.path, "r+") as index:
        check_goes_on(index, place.path, place.known)


def cancelling(after: int) -> tuple[Callable[[int, int], bool], list[tuple[int, int]]]:
    """A callback that asks to stop at one of its calls, and what it was told."""
    told: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> bool:
        told.append((done, total))
        return len(told) <= after

    return progress, told


def test_a_cancelled_compaction_changes_nothing(place: Place) -> None:
    at, messages = 0, list[str]()
    while True:
        with place.opened() as index:
            progress, told = cancelling(at)
            try:
                index.compact(progress=progress)
                break
            except Cancelled as error:
                messages.append(str(error))
            assert "nothing has changed" in messages[-1]
            assert len(told) == at + 1
            check_goes_on(index, place.path, place.known)
        at += 1
    assert at > 0
    assert told[-1][0] == told[-1][1] > 0
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_cancelled_save_changes_nothing(place: Place, tmp_path: Path) -> None:
    index = Index("hamming", recall=1.0)
    index.add(items([*range(300, 330)]), [*range(300, 330)])
    known = {one: item(one).tobytes() for one in range(300, 330)}
    place.fresh()
    at = 0
    while True:
        progress, told = cancelling(at)
        try:
            index.save(place.path, replace=True, progress=progress)
            break
        except Cancelled:
            assert on_disk(place.path) == place.known
        with pytest.raises(Cancelled):
            index.save(tmp_path / "new", progress=cancelling(at)[0])
        with pytest.raises(UnreadableFile):
            Index.open(tmp_path / "new")
        at += 1
    assert at > 0
    assert told[-1][0] == told[-1][1] > 0
    assert on_disk(place.path) == known
    index.save(tmp_path / "new")
    assert on_disk(tmp_path / "new") == known


def test_a_callback_that_raises_changes_nothing(place: Place) -> None:
    def progress(done: int, total: int) -> None:
        raise ZeroDivisionError

    with place.opened() as index:
        with pytest.raises(ZeroDivisionError):
            index.compact(progress=progress)
        check_goes_on(index, place.path, place.known)
