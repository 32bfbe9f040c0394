"""Pictures whose decoder crashes or hangs: tried once more by the next sync, then left alone."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.album.conftest import put, scene

from lookalike.album import Album
from lookalike.album.sync import Synced

# An encoder that crashes or hangs as long as a file says so, and writes down how often it was run.
MOODY = """
import os, time
from pathlib import Path
import numpy as np
from lookalike.pictures.encoders import Encoded

HOME = Path(__file__).parent

class Moody:
    name, version, metric, dimension, options = "moody", "1", "l2", 2, {}
    near, similar = 1.0, 2.0

    def __init__(self, where=""):
        pass

    def encode(self, pictures):
        if os.environ.get("OMP_NUM_THREADS") == "1" and pictures[0].shape[0] == 120:
            with (HOME / "tries").open("a") as tries:
                tries.write(".")
            mood = (HOME / "mood").read_text()
            if mood == "crash":
                os.kill(os.getpid(), 11)
            if mood == "hang":
                time.sleep(600)
        return Encoded(np.array([[0.0, 1.0]], np.float32), np.array([True]))
"""


class Moods:
    """What the encoder does, and how often it was asked since."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def be(self, mood: str) -> None:
        (self._home / "mood").write_text(mood)

    def tries(self) -> int:
        path = self._home / "tries"
        count = len(path.read_text()) if path.exists() else 0
        path.unlink(missing_ok=True)
        return count


@pytest.fixture
def moods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Moods]:
    home = tmp_path / "site"
    home.mkdir()
    (home / "moody_encoder.py").write_text(MOODY)
    (home / "moody_encoder-1.dist-info").mkdir()
    (home / "moody_encoder-1.dist-info" / "entry_points.txt").write_text(
        "[lookalike.encoders]\nmoody = moody_encoder:Moody\n"
    )
    monkeypatch.syspath_prepend(str(home))
    yield Moods(home)
    sys.modules.pop("moody_encoder", None)


@pytest.fixture
def album(tmp_path: Path) -> Album:
    put(tmp_path / "photos" / "one.jpg", scene(0))
    return Album(tmp_path / "photos", encoders=("moody",))


def sync(album: Album, *, retry: bool = False) -> Synced:
    return album.sync(workers=1, timeout_s=1.0, retry=retry)


@pytest.mark.parametrize(
    ("mood", "reason"), [("crash", "the decoder crashed (signal 11)"), ("hang", "longer than 1 s")]
)
def test_a_lost_picture_is_tried_once_more_and_then_left_alone(
    mood: str, reason: str, album: Album, moods: Moods
) -> None:
    moods.be(mood)
    for tries in (1, 1, 0, 0):
        ((path, why),) = sync(album).unreadable
        assert path == "one.jpg"
        assert reason in why
        assert moods.tries() == tries
    moods.be("fine")
    assert sync(album).unreadable
    assert moods.tries() == 0
    assert sync(album, retry=True).encoded == 1


def test_what_was_in_the_way_once_is_mended_by_the_next_sync(album: Album, moods: Moods) -> None:
    moods.be("crash")
    assert sync(album).unreadable
    moods.be("fine")
    report = sync(album)
    assert (report.encoded, report.unreadable) == (1, [])
    assert len(album.index("moody")) == 1
    assert sync(album).unchanged == 1
    assert moods.tries() == 2


def test_a_lost_picture_that_changes_has_two_tries_again(album: Album, moods: Moods) -> None:
    moods.be("crash")
    sync(album)
    sync(album)
    put(album.path / "one.jpg", scene(1))
    moods.tries()
    for tries in (1, 1, 0):
        assert sync(album).unreadable
        assert moods.tries() == tries


def test_a_retry_that_is_lost_is_the_last(album: Album, moods: Moods) -> None:
    moods.be("crash")
    sync(album)
    sync(album)
    moods.tries()
    sync(album, retry=True)
    assert moods.tries() == 1
    sync(album)
    assert moods.tries() == 0


def test_copies_of_a_lost_picture_have_two_tries_together(album: Album, moods: Moods) -> None:
    moods.be("crash")
    sync(album)
    shutil.copy(album.path / "one.jpg", album.path / "two.jpg")
    assert len(sync(album).unreadable) == 2
    moods.tries()
    assert len(sync(album).unreadable) == 2
    assert moods.tries() == 0


def test_an_album_from_before_this_was_remembered_is_synced(album: Album, moods: Moods) -> None:
    moods.be("fine")
    sync(album)
    album.catalog.ask("DROP TABLE lost")
    album.close()
    put(album.path / "two.jpg", scene(2))
    moods.be("crash")
    assert sync(album).unreadable
    moods.be("fine")
    assert sync(album).unreadable == []
