"""``unroll``: run a cell over time with the kernel that serves the case, and say which one that was."""

from __future__ import annotations

from collections.abc import Callable
from importlib import util
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.autograd import forward_ad

from memspan.cells import CELLS, room_of
from memspan.cells.cell import Cell, Parameters, State
from memspan.cells.time_gate.equations import TimeGate
from memspan.errors import ArgumentError, KernelRefusal, ShapeError
from memspan.kernels import jit
from memspan.kernels.reference import check_values, unroll_reference
from memspan.transforms import (
    allows_open_sizes,
    is_differentiating,
    is_functionalizing,
    is_readable,
    is_watched,
    wants_gradient,
)

KERNELS = ("auto", "reference", "cpu", "sparse")
COMPILED = ("cpu", "sparse")
KernelName = Literal["auto", "reference", "cpu", "sparse"]
SPARSE_SHARE = 0.5
"""Open share below which computing open units only is faster, measured by ``memspan bench gate``."""


class Unrolled(NamedTuple):
    """What ``unroll`` returns.

    Shapes:
        outputs (R, T, B, H), or (R, B, H) for ``outputs="last"``; every part of state (R, B, H); states and
        gates, where asked for, name → (R, T, B, H).
    """

    outputs: Tensor
    state: State
    states: dict[str, Tensor] | None
    gates: dict[str, Tensor] | None
    kernel: str
    reason: str


class Recorded(NamedTuple):
    """What ``record`` returns.

    Shapes:
        outputs and state as in ``Unrolled``; ``back(d_outputs, x_too)`` → name → gradient of a parameter, and
        the gradient of x or None.
    """

    outputs: Tensor
    state: State
    back: Callable[[Tensor, bool], tuple[dict[str, Tensor], Tensor | None]]


class Choice(NamedTuple):
    """A kernel and why it was taken."""

    kernel: str
    reason: str


def choose(
    cell: Cell,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
    kernel: str = "auto",
    return_gates: bool = False,
    moving: bool = False,
    row_times: bool = False,
    resets: bool = False,
    fake: bool = False,
) -> Choice:
    """Return the kernel for a case, and why. It depends on the cell, dtype and device: never on R, T or B.

    Args:
        moving: whether derivatives by the times are wanted.
        row_times: whether every row has times of its own.
        resets: whether there are resets.
        fake: whether tensors are shapes without numbers.

    Raises:
        KernelRefusal: ``kernel="cpu"`` or ``"sparse"`` was asked for and cannot serve the case.
    """
    if kernel not in KERNELS:
        raise ArgumentError(f"kernel={kernel!r}: expected one of {', '.join(KERNELS)}")
    if kernel == "reference":
        return Choice("reference", "asked for")
    refusal = _refusal(cell, dtype, torch.device(device), return_gates, moving)
    gated = isinstance(cell, TimeGate)
    dense = _dense_reason(cell, row_times, resets, fake) if gated or kernel == "sparse" else None
    if kernel == "sparse":
        refusal = refusal or dense
    if refusal is not None and kernel != "auto":
        raise KernelRefusal(
            f"the {kernel} kernel cannot serve this call: {refusal}; take kernel='reference' or 'auto'"
        )
    if refusal is not None:
        return Choice("reference", refusal)
    if kernel != "auto":
        return Choice(kernel, "asked for")
    return _by_share(cell, dense)


def _by_share(cell: Cell, dense: str | None) -> Choice:
    """Choose between all units and open ones by the share of time that the clocks' scheme keeps them open.

    The share is the scheme's, not the present clocks': so it is the same for a replica alone and in a pack,
    and does not change during a run.
    """
    if not isinstance(cell, TimeGate):
        return Choice("cpu", "float32 on the CPU")
    if dense is not None:
        return Choice("cpu", f"float32 on the CPU; all units, as {dense}")
    share = cell.open_share
    if share >= SPARSE_SHARE:
        return Choice("cpu", f"float32 on the CPU; all units, as {share:.0%} are expected to be open")
    return Choice("sparse", f"float32 on the CPU; open units only, {share:.1%} are expected to be open")


