import re
import xml.etree.ElementTree as ET

import matplotlib as mpl
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from memspan.report.figures import FIGURES
from memspan.report.figures.save import for_page, save_figure
from memspan.report.figures.style import dark_colours, length_colours

AXES = {
    "a": ("Training step", "Batch accuracy"),
    "b": ("Palindrome length T (digits)", "Mean batch accuracy"),
    "c": ("Palindrome length T (digits)", "Mean batch accuracy"),
}


FROM_RUNS = [id for id in FIGURES if id.startswith(("fig1", "fig2", "fig3"))]


@pytest.mark.parametrize("id", FROM_RUNS)
def test_a_figure_names_its_axes_and_its_seeds(id, report_study, tmp_path):
    panel = FIGURES[id]
    svg = save_figure(panel, panel.draw(report_study), tmp_path)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".pdf", ".png", ".svg"]
    x, y = AXES["b" if id.startswith("fig3") else id[-1]]
    texts = "".join(ET.fromstring(svg).itertext())
    assert x in texts
    assert y in texts
    assert "n = 1 seed per length: no interval" in texts
    assert "chance" in texts
    assert f'<title id="{id}-title">{panel.title}</title>' in svg
    assert f'<desc id="{id}-described">' in svg


@pytest.mark.parametrize("id", FROM_RUNS)
def test_no_text_leaves_the_figure(id, report_study):
    figure = FIGURES[id].draw(report_study)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    extents = [
        text.get_window_extent(canvas.get_renderer()) for text in figure.findobj(Text) if text.get_text()
    ]
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.x1 for box in extents)


def test_seeds_are_counted_and_drawn(full_study, quick_study):
    for study, n in ((full_study, 5), (quick_study, 2)):
        figure = FIGURES["fig1c"].draw(study)
        assert f"n = {n} seeds per length" in figure.axes[0].get_title(loc="left")


def test_the_same_scale_where_compared(report_study):
    scales = {
        axes.get_ylim()
        for id in FROM_RUNS
        for axes in FIGURES[id].draw(report_study).axes
        if axes.get_title(loc="left")
    }
    assert scales == {(-0.02, 1.04)}


def test_the_same_figure_gives_the_same_bytes(quick_study, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        for id in ("fig1a", "fig3b"):
            save_figure(FIGURES[id], FIGURES[id].draw(quick_study), tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_drawing_leaves_matplotlib_as_it_was(quick_study):
    before = dict(mpl.rcParams)
    FIGURES["fig2b"].draw(quick_study)
    assert dict(mpl.rcParams) == before


def test_a_page_can_restyle_every_colour(quick_study, tmp_path):
    colours = dark_colours()
    for id in ("fig1a", "fig2c", "fig3a", "fig4a", "fig4b", "fig4c", "fig4d"):
        svg = for_page(save_figure(FIGURES[id], FIGURES[id].draw(quick_study), tmp_path), colours)
        assert not set(re.findall(r"#[0-9a-f]{6}\b", svg))
        assert "<style" not in svg
        assert "http" not in svg


def test_lengths_differ_in_colour():
    for dark in (False, True):
        assert len(set(length_colours([5, 10, 15, 20], dark=dark).values())) == 4
