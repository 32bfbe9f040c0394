"""Real images that one command installs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike.errors import MissingExtra

__all__ = ["LabelledImages", "digits"]


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImages:
    """A set of images of one shape, and what each shows.

    Attributes
    ----------
    name : str
    images : ndarray, shape (n, height, width)
        Grey values, 0 to ``value_range``.
    labels : ndarray of int64, shape (n,)
    value_range : int
        The largest grey value that can occur: the ``value_range`` of an index over them.
    """

    name: str
    images: npt.NDArray[Any] = field(repr=False)
    labels: npt.NDArray[np.int64] = field(repr=False)
    value_range: int

    def __len__(self) -> int:
        return len(self.images)


def digits() -> LabelledImages:
    """Return 1,797 handwritten digits of 8 x 8 pixels.

    Returns
    -------
    LabelledImages
        ``images`` float64 of shape (1797, 8, 8), whole numbers from 0 to 16; ``labels`` the
        digit that was written, 0 to 9.

    Raises
    ------
    MissingExtra
        When scikit-learn, which carries the data in its package, is not installed.

    Notes
    -----
    The test set of Alpaydin and Kaynak, "Optical recognition of handwritten digits", UCI
    machine learning repository, 1998: one pixel counts the ink in a block of 4 x 4.

    Examples
    --------
    >>> digits().images.shape
    (1797, 8, 8)
    """
    try:
        from sklearn.datasets import load_digits  # type: ignore[import-untyped,unused-ignore] # noqa: PLC0415
    except ImportError:
        raise MissingExtra("the digits data set", "scikit-learn", "lab") from None
    loaded = load_digits()
    return LabelledImages(
        name="digits",
        images=np.asarray(loaded.images, np.float64),
        labels=np.asarray(loaded.target, np.int64),
        value_range=16,
    )
