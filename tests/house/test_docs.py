"""What the documents name exists, and what they show runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    + list((ROOT / "docs").rglob("*.md"))
)


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", DOCUMENTS, ids=ids)
def test_links_and_pictures_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if not target.startswith(("http://", "https://", "#", "mailto:")):
            assert (path.parent / target.split("#")[0]).exists(), target


@pytest.mark.parametrize("path", DOCUMENTS, ids=ids)
def test_make_targets_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for target in re.findall(r"`make ([a-z]+)[`\s]", path.read_text()):
        assert target in targets


@pytest.mark.parametrize("path", DOCUMENTS, ids=ids)
def test_commands_exist(path: Path) -> None:
    named = set(re.findall(r"`lookalike ([a-z]+)[`\s]", path.read_text()))
    for command in named:
        done = subprocess.run(
            [sys.executable, "-m", "lookalike", command, "--help"], capture_output=True, text=True
        )
        assert done.returncode == 0, f"lookalike {command}: {done.stderr}"


@pytest.mark.parametrize("path", [ROOT / "README.md", ROOT / "docs" / "concepts.md"], ids=ids)
def test_python_examples_run(path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, str(path), "exec"), {})
