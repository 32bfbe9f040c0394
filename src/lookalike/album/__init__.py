"""A folder of pictures: what looks like this one, and what is there twice."""

from __future__ import annotations

from lookalike.album.album import Album, is_album

__all__ = ["Album", "is_album"]
