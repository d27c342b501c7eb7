"""The claims about the time gate's curve, which need no training."""

from __future__ import annotations

from memspan.report.claims.identity import IdentityClaim

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
    IdentityClaim(
        "c23",
        "Where (t − s) mod τ = 0 the gate is discontinuous; its derivative can be taken as 1 everywhere.",
        "Question 2.3",
        "The slope by autograd against 1, relative to the larger of the two, at random times of random gates"
        " (2 is the most there is: of opposite sign); beside it the closed form against autograd, and the"
        " jumps of φ and k at the wrap.",
        PROBE,
        probe="time_gate",
        number="said_error",
        detail="The phase jumps there by 1, the openness does not. Without a leak it has kinks only, at"
        " φ = 0, r/2 and r: 1e−9 of a cycle to either side of the wrap it differs by {openness_jump} at"
        " most. With a leak it jumps by αr where it closes and by α at the wrap. The slope is ±2/(rτ) while"
        " open, here {flattest} to {steepest} in size, and α/τ while closed; that closed form agrees with"
        " autograd to {slope_error}. What training with a slope of 1 does is not yet run.",
    ),
)
