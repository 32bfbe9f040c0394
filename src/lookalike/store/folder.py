"""The folder of an index: opened as one snapshot, changed by one commit at a time.

::

    digits.index/
    ├── manifest.json            what there is; replaced as a whole, which is the only commit
    ├── manifest.copy.json       the same, for repair alone
    ├── writer.lock              who changes it
    └── segments/00000003/       arrays that are never changed
        ├── rows.npy
        └── ...

A file is never written to again. What a new manifest does not name any more is removed at once:
whoever has opened a snapshot holds its files open or mapped, and who has not starts again from the
new manifest.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike.errors import (
    CorruptStore,
    Locked,
    LookalikeError,
    NotWritten,
    ReadOnly,
    UnreadableFile,
    WouldOverwrite,
)
from lookalike.store import disk
from lookalike.store.array_file import header_of, write_array
from lookalike.store.lock import WriterLock
from lookalike.store.manifest import Facts, Manifest, Segment
from lookalike.store.open_segment import SEGMENTS, Damage, OpenSegment, open_segment
from lookalike.store.place import (
    COPY,
    DAMAGED,
    LOCK,
    MANIFEST,
    NEXT,
    check_free,
    check_replaceable,
    is_index,
    is_segment,
    numbered,
)
from lookalike.store.progress import Progress, Progressing
from lookalike.store.reading import open_folder, open_plain, refusal, salvage, small_file

__all__ = [
    "Damage",
    "Folder",
    "OpenSegment",
    "Progress",
    "Progressing",
    "check_free",
    "folder_for",
    "is_index",
]

Arrays = Mapping[str, npt.NDArray[Any]]

_GENERATION = re.compile(rb'"generation": ([0-9]{1,18})\b')
_ATTEMPTS = 100  # to open a snapshot while commits come between
_MOST_MANIFEST = 1 << 26
_ELSEWHERE = "Close it there, or save to another folder."
_MOST_SEGMENTS, _LAST_GENERATION = 10**18, 2**63 - 2  # larger ones could not be read again


class Folder:
    """An index on disk, as it was when its manifest was read.

    Parameters
    ----------
    path : Path
    writing : bool
        Hold the lock, to commit.
    instead : str, optional
        What to do when somebody else holds it.

    Raises
    ------
    UnreadableFile
        When there is no index.
    CorruptStore, NewerFormat
    Locked
        When somebody else holds the lock.
    """

    def __init__(self, path: Path, *, writing: bool, instead: str | None = None) -> None:
        self._start(path)
        self._check_is_there()
        if writing:
            self._take_lock(instead)
        try:
            self.manifest = self.read_manifest()
            if writing:
                # Who wrote it may have been killed before it was on the disk for good; what the
                # one before it names is needed until then.
                with _refusals(path):
                    disk.sync_folder(path)
                self._tidy(self._bytes_of(MANIFEST))
        except BaseException:
            self.close()
            raise

    def _start(self, path: Path) -> None:
        self.path = path
        self.manifest = Manifest(0, 1, {}, ())
        self._read: tuple[bytes, Manifest] | None = None  # what was on the disk last
        self.written_bytes = 0
        self._lock: WriterLock | None = None
        self._recovering = False  # the manifest on the disk is damaged, and will be replaced
        self._damaged_bytes: bytes | None = None  # of it, where nothing of it is known
        self._known_segments = 0  # the first number that the copy does not know of
        self._opened: list[OpenSegment] | None = None

    @classmethod
    def create(cls, path: Path) -> Folder:
        """A folder that is not there or empty, to commit an index to."""
        folder = cls.__new__(cls)
        folder._start(path)
        try:
            with _refusals(path):
                _make_folders(path.absolute() / SEGMENTS)
            folder._take_lock(_ELSEWHERE)
            if is_index(path):  # who had the lock before has written it
                raise WouldOverwrite(
                    f"an index must be saved to a folder that is not there yet; got {path}, where "
                    "another process has just saved one. Choose another, or replace that one."
                )
        except BaseException:
            folder.close()
            raise
        return folder

    @classmethod
    def recovered(cls, path: Path) -> tuple[Folder, str]:
        """A folder to be repaired, with its lock; its manifest may be damaged.

        Returns
        -------
        Folder, str
            And what is wrong with the manifest, if anything is.

        Raises
        ------
        CorruptStore
            When the manifest and its copy are damaged.
        """
        folder = cls.__new__(cls)
        folder._start(path)
        folder._check_is_there()
        folder._take_lock("Close it there, and repair it then.")
        try:
            try:
                folder.manifest, why = folder.read_manifest(), ""
            except CorruptStore as error:
                copy = Manifest.from_bytes(folder._bytes_of(COPY), f"{folder.about}: {COPY}")
                # The lost one may have come after the copy: its numbers are not given again.
                folder.manifest = dataclasses.replace(
                    copy,
                    generation=copy.generation + 1,
                    next_segment=max(copy.next_segment, folder._after_all_segments()),
                )
                folder._known_segments = copy.next_segment
                folder._recovering, why = True, error.why
        except BaseException:
            folder.close()
            raise
        return folder, why

    @classmethod
    def taken_over(cls, path: Path) -> Folder:
        """A folder whose manifest is damaged, with its lock, to commit another index over it.

        Until the commit it is as it was.
        """
        folder = cls.__new__(cls)
        folder._start(path)
        folder._take_lock(_ELSEWHERE)
        try:
            said = [folder._bytes_if_readable(name) for name in (MANIFEST, COPY)]
            following = folder._after_all_segments()
            generations = [int(found) for own in said for found in _GENERATION.findall(own)]
            folder.manifest = Manifest(max([following, *generations]), following, {}, ())
            folder._recovering, folder._damaged_bytes = True, said[0]
        except BaseException:
            folder.close()
            raise
        return folder

    # ---- what is there

    @property
    def about(self) -> str:
        """How messages name it."""
        return str(self.path)

    def is_at(self, path: Path) -> bool:
        """Whether this is the folder of that name."""
        return path.exists() and path.samefile(self.path)

    @property
    def is_writing(self) -> bool:
        """Whether it may be changed through this object."""
        return self._lock is not None and self._lock.is_held

    def read_manifest(self) -> Manifest:
        """The manifest that is on the disk now."""
        data = self._bytes_of(MANIFEST)
        if self._read is None or data != self._read[0]:  # readers look before every search
            self._read = data, Manifest.from_bytes(data, f"{self.about}: {MANIFEST}")
        return self._read[1]

    def _bytes_of(self, name: str) -> bytes:
        """The bytes of a manifest."""
        return small_file(str(self.path / name), _MOST_MANIFEST, f"{self.about}: {name}")

    def _bytes_if_readable(self, name: str) -> bytes:
        try:
            return self._bytes_of(name)
        except CorruptStore:
            return b""

    def _after_all_segments(self) -> int:
        """A number larger than that of any segment in the folder, of lost manifests too."""
        there = [*numbered(self.path / SEGMENTS), *numbered(self.path / DAMAGED)]
        return 1 + max((int(folder.name) for folder in there), default=0)

    @contextlib.contextmanager
    def opened(self, *, damaged: bool = False) -> Iterator[list[OpenSegment]]:
        """All segments of the newest snapshot, open until the end; sets ``manifest``.

        Where commits come between, it starts again from the new manifest. Within another call of
        this folder's it gives the segments of that one.

        Parameters
        ----------
        damaged : bool
            Leave out files that are missing or something else, which are the ``damages`` of their
            segments; otherwise the first one is raised.

        Raises
        ------
        CorruptStore
            For a file that is missing or something else.
        UnreadableFile
            When the system refuses, or commits come faster than files can be opened.
        """
        with contextlib.ExitStack() as stack:
            segments = self._opened
            if segments is None:
                segments = self._open_newest(stack)
            found = [damage for own in segments for damage in own.damages]
            if found and not damaged:
                raise CorruptStore(
                    f"{self.about}, segment {found[0].segment.name}, array {found[0].name}",
                    found[0].why,
                )
            yield segments

    def _open_newest(self, stack: contextlib.ExitStack) -> list[OpenSegment]:
        """Open all segments, which are known as opened until the stack ends."""
        for _ in range(_ATTEMPTS):
            with contextlib.ExitStack() as files:
                root = open_folder(str(self.path), None, self.about)
                files.callback(os.close, root)
                segments = []
                for segment in self.manifest.segments:
                    segments.append(OpenSegment(root, segment, self.about))
                    files.callback(segments[-1].close)
                if any(own.damages for own in segments) and self._goes_on():
                    continue
                stack.push(files.pop_all())
                self._opened = segments
                stack.callback(setattr, self, "_opened", None)
                return segments
        raise UnreadableFile(
            f"{self.about} must stay as it is while its files are opened; it was changed "
            f"{_ATTEMPTS} times meanwhile. Try again when it is changed less often."
        )

    def _goes_on(self) -> bool:
        """Whether somebody has committed since the manifest was read; takes up the new one."""
        if self._recovering:
            return False
        before, self.manifest = self.manifest, self.read_manifest()
        return self.manifest != before

    def damages(self, progress: Progress | None = None) -> tuple[Damage, ...]:
        """What is wrong with the files of one snapshot, the newest: every byte is read.

        All files are opened before the first is read, so that commits do not come between.

        Parameters
        ----------
        progress : callable, optional
        """
        found: list[Damage] = []
        with self.opened(damaged=True) as segments:
            told = Progressing(progress, sum(own.segment.file_bytes for own in segments))
            for own in segments:
                found += own.damages
                for damage in own.damages:
                    told(own.segment.arrays[damage.name].file_bytes)
                for name, file in own.files.items():
                    try:
                        file.check_ends()
                        file.check_whole(told)
                    except CorruptStore as error:
                        found.append(Damage(own.segment, name, error.why))
        return tuple(found)

    def newest(self) -> Folder:
        """The same folder as it is now, without its lock."""
        return Folder(self.path, writing=False)

    @property
    def file_bytes(self) -> int:
        """Bytes of all arrays."""
        return sum(segment.file_bytes for segment in self.manifest.segments)

    # ---- changing it

    def write_segment(
        self, number: int, facts: Facts, arrays: Arrays, progress: Progress | None = None
    ) -> Segment:
        """Write arrays to the disk, as a segment that nothing names yet.

        Parameters
        ----------
        number : int
            ``manifest.next_segment``, or larger.
        facts : mapping
        arrays : mapping of str to ndarray
        progress : callable, optional
        """
        self._check_writing()
        name = f"{number:08d}"
        folder = self.path / SEGMENTS / name
        told = Progressing(progress, sum(array.nbytes for array in arrays.values()))
        with _refusals(self.path):
            _remove_tree(folder)  # what was left by a commit that never was
            disk.make_folder(folder)
            try:
                stored = {
                    own: write_array(folder / f"{own}.npy", np.ascontiguousarray(array), told)
                    for own, array in sorted(arrays.items())
                }
                disk.sync_folder(folder)
                disk.sync_folder(folder.parent)
            except BaseException:
                with contextlib.suppress(OSError):
                    _remove_tree(folder)
                raise
        segment = Segment(name, facts, stored)
        self.written_bytes += segment.file_bytes
        return segment

    def commit(self, index: Facts, segments: tuple[Segment, ...]) -> None:
        """Make these segments the index, at once and for good.

        Raises
        ------
        NotWritten
            When the disk refuses. The index is as it was.
        Locked
            When somebody else has changed it, against the lock.
        """
        self._check_writing()
        if not self._recovering:
            self._check_unchanged()
        following = 1 + max((int(segment.name) for segment in segments), default=0)
        manifest = Manifest(
            self.manifest.generation + 1,
            max(self.manifest.next_segment, following),
            index,
            segments,
        )
        if manifest.next_segment > _MOST_SEGMENTS or manifest.generation >= _LAST_GENERATION:
            raise CorruptStore(self.about, "the numbers of its segments or commits are used up")
        data = manifest.to_bytes()
        with _refusals(self.path):
            self._put(MANIFEST, data)
            try:
                disk.sync_folder(self.path)
            except OSError:
                self._take_back(manifest)
                raise
        self.manifest, self._recovering, self._damaged_bytes = manifest, False, None
        self.written_bytes += len(data)
        self._tidy(data)

    def salvaged(self, segment: Segment, name: str, block_bytes: int) -> npt.NDArray[np.uint8]:
        """The bytes of the values of a damaged file: fewer where it is cut off or no file.

        Parameters
        ----------
        segment : Segment
        name : str
        block_bytes : int
            Where the drive cannot read a place, so many bytes around it are zeros.
        """
        stored, about = segment.arrays[name], f"{self.about}, segment {segment.name}, array {name}"
        start = len(header_of(stored.dtype, stored.shape))
        with contextlib.ExitStack() as stack:
            try:
                descriptor = self._descriptor(stack, segment, name, about)
            except CorruptStore:
                return np.empty(0, np.uint8)
            return salvage(descriptor, start, stored.data_bytes, block_bytes, about)

    def _descriptor(
        self, stack: contextlib.ExitStack, segment: Segment, name: str, about: str
    ) -> int:
        """One file of a segment, open until the stack ends."""
        root = open_folder(str(self.path), None, about)
        stack.callback(os.close, root)
        folder = open_segment(segment.name, root, about)
        stack.callback(os.close, folder)
        descriptor = open_plain(f"{name}.npy", folder, about)
        stack.callback(os.close, descriptor)
        return descriptor

    def set_aside(self, segment: Segment, names: Iterable[str]) -> None:
        """Give files a second name, under which they stay when the index goes on without them."""
        folder = self.path / SEGMENTS / segment.name
        for name in names:
            self._link(folder / f"{name}.npy", self.path / DAMAGED / segment.name)

    def set_lost_aside(self) -> tuple[str, ...]:
        """Keep the damaged manifest, and the segments that its older copy does not know of.

        Returns
        -------
        tuple of str
            Names of segments: of a commit that is lost, or of one that never was.
        """
        if not self._recovering:
            return ()
        damaged = self.path / DAMAGED
        self._link(self.path / MANIFEST, damaged)
        newer = [own for own in numbered(self.path / SEGMENTS) if self._is_newer(own)]
        with _refusals(self.path):
            for folder in filter(is_segment, newer):
                disk.make_folder(damaged)
                disk.replace(folder, damaged / folder.name)
                # For good, before a commit: what has no name after that is removed.
                disk.sync_folder(damaged)
                disk.sync_folder(folder.parent)
        return tuple(own.name for own in numbered(damaged) if self._is_newer(own))

    def _is_newer(self, folder: Path) -> bool:
        """Whether a segment came after the manifest from which this folder was recovered."""
        return int(folder.name) >= self._known_segments

    def _link(self, source: Path, folder: Path) -> None:
        """Let a file have its name in another folder, too, unless one is there."""
        target = folder / source.name
        if source.is_file() and not source.is_symlink() and not target.exists():
            with _refusals(self.path):
                disk.make_folder(folder)
                disk.link(source, target)
                disk.sync_folder(folder)
                disk.sync_folder(folder.parent)

    def close(self) -> None:
        """Release the lock. What was read stays."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    # ---- inside

    def _check_is_there(self) -> None:
        try:
            is_folder, is_there = self.path.is_dir(), self.path.exists()
            has_manifest = is_folder and is_index(self.path)
        except OSError as error:
            raise refusal(self.about, error) from error
        if not is_folder:
            what = "a file" if is_there else "nothing"
            raise UnreadableFile(
                f"an index must be a folder that lookalike has written; got {self.path}, where "
                f"there is {what}. Check the path."
            )
        if not has_manifest:
            raise UnreadableFile(
                f"an index must be a folder with a {MANIFEST}; got {self.path}, which has none. "
                "Check the path."
            )

    def _take_lock(self, instead: str | None) -> None:
        for name in (SEGMENTS, DAMAGED):
            if (self.path / name).is_symlink():  # nothing is written or removed elsewhere
                raise CorruptStore(f"{self.path}: {name}", "it is a link and no folder")
        with _refusals(self.path):
            self._lock = WriterLock(self.path / LOCK, *([] if instead is None else [instead]))

    def _check_writing(self) -> None:
        if not self.is_writing:
            raise ReadOnly(
                f"{self.path} must be open for changes; it was opened to be read, closed, or is "
                'the parent\'s of this process. Open it with mode "r+".'
            )

    def _check_unchanged(self) -> None:
        """Where locks do not work, at least notice it: nothing of others is overwritten."""
        if not (self.path / MANIFEST).exists():
            return  # the first commit
        if self.read_manifest() != self.manifest:
            raise Locked(
                f"{self.path} must be changed by one process at a time; another one has changed "
                "it although this one holds the lock. Open it again, on a file system with locks."
            )

    def _take_back(self, refused: Manifest) -> None:
        """Commit what was before anew: after a power cut, either may be there.

        It is the newer one and names no folder again, so that both stay whole until a later commit
        is on the disk for good.
        """
        try:
            if not self.manifest.generation:
                disk.remove(self.path / MANIFEST)
                return
            before = dataclasses.replace(
                self.manifest,
                generation=refused.generation + 1,
                next_segment=refused.next_segment,
            )
            data = before.to_bytes() if self._damaged_bytes is None else self._damaged_bytes
            self._put(MANIFEST, data)
            self.manifest = before
        except OSError as error:
            self.manifest = refused
            raise NotWritten(
                f"{self.path} could not be written for good, nor as it was before: "
                f"{error.strerror or error}. The change is there, and a power cut may undo it. See "
                "to the disk, and open it again."
            ) from error

    def _put(self, name: str, data: bytes) -> None:
        """Write a file beside its place, and let it have that: at once or not at all."""
        following = self.path / NEXT
        with contextlib.suppress(FileNotFoundError):
            disk.remove(following)
        with disk.create(following) as file:
            disk.write(file, data)
            disk.sync(file)
        disk.replace(following, self.path / name)

    def _tidy(self, data: bytes) -> None:
        """Keep a copy of the manifest, which has these bytes, and remove what it does not name."""
        kept = self._keep_copy(data)
        self._clean()
        if not kept:  # there may be room now
            self._keep_copy(data)

    def _keep_copy(self, data: bytes) -> bool:
        """For repair, should the manifest be damaged: nothing else ever reads it."""
        with contextlib.suppress(OSError):
            if not (self.path / COPY).exists() or self._bytes_if_readable(COPY) != data:
                self._put(COPY, data)
            return True
        return False

    def _clean(self) -> None:
        """Remove segments that the manifest does not name; what cannot be, stays."""
        named = {segment.name for segment in self.manifest.segments}
        with contextlib.suppress(OSError):
            for folder in numbered(self.path / SEGMENTS):
                if folder.name not in named and is_segment(folder):
                    _remove_tree(folder)


