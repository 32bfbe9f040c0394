"""What must hold before a file goes, looked at right before: the plan is believed in nothing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lookalike.album.catalog import shown
from lookalike.album.places import (
    Identity,
    Place,
    Refused,
    digest_of,
    folder_in,
    identity,
    opened,
    read_together,
    same_file,
)
from lookalike.album.plan import Plan, Removal
from lookalike.album.walk import HOME, is_below

__all__ = ["Checked", "Guard", "is_own"]

_OWN = "it is one of the album's own files"
_REFERENCE = "it is in a reference folder"


@dataclass(frozen=True, slots=True)
class Checked:
    """A file that may go, and the one that stays: both open, and as the plan says.

    Attributes
    ----------
    place, keeper : Place
    file : int
        Descriptor of the file that may go.
    status, keeper_status : os.stat_result
        From before their bytes were read.
    """

    place: Place
    keeper: Place
    file: int
    status: os.stat_result
    keeper_status: os.stat_result

    def look_again(self) -> None:
        """Check that both are still what was read: the last thing before the move.

        Raises
        ------
        Refused
        """
        if not _is_untouched(self.place, self.status):
            raise Refused("it has changed just now")
        if not _is_untouched(self.keeper, self.keeper_status):
            raise Refused("what is to stay has changed just now")


class Guard:
    """Lets files of an album go, one by one, or says why not.

    Parameters
    ----------
    top : int
        Descriptor of the album's folder.
    path : bytes
        Its full path.
    home : Path
        Folder of the album's own files.
    plan : Plan
    """

    def __init__(self, top: int, path: bytes, home: Path, plan: Plan) -> None:
        self._top, self._path = top, path
        self._going = {removal.path for removal in plan.removals}
        self._protected = plan.protected
        self._closed = dict.fromkeys(self._identities(plan.protected), _REFERENCE)
        self._own = identity(home.stat())
        self._kept: set[Identity] = set()  # what stays in the place of files that went

    def _identities(self, folders: tuple[bytes, ...]) -> Iterator[Identity]:
        """Folders by what they are: names may be written in several ways, and mounted twice."""
        for folder in folders:
            with contextlib.suppress(Refused):
                names = folder.split(b"/") if folder else []
                with folder_in(self._top, names) as own:
                    yield identity(os.fstat(own))

    @contextlib.contextmanager
    def checked(self, removal: Removal) -> Iterator[Checked]:
        """Check a removal, with its files held open in the block.

        Raises
        ------
        Refused
            With the reason.
        """
        self._check_what_is_said(removal)
        with (
            self._place(removal.path, self._closed) as place,
            opened(place) as file,
            self._keeper(removal) as (keeper, keeper_file),
        ):
            own = Checked(place, keeper, file, os.fstat(file), os.fstat(keeper_file))
            self._check_files(own)
            _check_bytes(removal, own, keeper_file)
            own.look_again()
            yield own

    def went(self, checked: Checked) -> None:
        """Remember that a file went: what stays for it must stay."""
        self._kept.add(identity(checked.keeper_status))

    def _check_what_is_said(self, removal: Removal) -> None:
        """What needs no look at the disk."""
        if removal.keeper in self._going:
            raise Refused(f"what is to stay, {shown(removal.keeper)}, is to go as well")
        for path in (removal.path, removal.keeper):
            if is_own(path):
                raise Refused(_OWN if path == removal.path else f"what is to stay: {_OWN}")
        if any(is_below(removal.path, folder) for folder in self._protected):
            raise Refused(_REFERENCE)

    def _check_files(self, own: Checked) -> None:
        if identity(own.status) == identity(own.keeper_status):
            raise Refused(
                "it is the file that is to stay, by another name or mount: nothing would be freed"
            )
        if identity(own.status) in self._kept:
            raise Refused("it is what stays for one that has gone")

    @contextlib.contextmanager
    def _place(self, path: bytes, closed: dict[Identity, str]) -> Iterator[Place]:
        """A place in the album, but for closed folders."""

        def look(status: os.stat_result) -> None:
            if identity(status) == self._own:
                raise Refused(_OWN)
            if identity(status) in closed:
                raise Refused(closed[identity(status)])

        *above, name = path.split(b"/")
        with folder_in(self._top, above, look=look) as folder:
            yield Place(folder, name, self._path + b"/" + path)

    @contextlib.contextmanager
    def _keeper(self, removal: Removal) -> Iterator[tuple[Place, int]]:
        with contextlib.ExitStack() as stack:
            try:
                place = stack.enter_context(self._place(removal.keeper, {}))
                file = stack.enter_context(opened(place))
            except Refused as error:
                raise Refused(f"what is to stay, {shown(removal.keeper)}: {error}") from error
            yield place, file


def _check_bytes(removal: Removal, own: Checked, keeper_file: int) -> None:
    """Read both files to their ends: every time, as a keeper may go bad between two removals."""
    if own.status.st_size != removal.size:
        raise Refused(f"it has {own.status.st_size:,} bytes, and {removal.size:,} in the plan")
    if removal.exact:
        digest, keeper_digest, is_same = read_together(own.file, keeper_file)
    else:
        digest, keeper_digest, is_same = digest_of(own.file), digest_of(keeper_file), True
    if digest != removal.digest:
        raise Refused("its bytes are not those that were compared")
    if keeper_digest != removal.keeper_digest:
        raise Refused(
            f"what is to stay, {shown(removal.keeper)}: its bytes are not those that were compared"
        )
    if not is_same:
        raise Refused(f"it has not the bytes of what is to stay, {shown(removal.keeper)}")


def is_own(path: bytes) -> bool:
    """Whether a path is that of files of an album's own, in this one or in one inside of it."""
    return any(name.lower() == HOME for name in path.split(b"/"))


def _is_untouched(place: Place, before: os.stat_result) -> bool:
    now = place.status()
    return same_file(now, before) and now is not None and now.st_ctime_ns == before.st_ctime_ns
