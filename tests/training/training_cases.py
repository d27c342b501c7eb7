"""Runs of every kind of task, small."""

from memspan.config import Recipe, RunConfig
from memspan.tasks.copy import Copy
from memspan.tasks.palindrome import Palindrome
from memspan.tasks.planted_period import PlantedPeriod
from memspan.tasks.sines import Sines
from memspan.tasks.two_sensors import TwoSensors
from memspan.text.task import Text

SMALL = {"hidden": 6, "batch": 5, "steps": 7, "evaluate_every": 3, "evaluation_size": 8, "final_size": 8}


def run(task, seed=0, **recipe):
    return RunConfig(task, Recipe(**(SMALL | recipe)), seed)


KINDS = {
    "events and a gate": (TwoSensors(3), {"cell": "phased_lstm", "time_input": "delta"}),
    "ragged, real inputs": (Sines("asynchronous"), {"cell": "gru", "time_input": "time", "steps": 3}),
    "real answers": (PlantedPeriod(cycles=2, period=6.0), {"cell": "phased_rnn", "leak": 0.0}),
    "answers at ten positions": (Copy(2), {"cell": "lstm", "coding": "one_hot"}),
    "a random origin": (Palindrome(5), {"cell": "phased_gru", "time_origin": "random"}),
    "carried state and dropout": (
        Text(window=4, reading="streams"),
        {"cell": "lstm", "layers": 2, "dropout": 0.5, "coding": "one_hot", "temperature": 1.5, "biases": 2},
    ),
}
