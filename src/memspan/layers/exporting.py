"""Unrolling inside an exported program: ``scan``, whose number of steps stays open.

The loop of the reference would be written out for one T, and the CPU kernel would bind the program to this
package. ``scan`` keeps T and B open in ``torch.export`` and becomes the Scan operator of ONNX.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch._higher_order_ops.scan import scan

from memspan.cells.cell import Cell, Parameters, State
from memspan.errors import KernelRefusal
from memspan.kernels import Unrolled


def unroll_by_scan(
    cell: Cell,
    p: Parameters,
    x: Tensor,
    state: State | None,
    *,
    times: Tensor | None,
    lengths: Tensor | None,
    resets: Tensor | None,
    kernel: str,
    return_states: bool,
    return_gates: bool,
) -> Unrolled:
    """Do what ``memspan.kernels.unroll`` does, as one ``scan``; shapes as there.

    Raises:
        KernelRefusal: the CPU kernel was asked for.
    """
    if kernel == "cpu":
        raise KernelRefusal("an exported program cannot hold the CPU kernel; take kernel='auto'")
    if state is None:
        state = cell.initial_state(x.shape[0], x.shape[2], like=x)
    given = _steps(x, times, lengths, resets)

    def step(state: State, now: dict[str, Tensor]) -> tuple[State, dict[str, Tensor]]:
        live = now.get("live")
        if "cut" in now:
            state = tuple(s.masked_fill(now["cut"], 0.0) for s in state)
        new = cell.step(p, now["x"], state, now.get("time"))
        gates = cell.gate_values(p, now["x"], state) if return_gates else {}
        told = {f"state {n}": v for n, v in zip(cell.states, new, strict=True)}
        told |= {f"gate {n}": v for n, v in gates.items()}
        if live is None:
            return new, {n: v.clone() for n, v in told.items()}  # a scan must not return a tensor twice
        kept = tuple(torch.where(live, a, b) for a, b in zip(new, state, strict=True))
        return kept, {n: v.masked_fill(~live, 0.0) for n, v in told.items()}

    last, made = scan(step, state, given)
    made = {name: value.transpose(0, 1) for name, value in made.items()}
    states = {n: made[f"state {n}"] for n in cell.states} if return_states else None
    gates = {n: made[f"gate {n}"] for n in cell.gates} if return_gates else None
    return Unrolled(made[f"state {cell.states[0]}"], last, states, gates, "reference", "exporting")


def _steps(
    x: Tensor, times: Tensor | None, lengths: Tensor | None, resets: Tensor | None
) -> dict[str, Tensor]:
    """Return what each step reads, time first: input, mask of live rows, mask of resets, timestamps."""
    steps = {"x": x.transpose(0, 1)}
    if lengths is not None:
        t = torch.arange(x.shape[1], device=x.device).view(-1, 1, 1)
        steps["live"] = (t < lengths).unsqueeze(-1)
        steps["x"] = torch.where(steps["live"], steps["x"], 0.0)
    if resets is not None:
        cut = resets.transpose(0, 1).unsqueeze(-1)
        steps["cut"] = cut & steps["live"] if lengths is not None else cut
    if times is not None:
        steps["time"] = times if times.dim() == 1 else times.transpose(0, 1)
    return steps
