"""What a probe looks at: a cell with its weights, from a run, a layer or a file of weights."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional

from memspan.cells import CELLS
from memspan.cells.cell import Cell, State
from memspan.config import RunConfig
from memspan.errors import ArgumentError, shown
from memspan.layers import Recurrent
from memspan.layers.stored import layer_of
from memspan.models.inputs import as_inputs
from memspan.models.sequence import READ_OUT, SequenceModel, in_layer
from memspan.models.weights import state_weights
from memspan.streams import stream
from memspan.tasks.task import Batch
from memspan.untrusted import file_size, read_json


@dataclass(frozen=True)
class Sequences:
    """What a specimen is shown.

    Shapes:
        inputs (T, B, D), times (T,) or None, targets (B,) or None.
    """

    inputs: Tensor
    times: Tensor | None
    targets: Tensor | None


@dataclass(frozen=True)
class Specimen:
    """A cell and its weights, in float64.

    Args:
        cell: the equations; a gate's leak is off.
        weights: by the cell's own names.
        read_out: weight and bias of a classifier's read-out; without one the loss is the sum of h_T
            along a random direction.
        run: the run it was trained by, whose task gives the sequences; else they are standard normal.
    """

    cell: Cell
    weights: Mapping[str, Tensor]
    read_out: tuple[Tensor, Tensor] | None = None
    run: RunConfig | None = None

    @classmethod
    def trained(cls, run: RunConfig, state: bytes, number: int = 0) -> Specimen:
        """Return one layer of what a run ended with, from the bytes of its final state."""
        _require_cell(run)
        return cls._of_model(run, state_weights(run, state), number)

    @classmethod
    def fresh(cls, run: RunConfig, number: int = 0) -> Specimen:
        """Return one layer of what a run started from."""
        _require_cell(run)
        drawn = SequenceModel.of(run).initial(run)
        return cls._of_model(run, {name: torch.from_numpy(value) for name, value in drawn.items()}, number)

    @classmethod
    def _of_model(cls, run: RunConfig, values: Mapping[str, Tensor], number: int) -> Specimen:
        """A layer below or above others is shown random sequences: its task is not the network's."""
        cells = SequenceModel.of(run).cells
        _require_layer(number, len(cells))
        cell = cells[number].in_evaluation()
        p = {name: values[in_layer(name, number)].double() for name in cell.parameter_shapes()}
        if len(cells) > 1:
            return cls(cell, p)
        weight, bias = (values[name].double() for name in READ_OUT)
        one_class = run.task.classes and run.task.answers == run.task.due == 1
        return cls(cell, p, (weight, bias) if one_class else None, run)

    @classmethod
    def of_layer(cls, layer: Recurrent, number: int = 0) -> Specimen:
        """Return one layer and direction of ours; number counts layers · directions.

        Raises:
            ArgumentError: replicas, or no such number.
        """
        if layer.replicas is not None:
            raise ArgumentError(f"the layer has {layer.replicas} replicas; probe one without replicas")
        _require_layer(number, len(layer._names))
        cell = layer._cells[number // layer.directions].in_evaluation()
        names = layer._names[number].items()
        return cls(cell, {name: getattr(layer, full).detach().double() for name, full in names})

    @classmethod
    def of_file(cls, path: Path, cell: str = "", number: int = 0, trust: Collection[str] = ()) -> Specimen:
        """Return a saved specimen: a run's final state, or a layer's ``state_dict`` (safetensors or torch).

        Args:
            path: the file.
            cell: a name in ``CELLS``; told from names and shapes of the weights if not given.
            number: which layer and direction of a ``state_dict``.
            trust: import paths of cells and tasks of your own that a run's state may name.

        Raises:
            ArgumentError: a file that is neither, or no regular file.
            UntrustedNameError: a run's state that names a cell or a task by another import path.
        """
        run, weights = _read(path, trust)
        if run is not None:
            return cls.trained(run, path.read_bytes(), number)
        name, weights = _of_one_layer(weights, path, cell)
        return cls.of_layer(layer_of(name, weights), number)

    def sequences(self, steps: int = 0, batch: int = 64, seed: int = 0) -> Sequences:
        """Draw what it is shown: its task's sequences, or standard normal ones of ``steps`` steps."""
        g = stream(seed, "probe sequences")
        if self.run is None:
            x = torch.from_numpy(g.normal(size=(steps or 100, batch, self.cell.input_size)))
            return Sequences(x, self.cell.clock(None, len(x), x.device), None)
        return self.shown(self.run.task.sample(g, batch))

    def shown(self, batch: Batch) -> Sequences:
        """Return sequences of its run's task as it reads them."""
        assert self.run is not None, "only a run's task says how symbols are coded"
        made = as_inputs([batch], self.run.task, self.run.recipe)
        x = made.x[0] if made.x.is_floating_point() else functional.one_hot(made.x[0], self.cell.input_size)
        times = made.times if made.times is None or made.times.dim() == 1 else made.times[0]
        return Sequences(
            x.double(), self.cell.clock(times, len(x), x.device), torch.from_numpy(batch.targets)
        )

    def steps(self, shown: Sequences, weights: Sequence[Mapping[str, Tensor]] | None = None) -> list[State]:
        """Return the state before the first step and after every one; each step may have its own weights."""
        state = self.cell.initial_state(shown.inputs.shape[1], like=shown.inputs)
        states = [tuple(part.requires_grad_() for part in state)]
        for t, x in enumerate(shown.inputs):
            time = None if shown.times is None else shown.times[t]
            states.append(self.cell.step(weights[t] if weights else self.weights, x, states[-1], time))
        return states

    def loss(self, h: Tensor, shown: Sequences) -> Tensor:
        """Return the loss summed over the batch: cross-entropy, or h along a random direction."""
        if self.read_out is None or shown.targets is None:
            along = torch.from_numpy(stream(0, "probe direction").normal(size=h.shape[-1]))
            return (h @ (along / along.norm())).sum()
        return functional.cross_entropy(functional.linear(h, *self.read_out), shown.targets, reduction="sum")


def _require_cell(run: RunConfig) -> None:
    """Refuse a run of a layer of its own: what it does at one step, and which states it has, is not known."""
    found = CELLS.resolve(run.recipe.cell)
    if isinstance(found, type) and issubclass(found, nn.Module):
        raise ArgumentError(
            f"{run.recipe.cell!r} is a torch.nn.Module, whose steps cannot be looked into; write its "
            "equations as a memspan.Cell and train that"
        )


def _require_layer(number: int, layers: int) -> None:
    if not 0 <= number < layers:
        raise ArgumentError(f"layer {number}: expected 0 to {layers - 1}")


def _read(path: Path, trust: Collection[str]) -> tuple[RunConfig | None, dict[str, Tensor]]:
    """Return the run a file belongs to, if it is a run's, and its tensors."""
    try:
        file_size(path)  # refuses a FIFO, which would be waited for
        with safe_open(path, "pt") as file:
            page = read_json((file.metadata() or {}).get("memspan", "{}"), f"the header of {path}")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return _run_of(page, path, trust), tensors
    except (SafetensorError, OSError) as error:
        if path.suffix in (".pt", ".pth"):
            return None, _read_torch(path)
        raise ArgumentError(
            f"{str(path)!r} cannot be read ({error}); expected a run's final state or saved weights"
        ) from None


def _run_of(page: object, path: Path, trust: Collection[str]) -> RunConfig | None:
    """Return the run that a header tells of, None where it tells of none."""
    if not isinstance(page, dict) or "config" not in page:
        return None
    config = page["config"]
    if not isinstance(config, str):
        raise ArgumentError(f"the header of {path} holds no config of a run: {shown(config)}")
    return RunConfig.from_stored(read_json(config, f"the config in {path}"), trust)


def _read_torch(path: Path) -> dict[str, Tensor]:
    try:
        return torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:
        raise ArgumentError(f"{str(path)!r} is no state_dict that can be read: {error}") from None


def _of_one_layer(weights: Mapping[str, Tensor], path: Path, cell: str) -> tuple[str, dict[str, Tensor]]:
    """Return the cell and the tensors of the first recurrent layer, whatever prefix its model gave them."""
    marks = [name for name in weights if name.endswith("weight_hh_l0")]
    if not marks:
        raise ArgumentError(f"{str(path)!r} holds no 'weight_hh_l0', so no recurrent layer")
    prefix = marks[0].removesuffix("weight_hh_l0")
    own = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    first = {
        name.removesuffix("_l0"): tuple(value.shape) for name, value in own.items() if name.endswith("_l0")
    }
    told = cell or _told_cell(first)
    # What else the model keeps under this prefix, a read-out for instance, is no layer's.
    names = "|".join(map(re.escape, _shapes(told, first)))
    layers = re.compile(rf"(?:{names})_l\d+(?:_reverse)?")
    return told, {name: value for name, value in own.items() if layers.fullmatch(name)}


def _shapes(cell: str, first: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Return name → shape of a cell's parameters, in the sizes of a layer's matrices."""
    sizes = (first.get("weight_ih", ()), first["weight_hh"])
    if [len(size) for size in sizes] != [2, 2]:
        raise ArgumentError(
            f"weight_ih and weight_hh have shapes {sizes[0]} and {sizes[1]}; expected matrices"
        )
    biases = sum(name in first for name in ("bias_ih", "bias_hh"))
    made: Cell = CELLS.resolve(cell)(sizes[0][1], sizes[1][1], biases=biases)
    return made.parameter_shapes()


def _told_cell(first: Mapping[str, tuple[int, ...]]) -> str:
    """Return the registered cell that has the parameters of a layer, all of them and no others."""
    known = {name: _shapes(name, first) for name in CELLS}
    fitting = {name: shapes for name, shapes in known.items() if shapes.items() <= first.items()}
    vocabulary = set().union(*known.values())
    for name, shapes in sorted(fitting.items(), key=lambda item: -len(item[1])):
        if not (first.keys() & vocabulary) - shapes.keys():
            return name
    there = ", ".join(f"{name} {shape}" for name, shape in first.items())
    raise ArgumentError(f"no registered cell has exactly these parameters: {there}; name one by --cell")
