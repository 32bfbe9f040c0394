"""Arrays in, arrays out: the compiled core of lookalike."""

from collections.abc import Sequence
import enum
from typing import Annotated

import numpy
from numpy.typing import NDArray


def cpu_level() -> str:
    """Name of the CPU level in use."""

def compiled_levels() -> list[str]:
    """Levels in this build, by rank."""

def usable_levels() -> list[str]:
    """Levels that this processor can run, by rank."""

def force_level(name: str) -> None:
    """Use the level of this name from now on."""

def map_file(file: int, length: int, capacity: int) -> Annotated[NDArray[numpy.uint8], dict(shape=(None,))]:
    """
    The bytes of a file and zeros up to a capacity; what is written there stays in memory.
    """

class Measure(enum.Enum):
    absolute_differences = 0

    squared_differences = 1

    differing_bits = 2

    float_absolutes = 3

    float_squares = 4

    float_angles = 5

def pack_items(items: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], width: int, measure: Measure, limit: int, scale: float, rows: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu')]) -> None:
    """
    Write items as zero-padded rows; ValueError unless bytes are whole and in [0, limit], and floats are finite with squares that float32 can add.
    """

def make_sums(rows: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], order: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)], shift: int, bounds: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu')]) -> None:
    """
    Write the bounding row of each row: sums of four values in that order, shifted right.
    """

def make_projected(y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], step: float, codes: Annotated[NDArray[numpy.int16], dict(shape=(None, None), order='C', device='cpu')]) -> None:
    """Projected vectors in steps, as int16 in [-2047, 2047]."""

class Bounds:
    @staticmethod
    def of_sums(rows: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], bounds: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], order: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)], shift: int) -> Bounds: ...

    @staticmethod
    def of_projection(rows: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], measure: Measure, projection: object, codes: Annotated[NDArray[numpy.int16], dict(shape=(None, None), order='C', device='cpu', writable=False)], step: float, longest: float) -> Bounds: ...

class ExactScan:
    def __init__(self, rows: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], width: int, measure: Measure, limit: int = 255, scale: float = 1.0, bounds: Bounds | None = None) -> None: ...

    def nearest(self, queries: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], k: int, threads: int, slots: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')], distances: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')], allowed: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None) -> int:
        """
        The k nearest rows of each query; returns how many rows were compared exactly.
        """

    def nearest_of_one(self, item: object, k: int, allowed: NDArray[numpy.uint8] | None = None) -> tuple[NDArray[numpy.int64], NDArray[numpy.float64], bool] | None:
        """
        Slots and distances of the k nearest rows, and False; None when the item is not a plain array that could be a row.
        """

    def nearest_among(self, queries: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], offsets: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], candidates: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], k: int, threads: int, slots: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')], distances: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')]) -> None:
        """The k nearest of each query's candidates."""

    def within(self, queries: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], radius: float, threads: int, allowed: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None) -> tuple[Annotated[NDArray[numpy.int64], dict(shape=(None,))], Annotated[NDArray[numpy.int64], dict(shape=(None,))], Annotated[NDArray[numpy.float64], dict(shape=(None,))]]:
        """
        Offsets, slots and distances of all rows within the radius, boundary included.
        """

    def within_among(self, queries: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], offsets: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], candidates: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], radius: float, threads: int) -> tuple[Annotated[NDArray[numpy.int64], dict(shape=(None,))], Annotated[NDArray[numpy.int64], dict(shape=(None,))], Annotated[NDArray[numpy.float64], dict(shape=(None,))]]:
        """The same among each query's candidates."""

class BitSampler:
    def __init__(self, offsets: Annotated[NDArray[numpy.uint32], dict(shape=(None, None), order='C', device='cpu', writable=False)], masks: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], levels: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], width: int, limit: int) -> None: ...

    @property
    def words(self) -> int: ...

    def codes(self, items: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], threads: int, codes: Annotated[NDArray[numpy.uint64], dict(shape=(None, None, None), order='C', device='cpu')]) -> None:
        """Write the codes of a batch to an array (tables, items, words)."""

