"""The done runs of a ledger, written as a Parquet file."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from memspan.errors import LedgerError
from memspan.ledger.parquet.format import FACTS, FORMAT, MARK, PARTS, SEAL, arrow, seal
from memspan.ledger.records import DONE, Curve, RunRecord, thin
from memspan.ledger.runs import text
from memspan.ledger.store import Ledger

GROUP = 256  # runs in memory at a time


class Column(NamedTuple):
    """One column: its Arrow type, and how a run fills it."""

    name: str
    kind: Any
    value: Callable[[RunRecord, Mapping[str, Curve]], Any]


def export_parquet(
    ledger: Ledger, path: str | os.PathLike[str], *, runs: Iterable[str] | None = None, bin: int = 20
) -> int:
    """Write the finished and stopped runs as a Parquet file, and return how many.

    The same runs give the same bytes, whichever ledger holds them, but for the ``wall_`` column.

    Args:
        ledger: where the runs are.
        path: the file; replaced only when the new one is complete.
        runs: ids to write; others, and those not done, are left out. None writes all.
        bin: steps that one point of a curve stands for, with their mean, minimum and maximum; 1 keeps all.

    Raises:
        LedgerError: pyarrow is missing, the file cannot be written, or two columns would share a name.
    """
    wanted = None if runs is None else set(runs)
    done = [r for r in ledger.select(status=DONE) if wanted is None or r.id in wanted]
    columns = _columns(done, bin)
    target = Path(path)
    fresh = target.with_name(target.name + ".tmp")
    try:
        _write(fresh, columns, done, bin)
        os.replace(fresh, target)
    except OSError as error:
        raise LedgerError(f"{str(target)!r} cannot be written: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):  # a read-only disk or an overlong name: there is nothing to remove
            fresh.unlink(missing_ok=True)
    return len(done)


def _write(path: Path, columns: list[Column], done: list[RunRecord], bin: int) -> None:
    pa, pq = arrow()
    schema = pa.schema([(c.name, c.kind) for c in columns])
    schema = schema.with_metadata({MARK: FORMAT, SEAL: seal(schema)})
    with pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True) as writer:
        for start in range(0, len(done), GROUP):
            rows = [(r, _curves(r, bin)) for r in done[start : start + GROUP]]
            arrays = [pa.array([c.value(*row) for row in rows], type=c.kind) for c in columns]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _curves(run: RunRecord, bin: int) -> dict[str, Curve]:
    return {name: thin(run.curve(name), bin) for name in run.curve_names()}


def _columns(done: list[RunRecord], bin: int) -> list[Column]:
    pa, _ = arrow()
    columns = [
        Column("id", pa.string(), lambda run, _: run.id),
        *(_config_column(name, done) for name in _union(r.config for r in done)),
        Column("status", pa.string(), lambda run, _: run.status),
        Column("reason", pa.string(), lambda run, _: run.reason),
        Column("step", pa.int64(), lambda run, _: run.step),
        *(_fact_column(name) for name in FACTS),
        *(_metric_column(name) for name in _union(r.metrics for r in done)),
        Column("curve_bin", pa.int64(), lambda _, curves: max([bin, *(c.bin for c in curves.values())])),
        *(_curve_column(name, part) for name in _union(r.curve_names() for r in done) for part in PARTS),
        Column("config", pa.string(), lambda run, _: text(run.config)),
        Column("wall_seconds", pa.float64(), lambda run, _: run.wall_seconds),
    ]
    _refuse_twins([c.name for c in columns])
    return columns


def _union(names: Iterable[Iterable[str]]) -> list[str]:
    return sorted(set().union(*names))


def _refuse_twins(names: list[str]) -> None:
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise LedgerError(f"two columns of the export would be named {twins[0]!r}; rename the config field")


def _config_column(name: str, done: list[RunRecord]) -> Column:
    kind, convert = _kind([r.config[name] for r in done if r.config.get(name) is not None])

    def value(run: RunRecord, _: Mapping[str, Curve]) -> Any:
        found = run.config.get(name)
        return None if found is None else convert(found)

    return Column(name, kind, value)


def _kind(values: list[Any]) -> tuple[Any, Callable[[Any], Any]]:
    """Return the narrowest column type for a field's values; what fits none is written as JSON."""
    pa, _ = arrow()
    types = {type(value) for value in values}
    if types == {bool}:
        return pa.bool_(), bool
    if types == {int} and all(-(2**63) <= value < 2**63 for value in values):
        return pa.int64(), int
    if types in ({float}, {int, float}):
        return pa.float64(), float
    return pa.string(), str if types <= {str} else json.dumps


def _fact_column(name: str) -> Column:
    return Column(name, arrow()[0].string(), lambda run, _: run.facts.get(name))


def _metric_column(name: str) -> Column:
    return Column(f"final_{name}", arrow()[0].float64(), lambda run, _: run.metrics.get(name))


def _curve_column(name: str, part: str) -> Column:
    pa, _ = arrow()
    kind = pa.list_(pa.int64() if part == "step" else pa.float32())
    return Column(
        f"curve_{name}_{part}",
        kind,
        lambda _, curves: getattr(curves[name], part) if name in curves else None,
    )
