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
from lookalike.datasets import digits
from lookalike.hashing.bit_sampling import BitSampling
from lookalike.hashing.curves import s_curve

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
