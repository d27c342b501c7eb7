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
from memspan.kernels import Unrolled, unroll


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
        KernelRefusal: a kernel of this package was asked for.
    """
    if kernel not in ("auto", "reference"):
        raise KernelRefusal(f"an exported program cannot hold the {kernel} kernel; take kernel='auto'")
    if state is None:
        state = cell.initial_state(x.shape[0], x.shape[2], like=x)
    if isinstance(x.shape[1], int) and x.shape[1] == 0:  # a scan cannot make no step
        return unroll(
            cell, p, x, state, times=times, lengths=lengths, resets=resets, kernel="reference",
            return_states=return_states, return_gates=return_gates,
        )  # fmt: skip
    # A batched product brings the open batch size into the body as a number, and the gradient of ``scan``
    # takes tensors only; a single replica needs no axis of its own.
    single = x.shape[0] == 1
    if single:
        p, state = {name: value[0] for name, value in p.items()}, tuple(s[0] for s in state)
    given = _steps(x, times, lengths, resets)
    if single:
        given = {name: _without_replicas(name, value) for name, value in given.items()}

    body = _Body(cell, tuple(p), tuple(given), return_gates)
    begin = [s.clone(memory_format=torch.contiguous_format) for s in state]  # scan compares strides
    last, rest = _scan(body, begin, list(given.values()), tuple(p.values()))
    made = dict(zip(body.told, rest, strict=True))
    if single:
        last, made = tuple(s[None] for s in last), {name: value[:, None] for name, value in made.items()}
    made = {name: value.transpose(0, 1) for name, value in made.items()}
    states = {n: made[f"state {n}"] for n in cell.states} if return_states else None
    gates = {n: made[f"gate {n}"] for n in cell.gates} if return_gates else None
    return Unrolled(made[f"state {cell.states[0]}"], last, states, gates, "reference", "exporting")


def _scan(
    body: _Body, begin: list[Tensor], steps: list[Tensor], weights: tuple[Tensor, ...]
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Return the last state and what every step made."""
    if torch.compiler.is_dynamo_compiling():  # of ``strict=True``, which takes the public function alone

        def combine(state: list[Tensor], now: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
            made = body(*state, *now, *weights)
            return list(made[: len(begin)]), list(made[len(begin) :])

        last, rest = scan(combine, begin, steps)
    else:
        flat = torch.ops.higher_order.scan(body, begin, steps, weights)
        last, rest = flat[: len(begin)], flat[len(begin) :]
    return tuple(last), tuple(rest)


class _Body:
    """One step as a function of tensors alone: state, what the step reads, weights."""

    def __init__(
        self, cell: Cell, weights: tuple[str, ...], reads: tuple[str, ...], return_gates: bool
    ) -> None:
        self.cell, self.weights, self.reads, self.return_gates = cell, weights, reads, return_gates
        gates = cell.gates if return_gates else ()
        self.told = [*(f"state {n}" for n in cell.states), *(f"gate {n}" for n in gates)]

    def __call__(self, *flat: Tensor) -> tuple[Tensor, ...]:
        cell, states, reads = self.cell, len(self.cell.states), len(self.reads)
        state = tuple(flat[:states])
        now = dict(zip(self.reads, flat[states : states + reads], strict=True))
        p = dict(zip(self.weights, flat[states + reads :], strict=True))
        if "cut" in now:
            state = tuple(s.masked_fill(now["cut"], 0.0) for s in state)
        new = cell.step(p, now["x"], state, now.get("time"))
        gates = cell.gate_values(p, now["x"], state) if self.return_gates else {}
        told = [*new, *(gates[name] for name in cell.gates if self.return_gates)]
        if "live" not in now:
            return (*new, *(value.clone() for value in told))  # a scan must not return a tensor twice
        kept = (torch.where(now["live"], a, b) for a, b in zip(new, state, strict=True))
        return (*kept, *(value.masked_fill(~now["live"], 0.0) for value in told))


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


def _without_replicas(name: str, value: Tensor) -> Tensor:
    """Return what the steps read of the only replica; times (T,) have no such axis."""
    return value if name == "time" and value.dim() == 1 else value[:, 0]
