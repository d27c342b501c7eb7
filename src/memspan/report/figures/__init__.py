"""Every figure is a function from a table of runs to a matplotlib Figure; ``FIGURES`` knows them by id."""

from memspan.report.figures.panel import Panel
from memspan.report.figures.registry import FIGURES

__all__ = ["FIGURES", "Panel"]
