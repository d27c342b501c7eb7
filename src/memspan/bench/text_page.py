"""The page of the text benchmark, and the JSON it is drawn from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from memspan.bench.findings import as_text, refuse_another_machine, write_whole
from memspan.bench.text import Row
from memspan.bench.timing import BUSY

FILE, PAGE = "text.json", "text.md"
COMMAND = "memspan bench text"

HOW = """\
The report's network, a two-layer LSTM of 128 units over the 57 characters of the Bill of Rights, float32.
*Writing*: `CharacterModel.generate` at temperature 1 (reading the prompt, packing the weights and telling the
probabilities included), beside `nn.LSTM` step by step with `torch.multinomial`. *Training*: one update of
models A to D together (windows of 30, batch 64, dropout 0.5, clip 5, Adam), data and masks included, beside
four `nn.LSTM` one after the other. First the probabilities told of our texts must equal torch's, as must the
losses before two updates. Sides take turns in one process, each in its best thread mode; medians count."""


def write(machine: Mapping[str, Any], rows: Sequence[Row], folder: Path) -> Path:
    """Write JSON and page, and return the page's path."""
    write_whole(folder, FILE, as_text({"machine": dict(machine), "rows": list(rows)}))
    write_whole(folder, PAGE, page(machine, rows))
    return folder / PAGE


def read(folder: Path) -> list[Row]:
    """Return the rows a folder holds; none where there is no file.

    Raises:
        ArgumentError: they were measured on another machine, or with other versions.
    """
    path = folder / FILE
    if not path.exists():
        return []
    found = json.loads(path.read_text(encoding="utf-8"))
    refuse_another_machine(path, found["machine"])
    rows: list[Row] = found["rows"]
    return rows


def page(machine: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """Return the page as Markdown."""
    facts = [f"* {name}: {value}" for name, value in machine.items()]
    facts.append(f"* memspan: {', '.join(dict.fromkeys(row['code'] for row in rows))}")
    parts = ["# How fast text is written and learned", f"Written by `{COMMAND}`; do not edit.", HOW]
    parts += ["## Machine\n\n" + "\n".join(facts), "## Rows\n\n" + "\n".join(f"* {say(row)}" for row in rows)]
    return "\n\n".join(parts) + "\n"


def say(row: Row) -> str:
    """Return a row as a sentence."""
    return SENTENCES[row["what"]](row) + _busy(row)


def _writing(row: Row) -> str:
    who = "one text" if row["rows"] == 1 else f"{row['rows']} texts at once"
    return (
        f"Writing {who}: **{row['ours_per_second']:,} characters a second** ({row['ours_threads']} threads), "
        f"torch {row['peer_per_second']:,} ({row['peer_threads']}), **{row['ratio']:.1f}×**."
    )


def _training(row: Row) -> str:
    return (
        f"One update of A to D: **{row['ours_ms']:.1f} ms**, torch {row['peer_ms']:.1f} ms, "
        f"**{row['ratio']:.2f}×**; 2,000 of them take {2 * row['ours_ms']:.0f} s, {2 * row['peer_ms']:.0f} s."
    )


def _compile(row: Row) -> str:
    return (
        f"The first text of a process, torch imported: {row['cold_seconds']} s with an empty cache, "
        f"{row['cached_seconds']} s with a filled one."
    )


def _corpus(row: Row) -> str:
    cores = "one core" if row["threads"] == 1 else f"{row['threads']} cores"
    return (
        f"{row['corpus']}, {row['minutes']:g} minutes, {row['side']} on {cores}, {row['config']}: "
        f"**{row['nats']:.4f} nats a character** on the last tenth as one stream, best of "
        f"{row['updates']:,} updates at {row['best']:,} ({row['epochs']:.1f} passes)."
    )


def _busy(row: Row) -> str:
    load = row.get("foreign_cores")
    return f" Others used {load} cores." if load is not None and load > BUSY else ""


SENTENCES = {"writing": _writing, "training": _training, "first text": _compile, "corpus": _corpus}
