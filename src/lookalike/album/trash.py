"""The trash of the desktop: Send2Trash puts files into it, and here they are found again.

Notes
-----
"The FreeDesktop.org Trash specification", version 1.0: a trash has ``files``, and in ``info`` a
``.trashinfo`` for each with the path that it had.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from lookalike.album.catalog import shown
from lookalike.album.moving import drop, hold, put_back
from lookalike.album.places import Place, Refused, has, place_at, same_file
from lookalike.errors import MissingExtra

__all__ = [
    "CAN_LOOK",
    "check_available",
    "check_name",
    "find",
    "forget",
    "is_in_trash",
    "move_to_trash",
]

CAN_LOOK = sys.platform not in ("darwin", "win32")  # elsewhere the trash does not say what it has
_INFO = b".trashinfo"
_LONGEST_NAME = 255 - len(_INFO)  # bytes of a name that the trash takes
_MOST_INFO = 1 << 16  # bytes of one that is read
_SAME_START = 20  # bytes by which names are told apart before they are read; some are cut
_DATES = timedelta(seconds=2)  # they are whole seconds


class _Entry(NamedTuple):
    deleted: datetime  # of the local clock, without a zone, in whole seconds
    written_ns: int  # which tells those of one second apart
    file: bytes


def check_available() -> None:
    """Check that there is something that moves files to the trash.

    Raises
    ------
    MissingExtra
    """
    try:
        import send2trash  # noqa: F401, PLC0415  # optional
    except ImportError as error:
        raise MissingExtra("moving files to the trash", "Send2Trash", "pictures") from error


def check_name(place: Place) -> None:
    """Check that the trash takes a file of this name, to which it adds an ending.

    Raises
    ------
    Refused
    """
    if len(place.name) > _LONGEST_NAME:
        raise Refused(
            f"its name has {len(place.name)} bytes, and the trash takes {_LONGEST_NAME}; it can be "
            "moved to a folder"
        )


def move_to_trash(
    place: Place, status: os.stat_result, digest: str, token: str, since_ns: int
) -> bytes | None:
    """Move a file to the trash, with a second name in hand until it was read there.

    Parameters
    ----------
    place : Place
    status : os.stat_result
        Of the file when its bytes were read.
    digest : str
        Of these.
    token : str
        For the second name.
    since_ns : int
        When it was there still.

    Returns
    -------
    bytes or None
        The full path that it has in the trash; None where the trash does not say.

    Raises
    ------
    Refused, OSError
        Where the file is then has to be looked for.
    """
    held = hold(place, token)
    if not same_file(Path(shown(place.path)).lstat(), status):
        raise Refused("its path leads to another file just now")
    refusal = _send(place.path)
    if same_file(place.status(), status):
        raise Refused(f"the trash refuses it: {refusal}")
    if not CAN_LOOK:
        _let_go_unseen(held, status)
        return None
    found = find(place.path, digest, since_ns)
    if found is None:
        _bring_back(place, since_ns)
        raise Refused(refusal or "it is not in the trash, or changed on its way")
    with place_at(found) as target:
        if target is None or not drop(held, target, digest):
            raise Refused("it is not in the trash any more")
        target.sync()
    return found


def _send(path: bytes) -> str | None:
    """Hand a file to the trash of the desktop; what that says when it refuses."""
    from send2trash import send2trash  # noqa: PLC0415  # optional

    try:
        send2trash(shown(path))
    except Exception as error:  # desktops raise errors of many kinds
        return getattr(error, "strerror", None) or str(error) or type(error).__name__
    return None


def _let_go_unseen(held: Place, status: os.stat_result) -> None:
    """Take the second name away, if the file has another new one: in the trash."""
    own = held.status()
    if own is not None:
        if own.st_nlink <= status.st_nlink:
            raise Refused("the trash has not kept it")
        held.unlink()


def _bring_back(place: Place, since_ns: int) -> None:
    """Bring back what was put into the trash in the place of what was meant."""
    wrong = find(place.path, None, since_ns)
    if wrong is not None:
        with place_at(wrong) as source:
            if source is not None:
                put_back(source, place)
        forget(wrong)


def find(path: bytes, digest: str | None, since_ns: int) -> bytes | None:
    """Where in the trash a file is.

    Parameters
    ----------
    path : bytes
        The full path that it had.
    digest : str or None
        Of its bytes; None for any.
    since_ns : int
        When it was there still.

    Returns
    -------
    bytes or None
        The full path of the one that was put there last.
    """
    since = datetime.fromtimestamp(since_ns / 1e9) - _DATES  # as the trash does
    entries = [
        entry
        for trash, base in _trashes(path)
        for entry in _entries(trash, base, path)
        if entry.deleted >= since
    ]
    for entry in sorted(entries, reverse=True):
        with place_at(entry.file) as place:
            if place is not None and (has(place, digest) if digest else place.status() is not None):
                return entry.file
    return None


def is_in_trash(file: bytes, path: bytes) -> bool:
    """Whether a file is in a trash for those that had a path."""
    folders = [os.path.join(trash, b"files") for trash, _ in _trashes(path)]  # noqa: PTH118
    return os.path.dirname(file) in folders  # noqa: PTH120


def forget(file: bytes) -> None:
    """Take away what the trash says of a file that is there no more."""
    if not os.path.lexists(file):
        with contextlib.suppress(OSError):
            os.unlink(_info_of(file))  # noqa: PTH108  # of bytes


def _info_of(file: bytes) -> bytes:
    files, name = os.path.split(file)
    return os.path.join(os.path.dirname(files), b"info", name + _INFO)  # noqa: PTH118, PTH120


def _trashes(path: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Folders where the trash of a file may be, and what the paths in it begin at."""
    home = os.environb.get(b"XDG_DATA_HOME") or b"~/.local/share"
    home = os.path.expanduser(home)  # noqa: PTH111  # of bytes
    yield os.path.join(home, b"Trash"), home  # noqa: PTH118
    user = str(os.getuid()).encode("ascii")
    for above in Path(shown(path)).parents:
        top = os.fsencode(above)
        if _is_shared_trash(above / ".Trash"):
            yield os.path.join(top, b".Trash", user), top  # noqa: PTH118
        yield os.path.join(top, b".Trash-" + user), top  # noqa: PTH118


