"""A kernel's trial: before its first use on a machine it must give the reference's numbers there.

Compilers err. LLVM 22 once turned a correct loop of ours into wrong code for one kind of processor only, and
nothing but the numbers showed it. So a kernel that was just compiled computes two small problems, forward and
backward, beside the reference in float64, a few milliseconds in all; that it passed is noted beside its
compiled code, and holds for this very code only.

A trial is held in a thread of its own. What a caller may have switched on is kept per thread by torch: hooks
on saved tensors, modes of dispatch and of functions, transforms, tracing, grad and inference mode, autocast,
the default device, and by numpy its handling of errors. A new thread has none of it. What holds for the whole
process is met otherwise: every dtype is named (default dtype), numbers are drawn from generators of the
trial's own (random state), all operations used are deterministic, and gradients that are NaN count as an
infinite error, whether or not anomaly mode raises there.
"""

from __future__ import annotations

import hashlib
import importlib
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import torch
from torch import Tensor
from torch.autograd import grad

from memspan.cells import room_of
from memspan.cells.cell import Cell, Parameters
from memspan.cells.time_gate.equations import TimeGate
from memspan.forks import ForkLock
from memspan.kernels.reference import unroll_reference

ALLOWED = 1e-3
"""Largest error over a tensor's largest entry: sound kernels stay below 1e-5, wrong code is far above."""
SHAPES = ((2, 4, 9, 2, 20, False), (1, 3, 17, 3, 40, True))
"""R, T, B, D, H and whether the inputs are symbols: no multiples of anything, one tile and two."""

_LOCK = ForkLock(rank=1)
_FOUND: dict[tuple[str, str, bool, bool], str | None] = {}
_T = TypeVar("_T")


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
    # Numba and all that needs it are imported under the lock: no child of a fork finds them half imported.
    importlib.import_module("memspan.kernels.cpu.ops")
    from memspan.kernels.cpu.sparse import engine as sparse_engine
    from memspan.kernels.cpu.spec import spec_for
    from memspan.simd import LANES

    modules = (sparse_engine.module(spec_for(cell, LANES)),) if sparse else _dense(cell)
    if passed(*modules):
        return None
    inner = cell.cell if isinstance(cell, TimeGate) else cell
    return judged(alone(lambda: _worst(cell, sparse)), *modules, suspect=f"{room_of(inner.name)}.cpu")


def _worst(cell: Cell, sparse: bool) -> float:
    """Return the largest error on all problems."""
    try:
        return max(error(cell, shape, sparse) for shape in SHAPES)
    except RuntimeError:
        if torch.is_anomaly_enabled():  # it raises where a gradient is NaN
            return float("inf")
        raise


def alone(work: Callable[[], _T]) -> _T:
    """Return the result of work that is done in a new thread, free of whatever the caller's has switched on.

    Raises:
        BaseException: what the work raised.
    """
    results: list[_T] = []
    errors: list[BaseException] = []

    def do() -> None:
        try:
            results.append(work())
        except BaseException as raised:  # the caller raises it
            errors.append(raised)

    thread = threading.Thread(target=do, name="memspan-trial")
    try:
        thread.start()
    except RuntimeError:  # no more threads to be had: better here than not at all
        do()
    else:
        thread.join()
    if errors:
        raise errors[0]
    return results[0]


def _dense(cell: Cell) -> tuple[ModuleType, ModuleType]:
    """Return the modules that walk forward and backward; another process compiles the second meanwhile."""
    from memspan.kernels.cpu import cache, threads
    from memspan.kernels.cpu.spec import spec_for
    from memspan.simd import LANES

    spec = spec_for(cell, LANES)
    forward = cache.load_forward(spec)
    if threads.wanted() > 1:
        threads.team()
    return forward, cache.load_backward(spec)


def judged(worst: float, *modules: ModuleType, suspect: str | None = None) -> str | None:
    """Note that a kernel's modules passed their trial with this error, or return what is wrong with them.

    Args:
        suspect: the module of the cell, which is looked at first where a trial fails.
    """
    from memspan.kernels.cpu import files

    if worst <= ALLOWED:
        files.write(note_of(modules[0]), _digest(*modules).encode())  # without a note it is tried again
        return None
    advice = "please report the processor and the versions that memspan doctor prints"
    if suspect is not None:
        advice = f"compare {suspect} with the equations of its cell first; if they agree, {advice}"
    return (
        f"its compiled code is wrong: in a trial it was off by {worst:.1e} of the largest value, where"
        f" {ALLOWED:g} is allowed; {advice}"
    )


def passed(*modules: ModuleType) -> bool:
    """Whether a note says that the compiled code of a kernel's modules, as it runs here, passed its trial."""
    from memspan.kernels.cpu import files

    return files.read(note_of(modules[0])) == _digest(*modules).encode()


def note_of(module: ModuleType) -> Path:
    """Return where it is noted that a module passed."""
    return Path(str(module.__file__)).with_suffix(".tried")


def _digest(*modules: ModuleType) -> str:
    from memspan.kernels.cpu import generated

    codes = "".join(generated.code_of(module).digest() for module in modules)
    return hashlib.sha256(codes.encode()).hexdigest()


def error(cell: Cell, shape: tuple[int, int, int, int, int, bool], sparse: bool) -> float:
    """Return the largest error on one problem: of outputs, states and gradients, over each one's largest."""
    from memspan.kernels.cpu import call

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
    from memspan.kernels.cpu import call, ops

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
