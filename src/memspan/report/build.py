"""From a ledger to the report: page, figures, tables, runs and verdicts, whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from memspan.ledger import Ledger
from memspan.ledger.parquet import export_parquet
from memspan.report.claims import CLAIMS
from memspan.report.document import Page, claim_views, render
from memspan.report.evidence import Evidence
from memspan.report.facts import facts, unfinished
from memspan.report.figures import FIGURES
from memspan.report.figures.save import save_figure
from memspan.report.output import whole_or_nothing
from memspan.report.pdf import write_pdf
from memspan.report.records import Measurements, Records
from memspan.report.tables import TABLES, Row
from memspan.report.tables.study import claim_rows, comparison_rows, judgement_rows, length_rows, write_csv
from memspan.report.tokens import Tokens, tokens_of
from memspan.study import Preset
from memspan.study import preset as find_preset


def build_report(ledger: Ledger, out: str | os.PathLike[str], *, preset: str, runs: bool = True) -> Path:
    """Write the report of a preset from the runs a ledger holds, and return the page's path.

    Args:
        ledger: where the runs are; those of other presets are passed over.
        out: the folder to write into; see ``check_out``.
        preset: whose figures and claims.
        runs: whether to write ``runs.parquet`` beside the page.

    Raises:
        UnknownNameError: no such preset.
        OutputError: ``out`` is foreign or cannot be written.
        LedgerError: no run is over yet, or a number in the prose has no value; nothing is written.
    """
    wanted = find_preset(preset)
    evidence = Evidence.of(ledger, wanted)
    with whole_or_nothing(Path(out)) as folder:
        _write(evidence, folder)
        if runs:
            export_parquet(ledger, folder / "runs.parquet", runs=[run.id for run in wanted.runs])
    return Path(out) / "report.html"


def write_report(records: Records, folder: Path, preset: Preset, measurements: Measurements = ()) -> None:
    """Write page, figures, tables and ``claims.json`` of runs and probes into an empty folder."""
    _write(Evidence(preset, records, measurements), folder)


def build_parts(ledger: Ledger, out: str | os.PathLike[str], *, preset: Preset, ids: Sequence[str]) -> None:
    """Write the figures, tables and verdicts of some ids into a folder of their own."""
    evidence = Evidence.of(ledger, preset)
    with whole_or_nothing(Path(out)) as folder:
        _draw(evidence, folder / "figures", ids)
        _make(evidence, folder / "tables", ids)
        (folder / "claims.json").write_text(claims_json(evidence, ids), encoding="utf-8")


def _write(evidence: Evidence, folder: Path) -> None:
    tables = _make(evidence, folder / "tables")
    lengths = length_rows(evidence.studied)
    for name, rows in {
        "lengths": lengths,
        "comparison": comparison_rows(evidence.studied),
        "claims": claim_rows(CLAIMS, evidence.verdicts, commands()),
        "judgements": judgement_rows(CLAIMS, evidence.verdicts),
    }.items():
        write_csv(rows, folder / "tables" / f"{name}.csv")
    (folder / "claims.json").write_text(claims_json(evidence), encoding="utf-8")
    page = Page(
        tokens=Tokens(tokens_of(evidence)),
        claims=claim_views(evidence.verdicts, commands()),
        svgs=_draw(evidence, folder / "figures"),
        tables=tables,
        lengths=lengths,
        facts=facts(evidence.records),
        preset=evidence.preset,
        unfinished=unfinished(evidence.records, evidence.preset),
    )
    (folder / "report.html").write_text(render(page, "html"), encoding="utf-8")
    write_pdf(render(page, "typ"), folder)


def _draw(evidence: Evidence, folder: Path, ids: Sequence[str] | None = None) -> dict[str, str]:
    folder.mkdir()
    drawn = {}
    for id, panel in FIGURES.items():
        if (ids is None or id in ids) and (shown := evidence.shown(panel)) is not None:
            drawn[id] = save_figure(panel, panel.draw(shown), folder)
    return drawn


def _make(evidence: Evidence, folder: Path, ids: Sequence[str] | None = None) -> dict[str, Sequence[Row]]:
    """Make the tables of the report; one without rows is left out."""
    folder.mkdir()
    made = {}
    for id, table in TABLES.items():
        shown = evidence.shown(table) if ids is None or id in ids else None
        if shown is not None and (rows := table.rows(shown)):
            write_csv(rows, folder / f"{id}.csv")
            made[id] = rows
    return made


def commands() -> dict[str, str]:
    """Return id → the command that regenerates it."""
    return {id: f"memspan reproduce --only {id}" for id in (*FIGURES, *TABLES, *CLAIMS)}


def claims_json(evidence: Evidence, ids: Sequence[str] | None = None) -> str:
    """Return the verdicts as JSON, null where a claim is not yet run.

    Numbers have ten digits: the last bits of a sum depend on the processor, and this file must not.
    """
    rows = [
        {"id": id, "verdict": str(v.word), **_digits(value=v.value, low=v.low, high=v.high), "n": v.n}
        | {"told": CLAIMS[id].told(v) if v.value is not None else "", "command": commands()[id]}
        for id, v in evidence.verdicts.items()
        if ids is None or id in ids
    ]
    return json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _digits(**numbers: float | None) -> dict[str, float | None]:
    return {name: None if number is None else float(f"{number:.10g}") for name, number in numbers.items()}
