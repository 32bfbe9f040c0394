"""Imports point down: every module may import lower rows, and nothing beside or above itself."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "lookalike"

# From the top of the house to its ground. Later rooms have their place already.
ROWS = [
    ["__main__"],
    ["cli", "web"],
    ["album", "cluster", "lab", "demo", "sklearn"],
    ["plots", "report", "datasets"],
    ["upkeep", "joins"],
    ["index"],
    ["planner"],
    ["recall"],
    ["engines"],
    ["layout"],
    ["hashing", "metrics", "store", "results", "pictures"],
    ["arrays", "seeds", "native"],
    ["errors"],
]
ROW = {room: number for number, row in enumerate(ROWS) for room in row}
MODULES = sorted(path for path in SOURCE.rglob("*.py") if path.name != "__init__.py")


def room_of(path: Path) -> str:
    """A package is one room, and so is a module of the top folder."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    """Rooms imported anywhere in a file, inside functions too."""
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return {name.split(".")[1] for name in names if name.startswith("lookalike.")}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_point_down(path: Path) -> None:
    here = room_of(path)
    for room in imported_rooms(path) - {here, "_core", "__version__"}:
        assert room in ROW, f"{room} has no place in the house yet"
        assert ROW[room] > ROW[here], f"{here} must not import {room}"


def test_only_native_imports_the_compiled_module() -> None:
    importers = {room_of(path) for path in MODULES if "_core" in imported_rooms(path)}
    assert importers == {"native"}


def test_the_faces_are_thin_enough_to_be_imported_by_nobody() -> None:
    for path in MODULES:
        if room_of(path) != "__main__":
            assert not imported_rooms(path) & {"cli", "web"}
