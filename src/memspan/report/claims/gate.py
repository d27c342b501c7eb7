"""The claims about the time gate's curve and what it does to a state; no run is trained for them."""

from __future__ import annotations

from memspan.report.claims.identity import IdentityClaim
from memspan.report.claims.trained import TrainedIdentityClaim

PROBE = ("time_gate",)
CLAIMS = (
    IdentityClaim(
        "c18",
        "Period, shift and open ratio set a cycle's length, position and open share; the time closed grows"
        " linearly with the period, and a shift only moves the cycles.",
        "Questions 2.1 and 2.3, Figure 4",
        "Cycle length, position, mean openness, open and closed time, found on the curve of random gates,"
        " against τ, s, r/2, rτ and (1 − r)τ; the largest of the five errors.",
        PROBE,
        probe="time_gate",
        number="control_error",
        detail="Largest error of cycle length {cycle_error}, position {position_error}, mean openness"
        " {mean_error}, open time {open_error}, closed time {closed_error}: rounding.",
    ),
    TrainedIdentityClaim(
        "c23",
        "Where (t − s) mod τ = 0 the gate is discontinuous; its derivative can be taken as 1 everywhere.",
        "Question 2.3",
        "The slope by autograd against 1, relative to the larger of the two, at random times of random gates"
        " (2 is the most there is: of opposite sign); beside it the closed form against autograd, and the"
        " jumps of φ and k at the wrap, and the same training with either slope.",
        ("time_gate", "slope"),
        probe="time_gate",
        number="said_error",
        detail="The phase jumps there by 1, the openness does not. Without a leak it has kinks only, at"
        " φ = 0, r/2 and r: 1e−9 of a cycle to either side of the wrap it differs by {openness_jump} at"
        " most. With a leak it jumps by αr where it closes and by α at the wrap. The slope is ±2/(rτ) while"
        " open, here {flattest} to {steepest} in size, and α/τ while closed; that closed form agrees with"
        " autograd to {slope_error}. Of the remainder (t − s) mod τ alone both halves of the sentence are"
        " true; that is the inner derivative, and what autograd takes.",
        training="slope",
        trained="Trained to find a planted period from {start_error:.0%} off, {true_found:.0f} of {units:.0f}"
        " units end within 0.1% of it with the gate's own slopes. With a slope of 1 everywhere"
        " {said_found:.0f} do, and {said_away:.0f} end farther off than they began.",
    ),
    IdentityClaim(
        "c38",
        "While a gate is closed, context and hidden state are copied unmodified.",
        "Question 2.2",
        "Every bit of the states of closed gates against the step before, without a leak; beside it what the"
        " paper's leak of 0.001 takes of a state from closing to opening, over 1,900 steps.",
        ("closed_gate",),
        probe="closed_gate",
        number="copy_error",
        besides=("leak_error",),
        detail="Condition: leak 0, as in evaluation. Of {cases:,.0f} states of closed gates {changed:.0f}"
        " differ from the step before in a bit; while open a share of {open_changed} does. With the leak of"
        " the paper's training a state loses a share of {leak_error} in 1,900 closed steps: Π (1 − αφ) is"
        " left, to {decay_error}. An LSTM that shuts its input gate keeps (1 − ε)^t, to {forget_error}; in"
        " float32 its forget gate, too, is 1 from a pre-activation of {rounds_to_one:.0f} on.",
    ),
)
