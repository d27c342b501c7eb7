"""Sequence model: stacked recurrent cells read a sequence, a linear map reads them where answers are due."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from memspan.cells import CELLS
from memspan.cells.cell import Cell, State
from memspan.cells.initial import STACKED, initial_parameters, matrix
from memspan.cells.time_gate.initial import FirstEvent, LogUniform, Scheme
from memspan.config import PHASED, Recipe, RunConfig
from memspan.errors import ArgumentError
from memspan.kernels import Choice, choose, proven, record, unroll
from memspan.kernels.unrolling import KernelName
from memspan.models.inputs import Inputs, width
from memspan.streams import stream

READ_OUT = ("read_out.weight", "read_out.bias")


class Reading(NamedTuple):
    """What a model makes of sequences.

    Shapes:
        features (R, S, B, H): the last cell's outputs at the S positions asked for; state: a layer's last
        state each, every part (R, B, H).
    """

    features: Tensor
    state: tuple[State, ...]


class Recording(NamedTuple):
    """A reading, and what makes of the features' gradient that of each cell's parameters, by name."""

    features: Tensor
    state: tuple[State, ...]
    back: Callable[[Tensor], dict[str, Tensor]]


@dataclass(frozen=True)
class SequenceModel:
    """Cells, one above the other, and a linear read-out; the weights are kept outside.

    Parameters bear the cell's names: ``weight_ih`` … in the first layer, ``weight_ih_l1`` … in the second.

    Args:
        cells: equations and sizes of every layer.
        answers: A, asked at each position where answers are due.
        classes: K, possible answers; 0 where an answer is a real number.
    """

    cells: tuple[Cell, ...]
    answers: int
    classes: int

    @classmethod
    def of(cls, run: RunConfig) -> SequenceModel:
        """Build the network a run describes."""
        recipe = run.recipe
        sizes = [width(run), *[recipe.hidden] * (recipe.layers - 1)]
        return cls(tuple(cell_of(recipe, size) for size in sizes), run.task.answers, run.task.classes)

    @property
    def hidden_size(self) -> int:
        """H, the units the read-out reads."""
        return self.cells[-1].hidden_size

    @property
    def outputs(self) -> int:
        """Numbers the read-out gives at each position: A·K, or A where answers are real numbers."""
        return self.answers * max(1, self.classes)

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return name → shape: the cells' parameters, then the read-out's (A·K, H) and (A·K,)."""
        shapes: dict[str, tuple[int, ...]] = {}
        for k, cell in enumerate(self.cells):
            shapes |= {in_layer(name, k): shape for name, shape in cell.parameter_shapes().items()}
        return shapes | self.read_out_shapes()

    def read_out_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return name → shape of the read-out's parameters, the last in order."""
        return dict(zip(READ_OUT, [(self.outputs, self.hidden_size), (self.outputs,)], strict=True))

    def parameter_count(self) -> int:
        """Return the number of weights: 4(nd + n² + n) + on + o for an LSTM with n units and o answers."""
        return sum(math.prod(shape) for shape in self.parameter_shapes().values())

    def named(self, weights: Tensor) -> dict[str, Tensor]:
        """Return name → view of flat weights (..., P), one parameter after another."""
        named, start = {}, 0
        for name, shape in self.parameter_shapes().items():
            part = weights[..., start : start + math.prod(shape)]
            named[name], start = part.view(*weights.shape[:-1], *shape), start + math.prod(shape)
        return named

    def initial(self, run: RunConfig) -> dict[str, np.ndarray]:
        """Draw the initial weights of a run; a layer above the first has a seed of its own."""
        recipe = run.recipe
        values: dict[str, np.ndarray] = {}
        for k, cell in enumerate(SequenceModel.of(run).cells):
            seed = int(stream(run.seed, "seed of a layer", k).integers(2**63)) if k else run.seed
            longest = recipe.chrono_longest or run.task.steps + 1
            drawn = initial_parameters(cell, seed=seed, init=recipe.init, bias=recipe.bias, longest=longest)
            values |= {in_layer(name, k): value for name, value in drawn.items()}
        for name in values:
            scale = recipe.recurrent_scale if name.startswith("weight_hh") else 1.0
            scale = recipe.input_scale if name == "weight_ih" else scale
            values[name] = values[name] * np.float32(scale)
        return values | self._initial_read_out(run)

    def _initial_read_out(self, run: RunConfig) -> dict[str, np.ndarray]:
        hidden, init = self.hidden_size, run.recipe.init.removeprefix(STACKED)
        draw = matrix("xavier_normal" if init == "identity" else init, hidden)
        weight = draw(stream(run.seed, "initial read_out.weight"), self.outputs, hidden)
        return {READ_OUT[0]: weight.astype(np.float32), READ_OUT[1]: np.zeros(self.outputs, np.float32)}

    def in_evaluation(self) -> SequenceModel:
        """Return the model to evaluate with: without what its cells have for training only."""
        return dataclasses.replace(self, cells=tuple(cell.in_evaluation() for cell in self.cells))

    def choice(self, weights: Tensor, kernel: KernelName) -> Choice:
        """Return which kernel serves the first cell for weights like these, and why; it passed its trial."""
        cell = self.cells[0]
        choice = choose(cell, dtype=weights.dtype, device=weights.device, kernel=kernel)
        return proven(cell, choice, kernel)

    def read(
        self,
        p: Mapping[str, Tensor],
        inputs: Inputs,
        state: Sequence[State] | None = None,
        *,
        due: int = 1,
        masks: Sequence[Tensor | None] = (),
        kernel: KernelName = "auto",
    ) -> Reading:
        """Read sequences.

        Shapes:
            p: name → (R, …). state: as in ``Reading``. masks: (R, T, B, H) each.

        Args:
            state: every layer's state to begin with; zero if None.
            due: S, last positions of each row to return.
            masks: what the outputs of each layer but the last are multiplied by; none without dropout.
        """
        x, states = inputs.x, []
        for k, cell in enumerate(self.cells):
            made = unroll(cell, self._of(k, p), x, **self._told(k, inputs, state, due, kernel))
            mask = masks[k] if k < len(masks) else None
            x = made.outputs if mask is None else made.outputs * mask
            states.append(made.state)
        return Reading(x.unsqueeze(1) if due == 1 else last_positions(x, due, inputs.lengths), tuple(states))

    def record(
        self,
        p: Mapping[str, Tensor],
        inputs: Inputs,
        state: Sequence[State] | None = None,
        *,
        due: int = 1,
        masks: Sequence[Tensor | None] = (),
        kernel: KernelName = "auto",
    ) -> Recording:
        """Read sequences as ``read`` does, to train on them.

        Where our kernels serve every layer their gradients are taken back layer by layer; else by autograd.
        """
        x, layers = inputs.x, []
        for k, cell in enumerate(self.cells):
            made = record(cell, self._of(k, p), x, **self._told(k, inputs, state, due, kernel))
            if made is None:
                break
            mask = masks[k] if k < len(masks) else None
            x = made.outputs if mask is None else made.outputs * mask
            layers.append((made, mask))
        if not layers or len(layers) < len(self.cells):
            return self._record_by_autograd(p, inputs, state, due=due, masks=masks, kernel=kernel)
        features = x.unsqueeze(1) if due == 1 else last_positions(x, due, inputs.lengths)

        def back(d: Tensor) -> dict[str, Tensor]:
            d_x = d.squeeze(1) if due == 1 else from_last_positions(d, x.shape[1], inputs.lengths)
            found: dict[str, Tensor] = {}
            for k, (made, mask) in reversed(list(enumerate(layers))):
                grads, below = made.back(d_x if mask is None else d_x * mask, k > 0)
                found |= {in_layer(name, k): grad for name, grad in grads.items()}
                d_x = d_x if below is None else below
            return found

        return Recording(features, tuple(made.state for made, _ in layers), back)

    def _record_by_autograd(
        self, p: Mapping[str, Tensor], inputs: Inputs, state: Sequence[State] | None, **options: Any
    ) -> Recording:
        leaves = {name: value.detach().requires_grad_() for name, value in p.items()}
        features, ended = self.read(leaves, inputs, state, **options)
        trained = [name for name in p if name not in READ_OUT]

        def back(d: Tensor) -> dict[str, Tensor]:
            grads = torch.autograd.grad(features, [leaves[name] for name in trained], d)
            return dict(zip(trained, grads, strict=True))

        return Recording(
            features.detach(), tuple(tuple(part.detach() for part in parts) for parts in ended), back
        )

    def _of(self, k: int, p: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return layer k's parameters under the cell's own names."""
        return {name: p[in_layer(name, k)] for name in self.cells[k].parameter_shapes()}

    def _told(
        self, k: int, inputs: Inputs, state: Sequence[State] | None, due: int, kernel: KernelName
    ) -> dict[str, Any]:
        """Return what layer k is told beside its parameters and x."""
        return {
            "state": None if state is None else state[k],
            "times": inputs.times, "lengths": inputs.lengths, "resets": inputs.resets,
            "outputs": "last" if due == 1 and k == len(self.cells) - 1 else "all",
            "kernel": kernel,
        }  # fmt: skip

    def logits(self, p: Mapping[str, Tensor], h: Tensor, temperature: float = 1.0) -> Tensor:
        """Return the energies of one replica's features h (S, B, H), divided by the temperature.

        Returns:
            (S, B, A, K); for real answers (S, B, A, 1).
        """
        flat = functional.linear(h.reshape(-1, h.shape[-1]), p[READ_OUT[0]], p[READ_OUT[1]])
        made = flat.view(*h.shape[:2], self.answers, -1)
        return made if temperature == 1 else made / temperature


def in_layer(name: str, k: int) -> str:
    """Return what a cell's parameter is called in layer k."""
    return f"{name}_l{k}" if k else name


def cell_of(recipe: Recipe, inputs: int) -> Cell:
    """Return the cell a recipe names, reading so many numbers a step; refuse a layer of your own."""
    options: dict[str, Any] = {}
    if recipe.cell.removeprefix(PHASED) == "rnn":
        options["nonlinearity"] = recipe.nonlinearity
    if recipe.cell.startswith(PHASED):
        options |= {"leak": recipe.leak, "initial": _clocks(recipe)}
    found = CELLS.resolve(recipe.cell)
    if isinstance(found, type) and not issubclass(found, Cell):
        raise ArgumentError(f"{recipe.cell!r} is a layer of its own; expected a subclass of memspan.Cell")
    cell = found(inputs, recipe.hidden, biases=recipe.biases, **options)
    if not isinstance(cell, Cell):
        raise ArgumentError(f"{recipe.cell!r} made {type(cell).__name__}; expected a memspan.Cell")
    return cell


def _clocks(recipe: Recipe) -> Scheme:
    """Return how a recipe's clocks start."""
    low, high, ratio = recipe.clock_low, recipe.clock_high, recipe.clock_ratio
    window = (recipe.clock_window_low, recipe.clock_window_high) if recipe.clock_window_high else None
    if recipe.clock_shift == "first_event":
        return FirstEvent(low, high, window, open_ratio=ratio)
    return LogUniform(low, high, ratio, window)


def last_positions(x: Tensor, due: int, lengths: Tensor | None) -> Tensor:
    """Return the last positions of every row of x (R, T, B, H): (R, due, B, H)."""
    T = x.shape[1]
    if due > T:
        raise ArgumentError(f"answers are due at {due} positions of sequences of {T} steps")
    if lengths is None:
        return x[:, T - due :]
    if int(lengths.min()) < due:
        raise ArgumentError(f"answers are due at {due} positions, and a row has {int(lengths.min())} steps")
    return x.gather(1, _places(due, lengths).expand(-1, -1, -1, x.shape[-1]))


def from_last_positions(d: Tensor, T: int, lengths: Tensor | None) -> Tensor:
    """Return the gradient of x (R, T, B, H) from that of its last positions (R, due, B, H)."""
    due = d.shape[1]
    if due == T and lengths is None:
        return d
    whole = d.new_zeros(d.shape[0], T, *d.shape[2:])
    if lengths is None:
        whole[:, T - due :] = d
        return whole
    return whole.scatter_(1, _places(due, lengths).expand(-1, -1, -1, d.shape[-1]), d)


def _places(due: int, lengths: Tensor) -> Tensor:
    """Return where the last positions of rows (R, B) of these lengths lie: (R, due, B, 1)."""
    return (lengths.unsqueeze(1) - due + torch.arange(due).view(1, -1, 1)).unsqueeze(-1)
