"""Pictures that somebody has uploaded: read in a process of their own, under an album's caps.

A picture that crashes its decoder, hangs it or takes all memory costs itself and that process.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

from lookalike.errors import UnreadableImage
from lookalike.pictures.jobs import Job, Outcome
from lookalike.pictures.pool import Pool
from lookalike.web.limits import Limits

__all__ = ["Uploads"]

_WHAT = "the picture that was uploaded"


class Uploads:
    """Reads and encodes pictures that were uploaded, one at a time.

    Parameters
    ----------
    encoders : sequence of str
        As :class:`~lookalike.pictures.pool.Pool` takes them.
    limits : Limits
    """

    def __init__(self, encoders: Sequence[str], limits: Limits) -> None:
        self._encoders = tuple(encoders)
        self._limits = limits
        self._pool: Pool | None = None
        self._one_at_a_time = threading.Lock()

    def read(self, data: bytes) -> Outcome:
        """What each encoder makes of a picture.

        Raises
        ------
        UnreadableImage
            When it cannot be read, with the reason.
        """
        with self._one_at_a_time, tempfile.TemporaryDirectory(prefix="lookalike-") as folder:
            path = Path(folder) / "upload"
            path.write_bytes(data)  # only we may enter the folder
            if self._pool is None:
                self._pool = Pool(
                    self._encoders,
                    workers=1,
                    timeout_s=self._limits.seconds,
                    limits=self._limits.picture,
                )
            (outcome,) = self._pool.outcomes([Job(path)])
        if outcome.status != "encoded":
            raise UnreadableImage(_WHAT, f"reading it failed: {outcome.reason or outcome.status}")
        return outcome

    def close(self) -> None:
        """End the process."""
        with self._one_at_a_time:
            if self._pool is not None:
                self._pool.close()
            self._pool = None
