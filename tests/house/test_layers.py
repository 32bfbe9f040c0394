"""Imports point down: every module may import lower rows, and nothing beside or above itself."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "lookalike"

# From the top of the house to its ground. Later rooms have their place already.
ROWS = [
    ["__main__"],
    ["cli"],
    ["commands"],
    ["web"],
    ["demo"],
    ["album", "cluster", "lab", "sklearn"],
    ["__init__"],
    ["plots", "report", "datasets"],
    ["upkeep", "joins"],
    ["index"],
    ["archive"],
    ["snapshot"],
    ["planner"],
    ["dimensions", "settings"],
    ["recall", "costs"],
    ["sample"],
    ["engines"],
    ["hashing", "metrics", "store", "results", "pairs", "layout", "members", "pictures"],
    ["arrays", "seeds", "native"],
    ["errors"],
]
ROW = {room: number for number, row in enumerate(ROWS) for room in row}
BESIDE = {("layout", "metrics")}  # the only neighbours that know each other
LATER = {("__init__", "album")}  # a public name; all are loaded when they are asked for
MODULES = sorted(SOURCE.rglob("*.py"))


def room_of(path: Path) -> str:
    """A package is one room, and so is a module of the top folder."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_rooms(text: str) -> set[str]:
    """Rooms imported anywhere in a text, inside functions too; the package is ``__init__``."""
    rooms = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are written in full"
            names = [[*str(node.module).split("."), alias.name] for alias in node.names]
        else:
            continue
        for name in names:
            if name[0] == "lookalike":
                room = name[1] if len(name) > 1 else "__init__"
                rooms.add(room if room in ROW or room == "_core" else "__init__")
    return rooms


def may_import(here: str, room: str) -> bool:
    return room == here or ROW[room] > ROW[here] or (here, room) in BESIDE | LATER


def test_every_module_has_its_place() -> None:
    assert {room_of(path) for path in MODULES} <= set(ROW)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_down(path: Path) -> None:
    here = room_of(path)
    for room in imported_rooms(path.read_text()) - {"_core"}:
        assert may_import(here, room), f"{here} must not import {room}"


def test_imports_are_read_wherever_they_stand() -> None:
    assert imported_rooms("import lookalike.index as i, numpy") == {"index"}
    assert imported_rooms("def f():\n    from lookalike import seeds, Index") == {
        "seeds",
        "__init__",
    }
    assert imported_rooms("from lookalike.engines.exact import ExactEngine") == {"engines"}
    assert imported_rooms("import lookalike") == {"__init__"}
    assert imported_rooms("from lookalike import _core") == {"_core"}
    assert imported_rooms("import lookalikes.index") == set()


def test_up_and_sideways_are_breaches() -> None:
    for here, room in (("arrays", "index"), ("seeds", "native"), ("metrics", "layout")):
        assert not may_import(here, room)
    assert may_import("engines", "engines")
    assert may_import("layout", "metrics")


def test_only_native_imports_the_compiled_module() -> None:
    importers = {room_of(path) for path in MODULES if "_core" in imported_rooms(path.read_text())}
    assert importers == {"native"}


def test_the_faces_are_thin_enough_to_be_imported_by_nobody() -> None:
    for path in MODULES:
        if room_of(path) not in ("__main__", "cli", "commands", "web"):
            assert not imported_rooms(path.read_text()) & {"cli", "commands", "web"}
