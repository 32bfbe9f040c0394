"""The folder of an index: opened as one snapshot, changed by one commit at a time.

::

    digits.index/
    ├── manifest.json            what there is; replaced as a whole, which is the only commit
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
import errno
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike.errors import (
    Cancelled,
    CorruptStore,
    Locked,
    LookalikeError,
    NotWritten,
    ReadOnly,
    UnreadableFile,
    WouldOverwrite,
)
from lookalike.store import disk
from lookalike.store.array_file import ArrayFile, header_of, write_array
from lookalike.store.lock import WriterLock
from lookalike.store.manifest import Facts, Manifest, Segment

__all__ = ["Damage", "Folder", "OpenSegment", "Progress", "Progressing", "folder_for", "is_index"]

Progress = Callable[[int, int], object]  # (done, total) bytes -> False to cancel
Arrays = Mapping[str, npt.NDArray[Any]]

_MANIFEST, _NEXT, _COPY = "manifest.json", "manifest.next", "manifest.copy.json"
_LOCK, _SEGMENTS, _DAMAGED = "writer.lock", "segments", "damaged"
_NAME_DIGITS = 8  # of a segment, at least
_OWN_NAMES = {_MANIFEST, _NEXT, _COPY, _LOCK, _SEGMENTS}
_ATTEMPTS = 100  # to open a snapshot while commits come between
_MOST_MANIFEST = 1 << 26


class Progressing:
    """Counts what is done, tells a callback, and cancels when it says False.

    Parameters
    ----------
    callback : callable or None
        Called with what is done and the total.
    total : int
    """

    def __init__(self, callback: Progress | None, total: int) -> None:
        self._callback, self._total, self._done = callback, total, 0

    def __call__(self, count: int) -> None:
        """So many more are done."""
        self._done = min(self._done + count, self._total)
        if self._callback is not None and self._callback(self._done, self._total) is False:
            raise Cancelled(
                f"stopped after {self._done:,} of {self._total:,} bytes, as progress asked for; "
                "nothing has changed. Call again to start anew."
            )


class Damage(NamedTuple):
    """A file that is not what was written."""

    segment: Segment
    name: str
    why: str

    def __str__(self) -> str:
        return f"segment {self.segment.name}, array {self.name}: {self.why}"


class OpenSegment:
    """The arrays of a segment, opened: they stay readable when their names are removed.

    Attributes
    ----------
    segment : Segment
    files : mapping of str to ArrayFile
    """

    def __init__(self, root: int, segment: Segment, about: str) -> None:
        self.segment = segment
        self.files: dict[str, ArrayFile] = {}
        self.about = f"{about}, segment {segment.name}"
        folder = _open_segment(segment.name, root, self.about)
        try:
            for name, stored in segment.arrays.items():
                own = f"{self.about}, array {name}"
                self.files[name] = ArrayFile(folder, f"{name}.npy", own, stored)
        except BaseException:
            self.close()
            raise
        finally:
            os.close(folder)

    def close(self) -> None:
        """Close all files; arrays that are mapped stay."""
        for file in self.files.values():
            file.close()


class Folder:
    """An index on disk, as it was when its manifest was read.

    Parameters
    ----------
    path : Path
    writing : bool
        Hold the lock, to commit.

    Raises
    ------
    UnreadableFile
        When there is no index.
    CorruptStore, NewerFormat
    Locked
        When somebody else holds the lock.
    """

    def __init__(self, path: Path, *, writing: bool) -> None:
        self._start(path)
        self._check_is_there()
        if writing:
            self._take_lock()
        try:
            self.manifest = self.read_manifest()
            if writing:
                # Who wrote it may have been killed before it was on the disk for good; what the
                # one before it names is needed until then.
                with _refusals(path):
                    disk.sync_folder(path)
                self._keep_copy(_small_file(path / _MANIFEST, self.about))
                self._clean()
        except BaseException:
            self.close()
            raise

    def _start(self, path: Path) -> None:
        self.path = path
        self.manifest = Manifest(0, 1, {}, ())
        self.written_bytes = 0
        self._lock: WriterLock | None = None
        self._recovering = False  # the manifest on the disk is damaged, and will be replaced

    @classmethod
    def create(cls, path: Path) -> Folder:
        """A folder that is not there or empty, to commit an index to."""
        folder = cls.__new__(cls)
        folder._start(path)
        try:
            with _refusals(path):
                _make_folders(path.absolute() / _SEGMENTS)
            folder._take_lock()
            if is_index(path):  # who had the lock before has written it
                raise WouldOverwrite(
                    f"an index must be saved to a folder that is not there yet; got {path}, where "
                    "another process has just saved one. Choose another, or pass replace=True."
                )
        except BaseException:
            folder.close()
            raise
        return folder

    @classmethod
    def recovered(cls, path: Path) -> tuple[Folder, list[str]]:
        """A folder to be repaired, with its lock; its manifest may be damaged.

        Returns
        -------
        Folder, list of str
            And what was found out on the way.

        Raises
        ------
        CorruptStore
            When the manifest and its copy are damaged.
        """
        folder = cls.__new__(cls)
        folder._start(path)
        if not (path / _COPY).exists():
            folder._check_is_there()
        folder._take_lock()
        try:
            try:
                folder.manifest, notes = folder.read_manifest(), []
            except CorruptStore as error:
                copy = _small_file(path / _COPY, f"{path}: {_COPY}")
                folder.manifest = Manifest.from_bytes(copy, f"{path}: {_COPY}")
                folder._recovering = True
                notes = [
                    f"{_MANIFEST}: {error.why}; its copy is used",
                    *folder._set_newer_aside(),
                ]
        except BaseException:
            folder.close()
            raise
        return folder, notes

    def _set_newer_aside(self) -> list[str]:
        """Keep segments that the copy of a manifest does not know of yet; what they are."""
        told = []
        for folder in sorted((self.path / _SEGMENTS).iterdir()):
            if folder.name.isdecimal() and int(folder.name) >= self.manifest.next_segment:
                with _refusals(self.path):
                    disk.make_folder(self.path / _DAMAGED)
                    disk.replace(folder, self.path / _DAMAGED / folder.name)
                told.append(
                    f"segment {folder.name}: written after the copy, so that what it changed may "
                    f"be lost; it is kept in {_DAMAGED}"
                )
        return told

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
        return Manifest.from_bytes(
            _small_file(self.path / _MANIFEST, f"{self.about}: {_MANIFEST}"),
            f"{self.about}: {_MANIFEST}",
        )

    @contextlib.contextmanager
    def opened(self) -> Iterator[list[OpenSegment]]:
        """All segments of the newest snapshot, open until the end; sets ``manifest``.

        Where commits come between, it starts again from the new manifest.
        """
        for attempt in range(_ATTEMPTS):
            segments: list[OpenSegment] = []
            with contextlib.ExitStack() as stack:
                root = _open_folder(str(self.path), None, self.about)
                stack.callback(os.close, root)
                try:
                    for segment in self.manifest.segments:
                        segments.append(OpenSegment(root, segment, self.about))
                        stack.callback(segments[-1].close)
                except FileNotFoundError as error:
                    newest = self.read_manifest()
                    if newest == self.manifest or attempt == _ATTEMPTS - 1:
                        raise CorruptStore(self.about, f"a file is missing: {error}") from error
                    self.manifest = newest
                    continue
                yield segments
                return

    def damages(self, progress: Progress | None = None) -> tuple[Damage, ...]:
        """What is wrong with the files of the newest snapshot: every byte is read.

        Parameters
        ----------
        progress : callable, optional
        """
        told = Progressing(progress, sum(own.file_bytes for own in self.manifest.segments))
        found: list[Damage] = []
        for segment in self.manifest.segments:
            for name, stored in segment.arrays.items():
                try:
                    with self._file(segment, name) as file:
                        file.check_ends()
                        file.check_whole(told)
                except CorruptStore as error:
                    found.append(Damage(segment, name, error.why))
                except UnreadableFile:
                    raise  # no fault of the file
                except OSError as error:
                    found.append(Damage(segment, name, f"it cannot be read: {error.strerror}"))
                    told(stored.file_bytes)
        if found and not self._recovering and self.read_manifest() != self.manifest:
            self.manifest = self.read_manifest()  # somebody has committed meanwhile
            return self.damages(progress)
        return tuple(found)

    def _file(self, segment: Segment, name: str) -> ArrayFile:
        """One file of a segment."""
        root = _open_folder(str(self.path), None, self.about)
        with contextlib.ExitStack() as stack:
            stack.callback(os.close, root)
            folder = _open_segment(segment.name, root, self.about)
            stack.callback(os.close, folder)
            about = f"{self.about}, segment {segment.name}, array {name}"
            return ArrayFile(folder, f"{name}.npy", about, segment.arrays[name])

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
        folder = self.path / _SEGMENTS / name
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
        data = manifest.to_bytes()
        with _refusals(self.path):
            self._write_anew(self.path / _NEXT, data)
            disk.replace(self.path / _NEXT, self.path / _MANIFEST)
            try:
                disk.sync_folder(self.path)
            except OSError:
                self._take_back(manifest)
                raise
        self.manifest, self._recovering = manifest, False
        self.written_bytes += len(data)
        self._keep_copy(data)
        self._clean()

    def salvaged(self, segment: Segment, name: str) -> npt.NDArray[np.uint8]:
        """The bytes of the values of a file that may be damaged; none if it cannot be read."""
        start = len(header_of(segment.arrays[name].dtype, segment.arrays[name].shape))
        try:
            with _opened_plain(self.path / _SEGMENTS / segment.name / f"{name}.npy") as file:
                return np.frombuffer(file.read(segment.arrays[name].file_bytes)[start:], np.uint8)
        except OSError:
            return np.empty(0, np.uint8)

    def set_aside(self, damages: tuple[Damage, ...]) -> None:
        """Give damaged files a second name, under which they stay when the index goes on."""
        for damage in damages:
            source = self.path / _SEGMENTS / damage.segment.name / f"{damage.name}.npy"
            target = self.path / _DAMAGED / damage.segment.name / source.name
            if source.is_file() and not source.is_symlink() and not target.exists():
                with _refusals(self.path):
                    disk.make_folder(target.parent)
                    disk.link(source, target)
                    disk.sync_folder(target.parent)

    def close(self) -> None:
        """Release the lock. What was read stays."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    # ---- inside

    def _check_is_there(self) -> None:
        if not self.path.is_dir():
            what = "a file" if self.path.exists() else "nothing"
            raise UnreadableFile(
                f"an index must be a folder that save() has written; got {self.path}, where there "
                f"is {what}. Check the path."
            )
        if not is_index(self.path):
            raise UnreadableFile(
                f"an index must be a folder with a {_MANIFEST}; got {self.path}, which has none. "
                "Check the path."
            )

    def _take_lock(self) -> None:
        for name in (_SEGMENTS, _DAMAGED):
            if (self.path / name).is_symlink():  # nothing is written or removed elsewhere
                raise CorruptStore(f"{self.path}: {name}", "it is a link and no folder")
        with _refusals(self.path):
            self._lock = WriterLock(self.path / _LOCK)

    def _check_writing(self) -> None:
        if not self.is_writing:
            raise ReadOnly(
                f"{self.path} must be open for changes; it was opened to be read, closed, or is "
                'the parent\'s of this process. Open it with mode "r+".'
            )

    def _check_unchanged(self) -> None:
        """Where locks do not work, at least notice it: nothing of others is overwritten."""
        if not (self.path / _MANIFEST).exists():
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
                disk.remove(self.path / _MANIFEST)
                return
            before = dataclasses.replace(
                self.manifest,
                generation=refused.generation + 1,
                next_segment=refused.next_segment,
            )
            self._write_anew(self.path / _NEXT, before.to_bytes())
            disk.replace(self.path / _NEXT, self.path / _MANIFEST)
            self.manifest = before
        except OSError as error:
            self.manifest = refused
            raise NotWritten(
                f"{self.path} could not be written for good, nor as it was before: "
                f"{error.strerror or error}. The change is there, and a power cut may undo it. See "
                "to the disk, and open it again."
            ) from error

    def _write_anew(self, path: Path, data: bytes) -> None:
        with contextlib.suppress(FileNotFoundError):
            disk.remove(path)
        with disk.create(path) as file:
            disk.write(file, data)
            disk.sync(file)

    def _keep_copy(self, data: bytes) -> None:
        """For repair, should the manifest be damaged: nothing else ever reads it."""
        copy = self.path / _COPY
        with contextlib.suppress(OSError, UnreadableFile):
            if not copy.exists() or _small_file(copy, str(copy)) != data:
                self._write_anew(copy, data)

    def _clean(self) -> None:
        """Remove segments that the manifest does not name; what cannot be, stays."""
        named = {segment.name for segment in self.manifest.segments}
        with contextlib.suppress(OSError):
            for folder in sorted((self.path / _SEGMENTS).iterdir()):
                if folder.name not in named and _is_segment(folder):
                    _remove_tree(folder)


