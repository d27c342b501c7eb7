"""A model as a folder: ``config.json`` with its vocabulary, ``model.safetensors`` with its weights.

No pickle. The header of the weights holds the hash of the config they were saved with: an edited config, or
files of two models in one folder, are refused.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub import ModelHubMixin, snapshot_download
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from memspan.config import Recipe, RunConfig
from memspan.errors import ArgumentError, MemspanError
from memspan.machine import code_version
from memspan.models.form import Form
from memspan.text.vocabulary import Vocabulary

CONFIG, WEIGHTS = "config.json", "model.safetensors"
FORMAT, KIND = 1, "memspan.CharacterModel"
FIELDS = ("format", "kind", "code_version", "vocabulary", "recipe", "embedding", "run")
Model = TypeVar("Model", bound="Pretrained")


class PretrainedError(ArgumentError):
    """A folder that does not hold a model this version can load."""


class Pretrained(ModelHubMixin):
    """Saving and loading, from a folder or the Hugging Face Hub, whose ``push_to_hub`` it brings."""

    def save_pretrained(self, save_directory: str | Path, **more: Any) -> None:
        """Write the two files; each appears whole or not at all.

        Args:
            save_directory: a folder, made if it is missing.
            more: what ``push_to_hub`` hands on; not looked at.
        """
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        about = _config(self)  # type: ignore[arg-type]
        page = json.dumps(about, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        told = {"format": FORMAT, "kind": KIND, "config_sha256": _hash(page)}
        state: dict[str, Tensor] = self.state_dict()  # type: ignore[attr-defined]
        tensors = {name: value.contiguous().cpu() for name, value in state.items()}
        _write(folder / WEIGHTS, save(tensors, metadata={"memspan": json.dumps(told, sort_keys=True)}))
        _write(folder / CONFIG, page.encode())

    @classmethod
    def from_pretrained(cls: type[Model], pretrained_model_name_or_path: str | Path, **hub: Any) -> Model:
        """Return the model of a folder, or of a repository of the Hub where there is no such folder.

        Args:
            pretrained_model_name_or_path: a folder, or ``owner/name`` on the Hub.
            hub: keywords of ``huggingface_hub.snapshot_download``: revision, token, cache_dir, …

        Raises:
            PretrainedError: files missing, foreign, edited, damaged, of two models, or of a newer format.
        """
        folder = _folder(pretrained_model_name_or_path, hub)
        text = _read(folder / CONFIG)
        page = _page(folder / CONFIG, text)
        tensors = _tensors(folder / WEIGHTS, text)
        model: Any = _model(cls, folder, page)
        try:
            model.load_state_dict(tensors)
        except RuntimeError as error:
            raise PretrainedError(f"{folder}: the weights do not fit the config: {_short(error)}") from None
        return model.eval()


def _config(model: Form) -> dict[str, Any]:
    usual = Recipe()
    told = {f.name: getattr(model.recipe, f.name) for f in dataclasses.fields(Recipe)}
    return {
        "format": FORMAT,
        "kind": KIND,
        "code_version": code_version(),
        "vocabulary": model.vocabulary.to_json(),
        "recipe": {name: value for name, value in told.items() if value != getattr(usual, name)},
        "embedding": 0 if model.embedding is None else model.embedding.embedding_dim,
        "run": None if model.run is None else model.run.flat(),
    }


def _hash(config: str) -> str:
    return hashlib.sha256(config.encode()).hexdigest()


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(data)
    os.replace(temporary, path)


def _folder(name: str | Path, hub: Mapping[str, Any]) -> Path:
    """Return a folder as it is, or that of a repository, downloaded."""
    folder = Path(name)
    if folder.is_dir():
        return folder
    if folder.exists() or isinstance(name, Path) or str(name).count("/") > 1 or str(name).startswith("."):
        raise PretrainedError(f"{name}: there is no such folder; expected one with {CONFIG} and {WEIGHTS}")
    try:
        return Path(snapshot_download(str(name), allow_patterns=[CONFIG, WEIGHTS], **hub))
    except Exception as error:  # many kinds, of the hub's and of the network's
        raise PretrainedError(
            f"{name}: there is no such folder, and the Hub did not give such a repository: {_short(error)}"
        ) from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise PretrainedError(
            f"{path.parent} holds no {path.name}; expected {CONFIG} and {WEIGHTS}"
        ) from None
    except UnicodeDecodeError:
        raise PretrainedError(f"{path} is not UTF-8 text; it is damaged or no config") from None


def _page(path: Path, text: str) -> dict[str, Any]:
    """Return the fields of a config of this format."""
    try:
        page = json.loads(text)
    except json.JSONDecodeError as error:
        raise PretrainedError(f"{path} is not JSON: {error}") from None
    if not isinstance(page, dict) or page.get("kind") != KIND:
        raise PretrainedError(f"{path} is not the config of a {KIND}")
    _check_format(path, page.get("format"))
    if set(page) != set(FIELDS):
        raise PretrainedError(f"{path} has the fields {sorted(page)}; expected {sorted(FIELDS)}")
    return page


def _check_format(path: Path, given: object) -> None:
    if given != FORMAT:
        raise PretrainedError(
            f"{path} is of format {given!r}; this version of memspan reads format {FORMAT}: update memspan"
        )


def _tensors(path: Path, config: str) -> dict[str, Tensor]:
    """Return the weights, if they were saved with this very config."""
    if not path.exists():
        raise PretrainedError(f"{path.parent} holds no {path.name}; expected {CONFIG} and {WEIGHTS}")
    try:
        with safe_open(path, framework="pt") as file:
            page = json.loads((file.metadata() or {}).get("memspan", "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, json.JSONDecodeError) as error:
        raise PretrainedError(f"{path} is damaged or no safetensors file: {_short(error)}") from None
    if not isinstance(page, dict) or page.get("kind") != KIND:
        raise PretrainedError(f"{path} was not written by memspan: its header says nothing of a {KIND}")
    _check_format(path, page.get("format"))
    if page.get("config_sha256") != _hash(config):
        raise PretrainedError(
            f"{path} was saved with another {CONFIG} than the one beside it; one of the two was "
            "edited or replaced. Put the saved pair back, or save the model again"
        )
    return tensors


def _model(cls: Any, folder: Path, page: Mapping[str, Any]) -> Any:
    """Return an untrained model as the page describes it."""
    try:
        vocabulary = Vocabulary.from_json(page["vocabulary"])
        run = None if page["run"] is None else RunConfig.from_flat(page["run"])
        return cls(vocabulary, Recipe(**page["recipe"]), embedding=page["embedding"], run=run)
    except (MemspanError, TypeError) as error:
        raise PretrainedError(f"{folder / CONFIG} cannot be meant: {_short(error)}") from None


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
