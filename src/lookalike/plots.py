"""Figures of what k bits and m tables do, and of what a search found.

Each function returns a ``matplotlib.figure.Figure`` of its own: pyplot, its global state and
its windows are not used, so the functions work in threads and without a display. Save one with
``figure.savefig(path)``, or put it into a page with :func:`to_svg`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lookalike.errors import MissingExtra
from lookalike.hashing.curves import s_curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "FAINT",
    "INK",
    "MUTED",
    "SERIES",
    "Cost",
    "candidates_figure",
    "drawing",
    "neighbours_figure",
    "new_figure",
    "s_curve_figure",
    "time_figure",
    "to_svg",
]

INK, MUTED, FAINT = "#1f2430", "#6b7385", "#dde1e9"
SERIES = ("#2563c9", "#c2570c", "#0f8a5f", "#a83279", "#7256c7")
_WIDTH_INCHES = 5.4  # 520 CSS pixels: text stays readable when a phone shrinks it to 350
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so figures are the same everywhere
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "grid.color": FAINT,
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "lines.linewidth": 2.0,
    "svg.fonttype": "none",
}


@dataclass(frozen=True, slots=True)
class Cost:
    """What one setting of k and m cost.

    Attributes
    ----------
    bits, tables : int
        k and m.
    expected : float
        Expected candidates of a query, f(k, m).
    measured : tuple of float
        Mean candidates of a query, one for each draw of the hash functions.
    microseconds : float
        Of a query.
    """

    bits: int
    tables: int
    expected: float
    measured: tuple[float, ...]
    microseconds: float


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in the style of the house within this context.

    Raises
    ------
    MissingExtra
        When matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context  # noqa: PLC0415
    except ImportError:
        raise MissingExtra("a figure", "matplotlib", "plots") from None
    with rc_context(_STYLE):
        yield


def new_figure(height_inches: float, width_inches: float = _WIDTH_INCHES) -> Figure:
    """Return an empty figure on a transparent ground; call it within :func:`drawing`."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    return Figure(figsize=(width_inches, height_inches), layout="constrained", facecolor="none")


def to_svg(figure: Figure, name: str) -> str:
    """Return a figure as an ``<svg>`` element to put into a page.

    Parameters
    ----------
    figure : Figure
    name : str
        Ids inside are derived from it, so figures of one page need different names.

    Returns
    -------
    str
        Without prolog, metadata and fixed size. The colours of this module are CSS variables
        with the colour as fallback (``var(--ink, #1f2430)``; also ``--muted``, ``--faint``
        and ``--series-0`` on), so a page can give them other values in the dark.
    """
    stream = io.StringIO()
    with drawing():
        from matplotlib import rc_context  # noqa: PLC0415

        with rc_context({"svg.hashsalt": name}):
            figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    text = stream.getvalue()
    opening, _, rest = text[text.index("<svg") :].partition(">")
    opening = re.sub(r'\s(xmlns(:xlink)?|width|height|version)="[^"]*"', "", opening)
    text = opening + ">" + re.sub(r"<metadata>.*?</metadata>", "", rest, flags=re.DOTALL)
    names = {INK: "ink", MUTED: "muted", FAINT: "faint"}
    names |= {colour: f"series-{i}" for i, colour in enumerate(SERIES)}
    for colour, variable in names.items():
        text = text.replace(colour, f"var(--{variable}, {colour})")
    return text.strip()


def s_curve_figure(
    settings: Sequence[tuple[int, int]],
    collision_probability: Callable[[float], float],
    *,
    nearest: npt.ArrayLike,
    others: npt.ArrayLike,
    label: str = "L1 distance to the query",
) -> Figure:
    """Draw the chance of being found against the distance, over the distances that occur.

    Parameters
    ----------
    settings : sequence of (int, int)
        Pairs of k and m, one curve each.
    collision_probability : callable
        Of the hash family: distance -> chance that one bit agrees.
    nearest : array of float, shape (n,)
        Distances from queries to their nearest item: what should be found.
    others : array of float, shape (any,)
        Distances from queries to all items: what should be left alone.
    label : str
        Of the horizontal axis.
    """
    nearest, others = np.asarray(nearest, np.float64), np.asarray(others, np.float64)
    distances = np.linspace(0.0, float(np.quantile(others, 0.995)), 241)
    chances = np.array([collision_probability(d) for d in distances])
    with drawing():
        figure = new_figure(3.8)
        axes = figure.add_subplot()
        for (bits, tables), colour in zip(settings, SERIES, strict=False):
            curve = s_curve(chances, bits, tables)
            axes.plot(distances, curve, color=colour, label=f"k = {bits}, m = {tables}")
        _hill(axes, others, distances[-1], FAINT, "distance to all images")
        _hill(axes, nearest, distances[-1], MUTED, "distance to the nearest")
        axes.set(xlim=(0, distances[-1]), ylim=(0, 1.03), xlabel=label)
        axes.set_title("Chance of sharing a bucket in at least one table")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        figure.legend(loc="outside lower center", ncols=3)
    return figure


