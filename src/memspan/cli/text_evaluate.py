"""``memspan text evaluate``: how well a model foretells a text."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import tyro

from memspan.cli.text_model import ModelOptions
from memspan.errors import ArgumentError
from memspan.text import Text, measures
from memspan.text.corpus import read_sources

if TYPE_CHECKING:
    from memspan.models.character import CharacterModel


@dataclass(frozen=True)
class TextEvaluate:
    """Read a text as one stream, the state carried, and say how well each character was foretold."""

    options: tyro.conf.OmitArgPrefixes[ModelOptions] = field(default_factory=ModelOptions)
    corpus: str | None = None
    """bill_of_rights, stdlib, a file or a folder; the corpus the model was trained on if not given."""
    part: Literal["train", "validation", "test", "all"] | None = None
    """Of the training corpus; the validation part if not given, all of it if there is none."""
    unknown: Literal["error", "skip"] = "error"
    """What to do with characters that the model does not know."""
    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        """Print bits and nats a character, accuracy, and how many characters were foretold."""
        model = self.options.load()
        numbers = numbers_of(model, self._symbols(model))
        if self.json:
            print(json.dumps(numbers))
        else:
            print("\n".join(f"{name:14} {value:.6g}" for name, value in numbers.items()))
        return 0

    def _symbols(self, model: CharacterModel) -> np.ndarray:
        task = model.run.task if model.run is not None else None
        if self.corpus is None and isinstance(task, Text):
            return task.part(self.part or ("validation" if task.validation else "all"))
        if self.corpus is None:
            raise ArgumentError("this model does not say what it was trained on; name a text with --corpus")
        if self.part not in (None, "all"):
            raise ArgumentError(f"--part {self.part} is of the training corpus; leave out --corpus or --part")
        sources = read_sources(self.corpus)
        parts = [model.vocabulary.encode(source.content, self.unknown) for source in sources]
        return np.concatenate(parts)


def numbers_of(model: CharacterModel, symbols: np.ndarray) -> dict[str, float]:
    """Return what ``evaluate`` prints of a text (N,).

    Raises:
        ArgumentError: fewer than two characters, so that none is foretold.
    """
    if len(symbols) < 2:
        raise ArgumentError(
            f"a text of {len(symbols)} characters foretells nothing; expected at least 2 that the model knows"
        )
    reading = model.read(symbols)
    return {
        "bits_per_char": measures.bits_per_character(reading.log_probability),
        "nats_per_char": float(-reading.log_probability.mean()),
        "accuracy": float(reading.correct.mean()),
        "characters": len(reading.correct),
    }
