"""Initial weights of a layer, drawn through torch's own generator."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils._python_dispatch import _disable_current_modes

from memspan.cells.cell import Cell
from memspan.cells.initial import initial_parameters, matrix
from memspan.errors import ArgumentError


@dataclass(frozen=True)
class Initial:
    """How a cell's parameters are filled.

    Args:
        init: ``"torch"``, uniform on ±1/√H in ``torch.nn``'s order, so that one ``torch.manual_seed`` gives
            the weights of its layer; or a name of ``memspan.cells.initial``, with zero biases.
        forget_bias: the forget gate's total bias at the start; None leaves it as drawn.
    """

    init: str = "torch"
    forget_bias: float | None = None

    def check(self, cell: Cell) -> None:
        """Refuse an unknown init, and a forget bias for a cell without forget gate or biases."""
        matrix(self.init, cell.hidden_size)
        if self.forget_bias is not None and ("f" not in cell.gates or not cell.biases):
            raise ArgumentError(
                f"forget_bias={self.forget_bias!r}: {cell!r} has no forget gate with a bias; use an LSTM"
            )

    def fill(self, cell: Cell, p: Mapping[str, Tensor]) -> None:
        """Overwrite the parameters of one cell."""
        with torch.no_grad():
            if self.init == "torch":
                _as_torch(cell, p)
            else:
                _by_name(cell, p, self.init)
            if self.forget_bias is not None:
                _set_forget_bias(cell, p, self.forget_bias)


@contextlib.contextmanager
def drawn_anew(module: nn.Module, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Return name → tensor to write initial values into; a module has these values at the end.

    Parameters are written in place. What a parametrization makes is another tensor at every look, so writing
    there would change nothing: such a weight is drawn beside the module and then set, which its
    ``right_inverse`` turns into the parameters behind it.

    Raises:
        ArgumentError: a weight that cannot be set; then no weight has changed.
    """
    made = [name for name in names if parametrize.is_parametrized(module, name)]
    hooked = [name for name in names if name not in made and name not in module._parameters]
    if hooked:
        raise ArgumentError(
            f"reset_parameters(): {hooked[0]} is not a parameter of the layer: a hook makes it before every"
            " call (torch.nn.utils.weight_norm, spectral_norm or prune). Reset the layer before the hook is"
            " put on, or use torch.nn.utils.parametrizations"
        )
    targets = {name: getattr(module, name) for name in names}
    if not made:
        yield targets
        return
    drawn = {name: torch.empty_like(value).detach() for name, value in targets.items()}
    yield drawn
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with torch.no_grad():
        for name in made:
            try:
                _set_parametrized(module, name, drawn[name])
            except (RuntimeError, NotImplementedError, ValueError) as error:
                module.load_state_dict(before)
                raise ArgumentError(_unsettable(module, name, error)) from error
        for name in set(names) - set(made):
            targets[name].copy_(drawn[name])


SPECTRAL_LOOKS = 15
"""As many iterations as torch's spectral_norm takes for its first estimate of the largest singular value."""


def _set_parametrized(module: nn.Module, name: str, value: Tensor) -> None:
    """Set a parametrized weight, and renew what spectral_norm has estimated from the one before."""
    setattr(module, name, value)
    for step in module.parametrizations[name]:  # type: ignore[index]
        if hasattr(step, "n_power_iterations"):
            was_training = step.training
            step.train()
            for _ in range(SPECTRAL_LOOKS):
                getattr(module, name)
            step.train(was_training)


def _unsettable(module: nn.Module, name: str, error: Exception) -> str:
    kinds = [type(step).__name__.lstrip("_") for step in module.parametrizations[name]]  # type: ignore[index]
    return (
        f"reset_parameters(): {name} is parametrized by {', '.join(kinds)}, which takes no new values"
        f" ({error}); call torch.nn.utils.parametrize.remove_parametrizations, reset, and parametrize again"
    )


def _as_torch(cell: Cell, p: Mapping[str, Tensor]) -> None:
    bound = 1.0 / math.sqrt(cell.hidden_size)
    for value in p.values():
        value.uniform_(-bound, bound)
    if cell.own_initial(0):  # only then a seed is drawn: torch's layers draw none
        _copy(cell.own_initial(_seed()), p)


def _by_name(cell: Cell, p: Mapping[str, Tensor], init: str) -> None:
    _copy(initial_parameters(cell, seed=_seed(), init=init), p)


def _seed() -> int:
    with _disable_current_modes():  # a fake tensor, for one, has no number to begin with
        return int(torch.randint(2**62, (), device="cpu"))


def _copy(values: Mapping[str, np.ndarray], p: Mapping[str, Tensor]) -> None:
    for name, value in values.items():
        p[name].copy_(torch.from_numpy(value))


def _set_forget_bias(cell: Cell, p: Mapping[str, Tensor], forget_bias: float) -> None:
    at = cell.gates.index("f") * cell.hidden_size
    for name, value in (("bias_ih", forget_bias), ("bias_hh", 0.0)):
        if name in p:
            p[name][at : at + cell.hidden_size] = value
