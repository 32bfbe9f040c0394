"""Every encoder keeps the contract of encoders, and is what its makers compute."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.pictures.making import Pixels, natural, needs_pictures

from lookalike.errors import InvalidInput, MissingExtra
from lookalike.pictures import embedding
from lookalike.pictures.encoders import default_encoders, encoder_named, identity
from lookalike.pictures.read import read_picture

pytestmark = needs_pictures

NAMES = ["pixels", "pdq", "phash"]
LENGTHS = {"pixels": 1024, "pdq": 32, "phash": 8}  # bytes
PICTURES = [natural(375, 500, 1), natural(64, 64, 2), natural(33, 700, 3), natural(480, 11, 4)]
each_encoder = pytest.mark.parametrize("name", NAMES)


@each_encoder
def test_vectors_are_of_the_declared_form(name: str) -> None:
    encoder = encoder_named(name)
    vectors, usable = encoder.encode(PICTURES)
    assert encoder.name == name
    assert encoder.metric == ("l1" if name == "pixels" else "hamming")
    assert encoder.dimension == LENGTHS[name] * (1 if name == "pixels" else 8)
    assert vectors.shape == (4, LENGTHS[name])
    assert vectors.dtype == np.uint8
    assert usable.dtype == np.bool_
    assert usable.tolist() == [True] * 4
    assert 0 < encoder.near < encoder.similar < encoder.dimension * (255 if name == "pixels" else 1)


@each_encoder
def test_a_batch_is_what_its_pictures_are_one_by_one(name: str) -> None:
    encoder = encoder_named(name)
    flat = np.full((50, 50, 3), 90, np.uint8)
    batch = [PICTURES[0], flat, *PICTURES[1:]]
    vectors, usable = encoder.encode(batch)
    for number, picture in enumerate(batch):
        single = encoder.encode([picture])
        np.testing.assert_array_equal(single.vectors[0], vectors[number])
        assert single.usable[0] == usable[number] == (picture is not flat)


@each_encoder
def test_no_pictures_are_no_vectors(name: str) -> None:
    vectors, usable = encoder_named(name).encode([])
    assert vectors.shape == (0, LENGTHS[name])
    assert vectors.dtype == np.uint8
    assert usable.shape == (0,)


@each_encoder
def test_how_pixels_lie_in_memory_does_not_matter(name: str) -> None:
    encoder = encoder_named(name)
    wide = natural(200, 300)
    frozen = np.array(wide)
    frozen.flags.writeable = False
    straight = np.ascontiguousarray(wide[::-1, 20:220])
    views = [wide[::-1, 20:220], np.asfortranarray(straight)]
    vectors, _ = encoder.encode([straight, *views])
    assert (vectors == vectors[0]).all()
    np.testing.assert_array_equal(encoder.encode([frozen]).vectors, encoder.encode([wide]).vectors)


@each_encoder
@pytest.mark.parametrize("grey", [0, 1, 127, 254, 255])
@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (64, 64), (375, 500)])
def test_of_flat_pictures_there_is_nothing_to_compare(
    name: str, shape: tuple[int, int], grey: int
) -> None:
    picture = read_picture(np.full(shape, grey, np.uint8)).pixels
    vectors, usable = encoder_named(name).encode([picture])
    assert not usable[0]
    assert not vectors.any()


@each_encoder
def test_of_nearly_flat_pictures_neither(name: str) -> None:
    draw = np.random.default_rng(0)
    noisy = draw.integers(199, 202, (375, 500, 3)).astype(np.uint8)
    vectors, usable = encoder_named(name).encode([noisy])
    assert not usable[0]
    assert not vectors.any()


@each_encoder
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (1, 500), (500, 1), (2, 2), (7, 9)])
def test_tiny_pictures_are_encoded_or_said_to_be_of_no_use(
    name: str, shape: tuple[int, int]
) -> None:
    draw = np.random.default_rng(1)
    tiny = draw.integers(0, 256, (*shape, 3)).astype(np.uint8)
    first, again = encoder_named(name).encode([tiny]), encoder_named(name).encode([tiny])
    assert first.vectors.shape == (1, LENGTHS[name])
    assert first.usable[0] or not first.vectors.any()
    np.testing.assert_array_equal(first.vectors, again.vectors)


PROGRAM = """
from lookalike.pictures.encoders import encoder_named
from tests.unit.pictures.making import natural
for name in ("pixels", "pdq", "phash"):
    print(encoder_named(name).encode([natural(375, 500, 1)]).vectors.tobytes().hex())