def _dense_reason(cell: Cell, row_times: bool, resets: bool, fake: bool) -> str | None:
    """Return why open units alone cannot be computed, or None."""
    if not isinstance(cell, TimeGate):
        return f"{type(cell).__name__} has no time gate"
    if torch.compiler.is_compiling():  # first: it cannot format numbers
        return "torch.compile wants sizes beforehand"
    if cell.leak:
        return f"a leak of {cell.leak:g} moves closed units too"
    if row_times:
        return "every row has times of its own"
    if resets:
        return "a reset moves closed units too"
    return "fake tensors have no clocks that say how many units open" if fake else None


def _look_for_cpu(name: str) -> bool:
    return util.find_spec(f"{room_of(name)}.cpu") is not None


_FUSED = {name: _look_for_cpu(name) for name in CELLS}  # now, because torch.compile cannot trace a look


def _has_cpu_room(name: str) -> bool:
    """Whether a cell's room brings its pointwise part for the CPU kernel."""
    if name not in _FUSED:
        _FUSED[name] = _look_for_cpu(name)
    return _FUSED[name]


def _refusal(
    cell: Cell, dtype: torch.dtype, device: torch.device, return_gates: bool, moving: bool
) -> str | None:
    """Return why the CPU kernel cannot serve a case, or None."""
    if device.type != "cpu":
        return f"the tensors are on {device.type}, the kernel runs on the CPU"
    if dtype != torch.float32:
        return f"the dtype is {str(dtype).removeprefix('torch.')}, the kernel computes in float32"
    inner = cell.cell if type(cell) is TimeGate else cell
    if inner.name not in CELLS or type(inner) is not CELLS.resolve(inner.name):
        return f"{type(inner).__name__} is not a cell of the registry"
    if not _has_cpu_room(inner.name):
        return f"there is no {room_of(inner.name)}.cpu, the part of a cell that the kernel needs"
    if jit.disabled():
        return jit.REFUSAL
    if return_gates:
        return "gates are returned by the reference only"
    if moving and type(cell) is TimeGate:
        return "derivatives by the times go through the reference only"
    return _refused_by_transform() if is_watched() else None


def _refused_by_transform() -> str | None:
    """Return which transform around the call goes through the reference only, or None."""
    if forward_ad._current_level >= 0:
        return "forward-mode derivatives go through the reference only"
    if is_functionalizing():
        return "torch.func.functionalize goes through the reference only"
    if torch.compiler.is_compiling() and is_differentiating():
        return "inside torch.compile the derivatives of torch.func go through the reference only"
    return None


