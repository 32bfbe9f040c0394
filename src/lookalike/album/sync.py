"""Bring catalogue and indexes into step with the files of an album.

Three steps. *Look* compares every file's size and times with the catalogue, and lists what has to
be read. *Read* reads, digests and encodes these files on all cores, and commits them in batches: an
interruption loses one batch at the most, and the next run goes on. *Forget* drops what is gone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lookalike.album.catalog import Catalog, Content, File, Name, content_id, shown
from lookalike.album.matches import path_dict
from lookalike.album.walk import Rules, Visit, is_below, walk
from lookalike.errors import Cancelled, UnreadableFile
from lookalike.index import Index
from lookalike.pictures.jobs import Stamp
from lookalike.pictures.pool import Job, Outcome, Pool

__all__ = ["Progress", "Synced", "sync"]

Progress = Callable[[int, int | None], bool | None]

_BATCH = 256  # pictures of one commit
_BATCH_S = 10.0  # after which there is one in any case
_COARSEST_NS = 2_500_000_000  # of the times of any file system: FAT counts two seconds
_MANY = 1000  # rows at a time


@dataclass(slots=True)
class Synced:
    """What a sync has found and done.

    Attributes
    ----------
    files : int
        That belong to the album now.
    unchanged, new, changed, moved, deleted : int
        Files since the last sync; a moved one has the bytes of one that is gone.
    encoded : int
        Contents that were encoded.
    ignored, links : int
        Files that do not belong to the album; symbolic links that were not followed.
    unreadable : list of (path, reason)
        Files that are no pictures that can be read; read again when they change.
    refused : list of (path, reason)
        Files and folders that the system refuses; tried again by every sync. What was known of
        them stays.
    seconds : float
    """

    files: int = 0
    unchanged: int = 0
    new: int = 0
    changed: int = 0
    moved: int = 0
    deleted: int = 0
    encoded: int = 0
    ignored: int = 0
    links: int = 0
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """As ``lookalike sync --json`` prints it."""
        own = {name: getattr(self, name) for name in self.__dataclass_fields__}
        for name in ("unreadable", "refused"):
            own[name] = [
                path_dict(os.fsencode(path)) | {"reason": reason} for path, reason in own[name]
            ]
        return own

    def __str__(self) -> str:
        lines = [
            f"{self.files:,} files: {self.new:,} new, {self.changed:,} changed, {self.moved:,} "
            f"moved, {self.deleted:,} deleted, {self.unchanged:,} as before",
            f"{self.encoded:,} pictures encoded in {self.seconds:,.1f} s"
            + (f" ({self.encoded / self.seconds:,.0f} a second)" if self.encoded else ""),
        ]
        if self.ignored or self.links:
            lines.append(f"{self.ignored:,} other files and {self.links:,} links left alone")
        for name, troubles in (("unreadable", self.unreadable), ("refused", self.refused)):
            if troubles:
                lines.append(f"{len(troubles):,} {name}:")
                lines += [f"  {path}: {reason}" for path, reason in troubles]
        return "\n".join(lines)


def sync(
    root: Path,
    catalog: Catalog,
    indexes: Mapping[str, Index],
    rules: Rules,
    pool: Pool,
    *,
    checksum: bool = False,
    emptied: bool = False,
    again: frozenset[int] = frozenset(),
    looked: Callable[[], object] | None = None,
    progress: Progress | None = None,
) -> Synced:
    """Bring catalogue and indexes into step with the files of a folder.

    Parameters
    ----------
    root : Path
        The folder.
    catalog : Catalog
    indexes : mapping of str to Index
        By the name of the encoder, open for changes.
    rules : Rules
        Which files belong to the album.
    pool : Pool
        That encodes with these encoders.
    checksum : bool
        Read every file, also where size and times are as they were.
    emptied : bool
        Whether it is right that no file is there any more.
    again : frozenset of int
        Contents that are to be read again.
    looked : callable, optional
        Called once the files were looked at and nothing is the matter, before any is read.
    progress : callable, optional
        Called with files that were looked at and None, then with those that were read and how
        many there are to read. False cancels: what was committed stays.

    Raises
    ------
    Cancelled
    UnreadableFile
        When the folder is not there, all files have gone, or none matches the rules any more.
    """
    return _Sync(root, catalog, indexes, rules, progress).run(
        pool, checksum=checksum, emptied=emptied, again=again, looked=looked
    )


class _Asked(NamedTuple):
    """What goes with a job."""

    name: Name
    looked_ns: int  # not later than the file was read


class _Sync:
    """One run."""

    def __init__(
        self,
        root: Path,
        catalog: Catalog,
        indexes: Mapping[str, Index],
        rules: Rules,
        progress: Progress | None,
    ) -> None:
        self._root = root
        self._catalog = catalog
        self._indexes = indexes
        self._rules = rules
        self._progress = progress
        self.report = Synced()

    def run(
        self,
        pool: Pool,
        *,
        checksum: bool,
        emptied: bool,
        again: frozenset[int],
        looked: Callable[[], object] | None,
    ) -> Synced:
        start = time.monotonic()
        self._again = again | self._lacking()
        self._make_lists()
        self._look(checksum=checksum)
        if not emptied:
            self._check_there_is_something()
        if looked is not None:
            looked()
        self._read(pool)
        self._forget()
        self._settle()
        self.report.seconds = time.monotonic() - start
        return self.report

    def _tell(self, done: int, total: int | None) -> None:
        if self._progress is not None and self._progress(done, total) is False:
            raise Cancelled(
                "sync must go on to the end to see everything; it was cancelled. What was "
                "committed stays: run it again to go on."
            )

    # ---- look

    def _make_lists(self) -> None:
        """Lists on the disk, not in memory: of files to be read, and of files that are gone."""
        ask = self._catalog.ask
        for name in ("to_read", "gone"):
            ask(f"DROP TABLE IF EXISTS temp.{name}")
        ask("CREATE TEMP TABLE to_read (folder BLOB, name BLOB, is_link INTEGER, content INTEGER)")
        ask("CREATE TEMP TABLE gone (folder BLOB, name BLOB, content INTEGER, is_moved INTEGER)")
        ask("CREATE INDEX temp.gone_by_content ON gone (content)")

    def _look(self, *, checksum: bool) -> None:
        seen: set[bytes] = set()
        closed: list[bytes] = []  # folders that could not be looked into
        for visit in walk(os.fsencode(self._root), self._rules):
            seen.add(visit.folder)
            closed += [path for path, _ in visit.refused]
            self._compare(visit, checksum=checksum)
            self._tell(self.report.files, None)
        for folder in self._catalog.folders():
            if folder not in seen:
                known = self._catalog.files_in(folder)
                self._note_gone(
                    file for file in known.values() if not _is_in_any(file.name.path, closed)
                )

    def _compare(self, visit: Visit, *, checksum: bool) -> None:
        """Compare the files of one folder with those that are known."""
        report, known = self.report, self._catalog.files_in(visit.folder)
        report.files += len(visit.files)
        report.ignored += visit.ignored
        report.links += visit.links
        report.refused += [(shown(path) or ".", reason) for path, reason in visit.refused]
        rows = []
        for name, found in visit.files.items():
            file = known.get(name)
            if file is None or checksum or self._is_in_doubt(file, found.stamp):
                content = None if file is None else file.content
                rows.append((visit.folder, name, found.is_link, content))
            else:
                report.unchanged += 1
        self._catalog.run("INSERT INTO temp.to_read VALUES (?, ?, ?, ?)", rows)
        closed = [path for path, _ in visit.refused]
        self._note_gone(
            file
            for name, file in known.items()
            if name not in visit.files and not _is_in_any(file.name.path, closed)
        )

    def _is_in_doubt(self, file: File, stamp: Stamp) -> bool:
        """Whether a file may have changed, or has to be read for another reason.

        A change of the same size right after it was read may leave its time as it was, where
        times are coarse; git calls such files racy.
        """
        return (
            file.stamp != stamp
            or file.content is None
            or file.content in self._again
            or stamp.mtime_ns > file.looked_ns - _COARSEST_NS
        )

    def _note_gone(self, files: Iterable[File]) -> None:
        self._catalog.run(
            "INSERT INTO temp.gone VALUES (?, ?, ?, 0)",
            ((file.name.folder, file.name.name, file.content) for file in files),
        )

    def _check_there_is_something(self) -> None:
        """A drive that is not mounted is an empty folder, and no reason to forget an album."""
        known = self._catalog.count()["files"]
        if not known or self.report.files or self.report.refused:
            return
        if self._has_others():
            raise UnreadableFile(
                f"{self._root} must hold the files of its album; no file matches "
                f"{self._rules.in_words()}, and there were {known:,}. Give other patterns ('' for "
                "none); if it is right that no picture is left, say so: --emptied."
            )
        raise UnreadableFile(
            f"{self._root} must hold the files of its album; it has none, and there were "
            f"{known:,}. Is the drive mounted? If they were all removed, say so: --emptied."
        )

    def _has_others(self) -> bool:
        """Whether patterns alone are why no file belongs to the album."""
        if not self._rules.in_words():
            return False
        all_of_them = walk(os.fsencode(self._root), self._rules.without_patterns())
        return any(visit.files for visit in all_of_them)

    # ---- read

    def _read(self, pool: Pool) -> None:
        (total,) = self._catalog.ask("SELECT count(*) FROM temp.to_read")[0]
        batch, begun = list[Outcome](), time.monotonic()
        self._tell(0, total)
        for done, outcome in enumerate(pool.outcomes(self._jobs()), 1):
            batch.append(outcome)
            if len(batch) >= _BATCH or time.monotonic() - begun > _BATCH_S:
                self._commit(batch)
                batch, begun = [], time.monotonic()
            self._tell(done, total)
        self._commit(batch)

    def _jobs(self) -> Iterator[Job]:
        """What is to be read, and which contents need not be encoded."""
        last = 0
        while rows := self._catalog.ask(
            "SELECT rowid, folder, name, is_link FROM temp.to_read WHERE rowid > ? "
            "ORDER BY rowid LIMIT ?",
            (last, _MANY),
        ):
            for last, folder, name, is_link in rows:  # noqa: B007  # it is the last one
                yield self._job(Name(folder, name), is_link=bool(is_link))

    def _job(self, name: Name, *, is_link: bool) -> Job:
        path, asked = self._root / shown(name.path), _Asked(name, time.time_ns())
        try:
            size = path.stat().st_size
            real = path.resolve() if is_link else path
        except OSError:
            return Job(path, about=asked)  # the pool will say what is the matter
        known = self._catalog.digests_of_size(size)
        if self._again:
            known = frozenset(own for own in known if content_id(own) not in self._again)
        return Job(real, known=known, about=asked)

    def _commit(self, batch: list[Outcome]) -> None:
        """Add to the indexes, then to the catalogue: see there, why in this order."""
        contents: dict[int, Content] = {}
        vectors: dict[int, Outcome] = {}
        files: list[File] = []
        for outcome in batch:
            file = self._file_of(outcome, contents)
            if file is not None:
                files.append(file)
                if outcome.status == "encoded" and file.content is not None:
                    vectors[file.content] = outcome
        self._add(vectors)
        with self._catalog.change():
            self._count(files)
            self._catalog.put_contents(contents.values())
            self._catalog.put_files(files)
        self.report.encoded += len(vectors)
        self._again -= contents.keys()

    def _file_of(self, outcome: Outcome, contents: dict[int, Content]) -> File | None:
        """What is to be remembered of a file, whose content is put to the others if it is new."""
        name, looked_ns = outcome.job.about
        known = self._catalog.find(name.path)
        if outcome.status == "gone":
            self.report.files -= 1
            if known is not None:
                self._note_gone([known])
            return None
        if outcome.status == "refused":
            self.report.refused.append((shown(name.path), str(outcome.reason)))
            return known or File(name, Stamp(0, 0, 0, 0), 0, None, outcome.reason)
        file = File(name, _stamp_of(outcome), looked_ns, None, outcome.reason)
        if outcome.digest is None:
            return file
        content = content_id(outcome.digest)
        there = contents.get(content) or self._catalog.content(content)
        if there is not None and there.digest != outcome.digest:
            return replace(file, reason=_COLLIDES.format(outcome.digest, there.digest))
        if outcome.status != "known":
            contents[content] = _content_of(outcome)
        return replace(file, content=content, reason=None)

    def _add(self, outcomes: Mapping[int, Outcome]) -> None:
        """Put vectors into the indexes; those that are there already are the same."""
        for encoder, index in self._indexes.items():
            own = {
                content: outcome.codes[encoder].vector
                for content, outcome in outcomes.items()
                if outcome.codes[encoder].usable
            }
            if own:
                ids = np.fromiter(own, np.int64, len(own))
                index.add(np.stack(list(own.values())), ids, replace=True)

    def _count(self, files: list[File]) -> None:
        """Tell new, changed and moved files apart, before they are remembered."""
        for file in files:
            known = self._catalog.find(file.name.path)
            if known is not None and known.content == file.content:
                self.report.unchanged += 1
            elif known is not None:
                self.report.changed += 1
            elif file.content is not None and self._was_moved(file.content):
                self.report.moved += 1
            else:
                self.report.new += 1

    def _was_moved(self, content: int) -> bool:
        """Whether a file with this content is gone; each is found once."""
        rows = self._catalog.ask(
            "SELECT rowid FROM temp.gone WHERE content = ? AND NOT is_moved LIMIT 1", (content,)
        )
        self._catalog.run("UPDATE temp.gone SET is_moved = 1 WHERE rowid = ?", rows)
        return bool(rows)

    # ---- forget

    def _forget(self) -> None:
        """Drop what is gone: from the catalogue, then from the indexes."""
        ask = self._catalog.ask
        with self._catalog.change():
            self._catalog.drop_files(
                Name(*row) for row in ask("SELECT folder, name FROM temp.gone")
            )
            self._catalog.drop_unused()
        (self.report.deleted,) = ask("SELECT count(*) FROM temp.gone WHERE NOT is_moved")[0]
        for encoder, index in self._indexes.items():
            over = np.setdiff1d(index.ids, self._catalog.ids_with(encoder))
            if len(over):
                index.remove(over)

    def _lacking(self) -> frozenset[int]:
        """Contents whose vectors are not where they belong: a new encoder, or a repaired index."""
        lacking: set[int] = set()
        for encoder, index in self._indexes.items():
            own = np.setdiff1d(self._catalog.ids_with(encoder), index.ids)
            lacking.update(own.tolist())
        return frozenset(lacking)

    def _settle(self) -> None:
        """Plan the indexes now, so that no search has to; and report what is the matter."""
        for index in self._indexes.values():
            if len(index):
                _ = index.plan
        refused = {path for path, _ in self.report.refused}
        self.report.unreadable = [
            (shown(path), reason)
            for path, reason in self._catalog.troubles()
            if shown(path) not in refused
        ]


_COLLIDES = "its digest {} collides with {}, of another file: one of them was made for it"


def _stamp_of(outcome: Outcome) -> Stamp:
    return Stamp(outcome.size, outcome.mtime_ns, outcome.ctime_ns, outcome.inode)


def _content_of(outcome: Outcome) -> Content:
    assert outcome.digest is not None
    return Content(
        outcome.digest,
        outcome.size,
        outcome.width,
        outcome.height,
        outcome.format,
        outcome.taken,
        outcome.sharpness,
        outcome.reason,
        frozenset(name for name, code in outcome.codes.items() if not code.usable),
    )


def _is_in_any(path: bytes, folders: list[bytes]) -> bool:
    return any(is_below(path, folder) for folder in folders)
