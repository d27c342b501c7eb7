"""Runs whose every stored number is known, told as events."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from memspan.ledger import Ledger
from memspan.ledger.events import Checkpoint, Finished, Piece, Started, Stopped

FACTS = {"kernel": "reference", "kernel_reason": "asked for", "code_version": "0.1.0", "machine": "m"}


@dataclass(frozen=True)
class Page:
    """A run's page that knows no config.py: the ledger must not need it."""

    values: tuple[tuple[str, Any], ...]

    @property
    def id(self) -> str:
        return page_id(self.flat())

    def flat(self) -> dict[str, Any]:
        return dict(self.values)


def page(**values: Any) -> Page:
    return Page(tuple({"task": "palindrome", "length": 5, "learning_rate": 1.0, "seed": 0, **values}.items()))


def page_id(config: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:16]


def curve_value(run_id: str, step: int) -> float:
    """The one value that a curve may have at a step, so that a test knows every stored number."""
    return float(np.float32((int(run_id, 16) % 1000) + step / 7))


def pieces(run_id: str, after: int, until: int) -> dict[str, Piece]:
    """Loss at every step and accuracy at every tenth, in (after, until]."""
    found = {}
    for name, stride in (("loss", 1), ("accuracy", 10)):
        first = (after // stride + 1) * stride
        values = np.array([curve_value(run_id, s) for s in range(first, until + 1, stride)], np.float32)
        found[name] = Piece(first, stride, values)
    return found


def state(run_id: str, step: int) -> bytes:
    return f"{run_id} at {step} ".encode() * 50


def story(run_id: str, *, begin: int = 0, every: int = 25, steps: int = 100, diverge: bool = False):
    """The events of a training from ``begin`` to ``steps``."""
    yield Started(run_id, begin, FACTS)
    at = begin
    while at + every < steps:
        yield Checkpoint(run_id, at + every, pieces(run_id, at, at + every), state(run_id, at + every), 1.0)
        at += every
    last = pieces(run_id, at, steps)
    if diverge:
        yield Stopped(run_id, steps, "diverged: loss nan", last, {"accuracy": float("nan")}, 1.0)
    else:
        yield Finished(run_id, steps, last, state(run_id, steps), {"accuracy": 0.1 + 0.2}, 1.0)


def train(ledger: Ledger, run: Page, **how: Any) -> None:
    ledger.register([run])
    for event in story(run.id, **how):
        ledger.append(event)


def assert_consistent(ledger: Ledger, run_id: str) -> None:
    """Every curve holds exactly the values up to the run's step, none missing, none beyond."""
    record = ledger.get(run_id)
    assert record is not None
    expected = pieces(run_id, 0, record.step)
    for name in record.curve_names():
        curve, piece = record.curve(name), expected[name]
        assert curve.step.tolist() == [piece.first + piece.stride * i for i in range(len(piece.values))]
        assert curve.mean.tobytes() == piece.values.tobytes()
    present = {name for name, piece in expected.items() if len(piece.values)}
    assert set(record.curve_names()) == present
