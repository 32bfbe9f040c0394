"""Indexes that were tampered with: facts and arrays are changed, and digests made right again.

A digest finds damage and keeps no one from forging, so that everything behind it has to hold as
well. Forged indexes are opened in forked children: a crash, a hang or a huge allocation is then a
failed test, and not the end of the run.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_128_hexdigest

from lookalike import Index, LookalikeError
from lookalike.store.array_file import header_of
from lookalike.store.manifest import FORMAT
from lookalike.upkeep import describe

Body = dict[str, Any]
Array = npt.NDArray[Any]

_ROOM_BYTES = 3 << 30  # of addresses, that a hostile index of a few megabytes may ask for
_ENDS = 1 << 16


# ---- indexes of every engine


def clustered(rows: int, width: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """Vectors in clusters, which cells are good for."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(60, width)) * np.linspace(4, 0.5, width)
    return (centres[rng.integers(0, 60, rows)] + rng.normal(size=(rows, width)) * 0.7).astype(
        np.float32
    )


def _bytes(rows: int, width: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.clip(128 + 12 * clustered(rows, width, seed), 0, 255).astype(np.uint8)


def _codes(rows: int) -> npt.NDArray[np.uint8]:
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 256, (300, 32), np.uint8)[rng.integers(0, 300, rows)]
    codes ^= rng.integers(0, 256, (rows, 32), np.uint8) & np.uint8(17)
    return codes


def _saved(path: Path, items: Array, **settings: Any) -> None:
    index = Index(settings.pop("metric"), **settings)
    index.add(items)
    index.measure(queries=items[:20])
    index.save(path)


def _grown(path: Path, items: Array, **settings: Any) -> None:
    """The same with ids, tails and removed items."""
    index = Index(settings.pop("metric"), **settings)
    index.add(items[:-60], ids=3 * np.arange(len(items) - 60)[::-1] + 5)
    index.measure(queries=items[:20])
    index.remove(index.ids[10:30])
    index.save(path)
    with Index.open(path, "r+") as writer:
        writer.add(items[-60:-20])
        writer.remove(writer.ids[[1, 100, -1]])
        writer.add(items[-20:])


KINDS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "l1": ("exact", lambda path: _saved(path, _bytes(300, 40), metric="l1", recall=1.0)),
    "l2": ("exact", lambda path: _saved(path, clustered(300, 24), metric="l2", recall=1.0)),
    "cosine": ("exact", lambda path: _saved(path, clustered(300, 24), metric="cosine", recall=1.0)),
    "bounded": (
        "exact",
        lambda path: _saved(path, clustered(17_000, 64), metric="l2", recall=1.0),
    ),
    "cells": ("cells", lambda path: _saved(path, clustered(6000, 64), metric="l2")),
    "cells_of_bytes": ("cells", lambda path: _saved(path, _bytes(6000, 64), metric="l2")),
    "cells_of_angles": ("cells", lambda path: _saved(path, clustered(6000, 64), metric="cosine")),
    "multi_index": ("multi_index", lambda path: _saved(path, _codes(4200), metric="hamming")),
    "tables": (
        "tables",
        lambda path: _saved(path, _bytes(500, 24), metric="l1", bits=24, tables=6),
    ),
    "lines": (
        "tables",
        lambda path: _saved(path, clustered(500, 24), metric="l2", bits=6, tables=6),
    ),
    "planes": (
        "tables",
        lambda path: _saved(path, clustered(500, 24), metric="cosine", bits=12, tables=6, probes=3),
    ),
    "prefixes": (
        "prefixes",
        lambda path: _saved(path, clustered(4200, 16), metric="l2", promise="guaranteed"),
    ),
    "prefixes_of_bytes": (
        "prefixes",
        lambda path: _saved(path, _bytes(4200, 16), metric="l1", promise="guaranteed"),
    ),
    "grown_l1": ("exact", lambda path: _grown(path, _bytes(300, 40), metric="l1", recall=1.0)),
    "grown_cells": ("cells", lambda path: _grown(path, clustered(6000, 64), metric="l2")),
    "grown_multi_index": ("multi_index", lambda path: _grown(path, _codes(4500), metric="hamming")),
}


