"""The job of one work unit, (replica, tile of rows), as a record of sizes and addresses.

Whoever fills a job keeps every buffer alive until the kernel returns: the kernel sees addresses only.
Sizes count elements, addresses and strides bytes; an address of 0 means "not wanted". ``fresh`` says that the
thread has not laid out the weights of this replica yet.
"""

from __future__ import annotations

import functools

import numpy as np

FIELDS = (
    # sizes
    "replica", "fresh", "rows", "T", "B", "D", "H", "V", "chunk", "ring",
    # steps of this call, t0 … t1 − 1, and whether forward starts at the border kept before t0
    "t0", "t1", "again",
    # widths of buffer rows, in bytes: [h | 1 | x], record, dz, dh, dW_hh, dW_x, openness (0: one row for all)
    "lh", "lr", "lz", "ld", "lw", "lk",
    # which rows of the batch, longest first, and their lengths
    "order", "length",
    # given, of this replica
    "x", "symbols", "resets", "weight_ih", "weight_hh", "bias_ih", "bias_hh", "state", "state_part",
    "own", "clocks", "times",
    # wanted, of this replica
    "outputs", "last", "states", "d_outputs", "d_last", "d_carried", "d_states", "d_state", "dx",
    # kept from forward for backward
    "h", "record", "log", "border",
    # scratch of the thread
    "modes", "panels", "start", "starts", "z", "panels_h", "panels_x", "dz", "dh", "ds", "dx_row", "counts",
    "open", "d_open",
    # gradients of the weights, summed over this tile
    "dw", "dw_x", "d_table", "own_sum", "clock_sum",
    # and over the tiles of this replica, in torch's layout
    "d_weight_ih", "d_weight_hh", "d_bias_ih", "d_bias_hh", "d_own", "d_clocks",
)  # fmt: skip

PLACE = {name: place for place, name in enumerate(FIELDS)}


def records(table: np.ndarray, fields: tuple[str, ...] = FIELDS) -> np.ndarray:
    """Return a table (units, fields) of whole numbers as one record a unit."""
    return table.reshape(-1).view(job_of(fields))


@functools.cache  # Numba looks a call's types up by the record: the same object is found at once
def job_of(fields: tuple[str, ...]) -> np.dtype[np.void]:
    """Return the record of these fields."""
    return np.dtype([(name, np.int64) for name in fields])


def jobs_type(fields: tuple[str, ...] = FIELDS) -> object:
    """Return Numba's type of an array of jobs."""
    from numba import from_dtype, types

    return types.Array(from_dtype(job_of(fields)), 1, "C", aligned=True)
