"""What the documents name exists, and what they show runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main

from lookalike.cli import app

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    + list((ROOT / "docs").rglob("*.md"))
)
FENCED = re.compile(r"^```\w*\n(.*?)^```", re.DOTALL | re.MULTILINE)


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


def targets_of(text: str) -> list[str]:
    """Relative links and pictures, in Markdown and in HTML, without their anchors."""
    found = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"(?:src|href)=\"([^\"]+)\"", text)
    outside = ("http://", "https://", "mailto:", "#")
    return [target.split("#")[0] for target in found if not target.startswith(outside)]


def words_after(program: str, text: str) -> set[str]:
    """What follows a program where it is shown as code: inline, or at the start of a line."""
    inline = re.findall(rf"`{program} ([a-z]+)[`\s]", FENCED.sub("", text))
    blocks = "".join(FENCED.findall(text))
    return {*inline, *re.findall(rf"^(?:\$ )?{program} ([a-z]+)", blocks, re.MULTILINE)}


def test_links_words_and_programs_are_found_in_a_text() -> None:
    text = (
        "`make one` [a](b.md#c) ![p](q.png) [w](https://x) [h](#i) make two\n"
        '```sh\nmake three  # x\n$ make four\n```\n<img src="r.png">\n'
    )
    assert words_after("make", text) == {"one", "three", "four"}
    assert targets_of(text) == ["b.md", "q.png", "r.png"]


@pytest.mark.parametrize("path", DOCUMENTS, ids=ids)
def test_links_and_pictures_lead_somewhere(path: Path) -> None:
    for target in targets_of(path.read_text()):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=ids)
def test_make_targets_exist(path: Path) -> None:
    known = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert words_after("make", path.read_text()) <= known


@pytest.mark.parametrize("path", DOCUMENTS, ids=ids)
def test_commands_exist(path: Path) -> None:
    group = typer.main.get_command(app)
    known = set(getattr(group, "commands"))  # noqa: B009
    assert words_after("lookalike", path.read_text()) <= known


@pytest.mark.parametrize(
    "path",
    [
        ROOT / "README.md",
        ROOT / "docs" / "concepts.md",
        ROOT / "docs" / "format.md",
        ROOT / "docs" / "living-index.md",
        ROOT / "docs" / "on-disk.md",
        ROOT / "docs" / "promises.md",
    ],
    ids=ids,
)
def test_python_examples_run(path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, str(path), "exec"), {})
