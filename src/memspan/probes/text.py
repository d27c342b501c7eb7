"""What a trained character model writes, foretells and rests on."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from memspan.config import RunConfig
from memspan.models.character import CharacterModel
from memspan.models.generation import SENTENCE_ENDS
from memspan.models.sampling import Sampling
from memspan.streams import stream
from memspan.text import Text, load_corpus, measures
from memspan.text.overlap import Overlap
from memspan.text.task import EVALUATED

PROMPTS = {
    "bill_of_rights": ("The right of the people", "No person shall be"),
    "stdlib": ("def __init__(self", "    return self."),
}
"""Long prompts for each corpus of the study; the first two are the report's."""
SAMPLE, LONG = 30, 400
"""Generated characters of a sample in the report, and of a long one."""
AT_LEAST = 210
"""Characters of a completion before it may end at the next end of a sentence."""
WINDOWS = 2048
"""Windows from which accuracy by position is taken, at most."""
TEMPERATURES = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
"""Temperatures a model is sampled at."""
SAMPLES, LENGTH = 64, 200
"""Samples at each temperature, and characters of one."""
DELETED = (1, 8, 16, 32, 64)
"""Units of a layer that are deleted together."""
DRAWS = 5
"""Draws of which units they are."""


def of_run(run: RunConfig, state: bytes) -> dict[str, Any]:
    """Return what a model writes greedily, how well it foretells its corpus, and the scale of its logits.

    Returns:
        ``samples``: 30 characters after each character of the vocabulary, in its order, and ``completions``
        after the corpus's prompts, with their measures (``dictionary_share`` …); ``bits_per_character`` and
        ``accuracy`` over the whole training part as one stream, ``held_out_bits`` over the validation part;
        ``accuracy_by_position`` in a window; ``raw_logit_std`` and ``logit_std``, the spread of the energies
        over the vocabulary before and after the division by the temperature. None where there is no number.
    """
    model, task = CharacterModel.of_state(run, state), _text(run)
    return _written(model, task) | _foretold(model, task) | _scale(model, task)


def sampling(run: RunConfig, state: bytes) -> dict[str, Any]:
    """Return lists over ``TEMPERATURES``: measures of a model's samples at each temperature of sampling."""
    model, task = CharacterModel.of_state(run, state), _text(run)
    known, overlap = _known(task.corpus, task.unit, task.sha256)
    found: dict[str, list[Any]] = {}
    for temperature in TEMPERATURES:
        made = model.generate(
            ["T"] * SAMPLES, LENGTH, Sampling(temperature=temperature, seed=SAMPLES * run.seed)
        )
        texts = [each.text for each in made]
        surprise = np.concatenate([each.log_probabilities for each in made])
        numbers = {
            "dictionary_share": measures.dictionary_share(texts, known),
            "distinct_2": measures.distinct([measures.words(each) for each in texts], 2),
            "bits": measures.bits_per_character(surprise),
            "novelty_10": float(np.mean([overlap.novelty(each, 10) for each in texts])),
        }
        for name, number in _told(numbers).items():
            found.setdefault(name, []).append(number)
    return {f"sampled_{name}": numbers for name, numbers in found.items()} | {
        "sampled_at": list(TEMPERATURES)
    }


def units(run: RunConfig, state: bytes) -> dict[str, Any]:
    """Return lists over ``DELETED``: accuracy with so many units of one layer deleted, mean over draws.

    A deleted unit's output is 0 for everyone who reads it: the layer itself, the next one, the read-out.
    """
    model, symbols = CharacterModel.of_state(run, state), _text(run).part("train")[: EVALUATED + 1]
    found: dict[str, Any] = {"deleted": list(DELETED), "accuracy_whole": _accuracy(model, symbols)}
    for layer in range(run.recipe.layers):
        found[f"accuracy_without_{layer + 1}"] = [
            float(
                np.mean(
                    [_accuracy(_without(model, layer, k, run.seed, draw), symbols) for draw in range(DRAWS)]
                )
            )
            for k in DELETED
        ]
    return found


def _text(run: RunConfig) -> Text:
    task = run.task
    assert isinstance(task, Text), f"run {run.id} is trained on {task.name}, not on text"
    return task