def folder_for(path: Path, *, replace: bool) -> Folder:
    """A folder to write an index to, with its lock.

    Parameters
    ----------
    path : Path
    replace : bool
        Whether there may be one already.

    Raises
    ------
    WouldOverwrite
        When something is there.
    """
    if is_index(path) and replace:
        return Folder(path, writing=True)
    if path.exists() and not _is_left_over(path):
        raise WouldOverwrite(
            f"an index must be saved to a folder that is not there yet, or empty; got {path}, "
            "where there is something. Choose another, or pass replace=True for an index."
        )
    if is_index(path):
        raise WouldOverwrite(
            f"an index must be saved to a folder that is not there yet; got {path}, where there "
            "is one. Choose another, or pass replace=True."
        )
    return Folder.create(path)


def _is_left_over(path: Path) -> bool:
    """Whether a folder is empty, or has nothing but what a save that was cut off has left."""
    if not path.is_dir() or not {there.name for there in path.iterdir()} <= _OWN_NAMES:
        return False
    segments = path / _SEGMENTS
    return not segments.exists() or all(_is_segment(there) for there in segments.iterdir())


def _is_segment(folder: Path) -> bool:
    """Whether a folder has the name of a segment, and holds arrays alone."""
    named = folder.name.isascii() and folder.name.isdecimal() and len(folder.name) >= _NAME_DIGITS
    return named and all(there.suffix == ".npy" for there in folder.iterdir())


