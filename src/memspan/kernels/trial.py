"""A kernel's trial: before its first use on a machine it must give the reference's numbers there.

Compilers err. LLVM 22 once turned a correct loop of ours into wrong code for one kind of processor only, and
nothing but the numbers showed it. So a kernel that was just compiled computes two small problems, forward and
backward, beside the reference in float64, a few milliseconds in all; that it passed is noted beside its
compiled code.
"""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor
from torch.autograd import grad

from memspan.cells.cell import Cell, Parameters
from memspan.cells.time_gate.equations import TimeGate
from memspan.kernels.cpu import cache, call, ops, threads
from memspan.kernels.cpu.sparse import engine as sparse_engine
from memspan.kernels.cpu.spec import spec_for
from memspan.kernels.reference import unroll_reference
from memspan.simd import LANES

ALLOWED = 1e-3
"""Largest error over a tensor's largest entry: sound kernels stay below 1e-5, wrong code is far above."""
SHAPES = ((2, 4, 9, 2, 20, False), (1, 3, 17, 3, 40, True))
"""R, T, B, D, H and whether the inputs are symbols: no multiples of anything, one tile and two."""

_LOCK = threading.RLock()
_FOUND: dict[tuple[str, str, bool, bool], str | None] = {}


def failure(cell: Cell, sparse: bool) -> str | None:
    """Return what is wrong with the kernel of a cell on this machine, None if its numbers are right."""
    inner = cell.cell if isinstance(cell, TimeGate) else cell
    key = inner.name, getattr(inner, "nonlinearity", ""), inner is not cell, sparse
    if key not in _FOUND:
        with _LOCK:
            if key not in _FOUND:
                _FOUND[key] = _tried(cell, sparse)
    return _FOUND[key]


def _tried(cell: Cell, sparse: bool) -> str | None:
    """Try a kernel unless a note beside its compiled code says that it passed."""
    modules = (sparse_engine.module(spec_for(cell, LANES)),) if sparse else _dense(cell)
    if passed(*modules):
        return None
    with (  # whatever the caller has set
        torch.inference_mode(False), torch.enable_grad(),
        torch.autocast("cpu", enabled=False), torch.device("cpu"),
    ):  # fmt: skip
        worst = max(error(cell, shape, sparse) for shape in SHAPES)
    return judged(worst, *modules)


def _dense(cell: Cell) -> tuple[ModuleType, ModuleType]:
    """Return the modules that walk forward and backward; another process compiles the second meanwhile."""
    spec = spec_for(cell, LANES)
    forward = cache.load_forward(spec)
    if threads.wanted() > 1:
        threads.team()
    return forward, cache.load_backward(spec)


def judged(worst: float, *modules: ModuleType) -> str | None:
    """Note that a kernel's modules passed their trial with this error, or return what is wrong with them."""
    if worst <= ALLOWED:
        note_of(modules[0]).write_text(_digest(*modules), encoding="utf-8")
        return None
    return (
        f"on this machine its compiled code is wrong, off by {worst:.1e} of the largest value where the trial"
        f" allows {ALLOWED:g}; please report the processor and the versions that memspan doctor prints"
    )


def passed(*modules: ModuleType) -> bool:
    """Whether a note beside the compiled code of a kernel's modules says that they passed their trial."""
    note = note_of(modules[0])
    return note.is_file() and note.read_text(encoding="utf-8") == _digest(*modules)


def note_of(module: ModuleType) -> Path:
    """Return where it is noted that a module passed."""
    return Path(str(module.__file__)).with_suffix(".tried")


def _digest(*modules: ModuleType) -> str:
    sources = b"".join(Path(str(module.__file__)).read_bytes() for module in modules)
    return hashlib.sha256(sources).hexdigest()


def error(cell: Cell, shape: tuple[int, int, int, int, int, bool], sparse: bool) -> float:
    """Return the largest error on one problem: of outputs, states and gradients, over each one's largest."""
    R, T, B, D, H, symbols = shape
    inner = cell.cell if isinstance(cell, TimeGate) else cell
    small = call.cell_of(call.variant_of(inner), D, H, 2)
    if isinstance(cell, TimeGate):
        small = TimeGate(small, cell.leak)
    draw = torch.Generator().manual_seed(0)
    p = {
        name: torch.randn(R, *size, generator=draw, dtype=torch.float64) / H**0.5
        for name, size in small.parameter_shapes().items()
    }
    if isinstance(cell, TimeGate):  # clocks that open and close within the few steps
        p["log_period"] = p["log_period"].abs() + 1.0
    x = torch.randn(R, T, B, D, generator=draw, dtype=torch.float64)
    if symbols:
        x = torch.randint(0, D, (R, T, B), generator=draw)
    state = tuple(torch.randn(R, B, H, generator=draw, dtype=torch.float64) for _ in small.states)
    lengths = None if sparse else torch.randint(0, T + 1, (R, B), generator=draw)
    times = torch.arange(T, dtype=torch.float64) if isinstance(cell, TimeGate) else None
    want = _numbers(small, p, x, state, times, lengths, None, torch.float64)
    got = _numbers(small, p, x, state, times, lengths, sparse, torch.float32)
    return max(_off(a, b) for a, b in zip(got, want, strict=True))


def _off(got: Tensor, want: Tensor) -> float:
    """Return the largest error over the largest true value, infinite where a number is none."""
    off = float((got.double() - want).abs().max()) / (float(want.abs().max()) or 1.0)
    return off if off == off else float("inf")


def _numbers(
    cell: Cell, p: Parameters, x: Tensor, state: tuple[Tensor, ...], times: Tensor | None,
    lengths: Tensor | None, sparse: bool | None, dtype: torch.dtype,
) -> list[Tensor]:  # fmt: skip
    """Return outputs, last state and gradients of a weighting of both; the reference's if sparse is None."""
    real = [*p.values(), *state, *([x] if x.dtype.is_floating_point else [])]
    leaves = [value.to(dtype).requires_grad_() for value in real]
    p = dict(zip(p, leaves, strict=False))
    state = tuple(leaves[len(p) : len(p) + len(state)])
    x = leaves[-1] if x.dtype.is_floating_point else x
    if sparse is None:
        outputs, last, _, _ = unroll_reference(cell, p, x, state, times=times, lengths=lengths)
        made = [outputs, torch.stack(last)]
    else:
        every, _, parts = ops.call_unroll(
            x, torch.stack(state), *call.operands(cell, p), times, lengths, None,
            call.variant_of(cell, sparse), True, False, True, -1,
        )  # fmt: skip
        made = [every, torch.stack(parts)]
    weights = torch.Generator().manual_seed(1)
    total = torch.zeros((), dtype=dtype)
    for m in made:
        total = total + (m * torch.randn(m.shape, generator=weights, dtype=torch.float64).to(dtype)).sum()
    grads = grad(total, leaves, allow_unused=True)
    return [m.detach() for m in made] + [
        torch.zeros_like(leaf) if g is None else g for g, leaf in zip(grads, leaves, strict=True)
    ]
