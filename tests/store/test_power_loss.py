"""After a power cut at any instant, an index is in the state before a change or in that after it.

The disk is simulated, at its worst: until a file is synced, its bytes may be missing, cut off or
zero; until a folder is synced, each of its names may be any that it was since. Of this, a file
system does less. What is there after a cut is written to a folder, and opened.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest
from tests.store.conftest import Contents, Step, hooked, item, items, on_disk, saved, states

from lookalike import CorruptStore, Index, NotWritten, UnreadableFile, archive

pytestmark = pytest.mark.usefixtures("no_waiting")

SAMPLES = 4  # of what may be left after a cut, besides everything and nothing
TRIED = 10  # every so manyth is changed as well

Tree = dict[str, Any]  # names -> bytes of a file, or the tree of a folder
Possible = list[Contents | None]  # None: there is no index


class File:
    """The bytes of a file, and how many of them are on the disk for good."""

    def __init__(self, data: bytes = b"") -> None:
        self.data, self.synced = data, len(data)

    def after_a_cut(self, random: np.random.Generator | None, *, kept: bool) -> bytes:
        safe, late = self.data[: self.synced], self.data[self.synced :]
        if random is None:
            return safe + late * kept
        first, last = np.sort(random.integers(0, len(late) + 1, 2)).tolist()
        if random.integers(2):
            return safe + late[:last]
        return safe + late[:first] + bytes(last - first) + late[last:]


class Directory:
    """The names in a folder: as they are, as they are for good, and all that were between."""

    def __init__(self) -> None:
        self.now: dict[str, Node] = {}
        self.synced: dict[str, Node] = {}
        self.late: dict[str, list[Node | None]] = {}

    def put(self, name: str, node: Node | None) -> None:
        if node is None:
            del self.now[name]
        else:
            self.now[name] = node
        self.late.setdefault(name, []).append(node)

    def sync(self) -> None:
        self.synced, self.late = dict(self.now), {}

    def after_a_cut(self, random: np.random.Generator | None, *, kept: bool) -> Tree:
        tree = {}
        for name in sorted(self.synced.keys() | self.late.keys()):
            could_be = [self.synced.get(name), *self.late.get(name, [])]
            which = -int(kept) if random is None else int(random.integers(len(could_be)))
            node = could_be[which]
            if node is not None:
                tree[name] = node.after_a_cut(random, kept=kept)
        return tree


Node = File | Directory


def loaded(path: Path) -> Directory:
    """A folder, as it is on the disk for good."""
    folder = Directory()
    for there in path.iterdir():
        folder.put(there.name, loaded(there) if there.is_dir() else File(there.read_bytes()))
    folder.sync()
    return folder


class Disk:
    """Does what the store wants done, and keeps what a power cut could leave.

    Parameters
    ----------
    root : Path
        Above all that is simulated.
    possible : list
        What an index may hold after a cut; to be changed as changes are acknowledged.
    samples : int
        Of what may be left after each operation.
    """

    def __init__(self, root: Path, possible: Possible, samples: int = SAMPLES) -> None:
        self.root, self.possible, self.samples = root, possible, samples
        self.folder = loaded(root)
        self.cuts: list[tuple[Tree, Possible]] = []
        self.dies_at: int | None = None  # a process that is dead does nothing any more
        self.fails_at: int | None = None  # the operation to be refused, once
        self.names: list[str] = []
        self._random = np.random.default_rng(0)
        self._files: list[tuple[BinaryIO, File]] = []
        self._seen: set[str] = set()
        self.cut()

    def cut(self) -> None:
        """Keep what could be there after a cut at this instant."""
        trees = [self.folder.after_a_cut(None, kept=kept) for kept in (True, False)]
        trees += [self.folder.after_a_cut(self._random, kept=True) for _ in range(self.samples)]
        for tree in trees:
            key = repr((tree, [id(state) for state in self.possible]))
            if key not in self._seen:
                self._seen.add(key)
                self.cuts.append((tree, list(self.possible)))

    def __call__(self, name: str, real: Callable[..., Any], *args: Any) -> Any:
        number = len(self.names)
        if self.dies_at is not None and number >= self.dies_at:
            raise Dead
        self.names.append(name)
        if number == self.fails_at:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if name == "write":
            file, data = args
            for part in (data[: len(data) // 2], data[len(data) // 2 :]):
                real(file, part)
                self._file(file).data += bytes(part)
                self.cut()
            return None
        done = real(*args)
        getattr(self, f"_{name}")(done, *args)
        self.cut()
        return done

    def _file(self, file: BinaryIO) -> File:
        (found,) = (own for known, own in self._files if known is file)
        return found

    def _at(self, path: Path) -> Directory:
        node: Node = self.folder
        for part in path.absolute().relative_to(self.root).parts:
            assert isinstance(node, Directory)
            node = node.now[part]
        assert isinstance(node, Directory)
        return node

    def _create(self, file: BinaryIO, path: Path) -> None:
        self._files.append((file, File()))
        self._at(path.parent).put(path.name, self._files[-1][1])

    def _sync(self, done: None, file: BinaryIO) -> None:
        own = self._file(file)
        own.synced = len(own.data)

    def _sync_folder(self, done: None, path: Path) -> None:
        if path != self.root.parent:
            self._at(path).sync()

    def _make_folder(self, done: None, path: Path) -> None:
        folder = self.folder
        for part in path.relative_to(self.root).parts:
            if part not in folder.now:
                folder.put(part, Directory())
            following = folder.now[part]
            assert isinstance(following, Directory)
            folder = following

    def _replace(self, done: None, source: Path, target: Path) -> None:
        self._at(target.parent).put(target.name, self._at(source.parent).now[source.name])
        self._at(source.parent).put(source.name, None)

    def _remove(self, done: None, path: Path) -> None:
        self._at(path.parent).put(path.name, None)

    _remove_folder = _remove


class Dead(BaseException):
    """Raised in a process that is dead already, to get out of it."""


def materialize(tree: Tree, path: Path) -> None:
    path.mkdir()
    for name, node in tree.items():
        if isinstance(node, bytes):
            (path / name).write_bytes(node)
        else:
            materialize(node, path / name)


def found(path: Path) -> Contents | None:
    """What an index holds; None where there is none."""
    try:
        return on_disk(path)
    except CorruptStore:
        raise
    except UnreadableFile:
        return None


def check_cuts(disk: Disk, name: str, tmp_path: Path, some: slice = slice(None)) -> None:
    """Whatever a cut leaves can be opened, is what it may be, and can be changed.

    Parameters
    ----------
    disk : Disk
    name : str
        Of the index, below the root.
    tmp_path : Path
    some : slice
        Which of the cuts.
    """
    new = {7_000: item(7_000).tobytes()}
    there = tmp_path / "after"
    for number, (tree, possible) in enumerate(disk.cuts[some]):
        shutil.rmtree(there, ignore_errors=True)
        materialize(tree, there)
        left = found(there / name)
        assert left in possible, f"cut {number} of {len(disk.cuts)}"
        if number % TRIED == 0:
            if left is None:
                index = Index("hamming")
                index.add(items([7_000]), [7_000])
                index.save(there / name)
            else:
                with Index.open(there / name, "r+") as index:
                    index.add(items([7_000]), [7_000])
            assert on_disk(there / name) == (left or {}) | new


def run(disk: Disk, path: Path, steps: list[Step], expected: list[Contents]) -> None:
    """Make changes of which each is on the disk for good when it has returned."""
    with Index.open(path, "r+") as index:
        for number, step in enumerate(steps):
            disk.possible = [expected[number], expected[number + 1]]
            step.of_index(index)
            disk.possible = [expected[number + 1]]
            disk.cut()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder for the disk."""
    (tmp_path / "disk").mkdir()
    return tmp_path / "disk"


