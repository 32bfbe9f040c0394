"""Files of an index that are damaged, swapped, forged, or something else than files."""

from __future__ import annotations

import ast
import contextlib
import json
import math
import os
import pickle
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.hostile.forging import (
    KINDS,
    Array,
    Body,
    Forgery,
    array_bytes,
    in_child,
    manifest_bytes,
    sealed,
    use,
)
from xxhash import xxh3_128_hexdigest

import lookalike
from lookalike import Index
from lookalike.errors import CorruptStore, LookalikeError, NewerFormat, NotWritten, UnreadableFile
from lookalike.store.array_file import ArrayFile, StoredArray, header_of
from lookalike.store.manifest import Manifest
from lookalike.upkeep import repair, verify

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

SECONDS = 60  # that a child may take
SMALL = "grown_l1"  # of which every file is shorter than 128 KiB, so that its ends are all of it


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """An index of a kind, on a disk; built when it is first asked for."""
    folder = tmp_path_factory.mktemp("originals")

    def built(kind: str) -> Path:
        path = folder / kind
        if not path.exists():
            KINDS[kind][1](path)
        return path

    return built


@pytest.fixture
def small(original: Callable[[str], Path], tmp_path: Path) -> Forgery:
    """A copy of a small index with ids, tails and removed items."""
    return Forgery(original(SMALL), tmp_path / "small.index")


@contextlib.contextmanager
def in_time(seconds: int = 10) -> Iterator[None]:
    """Fail in place of hanging."""

    def late(number: int, frame: object) -> None:
        pytest.fail(f"it took more than {seconds} seconds")  # no OSError, which would be caught

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def check_refused(path: Path, kind: type[LookalikeError] = CorruptStore) -> None:
    """An index is refused, whichever way it is opened."""
    ways: list[dict[str, Any]] = [{}, {"map": False}, {"verify": "full"}, {"mode": "r+"}]
    for how in ways:
        with in_time(), pytest.raises(kind) as refused:
            Index.open(path, **how).close()
        assert type(refused.value) is kind


def check_whole(path: Path) -> None:
    """It is none of the others."""
    index = Index.open(path, verify="full")
    assert index.search(index.vectors(index.ids[7]), k=1).ids.tolist() == [index.ids[7]]


def files_of(forgery: Forgery) -> list[Path]:
    return [forgery.file(*at) for at in forgery.arrays()]


# ---- cut off, flipped, longer


def test_the_small_index_has_every_array_and_is_read(small: Forgery) -> None:
    names = {name for _, name in small.arrays()}
    assert names == {"rows", "row_digests", "ids", "present", "removed"}
    assert all(path.stat().st_size < 1 << 17 for path in files_of(small))
    check_whole(small.path)


