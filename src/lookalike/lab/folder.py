"""The lab folder: everything a student needs, written in one go."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from lookalike import datasets
from lookalike.errors import WouldOverwrite

__all__ = ["write_lab"]

_HERE = Path(__file__).parent
_FILES = ("handout.md", "session.ipynb", "solutions.ipynb")


def write_lab(folder: Path) -> list[Path]:
    """Write a ready lab folder.

    Parameters
    ----------
    folder : Path
        A folder that does not exist yet, or is empty.

    Returns
    -------
    list of Path
        What was written: ``lsh.py``, ``images.npy``, the session's notebook, the handout and
        the worked tasks.

    Raises
    ------
    WouldOverwrite
        When the folder holds anything, or is a file. Nothing was written.
    MissingExtra
        When scikit-learn, which has the digits, is not installed.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        kind = "a folder that is not empty" if folder.is_dir() else "a file"
        raise WouldOverwrite(
            f"a lab folder must be new or empty; got {folder}, which is {kind}. Choose another "
            "name; nothing was written."
        )
    images = datasets.digits().images
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "images.npy", images)
    # The whole module and not an import of it: students read how the class works.
    shutil.copyfile(_HERE / "lsh.py", folder / "lsh.py")
    for name in _FILES:
        shutil.copyfile(_HERE / "course" / name, folder / name)
    return sorted(folder.iterdir())
