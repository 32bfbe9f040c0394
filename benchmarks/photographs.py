"""Photographs whose edits are known: tiles of pictures that packages bring along."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from lookalike.demo.edits import EDITS, edited

__all__ = ["EDITS", "sources", "write_album"]

TILE = (128, 96)  # of the originals; enlarged, as photographs have more pixels than detail
ENLARGED = 4
LEAST_DEVIATION = 14  # of grey values: what is flatter shows nothing
_ALIKE = {"motorcycle_right.png", "chessboard_RGB.png", "logo.png", "phantom.png", "color.png"}
_PLACES = (
    ("skimage", "data"),
    ("sklearn", "datasets/images"),
    ("matplotlib", "mpl-data/sample_data"),
)


def sources() -> Iterator[tuple[str, Image.Image]]:
    """Pictures that are unlike each other, with names; the same ones in the same order."""
    for package, folder in _PLACES:
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            continue
        for path in sorted((Path(spec.origin).parent / folder).iterdir()):
            if path.suffix in (".png", ".jpg") and path.name not in _ALIKE:
                yield from _tiles(path)


def _tiles(path: Path) -> Iterator[tuple[str, Image.Image]]:
    """Disjoint tiles of a picture that show something."""
    picture = Image.open(path).convert("RGB")
    for top in range(0, picture.height - TILE[1] + 1, TILE[1]):
        for left in range(0, picture.width - TILE[0] + 1, TILE[0]):
            tile = picture.crop((left, top, left + TILE[0], top + TILE[1]))
            if np.asarray(tile.convert("L"), np.float64).std() >= LEAST_DEVIATION:
                size = TILE[0] * ENLARGED, TILE[1] * ENLARGED
                yield f"{path.stem} {left} {top}", tile.resize(size, Image.Resampling.BICUBIC)


def write_album(folder: Path) -> int:
    """Write all sources with all their edits, as ``source/edit``; how many files it are."""
    written = 0
    for name, picture in sources():
        own = folder / name
        own.mkdir(parents=True, exist_ok=True)
        picture.save(own / "original.png")
        for edit in EDITS:
            data, ending = edited(picture, edit)
            (own / f"{edit.replace('/', ' ')}.{ending}").write_bytes(data)
        written += 1 + len(EDITS)
    return written