def test_a_manifest_that_is_cut_off_anywhere_is_refused(small: Forgery) -> None:
    manifest = small.path / "manifest.json"
    data = manifest.read_bytes()
    for length in range(len(data)):
        with pytest.raises(CorruptStore):
            Manifest.from_bytes(data[:length], "cut")
    for length in (0, 1, len(data) // 2, len(data) - 1):
        manifest.write_bytes(data[:length])
        check_refused(small.path)


def test_a_manifest_with_any_bit_flipped_is_refused(small: Forgery) -> None:
    manifest = small.path / "manifest.json"
    data = bytearray(manifest.read_bytes())
    assert Manifest.from_bytes(bytes(data), "whole").segments
    for bit in range(8 * len(data)):
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptStore):
            Manifest.from_bytes(bytes(data), "flipped")
        if bit % 4999 == 0:
            manifest.write_bytes(data)
            check_refused(small.path)
        data[bit // 8] ^= 1 << bit % 8


def check_array_refused(small: Forgery, segment: int, name: str) -> None:
    """The file alone is refused, as quickly as can be."""
    path = small.file(segment, name)
    said = small.body["segments"][segment]["arrays"][name]
    stored = StoredArray(said["dtype"], tuple(said["shape"]), said["digest"], said["ends"])
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        with pytest.raises(CorruptStore), ArrayFile(folder, path.name, name, stored) as file:
            file.check_ends()
    finally:
        os.close(folder)


def test_an_array_that_is_cut_off_anywhere_or_longer_is_refused(small: Forgery) -> None:
    for at in small.arrays():
        path = small.file(*at)
        data = path.read_bytes()
        header = data.index(b"\n") + 1
        assert header % 64 == 0
        for length in [*range(header), *np.linspace(header, len(data) - 1, 7).astype(int)]:
            path.write_bytes(data[:length])
            check_array_refused(small, *at)
        for wrong in (b"", data[:-1], data + b"\0", data + b"\n", data + data):
            path.write_bytes(wrong)
            check_refused(small.path)
        path.write_bytes(data)
    check_whole(small.path)


def test_an_array_with_any_bit_of_its_header_or_some_of_its_body_flipped_is_refused(
    small: Forgery,
) -> None:
    rng = np.random.default_rng(5)
    for at in small.arrays():
        path = small.file(*at)
        data = bytearray(path.read_bytes())
        header = data.index(b"\n") + 1
        body = rng.integers(8 * header, 8 * len(data), 40)
        for number, bit in enumerate([*range(8 * header), *map(int, body)]):
            data[bit // 8] ^= 1 << bit % 8
            path.write_bytes(data)
            check_array_refused(small, *at)
            if number % 499 == 0:
                check_refused(small.path)
            data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
    check_whole(small.path)


def test_a_bit_flipped_far_from_the_ends_is_found_by_a_full_check(
    original: Callable[[str], Path], tmp_path: Path
) -> None:
    large = Forgery(original("cells"), tmp_path / "large.index")
    path = large.file(0, "rows")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    Index.open(large.path)  # as documented: "header" does not look there
    with pytest.raises(CorruptStore):
        Index.open(large.path, verify="full")


# ---- something else than files


def _nothing(path: Path) -> None:
    """The file is missing."""


def _folder(path: Path) -> None:
    path.mkdir()


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _empty(path: Path) -> None:
    path.touch()


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _dangling(path: Path) -> None:
    path.symlink_to("/nothing/is/there")


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


OTHERS = [_nothing, _folder, _pipe, _empty, _loop, _dangling, _device]


@pytest.mark.parametrize("other", OTHERS, ids=lambda other: other.__name__.strip("_"))
def test_something_else_in_the_place_of_an_array_is_refused(
    other: Callable[[Path], None], small: Forgery
) -> None:
    for path in files_of(small):
        kept = path.with_suffix(".kept")
        path.rename(kept)
        other(path)
        check_refused(small.path)
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        kept.rename(path)
    check_whole(small.path)


@pytest.mark.parametrize("other", OTHERS, ids=lambda other: other.__name__.strip("_"))
def test_something_else_in_the_place_of_a_manifest_is_refused(
    other: Callable[[Path], None], small: Forgery
) -> None:
    (small.path / "manifest.json").unlink()
    other(small.path / "manifest.json")
    check_refused(small.path)  # the copy says that an index was here
    (small.path / "manifest.copy.json").unlink()
    absent = other in (_nothing, _loop, _dangling)
    check_refused(small.path, UnreadableFile if absent else CorruptStore)


@pytest.mark.parametrize("other", OTHERS, ids=lambda other: other.__name__.strip("_"))
def test_something_else_in_the_place_of_a_segment_or_of_all_is_refused(
    other: Callable[[Path], None], small: Forgery
) -> None:
    for path in (files_of(small)[0].parent, small.path / "segments"):
        kept = small.path.parent / "kept"
        path.rename(kept)
        other(path)
        check_refused(small.path)
        path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
        kept.rename(path)
    check_whole(small.path)


def test_links_are_refused_although_what_they_lead_to_is_whole(small: Forgery) -> None:
    segment = files_of(small)[0].parent
    inside = (small.path / "manifest.json", files_of(small)[0], segment, segment.parent)
    for path in inside:
        kept = small.path.parent / "kept"
        path.rename(kept)
        path.symlink_to(kept)
        check_refused(small.path)
        path.unlink()
        kept.rename(path)
    check_whole(small.path)


def test_a_link_to_a_whole_index_is_followed(small: Forgery) -> None:
    link = small.path.parent / "link"
    link.symlink_to(small.path)
    check_whole(link)


@pytest.mark.parametrize("name", ["segments", "damaged"])
def test_a_writer_removes_nothing_where_a_link_leads(name: str, small: Forgery) -> None:
    photos = small.path.parent / "photos"
    (photos / "00000099").mkdir(parents=True)
    (photos / "00000099" / "one.png").write_bytes(b"dear")
    (photos / "two.png").write_bytes(b"dear")
    shutil.rmtree(small.path / name, ignore_errors=True)
    (small.path / name).symlink_to(photos)
    with pytest.raises(CorruptStore):
        Index.open(small.path, "r+")
    with pytest.raises(CorruptStore):
        Index("l1").save(small.path, replace=True)
    assert sorted(path.name for path in photos.rglob("*")) == ["00000099", "one.png", "two.png"]


def test_a_writer_removes_no_files_that_are_not_its_own(small: Forgery) -> None:
    (small.path / "segments" / "notes.txt").write_text("mine")
    (small.path / "segments" / "00000099").mkdir()
    Index.open(small.path, "r+").close()
    assert (small.path / "segments" / "notes.txt").read_text() == "mine"
    assert not (small.path / "segments" / "00000099").exists()  # of a commit that never was


def test_a_lock_that_is_a_pipe_is_not_waited_for(small: Forgery) -> None:
    (small.path / "writer.lock").unlink(missing_ok=True)
    os.mkfifo(small.path / "writer.lock")
    with in_time(), contextlib.suppress(NotWritten):
        Index.open(small.path, "r+").close()


@pytest.mark.parametrize("other", [_folder, _loop, _dangling, _device])
def test_a_lock_that_is_no_file_is_refused_and_a_reader_does_not_look(
    other: Callable[[Path], None], small: Forgery
) -> None:
    (small.path / "writer.lock").unlink(missing_ok=True)
    other(small.path / "writer.lock")
    with in_time(), pytest.raises(NotWritten):
        Index.open(small.path, "r+")
    check_whole(small.path)


# ---- headers that say what the manifest does not


def _npy(text: str, data: bytes = b"") -> bytes:
    padded = text.ljust(-(-(11 + len(text)) // 64) * 64 - 11) + "\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded.encode() + data


@pytest.mark.parametrize(
    "said",
    [
        "{'descr': '|u1', 'fortran_order': True, 'shape': (240, 48), }",
        "{'descr': '|i1', 'fortran_order': False, 'shape': (240, 48), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (240, 48), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (48, 240), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (240, -48), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (240, 48L), }",
        "{'shape': (240, 48), 'fortran_order': False, 'descr': '|u1', }",
        "__import__('os').system('true')",
    ],
)
def test_a_header_must_be_that_of_the_manifest(said: str, small: Forgery) -> None:
    path = small.file(0, "rows")
    rows = np.load(path)
    assert rows.shape == (240, 48)
    data = path.read_bytes()
    assert data == _npy(
        "{'descr': '|u1', 'fortran_order': False, 'shape': (240, 48), }", rows.tobytes()
    )
    path.write_bytes(_npy(said, rows.tobytes()))
    check_refused(small.path)


class _Bomb:
    """What unpickling runs."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_nothing_is_unpickled(small: Forgery) -> None:
    mark = small.path.parent / "executed"
    path = small.file(0, "ids")
    bomb = np.array([_Bomb(mark)], object)
    np.save(path, bomb, allow_pickle=True)
    check_refused(small.path)
    body = small.copy_of_body()
    data = path.read_bytes()
    for dtype in ("|O", "|u1"):
        _, said = array_bytes(np.frombuffer(data, np.uint8))
        body["segments"][0]["arrays"]["ids"] = said | {"dtype": dtype, "bytes": len(data)}
        small.write(manifest_bytes(body))
        check_refused(small.path)
    path.write_bytes(pickle.dumps(_Bomb(mark)))
    check_refused(small.path)
    assert not mark.exists()
    np.load(small.path.parent / _saved_bomb(small.path.parent, bomb), allow_pickle=True)
    assert mark.exists()  # the bomb is one


def _saved_bomb(folder: Path, bomb: Array) -> str:
    np.save(folder / "bomb.npy", bomb, allow_pickle=True)
    return "bomb.npy"


def test_the_store_has_no_way_to_run_what_it_reads() -> None:
    package = Path(lookalike.__file__).parent
    own = [*(package / "store").glob("*.py"), *(package / "upkeep").glob("*.py")]
    own += [package / name for name in ("archive.py", "layout.py", "settings.py", "members.py")]
    assert len(own) > 10
    for path in own:
        for node in ast.walk(ast.parse(path.read_text())):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name.split(".")[0] for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [(node.module or "").split(".")[0]]
            elif isinstance(node, ast.Name):
                names = [node.id]
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                names = [f"{node.value.id}.{node.attr}"]
            forbidden = {"pickle", "marshal", "shelve", "dill", "joblib", "importlib", "eval"}
            forbidden |= {"exec", "compile", "__import__", "np.load", "numpy.load", "np.fromfile"}
            assert not forbidden.intersection(names), f"{path.name}:{node.lineno} {names}"  # type: ignore[attr-defined]


# ---- forged manifests


def _with(path: str, value: Any) -> Callable[[Body], None]:
    """Put a value where a path like ``segments/0/facts/rows`` leads; ``...`` removes it."""

    def change(body: Body) -> None:
        own: Any = body
        *above, key = path.split("/")
        for name in above:
            own = own[int(name)] if isinstance(own, list) else own[name]
        last: Any = int(key) if isinstance(own, list) else key
        if value is ...:
            del own[last]
        elif callable(value):
            own[last] = value(own[last])
        else:
            own[last] = value

    return change


_ROWS = "segments/0/arrays/rows"
_FACTS = "segments/0/facts"
_LAYOUT = "index/layout"
_SETTINGS = "index/settings"

LIES = {
    "one row more": _with(f"{_FACTS}/rows", lambda rows: rows + 1),
    "one row less": _with(f"{_FACTS}/rows", lambda rows: rows - 1),
    "rows that overflow": _with(f"{_FACTS}/rows", 2**62),
    "negative rows": _with(f"{_FACTS}/rows", -1),
    "rows of truth": _with(f"{_FACTS}/rows", True),
    "no rows": _with(f"{_FACTS}/rows", ...),
    "rows of a tail": _with("segments/1/facts/rows", 10**6),
    "a level": _with("segments/1/facts/level", 65),
    "a second base": _with("segments/1/facts/kind", "base"),
    "next_id": _with("segments/3/facts/next_id", -5),
    "next_id too large": _with("segments/3/facts/next_id", 2**63 + 1),
    "no kind of plan": _with(f"{_FACTS}/plan", 17),
    "a shape that overflows": _with(f"{_ROWS}/shape", [2**40, 2**40]),
    "a shape that overflows to fit": _with(f"{_ROWS}/shape", [2**63, 2]),
    "a shape of one huge axis": _with(f"{_ROWS}/shape", [2**55]),
    "a negative shape": _with(f"{_ROWS}/shape", [-240, -48]),
    "a shape of floats": _with(f"{_ROWS}/shape", [240.0, 48]),
    "a shape of truth": _with(f"{_ROWS}/shape", [True, 11520]),
    "a shape of four axes": _with(f"{_ROWS}/shape", [240, 48, 1, 1]),
    "a shape that hides a zero": _with(f"{_ROWS}/shape", [0, 2**57]),
    "no shape": _with(f"{_ROWS}/shape", None),
    "other bytes": _with(f"{_ROWS}/bytes", lambda size: size + 1),
    "no digest": _with(f"{_ROWS}/digest", ...),
    "a short digest": _with(f"{_ROWS}/ends", "0" * 31),
    "a digest that goes on": _with(f"{_ROWS}/ends", lambda digest: digest + "\n"),
    "an object dtype": _with(f"{_ROWS}/dtype", "|O"),
    "a big-endian dtype": _with(f"{_ROWS}/dtype", ">u8"),
    "a text dtype": _with(f"{_ROWS}/dtype", "<U12"),
    "a dtype of fields": _with(f"{_ROWS}/dtype", [["a", "|u1"]]),
    "a time dtype": _with("segments/0/arrays/ids/dtype", "<M8[s]"),
    "ids of floats": _with("segments/0/arrays/ids/dtype", "<f8"),
    "segment of letters": _with("segments/0/name", "0000000a"),
    "segment with a line": _with("segments/0/name", "00000001\n"),
    "segment of other digits": _with("segments/0/name", "\u0660" * 7 + "\u0661"),
    "segment of a long number": _with("segments/0/name", "0" * 4000 + "1"),
    "segment that is a number": _with("segments/0/name", 1),
    "two segments of one name": _with("segments/1/name", "000000001"),
    "a segment to come": _with("next_segment", 1),
    "no object for a segment": _with("segments/0", ["00000001"]),
    "no list of segments": _with("segments", {}),
    "no index": _with("index", None),
    "no fingerprint": _with("fingerprint", ...),
    "another kind": _with("kind", "lookalike sketch"),
    "format 0": _with("format", 0),
    "a format in words": _with("format", "1"),
    "a true format": _with("format", True),
    "no format": _with("format", ...),
    "a negative generation": _with("generation", -1),
    "a generation beyond 64 bits": _with("generation", 2**63),
    "another metric": _with(f"{_SETTINGS}/metric", "hamming"),
    "a metric of nobody": _with(f"{_SETTINGS}/metric", "l3"),
    "a setting more": _with(f"{_SETTINGS}/eval", "1"),
    "a setting less": _with(f"{_SETTINGS}/probes", ...),
    "no seed": _with(f"{_SETTINGS}/seed", None),
    "a recall beyond": _with(f"{_SETTINGS}/recall", 1.5),
    "a recall of many digits": _with(f"{_SETTINGS}/recall", 10**400),
    "settings that are a list": _with(_SETTINGS, [["metric", "l1"]]),
    "another measure": _with(f"{_LAYOUT}/measure", "float_angles"),
    "another measure of bytes": _with(f"{_LAYOUT}/measure", "differing_bits"),
    "a measure of Python": _with(f"{_LAYOUT}/measure", "__class__"),
    "no item shape": _with(f"{_LAYOUT}/item_shape", []),
    "an item shape of zeros": _with(f"{_LAYOUT}/item_shape", [0]),
    "an item shape of text": _with(f"{_LAYOUT}/item_shape", ["40"]),
    "an item shape that overflows": _with(f"{_LAYOUT}/item_shape", [2**32, 2**32]),
    "an item shape of very many": _with(f"{_LAYOUT}/item_shape", [10**4000] * 3000),
    "an item shape of many axes": _with(f"{_LAYOUT}/item_shape", [40] + [1] * 64),
    "wider items": _with(f"{_LAYOUT}/item_shape", [2**20]),
    "a scale of none": _with(f"{_LAYOUT}/scale", 0.0),
    "a scale of nearly none": _with(f"{_LAYOUT}/scale", 2.0**-1074),
    "a scale of all": _with(f"{_LAYOUT}/scale", 2.0**1000),
    "a scale of bytes": _with(f"{_LAYOUT}/scale", 2.0),
    "a value range of none": _with(f"{_LAYOUT}/value_range", 0),
    "a value range beyond": _with(f"{_LAYOUT}/value_range", 256),
    "bits of bytes": _with(f"{_LAYOUT}/width_bits", 40),
    "came as objects": _with(f"{_LAYOUT}/came_as", "O"),
    "came as fields": _with(f"{_LAYOUT}/came_as", "(1,2"),
    "came as a list": _with(f"{_LAYOUT}/came_as", []),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_forged_manifest_is_refused(lie: str, small: Forgery) -> None:
    body = small.copy_of_body()
    LIES[lie](body)
    small.write(manifest_bytes(body))

    def refused(note: Callable[[str], None]) -> None:
        note(lie)
        check_refused(small.path)

    in_child(refused, small.path.parent / "log", SECONDS)


@pytest.mark.parametrize(
    "name",
    [
        "../outside",
        "../../outside",
        "../../../outside",
        "./fine",
        "a/b",
        "",
        "..",
        ".rows",
        "ROWS",
        "rows.npy",
        "rows\n",
        "rows\0",
        "r" * 65,
        "r" * 300,
        "_rows",
        "1rows",
        "rows ",
        "r\u00f6ws",
    ],
)
def test_no_array_is_read_under_a_name_that_could_lead_elsewhere(name: str, small: Forgery) -> None:
    """Although a file that fits is there."""
    body, whole = small.copy_of_body(), small.file(0, "ids")
    arrays = body["segments"][0]["arrays"]
    arrays[name] = arrays["ids"]
    (whole.parent / "a").mkdir()
    with contextlib.suppress(ValueError, OSError):
        shutil.copy(whole, whole.parent / f"{name}.npy")
    small.write(manifest_bytes(body))
    check_refused(small.path)
    arrays["fine_name1"] = arrays.pop(name)
    shutil.copy(whole, whole.parent / "fine_name1.npy")
    small.write(manifest_bytes(body))
    check_whole(small.path)


@pytest.mark.parametrize(
    "name", ["../00000001", "../../00000001", "/tmp/00000001", "..", ".", "", "00000001/", "1"]
)
def test_no_segment_is_read_under_a_name_that_could_lead_elsewhere(
    name: str, small: Forgery
) -> None:
    """Although a folder that fits is there."""
    body = small.copy_of_body()
    whole = small.file(0, "ids").parent
    body["segments"][0]["name"] = name.replace("/tmp", str(small.path.parent))
    for path in (whole.parent / "..", whole.parent / "../..", whole.parent, whole.parent / ".."):
        for file in whole.iterdir():
            shutil.copy(file, path / file.name)
        with contextlib.suppress(FileExistsError):
            shutil.copytree(whole, path / "00000001")
        with contextlib.suppress(FileExistsError):
            shutil.copytree(whole, path / "1")
    small.write(manifest_bytes(body))
    check_refused(small.path)


def test_a_manifest_that_is_forged_to_say_the_same_is_read(small: Forgery) -> None:
    small.write(manifest_bytes(small.copy_of_body()))
    check_whole(small.path)


def test_a_newer_format_is_named(small: Forgery) -> None:
    for version in (2, 10**9, 2**100):
        body = small.copy_of_body() | {"format": version, "segments": "as it likes"}
        small.write(manifest_bytes(body))
        check_refused(small.path, NewerFormat)


def test_unknown_fields_are_read_over(small: Forgery) -> None:
    body = small.copy_of_body()
    for own in (body, body["segments"][0], body["segments"][0]["facts"], body["index"]["layout"]):
        own["told_later"] = {"by": ["whom"]}
    body["segments"][0]["arrays"]["rows"]["told_later"] = 1
    small.write(manifest_bytes(body))
    check_whole(small.path)


def _text(small: Forgery) -> str:
    data = (small.original / "manifest.json").read_bytes()
    return data[: data.index(b',\n"digest": "')].decode()


_ZEROS, _SIXTY = "0" * 5000, "[" * 60 + "]" * 60
_FIRST = '{\n "kind": "lookalike index"'
TEXTS: dict[str, Callable[[str], str]] = {
    "a name twice": lambda text: text.replace(_FIRST, _FIRST + ',"kind": "lookalike index"'),
    "a name twice in settings": lambda text: text.replace('"metric":', '"seed": 0, "metric":'),
    "infinity": lambda text: text.replace('"seed": 0', '"seed": Infinity'),
    "no number": lambda text: text.replace('"seed": 0', '"seed": NaN'),
    "negative infinity": lambda text: text.replace('"seed": 0', '"seed": -Infinity'),
    "infinity in digits": lambda text: text.replace('"recall": 1.0', '"recall": 1e999'),
    "infinity of facts": lambda text: text.replace('"plan": {', '"plan": {"x": -1e999,'),
    "thousands of digits": lambda text: text.replace('"seed": 0', f'"seed": 1{_ZEROS}'),
    "a float of many digits": lambda text: text.replace(
        '"recall": 1.0', '"recall": 1' + "0" * 5000
    ),
    "deep lists": lambda text: text.replace('"seed": 0', '"seed": ' + "[" * 10**5 + "]" * 10**5),
    "deep objects": lambda text: text.replace(_FIRST, _FIRST + ',"a": ' + '{"a":' * 10**5),
    "deep facts": lambda text: text.replace(
        '"plan": {', '"plan": {"x":' + "[" * 60 + "]" * 60 + ","
    ),
    "no ascii": lambda text: text.replace('"l1"', '"l1ü"'),
    "a mark before": lambda text: "\ufeff" + text,
    "no object": lambda text: "[" + text + "]",
    "two objects": lambda text: text + "}{",
    "no comma": lambda text: text.replace(",", " ", 1),
    "another fingerprint": lambda text: text.replace('"fingerprint": "', '"fingerprint": "0'),
    "a comment": lambda text: text.replace("{", "{ // all is well\n", 1),
    "nothing": lambda text: "",
}


@pytest.mark.parametrize("what", TEXTS)
def test_json_that_is_none_or_says_too_much_is_refused(what: str, small: Forgery) -> None:
    text = TEXTS[what](_text(small))
    assert text != _text(small)
    small.write(sealed(text.encode()))

    def refused(note: Callable[[str], None]) -> None:
        note(what)
        check_refused(small.path)

    in_child(refused, small.path.parent / "log", SECONDS)


def test_nesting_near_the_limit_of_python_is_refused_or_read(small: Forgery) -> None:
    limit = sys.getrecursionlimit()
    for depth in [*range(20, 40), *range(limit // 4, limit + 20, 41)]:
        for opening, closing in (("[", "]"), ('{"a":[', "]}")):
            nested = opening * depth + closing * depth
            text = _text(small).replace('"index": {', f'"index": {{"x": {nested},')
            body = json.loads(text + "}") if depth < 40 else small.copy_of_body()
            data = manifest_bytes(body) if depth < 40 else sealed(text.encode())
            with contextlib.suppress(CorruptStore):
                manifest = Manifest.from_bytes(data, "nested")
                assert Manifest.from_bytes(manifest.to_bytes(), "again") == manifest


def test_a_manifest_that_does_not_end_with_its_digest_is_refused(small: Forgery) -> None:
    data = (small.original / "manifest.json").read_bytes()
    for other in (
        data + b"\n",
        data + data,
        b" " + data,
        data.replace(b'"digest": "', b'"digest":"'),
    ):
        small.write(other)
        check_refused(small.path)


@pytest.mark.parametrize("name", ["rows", "ids", "removed", "present"])
def test_a_sparse_file_as_long_as_a_lie_takes_no_memory(name: str, small: Forgery) -> None:
    segment = _segment_with(small, name)
    path, size = small.file(segment, name), 1 << 40
    body = small.copy_of_body()
    said = body["segments"][segment]["arrays"][name]
    row_bytes = int(said["dtype"][2:]) * math.prod(said["shape"][1:])
    said["shape"][0] = size // row_bytes
    header = header_of(said["dtype"], tuple(said["shape"]))
    said["bytes"] = len(header) + said["shape"][0] * row_bytes
    said["ends"] = xxh3_128_hexdigest(header.ljust(1 << 17, b"\0"))
    body["segments"][segment]["facts"]["rows"] = said["shape"][0] if name == "rows" else 3
    path.unlink()
    with path.open("wb") as file:
        file.write(header)
        file.truncate(said["bytes"])
    small.write(manifest_bytes(body))

    def refused(note: Callable[[str], None]) -> None:
        for mapped in (True, False):
            note(f"{name}, mapped: {mapped}")
            with pytest.raises(CorruptStore):  # and no lack of memory
                Index.open(small.path, map=mapped)

    in_child(refused, small.path.parent / "log", SECONDS)


# ---- whole files in the wrong place


def _twins(tmp_path: Path) -> tuple[Path, Path]:
    """Two indexes of other items in the same shapes."""
    paths = tmp_path / "one", tmp_path / "other"
    for seed, path in enumerate(paths):
        rng = np.random.default_rng(seed)
        index = Index("l2")
        index.add(rng.integers(0, 256, (100, 20), np.uint8), ids=rng.permutation(1000)[:100])
        index.search(np.zeros(20))
        index.remove(index.ids[seed])
        index.save(path)
        with Index.open(path, "r+") as writer:
            writer.add(rng.integers(0, 256, (5, 20), np.uint8))
    return paths


def _swap(one: Path, other: Path) -> None:
    aside = one.parent.parent / "aside"
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


@pytest.mark.parametrize(
    "name",
    [
        "manifest.json",
        "segments",
        "segments/00000001",
        "segments/00000002",
        "segments/00000001/rows.npy",
        "segments/00000001/ids.npy",
        "segments/00000001/present.npy",
        "segments/00000001/row_digests.npy",
        "segments/00000002/rows.npy",
    ],
)
def test_what_two_indexes_of_the_same_shape_have_swapped_is_refused(
    name: str, tmp_path: Path
) -> None:
    one, other = _twins(tmp_path)
    check_whole(one)
    check_whole(other)
    _swap(one / name, other / name)
    check_refused(one)
    check_refused(other)


def test_segments_of_one_index_that_are_swapped_are_refused(small: Forgery) -> None:
    first, second = (small.path / "segments" / own["name"] for own in small.body["segments"][:2])
    _swap(first, second)
    check_refused(small.path)


def test_arrays_of_plans_that_are_swapped_are_refused(
    original: Callable[[str], Path], tmp_path: Path
) -> None:
    cells = Forgery(original("cells"), tmp_path / "cells.index")
    _swap(cells.file(0, "centroid_steps"), cells.file(0, "sketch_steps"))
    check_refused(cells.path)


# ---- forged arrays, whose digests are right


def _put(where: Any, value: Any) -> Callable[[Array], Array]:
    def change(array: Array) -> Array:
        array.reshape(-1)[where] = value
        return array

    return change


def _longer(array: Array) -> Array:
    if not len(array):
        return np.zeros((1, *array.shape[1:]), array.dtype)
    return np.concatenate([array, array[-1:]])


def _twice(array: Array) -> Array:
    flat = array.reshape(-1)
    used = np.flatnonzero(flat != np.iinfo(flat.dtype).max)
    flat[used[0]] = flat[used[1]]
    return array


def _any_row(array: Array) -> Array:
    """A place without a row gets one that is there already."""
    free = np.flatnonzero(array == 2**32 - 1)
    array[free[0]] = array[0]
    return array


def _no_padding(array: Array) -> Array:
    """All norms the least: places without a row would be kept, and their row looked for."""
    array[:, :64] = np.frombuffer(np.full(16, -(2**27), "<i4").tobytes(), np.uint8)
    return array


def _falling(array: Array) -> Array:
    array[len(array) // 2] = array[-1]
    array[len(array) // 2 + 1] = 0
    return array


NAN, INF, LAST = np.nan, np.inf, -1
FORGED: list[tuple[str, str, str, Callable[[Array], Array]]] = [
    *(("cells", name, "no number", _put(3, NAN)) for name in ("mean", "basis", "spreads")),
    *(("cells", name, "infinite", _put(3, INF)) for name in ("mean", "basis", "spreads")),
    *(("cells", name, "no number", _put(0, NAN)) for name in ("centroid_steps", "sketch_steps")),
    *(("cells", name, "infinite", _put(0, INF)) for name in ("centroid_steps", "sketch_steps")),
    *(("cells", name, "negative", _put(0, -1.0)) for name in ("centroid_steps", "sketch_steps")),
    ("cells", "basis", "too long", _put(0, 2.0)),
    ("cells", "spreads", "zero", _put(0, 0.0)),
    ("cells", "centroid_codes", "beyond two digits", _put(5, 120)),
    ("cells", "centroid_codes", "one longer", _longer),
    ("cells", "cell_regions", "one longer", _longer),
    ("cells", "cell_sizes", "one longer", _longer),
    ("cells", "block_starts", "out of range", _put(LAST, 2**32 - 1)),
    ("cells", "block_starts", "not from 0", _put(0, 1)),
    ("cells", "block_starts", "falling", _falling),
    ("cells", "block_rows", "out of range", _put(0, 2**32 - 2)),
    ("cells", "block_rows", "beyond by one", _put(0, 6000)),
    ("cells", "block_rows", "a row twice", _twice),
    ("cells", "block_rows", "a free place that is used", _any_row),
    ("cells", "block_rows", "no rows, whose places are not free", _put(slice(None), 2**32 - 1)),
    ("cells", "block_rows", "one longer", _longer),
    ("cells", "blocks", "free places that look near", _no_padding),
    ("cells", "blocks", "one longer", _longer),
    ("cells", "sample", "out of range", _put(0, 6000)),
    ("cells", "sample", "negative", _put(0, -1)),
    ("cells", "sample_neighbours", "out of range", _put(LAST, 2**62)),
    ("cells", "sample_neighbours", "negative", _put(LAST, -(2**63))),
    ("cells", "sample_neighbours", "one longer", _longer),
    ("cells", "seen_cells", "out of range", _put(0, 2**31)),
    ("cells", "seen_signs", "no number", _put(0, NAN)),
    ("cells", "seen_signs", "infinite", _put(1, INF)),
    ("cells", "ranks_cells", "one longer", _longer),
    ("cells_of_bytes", "mean", "no number", _put(0, NAN)),
    ("cells_of_bytes", "basis", "no number", _put(0, NAN)),
    ("cells_of_bytes", "blocks", "free places that look near", _no_padding),
    ("multi_index", "starts", "not from 0", _put(0, 1)),
    ("multi_index", "starts", "out of range", _put(5, 2**32 - 1)),
    ("multi_index", "starts", "one longer", _longer),
    ("multi_index", "order", "out of range", _put(LAST, 2**32 - 1)),
    ("multi_index", "order", "beyond by one", _put(0, 4200)),
    ("multi_index", "order", "one longer", _longer),
    ("tables", "buckets", "negative", _put(0, -1)),
    ("tables", "buckets", "very many", _put(0, 2**62)),
    ("tables", "buckets", "one longer", _longer),
    ("tables", "bucket_keys", "not sorted", _put(0, 2**64 - 1)),
    ("tables", "bucket_keys", "one longer", _longer),
    ("tables", "bucket_codes", "of codes that are keys", _longer),
    ("tables", "bucket_starts", "not from 0", _put(0, 1)),
    ("tables", "bucket_starts", "out of range", _put(5, 2**32 - 1)),
    ("tables", "bucket_starts", "an empty bucket", _put(1, 0)),
    ("tables", "bucket_rows", "out of range", _put(0, 2**32 - 1)),
    ("tables", "bucket_rows", "beyond by one", _put(LAST, 500)),
    ("tables", "bucket_rows", "a row twice", _twice),
    ("tables", "bucket_rows", "one longer", _longer),
    ("prefixes", "prefix_rows", "out of range", _put(0, 2**32 - 1)),
    ("prefixes", "prefix_rows", "beyond by one", _put(LAST, 4200)),
    ("prefixes", "prefix_rows", "a row twice", _twice),
    ("prefixes", "prefix_rows", "a table more", _longer),
    ("prefixes", "prefix_codes", "not sorted", _put(0, 2**32 - 1)),
    ("prefixes", "prefix_codes", "a table more", _longer),
    ("prefixes", "prefix_sketches", "one longer", _longer),
    ("prefixes", "prefix_centre", "no number", _put(0, NAN)),
    ("prefixes", "prefix_centre", "one longer", _longer),
    ("grown_l1", "ids", "one longer", _longer),
    ("grown_l1", "present", "one longer", _longer),
    ("grown_l1", "removed", "out of range", _put(0, 300)),
    ("grown_l1", "removed", "negative", _put(0, -1)),
]


def _segment_with(forgery: Forgery, name: str) -> int:
    return next(segment for segment, own in forgery.arrays() if own == name)


def _refused(note: Callable[[str], None], path: Path, queries: Array, what: str) -> None:
    note(what)
    for mapped in (True, False):
        assert "CorruptStore" in use(path, queries, mapped=mapped), "it was believed"


@pytest.mark.parametrize(
    ("kind", "name", "what", "change"),
    FORGED,
    ids=[f"{kind}-{name}-{what}" for kind, name, what, _ in FORGED],
)
def test_a_forged_array_is_refused(
    kind: str,
    name: str,
    what: str,
    change: Callable[[Array], Array],
    original: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    forgery = Forgery(original(kind), tmp_path / "forged.index")
    at = _segment_with(forgery, name), name
    queries = Index.open(forgery.original).vectors(Index.open(forgery.original).ids[:20])
    forgery.write(forgery.copy_of_body(), {at: change(forgery.array(*at))})
    in_child(
        partial(_refused, path=forgery.path, queries=queries, what=what), tmp_path / "log", SECONDS
    )


_PLAN = f"{_FACTS}/plan"
FORGED_FACTS: list[tuple[str, str, Callable[[Body], None]]] = [
    ("cells", "no planner", _with(f"{_PLAN}/planner", ...)),
    ("cells", "a planner of nobody", _with(f"{_PLAN}/planner", "hnsw")),
    ("cells", "tables without bits", _with(f"{_PLAN}/planner", "tables")),
    ("cells", "substrings of no bits", _with(f"{_PLAN}/planner", "multi_index")),
    ("cells", "prefixes without a guarantee", _with(f"{_PLAN}/planner", "prefixes")),
    ("multi_index", "cells of bits", _with(f"{_PLAN}/planner", "cells")),
    ("tables", "cells in place of tables", _with(f"{_PLAN}/planner", "cells")),
    ("tables", "exact search in place of tables", _with(f"{_PLAN}/planner", "exact")),
    ("tables", "an interval of bits", _with(f"{_PLAN}/interval", 4.0)),
    ("planes", "an interval of planes", _with(f"{_PLAN}/interval", 4.0)),
    ("lines", "no interval of lines", _with(f"{_PLAN}/interval", None)),
    ("lines", "an empty interval", _with(f"{_PLAN}/interval", 0)),
    (
        "tables",
        "very many functions",
        _with(_SETTINGS, lambda own: own | {"bits": 65536, "tables": 65536}),
    ),
    ("cells", "planned for nothing", _with(f"{_PLAN}/planned_for", 0)),
    ("cells", "planned for more", _with(f"{_PLAN}/planned_for", 6001)),
    ("cells", "encoded more", _with(f"{_PLAN}/encoded", 6001)),
    ("cells", "encoded a part", _with(f"{_PLAN}/encoded", 5000)),
    ("cells", "a unit of none", _with(f"{_PLAN}/centroid_unit", 0)),
    ("cells", "a unit of less", _with(f"{_PLAN}/sketch_unit", 1e-300)),
    ("cells", "first costs of none", _with(f"{_PLAN}/first_costs", [[10, 0.9, 0.0]])),
    ("cells", "first costs of words", _with(f"{_PLAN}/first_costs", ["abc"])),
    ("cells", "no first costs", _with(f"{_PLAN}/first_costs", 5)),
    ("multi_index", "no places", _with(f"{_PLAN}/places", [])),
    ("multi_index", "places of nothing", _with(f"{_PLAN}/places/0", [])),
    ("multi_index", "places beyond", _with(f"{_PLAN}/places/0/0", 256)),
    ("multi_index", "negative places", _with(f"{_PLAN}/places/0/0", -1)),
    ("multi_index", "places of very many", _with(f"{_PLAN}/places/0", [*range(32)])),
    ("multi_index", "places in words", _with(f"{_PLAN}/places", {"a": 1})),
]


@pytest.mark.parametrize(
    ("kind", "what", "change"),
    FORGED_FACTS,
    ids=[f"{kind}-{what}" for kind, what, _ in FORGED_FACTS],
)
def test_forged_facts_of_a_plan_are_refused(
    kind: str,
    what: str,
    change: Callable[[Body], None],
    original: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    forgery = Forgery(original(kind), tmp_path / "forged.index")
    queries = Index.open(forgery.original).vectors(Index.open(forgery.original).ids[:20])
    body = forgery.copy_of_body()
    change(body)
    forgery.write(manifest_bytes(body))
    in_child(
        partial(_refused, path=forgery.path, queries=queries, what=what), tmp_path / "log", SECONDS
    )


@pytest.mark.parametrize(
    ("kind", "name", "what", "change"),
    FORGED[::4],
    ids=[f"{kind}-{name}-{what}" for kind, name, what, _ in FORGED[::4]],
)
def test_what_verify_finds_repair_mends_or_refuses(
    kind: str,
    name: str,
    what: str,
    change: Callable[[Array], Array],
    original: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    forgery = Forgery(original(kind), tmp_path / "forged.index")
    at = _segment_with(forgery, name), name
    forgery.write(forgery.copy_of_body(), {at: change(forgery.array(*at))})
    problems = verify(forgery.path).problems
    assert problems
    try:
        assert repair(forgery.path).damages == problems
    except CorruptStore:
        assert verify(forgery.path).problems == problems
    else:
        assert verify(forgery.path).problems == ()


@pytest.mark.parametrize("kind", ["l2", "cosine", "bounded", "cells", "cells_of_angles", "lines"])
@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38, np.frombuffer(b"\xff" * 4, "<f4")[0]])
def test_rows_that_are_no_numbers_end_no_search_badly(
    kind: str, value: float, original: Callable[[str], Path], tmp_path: Path
) -> None:
    """All of them or some: sorting what has no order is where the core could lose its memory."""
    forgery = Forgery(original(kind), tmp_path / "forged.index")
    queries = Index.open(forgery.original).vectors(np.arange(20))

    def forged(note: Callable[[str], None]) -> None:
        for some in (slice(None), slice(None, None, 7), slice(0, 5000)):
            rows = forgery.array(0, "rows").view("<f4")
            rows.reshape(-1)[some] = value
            forgery.write(forgery.copy_of_body(), {(0, "rows"): rows.view(np.uint8)})
            note(f"{value} at {some}")
            use(forgery.path, queries, thorough=kind in ("l2", "cosine"))
            forgery.renew()

    in_child(forged, tmp_path / "log", SECONDS)


@pytest.mark.parametrize(
    "ids",
    [np.zeros(240), np.arange(240)[::-1] - 120, np.full(240, 2**63 - 1), np.arange(240) * 0 - 1],
)
def test_ids_that_are_not_unique_or_negative_are_answered_with(ids: Array, small: Forgery) -> None:
    """Who reads an index on a disk does not read all ids first: they are only passed on."""
    queries = Index.open(small.original).vectors(Index.open(small.original).ids[:20])
    small.write(small.copy_of_body(), {(0, "ids"): ids.astype(np.int64)})

    def answered(note: Callable[[str], None]) -> None:
        note(str(ids[:3]))
        assert "answers" in use(small.path, queries, thorough=True)
        lying = small.copy_of_body()
        lying["segments"][0]["facts"]["ascending"] = True
        small.write(lying, {(0, "ids"): ids.astype(np.int64)})
        use(small.path, queries, thorough=True)

    in_child(answered, small.path.parent / "log", SECONDS)


# ---- clocks


@pytest.mark.parametrize("moment", [0, 10**9, 2**33, 1])
def test_what_is_new_follows_from_generations_and_not_from_clocks(
    moment: int, small: Forgery
) -> None:
    def all_at(seconds: int) -> None:
        for path in (small.path, *small.path.rglob("*")):
            os.utime(path, (seconds, seconds))

    all_at(moment)
    reader = Index.open(small.path)
    assert not reader.refresh()
    all_at(moment + 100)  # touched, and nothing else
    assert not reader.refresh()
    before = (small.path / "manifest.json").stat().st_size
    with Index.open(small.path, "r+") as writer:
        new = writer.add(np.full((1, 40), 77, np.uint8))
        all_at(moment)  # as old as before
        assert reader.refresh()
        assert reader.search(np.full(40, 77, np.uint8), k=1).ids.tolist() == new.tolist()
        writer.remove(new)
        all_at(max(moment - 100, 0))  # older still
        assert reader.refresh()
        assert new[0] not in reader
    assert before > 0
    check_whole(small.path)