def unroll(
    cell: Cell,
    p: Parameters,
    x: Tensor,
    state: State | None = None,
    *,
    times: Tensor | None = None,
    lengths: Tensor | None = None,
    resets: Tensor | None = None,
    outputs: Literal["all", "last"] = "all",
    kernel: KernelName = "auto",
    return_states: bool = False,
    return_gates: bool = False,
    chunk: int | None = None,
) -> Unrolled:
    """Run a cell over T steps of R replicas at once.

    Shapes:
        p: name → tensor in torch's layout behind a replica axis: ``weight_ih`` (R, G·H, D), ``weight_hh``
        (R, G·H, H), ``bias_ih`` and ``bias_hh`` (R, G·H) as the cell has biases. x (R, T, B, D), or whole
        numbers (R, T, B): symbol v is the v-th column of ``weight_ih``. state: every part (R, B, H), zero if
        None. times (T,) or (R, T, B). lengths (R, B), 0 … T. resets bool (R, T, B).

    Args:
        lengths: outputs past a row's end are 0, its last state is that of its true end.
        resets: true at t: the state is zero before step t.
        outputs: ``"all"`` steps or the ``"last"`` of every row.
        kernel: ``"auto"``, ``"reference"``, ``"cpu"``, or ``"sparse"``: under a time gate, open units only.
        chunk: keep states only every so many steps and run forward again during backward; 0 keeps every
            state; None decides by memory.

    Raises:
        ShapeError: a tensor that does not fit; nothing is broadcast.
        KernelRefusal: the kernel asked for cannot serve this case.
    """
    if outputs not in ("all", "last"):
        raise ArgumentError(f"outputs={outputs!r}: expected 'all' or 'last'")
    if chunk is not None and chunk < 0:
        raise ArgumentError(f"chunk={chunk}: expected at least 0, or None")
    times, lengths, choice = _settled(cell, p, x, state, times, lengths, resets, kernel, return_gates)
    if choice.kernel != "reference":
        return _through_cpu(cell, p, x, state, times, lengths, resets, outputs, return_states, chunk, choice)
    if state is None:
        state = cell.initial_state(x.shape[0], x.shape[2], like=p["weight_hh"])
    if is_readable(x) and (lengths is None or is_readable(lengths)):
        check_values(x, cell.input_size, lengths)
    every, last, states, gates = unroll_reference(
        cell, p, x, state, times=times, lengths=lengths, resets=resets, return_gates=return_gates
    )
    return Unrolled(
        every if outputs == "all" else last[0],
        last,
        states if return_states else None,
        gates if return_gates else None,
        *choice,
    )


def record(
    cell: Cell,
    p: Parameters,
    x: Tensor,
    state: State | None = None,
    *,
    times: Tensor | None = None,
    lengths: Tensor | None = None,
    resets: Tensor | None = None,
    outputs: Literal["all", "last"] = "all",
    kernel: KernelName = "auto",
) -> Recorded | None:
    """Run a cell as ``unroll`` does, and keep what its gradients need; torch's autograd sees nothing of it.

    For a training loop that knows what it differentiates: the same numbers, without the cost of asking.

    Returns:
        None where the reference serves the call, which only autograd can take back.
    """
    times, lengths, choice = _settled(cell, p, x, state, times, lengths, resets, kernel)
    if choice.kernel == "reference":
        return None
    from memspan.kernels.cpu import call

    with torch.no_grad():
        given = (*_operands(cell, p, x, state, times), lengths, resets)
        every, parts, back = call.record(cell, given, choice.kernel == "sparse", outputs == "all")
    return Recorded(parts[0] if every is None else every, parts, back)


def _settled(
    cell: Cell, p: Parameters, x: Tensor, state: State | None, times: Tensor | None,
    lengths: Tensor | None, resets: Tensor | None, kernel: KernelName, return_gates: bool = False,
) -> tuple[Tensor | None, Tensor | None, Choice]:  # fmt: skip
    """Check a call; return its times, its lengths and the kernel that serves it."""
    _check(cell, p, x, state, times, lengths, resets)
    times = cell.clock(times, x.shape[1], x.device)
    like = p["weight_hh"]
    moving = times is not None and times.requires_grad
    choice = choose(
        cell, dtype=like.dtype, device=like.device, kernel=kernel, return_gates=return_gates, moving=moving,
        row_times=times is not None and times.dim() > 1, resets=resets is not None,
        fake=isinstance(cell, TimeGate) and not allows_open_sizes(like),
    )  # fmt: skip
    if lengths is not None:
        lengths = lengths.to(device=like.device, dtype=torch.int64)
    return times, lengths, proven(cell, choice, kernel)


def proven(cell: Cell, choice: Choice, wish: str) -> Choice:
    """Return the choice if its kernel passes its trial on this machine, else what ``auto`` falls back to.

    A call that is being compiled cannot compute beside itself; it takes the choice as it is.
    """
    if choice.kernel == "reference":
        return choice
    if torch.compiler.is_compiling():
        return choice
    from memspan.kernels import trial

    wrong = trial.failure(cell, choice.kernel == "sparse")
    if wrong is None:
        return choice
    if wish != "auto":
        raise KernelRefusal(f"the {choice.kernel} kernel does not serve: {wrong}; take kernel='reference'")
    return Choice("reference", wrong)


