"""The page of the gate's benchmark: machine, tables, a figure, and the JSON they are drawn from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from memspan.bench.figures import INK, MUTED, RC, save
from memspan.bench.findings import as_text, write_whole
from memspan.bench.gate import ALL, KEY, LOOP, OPEN, PLAIN, SHARES
from memspan.bench.kernels import Row
from memspan.bench.timing import BUSY
from memspan.errors import ArgumentError

FILE, PAGE, FIGURE = "gate.json", "gate.md", "gate-cost.svg"
COMMAND = "memspan bench gate"
LOOKS: dict[str, dict[str, Any]] = {
    OPEN: {"color": "#0b62a4", "marker": "o", "linewidth": 2},
    ALL: {"color": "#009e73", "marker": "^", "linestyle": "--"},
    PLAIN: {"color": INK, "linestyle": "-", "linewidth": 1},
    LOOP: {"color": "#c2500a", "marker": "s", "linestyle": "none"},
}
HOW = """\
An LSTM under a time gate, leak 0, times 0, 1, 2, … shared by the batch, periods log-uniform on 20 … 2000,
every unit open for a share r of its period; one input feature, float32. *Open units only* computes those,
backward too; *all units* is the dense kernel under the same gate; *no gate* is our LSTM kernel without one;
*torch loop* is the gated cell as a loop in torch, its openness and input products computed beforehand. A
training step is forward, backward and every gradient (of the clocks too) of a gradient into the last state.
Before anything is timed, outputs, last states and all gradients of both gated kernels must equal the float64
reference. Sides take turns; medians; *ratio* is a side's time over that of open units only, with a 95%
interval of its median over turns."""


def merged(machine: Mapping[str, Any], rows: list[Row], folder: Path) -> list[Row]:
    """Return a folder's rows of this machine with new ones in the place of old ones."""
    try:
        before, old = read(folder)
    except ArgumentError:
        return rows
    known = {tuple(row[name] for name in KEY): row for row in (old if dict(before) == machine else [])}
    return list((known | {tuple(row[name] for name in KEY): row for row in rows}).values())


def write(machine: Mapping[str, Any], rows: list[Row], folder: Path) -> Path:
    """Write JSON, figure and page, and return the page's path."""
    write_whole(folder, FILE, as_text({"machine": dict(machine), "rows": rows}))
    save(cost(rows), folder / FIGURE)
    (folder / PAGE).write_text(page(machine, rows), encoding="utf-8")
    return folder / PAGE


def read(folder: Path) -> tuple[Mapping[str, Any], list[Row]]:
    """Return machine and rows of an earlier run.

    Raises:
        ArgumentError: there is none.
    """
    try:
        found = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return found["machine"], found["rows"]
    except (OSError, ValueError, KeyError):
        raise ArgumentError(f"--out {folder}: there is no {FILE} of {COMMAND} in it; measure first") from None


def cost(rows: Iterable[Row]) -> Figure:
    """Draw the time of a training step, per time step, against the open share."""
    rows = [row for row in rows if row["what"] == "training" and row["ms"]]
    with mpl.rc_context(RC):
        figure = Figure(figsize=(6.4, 4.2), layout="constrained")
        axes = figure.subplots()
        for side, look in LOOKS.items():
            mine = sorted((r["open_share"], r["us_per_step"]) for r in rows if r["side"] == side)
            if mine:
                axes.plot(*zip(*mine, strict=True), label=side, **look)
        axes.set(
            xscale="log",
            yscale="log",
            xlabel="share of units that are open",
            ylabel="µs a time step, training",
        )
        axes.set_xticks(SHARES, [f"{100 * share:g}%" for share in SHARES])
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.tick_params(colors=MUTED)
        axes.legend()
    return figure


def page(machine: Mapping[str, Any], rows: list[Row]) -> str:
    """Return the page as Markdown."""
    facts = [f"* {name}: {value}" for name, value in machine.items()]
    facts.append(f"* memspan: {', '.join(dict.fromkeys(row['code'] for row in rows))}")
    titles = {
        "training": "A training step, T = 1,000, B = H = 128",
        "forward": "Forward, T = 1,000, B = H = 128",
        "one call": "A stream of one row, H = 512, one call of 1,000 steps",
        "one call a step": "The same stream, one call a step",
    }
    parts = ["# What the time gate saves", f"Written by `{COMMAND}`; do not edit.", HOW]
    parts.append("## Machine\n\n" + "\n".join(facts))
    parts.append(f"## Cost against open share\n\n![µs a time step against the open share]({FIGURE})")
    for what, title in titles.items():
        mine = [row for row in rows if row["what"] == what]
        if mine:
            parts.append(f"## {title}\n\n{table(mine)}")
    return "\n\n".join(parts) + "\n"


def table(rows: Iterable[Row]) -> str:
    """Return rows as a Markdown table."""
    lines = ["| open | side | ms | µs a step | ratio | threads | note |", "|--:|---|--:|--:|--:|--:|---|"]
    return "\n".join([*lines, *("| " + " | ".join(_cells(row)) + " |" for row in rows)])


def _cells(row: Row) -> list[str]:
    share, threads = f"{100 * row['open_share']:.3g}%", str(row["side_threads"] or "")
    numbers = [_number(row[name]) for name in ("ms", "us_per_step")]
    return [share, row["side"], *numbers, _ratio(row), threads, _note(row)]


def _ratio(row: Row) -> str:
    low, high = row.get("ratio_low"), row.get("ratio_high")
    around = (
        "" if low is None or high is None or row["side"] == OPEN else f" [{_number(low)}, {_number(high)}]"
    )
    return _number(row["ratio"]) + around


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _note(row: Row) -> str:
    if not row["equal"]:
        return f"not timed: differs from the reference by {row['error']:.1e}"
    load = row["foreign_cores"]
    return f"others used {load} cores" if load is not None and load > BUSY else ""


def told(rows: Iterable[Row]) -> str:
    """Return rows as plain lines for a terminal."""
    lines = []
    for row in rows:
        share, side, ms, each, _, _, note = _cells(row)
        ratio = _number(row["ratio"])
        lines.append(
            f"{row['what']:15} {share:>6}  {side:18} {ms:>7} ms {each:>7} µs/step {ratio:>6}× {note}".rstrip()
        )
    return "\n".join(lines)
