"""Random forgeries of indexes of every engine: an answer or an error of ours, and nothing else.

``LOOKALIKE_SOAK_SECONDS=60 pytest tests/hostile/test_store_fuzz.py`` goes on for a minute with each
kind of index, from another seed every time, which a failure names.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from tests.hostile.forging import KINDS, Array, Body, Forgery, in_child, manifest_bytes, sealed, use

from lookalike import Index
from lookalike.archive import index_facts, layout_of, settings_of
from lookalike.errors import CorruptStore, LookalikeError, NewerFormat
from lookalike.layout import Layout
from lookalike.metrics import metric_named
from lookalike.settings import Settings
from lookalike.store.array_file import StoredArray
from lookalike.store.manifest import Manifest, Segment

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

SOAK_SECONDS = float(os.environ.get("LOOKALIKE_SOAK_SECONDS", "0"))
TRIED = 30  # forgeries of each kind in an ordinary run
_LARGEST_WHOLE = 2**1000  # far below the largest float
PER_CHILD = 200  # forgeries after which a soak starts another child
SECONDS = 120  # that a child may take
SEED = int(os.environ.get("LOOKALIKE_FUZZ_SEED", "0"))  # that a failure named

Rng = np.random.Generator
EXTREMES: list[Any] = [
    *(0, -1, 1, 2, 7, 8, 9, 255, 256, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**56),
    *(2**63 - 1, 2**63, 2**64, 10**400, 10**4200),
    *(0.0, -0.0, 0.5, 1.0, 1.5, -3.7, 1e-320, 1e-45, 1e-30, 1e30, 1e38, 1e39, 1e308, -1e308),
    *(True, False, None, "", "x", "0", "base", "tail", "exact", "cells", "multi_index", "tables"),
    *("prefixes", "l1", "l2", "cosine", "hamming", "float_squares", "differing_bits", "|u1", "<f8"),
    *("|O", ">f4", "float64", "i4,i4", "(1,2", "../../x", "/etc/passwd", "calibrated"),
    *(
        "guaranteed",
        "p_stable",
        "bit_sampling",
        "\u0000",
        [],
        {},
        [[]],
        [0],
        [[0], [1, 2]],
        {"a": 1},
    ),
    *([1] * 70, [2**31, 2**31], [[3, 0.9, 0.0]], [[10**30, 1e308, -1]]),
]


# ---- forging at random


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every container in a JSON value, with every key or position in it."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        own = waiting.pop()
        keys = own if isinstance(own, dict) else range(len(own))
        for key in keys:
            found.append((own, key))
            if isinstance(own[key], (dict, list)):
                waiting.append(own[key])
    return found


def _are_whole(segments: Any) -> bool:
    return isinstance(segments, list) and all(
        isinstance(own, dict) and isinstance(own.get("facts"), dict) for own in segments
    )


def _extreme(rng: Rng) -> Any:
    return json.loads(json.dumps(EXTREMES[rng.integers(len(EXTREMES))]))


def change_value(rng: Rng, body: Body) -> str:
    """Change, remove or add one value somewhere; what was done."""
    # Mostly in what decides memory and engines: most values are digests.
    segments: Any = body.get("segments")
    facts = [own["facts"] for own in segments] if _are_whole(segments) else []
    parts = [own for own in (body, body.get("index"), *facts) if isinstance(own, dict) and own]
    places = _places(parts[rng.integers(len(parts))])
    own, key = places[rng.integers(len(places))]
    old = own[key]
    how = int(rng.integers(6))
    if how == 0:
        del own[key]
    elif how == 1 and isinstance(old, (int, float)) and not isinstance(old, bool):
        # A number that was changed before may be too large for a float.
        as_float = float(old) if abs(old) < _LARGEST_WHOLE else -old
        own[key] = [old + 1, old - 1, -old, 2 * old, old * 256, as_float][rng.integers(6)]
    elif how == 2:
        other, name = places[rng.integers(len(places))]
        own[key] = json.loads(json.dumps(other.get(name) if isinstance(other, dict) else None))
    elif how == 3 and isinstance(own, dict):
        own[f"{key}_"] = old
    elif how == 4 and isinstance(own, list):
        own.append(json.loads(json.dumps(old)))
    else:
        own[key] = _extreme(rng)
    return f"{key}: {str(old)[:60]} changed by {how} to {str(_value(own, key))[:60]}"


def _value(own: Any, key: Any) -> Any:
    try:
        return own[key]
    except (KeyError, IndexError):
        return None


def _hostile_values(rng: Rng, dtype: np.dtype[Any], count: int) -> Array:
    if dtype.kind == "f":
        values = [
            math.nan,
            -math.nan,
            math.inf,
            -math.inf,
            0.0,
            -0.0,
            1e-45,
            1e-30,
            1e19,
            3e38,
            -3e38,
        ]
        if rng.random() < 0.3:
            bits = rng.integers(0, 256, count * dtype.itemsize, np.uint8)
            return bits.view(dtype)
        return np.array(values, dtype)[rng.integers(0, len(values), count)]
    info = np.iinfo(dtype)
    if rng.random() < 0.5:
        return rng.integers(info.min, info.max, count, dtype, endpoint=True)
    ends = [info.min, info.max, 0, 1, info.max // 2, info.max - 1, max(info.min, -1)]
    return np.array(ends, dtype)[rng.integers(0, len(ends), count)]


def change_array(rng: Rng, array: Array) -> tuple[Array, str]:
    """An array of the same dtype, mostly of the same shape, with other values."""
    flat, how = array.reshape(-1).copy(), int(rng.integers(8))
    if not flat.size:
        return np.zeros((3,) * array.ndim, array.dtype), "three of each"
    some = rng.integers(0, flat.size, int(rng.integers(1, 1 + min(flat.size, 40))))
    if how <= 2:
        flat[some] = _hostile_values(rng, flat.dtype, len(some))
    elif how == 3:
        flat[:] = _hostile_values(rng, flat.dtype, 1)
    elif how == 4:
        flat[:] = _hostile_values(rng, flat.dtype, flat.size)
    elif how == 5:
        flat[some] = rng.permutation(flat[some])
    elif how == 6:
        flat = np.roll(flat, int(rng.integers(flat.size)))
    else:
        sizes = np.array(array.shape)
        axis = int(rng.integers(len(sizes)))
        wanted = int(rng.choice([0, 1, sizes[axis] - 1, sizes[axis] + 1, sizes[axis] // 2]))
        sizes[axis] = max(wanted, 0)
        return np.resize(array, tuple(sizes.tolist())), f"shape {tuple(sizes.tolist())}"
    return flat.reshape(array.shape), f"way {how}"


def forge(rng: Rng, forgery: Forgery) -> str:
    """Forge an index at random; what was done."""
    body, told = forgery.copy_of_body(), []
    if rng.random() < 0.4:
        told += [change_value(rng, body) for _ in range(rng.integers(1, 3))]
        forgery.write(manifest_bytes(body))
        return "; ".join(told)
    names = forgery.arrays()
    forged: dict[tuple[int, str], Array] = {}
    for _ in range(rng.integers(1, 3)):
        where = names[rng.integers(len(names))]
        forged[where], what = change_array(rng, forgery.array(*where))
        told.append(f"{where}: {what}")
    forgery.write(body, forged)
    return "; ".join(told)


# ---- indexes of every engine


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


def queries_of(path: Path) -> Array:
    """Some of its items, and others."""
    index = Index.open(path)
    items: Array = index.vectors(index.ids[:40:2])
    return items


def try_forgeries(
    note: Callable[[str], None], path: Path, copy: Path, seed: int, most: int, until: float
) -> None:
    """Forge so many indexes, or as many as there is time for, and use each."""
    queries, forgery = queries_of(path), Forgery(path, copy)
    for number in range(most):
        rng = np.random.default_rng([seed, number])
        note(f"{path.name}, LOOKALIKE_FUZZ_SEED={seed}, number {number}: {forge(rng, forgery)}")
        thorough = number % 10 == 9
        use(copy, queries, thorough=thorough, mapped=bool(rng.random() < 0.7))
        forgery.renew() if thorough else forgery.restore()
        if time.monotonic() > until:
            return


@pytest.mark.parametrize("kind", KINDS)
def test_an_index_of_each_kind_answers_before_anything_is_forged(
    kind: str, original: Callable[[str], Path], tmp_path: Path
) -> None:
    path = original(kind)
    assert Index.open(path).plan.engine == KINDS[kind][0]
    forgery = Forgery(path, tmp_path / "copy")
    forgery.write(forgery.copy_of_body(), {at: forgery.array(*at) for at in forgery.arrays()})
    assert use(forgery.path, queries_of(path), thorough=True) == {"answers"}


@pytest.mark.parametrize("kind", KINDS)
def test_forged_indexes_answer_or_raise_an_error_of_ours(
    kind: str, original: Callable[[str], Path], tmp_path: Path
) -> None:
    path, log = original(kind), tmp_path / "log"
    if not SOAK_SECONDS:
        work = partial(
            try_forgeries, path=path, copy=tmp_path / "copy", seed=SEED, most=TRIED, until=math.inf
        )
        in_child(work, log, SECONDS)
        return
    end = time.monotonic() + SOAK_SECONDS
    seed = SEED or int(time.time())
    while time.monotonic() < end:
        copy = tmp_path / f"copy{seed}"
        work = partial(try_forgeries, path=path, copy=copy, seed=seed, most=PER_CHILD, until=end)
        in_child(work, log, SECONDS + int(SOAK_SECONDS))
        seed += 1


# ---- manifests alone, which are read in pure Python

_KNOWN = Manifest(
    generation=3,
    next_segment=2,
    index=index_facts(
        Settings.checked(
            "l2",
            recall=0.9,
            promise="calibrated",
            bits=None,
            tables=None,
            family=None,
            probes=1,
            bucket_width=None,
            value_range=None,
            width_bits=None,
            seed=0,
        ),
        Layout.of(np.full((1, 4, 8), 0.5), metric_named("l2")),
    ),
    segments=(
        Segment(
            "00000001",
            {"kind": "base", "rows": 3, "next_id": 3, "ascending": True},
            {"rows": StoredArray("|u1", (3, 128), "0" * 32, "f" * 32)},
        ),
    ),
)
_BYTES = _KNOWN.to_bytes()
BEFORE = _BYTES[: -len(b',\n"digest": "' + b"0" * 32 + b'"}\n')]
_TOKENS = [b"{", b"}", b"[", b"]", b",", b":", b'"', b"1e999", b"NaN", b"-Infinity", b"null", b"0"]
_TOKENS += [
    b"9" * 5000,
    b"[" * 3000,
    b'{"a":' * 900,
    b"\\u0000",
    b"\xff",
    b"\x00",
    b"1e-999",
    b"-0",
]


def check_manifest(data: bytes) -> None:
    """Read a manifest: it is refused, or is the same when it is written and read again."""
    try:
        manifest = Manifest.from_bytes(data, "forged")
    except (CorruptStore, NewerFormat):
        return
    again = Manifest.from_bytes(manifest.to_bytes(), "again")
    assert again.to_bytes() == manifest.to_bytes()
    assert again == manifest
    try:
        layout_of(manifest.index, settings_of(manifest.index, "forged"), "forged")
    except LookalikeError:
        return


def test_the_known_manifest_is_read() -> None:
    check_manifest(_BYTES)
    assert sealed(BEFORE) == _BYTES
    assert layout_of(_KNOWN.index, settings_of(_KNOWN.index, "known"), "known") is not None


@given(
    cuts=st.lists(
        st.tuples(
            st.integers(0, len(BEFORE)), st.integers(0, 12), st.sampled_from(_TOKENS) | st.binary()
        ),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=300)
def test_manifests_whose_bytes_are_changed_and_digest_repaired_are_refused_or_whole(
    cuts: list[tuple[int, int, bytes]],
) -> None:
    data = BEFORE
    for at, length, token in cuts:
        data = data[:at] + token + data[at + length :]
    check_manifest(sealed(data))


@given(seed=st.integers(0, 2**32))
@settings(max_examples=300)
def test_manifests_whose_values_are_changed_are_refused_or_whole(seed: int) -> None:
    rng = np.random.default_rng(seed)
    body: Body = json.loads(_BYTES)
    for _ in range(rng.integers(1, 4)):
        change_value(rng, body)
    check_manifest(manifest_bytes(body))
