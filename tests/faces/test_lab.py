"""The lab as a student meets it: the folder, the notebooks, the script."""

from __future__ import annotations

import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from lookalike import datasets
from lookalike.errors import UnreadableFile, WouldOverwrite
from lookalike.lab.folder import write_lab
from lookalike.lab.lsh import lsh

COURSE_NOTEBOOK = Path(__file__).parent / "data" / "session9.ipynb"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lab") / "new"
    write_lab(path)
    return path


def run_notebook(path: Path) -> str:
    """Execute a notebook in its own folder; return everything it printed."""
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": path.parent}}
    )
    client.execute()
    return "".join(
        output.get("text", "")
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output["output_type"] == "stream"
    )


def test_the_folder_holds_all_that_a_student_needs(folder: Path) -> None:
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["handout.md", "images.npy", "lsh.py", "session.ipynb", "solutions.ipynb"]
    images = np.load(folder / "images.npy", allow_pickle=False)
    assert images.dtype == np.float64
    assert (images == datasets.digits().images).all()


def test_the_course_notebook_runs_unchanged(folder: Path, tmp_path: Path) -> None:
    for name in ("lsh.py", "images.npy"):
        shutil.copy(folder / name, tmp_path)
    shutil.copy(COURSE_NOTEBOOK, tmp_path)
    printed = run_notebook(tmp_path / COURSE_NOTEBOOK.name)
    counts = re.findall(r"there are +(\d+) candidates for image +1\n", printed)
    assert len(counts) == 4
    me = _lsh_in(folder, 40, 15)
    assert int(counts[3]) == len(me.candidates(me.data[1501]))


@pytest.mark.parametrize("name", ["session.ipynb", "solutions.ipynb"])
def test_our_notebooks_run(folder: Path, name: str) -> None:
    assert run_notebook(folder / name)


def test_the_worked_tasks_state_what_they_measure(folder: Path) -> None:
    printed = run_notebook(folder / "solutions.ipynb")
    assert "seed 12345 gives 128" in printed
    assert "mean distance of the true nearest: 79.7" in printed


def test_the_script_prints_ten_lines_of_candidates(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "lsh.py", "-k", "20", "-m", "5"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert lines[0] == "k = 20, m = 5"
    assert lines[1] == "there are  130 candidates for image 1500"
    assert [line.split()[-1] for line in lines[1:11]] == [str(n) for n in range(1500, 1510)]
    assert lines[11].startswith("elapsed time: ")
    assert len(lines) == 12


def test_the_command_writes_the_folder_and_says_so(tmp_path: Path) -> None:
    done = _lookalike("lab", str(tmp_path / "x"))
    assert done.returncode == 0
    assert "lsh.py" in done.stdout
    assert (tmp_path / "x" / "handout.md").exists()


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_nothing_is_ever_overwritten(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "there"
    if kind == "folder":
        target.mkdir()
        (target / "lsh.py").write_text("mine")
    else:
        target.write_text("mine")
    with pytest.raises(WouldOverwrite, match=r"must be new or empty; got .* nothing was written"):
        write_lab(target)
    done = _lookalike("lab", str(target))
    assert done.returncode == 1
    assert "nothing was written" in done.stderr
    kept = target / "lsh.py" if kind == "folder" else target
    assert kept.read_text() == "mine"
    assert len(list(tmp_path.rglob("*"))) == (2 if kind == "folder" else 1)


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    assert len(write_lab(tmp_path)) == 5


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("executed"),))  # type: ignore[return-value]


@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "text", "pickled", "flat"])
def test_damaged_images_are_refused_and_never_unpickled(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.chdir(tmp_path)
    whole = (folder / "images.npy").read_bytes()
    path = tmp_path / "images.npy"
    if damage == "empty":
        path.write_bytes(b"")
    elif damage == "truncated":
        path.write_bytes(whole[:1000])
    elif damage == "text":
        path.write_text("not an array")
    elif damage == "pickled":
        path.write_bytes(pickle.dumps(_Bomb()))
    elif damage == "flat":
        np.save(path, np.zeros((1797, 64)))
    with pytest.raises(UnreadableFile, match=r"images\.npy.*with: lookalike lab DIR"):
        lsh(1, 1)
    assert not (tmp_path / "executed").exists()


def test_an_object_array_is_never_unpickled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("images.npy", np.array([[[_Bomb()]]], dtype=object), allow_pickle=True)
    with pytest.raises(UnreadableFile, match="plain NumPy array"):
        lsh(1, 1)
    assert not (tmp_path / "executed").exists()


def _lsh_in(folder: Path, k: int, m: int) -> lsh:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return lsh(k, m)


def _lookalike(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lookalike", *arguments], capture_output=True, text=True
    )
