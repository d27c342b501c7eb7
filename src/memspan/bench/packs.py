"""A pack of eight LSTMs in training against eight ``nn.LSTM`` trained one after the other.

Packs live in ``training``, a sibling of this room, and siblings do not import each other. So whoever stands
above both hands the pack's own update in, and what is timed is the code that trains, not a copy of it.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from memspan.bench.kernels import best_ceiling
from memspan.bench.points import Point
from memspan.bench.process import alone
from memspan.bench.timing import Effort, Side, Watch, race
from memspan.config import Recipe, RunConfig
from memspan.errors import MemspanError
from memspan.models.sequence import READ_OUT, SequenceModel
from memspan.streams import stream
from memspan.tasks.palindrome import Palindrome

Update = Callable[[int], Sequence[Any]]
LOSS_TOLERANCE = 1e-3
PACK = Effort(15.0, 5, 25)


def runs(replicas: int = 8, length: int = 101) -> list[RunConfig]:
    """Return the report's LSTM on palindromes of T + 1 = 101 digits, a run for every seed."""
    return [RunConfig(Palindrome(length), Recipe(cell="lstm"), seed) for seed in range(replicas)]


def pack_row(
    configs: Sequence[RunConfig], update_of: Callable[[Sequence[RunConfig], int], Update],
    threads: int, effort: Effort = PACK,
) -> dict[str, Any]:  # fmt: skip
    """Return milliseconds of one update of all replicas, read-out, clipping and RMSProp included.

    Args:
        configs: the replicas.
        update_of: (configs, threads) → what applies update number t to them and returns their outcomes.
        threads: cores for either side; torch takes the better of 1 … threads.
        effort: see ``race``.
    """
    watch = Watch()
    _check(update_of(configs, threads), InARow(configs))
    steps = itertools.count(1)
    update, plain = update_of(configs, threads), InARow(configs)
    sides = [Side("ours", 1, lambda: update(next(steps)))]
    sides += [Side("plain", n, lambda: plain(next(steps))) for n in range(1, threads + 1)]
    timed = race(sides, effort)
    mine, theirs = timed["ours"].ms, timed["plain"].ms
    shape = len(configs), configs[0].task.length  # type: ignore[attr-defined]
    gflops, top = _point(configs, threads).operations() / mine / 1e6, best_ceiling(threads)
    fresh = alone("memspan.bench.packs:as_it_comes", *shape, threads, dataclasses.astuple(effort))
    return {
        "replicas": len(configs), "threads": threads, "ours_ms": round(mine, 2), "peer_ms": round(theirs, 2),
        "ratio": round(theirs / mine, 2), "peer_threads": timed["plain"].threads, "equal": True,
        "fresh_ms": round(fresh, 2), "fresh_ratio": round(fresh / mine, 2),
        "gflops": gflops, "ceiling_gflops": top, "ceiling_fraction": gflops / top,
        "foreign_cores": watch.foreign(),
    }  # fmt: skip


def _point(configs: Sequence[RunConfig], threads: int) -> Point:
    """Return the point whose products the runs' updates are."""
    task, recipe = configs[0].task, configs[0].recipe
    return Point("lstm", T=task.steps, B=recipe.batch, H=recipe.hidden, R=len(configs), threads=threads)


def as_it_comes(replicas: int, length: int, threads: int, effort: Sequence[Any]) -> float:
    """Return the milliseconds of torch's side in a process whose memory is as it comes."""
    steps, plain = itertools.count(1), InARow(runs(replicas, length))
    sides = [Side("plain", n, lambda: plain(next(steps))) for n in range(1, threads + 1)]
    return race(sides, Effort(*effort))["plain"].ms


def _check(update: Update, plain: InARow) -> None:
    """Compare both sides' losses before two updates.

    Raises:
        MemspanError: they differ; nothing is timed then.
    """
    for t in (1, 2):
        mine, theirs = [outcome.loss for outcome in update(t)], plain(t)
        worst = max(abs(a - b) for a, b in zip(mine, theirs, strict=True))
        if not worst <= LOSS_TOLERANCE:
            raise MemspanError(
                f"the pack's losses differ from torch's by {worst:.1e} at update {t}; not timed"
            )


class InARow:
    """The runs as one would write them in torch: a layer, a read-out and an optimiser each, one by one."""

    def __init__(self, configs: Sequence[RunConfig]) -> None:
        self.configs = configs
        self.networks = [_network(run) for run in configs]
        self.optimizers = [
            torch.optim.RMSprop(network.parameters(), run.recipe.learning_rate, alpha=0.99, eps=1e-8)
            for run, network in zip(configs, self.networks, strict=True)
        ]

    def __call__(self, t: int) -> list[float]:
        """Apply update t to every run and return the losses before it."""
        each = zip(self.configs, self.networks, self.optimizers, strict=True)
        return [self._update(run, network, optimizer, t) for run, network, optimizer in each]

    def _update(
        self, run: RunConfig, network: nn.ModuleDict, optimizer: torch.optim.Optimizer, t: int
    ) -> float:
        batch = run.task.sample(stream(run.seed, run.task.purpose("train"), t - 1), run.recipe.batch)
        x = torch.from_numpy(batch.inputs).float().unsqueeze(-1)
        logits = network["read_out"](network["layer"](x)[1][0][0])
        loss = functional.cross_entropy(logits, torch.from_numpy(batch.targets))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), run.recipe.clip)
        optimizer.step()
        return loss.item()


def _network(run: RunConfig) -> nn.ModuleDict:
    """Return ``nn.LSTM`` and a read-out with the run's own initial weights; our one bias is its first."""
    hidden = run.recipe.hidden
    network = nn.ModuleDict({"layer": nn.LSTM(1, hidden), "read_out": nn.Linear(hidden, run.task.classes)})
    with torch.no_grad():
        network["layer"].bias_hh_l0.zero_()  # type: ignore[operator]
        for name, value in SequenceModel.of(run).initial(run).items():
            place = name if name in READ_OUT else f"layer.{name}_l0"
            network.get_parameter(place).copy_(torch.from_numpy(value))
    network.get_parameter("layer.bias_hh_l0").requires_grad_(False)
    return network
