"""The report of the demonstration, as one HTML page."""

from __future__ import annotations

import numpy as np

from lookalike import plots, report
from lookalike.demo.results import DemoResult, Method, summary

__all__ = ["demo_page"]

_SHOWN = (0, 37, 62, 97, 120, 151)  # queries in the picture
_SHOWN_K = 5
_HEAD = (
    "",
    "candidates",
    "nearest found",
    "mean distance",
    "µs a query",
    "µs, one a call",
    "speed against NumPy",
    "candidates expected",
)


def demo_page(result: DemoResult) -> str:
    """Return the report as HTML.

    Parameters
    ----------
    result : DemoResult

    Raises
    ------
    MissingExtra
        When matplotlib is not installed.
    """
    return report.page(
        "The closest digit",
        f"{result.queries} handwritten digits, searched among {result.stored:,} others "
        f"(8 x 8 pixels, grey values 0 to 16) by L1 distance. Seed {result.seed}, CPU level "
        f"{result.cpu_level}, one thread.",
        report.section("What was measured", _table(result), *_explained(result)),
        report.section("What was found", _neighbours(result)),
        report.section("What k and m do", _curves(result)),
        report.section("Candidates, expected and measured", _candidates(result)),
        report.section("Time", _times(result)),
    )


def _table(result: DemoResult) -> str:
    chosen = [
        number
        for number, method in enumerate(result.methods)
        if (method.bits, method.tables) == (result.wanted.bits, result.wanted.tables)
    ]
    return report.table(_HEAD, [_row(method) for method in result.methods], marked=chosen)


def _row(method: Method) -> list[str]:
    expected, distance = method.expected_candidates, method.mean_distance
    return [
        method.name,
        f"{method.candidates:,.0f}",
        f"{method.nearest_found:.1%}",
        "" if distance is None else f"{distance:.1f}",
        f"{method.microseconds_batch:.1f}",
        f"{method.microseconds_single:.1f}",
        f"{method.speedup:.1f} x",
        "" if expected is None else f"{expected:,.0f}",
    ]


def _explained(result: DemoResult) -> list[str]:
    wanted = result.wanted
    unanswered = [f"{m.unanswered} with {m.name}" for m in result.methods if m.unanswered]
    note = (
        "Candidates: images compared with a query, a mean. Expected: f(k, m), their mean over all "
        "draws of hash functions, of which this is one. Nearest found: queries whose hit is as "
        "near as the nearest stored image. Mean distance: to the hits, where there was one"
        + (f" (queries without any: {', '.join(unanswered)})" if unanswered else "")
        + f". Times: the median of {result.repeats} runs, all queries in one call or each in "
        "one of its own. NumPy is brute force on the float64 images as they were loaded; tuned "
        "means one byte a pixel, with the images laid out pixel by pixel."
    )
    close = int((result.digits.distances.min(axis=1) <= wanted.distance).sum())
    choice = (
        f"The marked row was computed beforehand, from stored images alone: nine of ten have "
        f"another within distance {wanted.distance:.0f}, and k = {wanted.bits}, "
        f"m = {wanted.tables} finds an image at that distance with a chance of at least "
        f"{wanted.recall:.0%} at the least work. Nearer ones are found more often, farther ones "
        f"less; {close} of the {result.queries} queries have their nearest image within it."
    )
    return [report.prose(note, note=True), report.prose(*summary(result), choice)]


def _neighbours(result: DemoResult) -> str:
    data, wanted = result.digits, result.wanted
    shown = np.array(_SHOWN)
    index = data.index(wanted.bits, wanted.tables, result.seed)
    hits = index.search(data.queries[shown], k=_SHOWN_K)
    found = np.where((hits.ids >= 0)[..., None, None], data.stored[hits.ids], 0.0)
    digit = data.source.labels[len(data.stored) + shown]
    captions = [
        [f"a {digit[row]}", *(f"{d:.0f}" if np.isfinite(d) else "none" for d in distances)]
        for row, distances in enumerate(hits.distances)
    ]
    same = (hits.ids < 0) | (data.source.labels[hits.ids] == digit[:, None])
    figure = plots.neighbours_figure(data.queries[shown], found, captions, right=same)
    return report.figure(
        plots.to_svg(figure, "neighbours"),
        describes=f"{len(shown)} query digits, each beside the {_SHOWN_K} nearest found",
        caption=f"Found with k = {wanted.bits}, m = {wanted.tables}; the numbers are L1 "
        "distances. A thick frame marks a different digit than the one searched for.",
    )


def _curves(result: DemoResult) -> str:
    data = result.digits
    settings = [
        (method.bits, method.tables) for method in result.methods if method.bits and method.tables
    ]
    figure = plots.s_curve_figure(
        settings[:5],
        data.family.collision_probability,
        nearest=data.distances.min(axis=1),
        others=data.distances.ravel(),
    )
    return report.figure(
        plots.to_svg(figure, "curves"),
        describes="The chance of being found falls with the distance, in the shape of an S",
        caption="1 - (1 - p^k)^m, where p = 1 - distance / 1024 is the chance that one bit "
        "agrees. More bits move the curve to the left, more tables to the right. It should be "
        "high over the nearest images and low over all others.",
    )


def _candidates(result: DemoResult) -> str:
    draws = len(result.sweep[0].measured)
    return report.figure(
        plots.to_svg(plots.candidates_figure(result.sweep), "candidates"),
        describes="Measured candidates lie around the diagonal: as many as expected",
        caption=f"Each small dot is the mean over all queries in one of {draws} draws of the "
        "hash functions, each ring the mean of the draws. f(k, m) is the sum of the S-curve "
        "over the stored images. All queries of an index share one draw, so a single index may "
        "lie well off the line, most of all with one table.",
    )


def _times(result: DemoResult) -> str:
    levels = {
        "exact": result.first("exact").microseconds_batch,
        "NumPy": result.methods[-1].microseconds_batch,
    }
    return report.figure(
        plots.to_svg(plots.time_figure(result.sweep, levels=levels), "times"),
        describes="Microseconds of a query against k m, with exact search and NumPy as lines",
        caption="Lines join equal k; along a line m is 1, 5, 15, 50. At equal k m few bits are "
        "slower than many, because they leave more candidates to compare. All queries in one "
        "call.",
    )
