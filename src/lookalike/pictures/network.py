"""Networks of ONNX: a file is read, looked at, and run on pictures.

A file may come from a stranger. It is run on the processor, in one thread, with the operators that
onnxruntime has: libraries of others are never loaded, nor is anything beside the file.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import xxhash

from lookalike.errors import InvalidInput, MissingExtra, UnreadableFile

__all__ = ["SPACE", "Form", "Layout", "Model", "Pixels"]

Pixels = npt.NDArray[np.uint8]
Layout = Literal["nchw", "nhwc"]

SPACE: Mapping[Layout, tuple[int, int]] = {"nchw": (2, 3), "nhwc": (1, 2)}  # axes of a picture

_MOST_BYTES = (1 << 31) - 1  # that a protocol buffer can have
_MOST_DIMENSION = 1 << 16
_MOST_SAID = 200  # characters of what onnxruntime complains of
_DTYPES: Mapping[str, type[np.floating[Any]]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
}
_NO_FOLDER = "/dev/null"  # where data beside a model would be looked for: nothing can be in it


@dataclass(frozen=True, slots=True)
class Form:
    """How a network wants its pictures, and which output is the vector.

    Attributes
    ----------
    side : int
    layout : {"nchw", "nhwc"}
    mean, std : tuple of 3 floats
        On the scale from 0 to 255.
    output : str or None
        None for the only one.
    """

    side: int
    layout: Layout
    mean: tuple[float, ...]
    std: tuple[float, ...]
    output: str | None

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of the input for one picture."""
        side = self.side
        return (1, 3, side, side) if self.layout == "nchw" else (1, side, side, 3)

    def values(self, pixels: Pixels) -> npt.NDArray[np.float32]:
        """The input for a picture of side x side pixels."""
        floats = pixels.astype(np.float32)
        floats -= np.array(self.mean, np.float32)
        floats /= np.array(self.std, np.float32)
        if self.layout == "nchw":
            floats = floats.transpose(2, 0, 1)
        return np.ascontiguousarray(floats[None])


