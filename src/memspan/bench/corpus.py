"""How well a network foretells a corpus after so many minutes: ours and ``nn.LSTM``, one page, one clock."""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from memspan.bench.text import Plain, Row
from memspan.bench.timing import Watch
from memspan.config import Recipe, RunConfig
from memspan.errors import ArgumentError
from memspan.machine import code_version
from memspan.models.character import CharacterModel
from memspan.text.task import Text

LANES = 64
"""Stretches the validation part is cut into while training; at the end it is read as one stream."""
SPARE = 1.25
"""Times the seconds that the last reading should take, kept free for it."""


@dataclasses.dataclass(frozen=True)
class Learner:
    """One side: what applies update t = 1, 2, …, and the network it has become."""

    name: str
    update: Callable[[int], object]
    model: Callable[[], CharacterModel]


def page(corpus: Path, minutes: float) -> RunConfig:
    """Return the run for a corpus and a time: streams with carried state, nine tenths to train on.

    Up to 20 minutes two layers of 256 units, beyond two of 512. On two cores of 2023 the learning rate falls
    about sixfold in the time.
    """
    wide = minutes > 20
    recipe = Recipe(
        layers=2, hidden=512 if wide else 256, biases=2, coding="one_hot", dropout=0.4 if wide else 0.25,
        bias="forget_one", init="torch", optimizer="adam", learning_rate=2e-3 if wide else 3e-3,
        lr_decay=0.8, lr_decay_steps=max(1, round((24 if wide else 80) * minutes)), clip=5.0, batch=64,
        steps=10**6,
    )  # fmt: skip
    text = Text(str(corpus), window=64, reading="streams", validation=0.1)
    return RunConfig(text, recipe)


def learn(learner: Learner, run: RunConfig, minutes: float, every: int) -> Iterator[Row]:
    """Train for so many minutes, the readings included; yield what every reading showed, the last one whole.

    Args:
        every: updates between two readings of the validation part in lanes.
    """
    watch, end = Watch(), time.monotonic() + 60 * minutes
    part = run.task.part("validation")  # type: ignore[attr-defined]
    best, kept, best_at, t = math.inf, None, 0, 0
    spare = math.inf
    while kept is None or time.monotonic() + spare < end:
        t += 1
        learner.update(t)
        if t % every == 0:
            model = learner.model()
            if spare == math.inf:
                spare = SPARE * _seconds_of(model, part)
            nats = lanes(model, part)
            if nats < best:
                best, kept, best_at = nats, copy.deepcopy(model), t
            yield {"what": "reading", "updates": t, "nats": nats}
    size = len(run.task.part("train"))  # type: ignore[attr-defined]
    recipe, name = run.recipe, Path(run.task.corpus).name  # type: ignore[attr-defined]
    yield {
        "what": "corpus", "equal": True, "corpus": name, "minutes": minutes,
        "side": learner.name, "nats": float(-kept.read(part).log_probability.mean()), "nats_in_lanes": best,
        "updates": t, "best": best_at, "epochs": t * recipe.batch * run.task.steps / size,
        "config": f"{recipe.layers}×{recipe.hidden} {recipe.cell}, dropout {recipe.dropout}",
        "page": run.flat() | {"corpus": name}, "foreign_cores": watch.foreign(), "code": code_version(),
    }  # fmt: skip


def lanes(model: CharacterModel, part: np.ndarray) -> float:
    """Return nats a character of a text cut into lanes, each begun with nothing read: a little too high."""
    length = len(part) // LANES
    if length < 2:
        raise ArgumentError(
            f"a validation part of {len(part)} characters has no {LANES} lanes; take more text"
        )
    side_by_side = part[: LANES * length].reshape(LANES, length).T
    return float(-model.read(side_by_side).log_probability.mean())


def _seconds_of(model: CharacterModel, part: np.ndarray) -> float:
    """Return how long reading a text as one stream should take, from a piece of it."""
    piece = part[:1000]
    model.read(piece)
    began = time.monotonic()
    model.read(piece)
    return (time.monotonic() - began) * len(part) / len(piece)


def plain(run: RunConfig) -> Learner:
    """Return ``nn.LSTM`` as a learner; its network is read by our kernel, as ours is."""
    side = Plain(run)
    text: Any = run.task
    model = CharacterModel(text.vocabulary, run.recipe, run=run).eval()

    def network() -> CharacterModel:
        model.load_state_dict(side.network.state_dict())
        return model

    return Learner("nn.LSTM", side, network)
