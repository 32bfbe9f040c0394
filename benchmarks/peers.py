"""The other programs, each as a small class: how it is built, what can be set, how it is asked.

A program is imported when it is built, so one that is not installed costs its own row only. All
of them get one thread. Parameters of the build are each project's usual ones for sets of this
size; what is searched over is the setting of the search.
"""

# ruff: noqa: D101, D102 - the contract is in Peer, and every name says which program it is

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Setting = dict[str, float]

EFFORTS = (10, 12, 15, 20, 25, 30, 40, 50, 65, 80, 100, 130, 160, 200, 300, 400, 600, 800, 1200)


def normalised(vectors: Array) -> Array:
    """The same directions, each of length 1, in float32; a zero vector stays what it is."""
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
    return (vectors / np.where(lengths == 0, 1, lengths)[:, None]).astype(np.float32)


class Peer(ABC):
    """One program with one kind of index.

    ``build`` gets rows as they are, ``search_one`` and ``search_batch`` get queries that
    ``form`` has made: conversion is not timed with a search.
    """

    name: str
    metrics: tuple[str, ...] = ("l2", "cosine")
    bytes_only = False  # runs on uint8 vectors only

    metric: str
    index: Any

    def fits(self, dtype: np.dtype[Any], metric: str) -> bool:
        return metric in self.metrics and (dtype == np.uint8 or not self.bytes_only)

    def form(self, vectors: Array) -> Array:
        """Rows as this program wants them: cosine is L2 between normalised float32."""
        if self.metric == "cosine":
            return normalised(vectors)
        return np.ascontiguousarray(vectors, np.float32)

    @abstractmethod
    def build(self, base: Array, metric: str) -> None: ...

    @abstractmethod
    def ladders(self) -> Sequence[Sequence[Setting]]:
        """What to search with: ladders of settings, each from fast to thorough."""

    @abstractmethod
    def use(self, setting: Setting) -> None:
        """Search with this setting from now on."""

    @abstractmethod
    def search_one(self, query: Array, k: int) -> Array:
        """Ids, shape (k,)."""

    @abstractmethod
    def search_batch(self, queries: Array, k: int) -> Array:
        """Ids, shape (n, k)."""

    def size_bytes(self) -> int | None:
        """Of the whole index with the vectors in it, where the program tells."""
        return None


class Svs(Peer):
    """Intel's Scalable Vector Search: a Vamana graph, over bytes or over float32."""

    def __init__(self, *, in_bytes: bool) -> None:
        self.bytes_only = in_bytes
        self.name = f"SVS Vamana {'uint8' if in_bytes else 'float32'}"
        self.metrics = ("l2",) if in_bytes else ("l2", "cosine")
        self.degree: int = 32

    def form(self, vectors: Array) -> Array:
        return np.ascontiguousarray(vectors) if self.bytes_only else super().form(vectors)

    def build(self, base: Array, metric: str) -> None:
        import svs

        self.metric = metric
        rows = self.form(base)
        self.row_bytes = rows.shape[1] * rows.itemsize
        parameters = svs.VamanaBuildParameters(
            alpha=1.2, graph_max_degree=self.degree, window_size=128
        )
        self.index = svs.Vamana.build(parameters, rows, svs.DistanceType.L2, num_threads=1)

    def ladders(self) -> Sequence[Sequence[Setting]]:
        return [[{"window": effort} for effort in EFFORTS]]

    def use(self, setting: Setting) -> None:
        self.index.search_window_size = int(setting["window"])

    def search_one(self, query: Array, k: int) -> Array:
        return np.asarray(self.index.search(query, k)[0][0])

    def search_batch(self, queries: Array, k: int) -> Array:
        return np.asarray(self.index.search(queries, k)[0])

    def size_bytes(self) -> int:
        per_vector: int = self.row_bytes + 4 * (self.degree + 1)
        return per_vector * int(self.index.size)


