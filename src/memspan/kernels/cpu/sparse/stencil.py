"""The names a generated module defines before the template continues it; see ``cpu/stencil.py``."""

from __future__ import annotations

from typing import Any

ENTRY: Any  # Numba's signature of the entries: (jobs, first, last)
SLOTS: int  # pre-activations of a unit
FROM_H: int  # slots[:FROM_H] take the recurrent product
FROM_X: int  # slots[-FROM_X:] take the input product
GATE: tuple[int, ...]  # slot → block of rows in torch's stacked weights
KEPT: int  # vectors of the cell's own that an opening keeps for backward
BLOCKS_OF_ROWS: int  # blocks of H rows in the stacked weights
STATES: int  # 1 + the number of carried states
OWN: int  # vectors of a unit's own parameters
VB: int  # bytes of a vector

phase: Any  # of the time gate's cpu.py, as are
openness: Any
slopes: Any
product_units: Any  # z = W_u · s of every open unit u, in register tiles
product_weights: Any  # dW_u += dz · [h | 1 | x] of every open unit
product_states: Any  # dh += Wᵀ · dz over open units
product_inputs: Any  # dx += Wᵀ · dz over open units
dots: Any  # one state times a unit's rows of weights
stream_pointwise: Any  # z and states of open units that lie beside each other → new states
open_forward: Any  # z and states → new states, record
open_backward: Any  # gradients of new states → dz, those of states; returns that of the openness
