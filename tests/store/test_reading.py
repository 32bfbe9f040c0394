"""What cannot be opened or read: damage where the disk is at fault; else the system's reason."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.store.conftest import check_answers, on_disk, saved

from lookalike import CorruptStore, Index, UnreadableFile
from lookalike.store.array_file import ArrayFile
from lookalike.store.folder import Folder
from lookalike.upkeep import describe, repair, verify

pytestmark = pytest.mark.usefixtures("no_waiting")

NOT_OF_THE_FILE = [
    *(errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ENOMEM),
    *(errno.EINTR, errno.EAGAIN, errno.ESTALE, errno.ETIMEDOUT),
]
OF_THE_DISK = [errno.EIO, errno.EUCLEAN, errno.ENXIO, errno.ELOOP]
OPENED = ["manifest.json", "segments", "00000002", "rows.npy"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    saved(tmp_path / "index", tails=2)
    return tmp_path / "index"


@contextmanager
def refused(monkeypatch: pytest.MonkeyPatch, name: str, code: int) -> Iterator[None]:
    """Refuse to open what has this name."""
    real = os.open

    def refusing(path: Any, *args: Any, **options: Any) -> int:
        if Path(path).name == name:
            raise OSError(code, os.strerror(code))
        return real(path, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refusing)
        yield


@pytest.mark.parametrize("code", NOT_OF_THE_FILE, ids=errno.errorcode.get)
@pytest.mark.parametrize("name", OPENED)
def test_what_the_system_refuses_is_told_with_its_reason_and_not_called_damage(
    name: str, code: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    acts: list[Callable[[Path], object]] = [Index.open, verify, repair]
    if name == "manifest.json":
        acts += [describe, lambda there: Index("l1").save(there, replace=True)]
    before = {file: file.read_bytes() for file in path.rglob("*.*")}
    with refused(monkeypatch, name, code):
        for act in acts:
            with pytest.raises(UnreadableFile, match=os.strerror(code)) as raised:
                act(path)
            assert not isinstance(raised.value, CorruptStore)
            assert "lookalike repair" not in str(raised.value)
    assert before == {file: file.read_bytes() for file in path.rglob("*.*")}
    assert verify(path).problems == ()


@pytest.mark.parametrize("code", OF_THE_DISK, ids=errno.errorcode.get)
@pytest.mark.parametrize("name", OPENED)
def test_what_the_disk_is_at_fault_for_is_damage(
    name: str, code: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with refused(monkeypatch, name, code):
        assert os.strerror(code) in verify(path).problems[0]
        with pytest.raises(CorruptStore, match="lookalike repair"):
            Index.open(path)


def test_a_manifest_that_the_drive_cannot_read_is_taken_from_its_copy(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with refused(monkeypatch, "manifest.json", errno.EIO):
        assert "Input/output error; its copy is used" in repair(path).damages[0]
    assert verify(path).problems == ()


# ---- beside a writer


class Busy:
    """Commits whenever a file is read, or opened."""

    def __init__(self, writer: Index, most: int = 10**9) -> None:
        self.writer, self.most, self.commits = writer, most, 0
        self._inside = False

    def __call__(self) -> None:
        if not self._inside and self.commits < self.most:
            self._inside = True
            self.writer.compact()
            self._inside = False
            self.commits += 1


def test_verify_ends_beside_a_writer_that_never_rests(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has opened one snapshot, and looks at that."""
    with Index.open(path, "r+") as writer:
        busy = Busy(writer, most=200)
        real = ArrayFile.check_whole

        def slowly(file: ArrayFile, progress: Callable[[int], None]) -> None:
            busy()
            real(file, progress)

        with monkeypatch.context() as patch:
            patch.setattr(ArrayFile, "check_whole", slowly)
            verified = verify(path)
    assert verified.problems == ()
    assert verified.vectors == 28
    assert 0 < busy.commits < 20  # one for each file of one snapshot


def test_a_flipped_bit_is_found_beside_a_writer_that_never_rests(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Index.open(path, "r+") as writer:
        file = path / "segments" / "00000002" / "rows.npy"
        with file.open("r+b") as out:
            out.seek(-1, os.SEEK_END)
            out.write(b"\x00" if file.read_bytes()[-1] else b"\x01")
        busy = Busy(writer)
        real = ArrayFile.check_whole

        def slowly(file: ArrayFile, progress: Callable[[int], None]) -> None:
            busy()
            real(file, progress)

        with monkeypatch.context() as patch:
            patch.setattr(ArrayFile, "check_whole", slowly)
            (problem,) = verify(path).problems
    assert problem.startswith("segment 00000002, array rows: the digest")


def test_verify_goes_on_to_a_newer_snapshot_when_files_are_gone(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Index.open(path, "r+") as writer:
        busy = Busy(writer, most=3)
        real = Folder.read_manifest

        def slowly(folder: Folder) -> object:
            manifest = real(folder)
            if not folder.is_writing:
                busy()
            return manifest

        with monkeypatch.context() as patch:
            patch.setattr(Folder, "read_manifest", slowly)
            assert verify(path).problems == ()
    assert busy.commits == 3


def test_who_never_gets_all_files_of_a_snapshot_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing is called damaged."""
    with Index.open(path, "r+") as writer:
        busy = Busy(writer)
        real = Folder.read_manifest

        def slowly(folder: Folder) -> object:
            manifest = real(folder)
            if not folder.is_writing:
                busy()
            return manifest

        with monkeypatch.context() as patch:
            patch.setattr(Folder, "read_manifest", slowly)
            for act in (verify, Index.open):
                with pytest.raises(UnreadableFile, match="changed 100 times meanwhile") as raised:
                    act(path)
                assert not isinstance(raised.value, CorruptStore)
    check_answers(Index.open(path), on_disk(path))
