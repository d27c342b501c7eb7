"""The names a generated module defines before ``sequence.py`` continues it, so that the template can be read.

Nothing here is run: the generator writes the real constants and register tiles of each cell.
"""

from __future__ import annotations

from typing import Any

ENTRY: Any  # Numba's signature of the three entries: (jobs, first, last)
SLOTS: int  # pre-activations of a unit
FROM_H: int  # slots[:FROM_H] take the recurrent product
FROM_X: int  # slots[-FROM_X:] take the input product
BLOCKS: int  # vectors of units in a panel
GATE: tuple[int, ...]  # slot → block of rows in torch's stacked weights
SAVED: int  # vectors a unit keeps for backward, the record
CARRIED: tuple[int, ...]  # which of them are states beside h
STATES: int  # 1 + the number of carried states
DIRECT: bool  # whether h' depends on h beside the product
OWN: int  # vectors of a unit's own parameters
GATED: bool  # whether a time gate blends old and new states
LOG_HEAD: int  # bytes before the first entry of the log of resets

phase: Any  # of the time gate's cpu.py, as are
openness: Any
slopes: Any
gate_rows: Any  # z = start + [h | x] · panel, a register tile of rows
product_set_rows: Any  # C = A · panel
product_add_rows: Any  # C += A · panel
gradient_rows: Any  # C += Aᵀ · B over the rows of several steps
pointwise_forward: Any  # z, h and states → new h, record
pointwise_finish: Any  # h and record → new h and what the record still lacks; nothing for most cells
pointwise_backward: Any  # gradients of new h and states → dz, those of h and states
