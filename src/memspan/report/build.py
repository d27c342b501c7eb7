"""From a ledger to the report: page, figures, tables, runs and verdicts, whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from memspan.ledger import Ledger, Measurement, RunRecord
from memspan.ledger.parquet import export_parquet
from memspan.report.claims import CLAIMS, Verdict
from memspan.report.document import ClaimView, Page, render
from memspan.report.figures import FIGURES, Panel
from memspan.report.figures.save import save_figure
from memspan.report.output import whole_or_nothing
from memspan.report.records import Measurements, Records, ended, joined
from memspan.report.tables import TABLES, Row, Table
from memspan.report.tables.study import claim_rows, comparison_rows, judgement_rows, length_rows, write_csv
from memspan.report.tokens import Tokens, palindrome_tokens
from memspan.study import Preset
from memspan.study import preset as find_preset

FACTS = ("kernel", "code_version", "machine")
"""What the page says of how the runs were made; an export keeps the same three."""
JUDGING = "full"
"""The preset with the seeds and the budget that verdicts ask for."""


def build_report(ledger: Ledger, out: str | os.PathLike[str], *, preset: str) -> Path:
    """Write the report of a preset from the runs a ledger holds, and return the page's path.

    Args:
        ledger: where the runs are; those of other presets are passed over.
        out: the folder to write into; see ``check_out``.
        preset: whose figures and claims.

    Raises:
        UnknownNameError: no such preset.
        OutputError: ``out`` is foreign or cannot be written.
        LedgerError: no run is over yet, or a number in the prose has no value; nothing is written.
    """
    wanted = find_preset(preset)
    ids = [run.id for run in wanted.runs]
    held = {record.id: record for record in ledger.select()}
    records = [held[id] for id in ids if id in held]
    measurements = answers(ledger, wanted)
    with whole_or_nothing(Path(out)) as folder:
        write_report(records, folder, wanted, measurements)
        export_parquet(ledger, folder / "runs.parquet", runs=ids)
    return Path(out) / "report.html"


def answers(ledger: Ledger, preset: Preset) -> list[Measurement]:
    """Return the measurements of a preset's probes, and those of benchmarks, which no preset asks for."""
    asked = [probe.flat() for probe in preset.probes]
    return [m for m in ledger.measurements() if m.config in asked or "probe" not in m.config]


def write_report(records: Records, folder: Path, preset: Preset, measurements: Measurements = ()) -> None:
    """Write page, figures, tables and ``claims.json`` of runs and probes into an empty folder."""
    verdicts = {
        id: claim.verdict(_serving(preset, id, records), measurements) for id, claim in CLAIMS.items()
    }
    commands = {id: _command(preset, verdict) for id, verdict in verdicts.items()}
    lengths = length_rows(records)
    (folder / "tables").mkdir()
    for name, rows in {
        "lengths": lengths,
        "comparison": comparison_rows(records),
        "claims": claim_rows(CLAIMS, verdicts, commands),
        "judgements": judgement_rows(CLAIMS, verdicts),
    }.items():
        write_csv(rows, folder / "tables" / f"{name}.csv")
    (folder / "claims.json").write_text(_json(verdicts, commands), encoding="utf-8")
    page = Page(
        tokens=Tokens(palindrome_tokens(preset, records)),
        claims={id: ClaimView(CLAIMS[id], verdict, commands[id]) for id, verdict in verdicts.items()},
        svgs=_draw(records, measurements, folder / "figures", preset),
        tables=_make(records, measurements, folder / "tables", preset),
        lengths=lengths,
        facts=_facts(records),
        preset=preset.name,
        summary=preset.summary,
        command=preset.command,
        unfinished=_unfinished(records, preset),
    )
    (folder / "report.html").write_text(render(page), encoding="utf-8")


def _serving(preset: Preset, id: str, records: Records) -> Records:
    serving = {run.id for run in preset.serving(id)}
    return [record for record in records if record.id in serving]


def _draw(records: Records, measurements: Measurements, folder: Path, preset: Preset) -> dict[str, str]:
    folder.mkdir()
    drawn = {}
    for id, panel in FIGURES.items():
        shown = _shown(panel, records, measurements, preset)
        if shown is not None:
            drawn[id] = save_figure(panel, panel.draw(shown), folder)
    return drawn


def _make(
    records: Records, measurements: Measurements, folder: Path, preset: Preset
) -> dict[str, Sequence[Row]]:
    """Make the tables of the report; one without rows is left out."""
    made = {}
    for id, table in TABLES.items():
        shown = _shown(table, records, measurements, preset)
        if shown is not None and (rows := table.rows(shown)):
            write_csv(rows, folder / f"{id}.csv")
            made[id] = rows
    return made


def _shown(
    exhibit: Panel | Table, records: Records, measurements: Measurements, preset: Preset
) -> Sequence[Any] | None:
    """Return what a figure or table is made from, runs or a probe's measurements; None if there is none."""
    if exhibit.from_runs:
        runs = ended(_serving(preset, exhibit.id, records))
        return joined(runs, measurements, exhibit.probe) or None
    if exhibit.probe:
        return [m for m in measurements if m.config.get("probe") == exhibit.probe] or None
    return ()


def _command(preset: Preset, verdict: Verdict) -> str:
    """Return the command that regenerates a verdict, or that would give one."""
    return find_preset(JUDGING).command if verdict.is_preview else preset.command


def _json(verdicts: Mapping[str, Verdict], commands: Mapping[str, str]) -> str:
    rows = [
        {"id": id, "verdict": str(v.word), "value": v.value, "low": v.low, "high": v.high, "n": v.n}
        | {"command": commands[id]}
        for id, v in verdicts.items()
    ]
    return json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _facts(records: Records) -> dict[str, str]:
    """Return what is known of the machine and the versions, every distinct value once."""
    found = {name: sorted({str(r.facts[name]) for r in records if r.facts.get(name)}) for name in FACTS}
    return {name.replace("_", " "): "; ".join(texts) for name, texts in found.items() if texts}


def _unfinished(records: Records, preset: Preset) -> list[str]:
    """Say which runs stopped before their budget and how many are missing."""
    said = [
        f"{r.config['cell']}, {_difficulty(r)}, seed {r.config['seed']}: {r.reason or 'stopped'}."
        for r in records
        if r.status == "stopped"
    ]
    missing = len(preset.runs) - len(ended(records))
    return [*said, f"{missing} of {len(preset.runs)} runs are not over yet."] if missing else said


def _difficulty(record: RunRecord) -> str:
    length = record.config.get("length")
    return str(record.config["task"]) if length is None else f"T = {length}"
