"""Runs as one Parquet file: a row a run, to be read anywhere and gathered from many machines.

Columns, in this order: ``id``; every config field of any run; ``status``, ``reason``, ``step``;
``kernel``, ``code_version``, ``machine``; ``final_<metric>``; ``curve_bin`` and
``curve_<name>_step | mean | low | high``; ``config``, the flat config as JSON, from which an import
computes the id again; ``wall_seconds``. Nothing but the last depends on how a run was packed or
interrupted. Needs pyarrow (``pip install "memspan[lab]"``), imported on use.
"""

from memspan.ledger.parquet.exporting import export_parquet
from memspan.ledger.parquet.importing import import_parquet

__all__ = ["export_parquet", "import_parquet"]
