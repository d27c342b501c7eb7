"""The rows of a generation: on the fused kernel, or one step of the layers for every character."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from types import ModuleType

import numpy as np
import torch

from memspan import simd
from memspan.errors import KernelRefusal
from memspan.kernels import trial
from memspan.kernels.cpu.rows import Choosing, Rows, Written
from memspan.kernels.cpu.spec import spec_for
from memspan.kernels.cpu.writer import Writer
from memspan.kernels.cpu.writer import module as writer_module
from memspan.models.form import Form, TextState
from memspan.models.sampling import Sampling

LARGEST_SCALE = 1e30  # a temperature so near 0 that only equal energies are told apart from the largest


def begin(
    model: Form, prompts: Sequence[np.ndarray], sampling: Sampling, kernel: str, all_: bool
) -> Writer | StepRows:
    """Read prompts but for their last symbols, and return the rows that go on from there."""
    own = 1.0 / model.temperature
    scale = 0.0 if sampling.greedy else min(own / sampling.temperature, LARGEST_SCALE)
    choosing = Choosing(own, scale, sampling.top_k, sampling.top_p, sampling.min_p, True, all_)
    symbols = np.array([prompt[-1] for prompt in prompts], np.int64)
    seeds = np.uint64(sampling.seed) + np.arange(len(prompts), dtype=np.uint64)
    state = _read(model, prompts)
    if kernel == "steps":
        return StepRows(model, state, symbols, seeds, choosing)
    layers = [_weights(model, k) for k in range(model.recipe.layers)]
    read_out = model.read_out.weight.detach(), model.read_out.bias.detach()
    states = [torch.stack(parts) for parts in zip(*(part.unbind(0) for part in state.parts), strict=True)]
    spec = spec_for(model.recurrent.cell, simd.LANES)

    def writer(choosing: Choosing) -> Writer:
        return Writer(spec, layers, read_out, states, symbols, seeds, choosing)

    if not trial.passed(writing := writer_module(spec)):
        told = dataclasses.replace(choosing, distributions=True)
        _try(writing, writer(told), StepRows(model, state, symbols, seeds, told))
    return writer(choosing)


def _try(module: ModuleType, fused: Writer, steps: StepRows) -> None:
    """Let the kernel write one symbol beside the layers before its first use on a machine.

    Raises:
        KernelRefusal: it gives other probabilities than they do.
    """
    seen, wanted = trial.alone(lambda: [rows.write(1).distributions for rows in (fused, steps)])
    assert seen is not None
    assert wanted is not None
    if not np.isfinite(wanted).all():
        return  # weights that have diverged say nothing about the kernel; whoever writes with them is told
    off = float(np.abs(seen - wanted).max())
    if wrong := trial.judged(off if off == off else np.inf, module):
        raise KernelRefusal(f"the kernel that writes does not serve: {wrong}; take kernel='steps'")


@torch.no_grad()
def _read(model: Form, prompts: Sequence[np.ndarray]) -> TextState:
    """Read every prompt up to its last symbol, all rows in one call."""
    lengths = torch.tensor([len(prompt) - 1 for prompt in prompts], dtype=torch.int64)
    padded = torch.zeros(max([0, *lengths.tolist()]), len(prompts), dtype=torch.int64)
    for row, prompt in enumerate(prompts):
        padded[: len(prompt) - 1, row] = torch.from_numpy(prompt[:-1].astype(np.int64))
    return model.outputs(padded, lengths=lengths)[1]


def _weights(model: Form, k: int) -> dict[str, torch.Tensor]:
    """Return one layer's weights; an embedding is multiplied into the first's, which then reads symbols."""
    names = model.recurrent.cell.parameter_shapes()
    weights = {name: getattr(model.recurrent, f"{name}_l{k}").detach() for name in names}
    if k == 0 and model.embedding is not None:
        weights["weight_ih"] = weights["weight_ih"] @ model.embedding.weight.detach().T
    return weights


class StepRows(Rows):
    """Rows that call the model's layers for every character: any cell, dtype and device."""

    def __init__(
        self,
        model: Form,
        state: TextState,
        symbols: np.ndarray,
        seeds: np.ndarray,
        choosing: Choosing,
    ) -> None:
        super().__init__(symbols, seeds, len(model.vocabulary), choosing)
        self.model, self.state = model, state

    @torch.no_grad()
    def write(self, steps: int) -> Written:
        """Let every row go on by so many symbols; the last one is read next."""
        made = [self._step() for _ in range(steps)]
        parts = zip(*((m.symbols, m.log_probabilities, m.distributions) for m in made), strict=True)
        return Written(*(None if part[0] is None else np.concatenate(part) for part in parts))  # type: ignore[arg-type]

    def _step(self) -> Written:
        last = torch.from_numpy(self.symbols[None, : self.count].copy())
        outputs, self.state = self.model.outputs(last.to(self.model.read_out.weight.device), self.state)
        return self.choose(self.model.read_out(outputs[0]).float().cpu())

    def keep(self, rows: np.ndarray) -> None:
        """Drop every other row; those that stay move up."""
        super().keep(rows)
        self.state = self.state.rows(torch.from_numpy(rows))
