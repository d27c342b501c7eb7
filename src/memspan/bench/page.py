"""The page of the benchmark: machine, tables, sentences, figures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from memspan.bench.figures import FIGURES, NAMES, name_of, save
from memspan.bench.findings import Findings
from memspan.bench.kernels import Row
from memspan.bench.points import TRAINING
from memspan.bench.timing import BUSY

PAGE = "kernels.md"
COMMAND = "memspan bench kernels"

HOW = """\
float32, one input feature, medians in milliseconds. A training step is forward, backward and every weight's
gradient, fed by a gradient into the last state; *forward* keeps nothing for a backward pass. Before a point
is timed its outputs and gradients must equal those of `torch.nn`. The sides take turns in one process, each
in its best thread mode up to the row's threads, with denormals flushed for all, and the C library keeps what
the process frees: torch's large blocks would else be given back and fault in again at every call. *As it
comes*: torch in a process of its own without that, as most programs have it. *Ceiling*: the fastest
128×128×512 float32 product of the same run (our microkernel, `torch.mm`, oneDNN), all threads busy; only the
recurrent products count as operations, 3·2·T·B·G·H² a training step, and of ragged rows only the true steps.
Ragged lengths are uniform on 10 … 100; sequences are packed beforehand, in torch's favour. More in
[README.md](README.md)."""


def write_page(found: Findings, folder: Path) -> Path:
    """Write the page and its figures beside the findings, and return the page's path."""
    for name, draw in FIGURES.items():
        save(draw(found.rows), folder / f"{name}.svg")
    path = folder / PAGE
    path.write_text(page(found), encoding="utf-8")
    return path


def page(found: Findings) -> str:
    """Return the page as Markdown."""
    centre = [row for row in found.rows if name_of(row) == "centre"]
    around = [row for row in found.rows if name_of(row) != "centre"]
    parts = [
        "# How fast the kernels are",
        f"Written by `{COMMAND}`; do not edit.",
        HOW,
        "## Machine\n\n" + _machine(found),
        "## The centre: T = 100, B = H = 128, R = 1\n\n" + table(centre),
        "## What else was measured\n\n" + (_sentences(found.others) or "Nothing yet."),
        "## Ratio to torch.nn\n\n![ratio to torch.nn at every point](kernels-ratio.svg)",
        "## Part of the ceiling\n\n![part of the GEMM ceiling at every point](kernels-ceiling.svg)",
        "## Cost\n\n![milliseconds against T, H and R](kernels-cost.svg)",
        "## Away from the centre\n\nA point is named by what differs from the centre.\n\n" + table(around),
    ]
    return "\n\n".join(parts) + "\n"


def _machine(found: Findings) -> str:
    lines = [f"* {name}: {value}" for name, value in found.machine.items()]
    lines.append(f"* memspan: {', '.join(dict.fromkeys(row['code'] for row in found.rows)) or 'no rows'}")
    ceilings = {row["threads"]: row["ceiling_gflops"] for row in found.rows if row["ceiling_gflops"]}
    lines += [
        f"* ceiling, {n} thread{'s' if n > 1 else ''}: {value:.0f} GFLOP/s"
        for n, value in sorted(ceilings.items())
    ]
    return "\n".join(lines)


HEAD = ("cell", "point", "threads", "ours", "peer", "its time", "ratio", "GFLOP/s", "of ceiling", "note")


