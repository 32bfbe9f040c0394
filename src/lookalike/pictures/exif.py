"""What EXIF says of a picture: how it is turned, and when it was taken. A broken one says nothing.

EXIF comes with the picture, and is as hostile.
"""

from __future__ import annotations

import contextlib
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lookalike.pictures.pillow import pillow

if TYPE_CHECKING:
    from PIL.Image import Image, Transpose

__all__ = ["exif_of", "swaps", "taken", "turn_of"]

_ORIENTATION, _EXIF, _TAKEN = 0x0112, 0x8769, 0x9003  # tags


def exif_of(image: Image) -> Any:
    """EXIF of a picture that is decoded: some formats have it at their end."""
    with contextlib.suppress(Exception):
        return image.getexif()
    return {}


def turn_of(exif: Any) -> Transpose | None:
    """What turns a picture upright; None when it is, or nothing sensible is said.

    Notes
    -----
    The pictures of TIFF, HEIF are upright when they are decoded, and their EXIF says so then.
    """
    turn = pillow().Transpose
    turns = {
        2: turn.FLIP_LEFT_RIGHT,
        3: turn.ROTATE_180,
        4: turn.FLIP_TOP_BOTTOM,
        5: turn.TRANSPOSE,
        6: turn.ROTATE_270,
        7: turn.TRANSVERSE,
        8: turn.ROTATE_90,
    }
    with contextlib.suppress(Exception):
        said = exif.get(_ORIENTATION)
        return turns.get(said) if isinstance(said, int) else None
    return None


def swaps(turn: Transpose | None) -> bool:
    """Whether it exchanges width and height."""
    kinds = pillow().Transpose
    return turn in (kinds.TRANSPOSE, kinds.ROTATE_270, kinds.TRANSVERSE, kinds.ROTATE_90)


def taken(exif: Any) -> str | None:
    """When a picture was taken, as "YYYY-MM-DDTHH:MM:SS" of the camera's clock."""
    with contextlib.suppress(Exception):
        text = str(exif.get_ifd(_EXIF)[_TAKEN]).strip("\0 ")
        return datetime.strptime(text, "%Y:%m:%d %H:%M:%S").isoformat()
    return None
