"""Digests: xxh3-128, which finds damage; it is no signature, and keeps no one from forging."""

from __future__ import annotations

from typing import Protocol

__all__ = ["DIGITS", "Hasher", "hasher"]

DIGITS = 32  # hexadecimal, of a digest


class Hasher(Protocol):
    """Digests what it is given, piece by piece."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Go on with these bytes."""

    def hexdigest(self) -> str:
        """Of all bytes so far."""


def hasher(data: bytes | memoryview = b"") -> Hasher:
    """A hasher that has seen these bytes."""
    from xxhash import xxh3_128  # noqa: PLC0415  # importing lookalike loads NumPy alone

    return xxh3_128(data)
