"""The file of a model's weights: what its header says is compared with the config before a weight is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load
from torch import Tensor

from memspan.config import Recipe, RunConfig
from memspan.errors import ArgumentError, shown
from memspan.machine import free_memory
from memspan.models.sequence import SequenceModel, cell_of
from memspan.untrusted import file_size, read_json

DTYPE = "F32"
"""What safetensors calls float32."""
Shapes = dict[str, tuple[int, ...]]


def read_weights(
    path: Path, told: Mapping[str, Any], recipe: Recipe, symbols: int, embedding: int
) -> dict[str, Tensor]:
    """Return name → weight, if they were saved with this config and have its sizes.

    Args:
        path: a safetensors file.
        told: what its header says of the model, see ``save_pretrained``.
        recipe, symbols, embedding: of the config; they may be of any size.

    Raises:
        FileNotFoundError, OSError: it cannot be opened.
        ArgumentError: no regular file, foreign, damaged, of another config, or with weights of other names,
            shapes or dtypes than the config describes.
    """
    size = file_size(path)
    try:
        with safe_open(path, framework="pt") as file:
            _check_header(path, file.metadata() or {}, told)
            names = list(file.keys())
            _check_shapes(path, _stored_shapes(path, file, names), recipe, symbols, embedding)
            _check_memory(path, size)
            return {name: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise ArgumentError(f"{path} is damaged or no safetensors file: {error}") from None


def _check_header(path: Path, metadata: Mapping[str, str], told: Mapping[str, Any]) -> None:
    page = read_json(metadata.get("memspan", "null"), f"the header of {path}")
    if not isinstance(page, dict) or page.get("kind") != told["kind"]:
        raise ArgumentError(f"{path} was not written by memspan: its header says nothing of a {told['kind']}")
    if type(page.get("format")) is not int or page["format"] != told["format"]:
        raise ArgumentError(
            f"{path} is of format {shown(page.get('format'))}; this version of memspan reads format "
            f"{told['format']}: update memspan"
        )
    if page.get("config_sha256") != told["config_sha256"]:
        raise ArgumentError(
            f"{path} was saved with another config.json than the one next to it; one of the two was "
            "edited or replaced. Put the saved pair back, or save the model again"
        )


def _stored_shapes(path: Path, file: Any, names: list[str]) -> Shapes:
    """Return name → shape as the header says, every weight float32."""
    found: Shapes = {}
    for name in names:
        about = file.get_slice(name)
        if about.get_dtype() != DTYPE:
            raise ArgumentError(
                f"{path}: weight {shown(name)} has dtype {about.get_dtype()}; expected {DTYPE} (float32)"
            )
        found[name] = tuple(about.get_shape())
    return found


def _check_shapes(path: Path, stored: Shapes, recipe: Recipe, symbols: int, embedding: int) -> None:
    expected = 0
    for name, shape in expected_shapes(recipe, symbols, embedding):
        if stored.get(name) != shape:
            there = f"has shape {stored[name]}" if name in stored else "is missing"
            raise ArgumentError(
                f"{path}: the weights do not fit the config: {name} {there}; expected {shape}"
            )
        expected += 1
    if expected < len(stored):
        raise ArgumentError(
            f"{path}: the weights do not fit the config: {len(stored)} of them, expected {expected}"
        )


def expected_shapes(recipe: Recipe, symbols: int, embedding: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield name and shape of a character model's weights, one at a time: a config may ask for 10⁷ layers.

    Nothing is allocated.
    """
    if embedding:
        yield "embedding.weight", (symbols, embedding)
    for k in range(recipe.layers):
        cell = cell_of(recipe, recipe.hidden if k else embedding or symbols)
        for name, shape in cell.parameter_shapes().items():
            yield f"recurrent.{name}_l{k}", tuple(shape)
    yield "read_out.weight", (symbols, recipe.hidden)
    yield "read_out.bias", (symbols,)


def _check_memory(path: Path, size: int) -> None:
    """Weights are in memory twice for a moment, as read and in the model."""
    free = free_memory()
    if 2 * size > free:
        raise ArgumentError(
            f"{path} has {size:,} bytes and takes twice as many in memory, where {free:,} are free"
        )


def state_weights(run: RunConfig, state: bytes) -> dict[str, Tensor]:
    """Return name → weight of a run from the bytes of its stored state.

    Raises:
        ArgumentError: damaged, another run's, or of another size or dtype than the run's network.
    """
    try:
        flat = load(state)["weights"]
    except (SafetensorError, KeyError) as error:
        raise ArgumentError(f"this is not a stored state of run {run.id}: {error}") from None
    fits = flat.dtype == torch.float32 and run.recipe.layers <= flat.numel()  # 10⁷ layers take minutes
    model = SequenceModel.of(run) if fits else None
    if model is None or flat.shape != (model.parameter_count(),):
        raise ArgumentError(
            f"this is not a stored state of run {run.id}: it holds {tuple(flat.shape)} weights of "
            f"{flat.dtype}; expected as many float32 as the run's network has"
        )
    return model.named(flat)


def check_dtypes(state: Mapping[str, Tensor]) -> None:
    """Refuse to save what could not be loaded.

    Raises:
        ArgumentError: a weight that is not float32.
    """
    for name, value in state.items():
        if value.dtype != torch.float32:
            raise ArgumentError(f"weight {name} is {value.dtype}; a model is saved as float32: call .float()")
