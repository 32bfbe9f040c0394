"""Every kernel at every CPU level against NumPy's integers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from lookalike.native import Bounds, ExactScan, Measure, make_sums

Bytes = npt.NDArray[np.uint8]

COUNTS = [1, 7, 8, 9, 15, 16, 17, 63, 64, 65, 97, 300]
WIDTHS = [1, 3, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 100, 784, 4100]
L1, BITS = Measure.absolute_differences, Measure.differing_bits
L2 = Measure.squared_differences


def padded(vectors: Bytes, alignment: int) -> Bytes:
    width = vectors.shape[1]
    rows = np.zeros((len(vectors), -(-width // alignment) * alignment), np.uint8)
    rows[:, :width] = vectors
    return rows


def bytes_of(kind: str, shape: tuple[int, int], seed: int) -> Bytes:
    random = np.random.default_rng(seed)
    if kind == "extreme":
        return (random.integers(0, 2, shape) * 255).astype(np.uint8)
    if kind == "equal":
        return np.full(shape, 7, np.uint8)
    return random.integers(0, 17 if kind == "small" else 256, shape, np.uint8)


def distances_of(measure: Measure, vectors: Bytes, queries: Bytes) -> npt.NDArray[np.float64]:
    if measure == BITS:
        different = vectors[None] ^ queries[:, None]
        return np.asarray(np.unpackbits(different, axis=2).sum(axis=2), np.float64)
    differences = vectors[None].astype(np.int64) - queries[:, None]
    if measure == L2:
        return np.asarray(np.sqrt((differences**2).sum(axis=2)))
    return np.asarray(np.abs(differences).sum(axis=2), np.float64)


def scan_of(measure: Measure, vectors: Bytes, *, bounding: bool = False) -> ExactScan:
    rows = padded(vectors, 8 if measure == BITS else 16)
    width = vectors.shape[1]
    if not bounding:
        return ExactScan(rows, width, measure, 255)
    order = np.random.default_rng(width).permutation(width).astype(np.uint32)
    shift = 2  # four values of 255 do not fit a byte otherwise
    groups = -(-width // 4)
    bounds = np.empty((len(rows), -(-groups // 16) * 16), np.uint8)
    make_sums(rows, order, shift, bounds)
    made = Bounds.of_sums(rows, bounds, order, shift)
    return ExactScan(rows, width, measure, 255, 1.0, made)


def nearest(
    scan: ExactScan, queries: Bytes, k: int, threads: int = 1
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    slots, distances = np.empty((len(queries), k), np.int64), np.empty((len(queries), k))
    scan.nearest(queries, k, threads, slots, distances)
    return slots, distances


def expected_nearest(
    exact: npt.NDArray[np.float64], k: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    n = exact.shape[1]
    slots = np.full((len(exact), k), -1, np.int64)
    distances = np.full((len(exact), k), np.inf)
    for q, row in enumerate(exact):
        order = np.lexsort((np.arange(n), row))[:k]
        slots[q, : len(order)], distances[q, : len(order)] = order, row[order]
    return slots, distances


VARIANTS = [(L1, False), (L1, True), (L2, False), (BITS, False)]


@pytest.mark.parametrize("kind", ["random", "extreme", "small", "equal"])
@pytest.mark.parametrize(("measure", "bounding"), VARIANTS)
@pytest.mark.parametrize("width", WIDTHS)
def test_nearest_equals_the_integer_oracle_at_every_level(
    cpu_level: str, measure: Measure, bounding: bool, width: int, kind: str
) -> None:
    # Eight queries and more are compared together where there are no bounds.
    queries = bytes_of(kind, (9 if measure in (L2, BITS) else 3, width), seed=1)
    for count in COUNTS:
        vectors = bytes_of(kind, (count, width), seed=count)
        scan = scan_of(measure, vectors, bounding=bounding)
        exact = distances_of(measure, vectors, queries)
        for k in (1, 5, count, count + 3):
            slots, distances = nearest(scan, queries, k)
            wanted_slots, wanted_distances = expected_nearest(exact, k)
            assert (slots == wanted_slots).all()
            assert (distances == wanted_distances).all()


@pytest.mark.parametrize(("measure", "bounding"), VARIANTS)
@pytest.mark.parametrize("k", [1, 10, 63, 64, 65, 200, 5000])
def test_many_chunks_keep_the_nearest_and_break_ties_by_slot(
    cpu_level: str, measure: Measure, bounding: bool, k: int
) -> None:
    # 9,000 rows are three chunks; values 0 and 1 make thousands of ties.
    vectors = np.random.default_rng(3).integers(0, 2, (9000, 40), np.uint8)
    queries = vectors[[0, 4500, 8999]]
    scan = scan_of(measure, vectors, bounding=bounding)
    wanted = expected_nearest(distances_of(measure, vectors, queries), k)
    for found, expected in zip(nearest(scan, queries, k), wanted, strict=True):
        assert (found == expected).all()


@pytest.mark.parametrize(("measure", "bounding"), VARIANTS)
def test_threads_do_not_change_the_result(cpu_level: str, measure: Measure, bounding: bool) -> None:
    vectors = bytes_of("random", (10_000, 64), seed=5)
    queries = bytes_of("random", (20, 64), seed=6)
    scan = scan_of(measure, vectors, bounding=bounding)
    alone = nearest(scan, queries, 10)
    for threads in (2, 3, 16, 64):
        for one, other in zip(alone, nearest(scan, queries, 10, threads), strict=True):
            assert (one == other).all()
        single = nearest(scan, queries[:1], 10, threads)  # the rows are divided then
        assert (single[0] == alone[0][:1]).all()
        for one, other in zip(
            scan.within(queries, 4000, 1), scan.within(queries, 4000, threads), strict=True
        ):
            assert (one == other).all()


@pytest.mark.parametrize(("measure", "bounding"), VARIANTS)
def test_one_item_is_answered_like_a_batch_of_one(
    cpu_level: str, measure: Measure, bounding: bool
) -> None:
    vectors = bytes_of("random", (5000, 65), seed=8)
    scan = scan_of(measure, vectors, bounding=bounding)
    for query in bytes_of("random", (20, 65), seed=9):
        for k in (1, 10, 6000):
            found = scan.nearest_of_one(query, k)
            assert found is not None
            batch = nearest(scan, query[None], k)
            assert (found[0] == batch[0][0]).all()
            assert (found[1] == batch[1][0]).all()


@pytest.mark.parametrize(("measure", "bounding"), VARIANTS)
@pytest.mark.parametrize("width", [3, 16, 64, 100])
def test_within_holds_exactly_what_is_at_most_the_radius(
    cpu_level: str, measure: Measure, bounding: bool, width: int
) -> None:
    vectors = bytes_of("small", (700, width), seed=11)
    queries = bytes_of("small", (4, width), seed=12)
    scan = scan_of(measure, vectors, bounding=bounding)
    exact = distances_of(measure, vectors, queries)
    some = float(np.sort(exact.ravel())[exact.size // 2])
    for radius in (0, some - 1, some, np.nextafter(some, 0), some + 1, exact.max(), 2.0**40):
        offsets, slots, distances = scan.within(queries, radius, 1)
        assert len(offsets) == 5
        for q, row in enumerate(exact):
            part = slice(offsets[q], offsets[q + 1])
            order = np.lexsort((np.arange(len(row)), row))
            wanted = order[row[order] <= radius]
            assert (slots[part] == wanted).all()
            assert (distances[part] == row[wanted]).all()


@pytest.mark.parametrize("measure", [L1, L2, BITS])
def test_candidates_are_searched_and_nothing_else(cpu_level: str, measure: Measure) -> None:
    vectors = bytes_of("small", (3000, 33), seed=13)
    queries = bytes_of("small", (5, 33), seed=14)
    scan = scan_of(measure, vectors)
    exact = distances_of(measure, vectors, queries)
    random = np.random.default_rng(15)
    chosen = [np.sort(random.choice(3000, size, replace=False)) for size in (0, 1, 9, 1500, 3000)]
    offsets = np.cumsum([0, *map(len, chosen)])
    candidates = np.concatenate(chosen).astype(np.int64)
    slots, distances = np.empty((5, 12), np.int64), np.empty((5, 12))
    scan.nearest_among(queries, offsets, candidates, 12, 2, slots, distances)
    radius = float(np.median(exact))
    found = scan.within_among(queries, offsets, candidates, radius, 2)
    for q, mine in enumerate(chosen):
        order = mine[np.lexsort((mine, exact[q, mine]))]
        top = order[:12]
        assert (slots[q, : len(top)] == top).all()
        assert (slots[q, len(top) :] == -1).all()
        assert (distances[q, : len(top)] == exact[q, top]).all()
        part = slice(found[0][q], found[0][q + 1])
        assert (found[1][part] == order[exact[q, order] <= radius]).all()


def test_bounds_that_are_capped_still_exclude_nothing_wrongly(cpu_level: str) -> None:
    # 4,000 values of 0 or 255: bounding distances of 1,000 bytes pass 65,535, where they stop.
    vectors = bytes_of("extreme", (200, 4000), seed=17)
    vectors[150:] = 255 - vectors[:50]
    queries = np.concatenate([vectors[:2], 255 - vectors[:2]])
    scan = scan_of(L1, vectors, bounding=True)
    wanted = expected_nearest(distances_of(L1, vectors, queries), 200)
    for found, expected in zip(nearest(scan, queries, 200), wanted, strict=True):
        assert (found == expected).all()
    offsets, slots, _ = scan.within(queries, 4000 * 255, 1)
    assert (np.diff(offsets) == 200).all()
    assert len(slots) == 800


def test_bounds_exclude_rows_without_changing_the_answer(cpu_level: str, digits: Bytes) -> None:
    vectors = digits.reshape(-1, 64)
    plain, bounded = scan_of(L1, vectors[:1500]), scan_of(L1, vectors[:1500], bounding=True)
    queries = vectors[1500:]
    slots, distances = np.empty((297, 1), np.int64), np.empty((297, 1))
    assert plain.nearest(queries, 1, 1, slots, distances) == 297 * 1500
    again, same = slots.copy(), distances.copy()
    assert bounded.nearest(queries, 1, 1, slots, distances) < 297 * 1500 / 2
    assert (slots == again).all()
    assert (distances == same).all()
