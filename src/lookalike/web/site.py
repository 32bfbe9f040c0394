"""A site: what is served, and what its requests share."""

from __future__ import annotations

from lookalike.errors import NotSupported
from lookalike.web.album import AlbumCollection
from lookalike.web.digits import DigitsCollection
from lookalike.web.limits import LIMITS, Limits
from lookalike.web.work import Work

__all__ = ["Site"]


class Site:
    """What is served, and what its requests share.

    Parameters
    ----------
    collection : AlbumCollection or DigitsCollection
    limits : Limits
    """

    def __init__(
        self, collection: AlbumCollection | DigitsCollection, limits: Limits = LIMITS
    ) -> None:
        self.collection = collection
        self.limits = limits
        self.work = Work(limits)

    @property
    def album(self) -> AlbumCollection:
        """The album.

        Raises
        ------
        NotSupported
            When the digits are served.
        """
        if not isinstance(self.collection, AlbumCollection):
            raise NotSupported(
                "this can be asked of an album; the digits are served here. Start: lookalike serve "
                "DIR"
            )
        return self.collection

    @property
    def digits(self) -> DigitsCollection:
        """The digits of the lab.

        Raises
        ------
        NotSupported
            When an album is served.
        """
        if not isinstance(self.collection, DigitsCollection):
            raise NotSupported(
                "this can be asked of the lab; an album is served here. Start: lookalike serve"
            )
        return self.collection

    def close(self) -> None:
        """End everything."""
        self.work.close()
        self.collection.close()