class BucketTables:
    def __init__(self, codes: Annotated[NDArray[numpy.uint64], dict(shape=(None, None, None), order='C', device='cpu', writable=False)], threads: int) -> None: ...

    @staticmethod
    def of_arrays(count: int, words: int, buckets: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], keys: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], codes: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], starts: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)], rows: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> BucketTables:
        """Tables whose arrays were stored; they are checked and copied."""

    def arrays(self) -> tuple[Annotated[NDArray[numpy.int64], dict(shape=(None,))], Annotated[NDArray[numpy.uint64], dict(shape=(None,))], Annotated[NDArray[numpy.uint64], dict(shape=(None,))], Annotated[NDArray[numpy.uint32], dict(shape=(None,))], Annotated[NDArray[numpy.uint32], dict(shape=(None,))]]:
        """
        Buckets of each table; keys, codes of several words, starts and rows of all.
        """

    @property
    def words(self) -> int: ...

    @property
    def count(self) -> int: ...

    @property
    def size_bytes(self) -> int: ...

    def buckets(self, table: int) -> tuple[Annotated[NDArray[numpy.int64], dict(shape=(None,))], Annotated[NDArray[numpy.int64], dict(shape=(None,))]]:
        """Offsets and rows of one table's buckets."""

    def candidates(self, sampler: BitSampler, items: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], threads: int) -> tuple[Annotated[NDArray[numpy.int64], dict(shape=(None,))], Annotated[NDArray[numpy.int64], dict(shape=(None,))]]:
        """Offsets and rows of the union of each item's buckets, ascending."""

    def candidates_of_codes(self, codes: Annotated[NDArray[numpy.uint64], dict(shape=(None, None, None), order='C', device='cpu', writable=False)], threads: int) -> tuple[Annotated[NDArray[numpy.int64], dict(shape=(None,))], Annotated[NDArray[numpy.int64], dict(shape=(None,))]]:
        """The same for items of which the codes are known."""

    def candidates_of_one(self, sampler: BitSampler, item: object) -> NDArray[numpy.int64] | None:
        """
        The rows for one item, ascending; None when it is not a plain array of whole numbers within the limit.
        """

    def nearest_of_one(self, sampler: BitSampler, scan: ExactScan, item: object, k: int) -> tuple[NDArray[numpy.int64], NDArray[numpy.float64], bool] | None:
        """The k nearest candidates of one item, and False; None as above."""

PREFIX_BITS: int = 32

SKETCH_CODES: int = 8

class PrefixStops:
    def __init__(self, met: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], near: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> None: ...

class PrefixScan:
    @staticmethod
    def of_bits(exact: ExactScan, sampler: BitSampler, span: float, threads: int, stored: tuple[Annotated[NDArray[numpy.uint32], dict(shape=(None, None), order='C', device='cpu', writable=False)], Annotated[NDArray[numpy.uint32], dict(shape=(None, None), order='C', device='cpu', writable=False)], Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)]] | None = None) -> PrefixScan: ...

    @staticmethod
    def of_planes(exact: ExactScan, projection: Projection, centred: bool, threads: int, stored: tuple[Annotated[NDArray[numpy.uint32], dict(shape=(None, None), order='C', device='cpu', writable=False)], Annotated[NDArray[numpy.uint32], dict(shape=(None, None), order='C', device='cpu', writable=False)], Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)]] | None = None) -> PrefixScan: ...

    def arrays(self) -> tuple[Annotated[NDArray[numpy.uint32], dict(shape=(None,))], Annotated[NDArray[numpy.uint32], dict(shape=(None,))], Annotated[NDArray[numpy.uint8], dict(shape=(None,))]]:
        """
        Codes and rows of one table after the other, and the sketches of the rows.
        """

    @property
    def tables(self) -> int: ...

    @property
    def size_bytes(self) -> int: ...

    def nearest(self, queries: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], k: int, stops: PrefixStops, threads: int, rows: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')], distances: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')], allowed: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None) -> None:
        """The k nearest of the rows that were met."""

    def nearest_of_one(self, item: object, k: int, stops: PrefixStops, allowed: NDArray[numpy.uint8] | None = None) -> tuple[NDArray[numpy.int64], NDArray[numpy.float64], bool] | None:
        """
        Rows and distances of the k nearest, and False; None when the item is not a plain array that could be a row.
        """

    def trace(self, item: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], k: int, stops: PrefixStops, allowed: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None) -> tuple[int, int, float, float]:
        """
        Search for one item: rows met and verified, microseconds to hash and to search.
        """

    def candidates(self, item: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], radius: float, stops: PrefixStops, allowed: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None) -> Annotated[NDArray[numpy.int64], dict(shape=(None,))]:
        """
        Rows among which each within the radius is with the chance asked for, ascending.
        """

