"""What a page is asked for, as the address bar holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from lookalike.web.collection import Query
from lookalike.web.site import Site

__all__ = ["LAST", "NUMBERS", "Asked", "asked_of", "whole_number"]

NUMBERS = (12, 24, 48, 96)  # of results, that one may choose from
_USUAL = 24
LAST = 10**9  # place in a list that may be asked for
_MOST_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Asked:
    """What a page is asked for.

    Attributes
    ----------
    id, upload : str or None
        A picture of the collection, or one that was uploaded; neither when nothing is searched.
    k : int
        Results.
    encoder : str or None
        All unless given.
    flips, rotations : bool
    first : int
        Number of the first picture to begin from that is offered.
    """

    id: str | None = None
    upload: str | None = None
    k: int = _USUAL
    encoder: str | None = None
    flips: bool = False
    rotations: bool = False
    first: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing is searched."""
        return self.id is None and self.upload is None

    @property
    def line(self) -> str:
        """The query string that says the same, without a question mark."""
        values = {
            "id": self.id,
            "upload": self.upload,
            "k": self.k if self.k != _USUAL else None,
            "encoder": self.encoder,
            "flips": int(self.flips) or None,
            "rotations": int(self.rotations) or None,
            "first": self.first or None,
        }
        return urlencode({name: value for name, value in values.items() if value is not None})

    def address(self, path: str = "/", **changed: Any) -> str:
        """The address of a page that is asked for this, with some changes."""
        line = replace(self, **changed).line
        return f"{path}?{line}" if line else path

    def from_picture(self, id: str) -> str:
        """The address of the same search from a picture of the collection."""
        return self.address(id=id, upload=None, first=0)

    def query(self, site: Site) -> Query:
        """The search itself.

        Raises
        ------
        Unknown
            When the picture that was uploaded is not kept any more.
        """
        return Query(
            id=self.id,
            picture=None if self.upload is None else site.kept.get(self.upload),
            k=self.k,
            encoder=self.encoder,
            flips=self.flips,
            rotations=self.rotations,
        )


def asked_of(values: Mapping[str, str], site: Site) -> Asked:
    """What an address asks for; what makes no sense in it is as if it were not there."""
    encoder = values.get("encoder")
    upload = values.get("upload") or None
    return Asked(
        id=None if upload else values.get("id") or None,
        upload=upload,
        k=whole_number(values.get("k", ""), _USUAL, 1, site.limits.k),
        encoder=encoder if encoder in site.collection.encoders else None,
        flips=values.get("flips") == "1",
        rotations=values.get("rotations") == "1",
        first=whole_number(values.get("first", ""), 0, 0, LAST),
    )


def whole_number(text: str, usual: int, least: int, largest: int) -> int:
    """A whole number of an address, which may hold anything: the nearest there is, or the usual."""
    is_number = text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
    return min(max(int(text), least), largest) if is_number else usual
