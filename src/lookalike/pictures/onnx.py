"""Encoders of networks that a user has: a file of ONNX, run by onnxruntime."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from lookalike.errors import InvalidInput, MissingExtra, UnreadableFile
from lookalike.pictures.encoders import Encoded, Option
from lookalike.pictures.network import SPACE, Form, Layout, Model, Pixels

__all__ = ["METADATA", "OnnxEncoder"]

METADATA = "lookalike."  # before the name of an option, in the metadata of a model

_MOST_SIDE, _MOST_MARGIN = 4096, 0.4
_FLAT = 2.0  # standard deviation of grey values below which a picture shows nothing
_METRICS = ("cosine", "l2")
_USUAL = (
    "mean=123.675,116.28,103.53&std=58.395,57.12,57.375 for most of PyTorch's, "
    "mean=127.5&std=127.5 for values from -1 to 1, mean=0&std=255 for values from 0 to 1"
)


class OnnxEncoder:
    """What a network sees in a picture: its last numbers.

    Parameters
    ----------
    path : path
        A model of ONNX in one file, with one input of float32 or float16: pictures of shape
        (n, 3, side, side) or (n, side, side, 3), RGB, where n is 1 or any number.
    name : str
    side : int
        Pixels. A picture is stretched to a square of it, whatever its shape, by Pillow's bilinear
        filter: so one that was made wider stays what it was.
    mean, std : float or sequence of 3 floats
        What is subtracted from the colours, from 0 to 255, and what they are divided by then.
    layout : {"nchw", "nhwc"}
        Whether the colours are the second axis of the input or the last one.
    metric : {"cosine", "l2"}
    near, similar : float
        See :class:`~lookalike.pictures.encoders.Encoder`.
    margin : float
        Share of the width and the height, from 0 to 0.4, that is left out on every side. A border
        is not seen then, nor are the corners of a picture that was turned a little; nor is what is
        there.
    output : str, optional
        Which one is the vector, for a model that has several. Its shape must be (n, d); of a map,
        in the layout of the input, the mean over its two axes of space is taken.
    digest : str, optional
        What tells this network from others in ``options``, in place of the digest of its file.

    Raises
    ------
    UnreadableFile
        When the file is missing or no model, or refers to data outside itself.
    InvalidInput
        When the model does not take pictures or gives no vectors.
    MissingExtra
        Without onnxruntime.

    Notes
    -----
    Pictures are run one by one, in one thread, so that a vector does not depend on what was encoded
    with it. The same network gives the same vector on the same kind of processor; on others it may
    differ by what float32 rounds. A picture is not usable when it is flat, or when the network
    gives zeros or what is not finite. Threads may share an encoder.
    """

    version = "1"

    def __init__(
        self,
        path: str | Path,
        *,
        name: str = "onnx",
        side: int,
        mean: float | Sequence[float],
        std: float | Sequence[float],
        layout: Layout = "nchw",
        metric: str = "cosine",
        near: float = 0.10,
        similar: float = 0.25,
        margin: float = 0.0,
        output: str | None = None,
        digest: str | None = None,
    ) -> None:
        self._form = Form(
            _checked_side(side),
            _one_of("layout", layout, SPACE),
            _colours("mean", mean),
            _colours("std", std),
            output,
        )
        self.name, self.near, self.similar = name, near, similar
        self.metric: str = _one_of("metric", metric, _METRICS)
        model = Model.opened(Path(path), to_run=False)
        model.check_input(self._form)
        self.dimension = model.dimension(self._form)
        self._margin = _checked_margin(margin)
        self.options = _options(self._form, self._margin, digest or model.digest)
        self._path, self._digest = model.path, model.digest
        self._model: Model | None = None
        self._opening = threading.Lock()

    @classmethod
    def of(cls, text: str) -> OnnxEncoder:
        """An encoder by the path of its model, and options.

        Parameters
        ----------
        text : str
            "MODEL.onnx" or "MODEL.onnx?side=224&layout=nchw&mean=123.7,116.3,103.5&std=58.4":
            the parameters of the class, but for ``name`` and ``digest``.

        Raises
        ------
        InvalidInput
            When an option is wrong, or is neither said nor known.

        Notes
        -----
        An option that is not said is taken from the metadata of the model, where its key is the
        option after "lookalike.", such as "lookalike.mean"; side and layout, also from the shape of
        its input. Mean and std have no default: with wrong ones a network still gives vectors.
        """
        path, _, rest = text.partition("?")
        said = _said(rest)
        model = Model.opened(Path(path), to_run=False)
        known = {**_of_shape(model.input().shape), **_of_metadata(model), **said}
        missing = [key for key in ("side", "layout", "mean", "std") if key not in known]
        if missing:
            raise InvalidInput(
                f"{' and '.join(missing)} of {path} must be said after a '?', or be in its "
                "metadata; got neither. Say what it was trained with: side=224 and layout=nchw for "
                f"many; {_USUAL}."
            )
        return cls(path, **{key: _READ[key](key, value) for key, value in known.items()})

    def encode(self, pictures: Sequence[Pixels]) -> Encoded:
        """Make vectors: see :class:`~lookalike.pictures.encoders.Encoder`."""
        model = self._opened()
        vectors = np.zeros((len(pictures), self.dimension), np.float32)
        usable = np.zeros(len(pictures), np.bool_)
        for number, pixels in enumerate(pictures):
            small = _stretched(pixels, self._form.side, self._margin)
            if np.asarray(small.convert("L")).std() < _FLAT:
                continue
            vector = model.run(np.asarray(small), self._form)
            if len(vector) != self.dimension:
                raise InvalidInput(
                    f"{self._path} must give {self.dimension} numbers for every picture; it gave "
                    f"{len(vector)}. Export it so that its output has a fixed shape."
                )
            usable[number] = bool(np.isfinite(vector).all() and vector.any())
            if usable[number]:
                vectors[number] = vector
        return Encoded(vectors, usable)

    def _opened(self) -> Model:
        """The network, read when it is needed first: by then this may be another process."""
        with self._opening:
            if self._model is None:
                model = Model.opened(self._path, to_run=True)
                if model.digest != self._digest:
                    raise UnreadableFile(
                        f"{self._path} must be as it was when this encoder was made; it is another "
                        "file now. Make the encoder again."
                    )
                self._model = model
            return self._model


def _options(form: Form, margin: float, digest: str) -> dict[str, Option]:
    options: dict[str, Option] = {
        "model": digest,
        "side": form.side,
        "layout": form.layout,
        "mean": ",".join(map(repr, form.mean)),
        "std": ",".join(map(repr, form.std)),
        "margin": margin,
    }
    return options if form.output is None else {**options, "output": form.output}


def _stretched(pixels: Pixels, side: int, margin: float) -> Any:
    try:
        from PIL import Image  # noqa: PLC0415  # optional
    except ImportError as error:
        raise MissingExtra("encoding pictures", "Pillow", "pictures") from error
    image = Image.fromarray(np.ascontiguousarray(pixels))
    far = 1 - margin
    box = (image.width * margin, image.height * margin, image.width * far, image.height * far)
    return image.resize((side, side), Image.Resampling.BILINEAR, box)


def _checked_side(side: int) -> int:
    if type(side) is not int or not 1 <= side <= _MOST_SIDE:
        raise InvalidInput(
            f"side must be a whole number of pixels from 1 to {_MOST_SIDE:,}; got {side!r}. Say "
            "the one that the network was trained with."
        )
    return side


def _checked_margin(margin: float) -> float:
    if not 0 <= margin <= _MOST_MARGIN:  # phrased so that NaN fails as well
        raise InvalidInput(
            f"margin must be a share from 0 to {_MOST_MARGIN}; got {margin!r}. Say less, or leave "
            "it out."
        )
    return float(margin)


def _one_of(key: str, value: str, known: Collection[str]) -> Any:
    if value not in known:
        raise InvalidInput(
            f"{key} must be {' or '.join(known)}; got {value!r}. Say one of them, or correct the "
            "metadata of the model."
        )
    return value


def _colours(key: str, values: float | Sequence[float]) -> tuple[float, ...]:
    """One number for every colour, as three."""
    numbers = [values] if isinstance(values, int | float) else list(values)
    are_fine = len(numbers) in (1, 3) and all(map(math.isfinite, numbers))
    if not are_fine or (key == "std" and min(numbers) <= 0):
        raise InvalidInput(
            f"{key} must be one finite number or three, on the scale from 0 to 255"
            f"{', above 0' if key == 'std' else ''}; got {values!r}. Say what the network was "
            f"trained with: {_USUAL}."
        )
    return tuple(float(number) for number in numbers * (3 // len(numbers)))


def _said(text: str) -> dict[str, str]:
    """Options as in "side=224&mean=127"."""
    said: dict[str, str] = {}
    for part in text.split("&") if text else []:
        key, equals, value = part.partition("=")
        if key not in _READ or not equals or key in said:
            raise InvalidInput(
                f"options of a model must be some of {', '.join(_READ)}, each once, as in "
                f"?side=224&layout=nchw; got {part!r}. Correct it."
            )
        said[key] = value
    return said


def _of_metadata(model: Model) -> dict[str, str]:
    """Options that the maker of a model wrote into it."""
    written = model.session.get_modelmeta().custom_metadata_map
    return {key: written[METADATA + key] for key in _READ if METADATA + key in written}


def _of_shape(shape: Sequence[Any]) -> dict[str, str]:
    """What the shape of an input says about side and layout."""
    layouts = [layout for layout, axis in (("nchw", 1), ("nhwc", 3)) if shape[axis] == 3]
    if len(layouts) != 1:
        return {}
    sides = {shape[axis] for axis in SPACE[cast("Layout", layouts[0])]}
    known = [str(side) for side in sides if isinstance(side, int)]
    return {"layout": layouts[0], **({"side": known[0]} if len(sides) == len(known) == 1 else {})}


def _numbers(key: str, value: str) -> list[float]:
    try:
        return [float(part) for part in value.split(",")]
    except ValueError:
        raise InvalidInput(
            f"the option {key} must be numbers with commas between; got {value!r}. Correct it, or "
            "the metadata of the model."
        ) from None


def _number(key: str, value: str) -> float:
    numbers = _numbers(key, value)
    if len(numbers) != 1 or not math.isfinite(numbers[0]):
        raise InvalidInput(
            f"the option {key} must be one finite number; got {value!r}. Correct it, or the "
            "metadata of the model."
        )
    return numbers[0]


def _whole(key: str, value: str) -> float:
    """An int where it is one; others are refused with the numbers that there may be."""
    number = _number(key, value)
    return int(number) if number.is_integer() else number


def _text(_: str, value: str) -> str:
    return value


_READ: Mapping[str, Callable[[str, str], Any]] = {
    "side": _whole,
    "layout": _text,
    "mean": _numbers,
    "std": _numbers,
    "metric": _text,
    "near": _number,
    "similar": _number,
    "margin": _number,
    "output": _text,
}