class Faiss(Peer):
    """What all of faiss's indexes share."""

    def search_one(self, query: Array, k: int) -> Array:
        return np.asarray(self.index.search(query[None], k)[1][0])

    def search_batch(self, queries: Array, k: int) -> Array:
        return np.asarray(self.index.search(queries, k)[1])

    def size_bytes(self) -> int:
        import faiss

        return int(faiss.serialize_index(self.index).size)

    def fill(self, base: Array) -> None:
        rows = self.form(base)
        if not self.index.is_trained:
            self.index.train(rows)
        self.index.add(rows)


class FaissFlat(Faiss):
    """Exact search."""

    name = "faiss Flat"
    metrics = ("l2", "cosine", "l1")

    def build(self, base: Array, metric: str) -> None:
        import faiss

        faiss.omp_set_num_threads(1)
        self.metric = metric
        kind = faiss.METRIC_L1 if metric == "l1" else faiss.METRIC_L2
        self.index = faiss.IndexFlat(base.shape[1], kind)
        self.fill(base)

    def ladders(self) -> Sequence[Sequence[Setting]]:
        return [[{}]]

    def use(self, setting: Setting) -> None:
        pass


class FaissHnsw(Faiss):
    """The graph, over float32 or over one byte a dimension."""

    def __init__(self, *, in_bytes: bool) -> None:
        self.in_bytes = in_bytes
        self.name = f"faiss HNSW {'SQ8' if in_bytes else 'M16'}"
        self.metrics = ("l2", "cosine") if in_bytes else ("l2", "cosine", "l1")

    def build(self, base: Array, metric: str) -> None:
        import faiss

        faiss.omp_set_num_threads(1)
        self.metric = metric
        kind = faiss.METRIC_L1 if metric == "l1" else faiss.METRIC_L2
        if self.in_bytes:
            code = faiss.ScalarQuantizer
            bits = code.QT_8bit_direct if base.dtype == np.uint8 else code.QT_8bit
            self.index = faiss.IndexHNSWSQ(base.shape[1], bits, 16, kind)  # type: ignore[arg-type,unused-ignore]
        else:
            self.index = faiss.IndexHNSWFlat(base.shape[1], 16, kind)
        self.index.hnsw.efConstruction = 200
        self.fill(base)

    def ladders(self) -> Sequence[Sequence[Setting]]:
        return [[{"ef": effort} for effort in EFFORTS]]

    def use(self, setting: Setting) -> None:
        self.index.hnsw.efSearch = int(setting["ef"])


class FaissRefined(Faiss):
    """Short codes choose candidates, whole vectors decide among them."""

    probes: tuple[int, ...] = ()  # none: no inverted lists
    factors: tuple[int, ...] = ()

    def __init__(self, name: str, recipe: str) -> None:
        self.name = name
        self.recipe = recipe  # with {lists} and {subspaces}

    def build(self, base: Array, metric: str) -> None:
        import faiss

        faiss.omp_set_num_threads(1)
        self.metric = metric
        n, dimensions = base.shape
        lists = 1 << round(np.log2(2 * np.sqrt(n)))
        recipe = self.recipe.format(
            lists=lists, kept=min(128, dimensions), subspaces=min(128, dimensions) // 2
        )
        self.index = faiss.index_factory(dimensions, recipe, faiss.METRIC_L2)
        self.fill(base)
        self.lists: Any = faiss.try_extract_index_ivf(self.index)

    def ladders(self) -> Sequence[Sequence[Setting]]:
        if not self.probes:
            return [[{"k_factor": factor} for factor in self.factors]]
        return [[{"nprobe": p, "k_factor": f} for f in self.factors] for p in self.probes]

    def use(self, setting: Setting) -> None:
        self.index.k_factor = setting["k_factor"]
        if self.probes:
            self.lists.nprobe = int(setting["nprobe"])


class FaissPq(FaissRefined):
    probes = (4, 6, 8, 12, 16, 24, 32, 64, 128, 256)
    factors = (2, 3, 4, 6, 8, 12, 16, 24, 32)


class FaissRabitq(FaissRefined):
    probes = (4, 8, 12, 16, 24, 32, 64, 128, 256)
    factors = (5, 10, 20, 40, 80)


