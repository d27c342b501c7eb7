"""Every table of the report by id."""

from __future__ import annotations

import importlib

from memspan.report.tables.table import Table

MODULES: tuple[str, ...] = ("text",)
"""Modules of this folder with ``TABLES``, a tuple of ``Table``; adding one is one line here."""

TABLES: dict[str, Table] = {
    table.id: table
    for name in MODULES
    for table in importlib.import_module(f"memspan.report.tables.{name}").TABLES
}
