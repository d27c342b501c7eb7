"""``memspan text sample`` and ``memspan text complete``: a model writes."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import tyro

from memspan.cli.text_model import ModelOptions
from memspan.errors import ArgumentError
from memspan.streams import stream

if TYPE_CHECKING:
    from memspan.models.character import CharacterModel
    from memspan.models.sampling import Sampling


@dataclass(frozen=True)
class WritingOptions:
    """How characters are chosen."""

    top_k: int = 0
    """Choose among the k most probable characters; 0 for all."""
    top_p: float = 1.0
    """Choose among the most probable characters that have this probability together."""
    min_p: float = 0.0
    """Choose among characters at least so probable as this part of the most probable one."""
    seed: int = 0
    """Names the random numbers; the i-th text has seed + i, whatever stands beside it."""
    stop: tuple[str, ...] = ()
    """Strings of which the first to be written ends a text."""
    unknown: Literal["error", "skip"] = "error"
    """What to do with characters of a prompt that the model does not know."""
    json: bool = False
    """Print a JSON list: prompt, text, bits a character."""

    def sampling(self, temperature: float) -> Sampling:
        """Return the page the model samples by."""
        from memspan.models.sampling import Sampling

        return Sampling(temperature, self.top_k, self.top_p, self.min_p, self.seed)


@dataclass(frozen=True)
class TextSample:
    """Write texts, each from a prompt or from a random character of the vocabulary."""

    options: tyro.conf.OmitArgPrefixes[ModelOptions] = field(default_factory=ModelOptions)
    prompt: str = ""
    """What every text begins with."""
    number: int = 1
    """Texts to write."""
    length: int = 200
    """Characters to write, the prompt not counted."""
    temperature: float = 1.0
    """Divides the logits, beside the temperature of training; 0 takes the most probable character."""
    writing: tyro.conf.OmitArgPrefixes[WritingOptions] = field(default_factory=WritingOptions)

    def run(self) -> int:
        """Print the texts, an empty line between two."""
        model = self.options.load()
        if self.number < 1:
            raise ArgumentError(f"--number {self.number}: expected at least 1")
        prompts = [self.prompt or _random_start(model, self.writing.seed + i) for i in range(self.number)]
        return _write(model, prompts, self.length, self.temperature, self.writing, stop=self.writing.stop)


@dataclass(frozen=True)
class TextComplete:
    """Go on with prompts until their sentences end; greedily, unless a temperature is given."""

    prompts: tyro.conf.Positional[tuple[str, ...]]
    """What to go on with; several are completed side by side."""
    options: tyro.conf.OmitArgPrefixes[ModelOptions] = field(default_factory=ModelOptions)
    length: int = 400
    """Characters to write at most."""
    at_least: int = 0
    """Characters before a text may end."""
    sentence: bool = True
    """End with the sentence, at the first . ; ! or ?"""
    temperature: float = 0.0
    """Divides the logits, beside the temperature of training; 0 takes the most probable character."""
    writing: tyro.conf.OmitArgPrefixes[WritingOptions] = field(default_factory=WritingOptions)

    def run(self) -> int:
        """Print the completed texts, an empty line between two."""
        from memspan.models.generation import SENTENCE_ENDS

        if not self.prompts:
            raise ArgumentError('complete needs a prompt, for instance "The right of the people"')
        stop = (*self.writing.stop, *(SENTENCE_ENDS if self.sentence else ()))
        return _write(
            self.options.load(),
            self.prompts,
            self.length,
            self.temperature,
            self.writing,
            stop,
            self.at_least,
        )


def _random_start(model: CharacterModel, seed: int) -> str:
    return model.vocabulary.decode([int(stream(seed, "start of a sample").integers(len(model.vocabulary)))])


def _write(
    model: CharacterModel,
    prompts: Sequence[str],
    length: int,
    temperature: float,
    writing: WritingOptions,
    stop: Sequence[str],
    at_least: int = 0,
) -> int:
    """Print prompts and what the model writes after them; a single one while it is being written."""
    if length < 0 or at_least < 0:
        raise ArgumentError(f"--length {length}, --at-least {at_least}: expected 0 or more characters")
    how: dict[str, Any] = {"stop": stop, "at_least": at_least, "unknown": writing.unknown}
    sampling = writing.sampling(temperature)
    if len(prompts) == 1 and not writing.json:
        pieces = model.stream(prompts[0], length, sampling, **how)
        first = next(pieces, "")  # a prompt that is refused prints nothing
        for piece in (prompts[0], first, *pieces, "\n"):
            print(piece, end="", flush=True)
        return 0
    made = model.generate(prompts, length, sampling, **how)
    if writing.json:
        rows = [
            {
                "prompt": m.prompt,
                "text": m.text,
                "bits_per_char": float(m.surprisal.mean()) if len(m.text) else None,
            }
            for m in made
        ]
        print(json.dumps(rows, ensure_ascii=False, indent=2))
    else:
        sys.stdout.write("\n\n".join(m.prompt + m.text for m in made) + "\n")
    return 0
