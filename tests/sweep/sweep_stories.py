"""Small runs, an engine in this process, a command for the same runs, and what a ledger holds of them."""

import math
import os
import signal
import sys
from pathlib import Path

from memspan.config import Recipe, RunConfig
from memspan.ledger import Ledger
from memspan.ledger.events import Checkpoint
from memspan.sweep.local import work
from memspan.sweep.worker import How, training
from memspan.tasks.palindrome import Palindrome


def runs(n=3, steps=40, cell="rnn", hidden=16, batch=8, length=6, **recipe):
    page = Recipe(cell=cell, hidden=hidden, batch=batch, steps=steps, **recipe)
    return [RunConfig(Palindrome(length), page, seed) for seed in range(n)]


def command(out, *, n=3, steps=800, every=0.3, workers=1):
    """The command that trains ``runs(n, steps)``."""
    words = f"--length 6 --cell rnn --hidden 16 --batch 8 --steps {steps} --seeds 0-{n - 1}"
    words += f" --checkpoint-every {every} --workers {workers} --out {out}"
    return [sys.executable, "-m", "memspan", "sweep", *words.split()]


class Inline:
    """An engine in this process; remembers the packs it trained."""

    workers, room = 1, math.inf

    def __init__(self, checkpoint_every=20.0):
        self.packs, self.how = [], How(checkpoint_every=checkpoint_every)
        self.stopping = False

    def run(self, plans):
        from memspan.sweep.engine import Crash

        for plan in plans:
            self.packs.append(plan)
            for message in training(plan, self.how, lambda: self.stopping):
                if isinstance(message, Exception):
                    raise message
                yield Crash(plan, message) if isinstance(message, str) else message
            if self.stopping:
                return

    def stop(self):
        self.stopping = True


def work_until_killed(scar, pipe, how):
    """Work as a local worker does; the first of them is killed when every run has a checkpoint."""
    work(pipe if scar.exists() else _DeadlyPipe(pipe, scar), how)


class _DeadlyPipe:
    """Kills its process when all runs of a pack of five have said their first checkpoint."""

    def __init__(self, pipe, scar):
        self.pipe, self.scar, self.left = pipe, scar, 5

    def __getattr__(self, name):
        return getattr(self.pipe, name)

    def send(self, message):
        self.pipe.send(message)
        self.left -= isinstance(message, Checkpoint)
        if self.left == 0:
            self.scar.touch()
            os.kill(os.getpid(), signal.SIGKILL)


def content(path: Path):
    """Everything a ledger holds of its runs but wall-clock time."""
    with Ledger.open(path, readonly=True) as ledger:
        return {
            r.id: (r.status, r.step, r.metrics, {n: r.curve(n).mean.tobytes() for n in r.curve_names()})
            for r in ledger.select()
        }


def attempts(path: Path):
    """How often each run was begun."""
    with Ledger.open(path, readonly=True) as ledger:
        return dict(ledger._db.execute("SELECT id, attempt FROM runs"))


def standings(path: Path):
    """Status and step of every run, also while the ledger is being made."""
    if not path.exists() or not path.stat().st_size:
        return []
    with Ledger.open(path, readonly=True) as ledger:
        return list(ledger.standings().values())