def _through_cpu(
    cell: Cell, p: Parameters, x: Tensor, state: State | None, times: Tensor | None,
    lengths: Tensor | None, resets: Tensor | None, outputs: str, return_states: bool, chunk: int | None,
    choice: Choice,
) -> Unrolled:  # fmt: skip
    """Call the custom operator and name what it returns."""
    from memspan.kernels.cpu import call, ops

    keep = wants_gradient(x, *(state or ()), *p.values())
    want_all = outputs == "all" or return_states
    carried = return_states and len(cell.states) > 1
    every, others, parts = ops.call_unroll(
        *_operands(cell, p, x, state, times),
        lengths, resets, call.variant_of(cell, choice.kernel == "sparse"), want_all, carried, keep,
        -1 if chunk is None else chunk,
    )  # fmt: skip
    states = None
    if return_states:
        states = {"h": every} | {name: others[:, k] for k, name in enumerate(cell.states[1:])}
    return Unrolled(every if outputs == "all" else parts[0], parts, states, None, *choice)


def _operands(
    cell: Cell, p: Parameters, x: Tensor, state: State | None, times: Tensor | None
) -> tuple[Tensor | None, ...]:
    """Return an operator's first tensors, up to the times."""
    from memspan.kernels.cpu import call

    begun = None if state is None else torch.stack(state)
    return x, begun, *call.operands(cell, p), times if isinstance(cell, TimeGate) else None


def _check(
    cell: Cell, p: Parameters, x: Tensor, state: State | None, times: Tensor | None,
    lengths: Tensor | None, resets: Tensor | None,
) -> None:  # fmt: skip
    """Refuse every tensor that does not fit."""
    D, H = cell.input_size, cell.hidden_size
    symbols = not x.dtype.is_floating_point
    if x.dim() != (3 if symbols else 4):
        raise ShapeError(
            f"x has shape {tuple(x.shape)} and dtype {x.dtype}; "
            f"expected (R, T, B, {D}) of floats or (R, T, B) of whole numbers"
        )
    R, T, B = x.shape[:3]
    if not symbols:
        _expect("x", x, (R, T, B, D))
    wanted = cell.parameter_shapes()
    if p.keys() != wanted.keys():
        raise ShapeError(f"parameters {sorted(p)} were given; {cell!r} has {sorted(wanted)}")
    dtype = p["weight_hh"].dtype if symbols else x.dtype
    for name, shape in wanted.items():
        given = p[name]
        _expect(name, given, (R, *shape))
        if given.dtype != dtype:
            raise ShapeError(f"{name} has dtype {given.dtype}, x {x.dtype}; give both the same dtype")
    if state is not None:
        if len(state) != len(cell.states):
            raise ShapeError(f"state has {len(state)} parts; {cell!r} has {cell.states}")
        for name, part in zip(cell.states, state, strict=True):
            _expect(f"state {name}", part, (R, B, H))
    if lengths is not None:
        _expect("lengths", lengths, (R, B))
    if resets is not None:
        _expect("resets", resets, (R, T, B))
        if resets.dtype != torch.bool:
            raise ShapeError(f"resets has dtype {resets.dtype}; expected bool")
    if times is not None and tuple(times.shape) not in ((T,), (R, T, B)):
        raise ShapeError(f"times has shape {tuple(times.shape)}; expected ({T},) or {(R, T, B)}")


def _expect(name: str, tensor: Tensor, shape: tuple[int, ...]) -> None:
    if tensor.shape != shape:
        raise ShapeError(
            f"{name} has shape {tuple(tensor.shape)}; expected {shape}; "
            "nothing is broadcast, expand it yourself"
        )
