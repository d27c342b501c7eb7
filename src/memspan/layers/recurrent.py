"""``Recurrent``: any cell as an ``nn.Module`` with layers, directions, batches, replicas and lengths."""

from __future__ import annotations

import copy
import warnings
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from memspan.cells import CELLS
from memspan.cells.cell import Cell, State
from memspan.cells.time_gate.equations import TimeGate
from memspan.errors import ArgumentError
from memspan.kernels import Choice, Unrolled, choose, unroll
from memspan.kernels.unrolling import KERNELS, KernelName
from memspan.layers import checks, packed
from memspan.layers.call import Call, full_precision
from memspan.layers.checks import Lengths
from memspan.layers.exporting import unroll_by_scan
from memspan.layers.stream import Stream
from memspan.layers.weights import Initial, drawn_anew

Resets = Tensor | tuple[Tensor, Tensor]


class Recurrent(nn.Module):
    """A cell, unrolled over time, in one or several layers and one or two directions.

    Shapes:
        R replicas, T time, B batch, D input, H hidden. input (T, B, D); (B, T, D) with ``batch_first``;
        (T, D) without a batch; or a ``PackedSequence``. output (T, B, directions·H), laid out as the input.
        Every part of hx (layers·directions, B, H). With ``replicas=R`` every parameter, input, state and
        output has a leading axis R.

    Args:
        cell: equations and sizes of the first layer; a further layer takes a copy whose ``input_size`` is
            directions·H.
        num_layers: layers, each reading the outputs of the one before.
        batch_first: batch before time in input, output, ``resets`` and ``times``; never in states.
        dropout: share of the outputs between two layers set to zero in training; none after the last layer.
        bidirectional: a second set of weights reads every row from its end.
        replicas: R independent layers of equal shape in one.
        kernel: ``"auto"``, ``"reference"``, ``"cpu"``, or ``"sparse"``, which under a time gate computes open
            units only; ``choice()`` says which serves and why.
        init: ``"torch"`` (uniform on ±1/√H, the very weights ``torch.nn`` draws under the same
            ``torch.manual_seed``), xavier_normal, xavier_uniform, orthogonal or identity (with zero biases).
        forget_bias: the forget gate's total bias at the start, ``bias_ih`` + ``bias_hh``.
        trainable_state: ``initial_h`` … (layers·directions, H) are parameters, zero at first, and the state
            where no hx is given.

    Raises:
        ArgumentError: a size, share or name that cannot be meant.

    Differs:
        From ``torch.nn``: T = 0 and rows of length 0 are served; under autocast the whole layer computes in
        the dtype of its weights, so no state is ever rounded to 16 bits.

    Example:
        >>> from memspan.cells.lstm.equations import LSTM
        >>> layer = Recurrent(LSTM(3, 5), num_layers=2, bidirectional=True)
        >>> output, (h, c) = layer(torch.zeros(7, 4, 3), lengths=[7, 2, 0, 5])
        >>> tuple(output.shape), tuple(h.shape)
        ((7, 4, 10), (4, 4, 5))
    """

    def __init__(
        self,
        cell: Cell,
        num_layers: int = 1,
        *,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: torch.dtype | None = None,
        replicas: int | None = None,
        kernel: KernelName = "auto",
        init: str = "torch",
        forget_bias: float | None = None,
        trainable_state: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(cell, Cell):
            raise ArgumentError(f"cell is {cell!r}; expected an instance of a Cell, for instance LSTM(3, 5)")
        if kernel not in KERNELS:
            raise ArgumentError(f"kernel={kernel!r}: expected one of {', '.join(KERNELS)}")
        self.cell, self.kernel = named(cell), kernel
        self.input_size, self.hidden_size = cell.input_size, cell.hidden_size
        self.bias, self.num_layers = cell.biases > 0, checks.whole("num_layers", num_layers)
        self.batch_first = checks.flag("batch_first", batch_first)
        self.dropout = checks.share("dropout", dropout)
        self.bidirectional = checks.flag("bidirectional", bidirectional)
        self.directions = 2 if self.bidirectional else 1
        self.replicas = None if replicas is None else checks.whole("replicas", replicas)
        self.init, self.forget_bias = init, forget_bias
        self.trainable_state = checks.flag("trainable_state", trainable_state)
        self._initial = Initial(init, forget_bias)
        self._initial.check(cell)
        if self.dropout and self.num_layers == 1:
            warnings.warn(f"dropout={dropout} acts between layers only, and there is one", stacklevel=3)
        self._register({"device": device, "dtype": dtype})
        self.reset_parameters()

    def _register(self, where: dict[str, Any]) -> None:
        """Make every parameter, in torch's order and under its names."""
        lead = () if self.replicas is None else (self.replicas,)
        self._cells = [self.cell, *(self._upper_cell() for _ in range(self.num_layers - 1))]
        self._names: list[dict[str, str]] = []
        for k, cell in enumerate(self._cells):
            for suffix in ("", "_reverse")[: self.directions]:
                names = {name: f"{name}_l{k}{suffix}" for name in cell.parameter_shapes()}
                for name, shape in cell.parameter_shapes().items():
                    setattr(self, names[name], nn.Parameter(torch.empty(*lead, *shape, **where)))
                self._names.append(names)
        if self.trainable_state:
            shape = (*lead, self.num_layers * self.directions, self.hidden_size)
            for name in self.cell.states:
                setattr(self, f"initial_{name}", nn.Parameter(torch.empty(shape, **where)))

    def _upper_cell(self) -> Cell:
        cell = copy.copy(self.cell)
        cell.input_size = self.directions * self.hidden_size
        return cell

    def reset_parameters(self) -> None:
        """Draw every weight anew; replica r gets what the r-th layer made after one seed would get.

        A weight under ``torch.nn.utils.parametrize`` becomes what it would be had a new layer's been
        parametrized, as far as its ``right_inverse`` allows.

        Raises:
            ArgumentError: a weight that a parametrization or a hook makes, and that cannot be set.
        """
        states = [f"initial_{name}" for name in self.cell.states] if self.trainable_state else []
        weights = [full for names in self._names for full in names.values()]
        with drawn_anew(self, [*weights, *states]) as targets:
            for r in range(self.replicas or 1):
                for k, names in enumerate(self._names):
                    p = {name: targets[full] for name, full in names.items()}
                    if self.replicas is not None:
                        p = {name: value.detach()[r] for name, value in p.items()}
                    self._initial.fill(self._cells[k // self.directions], p)
            for name in states:
                nn.init.zeros_(targets[name])

    @property
    def weight(self) -> Tensor:
        """The first parameter, whose dtype and device are the layer's."""
        return getattr(self, next(iter(self._names[0].values())))

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """Every layer's and direction's weights, as in ``torch.nn``."""
        return [[getattr(self, full) for full in names.values()] for names in self._names]

    def flatten_parameters(self) -> None:
        """Do nothing: there is no cuDNN buffer to keep in order."""

    def stream(self, hx: Tensor | State | None = None) -> Stream:
        """Return this layer as step-by-step inference that begins with a state, zero if None."""
        return Stream(self, hx)

    def choice(self) -> Choice:
        """Return the kernel that serves this layer's weights in its present mode, and why."""
        cell = self.cell if self.training else self.cell.in_evaluation()
        return choose(cell, dtype=self.weight.dtype, device=self.weight.device, kernel=self.kernel)

    def extra_repr(self) -> str:
        """Return the arguments that are not at their default, as ``torch.nn`` prints them."""
        told = [f"{self.input_size}, {self.hidden_size}"]
        usual = {
            "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0,
            "bidirectional": False, "replicas": None, "kernel": "auto", "init": "torch",
            "forget_bias": None, "trainable_state": False,
        }  # fmt: skip
        told += nonlinearity_of(self.cell)
        told += [f"{name}={getattr(self, name)}" for name, v in usual.items() if getattr(self, name) != v]
        return ", ".join(told)

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: Tensor | State | None = None,
        *,
        lengths: Lengths | None = None,
        resets: Resets | None = None,
        times: Tensor | None = None,
        return_states: bool = False,
        return_gates: bool = False,
    ) -> tuple[Any, ...]:
        """Return output and last state, and on request every state and every gate.

        Args:
            input: see the class.
            hx: the initial state, a tensor, or a tuple where the cell has several; zero if None.
            lengths: B whole numbers in 0 … T. Outputs past a row's end are 0, its last state is that of its
                true end; a row of length 0 returns its initial state.
            resets: bool (T, B): true at t makes a direction's state zero just before that direction reads
                step t; the reverse direction reads step t + 1 before step t. A pair gives each its own.
            times: timestamps (T,), or (T, B), (B, T) with ``batch_first``, for cells with a clock, which
                count 0, 1, 2, … if None; other cells do not run on them. Those past a row's end are not
                looked at.
            return_states: add a dict, state's name → (layers·directions, T, B, H).
            return_gates: add a dict, gate's name → (layers·directions, T, B, H).

        Raises:
            ShapeError: a tensor of the wrong rank, size or dtype; nothing is broadcast.
            ArgumentError: lengths out of range, NaN in times, a tensor on another device.
            KernelRefusal: the kernel asked for cannot serve this call.
        """
        checks.flag("return_states", return_states)
        checks.flag("return_gates", return_gates)
        with full_precision(input, self.weight) as cast:
            x: Any = cast(input)
            ends: Any = lengths
            if isinstance(input, PackedSequence):
                x, ends = packed.padded(self, x, lengths)
            layout = checks.layout_of(self, x)
            call = Call.of(self, layout, layout.inward(x), cast(hx), ends, resets, times)
            made, *rest = self.run(call, return_states, return_gates)
            output: Any = layout.outward(made)
            if isinstance(input, PackedSequence):
                output = packed.repacked(self, output, ends, input)
            return output, *call.told(self, layout, *rest)

    def run(self, call: Call, return_states: bool, return_gates: bool) -> tuple[Any, ...]:
        """Return output (R, T, B, directions·H), last states, states and gates, (R, layers·directions, …)."""
        x, runs = call.x, []
        for k in range(self.num_layers):
            both = [self._one(k, d, x, call, return_states, return_gates) for d in range(self.directions)]
            x = torch.cat([run.outputs for run in both], -1) if self.bidirectional else both[0].outputs
            if self.dropout and k < self.num_layers - 1:
                x = nn.functional.dropout(x, self.dropout, self.training)
            runs += both
        last = tuple(torch.stack(parts, 1) for parts in zip(*(run.state for run in runs), strict=True))
        return x, last, _stacked(runs, "states", return_states), _stacked(runs, "gates", return_gates)

    def _one(
        self, k: int, d: int, x: Tensor, call: Call, return_states: bool, return_gates: bool
    ) -> Unrolled:
        """Unroll one layer in one direction; what it returns is in the input's order of time."""
        number = k * self.directions + d
        p = {name: getattr(self, full) for name, full in self._names[number].items()}
        if self.replicas is None:
            p = {name: value.unsqueeze(0) for name, value in p.items()}
        unrolled = unroll_by_scan if torch.compiler.is_exporting() else unroll
        cell = self._cells[k]
        made = unrolled(
            cell if self.training else cell.in_evaluation(),
            p,
            call.turned(x, d),
            call.state_of(number),
            times=call.times[d],
            lengths=call.lengths,
            resets=call.resets[d],
            kernel=self.kernel,
            return_states=return_states,
            return_gates=return_gates,
        )
        return call.turned_back(made, d)


def named(cell: Cell) -> Cell:
    """Return a copy of a cell; where its class gives it no name, it has its class's."""
    cell = copy.copy(cell)
    if not hasattr(cell, "name"):
        vars(cell)["name"] = type(cell).__name__
    if cell.name in CELLS:
        CELLS.resolve(cell.name)  # now, because torch.compile cannot trace an import
    return cell


def nonlinearity_of(cell: Cell) -> list[str]:
    """Return the nonlinearity of a cell as its module prints it, in a list that is empty for tanh."""
    inner = cell.cell if isinstance(cell, TimeGate) else cell
    chosen = getattr(inner, "nonlinearity", "tanh")
    return [] if chosen == "tanh" else [f"nonlinearity={chosen}"]


def _stacked(
    runs: list[Unrolled], field: Literal["states", "gates"], wanted: bool
) -> dict[str, Tensor] | None:
    """Return name → (R, layers·directions, T, B, H)."""
    if not wanted:
        return None
    made = [getattr(run, field) for run in runs]
    return {name: torch.stack([part[name] for part in made], 1) for name in made[0]}
