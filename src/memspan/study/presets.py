"""The budgets of ``memspan reproduce``, from a look in minutes to the full study."""

from __future__ import annotations

from memspan.errors import UnknownNameError
from memspan.probes import PROBES, Probe
from memspan.study.experiment import Preset
from memspan.study.palindromes import palindromes

EVERY_PROBE = tuple(Probe(name) for name in PROBES)
PRESETS = {
    p.name: p
    for p in (
        Preset(
            "quick",
            "Four lengths, 1200 steps, two seeds: a look in minutes, too small a budget for any verdict.",
            (palindromes(lengths=(5, 10, 20, 30), steps=1200, seeds=range(2)),),
            EVERY_PROBE,
        ),
        Preset(
            "report",
            "The report's own setting: twelve lengths, 5000 steps, one seed.",
            (palindromes(),),
            EVERY_PROBE,
        ),
        Preset(
            "full",
            "The report's setting with ten seeds; the first of them is the preset report.",
            (palindromes(seeds=range(10)),),
            EVERY_PROBE,
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
