"""``memspan text train``: a character model, its samples on the console while it learns."""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import tyro

from memspan.cli.options import SweepOptions
from memspan.cli.text_model import remember
from memspan.cli.train import open_ledger
from memspan.config import Recipe, RunConfig
from memspan.errors import ArgumentError, MemspanError
from memspan.streams import stream
from memspan.text import Text
from memspan.text.recipe import RECIPE
from memspan.text.task import Part

if TYPE_CHECKING:
    from memspan.ledger import Ledger
    from memspan.ledger.events import Event
    from memspan.models.character import CharacterModel
    from memspan.training.train import Training

MARKS, EVERY = (1, 100, 200, 300, 400), 500
"""Steps at which a sample is shown, as in the report's Table 2, and the distance of those after them."""
SAMPLE = 30


@dataclass(frozen=True)
class TextTrain:
    """Train a character model, in the report's recipe unless told otherwise; the same command goes on."""

    text: tyro.conf.OmitArgPrefixes[Text] = field(default_factory=lambda: _unpinned())
    recipe: tyro.conf.OmitArgPrefixes[Recipe] = RECIPE
    seed: int = 0
    """Names the initial weights, the batches and the dropout."""
    out: Path = Path("out/text")
    """Folder of the model, and of the ledger that keeps its run."""
    patience: int = 0
    """End after so many evaluations without a new best on the validation part; 0 goes to the end."""
    threads: int | None = None
    """Kernel threads; one a core if not given."""
    kernel: Literal["auto", "reference", "cpu"] = "auto"
    """How cells are unrolled over time."""
    json: bool = False
    """Print the results as JSON."""

    def run(self) -> int:
        """Train, write the model and print where it is and how well it foretells."""
        if self.patience < 0 or (self.patience and not self.text.validation):
            raise ArgumentError(
                f"--patience {self.patience}: expected 0, or a number of evaluations beside --validation"
            )
        run = RunConfig(self.text, self.recipe, self.seed)
        self.text.batch(self.seed, "train", 0, self.recipe.batch)  # too short a text is refused at once
        with open_ledger(SweepOptions(out=self.out)) as ledger:
            model = self._trained(run, ledger)
        model.save_pretrained(self.out)
        remember(self.out)
        self._tell(model)
        return 0

    def _trained(self, run: RunConfig, ledger: Ledger) -> CharacterModel:
        """Train what the ledger does not hold; return the best model on the validation part, else the"
        " last."""
        from memspan.machine import cores
        from memspan.models.character import CharacterModel
        from memspan.sweep.here import InThisProcess
        from memspan.sweep.run import sweep

        engine = InThisProcess(self.threads or cores(), self.kernel)
        watched = _Watched(run, self.text, self.out, self.patience)
        with contextlib.suppress(EnoughError):
            sweep([run], ledger, engine, lambda event: watched(event, engine.training))
        state, best = ledger.final_state(run.id), watched.best()
        if best is not None:
            if state is not None:
                CharacterModel.of_state(run, state).save_pretrained(self.out / "last")
            return best
        if state is None:
            record = ledger.get(run.id)
            reason = record.reason if record else ""
            raise MemspanError(
                f"there is no model to keep: {reason or 'the run was imported without its state'}"
            )
        return CharacterModel.of_state(run, state)

    def _tell(self, model: CharacterModel) -> None:
        from memspan.cli.text_evaluate import numbers_of

        part: Part = "validation" if self.text.validation else "train"
        numbers = {"model": str(self.out), "part": part} | numbers_of(model, self.text.part(part))
        if self.json:
            print(json.dumps(numbers))
        else:
            print(f"{self.out}: {numbers['bits_per_char']:.3f} bits a character, ", end="")
            print(f"{numbers['accuracy']:.1%} foretold ({part} part, {numbers['characters']:,} characters)")


def _unpinned() -> Text:
    """Return the default text without its hash: on the command line another corpus may take its place."""
    text = Text()
    object.__setattr__(text, "sha256", "")
    return text


class EnoughError(Exception):
    """Training ends early: the validation part has seen nothing better for a while."""


class _Watched:
    """Looks at a network while it learns: shows samples, keeps the best, ends what gets no better."""

    def __init__(self, run: RunConfig, text: Text, out: Path, patience: int) -> None:
        self.run, self.text, self.folder, self.patience = run, text, out / "best", patience
        self.talks = sys.stderr.isatty()

    def __call__(self, event: Event, training: Training | None) -> None:
        """Hear of an event; the network is just after its step."""
        from memspan.ledger.events import Finished, Progress

        if training is None or not isinstance(event, Progress | Finished):
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
        model = CharacterModel.from_pretrained(self.folder)
        return model if model.run == self.run else None


def _network(training: Training) -> CharacterModel:
    """Return the network as it is now."""
    from memspan.models.character import CharacterModel
    from memspan.training.state import pack_state

    state = pack_state(training.pack, 0, training.histories[0], training.step)
    return CharacterModel.of_state(training.pack.runs[0], state)
