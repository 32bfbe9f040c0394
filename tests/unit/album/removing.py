"""An album of small files to act on, and a trash of its own for each test."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import xxhash

from lookalike.album.acting import Applied, Undone, apply, undo
from lookalike.album.catalog import Catalog, Content, File, Name, content_id
from lookalike.album.plan import Plan, Removal
from lookalike.pictures.jobs import Stamp


def private_trash(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Let the trash of this test be in a folder: Send2Trash asks once, when it is imported."""
    pytest.importorskip("send2trash", reason="needs the extra pictures")
    (folder / "data").mkdir(parents=True)
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / "data"))
    monkeypatch.setenv("HOME", str(folder))
    for name in [name for name in sys.modules if name.partition(".")[0] == "send2trash"]:
        monkeypatch.delitem(sys.modules, name)
    return folder / "data" / "Trash"


def digest_of(data: bytes) -> str:
    return xxhash.xxh3_128_hexdigest(data)


@dataclass
class Photos:
    """An album, without pictures or indexes."""

    root: Path

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        self.home = self.root / ".lookalike"
        self.home.mkdir(exist_ok=True)
        self.catalog = Catalog(self.home, create=True)

    def path(self, path: bytes | str) -> Path:
        return self.root / os.fsdecode(path)

    def put(self, path: bytes | str, data: bytes) -> Path:
        """Write a file, and let the catalogue know it."""
        own = self.path(path)
        own.parent.mkdir(parents=True, exist_ok=True)
        own.write_bytes(data)
        content = Content(digest_of(data), len(data), 4, 3, "jpeg")
        file = File(Name.of(os.fsencode(path)), Stamp.of(own.stat()), 0, content.id)
        with self.catalog.change():
            self.catalog.put_contents([content])
            self.catalog.put_files([file])
        return own

    def pair(self, path: bytes | str = "a.jpg", keeper: bytes | str = "k.jpg") -> Removal:
        """Two files with the same bytes, of which one is to go."""
        data = b"bytes of " + os.fsencode(keeper)
        self.put(path, data)
        self.put(keeper, data)
        return self.removal(path, keeper)

    def removal(self, path: bytes | str, keeper: bytes | str, **others: Any) -> Removal:
        """Of files as they are now."""
        data, kept = self.path(path).read_bytes(), self.path(keeper).read_bytes()
        facts: dict[str, Any] = {
            "digest": digest_of(data),
            "size": len(data),
            "keeper_digest": digest_of(kept),
            "reason": "equal bytes" if data == kept else "pdq 12",
            "exact": data == kept,
        }
        return Removal(os.fsencode(path), keeper=os.fsencode(keeper), **(facts | others))

    def plan(self, *removals: Removal, protected: tuple[bytes, ...] = ()) -> Plan:
        return Plan(self.root, "2026-10-14T12:00:00+00:00", removals, protected)

    def apply(
        self, *removals: Removal, protected: tuple[bytes, ...] = (), **options: Any
    ) -> Applied:
        options = {"dry_run": False} | options
        return apply(self.root, self.catalog, self.plan(*removals, protected=protected), **options)

    def undo(self, act: int | None = None, **options: Any) -> Undone:
        return undo(self.root, self.catalog, act, **options)

    def knows(self, path: bytes | str) -> bool:
        """Whether the catalogue shows a file."""
        file = self.catalog.find(os.fsencode(path))
        return file is not None and file.content == content_id(
            digest_of(self.path(path).read_bytes())
        )

    def files(self) -> dict[str, bytes]:
        """All files but the album's own."""
        return contents_of(self.root)


def contents_of(folder: Path) -> dict[str, bytes]:
    """What is in a folder, by path: files alone, without those of an album's own folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not path.is_symlink()
        and ".lookalike" not in path.parts
        and not path.name.startswith("catalog.sqlite")
    }


def why(report: Applied | Undone) -> str:
    """Of the only file that was refused."""
    (refusal,) = report.refused
    return refusal.why
