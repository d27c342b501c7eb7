"""The budgets of ``memspan reproduce``, from a look in minutes to the full study."""

from __future__ import annotations

from memspan.errors import UnknownNameError
from memspan.study.clocks import clocks, clocks_long, clocks_longest, planted
from memspan.study.experiment import Experiment, Preset
from memspan.study.gradients import gate_variants, gates, gradients
from memspan.study.identities import IDENTITIES
from memspan.study.palindromes import palindromes
from memspan.study.recipes import recipes
from memspan.study.sensors import sines, sines_fine, sines_settled, two_sensors
from memspan.study.text import text, text_larger, text_marks, text_without_dropout
from memspan.study.variations import VARIATIONS

FULL: tuple[Experiment, ...] = (
    palindromes(seeds=range(10)),
    gradients(),
    gates(),
    gate_variants(),
    two_sensors(),
    sines(),
    sines_settled(),
    sines_fine(),
    clocks(),
    clocks_long(),
    clocks_longest(),
    planted(),
    text(seeds=range(5)),
    text_marks(seeds=range(5)),
    text_without_dropout(),
    text_larger(),
    *VARIATIONS,
    recipes(),
    *IDENTITIES,
)
"""Every experiment of the report at the size its verdict needs; adding one is one line here."""
GATED = (
    two_sensors(ratios=(10,), seeds=(0,), steps=400),
    clocks(lengths=(100,), seeds=(0,), steps=300),
    planted(cycles=(5,), away=(0.005, 0.05, 0.5), seeds=(0,), steps=300, final_size=1024),
)
"""A preview of what time gates are good for."""
WRITING = (
    text(seeds=(0,), steps=200, probes=("text", "text_sampling")),
    text_marks(seeds=(0,), marks=(1, 100, 200)),
)
"""A preview of the character models."""
EXPERIMENTS = {experiment.id: experiment for experiment in FULL}

PRESETS = {
    p.name: p
    for p in (
        Preset(
            "quick",
            "Four lengths, 800 steps, two seeds: a look in minutes, too small a budget for any verdict.",
            (palindromes(lengths=(5, 10, 20, 30), steps=800, seeds=range(2)), *GATED, *WRITING, *IDENTITIES),
        ),
        Preset(
            "report",
            "The report's own setting: twelve lengths, 5000 steps, one seed.",
            (palindromes(), *IDENTITIES),
        ),
        Preset(
            "full",
            "Every experiment, with the seeds its verdict asks for; the first seed of the palindromes is"
            " the preset report.",
            FULL,
        ),
    )
}


def preset(name: str) -> Preset:
    """Return a preset by name.

    Raises:
        UnknownNameError: no such preset; the message suggests the nearest one.
    """
    try:
        return PRESETS[name]
    except KeyError:
        raise UnknownNameError("preset", name, PRESETS) from None
