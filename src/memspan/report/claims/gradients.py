"""The claims about gradients and gates of trained networks."""

from __future__ import annotations

from memspan.ledger import RunRecord
from memspan.report.claims.claim import Roles, Trial, TrialClaim, at
from memspan.study.gradients import REACHES, VARIANTS, variant

CELLS = {"rnn": "RNN", "lstm": "LSTM"}
NAMES = {
    "sigmoid_g": "g a sigmoid",
    "relu_g": "g a ReLU",
    "held_i": "i held at 1",
    "held_f": "f held at 1",
    "held_g": "g held at 1",
    "held_o": "o held at 1",
}
LENGTH = 100


def _report(cell: str, length: int = LENGTH) -> dict[str, object]:
    return {"cell": cell, "length": length, "bias": "zero", "optimizer": "rmsprop"}


def passed(run: RunRecord, when: str) -> float:
    """Return log10 of a gradient at the first step over that at the last; for an LSTM, the context's."""
    state = "c" if run.config["cell"] == "lstm" else "h"
    return run.metrics[f"{when}_{state}_passed"]


def _pair(lstm: dict[str, object]) -> Roles:
    return {"rnn": _report("rnn"), "lstm": lstm}


LEARNED = {"cell": "lstm", "length": LENGTH, "bias": "chrono", "optimizer": "adam"}


def _advantage(trial: Trial, when: str = "after") -> float:
    return passed(trial["lstm"], when) - passed(trial["rnn"], when)


def _variant(name: str) -> Roles:
    return {
        "usual": {"cell": "lstm", "length": 20, "bias": "forget_one"},
        "variant": {"cell": variant(name), "length": 20, "bias": "forget_one"},
    }


def as_said(trial: Trial) -> bool:
    """Return whether a changed gate does what the sentence says: ReLU solves too, any other is worse."""
    never = float("inf")
    usual, changed = (trial[role].metrics.get("reached_step", never) for role in ("usual", "variant"))
    return changed < never if trial["variant"].config["cell"] == variant("relu_g") else usual < changed


CLAIMS = (
    TrialClaim(
        "c17",
        "The LSTM's additive context lets strong gradients pass from step to step.",
        "Question 1.6",
        "‖∂L/∂c_t‖ of the LSTM against ‖∂L/∂h_t‖ of the RNN, first step over last, at T = 100 after training:"
        " true of a seed if the LSTM keeps more. Beside the report's LSTM, which does not learn this length,"
        " stands one that does (chrono bias, Adam).",
        ("gradients",),
        cases={"the report’s LSTM": _pair(_report("lstm")), "an LSTM that learns": _pair(LEARNED)},
        true_of=lambda t: _advantage(t) > 0,
        measure=_advantage,
        measured="powers of ten the LSTM keeps more than the RNN",
        probe="gradients",
    ),
    TrialClaim(
        "c34",
        "tanh serves the candidate g, because it is centred and steeper at 0 (ReLU is another choice);"
        " sigmoid gates are needed as switches.",
        "Question 1.5",
        "T = 20, forget bias 1: true of a seed if the LSTM with one gate changed reaches 0.99 later than the"
        " usual one at the same seed, or never; for ReLU, if it"
        " reaches 0.99 at all. The slopes at 0 are 1 for tanh and ¼ for the sigmoid.",
        ("gate_variants",),
        cases={NAMES[name]: _variant(name) for name in VARIANTS},
        true_of=as_said,
        measure=lambda t: t["variant"].metrics.get("accuracy"),
        measured="held-out accuracy of the variant",
    ),
    TrialClaim(
        "c35",
        "The gradient with respect to W_hh depends on all previous time steps.",
        "Question 1.1",
        "The share of each step in dL/dW_hh after training: true of a seed if every step after the first adds"
        " more than float32 can tell from nothing beside the largest share. (Before the first step the state"
        " is zero, so that step adds nothing.)",
        ("gradients",),
        cases={
            f"{CELLS[cell]}, {at(length)}": {cell: _report(cell, length)}
            for cell in CELLS
            for length in REACHES
        },
        true_of=lambda t: next(iter(t.values())).metrics["after_reach"] == 1.0,
        measure=lambda t: next(iter(t.values())).metrics["after_reach"],
        measured="share of steps that float32 sees",
        probe="gradients",
    ),
)