def test_the_simulated_disk_forgets_what_was_not_synced(root: Path, tmp_path: Path) -> None:
    """Else the tests below would prove nothing."""
    disk = Disk(root, [])
    (root / "old").write_bytes(b"old")
    disk.folder = loaded(root)

    def make(name: str, *, file: bool, folder: bool) -> None:
        with store.create(root / name) as out:
            store.write(out, b"newer")
            if file:
                store.sync(out)
        store.replace(root / name, root / "old")
        if folder:
            store.sync_folder(root)

    from lookalike.store import disk as store

    def left(*, file: bool, folder: bool) -> set[bytes | None]:
        disk.cuts, disk._seen = [], set()
        with hooked(disk):
            make("next", file=file, folder=folder)
            disk.cuts = []
            for _ in range(50):
                disk._seen = set()
                disk.cut()
        (root / "old").write_bytes(b"old")
        disk.folder = loaded(root)
        return {tree.get("old") for tree, _ in disk.cuts}

    assert left(file=True, folder=True) == {b"newer"}
    assert left(file=True, folder=False) == {b"old", b"newer"}
    assert left(file=False, folder=True) > {b"newer", b"", b"new"}


@pytest.mark.parametrize("name", ["index", "made/as well/index"])
def test_save(name: str, root: Path, tmp_path: Path) -> None:
    index = Index("hamming", recall=1.0)
    index.add(items([*range(30)]), [*range(30)])
    known = {one: item(one).tobytes() for one in range(30)}
    disk = Disk(root, [None, known])
    with hooked(disk):
        index.save(root / name)
    disk.possible = [known]
    disk.cut()
    check_cuts(disk, name, tmp_path)