def is_index(path: Path) -> bool:
    """Whether an index is in this folder."""
    return (path / _MANIFEST).exists()


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


def _opened_plain(path: Path) -> BinaryIO:
    """A file, if it is a plain one: neither links nor pipes are followed, or waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    file = open(descriptor, "rb")  # noqa: PTH123, SIM115  # a descriptor, which the caller closes
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is no plain file")
    return file


def _small_file(path: Path, about: str) -> bytes:
    """The bytes of a plain file that is not too large."""
    try:
        with _opened_plain(path) as file:
            data = file.read(_MOST_MANIFEST + 1)
    except OSError as error:
        raise CorruptStore(about, f"it cannot be opened as a plain file: {error}") from error
    if len(data) > _MOST_MANIFEST:
        raise CorruptStore(about, f"it has more than {_MOST_MANIFEST:,} bytes")
    return data


def _open_folder(name: str, above: int | None, about: str) -> int:
    links = 0 if above is None else os.O_NOFOLLOW
    try:
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | links, dir_fd=above)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CorruptStore(about, f"it cannot be opened as a folder: {error}") from error


def _open_segment(name: str, root: int, about: str) -> int:
    """The folder of a segment; no link is followed on the way."""
    segments = _open_folder(_SEGMENTS, root, about)
    try:
        return _open_folder(name, segments, about)
    finally:
        os.close(segments)


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
