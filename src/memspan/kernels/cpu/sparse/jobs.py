"""The job of one work unit of the sparse time gate; see ``cpu/jobs.py``."""

from __future__ import annotations

from memspan.kernels.cpu import jobs

FIELDS = (
    # sizes
    "replica", "rows", "T", "B", "D", "H", "units", "chunk",
    # widths in bytes: a row of lanes, of flat states, of dW; a unit's weights, an opening's record
    "ls", "lf", "lw", "lp", "le",
    # which rows of the batch, longest first, and their lengths
    "order", "length",
    # given, of this replica
    "x", "symbols", "weight_ih", "weight_hh", "bias_ih", "bias_hh", "own", "clocks", "times",
    "state", "state_part",
    # the schedule of this replica
    "ends", "who", "opening", "slope",
    # wanted, of this replica
    "outputs", "last", "states", "d_outputs", "d_last", "d_carried", "d_states", "d_state", "dx",
    # kept from forward for backward
    "saved", "border",
    # scratch of the thread
    "modes", "lane", "panel", "live", "s", "c", "z", "flat", "dh", "dc", "above",
    # gradients summed over this tile
    "dw", "own_sum", "d_opening",
    # and over the tiles of this replica, in torch's layout
    "d_weight_ih", "d_weight_hh", "d_bias_ih", "d_bias_hh", "d_own", "d_clocks",
)  # fmt: skip
PLACE = {name: place for place, name in enumerate(FIELDS)}


def jobs_type() -> object:
    """Return Numba's type of an array of jobs."""
    return jobs.jobs_type(FIELDS)
