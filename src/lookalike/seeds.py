"""Seed -> independent streams of random numbers, the same everywhere and for ever.

Every random choice of the library draws from a stream named by a seed, a purpose and a
number (for instance the number of a hash table). Streams of different names are independent:
two tables never share their hash functions, however close the seeds.

The raw 64-bit output of a NumPy bit generator is guaranteed not to change between versions;
the methods of ``numpy.random.Generator`` are not. So only raw output is used here, and what is
drawn from it is defined in this file and pinned by golden values in the tests.
"""

from __future__ import annotations

import enum
import operator

import numpy as np
import numpy.typing as npt

from lookalike.errors import InvalidInput

__all__ = ["Purpose", "integers_below", "normals", "resolve_seed", "shuffled"]

_MOST = 2**128  # NumPy's SeedSequence takes more, but a seed should fit a manifest


class Purpose(enum.IntEnum):
    """What a stream is for. Numbers are part of every stored index: never renumber."""

    BIT_SAMPLING = 1
    COMPONENTS = 2
    CELLS = 3
    CALIBRATION = 4
    HYPERPLANES = 5
    LINES = 6
    SHIFTS = 7
    AXES = 8


def resolve_seed(seed: int | None) -> int:
    """Return the seed to store: the given one, or a fresh one for ``None``.

    Parameters
    ----------
    seed : int or None
        In [0, 2**128).

    Raises
    ------
    InvalidInput
        When the seed is not an integer in that range.
    """
    if seed is None:
        entropy = np.random.SeedSequence().entropy
        assert isinstance(entropy, int)
        return entropy
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if isinstance(seed, bool) or not 0 <= number < _MOST:
        raise InvalidInput(
            f"seed must be a whole number in [0, 2**128), or None to draw one; got {seed!r}. "
            "Leave it out for the default, 0."
        )
    return number


def integers_below(
    limit: int, count: int, *, seed: int, purpose: Purpose, stream: int = 0
) -> npt.NDArray[np.int64]:
    """Draw whole numbers uniformly from ``[0, limit)``, with replacement.

    Parameters
    ----------
    limit : int
        In [1, 2**32]. The bias of the method is below limit / 2**32.
    count : int
        How many to draw.
    seed, purpose, stream
        Name the stream; equal names give equal numbers on every platform.

    Returns
    -------
    ndarray of int64, shape (count,)
    """
    assert 1 <= limit <= 2**32
    raw = _words(count, seed, purpose, stream)
    # Multiply and shift (Lemire, "Fast random integer generation in an interval", 2019).
    return (((raw >> np.uint64(32)) * np.uint64(limit)) >> np.uint64(32)).astype(np.int64)


def normals(count: int, *, seed: int, purpose: Purpose, stream: int = 0) -> npt.NDArray[np.float32]:
    """Draw numbers from the normal distribution, in steps of 2**-16 and never zero.

    Parameters
    ----------
    count : int
        How many to draw.
    seed, purpose, stream
        Name the stream; equal names give equal numbers on every platform.

    Returns
    -------
    ndarray of float32, shape (count,)
        Mean 0, standard deviation about 8.

    Notes
    -----
    Each is the number of ones in 256 random bits, less 128, plus a uniform number in (-1/2, 1/2):
    whole-number arithmetic, because logarithms and cosines differ between platforms in their last
    digit. Its distribution function differs from the normal one by less than 0.001.
    """
    raw = _words(5 * count, seed, purpose, stream).reshape(count, 5)
    ones = np.bitwise_count(raw[:, :4]).sum(axis=1, dtype=np.int64) - 128
    odd = 2 * (raw[:, 4] >> np.uint64(49)).astype(np.int64) + 1  # below 2**16
    steps: npt.NDArray[np.int64] = (ones << 16) + odd - (1 << 15)
    return (steps / 65536.0).astype(np.float32)


def shuffled(
    limit: int, most: int, *, seed: int, purpose: Purpose, stream: int = 0
) -> npt.NDArray[np.int64]:
    """Draw whole numbers from ``[0, limit)`` without replacement, in random order.

    Parameters
    ----------
    limit, most : int
        At most this many numbers are drawn; all of them when there are not more.
    seed, purpose, stream
        Name the stream; equal names give equal numbers on every platform.

    Returns
    -------
    ndarray of int64, shape (min(limit, most),)
    """
    return np.argsort(_words(limit, seed, purpose, stream), kind="stable")[:most]


def _words(count: int, seed: int, purpose: Purpose, stream: int) -> npt.NDArray[np.uint64]:
    """Random words of 64 bits from the stream of this name."""
    sequence = np.random.SeedSequence(seed, spawn_key=(int(purpose), stream))
    return np.random.PCG64(sequence).random_raw(count)
