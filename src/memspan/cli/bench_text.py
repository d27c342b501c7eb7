"""``memspan bench text``: writing and learning characters, beside plain torch."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memspan.cli.bench import OUT, update_of
from memspan.errors import ArgumentError

if TYPE_CHECKING:
    from memspan.bench.corpus import Learner
    from memspan.config import RunConfig

SIDES = ("ours", "torch")


@dataclass(frozen=True)
class BenchText:
    """Time writing and training of the report's network against torch, equality first; about a minute.

    With a corpus: train on it for so many minutes a side, and tell nats a character on its last tenth.
    """

    corpus: Path | None = None
    """A text file to learn, in place of the timings."""
    minutes: float = 15.0
    """Minutes a side, compilation and readings included."""
    side: tuple[str, ...] = SIDES
    """Only these sides of --corpus: ours, torch."""
    every: int = 500
    """Updates between two looks at the validation part of --corpus."""
    threads: int | None = None
    """Cores that either side may use; all if not given."""
    quick: bool = False
    """Few repeats: a look."""
    busy: bool = False
    """Measure although other processes use this machine; the rows say how much."""
    out: Path = OUT
    """Folder of text.md and text.json."""
    json: bool = False
    """Print the rows as JSON."""

    def run(self) -> int:
        """Measure, write the page and print the rows."""
        if not self.minutes > 0 or self.every < 1 or not set(self.side) <= set(SIDES):
            raise ArgumentError(
                f"--minutes {self.minutes:g}, --every {self.every}, --side {' '.join(self.side)}: expected a "
                f"positive time, at least 1 update, and sides of {', '.join(SIDES)}"
            )
        from memspan.bench.text_page import read, say, write
        from memspan.bench.timing import refuse_if_busy
        from memspan.machine import cores, machine

        if not self.busy:
            refuse_if_busy()
        threads = self.threads or cores()
        read(self.out)  # refuses before an hour is spent
        rows = self._timings(threads) if self.corpus is None else self._corpus(self.corpus, threads)
        new = {_key(row): row for row in rows}
        write(machine(), list(({_key(row): row for row in read(self.out)} | new).values()), self.out)
        print(json.dumps(rows, indent=1, ensure_ascii=False) if self.json else "\n".join(map(say, rows)))
        return 0

    def _timings(self, threads: int) -> list[dict[str, Any]]:
        from memspan.bench.text import bench
        from memspan.bench.timing import QUICK, keep_memory

        keep_memory()
        return bench(update_of, threads, QUICK if self.quick else None)

    def _corpus(self, corpus: Path, threads: int) -> list[dict[str, Any]]:
        """Train every side on the corpus in turn; readings go to the error stream."""
        import torch

        from memspan.bench.corpus import learn, page, plain

        torch.set_num_threads(threads)
        run, rows = page(corpus, self.minutes), []
        for side in self.side:
            for row in learn(
                ours(run, threads) if side == "ours" else plain(run), run, self.minutes, self.every
            ):
                if row["what"] == "corpus":
                    rows.append(row | {"threads": threads})
                else:
                    print(f"{side} {row['updates']:>7,} updates {row['nats']:.4f} nats", file=sys.stderr)
        return rows


def ours(run: RunConfig, threads: int) -> Learner:
    """Return the code that trains a run as a learner."""
    import torch

    from memspan.bench.corpus import Learner
    from memspan.models.character import CharacterModel, module_name
    from memspan.training.pack import Pack

    pack = Pack([run], threads=threads)
    text: Any = run.task
    model = CharacterModel(text.vocabulary, run.recipe, run=run).eval()

    def network() -> CharacterModel:
        with torch.no_grad():
            model.load_state_dict({module_name(name): p[0] for name, p in pack.parameters.items()})
        return model

    return Learner("memspan", pack.update, network)


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in ("what", "rows", "corpus", "minutes", "side"))
