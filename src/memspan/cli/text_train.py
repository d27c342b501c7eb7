"""``memspan text train``: a character model, its samples on the console while it learns."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tyro

from memspan.cli.bounds import MOST_PROCESSES, check_memory
from memspan.cli.options import SweepOptions
from memspan.cli.text_evaluate import numbers_of
from memspan.cli.text_model import remember
from memspan.cli.text_watch import EnoughError, Watched
from memspan.cli.train import open_ledger
from memspan.config import Recipe, RunConfig
from memspan.errors import ArgumentError, MemspanError
from memspan.text import Text
from memspan.text.recipe import RECIPE
from memspan.text.task import Part

if TYPE_CHECKING:
    from memspan.ledger import Ledger
    from memspan.models.character import CharacterModel


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
        self._check()
        run = RunConfig(self.text, self.recipe, self.seed)
        check_memory([run])
        with open_ledger(SweepOptions(out=self.out)) as ledger:
            model = self._trained(run, ledger)
        model.save_pretrained(self.out)
        remember(self.out)
        self._tell(model)
        return 0

    def _check(self) -> None:
        """Refuse at once what would fail after hours, or after something was written."""
        if self.patience < 0 or (self.patience and not self.text.validation):
            raise ArgumentError(
                f"--patience {self.patience}: expected 0, or a number of evaluations beside --validation"
            )
        if (self.recipe.coding, self.recipe.time_input) != ("one_hot", "none"):
            raise ArgumentError(
                "a character model reads one-hot characters and no times; leave out --coding and --time-input"
            )
        if self.threads is not None and not 1 <= self.threads <= MOST_PROCESSES:
            raise ArgumentError(f"--threads {self.threads}: expected at least 1, at most {MOST_PROCESSES:,}")
        self.text.batch(self.seed, "train", 0, self.recipe.batch)  # a text that is too short

    def _trained(self, run: RunConfig, ledger: Ledger) -> CharacterModel:
        """Train what the ledger does not hold; return the best on the validation part, else the last."""
        from memspan.machine import cores
        from memspan.models.character import CharacterModel
        from memspan.sweep.here import InThisProcess
        from memspan.sweep.run import sweep

        engine = InThisProcess(self.threads or cores(), self.kernel)
        watched = Watched(run, self.text, self.out / "best", self.patience)
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