def candidates_figure(costs: Sequence[Cost]) -> Figure:
    """Draw candidates measured against candidates expected, f(k, m).

    Parameters
    ----------
    costs : sequence of Cost
        Each is a small dot for every draw of the hash functions and a ring at their mean.
    """
    with drawing():
        figure = new_figure(4.1)
        axes = figure.add_subplot()
        for number, (bits, group) in enumerate(_by_bits(costs)):
            colour = SERIES[number % len(SERIES)]
            for cost in group:
                expected = np.full(len(cost.measured), cost.expected)
                axes.plot(expected, cost.measured, ".", color=colour, ms=4.5, alpha=0.4, mew=0)
            means = [float(np.mean(cost.measured)) for cost in group]
            axes.plot(
                [cost.expected for cost in group],
                means,
                "o",
                color=colour,
                mfc="none",
                ms=8,
                mew=1.6,
                label=f"k = {bits}",
            )
        _log_log(axes)
        ends = [max(axes.get_xlim()[0], axes.get_ylim()[0]), axes.get_xlim()[1]]
        axes.plot(ends, ends, color=MUTED, lw=1, zorder=0)
        axes.set_xlabel("candidates expected, f(k, m)")
        axes.set_title("Candidates measured")
        axes.legend(loc="upper left")
    return figure


def time_figure(costs: Sequence[Cost], *, levels: Mapping[str, float]) -> Figure:
    """Draw the time of a query against k m, the number of hash bits to compute.

    Parameters
    ----------
    costs : sequence of Cost
    levels : mapping of str to float
        Microseconds of other methods, drawn as horizontal lines.
    """
    with drawing():
        figure = new_figure(3.8)
        axes = figure.add_subplot()
        for number, (bits, group) in enumerate(_by_bits(costs)):
            axes.plot(
                [cost.bits * cost.tables for cost in group],
                [cost.microseconds for cost in group],
                "o-",
                color=SERIES[number % len(SERIES)],
                ms=5,
                lw=1.4,
                label=f"k = {bits}",
            )
        _log_log(axes)
        for name, microseconds in levels.items():
            axes.axhline(microseconds, color=MUTED, lw=1, dashes=(4, 3))
            axes.annotate(
                name,
                (1, microseconds),
                xycoords=("axes fraction", "data"),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                color=MUTED,
                fontsize=8.5,
            )
        axes.set_xlabel("k m, hash bits of a query")
        axes.set_title("Microseconds per query")
        figure.legend(loc="outside lower center", ncols=4)
    return figure


def neighbours_figure(
    queries: npt.NDArray[Any],
    found: npt.NDArray[Any],
    captions: Sequence[Sequence[str]],
    *,
    right: npt.NDArray[np.bool_] | None = None,
) -> Figure:
    """Draw each query beside what was found, nearest first.

    Parameters
    ----------
    queries : ndarray, shape (n, height, width)
    found : ndarray, shape (n, k, height, width)
    captions : sequence of n sequences of k + 1 str
        One line below each image, the query's first.
    right : ndarray of bool, shape (n, k), optional
        Images where this is False get a coloured frame.
    """
    rows, columns = found.shape[:2]
    largest = float(max(queries.max(), found.max()))
    with drawing():
        figure = new_figure(rows * 1.06 + 0.3)
        grid = figure.add_gridspec(
            rows, columns + 2, width_ratios=[1, 0.16, *[1] * columns], hspace=0.02, wspace=0.02
        )
        for row in range(rows):
            for column in range(columns + 1):
                axes = figure.add_subplot(grid[row, column + (column > 0)])
                image = queries[row] if column == 0 else found[row, column - 1]
                wrong = right is not None and column > 0 and not right[row, column - 1]
                _picture(axes, image, largest, captions[row][column], wrong=wrong)
                if row == 0 and column < 2:
                    axes.set_title(("query", "nearest found")[column], fontsize=9.5)
    return figure


def _picture(
    axes: Axes, image: npt.NDArray[Any], largest: float, caption: str, *, wrong: bool
) -> None:
    axes.imshow(image, cmap="gray_r", vmin=0, vmax=largest, interpolation="none")
    axes.set(xticks=[], yticks=[])
    axes.set_xlabel(caption, fontsize=8, labelpad=3, color=SERIES[1] if wrong else INK)
    for spine in axes.spines.values():
        spine.set(
            visible=True, color=SERIES[1] if wrong else MUTED, linewidth=1.8 if wrong else 0.5
        )


def _hill(axes: Axes, values: npt.NDArray[np.float64], end: float, colour: str, name: str) -> None:
    """A histogram of distances at the foot of the axes."""
    heights, edges = np.histogram(values, bins=48, range=(0.0, end))
    scaled = heights * (0.3 / heights.max())
    axes.stairs(scaled, edges, fill=True, color=colour, alpha=0.75, zorder=0, label=name)


def _by_bits(costs: Sequence[Cost]) -> Iterator[tuple[int, list[Cost]]]:
    for bits in sorted({cost.bits for cost in costs}):
        group = [cost for cost in costs if cost.bits == bits]
        yield bits, sorted(group, key=lambda cost: cost.tables)


def _log_log(axes: Axes) -> None:
    axes.set(xscale="log", yscale="log")
    axes.grid(visible=True)
    axes.minorticks_off()
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:g}" if value < 1000 else f"{value:,.0f}")
