"""What one request may take."""

from __future__ import annotations

from dataclasses import dataclass

from lookalike.pictures.read import LIMITS as PICTURE_LIMITS
from lookalike.pictures.read import Limits as PictureLimits

__all__ = ["LIMITS", "Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may take.

    Attributes
    ----------
    body_bytes : int
        Of any request; pictures are the largest.
    body_s : float
        From the first byte of a request to its last: a slow client holds no place.
    k : int
        Results of a search.
    page : int
        Entries of a page of a list.
    waiting : int
        Requests that are answered or wait for it; others are told to come later.
    seconds : float
        Of a search, and of reading a picture.
    picture : Limits
        What a picture may have: the same as in an album.
    """

    body_bytes: int = 64 << 20
    body_s: float = 30.0
    k: int = 1_000
    page: int = 200
    waiting: int = 256
    seconds: float = 30.0
    picture: PictureLimits = PICTURE_LIMITS


LIMITS = Limits()