class Model(NamedTuple):
    """A network that was opened.

    Attributes
    ----------
    path : Path
    digest : str
        XXH3, 128 bits, of the file.
    session : onnxruntime.InferenceSession
    """

    path: Path
    digest: str
    session: Any

    @classmethod
    def opened(cls, path: Path, *, to_run: bool) -> Model:
        """Read a model.

        Parameters
        ----------
        path : Path
        to_run : bool
            Whether it is made fast, which takes longer.

        Raises
        ------
        UnreadableFile
            When it is none, or refers to data outside its file.
        MissingExtra
            Without onnxruntime.
        """
        data = _bytes_of(path)
        return cls(path, xxhash.xxh3_128_hexdigest(data), _session(data, path, to_run=to_run))

    def input(self) -> Any:
        """The only input: pictures."""
        inputs = self.session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].type not in _DTYPES:
            raise InvalidInput(
                f"{self.path} must take one input, pictures of shape (n, 3, side, side) or "
                "(n, side, side, 3) in float32 or float16; it takes "
                f"{_described(inputs)}. Export the part of the network that sees pictures."
            )
        return inputs[0]

    def check_input(self, form: Form) -> None:
        """Pictures of a form must fit the input."""
        shape = self.input().shape
        fits = [has == wants for has, wants in zip(shape, form.shape, strict=True)]
        if not all(fit for fit, has in zip(fits, shape, strict=True) if isinstance(has, int)):
            raise InvalidInput(
                f"the input of {self.path} must take one picture of shape {form.shape}, which side "
                f"{form.side} and layout {form.layout} make; it takes {tuple(shape)}. Say others, "
                "or export it for any number of pictures."
            )

    def output(self, form: Form) -> Any:
        """The output that is the vector."""
        outputs = {output.name: output for output in self.session.get_outputs()}
        name = next(iter(outputs)) if form.output is None and len(outputs) == 1 else form.output
        if name not in outputs:
            raise InvalidInput(
                f"the output of {self.path} must be one of {', '.join(outputs)}; got "
                f"{'none' if name is None else repr(name)}. Say ?output=NAME."
            )
        return outputs[name]

    def dimension(self, form: Form) -> int:
        """Numbers of a vector: by the shape of the output, or by a run with an empty picture."""
        shape = self.output(form).shape
        axis = -1 if form.layout == "nhwc" else 1
        if len(shape) in (2, 4) and isinstance(shape[axis], int):
            dimension = shape[axis]
        else:
            dimension = len(self.run(np.zeros((form.side, form.side, 3), np.uint8), form))
        if not 1 <= dimension <= _MOST_DIMENSION:
            raise InvalidInput(
                f"{self.path} must give 1 to {_MOST_DIMENSION:,} numbers for a picture; it gives "
                f"{dimension:,}. Export an earlier or a later layer of it."
            )
        return int(dimension)

    def run(self, pixels: Pixels, form: Form) -> npt.NDArray[np.float32]:
        """The vector of a picture of side x side pixels, whatever is in it."""
        source = self.session.get_inputs()[0]
        with np.errstate(over="ignore"):  # float16: it is infinite then
            values = form.values(pixels).astype(_DTYPES[source.type])
        try:
            (result,) = self.session.run([self.output(form).name], {source.name: values})
        except Exception as error:  # its errors have no base of their own
            raise InvalidInput(
                f"{self.path} must be able to run a picture of shape {form.shape}; onnxruntime "
                f"says: {_said(error)}. Say another side, or export it again."
            ) from error
        return self._vector(result, form)

    def _vector(self, result: Any, form: Form) -> npt.NDArray[np.float32]:
        is_array = isinstance(result, np.ndarray) and result.dtype.kind == "f"
        if not is_array or result.ndim not in (2, 4) or len(result) != 1:
            got = f"{result.dtype} {result.shape}" if is_array else type(result).__name__
            raise InvalidInput(
                f"{self.path} must give floats of shape (1, d) for a picture, or those of a map in "
                f"the layout of its input, (1, d, h, w) or (1, h, w, d); got {got}. Say another "
                "?output=NAME, or export it with its features averaged."
            )
        vector = result.astype(np.float32)
        return cast(
            "npt.NDArray[np.float32]",
            vector[0] if vector.ndim == 2 else vector.mean(SPACE[form.layout])[0],
        )


def _bytes_of(path: Path) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISREG(status.st_mode) and status.st_size <= _MOST_BYTES:
            return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise UnreadableFile(
            f"a model must be a file that can be read; of {path} the system says: "
            f"{getattr(error, 'strerror', None) or error}. Check the path."
        ) from error
    raise UnreadableFile(
        f"a model must be a plain file of at most {_MOST_BYTES:,} bytes; {path} is none, or has "
        f"more: {status.st_size:,}. Name the .onnx file."
    )


def _session(data: bytes, path: Path, *, to_run: bool) -> Any:
    try:
        import onnxruntime  # noqa: PLC0415  # optional
    except ImportError as error:
        raise MissingExtra("an encoder of ONNX", "onnxruntime", "embed") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 4  # what is wrong is raised
    for key, value in (
        ("load_model_format", "ONNX"),
        ("model_external_initializers_file_folder_path", _NO_FOLDER),
    ):
        options.add_session_config_entry(f"session.{key}", value)
    if not to_run:
        levels = onnxruntime.GraphOptimizationLevel
        options.graph_optimization_level = levels.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no base of their own
        raise UnreadableFile(_refusal(path, error)) from error


def _refusal(path: Path, error: Exception) -> str:
    if "external" in str(error).lower():
        return (
            f"a model must be one file that holds all its weights; {path} refers to others, which "
            "are not read. Save it with its weights inside."
        )
    return (
        f"a model must be a whole file of ONNX, with operators that onnxruntime has; of {path} it "
        f"says: {_said(error)}. Export it again."
    )


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:_MOST_SAID]


def _described(values: Sequence[Any]) -> str:
    return ", ".join(f"{v.name} {v.type} {tuple(v.shape)}" for v in values) or "nothing"
