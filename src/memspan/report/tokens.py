"""The numbers in the prose: tokens with a value, or the build stops and names the one without."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from itertools import product
from typing import get_args

from memspan.config import Recipe
from memspan.errors import LedgerError
from memspan.ledger import RunRecord
from memspan.probes import PROBES, streaming
from memspan.report.claims import CLAIMS
from memspan.report.claims.events import KEPT, digits, score
from memspan.report.claims.palindromes import LOW, RNN_CANNOT, accurate, dip_rate
from memspan.report.evidence import Evidence
from memspan.report.numbers import estimate, scientific
from memspan.report.records import Measurements, Records, ended, values, where
from memspan.statistics import bootstrap_interval
from memspan.study import clocks, recipes, sensors
from memspan.tasks.sines import Sampling


class Tokens:
    """Named texts for the document's prose.

    Args:
        values: name → text; None where the runs give no value.
    """

    def __init__(self, values: Mapping[str, str | None]) -> None:
        self._values = dict(values)

    def has(self, name: str) -> bool:
        """Return whether a token has a value, for a sentence that is left out without it."""
        return self._values.get(name) is not None

    def __getattr__(self, name: str) -> str:
        """Return a token's text.

        Raises:
            LedgerError: it has no value; the message names it.
        """
        if name.startswith("_"):
            raise AttributeError(name)
        value = self._values.get(name)
        if value is None:
            reason = "the runs give it no value" if name in self._values else "nothing defines it"
            raise LedgerError(
                f"the document's token {name!r} cannot be filled: {reason}; the report is not written"
            )
        return value


def tokens_of(evidence: Evidence) -> dict[str, str | None]:
    """Return every token the prose may use.

    Beside those about runs: a claim's id is its verdict in a word, ``c04_told`` the number it rests on, and
    ``bptt_printed_error`` a number of a probe of the equations.
    """
    runs = ended(evidence.records)
    counts: dict[str, str | None] = {
        "wanted": str(len(evidence.preset.runs)),
        "finished": str(sum(run.status == "finished" for run in runs)),
        "stopped": str(sum(run.status == "stopped" for run in runs)),
        "missing": str(len(evidence.preset.runs) - len(runs)),
    }
    of_runs = (
        palindrome_tokens(evidence.studied)
        | recipe_tokens(runs)
        | sensor_tokens(runs)
        | sine_tokens(runs)
        | clock_tokens(runs)
    )
    of_probes = streaming_tokens(evidence.measurements) | _probe_tokens(evidence)
    return counts | of_runs | _claim_tokens(evidence) | of_probes


def _claim_tokens(evidence: Evidence) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for id, verdict in evidence.verdicts.items():
        found[id] = str(verdict.word)
        found[f"{id}_told"] = None if verdict.value is None else CLAIMS[id].told(verdict)
    return found


def _probe_tokens(evidence: Evidence) -> dict[str, str | None]:
    return {
        f"{probe}_{name}": scientific(value) if isinstance(value, int | float) else None
        for probe in PROBES
        for name, value in evidence.answer(probe).items()
    }


def palindrome_tokens(records: Records) -> dict[str, str | None]:
    """Return the tokens of the palindrome study."""
    runs = ended(records)
    rnn, lstm = where(runs, cell="rnn"), where(runs, cell="lstm")
    return {
        "lengths": _listed(values(runs, "length")) if runs else None,
        "steps": _listed(values(runs, "steps")) if runs else None,
        "seeds": _seeds(runs),
        "last_steps": _last_steps(runs),
        "rnn_sure": _sure(rnn),
        "lstm_sure": _sure(lstm),
        "rnn_above": _above(rnn),
        "rnn_dips": _dips(rnn),
        "lstm_dips": _dips(lstm),
    }


RECIPE_NAMES = {
    "lstm": "LSTM",
    "untold": "LSTM, T not told",
    "rnn": "RNN",
    "numbers": "RNN, digits as numbers",
    "latch": "RNN that latches",
}
"""What a token calls a recipe → its name."""


def recipe_tokens(records: Records) -> dict[str, str | None]:
    """Return how many runs of a recipe solve a length: ``recipe_lstm_100`` and the like."""
    found = {}
    for key, name in RECIPE_NAMES.items():
        for length, steps in recipes.PROVED[name].items():
            wanted = {run.id for run in recipes.recipe_runs(name, length)}
            runs = [run for run in records if run.id in wanted]
            share = _of(sum(score(run, "solved") > 0 for run in runs), len(runs))
            found[f"recipe_{key}_{length}"] = share and f"{share} runs within {steps:,} updates"
    return found


SENSOR_GROUPS = {
    "phased": (sensors.PHASED,),
    "chrono": sensors.LSTMS,
    "usual": (sensors.USUAL,),
    "gru": sensors.GRUS,
}
CLOCK_GROUPS = {
    "told": (clocks.TOLD,),
    "untold": (clocks.UNTOLD,),
    "moved": (clocks.MOVED,),
    "flagged": (clocks.LSTM, clocks.CHRONO, clocks.GRU),
}
"""What a token calls some networks → their names."""


def sensor_tokens(records: Records) -> dict[str, str | None]:
    """Return in how many runs networks keep the slow sensor: ``kept_phased_1000`` and the like."""
    found = {}
    for key, ratio in product(SENSOR_GROUPS, sensors.RATIOS):
        runs: list[RunRecord] = []
        for name in SENSOR_GROUPS[key]:
            shown = sensors.ON_SENSORS[name]
            runs += where(records, task="two_sensors", ratio=ratio, steps=sensors.EVENTS.steps, **shown)
        found[f"kept_{key}_{ratio}"] = _of(sum(score(run, "accuracy_1") >= KEPT for run in runs), len(runs))
    return found


def sine_tokens(records: Records) -> dict[str, str | None]:
    """Return accuracies on sines, averaged over seeds.

    ``sines_phased``, ``sines_t`` and ``sines_delta`` at random times under the paper's recipe;
    ``settled_phased_standard``, ``settled_lstm_fine`` and the like under a rate that falls.
    """
    gates = zip(("phased", "t", "delta"), (sensors.PHASED, *sensors.LSTMS), strict=True)
    asked = {f"sines_{key}": ("asynchronous", name, sensors.PAPER) for key, name in gates}
    for sampling in get_args(Sampling):
        recipe = sensors.FINE if sampling == "fine" else sensors.SETTLED
        for key, name in zip(("phased", "lstm", "gru"), sensors.suited(sampling), strict=True):
            asked[f"settled_{key}_{sampling}"] = (sampling, name, recipe)
    return {token: _on_sines(records, *case) for token, case in asked.items()}


def _on_sines(records: Records, sampling: str, name: str, recipe: Recipe) -> str | None:
    shown = {"sampling": sampling, "lr_decay": recipe.lr_decay, **sensors.NETWORKS[name]}
    scores = [score(run) for run in where(records, **shown)]
    return estimate(bootstrap_interval(scores), digits=3) if scores else None


def clock_tokens(records: Records) -> dict[str, str | None]:
    """Return how many runs solve long palindromes: ``solved_untold_1000`` and the like."""
    found = {}
    for key, length in product(CLOCK_GROUPS, (*clocks.LENGTHS, clocks.LONG, clocks.LONGEST)):
        runs = [run for name in CLOCK_GROUPS[key] for run in where(records, **digits(name, length))]
        found[f"solved_{key}_{length}"] = _of(sum(score(run, "solved") > 0 for run in runs), len(runs))
    return found


def streaming_tokens(measurements: Measurements) -> dict[str, str | None]:
    """Return the share of rows that recall the first digit after so many, ``recalled_1000000``."""
    asked = [m.values for m in measurements if m.config.get("probe") == "streaming"]
    names = [f"recalled_{digits}" for digits in streaming.MARKS]
    return {
        name: estimate(bootstrap_interval([answer[name] for answer in asked])) if asked else None
        for name in names
    }


def _of(part: int, whole: int) -> str | None:
    return f"{part} of {whole}" if whole else None


def _listed(items: Sequence[object]) -> str:
    texts = [str(item) for item in items]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def _seeds(runs: Records) -> str | None:
    seeds = len(values(runs, "seed"))
    return f"{seeds} seed{'s' * (seeds != 1)}" if seeds else None


def _last_steps(runs: Records) -> str | None:
    windows = {
        int(run.metrics["last_window"])
        for run in runs
        if run.status == "finished" and "last_window" in run.metrics
    }
    return _listed(sorted(windows)) if windows else None


def _sure(runs: Records) -> str | None:
    """Return up to which length every seed of every length is accurate."""
    sure = None
    for length in values(runs, "length"):
        if not all(accurate(run) for run in where(runs, length=length)):
            break
        sure = length
    return None if sure is None else f"T = {sure}"


def _above(runs: Records) -> str | None:
    """Return how many runs of 30 digits and more ever average above 0.30 over 100 steps, of how many."""
    long = [run for run in runs if run.config["length"] in RNN_CANNOT and "peak_100" in run.metrics]
    above = sum(run.metrics["peak_100"] > LOW for run in long)
    return _of(above, len(long))


def _dips(runs: Records) -> str | None:
    """Return dips per 1000 steps over all lengths, averaged for each seed first; interval over seeds."""
    rates: dict[int, list[float]] = {}
    for run in runs:
        if (rate := dip_rate(run)) is not None:
            rates.setdefault(run.config["seed"], []).append(rate)
    if not rates:
        return None
    interval = bootstrap_interval([statistics.fmean(of_seed) for of_seed in rates.values()])
    if interval.n == 1:
        return estimate(interval)
    return f"{estimate(interval)} (n = {interval.n} seeds)"