def _is_shared_trash(folder: Path) -> bool:
    """Whether it is what the specification says: no link, and no one removes others' files."""
    try:
        mode = folder.lstat().st_mode
    except OSError:
        return False
    return stat.S_ISDIR(mode) and bool(mode & stat.S_ISVTX)


def _entries(trash: bytes, base: bytes, path: bytes) -> Iterator[_Entry]:
    """What a trash says of files that had a path."""
    start = os.path.splitext(os.path.basename(path))[0][:_SAME_START]  # noqa: PTH119, PTH122
    try:
        names = os.listdir(os.path.join(trash, b"info"))  # noqa: PTH118, PTH208  # of bytes
    except OSError:
        return
    for name in names:
        if name.startswith(start) and name.endswith(_INFO):
            file = os.path.join(trash, b"files", name.removesuffix(_INFO))  # noqa: PTH118
            facts, written_ns = _facts(file)
            own = os.path.join(base, unquote_to_bytes(facts.get(b"Path", b"")))  # noqa: PTH118
            with contextlib.suppress(ValueError):
                deleted = datetime.fromisoformat(facts.get(b"DeletionDate", b"").decode("ascii"))
                if os.path.normpath(own) == path and deleted.tzinfo is None:
                    yield _Entry(deleted, written_ns, file)


def _facts(file: bytes) -> tuple[dict[bytes, bytes], int]:
    """The lines of a ``.trashinfo``, as far as it is one, and when it was written."""
    try:
        with open(_info_of(file), "rb") as info:  # noqa: PTH123  # of bytes
            lines = info.read(_MOST_INFO).splitlines()
            written_ns = os.fstat(info.fileno()).st_mtime_ns
    except OSError:
        return {}, 0
    if not lines or lines[0].strip() != b"[Trash Info]":
        return {}, 0
    facts: dict[bytes, bytes] = {}
    for name, _, value in (line.partition(b"=") for line in lines[1:]):
        facts.setdefault(name.strip(), value.strip())
    return facts, written_ns
