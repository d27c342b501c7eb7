"""tab1 to tab4: the character models, their recipe and what they write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from memspan.ledger import RunRecord
from memspan.report.records import Records, values, where
from memspan.report.tables.table import Row, Table
from memspan.streams import stream
from memspan.study.text import TEMPERATURES

SEED = 0
"""The seed whose samples are shown."""
STARTS = ("E", "T", "C")
SHOWN = {
    "LSTM units in a layer": "hidden",
    "Layers": "layers",
    "Dropout between layers": "dropout",
    "Temperature": "temperature",
    "Characters in a window": "window",
    "Windows in a batch": "batch",
    "Steps": "steps",
    "Learning rate": "learning_rate",
    "Decay of the learning rate": "lr_decay",
    "every … steps": "lr_decay_steps",
    "Largest gradient norm": "clip",
}
"""The lines of Table 1 and the fields behind them."""


def at_the_end(records: Records) -> dict[str, RunRecord]:
    """Return model → its run of the shown seed with the largest budget."""
    found = {}
    for name, temperature in TEMPERATURES.items():
        runs = where(records, temperature=temperature, seed=SEED)
        if runs:
            found[name] = max(runs, key=lambda run: run.config["steps"])
    return found


def settings(records: Records) -> list[Row]:
    """Return a row a hyper-parameter, a column a model."""
    models = at_the_end(records)
    columns = {f"Model {name}": run.config for name, run in models.items()}
    return [
        {"Setting": words} | {model: _plain(config[field]) for model, config in columns.items()}
        for words, field in SHOWN.items()
        if models
    ]


def while_learning(records: Records) -> list[Row]:
    """Return a row a step: what models B and A write greedily after a random character."""
    shown = {"B": "Model B, temperature 1", "A": "Model A, temperature 0.5"}
    rows: list[Row] = []
    for steps in values(records, "steps"):
        row: Row = {"Step": steps}
        for name, words in shown.items():
            runs = where(records, steps=steps, seed=SEED, temperature=TEMPERATURES[name])
            row[words] = _sample(runs[0].metrics, _any_start(runs[0], steps)) if runs else ""
        rows.append(row)
    return [row for row in rows if row[shown["B"]]]


def _any_start(run: RunRecord, steps: int) -> int:
    starts: Any = run.metrics["starts"]
    return int(stream(SEED, "start of a line of tab2", steps).integers(len(starts)))


def _sample(metrics: Mapping[str, Any], start: int) -> str:
    return str(metrics["starts"][start] + metrics["samples"][start])


def after_characters(records: Records) -> list[Row]:
    """Return a row a model and character: the character and the 30 after it."""
    rows: list[Row] = []
    for name, run in at_the_end(records).items():
        metrics: Mapping[str, Any] = run.metrics
        for character in (c for c in STARTS if c in metrics["starts"]):
            sample = _sample(metrics, metrics["starts"].index(character))
            rows.append({"Model": name, "Seed": character, "Sample": sample})
    return rows


def completions(records: Records) -> list[Row]:
    """Return a row a model and prompt: how the model goes on, and in how many characters."""
    rows: list[Row] = []
    for name, run in at_the_end(records).items():
        metrics: Mapping[str, Any] = run.metrics
        for prompt, text in metrics["completions"].items():
            rows.append({"Model": name, "Prompt": prompt, "Goes on": text, "Characters": len(text)})
    return rows


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


TABLES = (
    Table(
        "tab1",
        "Models A to D",
        settings,
        ("c26", "c27"),
        "All but the temperature is the same. One-hot characters, torch's stacked matrices drawn as one by"
        " Xavier,"
        " two biases of zero, the state zero before each window, Adam.",
    ),
    Table(
        "tab2",
        "Greedy samples while a model learns",
        while_learning,
        ("c24", "c25"),
        "A character drawn uniformly from the vocabulary, and the 30 that the model writes after it. The"
        " report calls"
        " the model with temperature 1 A; its Table 1 says B. Both are shown, at one seed.",
        probe="text",
    ),
    Table(
        "tab3",
        "Samples of models A to D",
        after_characters,
        ("c28",),
        "Greedy, 30 characters after the seed.",
        probe="text",
    ),
    Table(
        "tab4",
        "Completions of models A to D",
        completions,
        ("c29", "c31"),
        "Greedy: at least 210 characters, then on to the first . ; ! or ?, 400 at most.",
        probe="text",
    ),
)
