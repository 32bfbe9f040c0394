"""A catalogue and indexes of planted codes, without any picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

from lookalike import Index
from lookalike.album.catalog import Catalog, Content, File, Name
from lookalike.album.duplicates import DuplicateGroup, find_duplicates
from lookalike.pictures.jobs import Stamp

WIDTHS = {"pdq": 256, "phash": 64}


def digest_of(name: str) -> str:
    return xxhash.xxh3_128_hexdigest(name.encode())


def content(name: str, size: int = 1000, **facts: Any) -> Content:
    """A picture whose bytes are a name."""
    usual: dict[str, Any] = {"width": 400, "height": 300, "format": "jpeg"}
    return Content(digest_of(name), size, **(usual | facts))


def file(path: str | bytes, own: Content, mtime_ns: int = 0) -> File:
    """A file that has a content."""
    raw = path.encode() if isinstance(path, str) else path
    return File(Name.of(raw), Stamp(own.size, mtime_ns, 0, 0), mtime_ns, own.id)


def code(bits: Iterable[int], width_bits: int) -> npt.NDArray[np.uint8]:
    """A code with these bits set."""
    own = np.zeros(width_bits, np.uint8)
    own[list(bits)] = 1
    return np.packbits(own)


@dataclass
class Planted:
    """An album in memory and in a folder, to be filled."""

    home: Path
    indexes: dict[str, Index] = field(
        default_factory=lambda: {
            name: Index("hamming", width_bits=width) for name, width in WIDTHS.items()
        }
    )

    def __post_init__(self) -> None:
        self.catalog = Catalog(self.home, create=True)

    def add(
        self, path: str | bytes, own: Content, mtime_ns: int = 0, **bits: Iterable[int]
    ) -> Content:
        """A file, and the bits of its codes by encoder: far from all others unless given."""
        for name, index in self.indexes.items():
            if name not in own.featureless and own.reason is None and own.id not in index:
                width = WIDTHS[name]
                random = np.random.default_rng(own.id)
                code_of = code(bits[name], width) if name in bits else random.bytes(width // 8)
                index.add(np.frombuffer(bytes(code_of), np.uint8)[None], [own.id])
        with self.catalog.change():
            self.catalog.put_contents([own])
            self.catalog.put_files([file(path, own, mtime_ns)])
        return own

    def groups(
        self, thresholds: Mapping[str, float] | None = None, **options: Any
    ) -> list[DuplicateGroup]:
        wanted = {"pdq": 20.0, "phash": 6.0} if thresholds is None else thresholds
        return find_duplicates(self.catalog, self.indexes, wanted, **options)


def paths(groups: Sequence[DuplicateGroup]) -> list[list[str]]:
    return [[member.path.decode() for member in group.members] for group in groups]
