"""The jobs of a read-out and of an update, one a replica; see ``jobs.py``."""

from __future__ import annotations

CALLED = ("N", "features", "d_features", "targets")
"""What differs from call to call: the number of rows, and what they are."""
READ_OUT = (
    *CALLED,
    # sizes: units, answers, classes, energies of a row, the same in whole panels and in eights
    "H", "A", "K", "C", "wide", "K8",
    # widths in bytes: rows of h and of dz
    "lh", "lz",
    # given: the scale is 1 / temperature
    "weight", "bias", "scale",
    # wanted; shown: loss and share of right answers
    "d_weight", "d_bias", "shown",
    # scratch
    "modes", "panels", "panels_back", "start", "starts", "z", "h", "dz", "dh", "dw", "db", "chances", "count",
)  # fmt: skip
UPDATE = (
    "P", "rule", "weights", "gradients", "slot_0", "slot_1", "settings", "clip", "loss", "norm", "modes",
)  # fmt: skip
