"""The task of going on with a text: at every position of a window, say which character comes next."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from memspan.errors import ArgumentError
from memspan.fields import check_fields
from memspan.streams import stream
from memspan.tasks.task import Batch, Read, Task
from memspan.text.corpus import Corpus, content_hash, encoded_corpus, read_sources
from memspan.text.vocabulary import Unit, Vocabulary

Part = Literal["train", "validation", "test", "all"]
EVALUATED = 100_000
"""Characters of an evaluation while training; the one at the end reads the whole part."""
PIECE = 4096
"""Characters a network reads at a time in an evaluation; the state goes on from piece to piece."""


@dataclass(frozen=True)
class Text(Task):
    """Windows of a corpus; the target of each position is the character after it.

    Args:
        corpus: a name or path, see ``load_corpus``.
        unit: characters or bytes.
        window: T, positions of a window.
        reading: ``"windows"`` begin anywhere, from the state zero, as in the report; ``"streams"`` cut the
            text into one lane a row, and every batch goes on where the one before it ended, state and all.
        validation, test: shares of the corpus cut off its end, the test part last.
        sha256: the first digits of the content's hash; found if not given. It is on the run's page, so that
            runs on another content under the same name are other runs.

    Raises:
        ArgumentError: no such corpus, another content than ``sha256`` says, shares outside 0 … 1, or a
            training part shorter than a window.

    Example:
        >>> batch = Text(window=12).sample(np.random.default_rng(1), 1)
        >>> show = Text().vocabulary.decode
        >>> show(batch.inputs[:, 0]), show(batch.targets[:, 0])
        ('c danger; no', ' danger; nor')
    """

    corpus: str = "bill_of_rights"
    unit: Unit = "char"
    window: int = 30
    reading: Literal["windows", "streams"] = "windows"
    validation: float = 0.0
    test: float = 0.0
    sha256: str = ""

    name = "text"
    solved_at = 0.99
    measures = ("bits_per_character",)
    pinned = ("sha256",)

    def __post_init__(self) -> None:
        check_fields(self)
        if self.window < 2:
            raise ArgumentError(f"window {self.window}: expected at least 2 characters")
        shares = (self.validation, self.test)
        if not all(0 <= share < 1 for share in shares) or sum(shares) >= 1:
            raise ArgumentError(
                f"validation {self.validation:g} and test {self.test:g}: expected shares of the corpus,"
                " each at least 0, together below 1"
            )
        if not self.sha256:
            object.__setattr__(self, "sha256", content_hash(read_sources(self.corpus)))

    @property
    def source(self) -> Corpus:
        """The corpus, encoded on first use."""
        return _pinned(self.corpus, self.unit, self.sha256)

    @property
    def vocabulary(self) -> Vocabulary:
        """What the symbols stand for."""
        return self.source.vocabulary

    @property
    def symbols(self) -> int:  # type: ignore[override]
        """Number of distinct characters K."""
        return len(self.vocabulary)

    @property
    def classes(self) -> int:  # type: ignore[override]
        """Number of possible answers: K."""
        return len(self.vocabulary)

    @property
    def steps(self) -> int:
        """Positions of a window."""
        return self.window

    @property
    def due(self) -> int:  # type: ignore[override]
        """Answers are due at every position."""
        return self.window

    @property
    def carries(self) -> bool:  # type: ignore[override]
        """Whether a batch goes on from the state the one before it ended with."""
        return self.reading == "streams"

    def part(self, name: Part) -> np.ndarray:
        """Return the symbols of one part of the corpus, cut by position."""
        data = self.source.data
        test = len(data) - round(self.test * len(data))
        train = test - round(self.validation * len(data))
        cuts = {"train": (0, train), "validation": (train, test), "test": (test, len(data))}
        return data[slice(*cuts.get(name, (0, len(data))))]

    def chance(self) -> float:
        """Return the share of the corpus's most frequent character: the best answer without looking."""
        return float(np.bincount(self.part("train")).max() / len(self.part("train")))

    def purpose(self, use: str) -> str:
        """Return the name of a random stream; the content names it, not the path it was read from."""
        shares = f"validation={self.validation} test={self.test}"
        return f"{use} text {self.sha256} {self.unit} {self.reading} window={self.window} {shares}"

    def sample(self, generator: np.random.Generator, n: int) -> Batch:
        """Draw n windows of the training part, each from anywhere in it.

        Returns:
            inputs (T, n) and targets (T, n), the characters one later.
        """
        data = self._training_part()
        return self._cut(data, generator.integers(0, len(data) - self.window, n))

    def batch(self, seed: int, use: str, step: int, n: int) -> Batch:
        """Return batch number ``step`` of a use: fresh windows, or the next stretch of n lanes.

        The lanes of every pass over the text begin at another offset below T; there ``resets`` is true.
        """
        if self.reading == "windows":
            return self.sample(stream(seed, self.purpose(use), step), n)
        data = self._training_part()
        lane = (len(data) - self.window) // n
        stretches = lane // self.window
        if not stretches:
            raise ArgumentError(
                f"a text of {len(data)} characters has no {n} lanes of {self.window}; take a smaller batch"
            )
        epoch, stretch = divmod(step, stretches)
        offset = stream(seed, self.purpose(f"{use} offset"), epoch).integers(self.window)
        found = self._cut(data, offset + np.arange(n) * lane + stretch * self.window)
        resets = np.zeros(found.inputs.shape, bool)
        resets[0] = stretch == 0
        return Batch(found.inputs, found.targets, resets=resets)

    def _training_part(self) -> np.ndarray:
        data = self.part("train")
        if len(data) <= self.window:
            raise ArgumentError(
                f"corpus {self.corpus!r} has {len(data)} characters to train on; a window of {self.window}"
                f" needs at least {self.window + 1}: take a longer text or a shorter window"
            )
        return data

    def _cut(self, data: np.ndarray, starts: np.ndarray) -> Batch:
        stretches = data[starts + np.arange(self.window + 1)[:, None]].astype(np.int64)
        return Batch(stretches[:-1], stretches[1:])

    def measure(self, read: Read, use: str, seed: int, step: int) -> dict[str, float]:
        """Read the validation part, or else the training part, as one stream and return its numbers.

        Args:
            read: the network, see ``Read``.
            use: ``"final"`` reads all of the part, anything else its first ``EVALUATED`` characters.
            seed, step: not needed, nothing is drawn.

        Returns:
            ``accuracy``, the share of characters foretold, and ``bits_per_character``.
        """
        data = self.part("validation" if self.validation else "train")
        data = data[: None if use == "final" else EVALUATED + 1].astype(np.int64)
        hits, nats, state = 0, 0.0, None
        for start in range(0, len(data) - 1, PIECE):
            stretch = data[start : start + PIECE + 1]
            logits, state = read(stretch[:-1, None], state)
            scores, targets = logits[:, 0].astype(np.float64), stretch[1:]
            hits += int((scores.argmax(-1) == targets).sum())
            nats -= float(log_softmax(scores)[np.arange(len(targets)), targets].sum())
        n = len(data) - 1
        return {"accuracy": hits / n, "bits_per_character": nats / n / math.log(2)}


def log_softmax(scores: np.ndarray) -> np.ndarray:
    """Return log-probabilities from energies (…, K), without underflow."""
    shifted = scores - scores.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


@functools.lru_cache(maxsize=4)
def _pinned(name: str, unit: Unit, sha256: str) -> Corpus:
    sources = read_sources(name)
    found = content_hash(sources)
    if found != sha256:  # before anything is made of it
        raise ArgumentError(
            f"corpus {name!r} has another content ({found}) than this run was made for ({sha256});"
            " restore it, or start a new run"
        )
    return encoded_corpus(name, unit, sources)
