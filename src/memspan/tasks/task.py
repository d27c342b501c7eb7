"""What a task is: a source of sequences whose chance level is known in closed form."""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from memspan.streams import stream

Read = Callable[..., tuple[np.ndarray, Any]]
"""A network in evaluation: (inputs, state=None, times=None, lengths=None, resets=None) → logits, state.

Inputs (T, B) or (T, B, D); logits of every position (T, B, K), or (T, B, A, K) with several answers; the
state is opaque, and None stands for the beginning. A clock counts from 0 in every call, unless told times.
"""


@dataclass(frozen=True)
class Batch:
    """One batch of sequences, time first.

    Shapes:
        inputs: integer symbols (T, B), or real vectors (T, B, D).
        targets: (B,), or (B, A) where several answers are asked for: class numbers, or real numbers. Where
            answers are due at S > 1 positions, (S, B) or (S, B, A).
        times: timestamps (T,) of all rows or (T, B); None where steps are merely counted. Past a row's
            end its last time is repeated.
        lengths: (B,) steps of each row; None where every row fills T. Past a row's end inputs are 0.
        resets: (T, B), true where the state is zero before the step; None where it never is.
    """

    inputs: np.ndarray
    targets: np.ndarray
    times: np.ndarray | None = None
    lengths: np.ndarray | None = None
    resets: np.ndarray | None = None


class Task(abc.ABC):
    """A source of sequences. Subclasses are frozen dataclasses; their fields are the difficulty."""

    name: ClassVar[str]
    axis: ClassVar[str] = ""
    """The field that makes it harder, a whole number; empty where it has none."""
    span_range: ClassVar[tuple[int, int]] = (10, 1000)
    """Values of the axis between which a memory span is sought, unless told otherwise."""
    symbols: ClassVar[int]
    """Number of distinct input symbols; 0 where inputs are real vectors."""
    features: ClassVar[int] = 1
    """D, numbers in a real input vector."""
    classes: ClassVar[int]
    """Number of possible answers; 0 where the answer is a real number."""
    answers: ClassVar[int] = 1
    """A, answers asked of each sequence; it counts as right if all of them are."""
    due: ClassVar[int] = 1
    """S, last positions of each row at which an answer is due; if S > 1, targets have a leading axis."""
    carries: ClassVar[bool] = False
    """Whether a training batch goes on from the state in which the one before it ended."""
    measures: ClassVar[tuple[str, ...]] = ()
    """Names of what ``measure`` returns beside the score."""
    pinned: ClassVar[tuple[str, ...]] = ()
    """Fields that a stored config must give: their default is found by reading a file it names."""
    solved_at: ClassVar[float]
    """Held-out score from which the task counts as solved."""

    @abc.abstractmethod
    def sample(self, generator: np.random.Generator, n: int) -> Batch:
        """Draw n sequences from a random stream."""

    def batch(self, seed: int, use: str, step: int, n: int) -> Batch:
        """Return batch number ``step`` = 0, 1, … of one use: fresh sequences, unless a task reads on."""
        return self.sample(stream(seed, self.purpose(use), step), n)

    def measure(self, read: Read, use: str, seed: int, step: int) -> dict[str, float] | None:
        """Evaluate a network in the task's own way, or return None: on fresh sequences, by the score.

        Returns:
            ``accuracy``, the score that ``solved_at`` speaks of, and a number for every name in ``measures``.
        """
        return None

    @property
    @abc.abstractmethod
    def steps(self) -> int:
        """Number of inputs in a sequence, in the longest where they differ."""

    @property
    def duration(self) -> float:
        """How long the longest sequence lasts, in the unit of its times; steps, where these are counted."""
        return float(self.steps)

    def blind_error(self) -> float:
        """Return the mean squared error of the best real answer given without looking, in closed form."""
        raise NotImplementedError(f"{type(self).__name__} has no real answers, or does not say how they vary")

    def chance(self) -> float:
        """Return the score of the best answer given without looking, in closed form.

        The score is accuracy; for a real answer, the share of its variance that is explained.
        """
        return 1.0 / self.classes**self.answers if self.classes else 0.0

    def purpose(self, use: str) -> str:
        """Return the name of the random stream for one use of this task, for instance ``"train"``."""
        difficulty = " ".join(f"{f.name}={getattr(self, f.name)}" for f in fields(self))  # type: ignore[arg-type]
        return f"{use} {self.name} {difficulty}".rstrip()
