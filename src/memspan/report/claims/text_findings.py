"""What is found in the runs of character models: for each seed a truth and a number; see ``Part``."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable, Mapping
from typing import Any

from memspan.ledger import RunRecord
from memspan.report.claims.parts import Found
from memspan.report.records import Records, by_seed, where
from memspan.study.text import LARGER, TEMPERATURES
from memspan.text.recipe import RECIPE

Four = Mapping[str, RunRecord]
"""Models A to D of one seed."""
SMALL = {"task": "text", "corpus": "bill_of_rights"}
STEPS, DROPOUT = RECIPE.steps, RECIPE.dropout
GOOD, FAULTLESS = 0.95, 0.99
"""Share of dictionary words from which samples are good, and free of errors."""


def model(runs: Records, name: str, *, steps: int = STEPS, dropout: float = DROPOUT, **given: Any) -> Records:
    """Return the runs of one model, A to D, on one corpus."""
    fields = {**SMALL, **given, "temperature": TEMPERATURES[name], "steps": steps, "dropout": dropout}
    return where(runs, **fields)


def fours(runs: Records, **given: Any) -> dict[int, Four]:
    """Return seed → models A to D, for the seeds that have all of them."""
    of = {name: by_seed(model(runs, name, **given)) for name in TEMPERATURES}
    shared = sorted(set.intersection(*(set(seeds) for seeds in of.values())))
    return {seed: {name: of[name][seed] for name in of} for seed in shared}


def number(run: RunRecord, name: str) -> float:
    """Return one of a run's numbers, NaN where it has none: every comparison with it is false."""
    value = run.metrics.get(name)
    return math.nan if value is None else float(value)


def told(run: RunRecord, name: str) -> Any:
    """Return what a probe told of a run under a name: a list or a mapping, beside the numbers."""
    return run.metrics[name]


def at_step(steps: int, true_of: Callable[[RunRecord], bool], name: str) -> Callable[[Records], Found]:
    """Return the finding of what is true of model B at one step; ``name`` is the number beside it."""
    return lambda runs: [(true_of(r), number(r, name)) for r in model(runs, "B", steps=steps)]


def of_four(true_of: Callable[[Four], bool], measure: Callable[[Four], float]) -> Callable[[Records], Found]:
    """Return the finding of what is true of the four models of a seed."""
    return lambda runs: [(true_of(four), measure(four)) for four in fours(runs).values()]


def words_grow(runs: Records) -> Found:
    """True of a seed if model B's share of dictionary words is larger at step 500 than at 100."""
    early, later = (by_seed(model(runs, "B", steps=steps)) for steps in (100, 500))
    gains = [
        number(later[s], "dictionary_share") - number(early[s], "dictionary_share")
        for s in early.keys() & later.keys()
    ]
    return [(gain > 0, gain) for gain in gains]


def fewer_words(four: Four) -> float:
    """Return by how much D's share of dictionary words is below A's."""
    return number(four["A"], "dictionary_share") - number(four["D"], "dictionary_share")


def more_newlines(four: Four) -> float:
    """Return D's newlines per 100 characters less the most of the other models."""
    return number(four["D"], "newlines") - max(number(four[name], "newlines") for name in "ABC")


def exponent(four: Four) -> float:
    """Return the slope of log raw logit spread on log T: 1 if the network undid T wholly, 0 if not at all."""
    x = [math.log(T) for T in TEMPERATURES.values()]
    y = [math.log(number(four[name], "raw_logit_std")) for name in TEMPERATURES]
    return statistics.linear_regression(x, y).slope


def same_samples(a: RunRecord, b: RunRecord) -> float:
    """Return the share of the vocabulary's characters after which two models write the same 30."""
    pairs = list(zip(told(a, "samples"), told(b, "samples"), strict=True))
    return sum(x == y for x, y in pairs) / len(pairs)


