"""What the tests of albums share: pictures made on the spot, and what an album answers."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("PIL", reason="needs the extra pictures")
pytest.importorskip("pdqhash", reason="needs the extra pictures")

from PIL import Image

from lookalike.album import Album

Pixels = npt.NDArray[np.uint8]
ENCODERS = ("pdq", "phash")


def scene(seed: int, width: int = 160, height: int = 120) -> Pixels:
    """A picture like no other: discs of all colours, one over the other."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / height
    pixels = np.full((height, width, 3), 128, np.uint8)
    for _ in range(40):
        at_x, at_y, size = random.uniform(0, 1.33), random.uniform(0, 1), random.uniform(0.05, 0.25)
        pixels[np.hypot(x - at_x, y - at_y) < size] = random.integers(0, 256, 3)
    return pixels


def jpeg(pixels: Pixels, quality: int = 90, **options: Any) -> bytes:
    """The bytes of a JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, **options)
    return buffer.getvalue()


def put(path: Path | str, pixels: Pixels, quality: int = 90, **options: Any) -> Path:
    """Write a JPEG file."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(jpeg(pixels, quality, **options))
    return path


def album_of(folder: Path, **options: Any) -> Album:
    """An album with the encoders that every installation has."""
    return Album(folder, encoders=ENCODERS, **options)


def synced(folder: Path, **options: Any) -> Album:
    """An album in step with its folder, read by one process."""
    album = album_of(folder)
    album.sync(workers=1, **options)
    return album


def answers(album: Album, k: int = 6) -> dict[str, Any]:
    """Everything that an album says: its files, what is near to each, its duplicates."""
    catalog = album.catalog
    files = {
        file.name.path: file
        for folder in catalog.folders()
        for file in catalog.files_in(folder).values()
    }
    said: dict[str, Any] = {"troubles": catalog.troubles(), "count": catalog.count()}
    for path, file in sorted(files.items()):
        content = None if file.content is None else catalog.content(file.content)
        said[os.fsdecode(path)] = content
        if content is not None and content.reason is None:
            found = album.search(os.fsdecode(path), k)
            said[f"near {os.fsdecode(path)}"] = [match.to_dict() for match in found]
    for level in ("exact", "near", "similar"):
        said[level] = [group.to_dict() for group in album.duplicates(level)]
    for encoder in album.encoders:
        index = album.index(encoder)
        assert index.ids.tolist() == [] or set(index.ids.tolist()) >= set(
            catalog.ids_with(encoder).tolist()
        )
    return said


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with five pictures, two of them alike."""
    folder = tmp_path / "photos"
    for number in range(4):
        put(folder / f"{number}.jpg", scene(number))
    put(folder / "trip" / "0 small.jpg", scene(0)[::2, ::2], 70)
    return folder
