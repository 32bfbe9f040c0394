"""Arrays in, arrays out: the compiled core of lookalike."""

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

def pack_rows(items: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], width: int, limit: int, rows: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu')]) -> None:
    """
    Write items as zero-padded rows of bytes; ValueError unless whole and in [0, limit].
    """

def make_bounds(rows: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], order: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)], shift: int, bounds: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu')]) -> None:
    """
    Write the bounding row of each row: sums of four values in that order, shifted right.
    """

class Measure(enum.Enum):
    absolute_differences = 0

    differing_bits = 1

class ExactScan:
    def __init__(self, rows: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], width: int, measure: Measure, limit: int, bounds: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)] | None = None, order: Annotated[NDArray[numpy.uint32], dict(shape=(None,), order='C', device='cpu', writable=False)] | None = None, shift: int = 0) -> None: ...

    def nearest(self, queries: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], k: int, threads: int, slots: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')], distances: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')]) -> int:
        """
        The k nearest rows of each query; returns how many rows were compared exactly.
        """

    def nearest_of_one(self, item: object, k: int) -> tuple[NDArray[numpy.int64], NDArray[numpy.float64]] | None:
        """
        Slots and distances of the k nearest rows; None when the item is not a plain array of whole numbers within the limit.
        """

    def nearest_among(self, queries: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], offsets: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], candidates: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], k: int, threads: int, slots: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')], distances: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')]) -> None:
        """The k nearest of each query's candidates."""

    def within(self, queries: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], radius: int, threads: int) -> tuple[Annotated[NDArray[numpy.int64], dict(shape=(None,))], Annotated[NDArray[numpy.int64], dict(shape=(None,))], Annotated[NDArray[numpy.float64], dict(shape=(None,))]]:
        """
        Offsets, slots and distances of all rows within the radius, boundary included.
        """

    def within_among(self, queries: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], offsets: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], candidates: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)], radius: int, threads: int) -> tuple[Annotated[NDArray[numpy.int64], dict(shape=(None,))], Annotated[NDArray[numpy.int64], dict(shape=(None,))], Annotated[NDArray[numpy.float64], dict(shape=(None,))]]:
        """The same among each query's candidates."""

class BitSampler:
    def __init__(self, offsets: Annotated[NDArray[numpy.uint32], dict(shape=(None, None), order='C', device='cpu', writable=False)], masks: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], levels: Annotated[NDArray[numpy.uint8], dict(shape=(None, None), order='C', device='cpu', writable=False)], width: int, limit: int) -> None: ...

    @property
    def words(self) -> int: ...

    def codes(self, items: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], threads: int, codes: Annotated[NDArray[numpy.uint64], dict(shape=(None, None, None), order='C', device='cpu')]) -> None:
        """Write the codes of a batch to an array (tables, items, words)."""

class BucketTables:
    def __init__(self, codes: Annotated[NDArray[numpy.uint64], dict(shape=(None, None, None), order='C', device='cpu', writable=False)], threads: int) -> None: ...

    @property
    def count(self) -> int: ...

    @property
    def size_bytes(self) -> int: ...

    def buckets(self, table: int) -> tuple[Annotated[NDArray[numpy.int64], dict(shape=(None,))], Annotated[NDArray[numpy.int64], dict(shape=(None,))]]:
        """Offsets and rows of one table's buckets."""

    def candidates(self, sampler: BitSampler, items: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], threads: int) -> tuple[Annotated[NDArray[numpy.int64], dict(shape=(None,))], Annotated[NDArray[numpy.int64], dict(shape=(None,))]]:
        """Offsets and rows of the union of each item's buckets, ascending."""

    def candidates_of_one(self, sampler: BitSampler, item: object) -> NDArray[numpy.int64] | None:
        """
        The rows for one item, ascending; None when it is not a plain array of whole numbers within the limit.
        """

    def nearest_of_one(self, sampler: BitSampler, scan: ExactScan, item: object, k: int) -> tuple[NDArray[numpy.int64], NDArray[numpy.float64]] | None:
        """The k nearest candidates of one item; None as above."""
