"""Encoders: what a picture is compared by.

An encoder makes a vector of a picture, which an index of its metric compares. Its name, version and
options decide every bit of that vector; vectors of different ones are never mixed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
import numpy.typing as npt

from lookalike.errors import InvalidInput, MissingExtra
from lookalike.pictures.pillow import pillow

__all__ = [
    "GROUP",
    "PDQ",
    "Encoded",
    "Encoder",
    "Option",
    "PHash",
    "Thumbnail",
    "default_encoders",
    "encoder_named",
    "identity",
]

GROUP = "lookalike.encoders"  # of entry points
Pixels = npt.NDArray[np.uint8]
Option = str | int | float

_PDQ_QUALITY = 50  # of 100, from which its authors trust a hash
_FLAT = 2.0  # standard deviation of grey values below which a thumbnail shows nothing
_SIDE = 32  # of the thumbnails
_HASH_SIDE = 8
_PDQ_SIDE = 320  # its means are over 3 x 3 then: of even widths, they are off by half a pixel
_FEATURE = "encoding pictures"


class Encoded(NamedTuple):
    """Vectors of some pictures.

    Attributes
    ----------
    vectors : ndarray, shape (n, d)
        uint8 for "hamming" (bits in the order of ``numpy.packbits``) and "l1", else float32.
    usable : ndarray of bool, shape (n,)
        False where too little is to be seen in a picture to tell it from others; its vector
        is zeros.
    """

    vectors: npt.NDArray[Any]
    usable: npt.NDArray[np.bool_]


class Encoder(Protocol):
    """What an encoder is.

    Attributes
    ----------
    name : str
    version : str
        Another one whenever a vector would be.
    metric : {"hamming", "l1", "l2", "cosine"}
    dimension : int
        Numbers of a vector; bits, for "hamming".
    options : mapping
        Whatever else decides a vector: text and numbers.
    near, similar : float
        Distances up to which two pictures are the same but for how they were saved, and up to
        which one may be made of the other. Measured in ``benchmarks/encoders.py``.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def version(self) -> str: ...  # noqa: D102
    @property
    def metric(self) -> str: ...  # noqa: D102
    @property
    def dimension(self) -> int: ...  # noqa: D102
    @property
    def options(self) -> Mapping[str, Option]: ...  # noqa: D102
    @property
    def near(self) -> float: ...  # noqa: D102
    @property
    def similar(self) -> float: ...  # noqa: D102

    def encode(self, pictures: Sequence[Pixels]) -> Encoded:
        """Make vectors.

        Parameters
        ----------
        pictures : sequence of ndarray of uint8, shape (h, w, 3)
            As :func:`~lookalike.pictures.read.read_picture` gives them.
        """


class Thumbnail:
    """The grey values of a picture of 32 x 32 pixels: what the lab compares digits by."""

    name = "pixels"
    version = "1"
    metric = "l1"
    dimension = _SIDE * _SIDE
    options: Mapping[str, Option] = {}
    near = 4.0 * dimension  # grey values a pixel
    similar = 12.0 * dimension

    def encode(self, pictures: Sequence[Pixels]) -> Encoded:
        """Make vectors: see :class:`Encoder`."""
        vectors = np.zeros((len(pictures), self.dimension), np.uint8)
        usable = np.zeros(len(pictures), np.bool_)
        for number, pixels in enumerate(pictures):
            image = _image(pixels).convert("L")
            small = np.asarray(image.resize((_SIDE, _SIDE), pillow(_FEATURE).Resampling.BOX))
            usable[number] = small.std() >= _FLAT
            if usable[number]:
                vectors[number] = small.ravel()
        return Encoded(vectors, usable)


