"""The jobs of a read-out, one a tile of rows, and of an update, one a replica; see ``jobs.py``."""

from __future__ import annotations

CALLED = ("features", "d_features", "targets")
"""What differs from call to call."""
READ_OUT = (
    *CALLED,
    # sizes: rows of the tile and of the replica, units, answers, classes, energies of a row, the same in
    # whole panels and in eights
    "replica", "fresh", "rows", "N", "H", "A", "K", "C", "wide", "K8",
    # widths in bytes: rows of h and of dz
    "lh", "lz",
    # given: the scale is 1 / temperature
    "weight", "bias", "scale",
    # wanted, of this replica; shown: loss and share of right answers
    "d_weight", "d_bias", "shown",
    # scratch of the thread
    "modes", "panels", "panels_back", "start", "starts", "z", "h", "dz", "dh", "chances", "count",
    # sums over this tile: gradients; losses and right answers
    "dw", "db", "sums",
)  # fmt: skip
UPDATE = (
    "P", "rule", "weights", "gradients", "slot_0", "slot_1", "settings", "clip", "loss", "norm", "modes",
)  # fmt: skip
