"""Figures as files: the same figure gives the same bytes, and a page can restyle its colours."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from memspan.report.figures.panel import Panel
from memspan.report.figures.style import RC

DPI = 160
POSITION_DIGITS = 6
"""Digits kept of an axes' position, a fraction of the figure: about a thousandth of a pixel."""


def save_figure(panel: Panel, figure: Figure, folder: Path) -> str:
    """Write ``<id>.svg``, ``.png`` and ``.pdf`` into a folder and return the SVG's text."""
    with mpl.rc_context(RC | {"svg.hashsalt": panel.id}):
        FigureCanvasAgg(figure)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # arranged once, the same in every format
        _round_positions(figure)
        text = _svg(panel, figure)
        (folder / f"{panel.id}.svg").write_text(text, encoding="utf-8")
        FigureCanvasAgg(figure)
        figure.savefig(folder / f"{panel.id}.png", dpi=DPI, facecolor="white", metadata={"Software": None})
        FigureCanvasPdf(figure)
        figure.savefig(
            folder / f"{panel.id}.pdf", metadata={"CreationDate": None, "Producer": None, "Creator": None}
        )
    return text


def _round_positions(figure: Figure) -> None:
    """Round where the axes lie: the layout's solver leaves last bits that differ between processes."""
    for axes in figure.axes:
        left, bottom, width, height = (
            round(number, POSITION_DIGITS) for number in axes.get_position(original=True).bounds
        )
        axes.set_position((left, bottom, width, height))


def _svg(panel: Panel, figure: Figure) -> str:
    """Return the SVG with a title and a description for screen readers, and with ids no other figure has."""
    FigureCanvasSVG(figure)
    buffer = io.StringIO()
    figure.savefig(
        buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
    )
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{panel.id}-\1"', text)
    text = re.sub(r'(href="#|url\(#)', rf"\g<1>{panel.id}-", text)
    named = f'role="img" aria-labelledby="{panel.id}-title {panel.id}-described"'
    title = f'<title id="{panel.id}-title">{html.escape(panel.title)}</title>'
    described = f'<desc id="{panel.id}-described">{html.escape(panel.described)}</desc>'
    return re.sub(r"<svg ([^>]*)>", rf"<svg {named} \1>\n {title}\n {described}", text, count=1)


def for_page(svg: str, colours: Mapping[str, str]) -> str:
    """Return an SVG to put into the page: no fixed size, no style sheet, colours as variables."""
    svg = re.sub(r"\s*<defs>\s*<style.*?</style>\s*</defs>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg).replace("xlink:href", "href")
    svg = re.sub(r'(<svg [^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg [^>]*?) height="[^"]*"', r"\1", svg, count=1)
    for colour in colours:
        svg = svg.replace(colour, f"var({variable(colour)})")
    return svg


def variable(colour: str) -> str:
    """Return the name of the page's variable for a colour."""
    return f"--fig-{colour.lstrip('#')}"
