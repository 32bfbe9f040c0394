"""Draw the pictures of the documents from the handwritten digits: ``make figures``.

Seeds are fixed and the files carry no date or version, so the same versions of NumPy and
matplotlib write the same bytes again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lookalike import Index, plots
from lookalike.costs import lookup_costs
from lookalike.datasets import digits
from lookalike.engines.cells import CellTables
from lookalike.engines.exact import ExactEngine
from lookalike.engines.multi_index import MultiIndexEngine
from lookalike.engines.projection import learn_components
from lookalike.engines.rows import Rows
from lookalike.hashing.bit_sampling import BitSampling
from lookalike.hashing.curves import s_curve
from lookalike.native import Measure

FOLDER = Path(__file__).parent
DIGITS = digits()
STORED, QUERIES = DIGITS.images[:1500], DIGITS.images[1500:]
DISTANCES = np.stack([np.abs(STORED - query).sum(axis=(1, 2)) for query in QUERIES])
FAMILY = BitSampling(64, DIGITS.value_range)
DRAWS = 100
INK, MUTED, FAINT, SERIES = plots.INK, plots.MUTED, plots.FAINT, plots.SERIES


def index_of(bits: int, tables: int, seed: int) -> Index:
    index = Index("l1", bits=bits, tables=tables, value_range=DIGITS.value_range, seed=seed)
    index.add(STORED)
    return index


def neighbours() -> Any:
    """Query digits, each beside the five nearest that hash tables found."""
    shown = np.array([6, 37, 97, 120, 151])
    hits = index_of(24, 20, seed=0).search(QUERIES[shown], k=5)
    labels = DIGITS.labels[1500 + shown]
    captions = [
        [f"a {label}", *(f"{distance:.0f}" for distance in distances)]
        for label, distances in zip(labels, hits.distances, strict=True)
    ]
    return plots.neighbours_figure(
        QUERIES[shown],
        STORED[hits.ids],
        captions,
        right=DIGITS.labels[hits.ids] == labels[:, None],
    )


def s_curves() -> Any:
    """The chance of being found against the distance, for several k and m."""
    return plots.s_curve_figure(
        [(5, 5), (10, 5), (20, 5), (20, 15), (40, 15)],
        FAMILY.collision_probability,
        nearest=DISTANCES.min(axis=1),
        others=DISTANCES.ravel(),
    )


def candidates() -> Any:
    """Candidates measured in 100 draws of the hash functions against f(k, m)."""
    costs = []
    for bits in (5, 10, 20, 40):
        for tables in (1, 5, 15, 50):
            expected = s_curve(1 - DISTANCES / FAMILY.string_bits, bits, tables).sum()
            measured = [mean_candidates(index_of(bits, tables, seed)) for seed in range(DRAWS)]
            costs.append(
                plots.Cost(bits, tables, float(expected) / len(QUERIES), tuple(measured), 0.0)
            )
    return plots.candidates_figure(costs)


def mean_candidates(index: Index) -> float:
    return sum(len(found) for found in index.candidates(QUERIES)) / len(QUERIES)


def unary() -> Any:
    """Three pixels of two images in unary, with sampled bits, and L1 as Hamming distance."""
    pixels = ((5, 12), (4, 4), (9, 14))  # in image a, in image b
    sampled = (2, 7, 10)  # one bit of each pixel
    distance = sum(abs(first - second) for first, second in pixels)
    with plots.drawing():
        figure = plots.new_figure(3.7, 6.6)
        axes = figure.add_subplot()
        axes.set(xlim=(-3.4, 20.9), ylim=(11.1, -1.3), aspect="equal")
        axes.axis("off")
        axes.text(-2.2, -0.75, "pixel", fontsize=9)
        axes.text(0, -0.75, "in unary: bit t is 1 where the pixel is greater than t", fontsize=9)
        axes.text(16.5, -0.75, "bits that differ", fontsize=9)
        for number, (values, bit) in enumerate(zip(pixels, sampled, strict=True)):
            top = number * 2.8
            for offset, (name, value) in enumerate(zip("ab", values, strict=True)):
                _unary_row(axes, top + offset, name, value)
            _differing(axes, top, *values)
            axes.add_patch(_rectangle(bit, top, 1, 2, fc="none", ec=SERIES[0], lw=2.4, zorder=5))
        axes.text(
            16.5, 8.75, f"L1 = Hamming = {distance}", va="center", color=SERIES[1], fontsize=9
        )
        codes = [
            " ".join(
                "1" if values[image] > bit else "0"
                for values, bit in zip(pixels, sampled, strict=True)
            )
            for image in (0, 1)
        ]
        axes.text(
            0,
            9.3,
            f"Three bits drawn at random are the hash:  a is {codes[0]},  b is {codes[1]}.",
            color=SERIES[0],
            va="center",
        )
        axes.text(
            0,
            10.4,
            f"One such bit is the same in both with chance 1 - {distance}/48 = "
            f"{1 - distance / 48:.0%}.",
            color=SERIES[0],
            va="center",
        )
    return figure


def digit_rows() -> Rows:
    rows = Rows(64, Measure.squared_differences, DIGITS.value_range)
    rows.append(np.ascontiguousarray(STORED.reshape(-1, 64), np.uint8))
    return rows


def digit_tables(rows: Rows, dimensions: int) -> CellTables:
    return CellTables.learn(rows, learn_components(rows, 64, seed=0), dimensions, seed=0)


def ranks_of(rows: Rows, tables: CellTables, k: int) -> tuple[Any, Any]:
    queries = np.ascontiguousarray(QUERIES.reshape(-1, 64), np.uint8)
    wanted, _ = ExactEngine(rows).nearest(queries, len(queries), k, 1)
    return tables.ranks(queries, wanted, np.full(len(queries), -1), threads=1)


def cells() -> Any:
    """The digits on their first two components, each cell in a colour, and the cells probed."""
    rows = digit_rows()
    tables = digit_tables(rows, 16)
    y = tables.projection(rows, 1).y
    of_row = np.empty(len(rows), np.uint32)
    tables.sketches.cells.assign(y, 1, of_row)
    steps = tables.sketches.cells.sketch.steps
    centroids = tables.sketches.cells.codes.reshape(-1, 16) * steps
    query = Rows(64, Measure.squared_differences, DIGITS.value_range)
    query.append(np.ascontiguousarray(QUERIES[9].reshape(1, 64), np.uint8))
    place = tables.projection(query, 1).y[0, :16]
    probed = np.argsort(((centroids - place) ** 2).sum(axis=1))[:5]
    inside = np.isin(of_row, probed)
    with plots.drawing():
        figure = plots.new_figure(3.6)
        axes = figure.add_subplot()
        axes.scatter(*y[~inside, :2].T, s=5, color=MUTED, alpha=0.35, lw=0)
        for number, cell in enumerate(probed):
            axes.scatter(*y[of_row == cell, :2].T, s=13, color=SERIES[number], lw=0)
        axes.scatter(*centroids[:, :2].T, s=16, marker="+", color=INK, lw=0.7)
        axes.scatter(*place[:2], s=90, marker="*", color=INK, zorder=5)
        axes.set(
            title=f"1,500 digits in {tables.cells} cells; of these, 5 are probed",
            xlabel="first component",
            ylabel="second component",
        )
        axes.annotate(
            "the query",
            place[:2],
            (-150, 60),
            textcoords="offset points",
            arrowprops={"arrowstyle": "-"},
        )
    return figure


def sketch_error() -> Any:
    """How many rows have smaller estimates than the ten true neighbours, for several sketches."""
    rows = digit_rows()
    with plots.drawing():
        figure = plots.new_figure(3.0)
        axes = figure.add_subplot()
        for number, dimensions in enumerate((8, 16, 24, 48)):
            _, ranks = ranks_of(rows, digit_tables(rows, dimensions), 10)
            ordered = np.sort(ranks.ravel())
            share = np.arange(1, len(ordered) + 1) / len(ordered)
            axes.plot(ordered, share, color=SERIES[number], label=f"{dimensions} dimensions")
        axes.set(
            title="Rows verified to find the ten nearest",
            xlabel="rows with the smallest estimates, of 1,500",
            ylabel="share of neighbours",
            xscale="log",
            xlim=(1, 200),
            ylim=(0, 1.02),
        )
        axes.grid(visible=True)
        axes.legend(loc="lower right")
    return figure


def probes() -> Any:
    """Recall against cells probed, for several numbers of verified rows."""
    rows = digit_rows()
    tables = digit_tables(rows, 24)
    cell_ranks, estimate_ranks = ranks_of(rows, tables, 10)
    tried = np.arange(1, 41)
    with plots.drawing():
        figure = plots.new_figure(3.0)
        axes = figure.add_subplot()
        for number, candidates in enumerate((10, 12, 15, 1500)):
            found = [((cell_ranks <= p) & (estimate_ranks <= candidates)).mean() for p in tried]
            name = "all rows verified" if candidates == 1500 else f"{candidates} rows verified"
            axes.plot(tried, found, color=SERIES[number], label=name)
        axes.set(
            title="Either step may lose a neighbour",
            xlabel=f"cells probed, of {tables.cells}",
            ylabel="recall of the ten nearest",
            ylim=(0.3, 1.02),
        )
        axes.grid(visible=True)
        axes.legend(loc="lower right")
    return figure


def substrings() -> Any:
    """Rows that a search within a radius compares, of a million and of a hundred thousand codes."""
    with plots.drawing():
        figure = plots.new_figure(3.0)
        axes = figure.add_subplot()
        for number, count in enumerate((1_000_000, 100_000)):
            codes = np.random.default_rng(0).integers(0, 256, (count, 32), np.uint8)
            rows = Rows(32, Measure.differing_bits)
            rows.append(codes)
            engine = MultiIndexEngine(rows, 256, lookup_costs(rows), seed=0)
            radii = np.arange(64)
            compared = np.array([engine.index.work(int(r))[1] for r in radii])
            name = f"{count:,} codes, {len(engine.substrings.places)} substrings"
            axes.plot(radii, compared, color=SERIES[number], label=name)
            axes.axhline(count, color=SERIES[number], lw=0.8, ls=":")
            most = max(r for r in radii if engine.looks_up(float(r)))
            axes.plot([most], [compared[most]], "o", color=SERIES[number])
        axes.set(
            title="Few rows are compared within a small radius",
            xlabel="radius, of 256 bits (dot: the largest that is looked up)",
            ylabel="rows compared (dotted: all)",
            yscale="log",
        )
        axes.grid(visible=True)
        axes.legend(loc="lower right")
    return figure


def _unary_row(axes: Any, top: float, name: str, value: int) -> None:
    ground = 1 - value / 16
    axes.add_patch(_rectangle(-2.2, top, 1, 1, fc=str(ground), ec=MUTED, lw=0.8))
    axes.text(-2.5, top + 0.55, name, ha="right", va="center", style="italic")
    axes.text(-0.9, top + 0.55, str(value), ha="left", va="center", fontsize=9)
    for bit in range(16):
        one = value > bit
        axes.add_patch(
            _rectangle(bit + 0.5 - 0.5, top, 1, 1, fc=INK if one else "white", ec="#b9bfcc", lw=0.7)
        )
        axes.text(
            bit + 0.5,
            top + 0.55,
            "1" if one else "0",
            ha="center",
            va="center",
            fontsize=8,
            color="white" if one else MUTED,
        )


def _differing(axes: Any, top: float, first: int, second: int) -> None:
    """Bracket the bits in which two values differ, and say how many they are."""
    low, high = sorted((first, second))
    if low < high:
        axes.plot([low + 0.08, high - 0.08], [top + 2.2] * 2, color=SERIES[1], lw=2.5)
    axes.text(
        16.5,
        top + 1.05,
        f"|{first} - {second}| = {high - low}",
        va="center",
        color=SERIES[1] if low < high else MUTED,
    )


def _rectangle(left: float, top: float, width: float, height: float, **style: Any) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((left, top), width, height, **style)


def buckets() -> Any:
    """Sizes of the buckets of one table, for several k: from few large ones to many single."""
    from matplotlib.ticker import MaxNLocator

    with plots.drawing():
        figure = plots.new_figure(4.3, 6.6)
        grid = figure.subplots(2, 2)
        for axes, bits, colour in zip(grid.flat, (5, 10, 20, 40), SERIES, strict=False):
            sizes = np.sort(bucket_sizes(bits, seed=0))[::-1]
            ends = np.cumsum(sizes)
            axes.bar(ends - sizes, sizes, width=sizes, align="edge", color=colour, lw=0)
            inner = ends[sizes > 8]  # a gap beside a thinner bar would hide it
            axes.vlines(inner, 0, sizes[: len(inner)], color="white", lw=0.5)
            axes.set(xlim=(0, 1500), ylim=(0, 1.65 * sizes[0]), xticks=[0, 500, 1000, 1500])
            axes.xaxis.set_major_formatter("{x:,.0f}")
            axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
            seen = float((sizes**2).sum()) / 1500
            single = float((sizes == 1).sum()) / 1500
            axes.set_title(f"k = {bits}", color=colour, fontweight="bold")
            axes.text(
                1.0,
                1.0,
                f"{len(sizes):,} buckets\nan image is with {seen - 1:,.1f} others on average\n"
                f"{single:.0%} are alone",
                transform=axes.transAxes,
                ha="right",
                va="top",
                fontsize=8.5,
                linespacing=1.5,
            )
        figure.supxlabel("images, largest bucket first", fontsize=9.5)
        figure.supylabel("size of their bucket", fontsize=9.5)
    return figure


def bucket_sizes(bits: int, seed: int) -> Any:
    codes = FAMILY.draw(seed, tables=1, bits=bits).hash(
        STORED.reshape(len(STORED), -1).astype(np.uint8)
    )[0]
    return np.unique(codes, axis=0, return_counts=True)[1]


PICTURES: dict[str, Callable[[], Any]] = {
    "neighbours": neighbours,
    "s-curve": s_curves,
    "candidates": candidates,
    "unary": unary,
    "buckets": buckets,
    "cells": cells,
    "sketch": sketch_error,
    "probes": probes,
    "substrings": substrings,
}


def main(names: list[str]) -> None:
    """Draw the named pictures, or all of them."""
    for name in names or PICTURES:
        figure = PICTURES[name]()
        path = FOLDER / f"{name}.png"
        with plots.drawing():
            figure.savefig(path, dpi=200, facecolor="white", metadata={"Software": None})
        print(f"drew {path.name}")


if __name__ == "__main__":
    main(sys.argv[1:])
