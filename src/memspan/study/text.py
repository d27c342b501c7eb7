"""The text study: models A to D of the report, which differ in their training temperature alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from itertools import product

from memspan.config import RunConfig
from memspan.probes import RunProbe
from memspan.study.experiment import Experiment
from memspan.text import Text
from memspan.text.recipe import RECIPE

TEMPERATURES = {"A": 0.5, "B": 1.0, "C": 1.5, "D": 2.0}
"""The report's models and the temperature each is trained at."""
MARKS = (1, 100, 200, 300, 400, 500, 1000, 1500)
"""Steps at which Table 2 looks at a model, before the end at 2000."""
LARGER = Text("stdlib", validation=0.1)
"""A corpus a thousand times as long, of which the last tenth is never trained on."""


def models(
    task: Text, seeds: Iterable[int], names: Sequence[str] = ("A", "B", "C", "D"), **recipe: object
) -> tuple[RunConfig, ...]:
    """Return some of the models at some seeds, in Table 1's recipe with a few fields changed."""
    return tuple(
        RunConfig(task, dataclasses.replace(RECIPE, temperature=TEMPERATURES[name], **recipe), seed)  # type: ignore[arg-type]
        for seed, name in product(seeds, names)
    )


def text(
    seeds: Iterable[int] = range(10),
    steps: int = RECIPE.steps,
    probes: Sequence[str] = ("text", "text_sampling", "text_units"),
) -> Experiment:
    """Return models A to D on the Bill of Rights."""
    runs = models(Text(), seeds, steps=steps)
    serves = ("tab1", "tab2", "tab3", "tab4", "fig-text-scale", "fig-text-learning", "fig-text-sampling")
    claims = ("c24", "c25", "c27", "c28", "c29", "c30", "c31", "c37")
    return Experiment(
        "text",
        "Text: models A to D",
        runs,
        (*serves, *claims),
        _asked(runs, *probes),
    )


def text_marks(seeds: Iterable[int] = range(10), marks: Sequence[int] = MARKS) -> Experiment:
    """Return model B, and A at one seed, ended at the steps that Table 2 looks at.

    A run that ends at step s is the longer one up to there, to the last bit: no batch, mask or learning rate
    depends on the budget.
    """
    seeds = tuple(seeds)
    runs = tuple(
        run
        for steps in marks
        for run in (*models(Text(), seeds, "B", steps=steps), *models(Text(), seeds[:1], "A", steps=steps))
    )
    return Experiment(
        "text_marks",
        "Text: what a model writes while it learns",
        runs,
        ("tab2", "fig-text-learning", "c24", "c25"),
        _asked(runs, "text"),
    )


def text_without_dropout(seeds: Iterable[int] = range(5)) -> Experiment:
    """Return models A to D trained without dropout."""
    runs = models(Text(), seeds, dropout=0.0)
    return Experiment(
        "text_without_dropout", "Text: models A to D without dropout", runs, ("c31", "c37"),
        _asked(runs, "text", "text_units"),
    )  # fmt: skip


def text_larger(seeds: Iterable[int] = range(5)) -> Experiment:
    """Return models A to D on Python's standard library."""
    runs = models(LARGER, seeds, evaluate_every=1000)
    return Experiment(
        "text_larger", "Text: models A to D on a corpus that cannot be memorised", runs, ("c31",),
        _asked(runs, "text"),
    )  # fmt: skip


def _asked(runs: Iterable[RunConfig], *probes: str) -> tuple[RunProbe, ...]:
    return tuple(RunProbe(probe, run) for run in runs for probe in probes)
