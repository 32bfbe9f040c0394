"""Networks are real ones, of one layer, made on the spot: what they see is known by hand."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lookalike.errors import InvalidInput, UnreadableFile
from lookalike.pictures.encoders import encoder_named, identity
from lookalike.pictures.onnx import OnnxEncoder

pytestmark = pytest.mark.skipif(
    not all(find_spec(name) for name in ("PIL", "onnx", "onnxruntime"))
    and not os.environ.get("LOOKALIKE_CI"),
    reason="needs the extra 'embed', and onnx",
)

SIDE = 4
MEAN, STD = (10.0, 20.0, 30.0), (1.0, 2.0, 4.0)
WEIGHTS = np.arange(15, dtype=np.float32).reshape(5, 3)  # the vector is these x the mean colour
TO_NCHW = {"perm": [0, 3, 1, 2]}
Shape = Sequence[Any]
Layer = tuple[str, list[str], str, dict[str, Any]]  # operator, inputs, output, attributes
Make = Callable[..., Path]


def model_bytes(
    shape: Shape = ("n", 3, SIDE, SIDE),
    *,
    output: Shape = ("n", 5),
    kind: str = "float32",
    layers: Sequence[Layer] = (),
    weights: npt.NDArray[Any] = WEIGHTS,
    outside: str = "",
    metadata: dict[str, str] | None = None,
    inputs: Sequence[str] = ("x",),
    outputs: Sequence[str] = ("y",),
    domain: str = "",
) -> bytes:
    """A model: the mean colour of a picture times the weights."""
    from onnx import TensorProto, helper, numpy_helper

    usual: list[Layer] = [
        ("GlobalAveragePool", ["x"], "mean", {}),
        ("Flatten", ["mean"], "flat", {}),
        ("Gemm", ["flat", "w"], "y", {"transB": 1}),
    ]
    if shape[-1] == 3:
        usual[0] = ("Transpose", ["x"], "turned", TO_NCHW)
        usual.insert(1, ("GlobalAveragePool", ["turned"], "mean", {}))
    tensor = numpy_helper.from_array(weights.astype(kind), "w")
    if outside:
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", outside
    element = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    graph = helper.make_graph(
        [
            helper.make_node(name, given, [made], domain=domain, **attributes)
            for name, given, made, attributes in layers or usual
        ],
        "tiny",
        [helper.make_tensor_value_info(name, element, list(shape)) for name in inputs],
        [helper.make_tensor_value_info(name, element, list(output)) for name in outputs],
        [tensor],
    )
    opsets = [helper.make_opsetid(name, 17) for name in {"", domain}]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    helper.set_model_props(model, metadata or {})
    return bytes(model.SerializeToString())


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def made(name: str = "model.onnx", **how: Any) -> Path:
        path = tmp_path / name
        path.write_bytes(model_bytes(**how))
        return path

    return made


def encoder(path: Path, **how: Any) -> OnnxEncoder:
    return OnnxEncoder(path, **{"side": SIDE, "mean": MEAN, "std": STD, **how})


def halves(height: int = SIDE, width: int = SIDE) -> npt.NDArray[np.uint8]:
    """The left half of one colour, the right half of another."""
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[:, : width // 2], pixels[:, width // 2 :] = (20, 60, 110), (120, 100, 10)
    return pixels


def expected(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    colours: npt.NDArray[np.float64] = (pixels.mean((0, 1)) - MEAN) / STD
    return WEIGHTS @ colours


def test_the_input_is_the_colours_less_the_mean_over_std(make: Make) -> None:
    encoded = encoder(make()).encode([halves()])
    np.testing.assert_allclose(encoded.vectors[0], expected(halves()), rtol=1e-5)
    assert encoded.vectors.dtype == np.float32
    assert encoded.usable.tolist() == [True]


def test_colours_may_be_the_last_axis(make: Make) -> None:
    made = encoder(make(shape=("n", SIDE, SIDE, 3)), layout="nhwc")
    np.testing.assert_allclose(made.encode([halves()]).vectors[0], expected(halves()), rtol=1e-5)


def test_one_mean_and_std_are_those_of_all_colours(make: Make) -> None:
    one, three = (encoder(make(), mean=m, std=s) for m, s in ((7, 2), ([7] * 3, [2] * 3)))
    assert (one.encode([halves()]).vectors == three.encode([halves()]).vectors).all()
    assert identity(one) == identity(three)


def test_a_picture_is_stretched_so_that_all_of_it_is_seen(make: Make) -> None:
    """A crop to the middle of the wide one would lose its edges, and with them the last colour."""
    wide = np.repeat(halves(), 6, 1)
    wide[:, -6:] = 255
    small = halves()
    small[:, -1:] = 255
    seen = encoder(make()).encode([wide]).vectors[0]
    np.testing.assert_allclose(seen, expected(small), rtol=0.05)


def test_what_is_in_the_margin_is_not_seen(make: Make) -> None:
    picture, framed = halves(64, 64), np.full((64, 64, 3), 255, np.uint8)
    framed[4:-4, 4:-4] = picture[4:-4, 4:-4]
    for margin, is_seen in ((0.0, True), (0.25, False)):
        vectors = encoder(make(), margin=margin).encode([picture, framed]).vectors
        assert (vectors[0] != vectors[1]).any() == is_seen


@pytest.mark.parametrize("batch", ["n", 1])
def test_a_vector_does_not_depend_on_what_is_encoded_with_it(make: Make, batch: object) -> None:
    made = encoder(make(shape=(batch, 3, SIDE, SIDE), output=(batch, 5)))
    pictures = [np.roll(halves(8, 8), turn, 1) // (turn + 1) for turn in range(5)]
    together = made.encode(pictures).vectors
    assert together.shape == (5, 5)
    for number, picture in enumerate(pictures):
        assert (together[number] == made.encode([picture]).vectors[0]).all()


def test_no_pictures_have_no_vectors(make: Make) -> None:
    encoded = encoder(make()).encode([])
    assert encoded.vectors.shape == (0, 5)
    assert encoded.usable.shape == (0,)


def test_a_flat_picture_is_not_usable(make: Make) -> None:
    flat = np.full((SIDE, SIDE, 3), 90, np.uint8)
    encoded = encoder(make()).encode([flat, halves(), flat])
    assert encoded.usable.tolist() == [False, True, False]
    assert not encoded.vectors[::2].any()


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_zeros_and_what_is_not_finite_are_not_usable(make: Make, value: float) -> None:
    weights = WEIGHTS * 0
    weights[0, 0] = value
    encoded = encoder(make(weights=weights)).encode([halves()])
    assert encoded.usable.tolist() == [False]
    assert not encoded.vectors.any()


def test_half_precision_goes_in_and_single_comes_out(make: Make) -> None:
    encoded = encoder(make(kind="float16")).encode([halves()])
    assert encoded.vectors.dtype == np.float32
    np.testing.assert_allclose(encoded.vectors[0], expected(halves()), rtol=1e-2)
    too_large = encoder(make(kind="float16"), mean=0, std=1e-4).encode([halves()])
    assert too_large.usable.tolist() == [False]


def test_of_a_map_the_mean_over_space_is_taken(make: Make) -> None:
    layers: list[Layer] = [("Identity", ["x"], "y", {})]
    colours = (halves().mean((0, 1)) - MEAN) / STD
    for shape, layout in ((("n", 3, SIDE, SIDE), "nchw"), (("n", SIDE, SIDE, 3), "nhwc")):
        made = encoder(make(shape=shape, output=shape, layers=layers), layout=layout)
        assert made.dimension == 3
        np.testing.assert_allclose(made.encode([halves()]).vectors[0], colours, rtol=1e-5)


def test_the_dimension_is_known_by_a_run_where_the_model_does_not_say(make: Make) -> None:
    assert encoder(make(output=("n", "d"))).dimension == 5
    assert encoder(make(shape=("n", 3, "h", "w")), side=9).dimension == 5


def test_what_it_is_shows_in_its_identity(make: Make) -> None:
    first = encoder(make())
    assert identity(first) == identity(encoder(make("other name.onnx")))
    others = [
        encoder(make("b.onnx", weights=WEIGHTS + 1)),
        encoder(make("c.onnx", shape=("n", 3, "h", "w")), side=5),
        encoder(make(), mean=1),
        encoder(make(), std=1),
        encoder(make(), output="y"),
        encoder(make(), margin=0.1),
    ]
    assert len({str(identity(made)) for made in (first, *others)}) == 7
    assert encoder(make(), digest="these weights").options["model"] == "these weights"


def test_threads_share_an_encoder(make: Make) -> None:
    made, results = encoder(make()), []

    def encode() -> None:
        results.append(made.encode([halves()]).vectors)

    threads = [threading.Thread(target=encode) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    assert all((vectors == results[0]).all() for vectors in results)


def test_it_takes_no_thread_but_its_own(make: Make) -> None:
    program = """
