"""The lab as a student meets it: the folder, the notebooks, the script."""

from __future__ import annotations

import io
import pickle
import re
import shutil
import subprocess
import sys
from functools import cache
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


@cache
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


@pytest.mark.parametrize(
    ("k", "there", "message"),
    [
        ("0", True, "k must be a whole number of at least 1; got 0. Give k as an int."),
        ("20", False, "Change to the lab folder, or write one with: lookalike lab DIR"),
    ],
)
def test_the_script_ends_with_a_message_and_no_traceback(
    folder: Path, tmp_path: Path, k: str, there: bool, message: str
) -> None:
    shutil.copy(folder / "lsh.py", tmp_path)
    done = subprocess.run(
        [sys.executable, "lsh.py", "-k", k],
        cwd=folder if there else tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert re.fullmatch(rf"lsh\.py: .*{re.escape(message)}\n", done.stderr)


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


def _archive(images: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, images=images)
    return file.getvalue()


def _saved(images: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, images)
    return file.getvalue()


_IMAGES = datasets.digits().images
_WHOLE = _saved(_IMAGES)
_NOT_AN_ARRAY = "must be a plain NumPy array of numbers; got a file that cannot be loaded as one"
_TOO_FEW = "must hold at least 1500 images, shape (n, 8, 8); got"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(None, "it expected the digits there and found no such file", id="missing"),
        pytest.param(b"", _NOT_AN_ARRAY, id="empty"),
        pytest.param(_WHOLE[:40], _NOT_AN_ARRAY, id="truncated in its header"),
        pytest.param(_WHOLE[:1000], _NOT_AN_ARRAY, id="truncated"),
        pytest.param(_WHOLE[:-1], _NOT_AN_ARRAY, id="one byte short"),
        pytest.param(b"not an array", _NOT_AN_ARRAY, id="text"),
        pytest.param(pickle.dumps(_Bomb()), _NOT_AN_ARRAY, id="pickled"),
        pytest.param(_WHOLE[:10] + b"{" * 118, _NOT_AN_ARRAY, id="header that never ends"),
        pytest.param(
            _WHOLE.replace(b"(1797, 8, 8), }     ", b"(%d, 8, 8), } " % 10**9, 1),
            _NOT_AN_ARRAY,
            id="more than memory holds",
        ),
        pytest.param(_archive(_IMAGES)[:2000], _NOT_AN_ARRAY, id="truncated archive"),
        pytest.param(_archive(_IMAGES), f"{_TOO_FEW} NpzFile", id="archive"),
        pytest.param(_saved(_IMAGES.reshape(-1, 64)), f"{_TOO_FEW} shape (1797, 64)", id="flat"),
        pytest.param(_saved(_IMAGES[:1499]), f"{_TOO_FEW} shape (1499, 8, 8)", id="too few"),
    ],
)
def test_damaged_images_are_refused_and_never_unpickled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / "images.npy").write_bytes(content)
    pattern = rf"^lsh reads images\.npy.*{re.escape(message)}.* with: lookalike lab DIR$"
    with pytest.raises(UnreadableFile, match=pattern):
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
