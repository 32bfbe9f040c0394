"""One process at a time changes an index, and none that has ended keeps another from it."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.store.conftest import (
    all_of,
    check_answers,
    child,
    ended,
    hooked,
    item,
    items,
    killed,
    on_disk,
    saved,
)

from lookalike import Index, Locked, NotSupported, ReadOnly, WouldOverwrite

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

HOST = socket.gethostname()
FOREVER = 600  # seconds: until it is killed


@pytest.fixture
def path(tmp_path: Path) -> Path:
    saved(tmp_path / "index")
    return tmp_path / "index"


def check_free(path: Path) -> None:
    """It can be opened for changes, and changed."""
    with Index.open(path, "r+") as index:
        (new,) = index.add(item(5_000)[None]).tolist()
        index.remove(new)


def holder(path: Path) -> tuple[int, int]:
    """A process that has it open for changes until it is killed, and its pipe."""

    def work(pipe: int) -> None:
        with Index.open(path, "r+") as index:
            index.add(items([400]), [400])
            os.write(pipe, b"open")
            time.sleep(FOREVER)

    process, pipe = child(work)
    assert os.read(pipe, 1000) == b"open"
    return process, pipe


def named(process: int) -> str:
    return re.escape(f"process {process} on host {HOST!r} has opened it")


def test_a_second_writer_in_another_process_is_refused_by_name(path: Path) -> None:
    process, pipe = holder(path)
    try:
        for _ in range(2):
            with pytest.raises(Locked, match=named(process)):
                Index.open(path, "r+")
        with pytest.raises(Locked, match=named(process)):
            Index("hamming").save(path, replace=True)
        assert len(on_disk(path)) == 25
    finally:
        killed(process)
        os.close(pipe)
    check_free(path)


def test_a_second_writer_in_the_same_process_is_refused(path: Path) -> None:
    with Index.open(path, "r+") as first:
        for _ in range(2):
            with pytest.raises(Locked, match=named(os.getpid())):
                Index.open(path, "r+")
        with pytest.raises(Locked, match=named(os.getpid())):
            Index("hamming").save(path, replace=True)
        first.add(items([100]), [100])
    check_free(path)


def test_readers_are_never_refused(path: Path) -> None:
    known = on_disk(path)
    with Index.open(path, "r+") as writer:
        readers = [Index.open(path, map=mapped) for mapped in (True, False, True)]
        writer.remove([3])
        readers.append(Index.open(path))
        del known[3]
        for reader in readers:
            reader.refresh()
            check_answers(reader, known)


def test_the_lock_of_a_killed_process_is_none(path: Path) -> None:
    process, pipe = holder(path)
    killed(process)
    os.close(pipe)
    left = json.loads((path / "writer.lock").read_text())
    assert left == {"process": process, "host": HOST}
    check_free(path)


@pytest.mark.parametrize("host", [HOST, "elsewhere"])
@pytest.mark.parametrize("who", ["init", "own", "none"])
def test_what_a_lock_file_says_is_no_obstacle(who: str, host: str, path: Path) -> None:
    """The number of a process that was killed may be that of another one by now."""
    process = {"init": 1, "own": os.getpid(), "none": 2**22 + 5}[who]
    (path / "writer.lock").write_text(json.dumps({"process": process, "host": host}))
    check_free(path)


@pytest.mark.parametrize(
    "says",
    [b"", b"\0" * 64, b"{", b"[]", b'{"process": "x"}', b"\xff" * 9000, b'{"process": 1}'],
    ids=["empty", "zeros", "half", "list", "no number", "bytes", "no host"],
)
def test_a_damaged_lock_file_is_no_obstacle_and_no_reason_to_let_two_in(
    says: bytes, path: Path
) -> None:
    (path / "writer.lock").write_bytes(says)
    check_free(path)
    with (path / "writer.lock").open("r+b") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        other.write(says)
        other.flush()
        with pytest.raises(Locked, match="another process has opened it"):
            Index.open(path, "r+")
    check_free(path)


def test_a_lock_file_that_was_removed_is_made_again(path: Path) -> None:
    (path / "writer.lock").unlink()
    check_free(path)


def test_a_lock_file_that_is_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("to be kept")
    (path / "writer.lock").unlink()
    (path / "writer.lock").symlink_to(precious)
    with pytest.raises(OSError, match="symbolic links"):
        Index.open(path, "r+")
    assert precious.read_text() == "to be kept"


def test_a_file_system_without_locks_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refused)
    with pytest.raises(NotSupported, match="file system with locks"):
        Index.open(path, "r+")
    check_answers(Index.open(path), on_disk(path))


def test_a_forked_child_may_search_but_not_write(path: Path) -> None:
    known = on_disk(path)
    with Index.open(path, "r+") as index:

        def work(pipe: int) -> None:
            check_answers(index, known)
            for change in (
                lambda: index.add(items([100])),
                lambda: index.remove(1),
                index.compact,
                index.rebuild,
            ):
                with pytest.raises(ReadOnly, match="parent of this process"):
                    change()
            with pytest.raises(Locked, match=named(os.getppid())):
                Index.open(path, "r+")
            index.close()  # which must not let go of what is the parent's
            with pytest.raises(Locked, match=named(os.getppid())):
                Index.open(path, "r+")
            check_answers(index, known)

        process, pipe = child(work)
        assert all_of(pipe) == ""
        assert ended(process) == 0
        with pytest.raises(Locked):
            Index.open(path, "r+")
        index.add(items([100]), [100])
    assert 100 in on_disk(path)
    check_free(path)


@pytest.mark.parametrize("how", ["killed", "closed"])
def test_a_forked_child_does_not_keep_the_lock_when_its_parent_is_gone(
    how: str, path: Path
) -> None:
    reading, writing = os.pipe()

    def work(pipe: int) -> None:
        os.close(reading)
        index = Index.open(path, "r+")
        grandchild = os.fork()
        if not grandchild:
            os.write(writing, b"running")
            time.sleep(FOREVER)
            os._exit(0)
        os.write(pipe, f"{grandchild}\n".encode())
        if how == "closed":
            index.close()
            os.write(pipe, b"closed\n")
        time.sleep(FOREVER)

    process, pipe = child(work)
    os.close(writing)
    with open(pipe) as told:  # noqa: PTH123  # a descriptor
        grandchild = int(told.readline())
        assert os.read(reading, 7) == b"running"
        try:
            if how == "killed":
                killed(process)
            else:
                assert told.readline() == "closed\n"
            os.kill(grandchild, 0)  # it lives
            check_free(path)
        finally:
            os.kill(grandchild, signal.SIGKILL)
            if how == "closed":
                killed(process)
    os.close(reading)


def test_a_program_that_a_writer_has_started_does_not_keep_the_lock(path: Path) -> None:
    with Index.open(path, "r+"):
        program = subprocess.Popen(
            [sys.executable, "-c", "print('up', flush=True); input()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            close_fds=False,
        )
        assert program.stdout is not None
        assert program.stdout.readline() == b"up\n"
    check_free(path)
    program.communicate(b"\n")
    assert program.returncode == 0


def test_close_and_with_and_forgetting_let_go(path: Path) -> None:
    index = Index.open(path, "r+")
    index.close()
    index.close()
    check_free(path)
    with Index.open(path, "r+") as index:
        pass
    check_free(path)
    with pytest.raises(ZeroDivisionError), Index.open(path, "r+") as index:
        raise ZeroDivisionError
    check_free(path)
    index = Index.open(path, "r+")
    del index
    check_free(path)
    assert (path / "writer.lock").read_text() == ""


def test_a_closed_index_is_searched_and_not_changed(path: Path) -> None:
    known = on_disk(path)
    index = Index.open(path, "r+")
    index.close()
    check_answers(index, known)
    for change in (lambda: index.add(items([100])), lambda: index.remove(1), index.compact):
        with pytest.raises(ReadOnly, match='Open it with mode "r\\+"'):
            change()
    check_free(path)
    with Index.open(path, "r+") as other:
        other.remove([1])
    assert index.refresh()
    del known[1]
    check_answers(index, known)


def test_an_index_that_cannot_be_opened_lets_go(path: Path) -> None:
    """Also while its error is kept, with all that it refers to."""
    manifest = (path / "manifest.json").read_bytes()
    (path / "manifest.json").write_bytes(manifest[:-20])
    with pytest.raises(OSError, match="digest") as kept:
        Index.open(path, "r+")
    (path / "manifest.json").write_bytes(manifest)
    check_free(path)
    rows = min(path.glob("segments/*/rows.npy"))
    data = rows.read_bytes()
    rows.write_bytes(data[:-1])
    with pytest.raises(OSError, match="bytes") as also_kept:
        Index.open(path, "r+")
    rows.write_bytes(data)
    check_free(path)
    assert kept.value is not also_kept.value


def test_two_that_save_to_one_new_folder_do_not_mix(tmp_path: Path) -> None:
    """The second looks whether it is free, and the first has saved before it has the lock."""
    path = tmp_path / "index"
    first, second = Index("hamming"), Index("hamming")
    first.add(items([*range(10)]))
    second.add(items([*range(50, 70)]))
    between = [lambda: first.save(path)]

    def hook(name: str, real: Callable[..., Any], *args: Any) -> Any:
        if between:
            between.pop()()
        return real(*args)

    with hooked(hook), pytest.raises(WouldOverwrite, match="has just saved one"):
        second.save(path)
    assert on_disk(path) == {one: item(one).tobytes() for one in range(10)}
    check_free(path)
