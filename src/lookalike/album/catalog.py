"""The catalogue of an album: which files there are, what they hold, what was decided about them.

A *content* is the bytes of a file, known by their digest; files with the same bytes share one. The
id of a content, under which its vectors lie in every index, is 63 bits of its digest: the same
however the album came about.

Rules that sync keeps, so that nobody has to trust two commits at once: the vectors of a content are
in the indexes before the catalogue names it, and the catalogue forgets a content before they leave.
So an id that the catalogue does not know is not there, whatever an index says.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike.errors import CorruptStore, NewerFormat, NotWritten, UnreadableFile
from lookalike.pictures.jobs import Stamp

__all__ = ["FORMAT", "Catalog", "Content", "File", "Name", "content_id", "shown"]

FORMAT = 1
_FILE = "catalog.sqlite"
_WAIT_S = 30.0  # for a commit of somebody else
_CACHE_KB = 32_768  # of pages, at the most
_MANY, _MOST_HELD = 1_000, 65_536  # contents of one call, and of all, that are remembered: 64 MB
_NONE: frozenset[str] = frozenset()

_SCHEMA = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE contents (
  id INTEGER PRIMARY KEY,       -- of its vectors in every index
  digest TEXT NOT NULL UNIQUE,  -- xxh3-128 of all bytes
  size INTEGER NOT NULL,
  width INTEGER, height INTEGER, format TEXT, taken TEXT, sharpness REAL,  -- NULL: no picture
  reason TEXT,                  -- why it is no picture
  featureless TEXT NOT NULL     -- encoders that see too little in it: names, as JSON
);
CREATE TABLE folders (
  id INTEGER PRIMARY KEY,
  path BLOB NOT NULL UNIQUE     -- in the album
);
CREATE TABLE files (
  folder INTEGER NOT NULL REFERENCES folders (id),
  name BLOB NOT NULL,
  size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL,
  inode INTEGER NOT NULL,
  looked_ns INTEGER NOT NULL,   -- when it was read
  content INTEGER REFERENCES contents (id),  -- NULL: it could not be read
  reason TEXT,                  -- why not
  PRIMARY KEY (folder, name)
) WITHOUT ROWID;
CREATE INDEX files_by_content ON files (content);
CREATE TABLE apart (           -- two contents that are no duplicates: digests, the smaller first
  one TEXT NOT NULL, other TEXT NOT NULL, PRIMARY KEY (one, other)
) WITHOUT ROWID;
CREATE TABLE kept (            -- groups all of whose members are to stay
  review INTEGER NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (review, digest)
) WITHOUT ROWID;
CREATE TABLE deeds (           -- the journal of what was done to files
  id INTEGER PRIMARY KEY,
  act INTEGER NOT NULL,         -- deeds of one apply
  path BLOB NOT NULL,           -- in the album
  digest TEXT NOT NULL,
  size INTEGER NOT NULL,
  keeper BLOB NOT NULL,         -- what stayed, in the album
  reason TEXT NOT NULL,         -- why they were duplicates
  how TEXT NOT NULL,            -- "trash" or "folder"
  went_to BLOB,                 -- a full path; NULL where the trash does not say
  state TEXT NOT NULL,          -- "begun", "done", "undoing", "undone" or "failed"
  why TEXT,                     -- it failed
  token TEXT NOT NULL,          -- in the names of what is beside the file while it is moved
  begun_ns INTEGER NOT NULL
);
"""
_LOST = """
CREATE TABLE IF NOT EXISTS lost (  -- contents whose decoder crashed or hung, once until now
  content INTEGER PRIMARY KEY
)
"""  # apart, since there are catalogues without it