class Projection:
    @staticmethod
    def of_floats(mean: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], matrix: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> Projection: ...

    @staticmethod
    def of_bytes(mean: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], matrix: Annotated[NDArray[numpy.int8], dict(shape=(None, None, None), order='C', device='cpu', writable=False)], scales: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], offsets: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> Projection: ...

    @property
    def outputs(self) -> int: ...

    def apply(self, rows: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], dimensions: int, threads: int, y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')], tails: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu')]) -> None:
        """
        Project rows, and what their first dimensions leave out of |x - mean|^2.
        """

class Sketch:
    def __init__(self, steps: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], unit: float) -> None: ...

    @property
    def unit(self) -> float: ...

    @property
    def steps(self) -> Annotated[NDArray[numpy.float32], dict(shape=(None,))]: ...

class Cells:
    def __init__(self, steps: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], unit: float, codes: Annotated[NDArray[numpy.int8], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> None: ...

    def __len__(self) -> int: ...

    @property
    def unit(self) -> float: ...

    @property
    def steps(self) -> Annotated[NDArray[numpy.float32], dict(shape=(None,))]: ...

    @property
    def codes(self) -> Annotated[NDArray[numpy.int8], dict(shape=(None,))]: ...

    def assign(self, y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], threads: int, cells: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu')]) -> int:
        """
        The cell of each projected vector; returns how many centroids were compared in all.
        """

def learn_cells(y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], dimensions: int, cells: int, rounds: int, least_step: float, threads: int) -> Cells:
    """k-means over projected vectors in random order."""

def largest_norm(y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], tails: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], cells: Cells, of_row: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> float:
    """What the norm of one of these vectors may come to at the most."""

def learn_sketch(y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], cells: Cells, of_row: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)], largest: float, least_step: float) -> Sketch:
    """The sketch for residuals like those of these vectors."""

def block_starts(of_row: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)], cells: int) -> Annotated[NDArray[numpy.uint32], dict(shape=(None,))]:
    """The first block of each cell, and the number of all."""

class BlockWriter:
    def __init__(self, starts: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)], blocks: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu')], rows: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu')]) -> None: ...

    def copy(self, starts: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)], blocks: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], rows: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)], kept: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], sketch: Sketch) -> None:
        """Take over the sketches of the rows that are kept."""

    def write(self, y: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu', writable=False)], tails: Annotated[NDArray[numpy.float32], dict(shape=(None,), order='C', device='cpu', writable=False)], cells: Cells, sketch: Sketch, tail_weight: float, of_row: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)], first_row: int) -> None:
        """Write the sketches of vectors to the blocks of their cells."""

    def pad(self, sketch: Sketch) -> None:
        """Mark the places that are still free."""

class Efforts:
    def __init__(self, regions: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)], usual: Annotated[NDArray[numpy.int64], dict(shape=(None, None), order='C', device='cpu', writable=False)], wide: Annotated[NDArray[numpy.int64], dict(shape=(None, None), order='C', device='cpu', writable=False)], nearest: tuple[float, float], tail: tuple[float, float]) -> None: ...

