"""Approximate search beside the other programs, the way ann-benchmarks does it.

For every program: the time to build, the bytes it takes, and for each of its settings the recall
and the queries a second, one query a call and in batch. Then, for each level of recall, ours in
turns with the fastest peer. Results of all runs are kept in build/engine-<data>.json, so that
slow builds can be measured one at a time; ratios come from turns within one run only.

Recall is the share of the returned items whose exact distance is at most the exact distance of
the true tenth neighbour. The truth is computed in integers, or in float64 for cosine.
"""

# ruff: noqa: D102 - what a method of Ours does is said in Peer

from __future__ import annotations

import harness  # isort: skip  # before the peers: it gives all of them one thread

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from peers import PEERS, Array, Peer, Setting

import lookalike
from lookalike import datasets

K = 10
LEVELS = (0.90, 0.95, 0.99, 0.999)
TARGETS = (
    0.80,
    0.88,
    0.90,
    0.94,
    0.95,
    0.98,
    0.985,
    0.988,
    0.99,
    0.995,
    0.998,
    0.9985,
    0.999,
    0.9995,
)
PROMISES = (0.80, 0.90, 0.95, 0.98, 0.99, 0.995, 0.999)
OURS = "lookalike"
GRID_QUERIES, QUICK_QUERIES = 2000, 200
FINALISTS = 3  # settings of either side that take turns before a duel
ROOT = Path(__file__).parents[1]
KINDS = {"one": "one query a call", "batch": "in batch"}


# ---- the sets


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """What is indexed, what is searched for, and how far the true tenth neighbour is."""

    name: str
    metric: str
    base: Array
    queries: Array
    tenth: Array  # exact distance, shape (queries,)

    def recall(self, ids: Array) -> float:
        """Of answers to the first queries, shape (m, k)."""
        found = exact_distances(self.base, self.queries[: len(ids)], ids, self.metric)
        return float((found <= self.tenth[: len(ids), None]).mean())


def fashion(metric: str) -> tuple[str, Array, Array]:
    base = datasets.fashion_mnist("train").images.reshape(-1, 784)
    queries = datasets.fashion_mnist("test").images.reshape(-1, 784)
    return metric, base, queries[np.random.default_rng(0).permutation(len(queries))]


def glove() -> tuple[str, Array, Array]:
    vectors = datasets.glove()
    chosen = np.random.default_rng(0).permutation(len(vectors))[:10_000]
    return "cosine", np.delete(vectors, chosen, axis=0), vectors[chosen]


SETS: dict[str, Callable[[], tuple[str, Array, Array]]] = {
    "fashion-mnist": lambda: fashion("l2"),
    "fashion-mnist-l1": lambda: fashion("l1"),
    "glove-50": glove,
}


def load(name: str) -> Problem:
    metric, base, queries = SETS[name]()
    path = ROOT / "build" / f"truth-{name}.npz"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        np.savez(path, tenth=true_tenth(base, queries, metric))
    with np.load(path, allow_pickle=False) as stored:
        tenth = stored["tenth"]
    assert len(tenth) == len(queries), f"{path} is of another set: remove it"
    return Problem(name, metric, base, queries, tenth)


def true_tenth(base: Array, queries: Array, metric: str) -> Array:
    """Exact distance of each query's tenth neighbour."""
    nearest = candidates_l1 if metric == "l1" else candidates_l2
    rows = unit(base) if metric == "cosine" else base
    sought = unit(queries) if metric == "cosine" else queries
    ids = nearest(rows, sought, 2 * K)  # twice as many: those at a rounding's distance are in it
    return np.sort(exact_distances(base, queries, ids, metric), axis=1)[:, K - 1]


