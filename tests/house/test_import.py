import json
import subprocess
import sys

PROGRAM = """
import json, sys
before = set(sys.modules)
import {module}
print(json.dumps(sorted({{name.split(".")[0] for name in set(sys.modules) - before}})))
"""


def loaded_by(module: str) -> set[str]:
    """Top-level packages outside the standard library that an import loads."""
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(module=module)],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(run.stdout)) - sys.stdlib_module_names


def test_importing_lookalike_loads_nothing_and_its_index_nothing_but_numpy() -> None:
    assert loaded_by("lookalike") == {"lookalike"}
    assert loaded_by("lookalike.index") == {"lookalike", "numpy"}


def test_importing_the_command_line_leaves_scikit_learn_and_matplotlib_alone() -> None:
    loaded = loaded_by("lookalike.cli")
    assert {"typer", "rich"} <= loaded
    assert not loaded & {"sklearn", "scipy", "matplotlib", "PIL"}


def test_importing_the_demonstration_leaves_scikit_learn_and_matplotlib_alone() -> None:
    assert loaded_by("lookalike.demo") == {"lookalike", "numpy"}