def same_completions(a: RunRecord, b: RunRecord) -> float:
    """Return the share of prompts that two models complete alike."""
    one, other = told(a, "completions"), told(b, "completions")
    return statistics.fmean(one[prompt] == other[prompt] for prompt in one)


def across(alike: Callable[[RunRecord, RunRecord], float], four: Four) -> float:
    """Return how alike the models of one seed are, mean over pairs of temperatures."""
    return statistics.fmean(alike(four[a], four[b]) for a, b in itertools.combinations(four, 2))


def other_than_seeds(runs: Records) -> Found:
    """True of a seed if its models agree less with each other than with those of their T at other seeds."""
    every, found = fours(runs), []
    for seed, four in every.items():
        others = [other for s, other in every.items() if s != seed]
        if others:
            between = statistics.fmean(
                same_samples(four[name], other[name]) for other in others for name in four
            )
            found.append((across(same_samples, four) < between, between - across(same_samples, four)))
    return found


def learning_differs(runs: Records) -> Found:
    """True of a seed if mean batch accuracy spreads wider over A to D than over the seeds of B."""
    every = fours(runs)
    means = [number(four["B"], "mean_all") for four in every.values()]
    if len(means) < 2:
        return []
    between = max(means) - min(means)
    spreads = [
        max(values) - min(values)
        for values in ([number(run, "mean_all") for run in four.values()] for four in every.values())
    ]
    return [(spread > between, spread) for spread in spreads]


def sampled(run: RunRecord, name: str) -> dict[float, float]:
    """Return temperature of sampling → one measure of a model's samples, where it has a value."""
    pairs = zip(told(run, "sampled_at"), told(run, f"sampled_{name}"), strict=True)
    return {temperature: value for temperature, value in pairs if value is not None}


def rises(name: str, start: float, end: float, least: float = 0.0) -> Callable[[Records], Found]:
    """Return the finding that a measure of model B's samples rises by more than ``least`` between two T."""

    def find(runs: Records) -> Found:
        made = [sampled(run, name) for run in model(runs, "B")]
        gains = [at[end] - at[start] for at in made if start in at and end in at]
        return [(gain > least, gain) for gain in gains]

    return find


def sampling_matters_more(runs: Records) -> Found:
    """True of a seed if dictionary share spreads wider over T of sampling (B) than over T of training."""
    found = []
    for four in fours(runs).values():
        in_sampling = sampled(four["B"], "dictionary_share").values()
        in_training = [sampled(run, "dictionary_share").get(1.0, math.nan) for run in four.values()]
        wider = (max(in_sampling) - min(in_sampling)) - (max(in_training) - min(in_training))
        found.append((wider > 0, wider))
    return found


def less_alike_on_the_larger(runs: Records) -> Found:
    """True of a seed if A to D complete prompts less alike on the larger corpus than on the small one."""
    small, large = fours(runs), fours(runs, corpus=LARGER.corpus)
    drops = [
        across(same_completions, small[seed]) - across(same_completions, large[seed])
        for seed in small.keys() & large.keys()
    ]
    return [(drop > 0, drop) for drop in drops]


def kept(run: RunRecord, layer: int, k: int) -> float:
    """Return the share of a model's accuracy that is left with k units of a layer deleted."""
    without = told(run, f"accuracy_without_{layer}")[told(run, "deleted").index(k)]
    return float(without) / number(run, "accuracy_whole")


def more_dropout_left(layer: int, k: int) -> Callable[[Records], Found]:
    """Return the finding that more accuracy is left without k units of a layer if trained with dropout."""

    def find(runs: Records) -> Found:
        with_it, without = (by_seed(model(runs, "B", dropout=dropout)) for dropout in (DROPOUT, 0.0))
        shared = with_it.keys() & without.keys()
        gains = [kept(with_it[seed], layer, k) - kept(without[seed], layer, k) for seed in shared]
        return [(gain > 0, gain) for gain in gains]

    return find
