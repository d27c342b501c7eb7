"""The gated recurrent unit, with the reset gate after the recurrent product."""

from __future__ import annotations

from torch import Tensor

from memspan.cells.cell import Cell, Parameters, State, products


class GRU(Cell):
    """Gated recurrent unit.

    Equations:
        r = σ(W_ir x + b_ir + W_hr h + b_hr)
        z = σ(W_iz x + b_iz + W_hz h + b_hz)
        n = tanh(W_in x + b_in + r ⊙ (W_hn h + b_hn))
        h' = (1 − z) ⊙ n + z ⊙ h

    Source:
        K. Cho et al. (2014), "Learning phrase representations using RNN encoder–decoder".

    Differs:
        The paper multiplies h by r before the product W_hn; torch, cuDNN and this cell after it.
    """

    name = "gru"
    gates = ("r", "z", "n")

    def step(self, p: Parameters, x: Tensor, state: State, time: Tensor | None = None) -> State:
        """Return (h_t,)."""
        gate, (h,) = self.gate_values(p, x, state), state
        return (gate["n"] + gate["z"] * (h - gate["n"]),)

    def gate_values(self, p: Parameters, x: Tensor, state: State) -> dict[str, Tensor]:
        """Return reset r, update z and candidate n."""
        zx, zh = products(p, x, state[0])
        (xr, xz, xn), (hr, hz, hn) = zx.chunk(3, -1), zh.chunk(3, -1)
        r, z = (xr + hr).sigmoid(), (xz + hz).sigmoid()
        return {"r": r, "z": z, "n": (xn + r * hn).tanh()}