def folder_for(path: Path, *, replace: bool) -> Folder:
    """A folder to write an index to, with its lock.

    Parameters
    ----------
    path : Path
    replace : bool
        Whether there may be one already, damaged or not.

    Raises
    ------
    WouldOverwrite
        When something is there, and nothing that may be replaced.
    """
    check_free(path, replace=replace)
    if not is_index(path):
        return Folder.create(path)
    try:
        Folder(path, writing=False)  # without a lock file in a folder that is somebody's
    except CorruptStore as error:
        check_replaceable(path, error)
        return Folder.taken_over(path)
    return Folder(path, writing=True, instead=_ELSEWHERE)


def _make_folders(path: Path) -> None:
    """Make a folder and those above it, on the disk for good."""
    for folder in (*reversed(path.parents), path):
        is_new = not folder.exists()
        if is_new:
            disk.make_folder(folder)
        if is_new or folder in (path, path.parent):  # they may be left of an attempt that failed
            disk.sync_folder(folder.parent)


class _refusals:  # noqa: N801  # reads as a statement
    """Turn what the system refuses into an error that says so."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, OSError) and not isinstance(error, LookalikeError):
            raise NotWritten(
                f"{self._path} could not be written: {error.strerror or error}; it is as it was "
                "before. Make room or give write access, and do it again."
            ) from error


def _remove_tree(folder: Path) -> None:
    """Remove a folder of files, and no link's target."""
    if folder.is_symlink() or folder.is_file():
        disk.remove(folder)
        return
    if not folder.exists():
        return
    for path in sorted(folder.iterdir()):
        disk.remove(path)
    disk.remove_folder(folder)