def test_save_in_the_place_of_another(root: Path, tmp_path: Path) -> None:
    before = saved(root / "index", tails=2)
    index = Index("hamming", recall=1.0)
    index.add(items([*range(100, 130)]), [*range(100, 130)])
    after = {one: item(one).tobytes() for one in range(100, 130)}
    disk = Disk(root, [before, after])
    with hooked(disk):
        index.save(root / "index", replace=True)
    disk.possible = [after]
    disk.cut()
    check_cuts(disk, "index", tmp_path)


SCRIPTS: dict[str, tuple[int, int, list[Step]]] = {
    # The name says what is in it: tails before, least bytes of a base, steps.
    "tails, a merge, a compaction": (
        5,
        1 << 24,
        [
            Step("add", [100, 101]),
            Step("add", [3, 100, 200], version=1),
            Step("remove", [1, 2, 101]),
            Step("compact", []),
            Step("add", [300]),
        ],
    ),
    "new bases": (
        1,
        16,
        [
            Step("add", [*range(100, 120)]),
            Step("remove", [0, 100]),
            Step("add", [*range(200, 230)]),
        ],
    ),
    "nothing is left": (0, 1 << 24, [Step("remove", [*range(24)]), Step("compact", [])]),
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_changes(script: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tails, least, steps = SCRIPTS[script]
    monkeypatch.setattr(archive, "_LEAST_BASE_BYTES", least)
    before = saved(root / "index", tails=tails)
    disk = Disk(root, [before])
    with hooked(disk):
        run(disk, root / "index", steps, states(before, steps))
    check_cuts(disk, "index", tmp_path)


def attempts(root: Path) -> Iterator[tuple[Disk, Contents]]:
    """A disk with the same index, again and again."""
    before = saved(root / "index", tails=2)
    start = root.parent / "start"
    shutil.copytree(root, start)
    while True:
        shutil.rmtree(root)
        shutil.copytree(start, root)
        yield Disk(root, [before], samples=1), before


@pytest.mark.parametrize("step", [Step("compact", []), Step("remove", [1, 24])])
def test_a_kill_and_then_a_power_cut(step: Step, root: Path, tmp_path: Path) -> None:
    """The next process sees what the killed one has done, which need not be on the disk."""
    at = 0
    for disk, before in attempts(root):
        disk.dies_at = at
        after = step.of_contents(before)
        disk.possible = [before, after]
        index = Index.open(root / "index", "r+")
        assert index._archive is not None
        with hooked(disk):
            try:
                step.of_index(index)
                break
            except Dead:
                disk.dies_at = None
                index._archive.folder.close()
            disk.cuts = []  # those of the process that was killed are tested above
            now = on_disk(root / "index")
            last = Step("add", [500, 501])
            disk.possible = [before, after, last.of_contents(now)]
            with Index.open(root / "index", "r+") as index:
                last.of_index(index)
            disk.possible = [last.of_contents(now)]
            disk.cut()
        check_cuts(disk, "index", tmp_path, slice(at % 3, None, 3))
        at += 1
    assert at > 10


@pytest.mark.parametrize("step", [Step("compact", []), Step("add", [1, 24, 400], version=1)])
def test_a_refusal_and_then_a_power_cut(step: Step, root: Path, tmp_path: Path) -> None:
    """The index goes on as it was, whatever of the refused change is on the disk."""
    refused = 0
    for number, (disk, before) in enumerate(attempts(root)):
        disk.fails_at = number
        after = step.of_contents(before)
        disk.possible = [before, after]
        with Index.open(root / "index", "r+") as index, hooked(disk):
            try:
                step.of_index(index)
                now = after
            except NotWritten:
                now = before
                refused += 1
            if len(disk.names) <= number:
                break
            disk.cuts = []
            last = Step("add", [500, 501])
            disk.possible = [*disk.possible, last.of_contents(now)]
            last.of_index(index)
            disk.possible = [last.of_contents(now)]
            disk.cut()
        check_cuts(disk, "index", tmp_path, slice(number % 3, None, 3))
    assert refused > 10
