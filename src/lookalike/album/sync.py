"""Bring catalogue and indexes into step with the files of an album.

Three steps. *Look* compares every file's size and times with the catalogue, and lists what has to
be read. *Read* reads, digests and encodes these files on all cores, and commits them in batches: an
interruption loses one batch at the most, and the next run goes on. *Forget* drops what is gone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
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
        Files that are no pictures that can be read; read again when they change. Those whose
        decoder crashed or hung are tried once more before, by the next sync.
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
        self._known = _Known(catalog)
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
        self._make_lists(again)
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

    def _make_lists(self, again: Iterable[int]) -> None:
        """Lists on the disk, not in memory: of what is to be read, and of what is gone."""
        ask, run = self._catalog.ask, self._catalog.run
        for name, columns in _LISTS.items():
            ask(f"DROP TABLE IF EXISTS temp.{name}")
            ask(f"CREATE TEMP TABLE {name} {columns}")
        ask("CREATE INDEX temp.gone_by_content ON gone (content, is_moved)")
        run("INSERT OR IGNORE INTO temp.again VALUES (?, 1)", ((own,) for own in again))
        ask("INSERT OR IGNORE INTO temp.again SELECT content, 1 FROM lost")
        for encoder, index in self._indexes.items():
            run("INSERT OR IGNORE INTO temp.again VALUES (?, 0)", self._lacking(encoder, index))

    def _lacking(self, encoder: str, index: Index) -> Iterator[tuple[int]]:
        """Contents whose vectors are not where they belong: a new encoder, or a repaired index."""
        for own in np.setdiff1d(self._catalog.ids_with(encoder), index.ids):
            yield (int(own),)

    def _look(self, *, checksum: bool) -> None:
        seen: set[bytes] = set()
        closed: list[bytes] = []  # folders that could not be looked into
        for visit in walk(os.fsencode(self._root), self._rules):
            seen.add(visit.folder)
            closed += [path for path, _ in visit.refused]
            self._note_found(visit)
            if visit.is_last:
                self._compare(visit.folder, checksum=checksum)
                if visit.folder not in closed:
                    self._note_missing(visit.folder)
                self._catalog.ask("DELETE FROM temp.found")
            self._tell(self.report.files, None)
        for folder in self._catalog.folders():
            if folder not in seen and not any(is_below(folder, own) for own in closed):
                self._note_missing(folder)

    def _note_found(self, visit: Visit) -> None:
        """Take up what a visit to a folder says."""
        report = self.report
        report.files += len(visit.files)
        report.ignored += visit.ignored
        report.links += visit.links
        report.refused += [(shown(path) or ".", reason) for path, reason in visit.refused]
        rows: list[tuple[Any, ...]] = [
            (name, *own.stamp, own.is_link) for name, own in visit.files.items()
        ]
        rows += [(Name.of(path).name, 0, 0, 0, 0, None) for path, _ in visit.refused]
        with self._catalog.change():  # one, and not one for each row
            self._catalog.run("INSERT OR REPLACE INTO temp.found VALUES (?, ?, ?, ?, ?, ?)", rows)

    def _compare(self, folder: bytes, *, checksum: bool) -> None:
        """Compare the files of one folder with those that are known.

        A file may have changed where any of its numbers did. A change of the same size right after
        it was read may leave its time as it was, where times are coarse; git calls such files racy.
        """
        ask = self._catalog.ask
        (there,) = ask("SELECT count(*) FROM temp.found WHERE is_link IS NOT NULL")[0]
        (before,) = ask(_LISTED)[0]
        ask(_TO_READ, (folder, checksum, _COARSEST_NS))
        (after,) = ask(_LISTED)[0]
        self.report.unchanged += there - (after - before)

    def _note_missing(self, folder: bytes) -> None:
        """Note the known files of a folder that were not found there."""
        self._catalog.ask(
            "INSERT INTO temp.gone SELECT ?1, name, content, 0 FROM files "
            "WHERE folder = (SELECT id FROM folders WHERE path = ?1) "
            "AND name NOT IN (SELECT name FROM temp.found)",
            (folder,),
        )

    def _check_there_is_something(self) -> None:
        """A drive that is not mounted is an empty folder, and no reason to forget an album."""
        if self.report.files or self.report.refused:
            return
        known = self._catalog.count()["files"]
        if not known:
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
            real = path.resolve() if is_link else path
        except OSError:
            real = path  # the pool will say what is the matter
        return Job(real, known=self._known, about=asked)

    def _commit(self, batch: list[Outcome]) -> None:
        """Add to the indexes, then to the catalogue: see there, why in this order."""
        contents: dict[int, Content] = {}
        vectors: dict[int, Outcome] = {}
        lost: set[int] = set()
        files: list[File] = []
        for outcome in batch:
            file = self._file_of(outcome, contents)
            if file is not None:
                files.append(file)
                if outcome.status == "encoded" and file.content is not None:
                    vectors[file.content] = outcome
                elif outcome.status == "lost" and file.content is not None:
                    lost.add(file.content)
        self._add(vectors)
        with self._catalog.change():
            self._count(files)
            self._catalog.put_contents(contents.values())
            self._catalog.put_files(files)
            self._note_lost(contents.keys(), lost)
        self.report.encoded += len(vectors)
        self._catalog.run("DELETE FROM temp.again WHERE content = ?", zip(contents))

    def _note_lost(self, contents: Iterable[int], lost: Set[int]) -> None:
        """Remember what the next sync is to try again: what was lost for the first time."""
        first = [
            (own,)
            for own in lost
            if not self._catalog.ask(
                "SELECT 1 FROM temp.again WHERE content = ? AND was_unreadable", (own,)
            )
        ]
        self._catalog.run("DELETE FROM lost WHERE content = ?", ((own,) for own in contents))
        self._catalog.run("INSERT INTO lost VALUES (?)", first)

    def _file_of(self, outcome: Outcome, contents: dict[int, Content]) -> File | None:
        """What is to be remembered of a file, whose content is put to the others if it is new."""
        name, looked_ns = outcome.job.about
        known = self._catalog.find(name.path)
        if outcome.status == "gone":
            self.report.files -= 1
            if known is not None:
                self._catalog.run(
                    "INSERT INTO temp.gone VALUES (?, ?, ?, 0)", [(*name, known.content)]
                )
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
            "SELECT rowid FROM temp.gone WHERE content = ? AND is_moved = 0 LIMIT 1", (content,)
        )
        self._catalog.run("UPDATE temp.gone SET is_moved = 1 WHERE rowid = ?", rows)
        return bool(rows)

    # ---- forget

    def _forget(self) -> None:
        """Drop what is gone: from the catalogue, then from the indexes."""
        ask = self._catalog.ask
        with self._catalog.change():
            ask(
                "DELETE FROM files WHERE (folder, name) IN "
                "(SELECT id, name FROM temp.gone JOIN folders ON path = gone.folder)"
            )
            self._catalog.drop_unused()
        (self.report.deleted,) = ask("SELECT count(*) FROM temp.gone WHERE NOT is_moved")[0]
        for encoder, index in self._indexes.items():
            over = np.setdiff1d(index.ids, self._catalog.ids_with(encoder))
            if len(over):
                index.remove(over)

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


_LISTS = {
    "found": "(name BLOB PRIMARY KEY, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER, "
    "inode INTEGER, is_link INTEGER) WITHOUT ROWID",  # in one folder; NULL: it was refused
    "to_read": "(folder BLOB, name BLOB, is_link INTEGER)",
    "gone": "(folder BLOB, name BLOB, content INTEGER, is_moved INTEGER)",
    "again": "(content INTEGER PRIMARY KEY, was_unreadable INTEGER)",  # to be encoded once more
}
_LISTED = "SELECT coalesce(max(rowid), 0) FROM temp.to_read"  # none is counted one by one
_TO_READ = """
INSERT INTO temp.to_read SELECT ?1, found.name, found.is_link
FROM temp.found AS found LEFT JOIN files
  ON files.folder = (SELECT id FROM folders WHERE path = ?1) AND files.name = found.name
WHERE found.is_link IS NOT NULL AND (
  ?2 OR files.content IS NULL
  OR (found.size, found.mtime_ns, found.ctime_ns, found.inode)
    != (files.size, files.mtime_ns, files.ctime_ns, files.inode)
  OR found.mtime_ns > files.looked_ns - ?3
  OR files.content IN (SELECT content FROM temp.again)
)
"""


class _Known:
    """The contents that need not be encoded, asked for one at a time: there may be many."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def __contains__(self, digest: object) -> bool:
        own = content_id(str(digest))
        rows = self._catalog.ask(
            "SELECT digest FROM contents WHERE id = ? "
            "AND id NOT IN (SELECT content FROM temp.again)",
            (own,),
        )
        return rows == [(digest,)]


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
