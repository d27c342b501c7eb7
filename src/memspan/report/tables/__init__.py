"""Every table is a function from runs to rows; ``TABLES`` knows them by id."""

from memspan.report.tables.registry import TABLES
from memspan.report.tables.table import Row, Table

__all__ = ["TABLES", "Row", "Table"]