@functools.lru_cache(maxsize=4)
def _known(corpus: str, unit: str, sha256: str) -> tuple[frozenset[str], Overlap]:
    text = load_corpus(corpus, unit).text  # type: ignore[arg-type]
    return measures.dictionary(text), Overlap(text)


def _written(model: CharacterModel, task: Text) -> dict[str, Any]:
    known, overlap = _known(task.corpus, task.unit, task.sha256)
    starts = [model.vocabulary.decode([k]) for k in range(len(model.vocabulary))]
    long = [made.text for made in model.generate(starts, LONG, Sampling())]
    samples = [text[:SAMPLE] for text in long]
    prompts = PROMPTS.get(task.corpus, ())
    ended = (
        model.generate(prompts, LONG, Sampling(), stop=SENTENCE_ENDS, at_least=AT_LEAST) if prompts else []
    )
    completions = {made.prompt: made.text for made in ended}
    whole = [prompt + text for prompt, text in completions.items()]
    shown = [start + text for start, text in zip(starts, samples, strict=True)]
    numbers = {
        "dictionary_share": measures.dictionary_share(shown, known),
        "distinct_2": measures.distinct([measures.words(text) for text in shown], 2),
        "repetition_4": float(np.nanmean([measures.repetition(text, 4) for text in shown])),
        "loops": float(np.mean([measures.has_loop(measures.words(text)) for text in shown])),
        "long_loops": float(np.mean([measures.has_loop(measures.words(text)) for text in long])),
        "identical": measures.identical_share(samples),
        "newlines": measures.newlines_per_100(shown),
        "newlines_inside": measures.newlines_inside_words(shown, known),
        "novelty_10": float(np.mean([overlap.novelty(text, 10) for text in shown])),
        "overlap": max((len(overlap.longest_match(text)) for text in whole), default=0),
    }
    return _told(numbers) | {"samples": samples, "starts": starts, "completions": completions}


def _foretold(model: CharacterModel, task: Text) -> dict[str, Any]:
    reading = model.read(task.part("train")[: EVALUATED + 1])
    windows = _windows(task)
    numbers = {
        "bits_per_character": measures.bits_per_character(reading.log_probability),
        "stream_accuracy": float(reading.correct.mean()),
    }
    if task.validation:
        held_out = model.read(task.part("validation")[: EVALUATED + 1])
        numbers["held_out_bits"] = measures.bits_per_character(held_out.log_probability)
    by_position = measures.accuracy_by_position(model.read(windows).correct)
    return _told(numbers) | {"accuracy_by_position": [round(float(share), 4) for share in by_position]}


def _windows(task: Text) -> np.ndarray:
    """Return windows of the training part with the character after each, (T + 1, B): evenly spread."""
    data = task.part("train")
    starts = np.unique(np.linspace(0, len(data) - task.window - 1, WINDOWS).astype(np.int64))
    return data[starts + np.arange(task.window + 1)[:, None]]


def _scale(model: CharacterModel, task: Text) -> dict[str, Any]:
    spread = float(model.logits(task.part("train")[:3000]).std(axis=-1).mean())
    return {"raw_logit_std": spread, "logit_std": spread / model.temperature}


def _accuracy(model: CharacterModel, symbols: np.ndarray) -> float:
    return float(model.read(symbols).correct.mean())


def _without(model: CharacterModel, layer: int, k: int, seed: int, draw: int) -> CharacterModel:
    """Return the model with k random units of a layer deleted, the same ones in every model of a seed."""
    changed = copy.deepcopy(model)
    weights = changed.state_dict()
    readers = (f"recurrent.weight_hh_l{layer}", f"recurrent.weight_ih_l{layer + 1}")
    if layer + 1 == model.recipe.layers:
        readers = (readers[0], "read_out.weight")
    gone = stream(seed, f"deleted units of layer {layer}", draw).permutation(model.recipe.hidden)[:k].copy()
    for name in readers:
        weights[name][:, gone] = 0  # the model's own memory
    return changed


def _told(numbers: Mapping[str, float]) -> dict[str, float | None]:
    """Return the numbers with None in the place of NaN, which JSON does not have."""
    return {name: None if math.isnan(number) else number for name, number in numbers.items()}
