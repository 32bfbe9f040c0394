"""Put in order what was cut off while files were moved: the journal says which, the disk where."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from lookalike.album import trash
from lookalike.album.catalog import Catalog
from lookalike.album.deeds import Deed, is_open, journal, rewrite, write_done, write_undone
from lookalike.album.moving import Settled, settle
from lookalike.album.places import Place, Refused, folder_at, folder_in, has, place_at

__all__ = ["recover", "settle_begun", "settle_undoing"]


def recover(album_root: Path, catalog: Catalog) -> list[Deed]:
    """Find out how the deeds ended that were begun when a run was cut off, and write it down.

    Parameters
    ----------
    album_root : Path
    catalog : Catalog

    Returns
    -------
    list of Deed
        As they are now.
    """
    top_path = os.path.realpath(os.fsencode(album_root))
    settled = []
    for deed in (deed for act in journal(catalog) for deed in act.deeds if is_open(deed)):
        with folder_at(top_path) as top, _place(top, top_path, deed.path) as place:
            if deed.state == "begun":
                path = top_path + b"/" + deed.path
                settled.append(settle_begun(catalog, deed, place, path))
            else:
                settled.append(settle_undoing(catalog, deed, place))
    return settled


@contextlib.contextmanager
def _place(top: int, top_path: bytes, path: bytes) -> Iterator[Place | None]:
    """Where a file was; None where its folder is not there."""
    *above, name = path.split(b"/")
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(folder_in(top, above))
        except Refused:
            yield None
            return
        yield Place(folder, name, top_path + b"/" + path)


def settle_begun(
    catalog: Catalog, deed: Deed, place: Place | None, path: bytes, why: str | None = None
) -> Deed:
    """Find out whether a file went, and write it down.

    Parameters
    ----------
    catalog : Catalog
    deed : Deed
    place : Place or None
        Where it was; None where its folder is not there any more.
    path : bytes
        The full path that it had.
    why : str, optional
        What hindered it.
    """
    went_to = deed.went_to
    if went_to is None:
        went_to = trash.find(path, deed.digest, deed.begun_ns)
    settled = _settled(place, went_to, deed)
    if settled.is_moved:
        return write_done(catalog, deed, went_to)
    reasons = [reason for reason in (why, settled.why) if reason]
    return rewrite(catalog, deed, state="failed", why="; ".join(reasons))


def settle_undoing(catalog: Catalog, deed: Deed, place: Place | None) -> Deed:
    """Find out whether a file is back, and write it down."""
    assert deed.went_to is not None, "it was found before it was undone"
    with place_at(deed.went_to) as source:
        settle(source, place, deed.digest, deed.token)
    status = None if place is None else place.status()
    if place is None or status is None or not has(place, deed.digest):
        return rewrite(catalog, deed, state="done")
    if deed.how == "trash" and trash.is_in_trash(deed.went_to, place.path):
        trash.forget(deed.went_to)
    return write_undone(catalog, deed, status)


def _settled(place: Place | None, went_to: bytes | None, deed: Deed) -> Settled:
    if went_to is None:
        return settle(place, None, deed.digest, deed.token)
    with place_at(went_to) as target:
        return settle(place, target, deed.digest, deed.token)
