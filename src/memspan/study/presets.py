"""The budgets of ``memspan reproduce``, from a look in minutes to the full study."""

from __future__ import annotations

from memspan.errors import UnknownNameError
from memspan.study.experiment import Preset
from memspan.study.palindromes import palindromes

PRESETS = {
    p.name: p
    for p in (
        Preset(
            "quick",
            "Four lengths, 1200 steps, two seeds: a look in minutes, too small a budget for any verdict.",
            (palindromes(lengths=(5, 10, 20, 30), steps=1200, seeds=range(2)),),
        ),
        Preset(
            "report",
            "The report's own setting: twelve lengths, 5000 steps, one seed.",
            (palindromes(),),
        ),
        Preset(
            "full",
            "The report's setting with ten seeds; the first of them is the preset report.",
            (palindromes(seeds=range(10)),),
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