def table(rows: Iterable[Row]) -> str:
    """Return rows as a Markdown table, cell by cell."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "|".join(_rules()) + "|"]
    order = list(NAMES)
    ordered = sorted(rows, key=lambda r: (order.index(r["cell"]), r["ragged"], -r["threads"]))
    return "\n".join([*lines, *("| " + " | ".join(_cells(row)) + " |" for row in ordered)])


def _rules() -> list[str]:
    words = ("cell", "point", "peer", "note")
    return ["---" if name in words else "--:" for name in HEAD]


def _cells(row: Row) -> list[str]:
    kind = "" if row["pass"] == TRAINING else ", forward"
    kind += ", ragged" if row["ragged"] else ""
    fraction = row["ceiling_fraction"]
    return [
        NAMES[row["cell"]], name_of(row) + kind, str(row["threads"]), _number(row["ours_ms"]), row["peer"],
        _number(row["peer_ms"]), _number(row["ratio"]), _number(row["gflops"]),
        "" if fraction is None else f"{100 * fraction:.0f}%", _note(row),
    ]  # fmt: skip


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _note(row: Row) -> str:
    load = row["foreign_cores"]
    busy = f"others used {load} cores" if load is not None and load > BUSY else ""
    return "; ".join(filter(None, (row["note"], busy)))


def _sentences(others: Mapping[str, Any]) -> str:
    return "\n".join(f"* {say(others[name])}" for name, say in SENTENCES.items() if name in others)


def _pack(it: Mapping[str, Any]) -> str:
    return (
        f"A pack of {it['replicas']} LSTMs at the centre, one update with data, read-out, clipping and "
        f"RMSProp, {it['threads']} threads: {it['ours_ms']} ms, {it['replicas']} `nn.LSTM` one after the "
        f"other {it['peer_ms']} ms, **{it['ratio']}×**; with memory as it comes {it['fresh_ms']} ms, "
        f"{it['fresh_ratio']}×.{_share(it)}"
    )


def _share(it: Mapping[str, Any]) -> str:
    if it.get("gflops") is None:
        return ""
    share = f"{100 * it['ceiling_fraction']:.0f}% of the ceiling"
    return f" Ours with everything in it: {it['gflops']:.0f} GFLOP/s, {share}."


def _avx2(it: Mapping[str, Any]) -> str:
    if it.get("ratio") is None:
        return f"LSTM held to AVX2: {it['note']}."
    return (
        f"LSTM at the centre, one thread, both sides held to AVX2: {it['ours_ms']} ms, `nn.LSTM` "
        f"{it['peer_ms']} ms, **{it['ratio']:.2f}×**, {100 * it['ceiling_fraction']:.0f}% of that ceiling; "
        f"`nn.LSTM` with memory as it comes {it['fresh_ms']} ms, {it['fresh_ratio']:.2f}×."
    )


def _compile(it: Mapping[str, Any]) -> str:
    each = (f"{NAMES[c]} {v['cold_seconds']} s, then {v['cached_seconds']} s" for c, v in it.items())
    return "First call of a training step, torch imported, with an empty cache and with a filled one: " + (
        "; ".join(each) + "."
    )


def _memory(it: Mapping[str, Any]) -> str:
    peak = "not told by this system" if it["above_mib"] is None else f"{it['above_mib']} MiB"
    return (
        f"Training pass of an LSTM over T = {it['T']:,}, B = {it['B']}, H = {it['H']}: peak of memory above "
        f"what the process held before {peak}, {it['seconds']} s."
    )


def _study(it: Mapping[str, Any]) -> str:
    return (
        f"`memspan reproduce --preset {it['preset']}`, two processes of one thread: "
        f"{it['ours_minutes']} minutes, the same study as per-gate Python loops in torch "
        f"{it['plain_minutes']} minutes, **{it['ratio']:.2f}×**{_interval(it)}. Extrapolated from "
        f"{it['updates']} updates of each of the {it['runs']} runs, {it['turns']} turns; "
        "evaluations and start-up are left out on both sides."
    )


def _interval(it: Mapping[str, Any]) -> str:
    if it.get("ratio_low") is None:
        return ""
    return f" (95% interval of the turns' median {it['ratio_low']:.2f} to {it['ratio_high']:.2f})"


SENTENCES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "pack": _pack,
    "avx2": _avx2,
    "compile": _compile,
    "memory": _memory,
    "study": _study,
}


def told(rows: Sequence[Row]) -> str:
    """Return rows as plain lines for a terminal."""
    return "\n".join(_line(row) for row in rows)


def _line(row: Row) -> str:
    cell, point, threads, mine, peer, theirs, ratio, _, share, note = _cells(row)
    times = f"{mine or '-':>8} ms  {peer:16} {theirs or '-':>8} ms  {ratio or '-':>6}×  {share:>4} of ceiling"
    return f"{cell:4}  {point:18} {threads} thr  {times}  {note}".rstrip()
