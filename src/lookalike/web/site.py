"""A site: what is served, and what its requests share."""

from __future__ import annotations

import threading

from lookalike.errors import NotSupported
from lookalike.web.album import AlbumCollection
from lookalike.web.digits import DigitsCollection
from lookalike.web.kept import Kept
from lookalike.web.lab import Lab
from lookalike.web.limits import LIMITS, Limits
from lookalike.web.metrics import Metrics
from lookalike.web.review import Review
from lookalike.web.syncing import Syncing
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
        self.kept = Kept()
        self.metrics = Metrics(self)
        self._lab: Lab | None = None
        self._making_lab = threading.Lock()
        self._review = Review(collection.album) if isinstance(collection, AlbumCollection) else None
        self._syncing = (
            Syncing(collection.album) if isinstance(collection, AlbumCollection) else None
        )

    @property
    def album(self) -> AlbumCollection:
        """The album.

        Raises
        ------
        NotSupported
            When the digits are served.
        """
        if not isinstance(self.collection, AlbumCollection):
            raise _not_an_album()
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

    @property
    def lab(self) -> Lab:
        """Hash tables over the digits. The first time takes as long as a search of all of them.

        Raises
        ------
        NotSupported
            When an album is served.
        """
        with self._making_lab:
            if self._lab is None:
                self._lab = Lab(self.digits.images, self.digits.labels)
            return self._lab

    @property
    def review(self) -> Review:
        """The review of the album's duplicates.

        Raises
        ------
        NotSupported
            When the digits are served.
        """
        if self._review is None:
            raise _not_an_album()
        return self._review

    @property
    def syncing(self) -> Syncing:
        """The sync of the album.

        Raises
        ------
        NotSupported
            When the digits are served.
        """
        if self._syncing is None:
            raise _not_an_album()
        return self._syncing

    def end_news(self) -> None:
        """Let those who wait for news go, and move no more files: the server is about to end."""
        if self._syncing is not None:
            self._syncing.end_news()
        if self._review is not None:
            self._review.moving.end()

    def close(self) -> None:
        """End everything."""
        if self._syncing is not None:
            self._syncing.close()
        if self._review is not None:
            self._review.moving.close()
        self.work.close()
        self.collection.close()


def _not_an_album() -> NotSupported:
    return NotSupported(
        "this can be asked of an album; the digits are served here. Start: lookalike serve DIR"
    )