# ---- forging


def sealed(before: bytes) -> bytes:
    """A manifest file: everything before its digest, and the digest that is right."""
    whole = before + b',\n"digest": "'
    return whole + xxh3_128_hexdigest(whole).encode() + b'"}\n'


def manifest_bytes(body: Body) -> bytes:
    """A manifest that says this, whatever it is, with the fingerprint and digest of it."""
    body = {name: body[name] for name in body if name != "digest"}
    if isinstance(body.get("index"), dict) and "fingerprint" in body:
        said = {"format": FORMAT, "index": body["index"]}
        text = json.dumps(said, sort_keys=True, separators=(",", ":"))
        body["fingerprint"] = xxh3_128_hexdigest(text.encode())
    return sealed(json.dumps(body, indent=1).encode()[:-2])


def array_bytes(array: Array) -> tuple[bytes, Body]:
    """The file of an array, and what a manifest says of it."""
    dtype = array.dtype.newbyteorder("<").str
    data = header_of(dtype, array.shape) + np.ascontiguousarray(array).tobytes()
    ends = data[:_ENDS] + data[max(_ENDS, len(data) - _ENDS) :]
    return data, {
        "dtype": dtype,
        "shape": list(array.shape),
        "bytes": len(data),
        "digest": xxh3_128_hexdigest(data),
        "ends": xxh3_128_hexdigest(ends),
    }


class Forgery:
    """A copy of an index, which is changed, opened, and put back.

    Parameters
    ----------
    original : Path
    path : Path
        Of the copy, which is made here.
    """

    def __init__(self, original: Path, path: Path) -> None:
        shutil.copytree(original, path)
        self.original, self.path = original, path
        self.body: Body = json.loads((original / "manifest.json").read_bytes())
        self._written: list[Path] = []

    def copy_of_body(self) -> Body:
        """What the manifest says, to be changed."""
        body: Body = json.loads(json.dumps(self.body))
        return body

    def array(self, segment: int, name: str) -> Array:
        """An array of the original, to be changed."""
        folder = self.original / "segments" / self.body["segments"][segment]["name"]
        array: Array = np.load(folder / f"{name}.npy").copy()
        return array

    def arrays(self) -> list[tuple[int, str]]:
        """The segment and name of every array."""
        return [
            (number, name)
            for number, segment in enumerate(self.body["segments"])
            for name in segment["arrays"]
        ]

    def write(self, body: Body | bytes, arrays: dict[tuple[int, str], Array] | None = None) -> None:
        """Write a forged manifest and arrays, with digests that are right."""
        for (segment, name), array in (arrays or {}).items():
            assert isinstance(body, dict)
            data, said = array_bytes(array)
            body["segments"][segment]["arrays"][name] = said
            self._put(self.file(segment, name), data)
        manifest = body if isinstance(body, bytes) else manifest_bytes(body)
        self._put(self.path / "manifest.json", manifest)

    def file(self, segment: int, name: str) -> Path:
        """The file of an array of the copy."""
        folder = str(self.body["segments"][segment]["name"])
        return self.path / "segments" / folder / f"{name}.npy"

    def _put(self, path: Path, data: bytes) -> None:
        # Another file each time: earlier ones may still be mapped, and must not change.
        path.unlink(missing_ok=True)
        path.write_bytes(data)
        self._written.append(path)

    def restore(self) -> None:
        """Be the original again."""
        for path in self._written:
            self._put(path, (self.original / path.relative_to(self.path)).read_bytes())
            self._written.pop()
        self._written.clear()

    def renew(self) -> None:
        """The same after changes that a writer may have made."""
        shutil.rmtree(self.path)
        shutil.copytree(self.original, self.path)
        self._written.clear()