class PDQ:
    """PDQ: 256 bits, the signs of a cosine transform of the grey values.

    Notes
    -----
    Facebook, "The TMK+PDQF video-hashing algorithm and the PDQ image-hashing algorithm", 2019.
    Hashes whose quality is below 50 of 100 are of no use, by the advice of its authors. The picture
    is scaled to 320 x 320 before: what it is then hardly depends on the size that it came in.
    """

    name = "pdq"
    version = "1"
    metric = "hamming"
    dimension = 256
    options: Mapping[str, Option] = {}
    near = 31.0
    similar = 60.0

    def encode(self, pictures: Sequence[Pixels]) -> Encoded:
        """Make vectors: see :class:`Encoder`."""
        try:
            import pdqhash  # noqa: PLC0415  # optional
        except ImportError as error:
            raise MissingExtra("the encoder 'pdq'", "pdqhash", "pictures") from error
        vectors = np.zeros((len(pictures), self.dimension // 8), np.uint8)
        usable = np.zeros(len(pictures), np.bool_)
        for number, pixels in enumerate(pictures):
            size = (_PDQ_SIDE, _PDQ_SIDE)
            image = _image(pixels).resize(size, pillow(_FEATURE).Resampling.BILINEAR)
            bits, quality = pdqhash.compute(np.asarray(image))
            usable[number] = quality >= _PDQ_QUALITY
            if usable[number]:
                vectors[number] = np.packbits(np.asarray(bits, np.bool_))
        return Encoded(vectors, usable)


class PHash:
    """pHash: 64 bits, which of the lowest frequencies of the grey values are above their median.

    Notes
    -----
    As ImageHash computes it. Of a picture that is flat when it has 32 x 32 pixels, they are noise.
    """

    name = "phash"
    version = "1"
    metric = "hamming"
    dimension = _HASH_SIDE * _HASH_SIDE
    options: Mapping[str, Option] = {}
    near = 4.0
    similar = 8.0

    def encode(self, pictures: Sequence[Pixels]) -> Encoded:
        """Make vectors: see :class:`Encoder`."""
        try:
            import imagehash  # noqa: PLC0415  # optional
        except ImportError as error:
            raise MissingExtra("the encoder 'phash'", "ImageHash", "pictures") from error
        vectors = np.zeros((len(pictures), self.dimension // 8), np.uint8)
        usable = np.zeros(len(pictures), np.bool_)
        for number, pixels in enumerate(pictures):
            image = _image(pixels).convert("L")
            small = np.asarray(image.resize((_SIDE, _SIDE), pillow(_FEATURE).Resampling.BOX))
            usable[number] = small.std() >= _FLAT
            if usable[number]:
                vectors[number] = np.packbits(imagehash.phash(image, _HASH_SIDE).hash)
        return Encoded(vectors, usable)


_OWN: Mapping[str, type[Thumbnail] | type[PDQ] | type[PHash]] = {
    "pixels": Thumbnail,
    "pdq": PDQ,
    "phash": PHash,
}


def encoder_named(spec: str) -> Encoder:
    """An encoder by its name.

    Parameters
    ----------
    spec : str
        "pixels", "pdq", "phash", "embedding", "onnx:MODEL.onnx" (see
        :class:`~lookalike.pictures.onnx.OnnxEncoder` for its options), or the name of an entry
        point of the group "lookalike.encoders", which is called with what follows a colon.

    Raises
    ------
    InvalidInput
        When there is none of that name.
    MissingExtra
        When it needs what is not installed.
    """
    name, _, rest = spec.partition(":")
    if spec in _OWN:
        return _OWN[spec]()
    if spec == "embedding":
        from lookalike.pictures.embedding import embedding  # noqa: PLC0415  # optional

        return embedding()
    if name == "onnx" and rest:
        from lookalike.pictures.onnx import OnnxEncoder  # noqa: PLC0415  # optional

        return OnnxEncoder.of(rest)
    own = (*_OWN, "embedding", "onnx")  # which others cannot replace
    plugged = {each.name: each for each in entry_points(group=GROUP) if each.name not in own}
    if name in plugged:
        make = plugged[name].load()
        return cast("Encoder", make(rest) if rest else make())
    known = ", ".join([*_OWN, "embedding", "onnx:MODEL.onnx", *sorted(plugged)])
    raise InvalidInput(
        f"an encoder must be one of {known}; got {spec!r}. Install its package, or check the name."
    )


def default_encoders() -> tuple[str, ...]:
    """The encoders of a new album: "embedding" where it is installed."""
    from lookalike.pictures.embedding import is_installed  # noqa: PLC0415  # optional

    return ("pdq", "phash", *(("embedding",) if is_installed() else ()))


def identity(encoder: Encoder) -> dict[str, Any]:
    """All that decides the vectors of an encoder; two with the same are the same."""
    return {
        "name": encoder.name,
        "version": encoder.version,
        "metric": encoder.metric,
        "dimension": encoder.dimension,
        "options": dict(encoder.options),
    }


def _image(pixels: Pixels) -> Any:
    return pillow(_FEATURE).fromarray(np.ascontiguousarray(pixels))