class FaissLsh(FaissRefined):
    factors = (5, 10, 20, 40, 80, 160, 320, 640, 1280)


class Hnswlib(Peer):
    name = "hnswlib M16"

    def build(self, base: Array, metric: str) -> None:
        import hnswlib

        self.metric = metric
        rows = self.form(base)
        self.index = hnswlib.Index("l2", rows.shape[1])
        self.index.init_index(len(rows), M=16, ef_construction=200, random_seed=0)
        self.index.set_num_threads(1)
        self.index.add_items(rows, num_threads=1)

    def ladders(self) -> Sequence[Sequence[Setting]]:
        return [[{"ef": effort} for effort in EFFORTS]]

    def use(self, setting: Setting) -> None:
        self.index.set_ef(int(setting["ef"]))

    def search_one(self, query: Array, k: int) -> Array:
        return np.asarray(self.index.knn_query(query, k, num_threads=1)[0][0])

    def search_batch(self, queries: Array, k: int) -> Array:
        return np.asarray(self.index.knn_query(queries, k, num_threads=1)[0])

    def size_bytes(self) -> int:
        return int(self.index.index_file_size())


class Scann(Peer):
    name = "ScaNN"

    def build(self, base: Array, metric: str) -> None:
        from scann import scann_ops_pybind

        self.metric = metric
        rows = self.form(base)
        # The inner product of normalised vectors is what its anisotropic codes are made for.
        distance = "dot_product" if metric == "cosine" else "squared_l2"
        leaves = 1 << round(np.log2(2 * np.sqrt(len(rows))))
        tree = scann_ops_pybind.builder(rows, 10, distance).set_n_training_threads(1)
        tree = tree.tree(leaves, leaves // 20, training_sample_size=min(len(rows), 250_000))
        threshold = 0.2 if metric == "cosine" else float("nan")
        codes = tree.score_ah(2, anisotropic_quantization_threshold=threshold)
        self.index = codes.reorder(100).build()

    def ladders(self) -> Sequence[Sequence[Setting]]:
        leaves = (3, 5, 8, 12, 16, 24, 32, 64, 128, 256)
        return [[{"leaves": p, "reorder": r} for r in (20, 40, 80, 160, 320)] for p in leaves]

    def use(self, setting: Setting) -> None:
        self.leaves, self.reorder = int(setting["leaves"]), int(setting["reorder"])

    def search_one(self, query: Array, k: int) -> Array:
        return np.asarray(self.index.search(query, k, self.reorder, self.leaves)[0])

    def search_batch(self, queries: Array, k: int) -> Array:
        return np.asarray(self.index.search_batched(queries, k, self.reorder, self.leaves)[0])


class Usearch(Peer):
    """A graph; bytes become signed ones, which leaves every difference what it was."""

    name = "usearch"

    def form(self, vectors: Array) -> Array:
        if self.signed:
            return (vectors ^ np.uint8(128)).view(np.int8)
        return super().form(vectors)

    def build(self, base: Array, metric: str) -> None:
        from usearch.index import Index

        self.metric = metric
        self.signed = base.dtype == np.uint8
        rows = self.form(base)
        self.index = Index(
            ndim=rows.shape[1],
            metric="l2sq",
            dtype="i8" if self.signed else "f32",
            connectivity=16,
            expansion_add=200,
        )
        self.index.add(np.arange(len(rows)), rows, threads=1)

    def ladders(self) -> Sequence[Sequence[Setting]]:
        return [[{"expansion": effort} for effort in EFFORTS]]

    def use(self, setting: Setting) -> None:
        self.index.expansion_search = int(setting["expansion"])

    def search_one(self, query: Array, k: int) -> Array:
        return np.asarray(self.index.search(query, k, threads=1).keys)

    def search_batch(self, queries: Array, k: int) -> Array:
        return np.asarray(self.index.search(queries, k, threads=1).keys)

    def size_bytes(self) -> int:
        return int(self.index.serialized_length)


class Glass(Peer):
    """Zilliz's glass (PyPI ``pyglass-portable``): HNSW over one byte a dimension."""

    def __init__(self, *, refined: str) -> None:
        self.refined = refined
        self.degree: int = 32
        self.name = f"glass HNSW SQ8U{' + refine' if refined else ''}"

    def build(self, base: Array, metric: str) -> None:
        import glass

        self.metric = metric
        rows = self.form(base)
        glass.set_num_threads(1)
        self.rows_shape: tuple[int, ...] = rows.shape
        self.graph = glass.Index("HNSW", "L2", "SQ8U", self.degree, 200).build(rows)
        self.index = glass.Searcher(self.graph, rows, "L2", "SQ8U", self.refined)
        self.index.optimize(1)

    def ladders(self) -> Sequence[Sequence[Setting]]:
        return [[{"ef": effort} for effort in EFFORTS]]

    def use(self, setting: Setting) -> None:
        self.index.set_ef(int(setting["ef"]))

    def size_bytes(self) -> int:
        n, dimensions = self.rows_shape
        row_bytes = dimensions * (5 if self.refined else 1)  # a byte, and a float beside it
        return n * (row_bytes + 4 * self.degree)

    def search_one(self, query: Array, k: int) -> Array:
        return ids_of(self.index.search(query, k))

    def search_batch(self, queries: Array, k: int) -> Array:
        return ids_of(self.index.batch_search(queries, k, 1)).reshape(len(queries), -1)


class SymphonyQg(Peer):
    """Gou et al.'s graph with codes of one bit a dimension in it (PyPI ``rabitqlib``)."""

    name = "SymphonyQG"

    def form(self, vectors: Array) -> Array:
        rows = super().form(vectors)  # its rotation wants a multiple of 64 dimensions
        return np.pad(rows, ((0, 0), (0, -rows.shape[1] % 64)))

    def build(self, base: Array, metric: str) -> None:
        import rabitqlib

        self.metric = metric
        rows = self.form(base)
        self.index = rabitqlib.SymqgIndex(rows.shape[1], 32, "l2")
        self.index.build(rows, 200, 1)

    def ladders(self) -> Sequence[Sequence[Setting]]:
        return [[{"ef": effort} for effort in EFFORTS]]

    def use(self, setting: Setting) -> None:
        self.ef = int(setting["ef"])

    def search_one(self, query: Array, k: int) -> Array:
        return np.asarray(ids_of(self.index.search(query[None], k, self.ef, 1))[0])

    def search_batch(self, queries: Array, k: int) -> Array:
        return ids_of(self.index.search_batch(queries, k, self.ef, 1))

    def size_bytes(self) -> int:
        with TemporaryDirectory() as folder:  # it tells only by what it writes
            path = Path(folder, "index")
            self.index.save(str(path))
            return path.stat().st_size


def ids_of(answer: Any) -> Array:
    """Ids of an answer that is ids, or ids and distances."""
    return np.asarray(answer[0] if isinstance(answer, tuple) else answer)


PEERS: dict[str, Callable[[], Peer]] = {
    "svs-u8": lambda: Svs(in_bytes=True),
    "svs": lambda: Svs(in_bytes=False),
    "glass": lambda: Glass(refined=""),
    "glass-refined": lambda: Glass(refined="FP32"),
    "symphonyqg": SymphonyQg,
    "faiss-hnsw-sq8": lambda: FaissHnsw(in_bytes=True),
    "faiss-hnsw": lambda: FaissHnsw(in_bytes=False),
    "faiss-pq": lambda: FaissPq(
        "faiss IVF-PQ FastScan + refine", "PCAR{kept},IVF{lists},PQ{subspaces}x4fs,RFlat"
    ),
    "faiss-rabitq": lambda: FaissRabitq(
        "faiss IVF RaBitQ FastScan + refine", "IVF{lists},RaBitQfs,RFlat"
    ),
    "faiss-lsh": lambda: FaissLsh("faiss LSH 512 bits + refine", "LSH512rt,RFlat"),
    "faiss-flat": FaissFlat,
    "hnswlib": Hnswlib,
    "scann": Scann,
    "usearch": Usearch,
}
