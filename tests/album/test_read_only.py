"""Albums in folders that nobody may write to: they are searched, and changes say what to do."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.album.conftest import album_of, put, scene

from lookalike import NotWritten
from lookalike.album import Album

NOBODY = 65534


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Root may write everywhere, so be somebody else."""
    if os.geteuid():
        yield
        return
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.fixture
def home() -> Iterator[Path]:
    """An album's own files, in a folder that nobody may write to."""
    folder = Path(tempfile.mkdtemp())  # everybody may look into it, unlike tmp_path
    folder.chmod(0o755)
    for number in range(3):
        put(folder / "photos" / f"{number}.jpg", scene(number))
    with album_of(folder / "photos") as album:
        album.sync(workers=1)
    home = album.home
    set_modes(home, 0o555, 0o444)
    yield home
    set_modes(home, 0o755, 0o644)
    shutil.rmtree(folder)


def set_modes(home: Path, of_folders: int, of_files: int) -> None:
    for path in (home, *home.rglob("*")):
        path.chmod(of_folders if path.is_dir() else of_files)


@pytest.mark.skipif(not hasattr(os, "setresuid"), reason="cannot be somebody else")
def test_an_album_that_is_only_read_is_searched_also_while_it_is_open_elsewhere(home: Path) -> None:
    set_modes(home, 0o755, 0o644)
    with Album(home.parent) as elsewhere:
        elsewhere.keep("0.jpg")
        set_modes(home, 0o555, 0o444)
        assert (home / "catalog.sqlite-wal").stat().st_size
        with as_nobody(), Album(home.parent) as album:
            assert len(album.search("0.jpg")) == 2
            assert len(album.decisions()) == 1


@pytest.mark.skipif(not hasattr(os, "setresuid"), reason="cannot be somebody else")
def test_an_album_that_is_only_read_and_was_closed_is_searched(home: Path) -> None:
    assert not (home / "catalog.sqlite-wal").exists()
    with as_nobody(), Album(home.parent) as album:
        assert len(album.search("0.jpg")) == 2
        assert len(album.duplicates()) == 0
        assert album.info().pictures == 3


@pytest.mark.skipif(not hasattr(os, "setresuid"), reason="cannot be somebody else")
def test_a_change_of_an_album_that_is_only_read_says_what_to_do(home: Path) -> None:
    with as_nobody(), Album(home.parent) as album:
        for change in (album.sync, lambda: album.not_duplicates("0.jpg", "1.jpg")):
            with pytest.raises(NotWritten, match=r"Permission denied.*--album HOME, at= in Python"):
                change()


def test_a_place_that_takes_no_folder_says_what_to_do(photos: Path) -> None:
    album = album_of(photos, at=photos / "0.jpg" / "own")
    with pytest.raises(NotWritten, match=r"Not a directory.*--album HOME, at= in Python"):
        album.sync(workers=1)
