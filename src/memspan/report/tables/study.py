"""The tables of numbers beside the figures: a list of rows each, written as CSV."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from memspan.report.claims import Claim, SeedClaim, Verdict
from memspan.report.claims.palindromes import dip_rate, reached_step
from memspan.report.numbers import cell_text
from memspan.report.records import Records, by_seed, ended, metric, values, where
from memspan.report.tables.table import Row
from memspan.statistics import (
    Interval,
    bootstrap_interval,
    log_rank,
    paired_difference,
    probability_of_improvement,
    survival,
    wilson,
)

Verdicts = Mapping[str, Verdict]


def length_rows(records: Records) -> list[Row]:
    """Return a row for each cell and length: accuracies, solved, reached, kept, dips, with intervals."""
    runs = ended(records)
    return [
        _length_row(cell, length, group)
        for cell in sorted(values(runs, "cell"), reverse=True)
        for length in values(runs, "length")
        if (group := where(runs, cell=cell, length=length))
    ]


def _length_row(cell: str, length: int, group: Records) -> Row:
    numbers = {
        name: list(metric(group, name).values()) for name in ("mean_all", "mean_last_1000", "accuracy")
    }
    rates = [rate for run in group if (rate := dip_rate(run)) is not None]
    row: Row = {"cell": cell, "length": length, "n": len(group)}
    row["stopped"] = sum(run.status == "stopped" for run in group)
    for name, found in numbers.items():
        row |= _spread(name, bootstrap_interval(found) if found else None)
    row |= _spread("solved", wilson(_count(group, "solved"), len(group)))
    row |= _spread("reached", wilson(_count(group, "reached"), len(group)))
    row["reached_step_median"] = _median_time(group)
    kept = list(metric(group, "kept").values())
    row |= _spread("kept", bootstrap_interval(kept) if kept else None)
    row["peak_100"] = max(metric(group, "peak_100").values(), default=None)
    row |= _spread("dips_per_1000", bootstrap_interval(rates) if rates else None)
    row["clipped_share"] = _mean(list(metric(group, "clipped_share").values()))
    return row


def _spread(name: str, interval: Interval | None) -> Row:
    low, high = (interval.low, interval.high) if interval else (None, None)
    return {name: interval.value if interval else None, f"{name}_low": low, f"{name}_high": high}


def _count(group: Records, name: str) -> int:
    return sum(value == 1.0 for value in metric(group, name).values())


def _mean(found: Sequence[float]) -> float | None:
    return statistics.fmean(found) if found else None


def _times(group: Records) -> tuple[list[float], list[bool]]:
    """Return the step each run reached 0.99, or its last step, and whether it is such a censored one."""
    late = [reached_step(run) == float("inf") for run in group]
    return [float(run.step) if c else reached_step(run) for run, c in zip(group, late, strict=True)], late


def _median_time(group: Records) -> float | None:
    return survival(*_times(group)).median


def comparison_rows(records: Records) -> list[Row]:
    """Return a row for each length: LSTM against RNN, paired by seed, and the times to solve, censored."""
    runs = ended(records)
    rows = []
    for length in values(runs, "length"):
        rnn, lstm = (where(runs, length=length, cell=cell) for cell in ("rnn", "lstm"))
        if rnn and lstm and by_seed(rnn).keys() & by_seed(lstm).keys():
            rows.append({"length": length} | _comparison(rnn, lstm))
    return rows


def _comparison(rnn: Records, lstm: Records) -> Row:
    row: Row = {"n": len(by_seed(rnn).keys() & by_seed(lstm).keys())}
    for name in ("mean_all", "mean_last_1000"):
        a, b = metric(lstm, name), metric(rnn, name)
        row |= _spread(f"{name}_difference", paired_difference(a, b))
        row |= _spread(f"{name}_improvement", probability_of_improvement([*a.values()], [*b.values()]))
    row["rnn_reached_step_median"], row["lstm_reached_step_median"] = _median_time(rnn), _median_time(lstm)
    row["log_rank_z"], row["log_rank_p"] = _log_rank(rnn, lstm)
    return row


def _log_rank(rnn: Records, lstm: Records) -> tuple[float | None, float | None]:
    """Return z and p, or nothing where either group is one run or none has reached."""
    a, b = _times(rnn), _times(lstm)
    if min(len(rnn), len(lstm)) < 2 or all(a[1] + b[1]) or len({*a[0], *b[0]}) == 1:
        return None, None
    return log_rank(*a, *b)


def claim_rows(claims: Mapping[str, Claim], verdicts: Verdicts, commands: Mapping[str, str]) -> list[Row]:
    """Return a row for each claim: what is said, the verdict, its number and why."""
    return [
        {
            "id": id,
            "sentence": claims[id].sentence,
            "source": claims[id].source,
            "check": claims[id].check,
            "verdict": str(v.word),
            "value": v.value,
            "low": v.low,
            "high": v.high,
            "n": v.n,
            "detail": v.detail,
            "seeds_wanted": v.seeds_wanted,
            "command": commands[id],
        }
        for id, v in verdicts.items()
    ]


def judgement_rows(claims: Mapping[str, Claim], verdicts: Verdicts) -> list[Row]:
    """Return a row for each claim and case; ``preview`` marks numbers that decide nothing."""
    rows = []
    for id, verdict in verdicts.items():
        claim = claims[id]
        measured = claim.measured if isinstance(claim, SeedClaim) else ""
        for j in verdict.judgements:
            row: Row = {"id": id, "case": j.case, "preview": "yes" if verdict.is_preview else "no"}
            row["finding"] = "" if verdict.is_preview else j.finding
            row |= (
                _spread("share", j.share)
                | {"n": j.share.n, "measured": measured}
                | _spread("measure", j.measure)
            )
            rows.append(row | {"measure_n": j.measure.n if j.measure else None})
    return rows


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """Write rows as CSV: a header, one line a row, empty where there is no number."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(rows[0] if rows else [])
        writer.writerows([cell_text(value) for value in row.values()] for row in rows)
