"""A picture that an album is asked about: one of its files, another file, bytes, or pixels."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import xxhash

from lookalike.album.catalog import File, shown
from lookalike.errors import UnreadableImage
from lookalike.pictures.read import Pixels, read_picture

__all__ = ["Asked", "PictureLike"]

_NOWHERE = ", here or in the album"

PictureLike = str | os.PathLike[str] | bytes | npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A picture that an album is asked about.

    Attributes
    ----------
    picture : path, bytes or ndarray
        As it was given.
    root : Path
        Of the album.
    file : File or None
        What the catalogue knows of it, if it is one of the album.
    """

    picture: PictureLike
    root: Path
    file: File | None

    @property
    def path(self) -> Path | None:
        """Where it is; None for what is in memory."""
        if self.file is not None:
            return self.root / shown(self.file.name.path)
        return Path(self.picture) if isinstance(self.picture, str | os.PathLike) else None

    def pixels(self) -> Pixels:
        """Upright, and shrunk as encoders want it."""
        source = self.path
        try:
            return read_picture(self.picture if source is None else source).pixels
        except UnreadableImage as error:
            if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
                gone = "there is no such file" + (" any more" if self.file else _NOWHERE)
                raise UnreadableImage(str(source), gone, "Check the path.") from error
            raise

    def digest(self) -> str:
        """Of its bytes, or of its pixels."""
        if self.path is not None:
            return xxhash.xxh3_128_hexdigest(self.path.read_bytes())
        if isinstance(self.picture, bytes):
            return xxhash.xxh3_128_hexdigest(self.picture)
        return xxhash.xxh3_128_hexdigest(np.asarray(self.picture).tobytes())

    def __str__(self) -> str:
        if isinstance(self.picture, str | os.PathLike):
            return os.fspath(self.picture)
        if isinstance(self.picture, bytes):
            return f"a picture of {len(self.picture):,} bytes"
        return f"pixels of shape {np.shape(self.picture)}"