import os, sys
import numpy as np, onnxruntime, PIL.Image
from lookalike.pictures.onnx import OnnxEncoder
before = len(os.listdir("/proc/self/task"))
made = OnnxEncoder(sys.argv[1], side=4, mean=0, std=1)
made.encode([np.arange(48, dtype=np.uint8).reshape(4, 4, 3) * 5])
print(len(os.listdir("/proc/self/task")) - before)
"""
    if not Path("/proc/self/task").is_dir():
        pytest.skip("threads are counted by Linux")
    run = subprocess.run(
        [sys.executable, "-c", program, str(make())], capture_output=True, text=True, check=True
    )
    assert run.stdout == "0\n"


# What is said, and what the model says.


def test_of_takes_options_after_a_question_mark(make: Make) -> None:
    path = make(shape=("n", 3, "h", "w"))
    said = "side=9&layout=nchw&mean=1,2,3&std=4&metric=l2&near=.5&similar=1.5&margin=.1&output=y"
    made = encoder_named(f"onnx:{path}?{said}")
    assert (made.name, made.metric, made.dimension) == ("onnx", "l2", 5)
    assert (made.near, made.similar) == (0.5, 1.5)
    wanted = {"side": 9, "margin": 0.1, "mean": "1.0,2.0,3.0", "std": "4.0,4.0,4.0"}
    assert wanted.items() <= made.options.items()


def test_of_takes_what_is_not_said_from_the_model(make: Make) -> None:
    metadata = {"lookalike.mean": "127", "lookalike.std": "1,2,3", "lookalike.metric": "l2"}
    made = OnnxEncoder.of(str(make(metadata=metadata, shape=(1, SIDE, SIDE, 3))))
    assert made.metric == "l2"
    wanted = {"side": 4, "layout": "nhwc", "mean": "127.0,127.0,127.0", "std": "1.0,2.0,3.0"}
    assert wanted.items() <= made.options.items()


def test_what_is_said_goes_before_what_the_model_says(make: Make) -> None:
    path = make(metadata={"lookalike.mean": "127", "lookalike.std": "128"})
    assert OnnxEncoder.of(f"{path}?mean=3").options["mean"] == "3.0,3.0,3.0"
    assert OnnxEncoder.of(f"{path}?mean=3").options["std"] == "128.0,128.0,128.0"


@pytest.mark.parametrize(
    ("options", "how", "says"),
    [
        ("", {}, "mean and std of"),
        ("?mean=0&std=1", {"shape": ("n", 3, "h", "w")}, "side of"),
        ("?mean=0&std=1", {"shape": ("n", "c", "h", "w")}, "side and layout of"),
        ("?mean=0&std=1", {"shape": ("n", 3, 3, 3)}, "side and layout of"),
        ("?mean=0&std=1", {"shape": ("n", 3, 4, 5)}, "side of"),
        ("?mean=0&std=1&side=4", {"shape": ("n", 3, 4, 5)}, r"it takes \('n', 3, 4, 5\)"),
        ("?mean=0&std=1&side=5", {}, r"picture of shape \(1, 3, 5, 5\)"),
        ("?mean=0&std=1&layout=nhwc", {}, r"picture of shape \(1, 4, 4, 3\)"),
        ("?mean=0&std=1", {"shape": (2, 3, SIDE, SIDE), "output": (2, 5)}, "any number"),
        ("?mean=0&std=1&colour=red", {}, "got 'colour=red'"),
        ("?mean=0&std=1&name=other", {}, "got 'name=other'"),
        ("?mean=0&mean=0&std=1", {}, "got 'mean=0'"),
        ("?mean=0&std", {}, "got 'std'"),
        ("?mean=&std=1", {}, "mean must be numbers"),
        ("?mean=1,2&std=1", {}, "mean must be one finite number or three"),
        ("?mean=inf&std=1", {}, "mean must be one finite"),
        ("?mean=0&std=0", {}, "above 0"),
        ("?mean=0&std=1&near=nan", {}, "near must be one finite number"),
        ("?mean=0&std=1&side=4.5", {}, "got 4.5"),
        ("?mean=0&std=1&side=-4", {}, "got -4"),
        ("?mean=0&std=1&side=1e9", {}, "got 1000000000"),
        ("?mean=0&std=1&margin=.5", {}, "margin must be a share from 0 to 0.4"),
        ("?mean=0&std=1&layout=chwn", {}, "layout must be nchw or nhwc"),
        ("?mean=0&std=1&metric=l1", {}, "metric must be cosine or l2"),
        ("?mean=0&std=1", {"metadata": {"lookalike.side": "many"}}, "metadata of the model"),
    ],
)
def test_wrong_options_are_refused(make: Make, options: str, how: Any, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        OnnxEncoder.of(f"{make(**how)}{options}")


# What is no encoder.


def test_a_model_without_a_picture_as_its_input_is_refused(make: Make) -> None:
    rows: list[Layer] = [("Gemm", ["x", "w"], "y", {"transB": 1})]
    both: list[Layer] = [("Add", ["x", "z"], "y", {})]
    picture = ("n", 3, SIDE, SIDE)
    wrong: list[dict[str, Any]] = [
        {"shape": ("n", 3), "layers": rows},
        {"layers": both, "inputs": ("x", "z"), "output": picture},
        {"kind": "float64", "layers": [("Flatten", ["x"], "y", {})], "output": ("n", 48)},
    ]
    for how in wrong:
        with pytest.raises(InvalidInput, match="must take one input, pictures"):
            encoder(make(**how))


def test_one_of_several_outputs_must_be_said(make: Make) -> None:
    layers: list[Layer] = [
        ("Identity", ["x"], "map", {}),
        ("GlobalAveragePool", ["x"], "mean", {}),
        ("Flatten", ["mean"], "flat", {}),
    ]
    path = make(layers=layers, outputs=("map", "flat"), output=())
    for output in (None, "other"):
        with pytest.raises(InvalidInput, match="must be one of map, flat; got"):
            encoder(path, output=output)
    colours = (halves().mean((0, 1)) - MEAN) / STD
    vectors = [encoder(path, output=name).encode([halves()]).vectors[0] for name in ("map", "flat")]
    np.testing.assert_allclose(vectors, [colours, colours], rtol=1e-5)


def test_what_is_neither_a_vector_nor_a_map_is_refused(make: Make) -> None:
    rows: list[Layer] = [("Flatten", ["x"], "f", {}), ("Unsqueeze", ["f", "axes"], "y", {})]
    layers: list[Layer] = [("Constant", [], "axes", {"value_ints": [1]}), *rows]
    with pytest.raises(InvalidInput, match=r"got float32 \(1, 1, 48\)"):
        encoder(make(layers=layers, output=("n", 1, "d")))


def test_a_side_that_the_network_cannot_take_is_refused_with_what_it_says(make: Make) -> None:
    layers: list[Layer] = [("Flatten", ["x"], "f", {}), ("Gemm", ["f", "w"], "y", {"transB": 1})]
    path = make(shape=("n", 3, "h", "w"), layers=layers, weights=np.ones((5, 48)), output=("n", 5))
    assert encoder(path).encode([halves()]).usable.all()
    with pytest.raises(InvalidInput, match=r"shape \(1, 3, 5, 5\); onnxruntime says"):
        encoder(path, side=5).encode([halves()])


def test_a_file_that_is_no_model_is_unreadable(tmp_path: Path) -> None:
    whole = model_bytes()
    contents = (b"", b"hello" * 100, whole[: len(whole) // 2], whole[:-1], b"\x18\0\0\0ORTM" * 9)
    for number, content in enumerate(contents):
        path = tmp_path / f"{number}.onnx"
        path.write_bytes(content)
        with pytest.raises(UnreadableFile, match="whole file of ONNX"):
            encoder(path)


def test_a_path_that_is_no_file_is_unreadable(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # which would be waited for
    for name in ("missing.onnx", ".", "pipe", "a\0b"):
        with pytest.raises(UnreadableFile, match="a model must be a"):
            encoder(tmp_path / name)


@pytest.mark.parametrize("place", ["w.bin", "../w.bin", "sub/../../w.bin", "{absolute}"])
def test_data_outside_the_file_is_not_read(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Wherever it would be looked for: by the file, or where the program runs."""
    here = tmp_path / "here"
    (here / "sub").mkdir(parents=True)
    monkeypatch.chdir(here)
    for folder in (tmp_path, here):
        (folder / "w.bin").write_bytes(WEIGHTS.tobytes())
    path = make("here/model.onnx", outside=place.format(absolute=tmp_path / "w.bin"))
    with pytest.raises(UnreadableFile, match="refers to others, which are not read"):
        encoder(path)


def test_operators_of_others_are_not_looked_for(make: Make) -> None:
    layers: list[Layer] = [("Own", ["x"], "y", {})]
    with pytest.raises(UnreadableFile, match="operators that onnxruntime has"):
        encoder(make(layers=layers, domain="someone.else"))


def test_a_model_that_became_another_one_is_not_run(make: Make) -> None:
    made = encoder(make())
    make(weights=WEIGHTS + 1)
    with pytest.raises(UnreadableFile, match="it is another file now"):
        made.encode([halves()])
