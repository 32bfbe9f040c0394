"""The computations behind the worked tasks of the lab."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lookalike.hashing.curves import expected_candidates
from lookalike.lab.lsh import INDEXED, lsh

__all__ = [
    "CandidateCount",
    "Setting",
    "agreement",
    "brute_force",
    "build_times",
    "candidate_counts",
    "l1_distance",
    "lsh_search",
    "sweep",
]

Images = npt.NDArray[np.float64]
_TIMED = 50  # queries that are timed in Python
_LAST_BIT = 15  # under the rule x % 16 <= pixel, 15 and 16 have the same code


def l1_distance(a: npt.ArrayLike, b: npt.ArrayLike) -> int:
    """L1 distance of two images: the Hamming distance of their unary codes."""
    return int(np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64)).sum())


def brute_force(data: Images, im: npt.ArrayLike) -> tuple[int, int]:
    """The closest of images 0 to 1499 and its distance; the first one, if there are several."""
    distances = np.abs(data[:INDEXED] - np.asarray(im)).sum(axis=(1, 2))
    closest = int(distances.argmin())
    return closest, int(distances[closest])


def lsh_search(me: lsh, im: npt.ArrayLike) -> tuple[int, int] | None:
    """The closest of the candidates and its distance; None when there are no candidates."""
    candidates = sorted(me.candidates(im))
    if not candidates:
        return None
    distances = np.abs(me.data[candidates] - np.asarray(im)).sum(axis=(1, 2))
    closest = int(distances.argmin())
    return candidates[closest], int(distances[closest])


def agreement(queries: Images, images: Images) -> npt.NDArray[np.float64]:
    """Share s of the 1,024 bits on which each query and each image agree.

    Under the rule of ``lsh`` a pixel v has ``min(v, 15) + 1`` ones, so this is not quite
    1 - L1 / 1024: bit 0 of a pixel is always 1, and 15 and 16 have the same code.

    Returns
    -------
    ndarray of float64, shape (queries, images)
    """
    a = np.minimum(queries, _LAST_BIT).reshape(len(queries), 1, -1).astype(np.int16)
    b = np.minimum(images, _LAST_BIT).reshape(1, len(images), -1).astype(np.int16)
    differing = [np.abs(query - b[0]).sum(axis=1) for query in a[:, 0]]
    return 1.0 - np.array(differing) / 1024


@dataclass(frozen=True, slots=True)
class CandidateCount:
    """Candidates of a test image: measured over draws of the hash functions, and expected.

    Attributes
    ----------
    k, m : int
    of_seeds : ndarray of float64, shape (seeds,)
        For each draw, the mean over the test images.
    of_course : float
        The same for the course's own draw, seed 12345.
    expected : float
        f(k, m), the mean over all draws and the test images.
    """

    k: int
    m: int
    of_seeds: npt.NDArray[np.float64]
    of_course: float
    expected: float


def candidate_counts(
    settings: Iterable[tuple[int, int]], seeds: Iterable[int] = range(100)
) -> list[CandidateCount]:
    """Count candidates over many draws, beside f(k, m)."""
    seeds = list(seeds)
    data = lsh(1, 1).data
    shares = agreement(data[INDEXED:], data[:INDEXED])
    return [
        CandidateCount(
            k,
            m,
            np.array([_mean_candidates(lsh(k, m, seed)) for seed in seeds]),
            _mean_candidates(lsh(k, m)),
            expected_candidates(shares, k, m) / len(shares),
        )
        for k, m in settings
    ]


def build_times(
    settings: Iterable[tuple[int, int]], repeats: int = 5
) -> list[tuple[int, int, float]]:
    """Milliseconds to hash all images, for each (k, m): the least of several tries.

    The least, because everything else a computer does can only make it longer.
    """
    times = []
    for k, m in settings:
        me = lsh(k, m)
        times.append((k, m, min(_seconds(me.hash_all_images) for _ in range(repeats)) * 1e3))
    return times


@dataclass(frozen=True, slots=True)
class Setting:
    """What one (k, m) does to the search of all test images.

    Attributes
    ----------
    k, m : int
    build_ms : float
        Milliseconds to construct ``lsh(k, m)``, loading the images included.
    candidates : float
        Mean number of candidates.
    query_us : float
        Microseconds a query, all in the compiled core: candidates, then the closest of them.
    python_us : float
        Microseconds a query with :func:`lsh_search`, which compares with NumPy.
    nearest_found : float
        Share of test images whose closest image (or one as close) was found.
    no_candidate : float
        Share of test images without any candidate.
    mean_distance : float
        Mean distance of what was found, over the images with candidates.
    exact_distance : float
        Mean distance of the true closest, over the same images: those without candidates
        tend to be far from everything, so a mean over all would be no fair comparison.
    """

    k: int
    m: int
    build_ms: float
    candidates: float
    query_us: float
    python_us: float
    nearest_found: float
    no_candidate: float
    mean_distance: float
    exact_distance: float


def sweep(ks: Iterable[int] = (1, 5, 15, 40), ms: Iterable[int] = (1, 5, 15, 40)) -> list[Setting]:
    """Search all test images with every k and m."""
    ms = list(ms)
    data = lsh(1, 1).data
    exact = np.array([brute_force(data, im)[1] for im in data[INDEXED:]], np.float64)
    return [_setting(k, m, exact) for k in ks for m in ms]


def _setting(k: int, m: int, exact: npt.NDArray[np.float64]) -> Setting:
    build = statistics.median(_seconds(lambda: lsh(k, m)) for _ in range(3))
    me = lsh(k, m)
    tests = np.ascontiguousarray(me.data[INDEXED:])
    start = time.perf_counter()
    _, distances = me.engine.nearest(tests, len(tests), 1, 1)
    seconds = time.perf_counter() - start
    found = np.isfinite(distances[:, 0])
    return Setting(
        k=k,
        m=m,
        build_ms=build * 1e3,
        candidates=_mean_candidates(me),
        query_us=seconds / len(tests) * 1e6,
        python_us=_seconds(lambda: [lsh_search(me, im) for im in tests[:_TIMED]]) / _TIMED * 1e6,
        nearest_found=float((distances[:, 0] == exact).mean()),
        no_candidate=float(1 - found.mean()),
        mean_distance=float(distances[found, 0].mean()) if found.any() else float("nan"),
        exact_distance=float(exact[found].mean()) if found.any() else float("nan"),
    )


def _mean_candidates(me: lsh) -> float:
    tests = np.ascontiguousarray(me.data[INDEXED:])
    offsets, _ = me.engine.candidates(tests, 1)
    return float(offsets[-1] / len(tests))


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
