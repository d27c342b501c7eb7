"""A made-up study: runs whose numbers are known, without training anything."""

from dataclasses import dataclass

import numpy as np

from memspan.config import Recipe, RunConfig
from memspan.ledger import Curve, Measurement, RunRecord
from memspan.study import preset
from memspan.tasks.palindrome import Palindrome

SOLVES_UP_TO = {"rnn": 20, "lstm": 40}


@dataclass(frozen=True)
class MadeUpCurve:
    """Stands where the ledger would: gives every run the same one curve."""

    line: np.ndarray

    def curve(self, run_id, name):
        assert name == "batch_accuracy"
        line = self.line.astype(np.float32)
        return Curve(np.arange(1, len(line) + 1), line, line, line)

    def curve_names(self, run_id):
        return ["batch_accuracy"]


def record(cell="rnn", length=5, seed=0, steps=5000, status="finished", line=None, **metrics):
    run = RunConfig(Palindrome(length), Recipe(cell=cell, steps=steps), seed)
    line = np.full(steps, 0.1) if line is None else line
    facts = {"kernel": "made up", "machine": "none"}
    source = MadeUpCurve(line)
    return RunRecord(run.id, run.flat(), status, "", len(line), metrics, facts, 1.0, False, source)


def time_gate_measured(**numbers):
    """The measurement of the time gate's probe, every error 0 but the report's slope."""
    names = ("cycle", "position", "mean", "open", "closed", "control", "slope")
    values = dict.fromkeys([f"{name}_error" for name in names], 0.0)
    values |= {"said_error": 2.0, "openness_jump": 2e-7, "steepest": 7e4, "flattest": 2e-6}
    return Measurement({"probe": "time_gate", "cases": 2000, "seed": 0, "version": 1}, values | numbers, {})


def made_up_line(cell, length, steps, rng):
    """A learning curve that rises, dips now and then, or stays low."""
    t = np.arange(steps)
    middle = 12 * length ** (1.6 if cell == "rnn" else 1.35) * rng.uniform(0.8, 1.2)
    top = 1.0 if length <= SOLVES_UP_TO[cell] else rng.uniform(0.12, 0.35)
    line = 0.1 + (top - 0.1) / (1 + np.exp(-(t - middle) / (0.15 * middle)))
    for start in rng.integers(int(middle), max(steps, int(middle) + 1), size=6 if cell == "rnn" else 2):
        line[start : start + 12] *= rng.uniform(0.3, 0.7)
    return np.round((np.clip(line + rng.normal(0, 0.02, steps), 0, 1)) * 128) / 128


def studied(name):
    """The runs of a preset's palindromes."""
    return next(e for e in preset(name).experiments if e.id == "palindromes").runs


def made_up_study(name, seeds=10):
    from memspan.statistics import summarise

    rng = np.random.default_rng(7)
    records = []
    for run in (run for run in studied(name) if run.seed < seeds):
        line = made_up_line(run.recipe.cell, run.task.length, run.recipe.steps, rng)
        held_out = np.round(line[99::100] * 1024) / 1024
        held_out[held_out > 0.95] = 1.0
        metrics = summarise(
            batch_accuracy=line,
            accuracy=held_out,
            every=100,
            gradient_norm=np.full(len(line), 3.0),
            clip=10.0,
            solved_at=0.99,
            final_accuracy=float(held_out[-1]),
        )
        records.append(
            record(run.recipe.cell, run.task.length, run.seed, run.recipe.steps, line=line, **metrics)
        )
    return records
