"""Long short-term memory with a forget gate and peepholes: every gate sees the context of its own unit."""

from __future__ import annotations

from torch import Tensor

from memspan.cells.cell import Cell, Parameters, State, products


class PeepholeLSTM(Cell):
    """Long short-term memory with peepholes, the cell inside the Phased LSTM's paper.

    Equations:
        i = σ(W_ii x + b_ii + W_hi h + b_hi + w_i ⊙ c)
        f = σ(W_if x + b_if + W_hf h + b_hf + w_f ⊙ c)
        g = tanh(W_ig x + b_ig + W_hg h + b_hg)
        c' = f ⊙ c + i ⊙ g
        o = σ(W_io x + b_io + W_ho h + b_ho + w_o ⊙ c')
        h' = o ⊙ tanh(c')

    Shapes:
        As an LSTM's, and ``peephole`` (3·H,): w_i, w_f and w_o stacked.

    Source:
        F. Gers & J. Schmidhuber (2000), "Recurrent nets that time and count". As written by D. Neil,
        M. Pfeiffer & S.-C. Liu (2016), "Phased LSTM", equations 1–5.

    Differs:
        ``torch.nn.LSTM`` has no peepholes; with ``peephole`` zero the two are one.

    Example:
        >>> PeepholeLSTM(3, 5).parameter_shapes()["peephole"]
        (15,)
    """

    name = "peephole_lstm"
    gates = ("i", "f", "g", "o")
    states = ("h", "c")

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return name → shape: those of an LSTM, then the peepholes."""
        return super().parameter_shapes() | {"peephole": (3 * self.hidden_size,)}

    def step(self, p: Parameters, x: Tensor, state: State, time: Tensor | None = None) -> State:
        """Return (h_t, c_t)."""
        gate = self.gate_values(p, x, state)
        c = gate["f"] * state[1] + gate["i"] * gate["g"]
        return gate["o"] * c.tanh(), c

    def gate_values(self, p: Parameters, x: Tensor, state: State) -> dict[str, Tensor]:
        """Return input gate i, forget gate f, candidate g and output gate o."""
        h, c = state
        zx, zh = products(p, x, h)
        zi, zf, zg, zo = (zx + zh).chunk(4, -1)
        wi, wf, wo = p["peephole"].unsqueeze(-2).chunk(3, -1)
        i, f, g = (zi + wi * c).sigmoid(), (zf + wf * c).sigmoid(), zg.tanh()
        return {"i": i, "f": f, "g": g, "o": (zo + wo * (f * c + i * g)).sigmoid()}
