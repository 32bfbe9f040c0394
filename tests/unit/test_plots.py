import io
import re
import subprocess
import sys
from collections.abc import Callable
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from lookalike import MissingExtra, plots
from lookalike.hashing.bit_sampling import BitSampling
from lookalike.hashing.curves import s_curve

COSTS = [
    plots.Cost(5, 1, 40.0, (38.0, 44.0), 4.0),
    plots.Cost(5, 5, 90.0, (85.0, 97.0), 20.0),
    plots.Cost(10, 5, 30.0, (29.0, 31.0), 7.0),
]


def curves() -> Figure:
    family = BitSampling(64, 16)
    return plots.s_curve_figure(
        [(5, 5), (20, 15)],
        family.collision_probability,
        nearest=np.array([50.0, 70.0]),
        others=np.linspace(100.0, 400.0, 50),
    )


def grid(right: list[list[bool]] | None = None) -> Figure:
    images = np.arange(4 * 64, dtype=np.float64).reshape(4, 8, 8)
    return plots.neighbours_figure(
        images[:1],
        images[1:].reshape(1, 3, 8, 8),
        [["a 3", "10", "20", "30"]],
        right=None if right is None else np.array(right),
    )


FIGURES: dict[str, Callable[[], Figure]] = {
    "curves": curves,
    "candidates": lambda: plots.candidates_figure(COSTS),
    "time": lambda: plots.time_figure(COSTS, levels={"exact": 3.0}),
    "grid": grid,
}


def test_s_curves_are_drawn_as_the_formula_says() -> None:
    axes = curves().axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    assert list(lines) == ["k = 5, m = 5", "k = 20, m = 15"]
    distances, chances = lines["k = 20, m = 15"].get_data()
    expected = s_curve(1 - np.asarray(distances) / 1024, 20, 15)
    np.testing.assert_allclose(np.asarray(chances), expected, rtol=1e-12)


def test_candidates_are_drawn_at_expected_and_measured() -> None:
    axes = plots.candidates_figure(COSTS).axes[0]
    rings = {line.get_label(): line.get_xydata() for line in axes.lines}
    assert np.asarray(rings["k = 5"]).tolist() == [[40.0, 41.0], [90.0, 91.0]]
    assert np.asarray(rings["k = 10"]).tolist() == [[30.0, 30.0]]
    dots = [line for line in axes.lines if line.get_marker() == "."]
    assert np.asarray(dots[0].get_xydata()).tolist() == [[40.0, 38.0], [40.0, 44.0]]


def test_the_diagonal_of_candidates_is_where_measured_equals_expected() -> None:
    axes = plots.candidates_figure(COSTS).axes[0]
    x, y = axes.lines[-1].get_data()
    assert np.asarray(x).tolist() == np.asarray(y).tolist()


def test_time_is_drawn_against_k_m_with_other_methods_as_levels() -> None:
    axes = plots.time_figure(COSTS, levels={"exact": 3.0}).axes[0]
    lines = {line.get_label(): np.asarray(line.get_xydata()).tolist() for line in axes.lines}
    assert lines["k = 5"] == [[5.0, 4.0], [25.0, 20.0]]
    assert lines["k = 10"] == [[50.0, 7.0]]
    assert [3.0, 3.0] in [list(np.asarray(line.get_ydata())) for line in axes.lines]
    assert [text.get_text() for text in axes.texts] == ["exact"]


def test_queries_stand_first_with_their_captions() -> None:
    axes = grid().axes
    assert [a.get_xlabel() for a in axes] == ["a 3", "10", "20", "30"]
    assert [a.get_title(loc="left") for a in axes] == ["query", "nearest found", "", ""]
    shown = np.asarray(axes[2].images[0].get_array())
    assert shown.ravel().tolist() == list(range(128, 192))


def test_images_that_are_not_right_get_a_coloured_frame() -> None:
    axes = grid(right=[[True, False, True]]).axes
    frames = [to_hex(a.spines["left"].get_edgecolor()) == plots.SERIES[1] for a in axes]
    assert frames == [False, False, True, False]


@pytest.mark.parametrize("name", FIGURES)
def test_figures_can_be_saved_without_pyplot(name: str) -> None:
    stream = io.BytesIO()
    FIGURES[name]().savefig(stream, format="png")
    assert stream.getvalue().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", FIGURES)
def test_an_svg_is_well_formed_and_loads_nothing(name: str) -> None:
    svg = plots.to_svg(FIGURES[name](), name)
    ElementTree.fromstring(svg.replace("<svg", '<svg xmlns:xlink="x"', 1))
    assert svg.startswith("<svg viewBox=")
    assert svg.endswith("</svg>")
    assert "http" not in svg
    assert "<metadata" not in svg


def test_images_in_an_svg_keep_their_size() -> None:
    svg = plots.to_svg(grid(), "grid")
    images = re.findall(r"<image[^>]*>", svg)
    assert len(images) == 4
    assert all('width="' in image and "data:image/png;base64" in image for image in images)


def test_colours_of_an_svg_are_variables_with_the_colour_as_fallback() -> None:
    svg = plots.to_svg(curves(), "curves")
    assert f"stroke: var(--series-0, {plots.SERIES[0]})" in svg
    assert f"var(--ink, {plots.INK})" in svg
    assert svg.count(plots.INK) == svg.count(f"var(--ink, {plots.INK})")


def test_two_figures_of_a_page_share_no_clip_path() -> None:
    ids = [
        set(re.findall(r'<clipPath id="([^"]+)"', plots.to_svg(curves(), name)))
        for name in ("one", "two")
    ]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_the_same_figure_gives_the_same_svg() -> None:
    assert plots.to_svg(curves(), "same") == plots.to_svg(curves(), "same")


def test_drawing_leaves_the_settings_of_the_user_alone() -> None:
    from matplotlib import rcParams

    before = dict(rcParams)
    plots.to_svg(curves(), "curves")
    assert dict(rcParams) == before


def test_pyplot_is_not_loaded() -> None:
    program = (
        "import sys, numpy\n"
        "from lookalike import plots\n"
        "plots.to_svg(plots.neighbours_figure(numpy.ones((1, 8, 8)), numpy.ones((1, 1, 8, 8)),"
        " [['a', 'b']]), 'x')\n"
        "sys.exit('matplotlib.pyplot' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_missing_matplotlib_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtra) as caught:
        plots.candidates_figure(COSTS)
    assert str(caught.value) == (
        "a figure needs matplotlib, which is not installed; "
        "install it with: pip install 'lookalike[plots]'"
    )
