"""What the writer and the reader of the Parquet file must agree on."""

from __future__ import annotations

from typing import Any

from memspan.errors import LedgerError

MARK = b"memspan.runs"
"""Key of the file's metadata that says it is ours; its value is the format's version."""
FORMAT = b"1"
FACTS = ("kernel", "code_version", "machine")
"""Facts about a run, as opposed to an attempt at it."""
PARTS = ("step", "mean", "low", "high")
"""A curve takes one list column for each."""


def arrow() -> tuple[Any, Any]:
    """Return pyarrow and pyarrow.parquet, imported on use because nothing else needs them.

    Raises:
        LedgerError: they are not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise LedgerError(
            'Parquet files need pyarrow, which is not installed; run: pip install "memspan[lab]"'
        ) from error
    return pyarrow, pyarrow.parquet
