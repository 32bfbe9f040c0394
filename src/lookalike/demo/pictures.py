"""A small album: photographs that packages bring along, and edits of them made on the spot."""

from __future__ import annotations

import importlib.util
import io
import os
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from lookalike.demo.edits import edited
from lookalike.errors import MissingExtra, WouldOverwrite

__all__ = ["write_pictures"]

_PHOTOGRAPHS = (
    ("sklearn", "datasets/images/china.jpg", "lab"),
    ("sklearn", "datasets/images/flower.jpg", "lab"),
    ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg", "plots"),
)
_EXIF, _TAKEN = 0x8769, 0x9003  # tags
_PARTS = 3  # of a photograph, across and down, that are pictures of their own
_EDITED = {  # folder, edit: made of each photograph
    "phone": "half the size",
    "sent": "JPEG quality 50",
    "old": "greyscale",
    "prints": "with a border",
    "posts": "text across",
    "square": "cropped by 15 %",
    "mirror": "mirrored",
}


def _photographs() -> Iterator[tuple[str, Image.Image]]:
    """The photographs, with names.

    Raises
    ------
    MissingExtra
        When the packages that bring them along are not installed.
    """
    for package, place, extra in _PHOTOGRAPHS:
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise MissingExtra("a demonstration with photographs", package, extra)
        path = Path(spec.origin).parent / place
        if path.is_file():
            yield path.stem, Image.open(path).convert("RGB")


def write_pictures(folder: str | os.PathLike[str]) -> int:
    """Write an album of photographs, parts of them, edits, a copy, and a damaged file.

    Parameters
    ----------
    folder : path
        That is not there yet, or empty.

    Returns
    -------
    int
        How many files were written.

    Raises
    ------
    WouldOverwrite
        When something is in the folder.
    """
    root = Path(folder)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise WouldOverwrite(
            f"pictures must be written to a folder that is not there yet, or empty; got {root}, "
            "where there is something. Choose another."
        )
    written = 0
    for name, picture in _photographs():
        data = _from_a_camera(picture, written)
        files = {f"camera/{name}.jpg": data, f"backup/{name}.jpg": data}
        for own, edit in _EDITED.items():
            files[f"{own}/{name}.jpg"], _ = edited(picture, edit)
        for number, part in enumerate(_parts(picture)):
            files[f"camera/{name} {number}.jpg"], _ = edited(part, "twice the size")
        if not written:
            files["camera/damaged.jpg"] = data[: len(data) // 3]
        for own, content in files.items():
            path = root / own
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        written += len(files)
    return written


def _from_a_camera(picture: Image.Image, hour: int) -> bytes:
    """With the date that a camera writes, and that most edits lose."""
    exif = Image.Exif()
    exif.get_ifd(_EXIF)[_TAKEN] = f"2019:05:17 {hour % 24:02}:30:00"
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85, exif=exif)
    return buffer.getvalue()


def _parts(picture: Image.Image) -> Iterator[Image.Image]:
    """Disjoint parts: pictures that have nothing in common but their style."""
    width, height = picture.width // _PARTS, picture.height // _PARTS
    for number in range(_PARTS * _PARTS):
        left, top = number % _PARTS * width, number // _PARTS * height
        yield picture.crop((left, top, left + width, top + height))
