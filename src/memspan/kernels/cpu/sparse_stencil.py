"""The names a generated module defines before ``sparse.py`` continues it, so that the template can be read."""

from __future__ import annotations

from typing import Any

FAST: dict[str, Any]  # options of the entries
OPTIONS: dict[str, Any]  # of every other function: FAST, and no way in from Python
ENTRY: Any  # Numba's signature of the entries: (jobs, first, last)
SLOTS: int  # pre-activations of a unit
FROM_H: int  # slots[:FROM_H] take the recurrent product
FROM_X: int  # slots[-FROM_X:] take the input product
GATE: tuple[int, ...]  # slot → block of rows in torch's stacked weights
KEPT: int  # vectors of the cell's own that an opening keeps for backward
STATES: int  # 1 + the number of carried states
OWN: int  # vectors of a unit's own parameters
VB: int  # bytes of a vector

phase: Any  # of the time gate's cpu.py, as are
openness: Any
slopes: Any
unit_rows: Any  # z = W_u · s, a register tile; returns how many vectors that was, as the next ones do
weight_rows: Any  # dW_u += dz · [h | 1 | x]
state_rows: Any  # dh += Wᵀ · dz over open units; returns rows and vectors
input_rows: Any  # dx += Wᵀ · dz over open units
open_forward: Any  # z and states → new states, record
open_backward: Any  # gradients of new states → dz, those of states; returns that of the openness