class CellScan:
    def __init__(self, verifier: ExactScan, projection: Projection, cells: Cells, sketch: Sketch, starts: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)], blocks: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], rows: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> None: ...

    def nearest(self, queries: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], k: int, efforts: Efforts, threads: int, rows: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')], distances: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')], allowed: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None, widened: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu')] | None = None) -> None:
        """The k nearest of the rows that are verified."""

    def nearest_of_one(self, item: object, k: int, efforts: Efforts, allowed: NDArray[numpy.uint8] | None = None) -> tuple[NDArray[numpy.int64], NDArray[numpy.float64], bool] | None:
        """
        Rows and distances of the k nearest, and whether the effort was wide; None when the item is not a plain array that could be a row.
        """

    def trace(self, item: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], k: int, efforts: Efforts, allowed: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None) -> tuple[int, int, int, float, float, float]:
        """
        Search for one item: cells and rows scanned, rows verified, microseconds to hash, filter, verify.
        """

    def candidates(self, item: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], efforts: Efforts, allowed: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None) -> Annotated[NDArray[numpy.int64], dict(shape=(None,))]:
        """The rows that would be verified, ascending."""

    def ranks(self, queries: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], wanted: Annotated[NDArray[numpy.int64], dict(shape=(None, None), order='C', device='cpu', writable=False)], excluded: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], threads: int, ranks: Annotated[NDArray[numpy.uint32], dict(shape=(None, None, None), order='C', device='cpu')], cells: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu')], signs: Annotated[NDArray[numpy.float32], dict(shape=(None, None), order='C', device='cpu')], allowed: Annotated[NDArray[numpy.uint8], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None) -> None:
        """
        For each wanted row (negative: none) the rank of its cell and of its estimate; for each query the cell that ranks first, its distance and the query's tail.
        """

class Components:
    def __init__(self, count: int) -> None: ...

    def join(self, first: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], second: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> None:
        """Join the components of the two ends of each pair."""

    def roots(self) -> Annotated[NDArray[numpy.uint32], dict(shape=(None,))]:
        """The smallest item of each one's component."""

class MultiIndex:
    def __init__(self, scan: ExactScan, substrings: Sequence[Sequence[int]], starts: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)], order: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> None: ...

    def thresholds(self, radius: int) -> list[int]:
        """Most flips of each substring; -1 where it is not looked at."""

    def work(self, radius: int) -> tuple[float, float]:
        """Buckets and rows that a search for a member looks at, on average."""

    def within(self, items: NDArray, radius: int, threads: int, allowed: NDArray[numpy.uint8] | None = None) -> tuple[NDArray[numpy.int64], NDArray[numpy.int64], NDArray[numpy.float64], int]:
        """
        Offsets, slots and distances of every row within the radius, and how many rows were compared.
        """

    def within_one(self, item: object, radius: int, allowed: NDArray[numpy.uint8] | None = None) -> tuple[NDArray[numpy.int64], NDArray[numpy.float64]] | None:
        """Slots and distances for one item; None when it is not a plain array."""

    def nearest(self, items: NDArray, k: int, most_radius: int, threads: int, allowed: NDArray[numpy.uint8] | None = None) -> tuple[NDArray[numpy.int64], NDArray[numpy.int64], NDArray[numpy.float64]]:
        """
        Offsets, slots and distances of the k nearest rows of each item; none where radii up to the largest do not prove them.
        """

def sort_by_substrings(rows: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], substrings: Sequence[Sequence[int]], threads: int, starts: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu')], order: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu')]) -> None:
    """
    Sort rows by each substring: where the rows of each key begin, and the rows.
    """

class SubstringJoin:
    def __init__(self, index: MultiIndex, substring: int, radius: int, threads: int) -> None: ...

    def __len__(self) -> int: ...

    def pairs(self, first: int, last: int, most: int, threads: int) -> tuple[NDArray[numpy.int64], NDArray[numpy.int64], NDArray[numpy.float64], int]:
        """
        Both rows and the distance of each pair from these positions on, and the position to go on from.
        """
