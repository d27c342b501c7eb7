"""What ``memspan text train`` does between two steps."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from memspan.config import RunConfig
from memspan.ledger.events import Checkpoint, Event, Progress
from memspan.streams import stream
from memspan.text import Text

if TYPE_CHECKING:
    from memspan.models.character import CharacterModel
    from memspan.training.train import Training

MARKS, EVERY = (1, 100, 200, 300, 400), 500
"""Steps at which a sample is shown, as in the report's Table 2, and the distance of those after them."""
SAMPLE = 30


class EnoughError(Exception):
    """Training ends early: the validation part has seen nothing better for a while."""


class Watched:
    """Looks at a network while it learns: shows samples, keeps the best, ends what gets no better.

    Args:
        run: what is trained, on the text.
        folder: where the best network is kept.
        patience: evaluations without a new best after which training ends; 0 for none.
    """

    def __init__(self, run: RunConfig, text: Text, folder: Path, patience: int) -> None:
        self.run, self.text, self.folder, self.patience = run, text, folder, patience
        self.talks = sys.stderr.isatty()

    def __call__(self, event: Event, training: Training | None) -> None:
        """Hear of an event; the network is just after its step."""
        if training is None or not isinstance(event, Progress | Checkpoint):  # a step has one of the two
            return
        if self.talks and (event.step in MARKS or event.step % EVERY == 0):
            self._show(training)
        if self.text.validation and event.step % self.run.recipe.evaluate_every == 0:
            self._judge(training)

    def _show(self, training: Training) -> None:
        """Print step, batch accuracy and a greedy sample after a random character."""
        model = _network(training)
        start = stream(self.run.seed, "sample while training", training.step).integers(len(model.vocabulary))
        first = model.vocabulary.decode([int(start)])
        sample = (first + model.generate(first, SAMPLE).text).replace("\n", "↵")
        accuracy = training.histories[0].until("batch_accuracy", training.step)[-20:].mean()
        print(f"{training.step:>6}  {accuracy:>6.1%}  {sample}", file=sys.stderr)

    def _judge(self, training: Training) -> None:
        """Keep the network if it is the best so far on the validation part."""
        bits = training.histories[0].until("bits_per_character", training.step)
        since = len(bits) - 1 - int(np.argmin(bits))
        if since == 0:
            _network(training).save_pretrained(self.folder)
        elif 0 < self.patience <= since:
            raise EnoughError

    def best(self) -> CharacterModel | None:
        """Return the best network on the validation part, None without one."""
        from memspan.models.character import CharacterModel

        if not (self.text.validation and self.folder.is_dir()):
            return None
        model = CharacterModel.from_pretrained(self.folder, trust=[self.run.recipe.cell])  # typed by a person
        return model if model.run == self.run else None


def _network(training: Training) -> CharacterModel:
    """Return the network as it is now."""
    from memspan.models.character import CharacterModel
    from memspan.training.state import pack_state

    state = pack_state(training.pack, 0, training.histories[0], training.step)
    return CharacterModel.of_state(training.pack.runs[0], state)
