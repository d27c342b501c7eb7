"""A model as a folder: ``config.json`` with its vocabulary, ``model.safetensors`` with its weights.

No pickle. The header of the weights holds the hash of the config they were saved with: an edited config, or
files of two models in one folder, are refused. Anybody may have written the folder: nothing is imported for
it, no path in it is opened, and nothing is allocated before the two files fit each other.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from huggingface_hub import ModelHubMixin, snapshot_download
from safetensors.torch import save
from torch import Tensor

from memspan.config import Recipe, RunConfig
from memspan.errors import ArgumentError, UntrustedNameError, shown
from memspan.machine import code_version
from memspan.models.form import Form
from memspan.models.weights import check_dtypes, read_weights
from memspan.text.vocabulary import Vocabulary
from memspan.untrusted import read_json, read_text

CONFIG, WEIGHTS = "config.json", "model.safetensors"
FORMAT, KIND = 1, "memspan.CharacterModel"
FIELDS = ("format", "kind", "code_version", "vocabulary", "recipe", "embedding", "run")
LONGEST = 32 << 20
"""Bytes of a config: a vocabulary of every character of Unicode takes 13 million."""
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

        Raises:
            ArgumentError: weights that are not float32, which nobody could load.
        """
        folder = Path(save_directory)
        about = _config(self)  # type: ignore[arg-type]
        page = json.dumps(about, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        told = {"format": FORMAT, "kind": KIND, "config_sha256": _hash(page)}
        state: dict[str, Tensor] = self.state_dict()  # type: ignore[attr-defined]
        check_dtypes(state)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: value.contiguous().cpu() for name, value in state.items()}
        _write(folder / WEIGHTS, save(tensors, metadata={"memspan": json.dumps(told, sort_keys=True)}))
        _write(folder / CONFIG, page.encode())

    @classmethod
    def from_pretrained(
        cls: type[Model],
        pretrained_model_name_or_path: str | Path,
        *,
        trust: Collection[str] = (),
        **hub: Any,
    ) -> Model:
        """Return the model of a folder, or of a repository of the Hub where there is no such folder.

        Args:
            pretrained_model_name_or_path: a folder, or ``owner/name`` on the Hub.
            trust: import paths of cells and tasks of your own (``"package.module:Class"``) that the model may
                name; to load it then runs their code. Registered names need none.
            hub: keywords of ``huggingface_hub.snapshot_download``: revision, token, cache_dir, …

        Raises:
            PretrainedError: files missing, foreign, edited, damaged, of two models, or of a newer format;
                sizes in the config that the weights do not have.
            UntrustedNameError: the config names a cell or a task by another import path.
        """
        folder = _folder(pretrained_model_name_or_path, hub)
        text = _read(folder / CONFIG)
        page = _page(folder / CONFIG, text)
        parts = _parts(folder / CONFIG, page, trust)
        told = {"kind": KIND, "format": FORMAT, "config_sha256": _hash(text)}
        try:
            tensors = read_weights(folder / WEIGHTS, told, *parts[:3])
            model: Any = cls(parts.vocabulary, parts.recipe, embedding=parts.embedding, run=parts.run)
        except FileNotFoundError:
            raise _missing(folder / WEIGHTS) from None
        except (ArgumentError, OSError) as error:
            raise PretrainedError(_short(error)) from None
        model.load_state_dict(tensors)
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


def _missing(path: Path) -> PretrainedError:
    return PretrainedError(f"{path.parent} holds no {path.name}; expected {CONFIG} and {WEIGHTS}")


def _read(path: Path) -> str:
    try:
        return read_text(path, LONGEST)
    except FileNotFoundError:
        raise _missing(path) from None
    except (ArgumentError, OSError) as error:
        raise PretrainedError(_short(error)) from None


def _page(path: Path, text: str) -> dict[str, Any]:
    """Return the fields of a config of this format."""
    try:
        page = read_json(text, str(path))
    except ArgumentError as error:
        raise PretrainedError(_short(error)) from None
    if not isinstance(page, dict) or page.get("kind") != KIND:
        raise PretrainedError(f"{path} is not the config of a {KIND}")
    if type(page.get("format")) is not int or page["format"] != FORMAT:
        raise PretrainedError(
            f"{path} is of format {shown(page.get('format'))}; this version of memspan reads format {FORMAT}:"
            " update memspan"
        )
    if set(page) != set(FIELDS):
        names = ", ".join(map(shown, sorted(page)[:20]))
        raise PretrainedError(f"{path} has the fields {names}; expected {', '.join(sorted(FIELDS))}")
    return page


class _Parts(NamedTuple):
    """What a config describes."""

    recipe: Recipe
    symbols: int
    embedding: int
    vocabulary: Vocabulary
    run: RunConfig | None


def _parts(path: Path, page: Mapping[str, Any], trust: Collection[str]) -> _Parts:
    """Return what a page describes; sizes are as it says, and not yet believed."""
    embedding = page["embedding"]
    try:
        vocabulary = Vocabulary.from_json(page["vocabulary"])
        recipe = Recipe.from_stored(page["recipe"], trust)
        run = None if page["run"] is None else RunConfig.from_stored(page["run"], trust)
    except UntrustedNameError:
        raise
    except ArgumentError as error:
        raise PretrainedError(f"{path}: {_short(error)}") from None
    if type(embedding) is not int or embedding < 0:
        raise PretrainedError(f"{path}: embedding {shown(embedding)}; expected a whole number of at least 0")
    return _Parts(recipe, len(vocabulary), embedding, vocabulary, run)


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