def candidates_l2(base: Array, queries: Array, count: int) -> Array:
    """Nearest by |b|^2 - 2 q.b in float64, where integers of this size are exact."""
    columns = base.astype(np.float64).T
    norms = np.einsum("dn,dn->n", columns, columns)
    ids = []
    for start in range(0, len(queries), 100):
        scores = norms - 2 * (queries[start : start + 100].astype(np.float64) @ columns)
        ids.append(np.argpartition(scores, count, axis=1)[:, :count].copy())  # not a view of all
    return np.concatenate(ids)


def candidates_l1(base: Array, queries: Array, count: int) -> Array:
    """Nearest by faiss's exact search: sums below 2^24, which float32 holds exactly."""
    import faiss

    assert 255 * base.shape[1] < 1 << 24
    flat = faiss.IndexFlat(base.shape[1], faiss.METRIC_L1)
    flat.add(base.astype(np.float32))
    return np.asarray(flat.search(queries.astype(np.float32), count)[1])


def unit(vectors: Array) -> Array:
    wide = vectors.astype(np.float64)
    return np.asarray(wide / np.sqrt(np.einsum("nd,nd->n", wide, wide))[:, None])


def exact_distances(base: Array, queries: Array, ids: Array, metric: str) -> Array:
    """Distance of each query to its own ids; for cosine one by one, so that equals are equal."""
    ids = np.asarray(ids).astype(np.int64)
    distances = np.full(ids.shape, np.inf)
    for row, (query, found) in enumerate(zip(queries, ids, strict=True)):
        given = found >= 0  # a program that finds too few pads with -1
        distances[row, given] = row_distances(base[found[given]], query, metric)
    return distances


def row_distances(rows: Array, query: Array, metric: str) -> Array:
    if metric == "cosine":
        products = (unit(rows) * unit(query[None])).sum(axis=1)
        return np.asarray(1 - products)
    differences = rows.astype(np.int64) - query.astype(np.int64)
    return np.asarray((np.abs(differences) if metric == "l1" else differences**2).sum(axis=1))


# ---- ours, as one of the programs


class Ours(Peer):
    """The library itself: a setting is the recall asked for."""

    name = OURS
    metrics = ("l2", "cosine", "l1")

    def __init__(self, targets: Sequence[float], threads: int = 1) -> None:
        self.targets = targets
        self.threads = threads
        self.target = targets[0]

    def form(self, vectors: Array) -> Array:
        return np.ascontiguousarray(vectors)

    def build(self, base: Array, metric: str) -> None:
        self.metric = metric
        self.index: Any = lookalike.Index(metric, recall=0.95)
        self.index.add(base)
        self.index.search(base[0], k=K)  # what is planned lazily belongs to the build

    def ladders(self) -> Sequence[Sequence[Setting]]:
        return [[{"recall": target} for target in self.targets]]

    def use(self, setting: Setting) -> None:
        self.target = setting["recall"]

    def search_one(self, query: Array, k: int) -> Array:
        return np.asarray(self.index.search(query, k=k, recall=self.target).ids)

    def search_batch(self, queries: Array, k: int) -> Array:
        answer = self.index.search(queries, k=k, recall=self.target, threads=self.threads)
        return np.asarray(answer.ids)

    def size_bytes(self) -> int | None:
        size = getattr(self.index, "size_bytes", None)
        return size if isinstance(size, int) else None


# ---- measuring


@dataclass
class Point:
    """One setting of one program."""

    program: str
    setting: Setting
    recall_one: float
    qps_one: float
    recall_batch: float
    qps_batch: float

    def recall(self, kind: str) -> float:
        return self.recall_one if kind == "one" else self.recall_batch

    def qps(self, kind: str) -> float:
        return self.qps_one if kind == "one" else self.qps_batch


@dataclass
class Built:
    """What one program's build took, or why there is none."""

    program: str
    seconds: float = 0.0
    bytes_a_vector: float | None = None
    note: str = ""


@dataclass
class Duel:
    """Ours and the fastest peer at one level of recall, in turns."""

    level: float
    kind: str  # a key of KINDS
    peer: str
    ours_qps: float
    peer_qps: float
    ours_recall: float
    peer_recall: float


