"""The budgets of ``memspan reproduce``, from a look in minutes to the full study."""

from __future__ import annotations

from memspan.errors import UnknownNameError
from memspan.study.experiment import Experiment, Preset
from memspan.study.gradients import gate_variants, gates, gradients
from memspan.study.identities import IDENTITIES
from memspan.study.palindromes import palindromes
from memspan.study.variations import VARIATIONS

FULL: tuple[Experiment, ...] = (
    palindromes(seeds=range(10)),
    gradients(),
    gates(),
    gate_variants(),
    *VARIATIONS,
    *IDENTITIES,
)
"""Every experiment of the report at the size its verdict needs; adding one is one line here."""
EXPERIMENTS = {experiment.id: experiment for experiment in FULL}

PRESETS = {
    p.name: p
    for p in (
        Preset(
            "quick",
            "Four lengths, 1200 steps, two seeds: a look in minutes, too small a budget for any verdict.",
            (palindromes(lengths=(5, 10, 20, 30), steps=1200, seeds=range(2)), *IDENTITIES),
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
