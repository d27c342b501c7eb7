"""What the writer and the reader of the Parquet file must agree on."""

from __future__ import annotations

import hashlib
from typing import Any

from memspan.errors import LedgerError

MARK = b"memspan.runs"
"""Key of the file's metadata that says it is ours; its value is the format's version."""
FORMAT = b"1"
SEAL = b"memspan.columns"
"""Key of the hash of the columns' names and types: Parquet has checksums for its pages, not its footer."""
FACTS = ("kernel", "code_version", "machine")
"""Facts about a run, as opposed to an attempt at it."""
PARTS = ("step", "mean", "low", "high")
"""A curve takes one list column for each."""


def seal(schema: Any) -> bytes:
    """Return the hash of an Arrow schema's names and types, in order."""
    columns = "\n".join(f"{field.name} {_spell(field.type)}" for field in schema)
    return hashlib.sha256(columns.encode()).hexdigest().encode()


def _spell(kind: Any) -> str:
    """Arrow's versions differ in how they name the items of a list."""
    is_list = kind.num_fields == 1 and hasattr(kind, "value_type")  # a struct of one field is none
    return f"list {kind.value_type}" if is_list else str(kind)


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
