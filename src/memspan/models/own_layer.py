"""A layer of your own as a network: any module with ``torch.nn.LSTM``'s calling form, trained by autograd."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from memspan.cells import CELLS
from memspan.cells.cell import State
from memspan.config import Recipe, RunConfig
from memspan.errors import ArgumentError
from memspan.kernels import Choice
from memspan.kernels.unrolling import KernelName
from memspan.models.inputs import Inputs, width
from memspan.models.sequence import Reading, SequenceModel, last_positions
from memspan.streams import stream

LAYER = "layer."
_ITS_OWN = ("init", "bias", "layers", "biases", "dropout", "input_scale", "recurrent_scale", "nonlinearity")
"""Fields of a recipe that a layer of your own decides by itself."""


@dataclass(frozen=True)
class OwnLayer(SequenceModel):
    """A module ``layer(input_size, hidden_size)`` with ``output, state = layer(x)``, and a linear read-out.

    Its parameters are all that is trained, each named ``layer.<name>``; they start as the module itself
    starts them, under a seed of the run's. Replicas are trained one after the other. Random numbers drawn
    inside the module are torch's, not the run's.

    Shapes:
        x (T, B, D) → output (T, B, H).

    Args:
        module: names, shapes and the calculation; its own weights are not used.
        units: H.
        symbols: distinct input symbols, where they enter as one of so many unit vectors.
        training: whether the module is asked in its training mode.
    """

    module: nn.Module
    units: int
    symbols: int
    training: bool = True

    @classmethod
    def of(cls, run: RunConfig) -> OwnLayer:
        """Build the network a run describes.

        Raises:
            ArgumentError: the module has buffers or another calling form, the recipe changes what is the
                layer's own affair, or the task carries its state.
        """
        _check(run)
        module = _built(run)
        _check_call(module, width(run), run.recipe)
        return cls((), run.task.answers, run.task.classes, module, run.recipe.hidden, run.task.symbols)

    @property
    def hidden_size(self) -> int:
        """H, the units the read-out reads."""
        return self.units

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return name → shape: the module's parameters, then the read-out's."""
        own = {LAYER + name: tuple(value.shape) for name, value in _trained(self.module).items()}
        return own | self.read_out_shapes()

    def initial(self, run: RunConfig) -> dict[str, np.ndarray]:
        """Start the module as it starts itself, and the read-out as any other."""
        own = {LAYER + name: value.detach().numpy() for name, value in _trained(_built(run)).items()}
        usual = dataclasses.replace(run, recipe=dataclasses.replace(run.recipe, init="xavier_normal"))
        return own | self._initial_read_out(usual)

    def in_evaluation(self) -> OwnLayer:
        """Return the network with its module in evaluation mode."""
        return dataclasses.replace(self, training=False)

    def choice(self, weights: Tensor, kernel: KernelName) -> Choice:
        """Return that the layer runs as it is."""
        return Choice("own", "a layer of your own runs as it is, trained by autograd")

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
        """Read sequences from a zero state; see ``SequenceModel.read``. Timestamps pass unread."""
        x = inputs.x
        if not x.is_floating_point():
            x = functional.one_hot(x, self.symbols).to(p[next(iter(p))].dtype)
        self.module.train(self.training)
        names = list(_trained(self.module))
        outputs = [
            functional_call(self.module, {name: p[LAYER + name][r] for name in names}, (x[r],))[0]
            for r in range(len(x))
        ]
        return Reading(last_positions(torch.stack(outputs), due, inputs.lengths), ())


def _trained(module: nn.Module) -> dict[str, nn.Parameter]:
    return {name: value for name, value in module.named_parameters() if value.requires_grad}


def _built(run: RunConfig) -> nn.Module:
    """Build the module under a seed of the run's own; torch's generator is left as it was."""
    seed = int(stream(run.seed, f"initial layer {run.recipe.cell}").integers(2**63))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module: nn.Module = CELLS.resolve(run.recipe.cell)(width(run), run.recipe.hidden)
    return module


def _check(run: RunConfig) -> None:
    usual, name = Recipe(), run.recipe.cell
    changed = [field for field in _ITS_OWN if getattr(run.recipe, field) != getattr(usual, field)]
    if changed:
        raise ArgumentError(f"{changed[0]} is for cells; {name!r} is a layer of its own and decides it")
    if run.task.carries:
        raise ArgumentError(
            f"task {run.task.name!r} carries its state, which layer {name!r} cannot; take a cell"
        )


def _check_call(module: nn.Module, inputs: int, recipe: Recipe) -> None:
    """Call the module once and refuse it where it does not answer as ``torch.nn.LSTM`` does."""
    if next(module.buffers(), None) is not None:
        raise ArgumentError(f"layer {recipe.cell!r} has buffers, which replicas would share; expected none")
    with torch.no_grad():
        made = module(torch.zeros(3, 2, inputs))
    output = made[0] if isinstance(made, tuple) else made
    expected = (3, 2, recipe.hidden)
    if not isinstance(made, tuple) or not isinstance(output, Tensor) or tuple(output.shape) != expected:
        shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ArgumentError(
            f"layer {recipe.cell!r} gave {shape} for inputs (3, 2, {inputs}); expected a pair, its output"
            f" {expected}, as torch.nn.LSTM({inputs}, {recipe.hidden}) gives"
        )
    if not _trained(module):
        raise ArgumentError(f"layer {recipe.cell!r} has nothing to train")
