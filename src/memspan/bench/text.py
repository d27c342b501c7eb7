"""The character model against plain torch: characters written a second, and a training step of models A to D.

Training packs live in ``training``, a sibling of this room: whoever stands above both hands in their update.
"""

from __future__ import annotations

import dataclasses
import itertools
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from memspan.bench.packs import LOSS_TOLERANCE, Update
from memspan.bench.process import alone
from memspan.bench.sides import TOLERANCE
from memspan.bench.timing import Effort, Side, Timed, Watch, race
from memspan.config import RunConfig
from memspan.errors import MemspanError
from memspan.machine import code_version
from memspan.models.character import CharacterModel, module_name
from memspan.models.sampling import Sampling
from memspan.models.sequence import SequenceModel
from memspan.text.recipe import RECIPE
from memspan.text.task import Text

TEMPERATURES = (0.5, 1.0, 1.5, 2.0)
"""Training temperatures of models A, B, C and D."""
Row = dict[str, Any]


def models(dropout: float = 0.5) -> list[RunConfig]:
    """Return the report's text models A to D."""
    page = dataclasses.replace(RECIPE, dropout=dropout)
    return [RunConfig(Text(), dataclasses.replace(page, temperature=T)) for T in TEMPERATURES]


def writing_row(rows: int, length: int, threads: int, effort: Effort | None = None) -> Row:
    """Return characters written a second by the report's network, sampling included, beside a loop in torch.

    Args:
        rows: texts written at once.
        length: characters of each in our call; torch writes a tenth.
    """
    watch, model, loop = Watch(), *_pair(0.0)
    prompts = [model.vocabulary.decode([row % len(model.vocabulary)]) for row in range(rows)]
    sampling = Sampling(temperature=1.0)
    error = _difference(model, loop, prompts, sampling)
    row = _facts("writing", error, rows=rows, threads=threads)
    if not row["equal"]:
        return row
    modes = range(1, threads + 1)
    sides = [Side("ours", n, lambda: model.generate(prompts, length, sampling)) for n in modes]
    sides += [Side("torch", n, lambda: loop.write(rows, length // 10)) for n in modes]
    timed = race(sides, effort)
    mine, theirs = 1e3 * rows * length / timed["ours"].ms, 1e2 * rows * length / timed["torch"].ms
    rates = {"ours_per_second": round(mine), "peer_per_second": round(theirs), "ratio": mine / theirs}
    return row | rates | _how(timed, watch)


def training_row(
    update_of: Callable[[Sequence[RunConfig], int], Update], threads: int, effort: Effort | None = None
) -> Row:
    """Return milliseconds of one update of models A to D together, beside four ``nn.LSTM`` one by one."""
    watch, plain = Watch(), models(dropout=0.0)
    check, theirs = update_of(plain, threads), [Plain(run) for run in plain]
    error = 0.0
    for t in (1, 2):
        losses = zip((outcome.loss for outcome in check(t)), (one(t) for one in theirs), strict=True)
        error = max(error, *(abs(a - b) for a, b in losses))
    row = _facts("training", error, rows=RECIPE.batch, threads=threads, equal=error <= LOSS_TOLERANCE)
    if not row["equal"]:
        return row
    runs, steps = models(), itertools.count(1)
    update, peers = update_of(runs, threads), [Plain(run) for run in runs]
    sides = [Side("ours", 1, lambda: update(next(steps)))]
    modes = range(1, threads + 1)
    sides += [Side("torch", n, lambda: [one(next(steps)) for one in peers]) for n in modes]
    timed = race(sides, effort)
    mine, other = timed["ours"].ms, timed["torch"].ms
    return row | {"ours_ms": mine, "peer_ms": other, "ratio": other / mine} | _how(timed, watch)


def compiling() -> Row:
    """Return the seconds of a first text, torch imported, with an empty cache and with a filled one."""
    with tempfile.TemporaryDirectory() as cache:
        call = "memspan.bench.text:first_text_seconds"
        cold, cached = (alone(call, MEMSPAN_CACHE_DIR=cache) for _ in range(2))
    return _facts("first text", 0.0) | {"cold_seconds": cold, "cached_seconds": cached}


def first_text_seconds() -> float:
    """Return the seconds this process needs for its first text."""
    import time

    model = _pair(0.0)[0]
    began = time.perf_counter()
    model.generate("The right", 10)
    return round(time.perf_counter() - began, 2)


class Plain:
    """A text model as one would write it in torch: unit vectors, ``nn.LSTM``, a read-out, Adam.

    Args:
        run: its page; the initial weights are the run's own.
    """

    def __init__(self, run: RunConfig) -> None:
        self.run, recipe, K = run, run.recipe, run.task.symbols
        self.network = nn.ModuleDict(
            {
                "recurrent": nn.LSTM(K, recipe.hidden, recipe.layers, dropout=recipe.dropout),
                "read_out": nn.Linear(recipe.hidden, K),
            }
        )
        values = SequenceModel.of(run).initial(run)
        self.network.load_state_dict({module_name(n): torch.from_numpy(v) for n, v in values.items()})
        self.optimizer = torch.optim.Adam(self.network.parameters(), recipe.learning_rate)
        self.state: Any = None

    def energies(self, symbols: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Return energies (T, B, K), divided by the temperature, and the state."""
        x = functional.one_hot(symbols, self.run.task.symbols).float()
        h, state = self.network["recurrent"](x, state)
        return self.network["read_out"](h) / self.run.recipe.temperature, state

    def __call__(self, t: int) -> float:
        """Apply update t and return the loss before it."""
        recipe, task = self.run.recipe, self.run.task
        batch = task.batch(self.run.seed, "train", t - 1, recipe.batch)
        begin = None if batch.resets is not None and batch.resets.any() else self.state
        energies, state = self.energies(torch.from_numpy(batch.inputs), begin)
        if task.carries:
            self.state = tuple(part.detach() for part in state)
        loss = functional.cross_entropy(energies.flatten(0, 1), torch.from_numpy(batch.targets).flatten())
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), recipe.clip)
        rate = recipe.learning_rate * recipe.lr_decay ** ((t - 1) // recipe.lr_decay_steps)
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.step()
        return loss.item()

    @torch.no_grad()
    def write(self, rows: int, length: int) -> Tensor:
        """Write rows of text step by step, each character drawn."""
        symbols, state = torch.arange(rows).remainder(self.run.task.symbols).unsqueeze(0), None
        written = []
        for _ in range(length):
            energies, state = self.energies(symbols, state)
            symbols = torch.multinomial(energies[0].softmax(-1), 1).T
            written.append(symbols)
        return torch.cat(written)


def _pair(dropout: float) -> tuple[CharacterModel, Plain]:
    """Return one network twice, ours and torch's."""
    run = models(dropout)[1]
    plain = Plain(run)
    model = CharacterModel(run.task.vocabulary, run.recipe, run=run).eval()  # type: ignore[attr-defined]
    model.load_state_dict(plain.network.state_dict())
    return model, plain


@torch.no_grad()
def _difference(model: CharacterModel, loop: Plain, prompts: list[str], sampling: Sampling) -> float:
    """Return how far the probabilities told of our texts are from those torch gives the same texts."""
    worst = 0.0
    for one in model.generate(prompts, 50, sampling):
        symbols = torch.from_numpy(model.vocabulary.encode(one.prompt + one.text).astype(np.int64))
        energies = loop.energies(symbols[:-1, None])[0][:, 0].log_softmax(-1)
        told = energies.gather(1, symbols[1:, None])[:, 0].numpy()
        worst = max(worst, float(np.abs(told - one.log_probabilities).max() / np.abs(told).max()))
    return worst


def _facts(what: str, error: float, rows: int = 1, threads: int = 1, equal: bool | None = None) -> Row:
    equal = error <= TOLERANCE if equal is None else equal
    facts = {"what": what, "rows": rows, "threads": threads, "equal": equal, "error": error}
    return facts | {"code": code_version()}


def _how(timed: dict[str, Timed], watch: Watch) -> Row:
    return {
        "ours_threads": timed["ours"].threads, "peer_threads": timed["torch"].threads,
        "calls": min(one.calls for one in timed.values()), "foreign_cores": watch.foreign(),
    }  # fmt: skip


def bench(
    update_of: Callable[[Sequence[RunConfig], int], Update], threads: int, effort: Effort | None = None
) -> list[Row]:
    """Return every row.

    Raises:
        MemspanError: a side failed its check; nothing slow is hidden behind a wrong number.
    """
    single, batch = writing_row(1, 5000, threads, effort), writing_row(64, 1000, threads, effort)
    rows = [single, batch, training_row(update_of, threads, effort), compiling()]
    wrong = [row["what"] for row in rows if not row["equal"]]
    if wrong:
        raise MemspanError(f"{', '.join(wrong)}: our numbers differ from torch's; not timed")
    return rows