class Name(NamedTuple):
    """A file of an album: any bytes may be in a name."""

    folder: bytes  # in the album, b"" for its top
    name: bytes

    @property
    def path(self) -> bytes:
        """In the album."""
        return self.folder + b"/" + self.name if self.folder else self.name

    @classmethod
    def of(cls, path: bytes) -> Name:
        """Of a path in the album."""
        return cls(*os.path.split(path))


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes that one or several files have.

    Attributes
    ----------
    digest : str
        xxh3-128 of all bytes, in hexadecimal.
    size : int
        Bytes.
    width, height : int or None
        Pixels, upright; None when it is no picture.
    format, taken : str or None
        "jpeg" and so on; when the picture was taken, "YYYY-MM-DDTHH:MM:SS".
    sharpness : float or None
    reason : str or None
        Why it is no picture that can be read.
    featureless : frozenset of str
        Encoders that see too little in it to tell it from others.
    """

    digest: str
    size: int
    width: int | None = None
    height: int | None = None
    format: str | None = None
    taken: str | None = None
    sharpness: float | None = None
    reason: str | None = None
    featureless: frozenset[str] = frozenset()

    @property
    def id(self) -> int:
        """Of its vectors."""
        return content_id(self.digest)


@dataclass(frozen=True, slots=True)
class File:
    """What is known of one file.

    Attributes
    ----------
    name : Name
    stamp : Stamp
    looked_ns : int
        When it was read.
    content : int or None
        Id of its content; None when it could not be read, for the ``reason``.
    reason : str or None
    """

    name: Name
    stamp: Stamp
    looked_ns: int
    content: int | None
    reason: str | None = None


class _Remembered(NamedTuple):
    """What was read of a catalogue in one state of it."""

    state: tuple[int, int] | None
    facts: dict[str, str | None]
    held: dict[int, tuple[Content, list[File]] | None]


def content_id(digest: str) -> int:
    """The id of a content: 63 bits of its digest."""
    return int(digest, 16) & (2**63 - 1)


def shown(path: bytes) -> str:
    """A path as text, whatever bytes it has; ``os.fsencode`` gives them back."""
    return os.fsdecode(path)


class Catalog:
    """The catalogue in a folder.

    Parameters
    ----------
    home : Path
        Folder of the album's own files.
    create : bool
        Make it, if it is not there.

    Notes
    -----
    May be used from several threads, one at a time. SQLite's write-ahead log makes each
    :meth:`change` whole or not at all, also after a power cut, while others read. In a folder that
    is only read, it is read as it is when it is opened.
    """

    def __init__(self, home: Path, *, create: bool) -> None:
        self.path = home / _FILE
        if not create and not self.path.is_file():
            raise UnreadableFile(
                f"an album must have been made before it is asked; got {home}, where there is no "
                f"{_FILE}. Run sync first."
            )
        self._one_at_a_time = threading.RLock()
        self._memory = _Remembered(None, {}, {})
        self._viewed: tuple[int, int] | None = None  # the state that a view sees
        self._telling = _Told(self.path)
        with self._told():
            *ways, last = self._ways(create=create)
            for way in ways:
                try:
                    self._open(way, create=create)
                    break
                except sqlite3.OperationalError:
                    continue
            else:
                self._open(last, create=create)
        # Who forgets to close it does no harm: it goes with the last one who knows it.
        self._end = weakref.finalize(self, _close, self._database, os.getpid())

    def _ways(self, *, create: bool) -> list[str]:
        """How to open it, as URI: SQLite has files beside it, which it cannot make everywhere."""
        uri = self.path.absolute().as_uri()
        if create or os.access(self.path.parent, os.W_OK):
            return [uri]
        if self.path.with_name(f"{_FILE}-wal").exists():  # it must not be read without
            return [uri, f"{uri}?mode=ro"]
        return [uri, f"{uri}?mode=ro", f"{uri}?mode=ro&immutable=1"]

    def _open(self, way: str, *, create: bool) -> None:
        self._database = sqlite3.connect(
            way, timeout=_WAIT_S, isolation_level=None, check_same_thread=False, uri=True
        )
        try:
            self._prepare(create=create)
        except BaseException:
            self._database.close()
            raise

    def _prepare(self, *, create: bool) -> None:
        run = self._database.execute
        run("PRAGMA trusted_schema = OFF")  # it may come from a stranger
        run("PRAGMA cell_size_check = ON")
        run(f"PRAGMA cache_size = -{_CACHE_KB}")  # 2 MB unless said: searches would read and read
        run("PRAGMA foreign_keys = OFF")  # sync keeps them, in an order of its own
        if create:
            run("PRAGMA journal_mode = WAL")
            run("PRAGMA synchronous = FULL")
            with self.change():
                if run("PRAGMA user_version").fetchone()[0] == 0 and not self._tables():
                    for statement in _SCHEMA.split(";\n"):
                        run(statement)
                    run(f"PRAGMA user_version = {FORMAT}")
                run(_LOST)
        version = run("PRAGMA user_version").fetchone()[0]
        if version > FORMAT:
            raise NewerFormat(
                f"{self.path} must have format {FORMAT} or older; it has {version}, of a later "
                "version of lookalike. Upgrade it."
            )
        if version != FORMAT or "files" not in self._tables():
            raise CorruptStore(str(self.path), "it is no catalogue of an album")

    def _tables(self) -> set[str]:
        rows = self._database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        return {name for (name,) in rows}

    def close(self) -> None:
        """Let go of the file."""
        with self._one_at_a_time:
            self._end()

    @contextlib.contextmanager
    def change(self) -> Iterator[None]:
        """Make all changes in the block at once, on the disk for good; or none, if it raises."""
        with self._one_at_a_time, self._told():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:  # a full disk has ended it already
                    self._database.execute("ROLLBACK")
                self._memory = _Remembered(None, {}, {})  # what was read in it never was
                raise

    @contextlib.contextmanager
    def view(self) -> Iterator[None]:
        """See one state in the whole block, whatever others commit meanwhile."""
        with self._one_at_a_time, self._told():
            if self._database.in_transaction:
                yield
                return
            self._database.execute("BEGIN")
            try:
                self._viewed = self.state()  # the first that is read: from here on nothing changes
                yield
            finally:
                self._viewed = None
                self._database.execute("ROLLBACK")

    def _told(self) -> _Told:
        """Turn what SQLite refuses into an error of ours."""
        return self._telling

    def ask(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows of an answer."""
        with self._one_at_a_time, self._told():
            return self._database.execute(query, values).fetchall()

    def numbers(self, query: str, values: Sequence[Any] = ()) -> npt.NDArray[np.int64]:
        """The only column of an answer, of whole numbers: eight bytes of memory for each."""
        with self._one_at_a_time, self._told():
            rows = self._database.execute(query, values)
            return np.fromiter((own for (own,) in rows), np.int64)

    def run(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement for each row."""
        with self._one_at_a_time, self._told():
            self._database.executemany(statement, rows)

    # ---- facts

    def fact(self, name: str, default: Any = None) -> Any:
        """A fact of the album."""
        with self._one_at_a_time, self._told():
            texts = self._remembered().facts
            if name not in texts:
                rows = self.ask("SELECT value FROM facts WHERE name = ?", (name,))
                texts[name] = rows[0][0] if rows else None
            text = texts[name]
        try:
            return default if text is None else json.loads(text)
        except ValueError as error:
            raise CorruptStore(str(self.path), f"the fact {name!r} is no JSON") from error

    def set_fact(self, name: str, value: Any) -> None:
        """Remember a fact of the album."""
        self.run("INSERT OR REPLACE INTO facts VALUES (?, ?)", [(name, json.dumps(value))])

    # ---- files

    def files_in(self, folder: bytes) -> dict[bytes, File]:
        """The files of one folder, by name."""
        rows = self.ask(
            "SELECT name, size, mtime_ns, ctime_ns, inode, looked_ns, content, files.reason "
            "FROM files JOIN folders ON folder = folders.id WHERE path = ?",
            (folder,),
        )
        return {
            row[0]: File(Name(folder, row[0]), Stamp(*row[1:5]), row[5], row[6], row[7])
            for row in rows
        }

    def folders(self) -> list[bytes]:
        """The folders that have files."""
        return [path for (path,) in self.ask("SELECT path FROM folders ORDER BY path")]

    def put_files(self, files: Sequence[File]) -> None:
        """Remember files, in the place of what was known of them."""
        self.run(
            "INSERT OR IGNORE INTO folders (path) VALUES (?)",
            [(folder,) for folder in sorted({file.name.folder for file in files})],
        )
        self.run(
            "INSERT OR REPLACE INTO files "
            "SELECT id, ?, ?, ?, ?, ?, ?, ?, ? FROM folders WHERE path = ?",
            [
                (f.name.name, *f.stamp, f.looked_ns, f.content, f.reason, f.name.folder)
                for f in files
            ],
        )

    def drop_files(self, names: Iterable[Name]) -> None:
        """Forget files."""
        self.run(
            "DELETE FROM files WHERE name = ? AND folder = (SELECT id FROM folders WHERE path = ?)",
            ((name.name, name.folder) for name in names),
        )

    def find(self, path: bytes) -> File | None:
        """What is known of a path in the album."""
        name = Name.of(path)
        rows = self.ask(
            "SELECT size, mtime_ns, ctime_ns, inode, looked_ns, content, files.reason FROM files "
            "JOIN folders ON folder = folders.id WHERE path = ? AND name = ?",
            (name.folder, name.name),
        )
        return File(name, Stamp(*rows[0][:4]), *rows[0][4:]) if rows else None

    def paths_of(self, content: int) -> list[bytes]:
        """The files that have a content, in the order of their paths."""
        rows = self.ask(
            "SELECT path, name FROM files JOIN folders ON folder = folders.id WHERE content = ?",
            (content,),
        )
        return sorted(self._checked(Name(*row)).path for row in rows)

    def holders(self, contents: Sequence[int]) -> dict[int, tuple[Content, list[File]]]:
        """Contents and the files that have them, by id; those that no file has are left out.

        Few are remembered, until anything changes: searches find the same again and again.
        """
        if len(contents) > _MANY:
            return self._holders(contents)
        with self._one_at_a_time, self._told():
            held = self._remembered().held
            missing = [own for own in contents if own not in held]
            if missing:
                if len(held) + len(missing) > _MOST_HELD:
                    held.clear()
                    missing = list(contents)
                found = self._holders(missing)  # raises for a damaged one, before it is remembered
                held.update({own: found.get(own) for own in missing})
            return {own: known for own in contents if (known := held[own]) is not None}

    def _holders(self, contents: Sequence[int]) -> dict[int, tuple[Content, list[File]]]:
        found: dict[int, tuple[Content, list[File]]] = {}
        for *stored, folder, name in self.ask(
            "SELECT contents.*, files.size, mtime_ns, ctime_ns, inode, looked_ns, folders.path, "
            "name FROM json_each(?) AS wanted JOIN contents ON contents.id = wanted.value "
            "JOIN files ON content = contents.id JOIN folders ON folder = folders.id",
            (json.dumps(list(map(int, contents))),),
        ):
            own = int(stored[0])
            if own not in found:
                found[own] = (_content(stored[:10]), [])
            file = File(self._checked(Name(folder, name)), Stamp(*stored[10:14]), stored[14], own)
            found[own][1].append(file)
        return found

    def _remembered(self) -> _Remembered:
        """What was read and holds still: nothing was changed since, by whomever."""
        state = self._viewed or self.state()
        if self._memory.state != state:
            self._memory = _Remembered(state, {}, {})
        return self._memory

    def state(self) -> tuple[int, int]:
        """Another one whenever anything has changed, by whomever."""
        with self._one_at_a_time, self._told():
            (version,) = self._database.execute("PRAGMA data_version").fetchone()
            return version, self._database.total_changes

    def _checked(self, name: Name) -> Name:
        """A name that stays in the album: a catalogue may come from a stranger."""
        path = name.path
        if not {b"", b".."}.isdisjoint(path.split(b"/")) or b"\0" in path:
            raise CorruptStore(str(self.path), f"a path leads out of the album: {path!r}")
        return name

    def troubles(self) -> list[tuple[bytes, str]]:
        """Files that are no pictures or could not be read, with the reason; by path."""
        rows = self.ask(
            "SELECT path, name, files.reason FROM files JOIN folders ON folder = folders.id "
            "WHERE files.reason IS NOT NULL UNION ALL "
            "SELECT path, name, contents.reason FROM contents CROSS JOIN files "
            "ON content = contents.id JOIN folders ON folder = folders.id "
            "WHERE contents.reason IS NOT NULL AND files.reason IS NULL"
        )
        return sorted((self._checked(Name(*row[:2])).path, row[2]) for row in rows)

    # ---- contents

    def put_contents(self, contents: Iterable[Content]) -> None:
        """Remember contents, in the place of what was known of them."""
        self.run(
            "INSERT OR REPLACE INTO contents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    c.id,
                    c.digest,
                    c.size,
                    c.width,
                    c.height,
                    c.format,
                    c.taken,
                    c.sharpness,
                    c.reason,
                    json.dumps(sorted(c.featureless)),
                )
                for c in contents
            ),
        )

    def content(self, id: int) -> Content | None:
        """What is known of a content."""
        rows = self.ask("SELECT * FROM contents WHERE id = ?", (id,))
        return _content(rows[0]) if rows else None

    def ids_with(self, encoder: str) -> npt.NDArray[np.int64]:
        """Ids of the contents whose vectors belong into the index of an encoder, ascending."""
        return self.numbers(
            "SELECT id FROM contents WHERE reason IS NULL AND (featureless = '[]' OR NOT EXISTS "
            "(SELECT 1 FROM json_each(iif(json_valid(featureless), featureless, '[]')) AS blind "
            "WHERE blind.value = ?)) ORDER BY id",
            (encoder,),
        )

    def drop_unused(self) -> int:
        """Forget contents and folders that no file has any more; how many contents it were."""
        with self._one_at_a_time, self._told():
            run = self._database.execute
            dropped = run(
                "DELETE FROM contents WHERE NOT EXISTS "
                "(SELECT 1 FROM files WHERE content = contents.id)"
            ).rowcount
            run("DELETE FROM lost WHERE content NOT IN (SELECT id FROM contents)")
            run(
                "DELETE FROM folders WHERE NOT EXISTS "
                "(SELECT 1 FROM files WHERE folder = folders.id)"
            )
            return int(dropped)

    def count(self) -> dict[str, int]:
        """How much there is: files, pictures, contents, unreadable files and bytes."""
        files, pictures, unreadable, size = self.ask(
            "SELECT count(*), coalesce(sum(contents.id IS NOT NULL AND contents.reason IS NULL), 0)"
            ", coalesce(sum(coalesce(files.reason, contents.reason) IS NOT NULL), 0)"
            ", coalesce(sum(files.size), 0)"
            " FROM files LEFT JOIN contents ON content = contents.id"
        )[0]
        (contents,) = self.ask("SELECT count(*) FROM contents WHERE reason IS NULL")[0]
        return {
            "files": files,
            "pictures": pictures,
            "contents": contents,
            "unreadable": unreadable,
            "bytes": size,
        }

    def check(self) -> list[str]:
        """What is wrong with the catalogue itself: every page is read."""
        found = [text for (text,) in self.ask("PRAGMA integrity_check(20)") if text != "ok"]
        lost = self.ask(
            "SELECT count(*) FROM files WHERE content IS NOT NULL AND NOT EXISTS "
            "(SELECT 1 FROM contents WHERE id = content)"
        )[0][0]
        if lost:
            found.append(f"{lost} files have a content that is not there")
        wrong = sum(
            content_id(digest) != own
            for own, digest in self.ask(
                "SELECT id, digest FROM contents WHERE typeof(id) = 'integer'"
            )
        )
        if wrong:
            found.append(f"{wrong} contents have an id that is not of their digest")
        return found


class _Told:
    """Turns what SQLite refuses in a block into an error of ours."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        """Nothing: a search enters many of these."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if not isinstance(error, sqlite3.DatabaseError):
            return
        if isinstance(error, sqlite3.ProgrammingError | sqlite3.IntegrityError):
            return  # our own mistake
        code = (error.sqlite_errorcode or 0) & 0xFF if hasattr(error, "sqlite_errorcode") else 0
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise CorruptStore(str(self._path), f"SQLite says: {error}") from error
        raise NotWritten(
            f"{self._path} could not be used: {error}. Make room or give access, or wait for "
            "who holds it, and do it again."
        ) from error


def _close(database: sqlite3.Connection, owner: int) -> None:
    if os.getpid() == owner:  # SQLite's locks are of a process: those of a parent stay
        database.close()


def _content(row: Sequence[Any]) -> Content:
    digest, size, width, height, kind, taken, sharpness, reason, featureless = row[1:10]
    seen = _NONE if featureless == "[]" else _names(featureless)
    return Content(digest, size, width, height, kind, taken, sharpness, reason, seen)


def _names(text: str) -> frozenset[str]:
    try:
        return frozenset(json.loads(text))
    except (ValueError, TypeError) as error:
        raise CorruptStore("a catalogue", f"a content says what cannot be: {error}") from error
