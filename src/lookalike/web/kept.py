"""Pictures that were uploaded, kept in memory so that an address can be opened again."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict

import xxhash

from lookalike.web.collection import Media, Unknown

__all__ = ["Kept"]

_MOST_BYTES = 256 << 20
_KINDS = {  # how the formats that browsers show begin
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF8": "image/gif",
    b"BM": "image/bmp",
}
_ANY = "application/octet-stream"


class Kept:
    """The pictures that were uploaded last.

    Parameters
    ----------
    most_bytes : int
        Of all together; who was not asked for the longest goes first.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._one_at_a_time = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def size_bytes(self) -> int:
        """Of all together."""
        return self._bytes

    def keep(self, data: bytes) -> str:
        """Keep a picture; the id by which it is asked for, which nobody can guess."""
        name = secrets.token_hex(16)
        with self._one_at_a_time:
            self._kept[name] = data
            self._bytes += len(data)
            while self._bytes > self._most_bytes and len(self._kept) > 1:
                self._bytes -= len(self._kept.popitem(last=False)[1])
        return name

    def get(self, id: str) -> bytes:
        """A picture that was kept.

        Raises
        ------
        Unknown
            When it is not kept, or not any more.
        """
        with self._one_at_a_time:
            if id not in self._kept:
                raise Unknown(
                    "an uploaded picture is kept until others need its room, or the server ends; "
                    f"got {id[:40]!r}, which is not there. Upload it again."
                )
            self._kept.move_to_end(id)
            return self._kept[id]

    def media(self, id: str) -> Media:
        """A picture as it came, for the browser that sent it: it is not decoded here."""
        data = self.get(id)
        return Media(data, _kind(data), xxhash.xxh3_64_hexdigest(data))


def _kind(data: bytes) -> str:
    """The type of a picture by its first bytes, never by what its sender says."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[4:12] in (b"ftypavif", b"ftypavis"):
        return "image/avif"
    return next((kind for start, kind in _KINDS.items() if data.startswith(start)), _ANY)