# ---- using what was forged


class Wrong(AssertionError):
    """A hostile index did what it must not."""


def use(path: Path, queries: Array, *, thorough: bool = False, mapped: bool = True) -> set[str]:
    """Open an index and ask it everything; what came of it.

    Returns
    -------
    set of str
        "answers", and names of errors that are ours.

    Raises
    ------
    Wrong
        For any other error.
    """
    came: set[str] = set()

    def done(what: str, work: Callable[[], Any]) -> Any:
        try:
            result = work()
        except LookalikeError as error:
            came.add(type(error).__name__)
            return None
        except BaseException as error:
            raise Wrong(f"{what}: {traceback.format_exc()}") from error
        came.add("answers")
        return result

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numbers that are none warn
        done("describe", lambda: str(describe(path)))
        index = done("open", lambda: Index.open(path, map=mapped))
        if index is None:
            return came
        # A search within a radius is calibrated anew for 100 neighbours, which takes long.
        is_calibrated = "engine cells" in repr(index)
        ids = done("ids", lambda: index.ids)
        done("repr", lambda: (repr(index), len(index), index.item_shape, index.size_bytes))
        done("plan", lambda: str(index.plan))
        done("search", lambda: (index.search(queries[0]), index.search(queries[:3])))
        done("measure", lambda: index.measure(queries=queries[:4]))
        if thorough or not is_calibrated:
            done("within", lambda: (index.within(queries[0], 3.0), index.within(queries[:2], 20.0)))
        if ids is not None and len(ids):
            some = ids[[0, len(ids) // 2, -1]]
            done("vectors", lambda: index.vectors(some))
            done("search by id", lambda: index.search(id=int(some[1]), k=9))
        if not thorough:
            return came
        done("candidates", lambda: index.candidates(queries[0]))
        done("explain", lambda: str(index.explain(queries[1])))
        if ids is not None and len(ids):
            done("explain by id", lambda: index.explain(queries[1], id=int(ids[-1])))
        done("measure members", lambda: index.measure(10))
        done("pairs", lambda: index.pairs(0.0, limit=200).all())
        done(
            "another k", lambda: index.search(queries[0], 30, recall=0.9 if index.recall else None)
        )
        done("verify", lambda: Index.open(path, verify="full", map=False).search(queries[0], 3))
        index = done("writer", lambda: Index.open(path, "r+"))
        if index is not None:
            done("add", lambda: index.add(queries[:3]))
            done("remove", lambda: index.remove(index.ids[:2]))
            done("search again", lambda: index.search(queries[0]))
            index.close()
    return came


def in_child(work: Callable[[Callable[[str], None]], object], log: Path, seconds: int) -> None:
    """Do some work in a forked child, and fail when it fails, crashes or hangs.

    Parameters
    ----------
    work : callable
        Given a function that notes what is being tried.
    log : Path
        Where that is noted.
    seconds : int
        That it may take.
    """
    process = os.fork()
    if process == 0:
        status = 1
        try:
            signal.alarm(seconds)
            _limit_memory()
            with log.open("w") as file:

                def note(what: str) -> None:
                    file.seek(0)
                    file.truncate()
                    file.write(what)
                    file.flush()

                try:
                    work(note)
                    status = 0
                except BaseException:  # it must never get back into pytest
                    file.write("\n" + traceback.format_exc())
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if status:
        how = "failed" if status > 0 else f"was ended by signal {signal.Signals(-status).name}"
        raise Wrong(f"a child {how} at: {log.read_text()}")


def _limit_memory() -> None:
    if "asan" in os.environ.get("LD_PRELOAD", ""):
        return  # its shadow is larger than all memory
    with contextlib.suppress(OSError):
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + _ROOM_BYTES, resource.RLIM_INFINITY))