@dataclass
class Run:
    """Everything that one start of this program measured."""

    machine: str
    built: list[Built] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    duels: list[Duel] = field(default_factory=list)
    promise: list[dict[str, float | None]] = field(default_factory=list)


@contextmanager
def chatter_to_stderr() -> Iterator[None]:
    """Some programs print on standard output from C++; tables are to be alone there."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def build(peer: Peer, problem: Problem) -> Built:
    """Build, and say in the note why it could not be; that a program is missing is no crash."""
    start = time.perf_counter()
    try:
        peer.build(problem.base, problem.metric)
    except ImportError as missing:
        return Built(peer.name, note=f"not installed: {missing}")
    except Exception as failure:
        return Built(peer.name, note=f"failed: {type(failure).__name__}: {failure}"[:200])
    seconds = time.perf_counter() - start
    size = peer.size_bytes()
    return Built(peer.name, seconds, None if size is None else size / len(problem.base))


def rate(answer: Callable[[int], Array], count: int) -> tuple[Array, float]:
    """Ids and queries a second, median of three passes; fewer queries where they are slow."""
    tenth = max(1, count // 10)
    answer(1)
    start = time.perf_counter()
    answer(tenth)
    asked = count if (time.perf_counter() - start) * count / tenth < 3 else tenth
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        ids = answer(asked)
        seconds.append(time.perf_counter() - start)
    return ids, asked / statistics.median(seconds)


def one_by_one(peer: Peer, queries: Array) -> Callable[[int], Array]:
    rows = list(queries)
    return lambda count: np.array([peer.search_one(row, K) for row in rows[:count]])


def in_batch(peer: Peer, queries: Array) -> Callable[[int], Array]:
    return lambda count: peer.search_batch(queries[:count], K)


def measure(peer: Peer, problem: Problem, setting: Setting, count: int) -> Point:
    peer.use(setting)
    queries = peer.form(problem.queries[:count])
    ids_one, qps_one = rate(one_by_one(peer, queries), count)
    ids_batch, qps_batch = rate(in_batch(peer, queries), count)
    recalls = problem.recall(ids_one), problem.recall(ids_batch)
    return Point(peer.name, setting, recalls[0], qps_one, recalls[1], qps_batch)


def climb(peer: Peer, problem: Problem, count: int, step: int) -> list[Point]:
    """Measure up each ladder, until nearly all is found or two steps gained nothing."""
    points = []
    tops: list[float] = []
    for ladder in peer.ladders():
        recalls: list[float] = []
        for setting in ladder[::step]:
            points.append(measure(peer, problem, setting, count))
            recalls.append(points[-1].recall_batch)
            print(f"  {points[-1]}", file=sys.stderr, flush=True)
            if recalls[-1] >= 0.9997 or (len(recalls) > 2 and recalls[-1] - recalls[-3] < 0.0003):
                break
        tops.append(max(recalls))
        if tops[-1] >= 0.9997 or (len(tops) > 2 and tops[-1] - tops[-3] < 0.0003):
            break
    return points


def of(program: str, points: Sequence[Point]) -> list[Point]:
    return [point for point in points if point.program == program]


def fastest(points: Sequence[Point], level: float, kind: str) -> list[Point]:
    """The points that reach a level, the fastest first."""
    reach = [point for point in points if point.recall(kind) >= level]
    return sorted(reach, key=lambda p: p.qps(kind), reverse=True)


def best(points: Sequence[Point], level: float, kind: str) -> Point | None:
    """The fastest point that reaches a level."""
    return next(iter(fastest(points, level, kind)), None)


def duels(
    rivals: Mapping[str, Peer], points: Sequence[Point], problem: Problem, rounds: int
) -> list[Duel]:
    """Ours in turns with the fastest peer of this run, at each level, each way of asking.

    Of either side the settings that were fastest take turns first: each was measured at a time of
    its own, and the machine may have been busy with other things then.
    """
    held = []
    for level, kind in product(LEVELS, KINDS):
        peers = [point for point in points if point.program in rivals and point.program != OURS]
        sides = [fastest(side, level, kind)[:FINALISTS] for side in (of(OURS, points), peers)]
        if not all(sides):
            continue
        finalists = [point for side in sides for point in side]
        tried = dict(
            zip(map(id, finalists), in_turns(rivals, finalists, problem, kind, 3), strict=True)
        )
        pair = [max(side, key=lambda point: tried[id(point)]) for side in sides]
        rates = in_turns(rivals, pair, problem, kind, rounds)
        held.append(Duel(level, kind, pair[1].program, *rates, *(p.recall(kind) for p in pair)))
    return held


def in_turns(
    rivals: Mapping[str, Peer], points: Sequence[Point], problem: Problem, kind: str, rounds: int
) -> list[float]:
    """Queries a second of each point, its program set and asked in its turns."""
    count = min(len(problem.queries), GRID_QUERIES)

    def answer(peer: Peer, setting: Setting, ask: Callable[[int], Array]) -> None:
        peer.use(setting)
        ask(count)

    programs: list[harness.Program] = []
    for point in points:
        peer = rivals[point.program]
        ask = (one_by_one if kind == "one" else in_batch)(peer, peer.form(problem.queries[:count]))
        programs.append((str(point), partial(answer, peer, point.setting, ask), count, ""))
    return [1e6 / timing.microseconds for timing in harness.in_turns(programs, rounds=rounds)]


def promise(problem: Problem, targets: Sequence[float]) -> list[dict[str, float | None]]:
    """Target, predicted and reached recall over all queries, an index for each target."""
    rows: list[dict[str, float | None]] = []
    for target in targets:
        index: Any = lookalike.Index(problem.metric, recall=target)
        index.add(problem.base)
        ids = index.search(problem.queries, k=K).ids
        said = index.measure(k=K) if hasattr(index, "measure") else None
        rows.append({"target": target, "reached": problem.recall(ids)})
        for name, value in (("predicted", "recall"), ("low", "low"), ("high", "high")):
            rows[-1][name] = getattr(said, value, None)
    return rows


def threads(problem: Problem, targets: Sequence[float], number: int, rounds: int) -> None:
    """Print how many queries a second ours answers in batch, with one thread and with more."""
    ours = [Ours(targets), Ours(targets, number)]
    note = build(ours[0], problem).note
    if note:
        print(f"({OURS} {note})")
        return
    for one in ours:
        one.metric, one.index = problem.metric, ours[0].index
    queries = ours[0].form(problem.queries)
    print(f"\n### Threads: {OURS} in batch, {problem.name}\n")
    print(f"| recall asked for | 1 thread, queries/s | {number} threads, queries/s | times |")
    print("|---:|---:|---:|---:|")
    for target in targets:
        programs: list[harness.Program] = []
        for one in ours:
            one.use({"recall": target})
            ask = partial(one.search_batch, queries, K)
            programs.append((str(one.threads), ask, len(queries), ""))
        few, many = (1e6 / t.microseconds for t in harness.in_turns(programs, rounds=rounds))
        print(f"| {target} | {few:,.0f} | {many:,.0f} | {many / few:.2f} |")


# ---- what is kept, printed and drawn


def kept_at(name: str) -> Path:
    return ROOT / "build" / f"engine-{name}.json"


def keep(run: Run, name: str) -> None:
    path = kept_at(name)
    runs = json.loads(path.read_text()) if path.exists() else []
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps([*runs, asdict(run)], indent=1))


def assembled(name: str) -> Run:
    """All runs as one: of each program its latest measurement, of the rest the latest."""
    whole = Run("")
    for stored in json.loads(kept_at(name).read_text()) if kept_at(name).exists() else []:
        again = {built["program"] for built in stored["built"]}
        whole.built = [b for b in whole.built if b.program not in again]
        whole.points = [p for p in whole.points if p.program not in again]
        whole.built += [Built(**built) for built in stored["built"]]
        whole.points += [Point(**point) for point in stored["points"]]
        whole.duels = [Duel(**duel) for duel in stored["duels"]] or whole.duels
        whole.promise = stored["promise"] or whole.promise
        whole.machine = stored["machine"]
    return whole


def cell(points: Sequence[Point], program: str, level: float) -> str:
    found = [(kind, best(of(program, points), level, kind)) for kind in KINDS]
    if all(point is None for _, point in found):
        return "-"
    return " / ".join("-" if point is None else f"{point.qps(kind):,.0f}" for kind, point in found)


def print_programs(run: Run) -> None:
    print("\n### Queries a second, one query a call / in batch, at recall@10 of at least\n")
    print("| program | build s | bytes a vector | " + " | ".join(map(str, LEVELS)) + " |")
    print("|---|---:|---:|" + "---:|" * len(LEVELS))

    def speed(built: Built) -> float:
        point = best(of(built.program, run.points), 0.95, "one")
        return 0.0 if point is None else point.qps_one

    for built in sorted(run.built, key=speed, reverse=True):
        size = "" if built.bytes_a_vector is None else f"{built.bytes_a_vector:,.0f}"
        cells = [cell(run.points, built.program, level) for level in LEVELS]
        if built.note:
            size, cells = "", [built.note] + [""] * (len(LEVELS) - 1)
        print(f"| {built.program} | {built.seconds:.1f} | {size} | " + " | ".join(cells) + " |")


def print_duels(run: Run) -> None:
    if not run.duels:
        return
    print(f"\n### {OURS} in turns with the fastest peer\n")
    print("| recall | | ours, queries/s (recall) | peer, queries/s (recall) | peer | times |")
    print("|---:|---|---:|---:|---|---:|")
    for d in run.duels:
        print(
            f"| {d.level} | {KINDS[d.kind]} | {d.ours_qps:,.0f} ({d.ours_recall:.4f}) "
            f"| {d.peer_qps:,.0f} ({d.peer_recall:.4f}) | {d.peer} "
            f"| {d.ours_qps / d.peer_qps:.2f} |"
        )


def print_promise(run: Run) -> None:
    if not run.promise:
        return
    print("\n### The promise: recall@10 asked for, predicted and reached\n")
    print("| target | predicted (from, to) | reached |\n|---:|---:|---:|")
    for row in run.promise:
        said = "-"
        if row.get("predicted") is not None:
            said, low, high = (f"{row[name]:.4f}" for name in ("predicted", "low", "high"))
            said += f" ({low}, {high})"
        print(f"| {row['target']} | {said} | {row['reached']:.4f} |")


def frontier(points: Sequence[Point], program: str, kind: str) -> npt.NDArray[np.float64]:
    """Recall and queries a second of the settings that no other beats in both."""
    ranked = sorted(
        ((p.recall(kind), p.qps(kind)) for p in points if p.program == program), reverse=True
    )
    front: list[tuple[float, float]] = []
    for recall, qps in ranked:
        if not front or qps > front[-1][1]:
            front.append((recall, qps))
    return np.array(front[::-1])


def draw(run: Run, name: str, path: Path, kind: str = "one") -> None:
    """Write the picture of recall against queries a second, every program a line."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(10, 5.5), layout="constrained")
    for number, program in enumerate(dict.fromkeys(point.program for point in run.points)):
        front = frontier(run.points, program, kind)
        shown = front[(front[:, 0] >= 0.8) & (front[:, 0] < 1)]
        if len(shown):
            ours = program == OURS
            axes.plot(
                -np.log10(1 - shown[:, 0]), shown[:, 1],
                color="black" if ours else f"C{number % 10}",
                linestyle="-" if number < 10 else "--", linewidth=2.5 if ours else 1.2,
                marker="os^Dv"[number % 5], markersize=5 if ours else 4,
                label=program, zorder=3 if ours else 2,
            )  # fmt: skip
    ticks = [0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9995]
    axes.set_xticks([-np.log10(1 - tick) for tick in ticks], [f"{tick:g}" for tick in ticks])
    axes.set_yscale("log")
    axes.set_xlabel("recall@10 reached")
    axes.set_ylabel(f"queries a second, {KINDS[kind]}, one thread")
    axes.set_title(name)
    axes.grid(visible=True, which="both", alpha=0.25)
    figure.legend(loc="outside right upper", fontsize=8)
    path.parent.mkdir(exist_ok=True, parents=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


# ---- the command


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", choices=SETS, default="fashion-mnist")
    parser.add_argument("--targets", help="recalls to ask ours for, with commas between")
    parser.add_argument(
        "--peers", help=f"with commas between; all unless given: {', '.join(PEERS)}"
    )
    parser.add_argument("--peers-only", action="store_true", help="without ours")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each program in a duel")
    parser.add_argument("--queries", type=int, default=GRID_QUERIES, help="of each measurement")
    parser.add_argument("--quick", action="store_true", help="few queries, few settings, not kept")
    parser.add_argument("--promise", action="store_true", help="only: asked, predicted, reached")
    parser.add_argument("--threads", type=int, default=1, help="above 1, only: ours with so many")
    parser.add_argument("--table", action="store_true", help="print what was kept, measure nothing")
    parser.add_argument("--plot", action="store_true", help="draw what was kept in docs/figures")
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
    return parser.parse_args()


def compare(problem: Problem, options: argparse.Namespace, targets: Sequence[float]) -> Run:
    """Build and measure every program, then let ours take turns with the fastest peers."""
    count = QUICK_QUERIES if options.quick else options.queries
    step = 4 if options.quick else 1
    chosen = options.peers.split(",") if options.peers is not None else list(PEERS)
    programs = [PEERS[key]() for key in chosen if key]
    if not options.peers_only:
        programs.insert(0, Ours(targets))
    run = Run(harness.machine())
    rivals: dict[str, Peer] = {}
    for peer in programs:
        if not peer.fits(problem.base.dtype, problem.metric):
            continue
        built = build(peer, problem)
        print(built, file=sys.stderr, flush=True)
        run.built.append(built)
        if built.note:
            continue
        try:
            run.points += climb(peer, problem, count, step)
            rivals[peer.name] = peer
        except Exception as failure:  # one program's fault is no reason to lose the others' rows
            built.note = f"failed: {type(failure).__name__}: {failure}"[:200]
    run.duels = duels(rivals, run.points, problem, options.rounds)
    return run


def report(run: Run, name: str, options: argparse.Namespace) -> None:
    print(f"\n## {name}, k = {K}\n\n{run.machine}.")
    print_programs(run)
    print_duels(run)
    print_promise(run)
    if options.plot:
        picture = f"figures/engine-{name}.png"
        draw(run, name, ROOT / "docs" / picture)
        print(f"\n![Recall against queries a second on {name}, one query a call]({picture})")
    if options.json:
        json.dump(asdict(run), sys.stdout)
        print()


def main() -> None:
    options = arguments()
    if options.table:
        report(assembled(options.data), options.data, options)
        return
    targets = [float(t) for t in options.targets.split(",")] if options.targets else None
    problem = load(options.data)
    if options.threads > 1:  # the only part that may use every core
        threads(problem, targets or LEVELS, options.threads, options.rounds)
        return
    harness.pin_to_one_core()
    with chatter_to_stderr():
        if options.promise:
            run = Run(harness.machine())
            try:
                run.promise = promise(problem, targets or PROMISES)
            except (lookalike.NotSupported, TypeError) as absent:
                print(f"(no promise: {absent})", file=sys.stderr)
        else:
            run = compare(problem, options, targets or TARGETS)
        if not options.quick:
            keep(run, options.data)
    report(run, options.data, options)


if __name__ == "__main__":
    main()
