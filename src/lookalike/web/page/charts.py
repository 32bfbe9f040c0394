"""Charts, each with a table that says the same.

Colours are variables of the style sheet, which the browser resolves: charts follow the light or
dark setting of the system. No option is a function, so that no text of ours is run as a script.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nicegui import ui

from lookalike.web.page.parts import tag

__all__ = ["Dot", "chance_chart", "chart", "table", "trail_chart"]

Options = dict[str, Any]
_FONT = {"fontFamily": "system-ui, DejaVu Sans, sans-serif", "color": "var(--muted)"}
_DOT = 11  # pixels


@dataclass(frozen=True, slots=True)
class Dot:
    """A neighbour on a chart.

    Attributes
    ----------
    distance, chance : float
        Where it stands.
    found : bool
        Filled if so.
    """

    distance: float
    chance: float
    found: bool


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str, hidden: bool = False
) -> Any:
    """A table whose first column names the rows.

    Parameters
    ----------
    head : sequence of str
    rows : sequence of sequences of str
        Each as long as ``head``.
    caption : str
        What it shows, for readers who cannot see where it stands.
    hidden : bool
        For readers who cannot see a chart, and nobody else.
    """
    classes = "lk-hidden" if hidden else "lk-around"
    with tag("div", classes=classes, tabindex=None if hidden else "0") as around:
        around.props["role"] = "group"
        around.props["aria-label"] = caption
        with tag("table", classes="lk-table"):
            tag("caption", caption, classes="lk-hidden")
            with tag("thead"), tag("tr"):
                for title in head:
                    tag("th", title, scope="col")
            with tag("tbody"):
                for name, *cells in rows:
                    with tag("tr"):
                        tag("th", name, scope="row")
                        for cell in cells:
                            tag("td", cell)
    return around


def chart(options: Options, describes: str) -> ui.echart:
    """A chart, with what it shows in words."""
    own = ui.echart(options, renderer="svg").classes("lk-chart")
    own.props["role"] = "img"
    own.props["aria-label"] = describes
    return own


def chance_chart(
    curve: Sequence[tuple[float, float]],
    dots: Sequence[Dot],
    *,
    line: str,
    marks: Mapping[str, float] | None = None,
    unit: str = "distance",
) -> Options:
    """The chance of being found over the distance, with neighbours on it.

    Parameters
    ----------
    curve : sequence of (float, float)
    dots : sequence of Dot
    line : str
        What the curve is.
    marks : mapping from str to float, optional
        Distances that stand out, by name.
    unit : str
    """
    return {
        **_about(),
        "xAxis": _axis(unit, max=curve[-1][0], min=0),
        "yAxis": _axis("chance of being found", max=1, min=0, interval=0.25),
        "series": [
            _line(line, curve, marks or {}),
            _dots("found", [dot for dot in dots if dot.found], filled=True),
            _dots("missed", [dot for dot in dots if not dot.found], filled=False),
        ],
    }


def trail_chart(tried: Sequence[tuple[float, float]]) -> Options:
    """The settings tried, by the share of candidates and what is found; the last stands out.

    Parameters
    ----------
    tried : sequence of (float, float)
        Candidates as a share of all, and recall.
    """
    before, now = tried[:-1], tried[-1:]
    last = _scatter("now", [list(own) for own in now], "var(--accent)", filled=True)
    return {
        **_about(),
        "xAxis": _axis("share that is compared", max=1, min=0, interval=0.25),
        "yAxis": _axis("share of the ten nearest found", max=1, min=0, interval=0.25),
        "series": [
            {
                **_scatter("before", [list(own) for own in before], "var(--muted)", filled=True),
                "symbolSize": 7,
            },
            {**last, "symbolSize": 15},
        ],
    }


def _about() -> Options:
    return {
        "animation": False,
        "textStyle": _FONT,
        "grid": {"left": 60, "right": 20, "top": 40, "bottom": 46},
        "legend": {
            "top": 0,
            "left": 0,
            "textStyle": _FONT,
            "itemWidth": 16,
            "itemGap": 12,  # all in one line, also on a telephone
            "selectedMode": False,
        },
    }


def _axis(name: str, **about: Any) -> Options:
    vertical = name.startswith(("chance", "share of"))
    return {
        "type": "value",
        "name": name,
        "nameLocation": "middle",
        "nameGap": 40 if vertical else 28,
        "nameTextStyle": _FONT,
        "axisLabel": {**_FONT, "hideOverlap": True},
        "axisLine": {"lineStyle": {"color": "var(--faint)"}},
        "splitLine": {"lineStyle": {"color": "var(--faint)"}},
        **about,
    }


def _line(name: str, points: Sequence[tuple[float, float]], marks: Mapping[str, float]) -> Options:
    return {
        "name": name,
        "type": "line",
        "data": [list(point) for point in points],
        "showSymbol": False,
        "silent": True,
        "itemStyle": {"color": "var(--series-0)"},
        "lineStyle": {"color": "var(--series-0)", "width": 2.5},
        "markLine": {
            "symbol": "none",
            "silent": True,
            "lineStyle": {"color": "var(--muted)", "type": "dashed"},
            "label": {**_FONT, "formatter": "{b}", "position": "insideEndTop"},
            "data": [{"name": own, "xAxis": where} for own, where in marks.items()],
        },
    }


def _dots(name: str, dots: Sequence[Dot], *, filled: bool) -> Options:
    places = [[dot.distance, dot.chance] for dot in dots]
    return _scatter(name, places, "var(--series-2)" if filled else "var(--series-1)", filled=filled)


def _scatter(name: str, places: list[list[float]], colour: str, *, filled: bool) -> Options:
    style: Options = {"color": colour if filled else "var(--ground)", "borderColor": colour}
    return {
        "name": name,
        "type": "scatter",
        "data": places,
        "symbolSize": _DOT,
        "silent": True,
        "z": 5,
        "itemStyle": {**style, "borderWidth": 2},
    }