"""


def test_another_process_computes_the_same() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    here = [encoder_named(name).encode(PICTURES[:1]).vectors.tobytes().hex() for name in NAMES]
    assert done.stdout.split() == here


def test_phash_is_that_of_imagehash() -> None:
    import imagehash
    from PIL import Image

    vectors, _ = encoder_named("phash").encode(PICTURES)
    for picture, vector in zip(PICTURES, vectors, strict=True):
        expected = imagehash.phash(Image.fromarray(picture))
        assert vector.tobytes().hex() == str(expected)  # the first bit is the highest
        np.testing.assert_array_equal(np.unpackbits(vector), expected.hash.ravel())


def test_pdq_is_that_of_pdqhash() -> None:
    import pdqhash

    vectors, _ = encoder_named("pdq").encode(PICTURES)
    for picture, vector in zip(PICTURES, vectors, strict=True):
        bits, quality = pdqhash.compute(at_320(picture))
        assert quality >= 50
        np.testing.assert_array_equal(np.unpackbits(vector), bits)


def at_320(picture: Pixels) -> Pixels:
    """As PDQ sees it: a size at which its means are not off by half a pixel."""
    from PIL import Image

    return np.asarray(Image.fromarray(picture).resize((320, 320), Image.Resampling.BILINEAR))


def test_pdq_hardly_depends_on_the_size_of_a_picture() -> None:
    from PIL import Image

    whole = natural(750, 1000)
    sizes = [(1000, 750), (640, 480), (500, 375), (333, 250)]
    scaled = [
        np.asarray(Image.fromarray(whole).resize(size, Image.Resampling.LANCZOS)) for size in sizes
    ]
    bits = np.unpackbits(encoder_named("pdq").encode(scaled).vectors, axis=1)
    assert max(int((own != bits[0]).sum()) for own in bits) <= 4


@pytest.mark.parametrize(("wanted", "is_usable"), [(40, False), (60, True)])
def test_pdq_is_of_use_from_a_quality_of_50(wanted: int, is_usable: bool) -> None:
    import pdqhash

    picture = with_quality(wanted)
    assert abs(pdqhash.compute(at_320(picture))[1] - wanted) <= 5
    vectors, usable = encoder_named("pdq").encode([picture])
    assert usable[0] == is_usable == vectors.any()


def with_quality(wanted: int) -> Pixels:
    """A picture of so much contrast that PDQ gives it a quality near this one."""
    import pdqhash

    whole = natural(375, 500).astype(np.float64) - 128
    for contrast in np.linspace(0.0, 1.0, 200):
        picture: Pixels = (128 + contrast * whole).astype(np.uint8)
        if pdqhash.compute(at_320(picture))[1] >= wanted:
            break
    return picture


def test_pixels_are_the_means_of_the_grey_values() -> None:
    grey = np.kron(np.arange(1024, dtype=np.uint32).reshape(32, 32) % 251, np.ones((4, 6)))
    picture = read_picture(grey).pixels
    vector = encoder_named("pixels").encode([picture]).vectors[0]
    assert vector.tolist() == [number % 251 for number in range(1024)]


@pytest.mark.parametrize("spec", ["", "PDQ", "pdq:8", "pdq ", "onnx", "onnx:", "no such", ":x"])
def test_an_unknown_encoder_is_refused_with_those_that_are(spec: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        encoder_named(spec)
    said = str(caught.value)
    assert said.startswith(
        "an encoder must be one of pixels, pdq, phash, embedding, onnx:MODEL.onn"
    )
    assert f"got {spec!r}" in said
    assert said.endswith("Install its package, or check the name.")


PLUGIN = """
class Plugged:
    name, version, metric, dimension = "plugged", "3", "l2", 2
    near, similar = 1.0, 2.0

    def __init__(self, rest="nothing"):
        self.options = {"rest": rest}

    def encode(self, pictures):
        raise NotImplementedError
"""


@pytest.fixture
def plugged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution that was installed, as far as entry points go."""
    (tmp_path / "plugged_encoder.py").write_text(PLUGIN)
    (tmp_path / "plugged-3.dist-info").mkdir()
    (tmp_path / "plugged-3.dist-info" / "METADATA").write_text("Name: plugged\nVersion: 3\n")
    (tmp_path / "plugged-3.dist-info" / "entry_points.txt").write_text(
        "[lookalike.encoders]\nplugged = plugged_encoder:Plugged\npdq = plugged_encoder:Plugged\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "plugged_encoder", raising=False)


@pytest.mark.usefixtures("plugged")
def test_encoders_of_others_are_called_with_what_follows_the_colon() -> None:
    assert identity(encoder_named("plugged")) == {
        "name": "plugged",
        "version": "3",
        "metric": "l2",
        "dimension": 2,
        "options": {"rest": "nothing"},
    }
    assert encoder_named("plugged:a:b").options == {"rest": "a:b"}
    with pytest.raises(InvalidInput, match=r"onnx:MODEL\.onnx, plugged; got 'no such'"):
        encoder_named("no such")


@pytest.mark.usefixtures("plugged")
def test_encoders_of_others_do_not_take_the_names_of_ours() -> None:
    assert type(encoder_named("pdq")).__module__ == "lookalike.pictures.encoders"
    with pytest.raises(InvalidInput, match="got 'pdq:1'"):
        encoder_named("pdq:1")


@each_encoder
def test_an_identity_goes_through_json(name: str) -> None:
    said = identity(encoder_named(name))
    assert json.loads(json.dumps(said)) == said == identity(encoder_named(name))
    assert list(said) == ["name", "version", "metric", "dimension", "options"]


def test_identities_tell_encoders_apart() -> None:
    assert len({json.dumps(identity(encoder_named(name))) for name in NAMES}) == 3


def test_the_embedding_is_a_default_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "is_installed", lambda: True)
    assert default_encoders() == ("pdq", "phash", "embedding")
    monkeypatch.setattr(embedding, "is_installed", lambda: False)
    assert default_encoders() == ("pdq", "phash")


@pytest.mark.parametrize(
    ("name", "module", "package"),
    [
        ("pixels", "PIL", "Pillow"),
        ("phash", "PIL", "Pillow"),
        ("phash", "imagehash", "ImageHash"),
        ("pdq", "pdqhash", "pdqhash"),
    ],
)
def test_what_an_encoder_lacks_is_named(
    name: str, module: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    encoder: Any = encoder_named(name)
    with pytest.raises(MissingExtra, match=rf"needs {package}.*lookalike\[pictures\]"):
        encoder.encode(PICTURES)
