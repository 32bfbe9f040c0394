"""Kernel files stand alone, and say what they need."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import lookalike

CPP = Path(__file__).parents[2] / "cpp"
KERNELS = sorted(CPP.glob("kernels_*.cpp"))
ALLOWED = {"<immintrin.h>", "<arm_neon.h>", '"kernels.h"'}


def includes(text: str) -> set[str]:
    """What a file includes, except where it is compiled for emulation only."""
    found, guards = set(), []
    for line in text.splitlines():
        words = line.replace("# ", "#").split()
        if not words or not words[0].startswith("#"):
            continue
        if words[0] in ("#if", "#ifdef", "#ifndef"):
            guards.append(words[:2] == ["#ifdef", "LOOKALIKE_EMULATE"])
        elif words[0] in ("#else", "#elif"):
            guards[-1] = False
        elif words[0] == "#endif":
            guards.pop()
        elif words[0] == "#include" and not any(guards):
            found.add(words[1])
    return found


@pytest.mark.parametrize("path", KERNELS, ids=lambda path: path.name)
def test_kernel_files_include_no_library_header(path: Path) -> None:
    """An inline library function compiled with a level's flags might serve the whole library."""
    others = {f'"{other.name}"' for other in KERNELS if other != path}
    found = includes(path.read_text())
    assert found <= ALLOWED | others
    assert found & {'"kernels.h"', *others}


def test_only_a_guard_for_emulation_lifts_the_rule() -> None:
    guarded = '#ifdef LOOKALIKE_EMULATE\n#include "a.h"\n#else\n#include "b.h"\n#endif\n'
    assert includes(guarded) == {'"b.h"'}
    assert includes('#ifdef OTHER\n#include "a.h"\n#endif') == {'"a.h"'}
    assert includes('#ifndef LOOKALIKE_EMULATE\n# include "a.h"\n#endif') == {'"a.h"'}


@pytest.mark.parametrize("path", KERNELS, ids=lambda path: path.name)
def test_kernel_files_say_what_they_are_for(path: Path) -> None:
    head = path.read_text().splitlines()[1:4]
    assert [line.split(":")[0] for line in head] == ["// level", "// processors", "// flags"]
    level, processors, flags = (line.split(":", 1)[1].split() for line in head)
    assert level == [path.stem.removeprefix("kernels_")]
    assert processors
    assert all(re.fullmatch(r"-[mW][a-z0-9=-]+", flag) for flag in flags)
    assert "-march=native" not in flags


def test_every_level_of_this_build_has_its_kernel_file() -> None:
    assert set(lookalike.cpu_levels()) <= {path.stem.removeprefix("kernels_") for path in KERNELS}
