"""The report: figures, tables, claims and the document, drawn from the ledger. Nothing here trains."""

from memspan.errors import ArgumentError

try:
    from memspan.report.build import build_report
    from memspan.report.output import check_out
except ModuleNotFoundError as error:
    if (error.name or "memspan").split(".")[0] not in ("matplotlib", "scipy", "jinja2", "pyarrow", "typst"):
        raise
    raise ArgumentError(f"the report needs {error.name}; run: pip install 'memspan[lab]'") from error

__all__ = ["build_report", "check_out"]
