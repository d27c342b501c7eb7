"""Generation: prompts are read once, then every row of text goes on, block by block, until it stops."""

from __future__ import annotations

import codecs
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from memspan.errors import ArgumentError, KernelRefusal
from memspan.kernels import Choice, choose
from memspan.models.form import Form
from memspan.models.sampling import Sampling
from memspan.text.vocabulary import Unknown, Vocabulary

Kernel = Literal["auto", "fused", "steps"]
SENTENCE_ENDS = (".", ";", "!", "?")
BLOCK = 256
"""Characters of a row between two looks at whether it has stopped."""
LONG = 4096
"""Characters of a row in one call of the kernel where nothing can stop it."""
WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


@dataclass(frozen=True, eq=False)
class Generated:
    """What was written after a prompt.

    Shapes:
        log_probabilities (n,), of the n written symbols in the model's own distribution, with its temperature
        and without the settings of the sampling; distributions (n, K), or None where they were not wanted.
    """

    prompt: str
    text: str
    log_probabilities: np.ndarray
    stopped: str = ""
    """The string that ended the text; empty where its length did."""
    distributions: np.ndarray | None = None

    @property
    def surprisal(self) -> np.ndarray:
        """−log₂ p of every written symbol, in bits."""
        return -self.log_probabilities / np.log(2.0)


def prompt_symbols(vocabulary: Vocabulary, text: str, unknown: Unknown) -> np.ndarray:
    """Return the symbols of a prompt.

    Raises:
        ArgumentError: none is left to go on from, or one is unknown.
    """
    symbols = vocabulary.encode(text, unknown)
    if not len(symbols):
        raise ArgumentError(
            f"the prompt {text!r} has no character of the vocabulary; give at least one to go on from"
        )
    return symbols


def choose_kernel(model: Form, kernel: Kernel) -> Choice:
    """Return how a model writes, and why; see ``CharacterModel.choice``."""
    if kernel not in ("auto", "fused", "steps"):
        raise ArgumentError(f"kernel={kernel!r}: expected auto, fused or steps")
    if kernel == "steps":
        return Choice("steps", "asked for")
    cell, weight = model.recurrent.cell, model.read_out.weight
    served = choose(cell, dtype=weight.dtype, device=weight.device)
    own = [name for name in cell.parameter_shapes() if name not in WEIGHTS]
    reason = served.reason
    if own:
        reason = f"the fused generation has no place for {', '.join(own)} of {type(cell).__name__}"
    if served.kernel == "cpu" and not own:
        return Choice("fused", reason if kernel == "auto" else "asked for")
    if kernel == "fused":
        raise KernelRefusal(
            f"fused generation cannot serve this model: {reason}; take kernel='steps' or 'auto'"
        )
    return Choice("steps", reason)


class Generation:
    """Prompts on their way to texts; ``blocks`` is the only door, ``result`` tells what was written.

    Args:
        model, prompts, length, …: as in ``CharacterModel.generate``.
    """

    def __init__(
        self,
        model: Form,
        prompts: Sequence[str],
        length: int,
        sampling: Sampling,
        stop: str | Sequence[str],
        at_least: int,
        unknown: Unknown,
        distributions: bool,
        kernel: Kernel,
    ) -> None:
        if length < 0 or at_least < 0:
            raise ArgumentError(f"length {length}, at_least {at_least}: expected 0 or more characters")
        self.model, self.length, self.prompts = model, length, list(prompts)
        way = choose_kernel(model, kernel).kernel
        symbols = [prompt_symbols(model.vocabulary, prompt, unknown) for prompt in prompts]
        stops = [stop] if isinstance(stop, str) else list(stop)
        if "" in stops:
            raise ArgumentError("stop holds an empty string, which begins everywhere; leave it out")
        self.texts = [Growing(model.vocabulary, stops, at_least) for _ in prompts]
        self.alive = np.arange(len(prompts))
        from memspan.models.writing import begin

        with evaluating(model):
            self.rows = begin(model, symbols, sampling, way, distributions)

    def blocks(self, block: int = BLOCK) -> Iterator[list[str]]:
        """Write until every row has stopped or is long enough; yield what each row wrote, block by block."""
        if block < 1:
            raise ArgumentError(f"block {block}: expected at least 1 character")
        for first in range(0, self.length, block):
            if not len(self.alive):
                return
            yield self._block(min(block, self.length - first), first + block >= self.length)

    def _block(self, steps: int, last: bool) -> list[str]:
        with evaluating(self.model):
            made = self.rows.write(steps)
        if self.rows.broken:
            raise ArgumentError(
                "the model's energies are not finite: its weights have diverged, train it again"
            )
        pieces = [""] * len(self.texts)
        for column, row in enumerate(self.alive):
            pieces[row] = self.texts[row].grow(*made.row(column), last)
        stay = np.flatnonzero([not self.texts[row].stopped for row in self.alive])
        if len(stay) < len(self.alive):
            self.rows.keep(stay)
            self.alive = self.alive[stay]
        return pieces

    def result(self, row: int) -> Generated:
        """Return what one row wrote so far."""
        text = self.texts[row]
        log_probabilities = np.concatenate([np.zeros(0, np.float32), *text.log_probabilities])
        spread = np.concatenate(text.distributions) if text.distributions else None
        return Generated(self.prompts[row], "".join(text.pieces), log_probabilities, text.stopped, spread)


@contextlib.contextmanager
def evaluating(model: Form) -> Iterator[None]:
    """Switch dropout and leaks off inside the block."""
    training = model.training
    model.train(False)
    try:
        yield
    finally:
        model.train(training)


class Growing:
    """One text that grows until it meets a stop string.

    Args:
        vocabulary: what its symbols stand for.
        stops: strings that end it.
        at_least: symbols before a stop counts.
    """

    def __init__(self, vocabulary: Vocabulary, stops: Sequence[str], at_least: int) -> None:
        self.vocabulary, self.at_least, self.stopped = vocabulary, at_least, ""
        self.stops = {self._plain(stop.encode()) if self._bytes else stop: stop for stop in stops}
        self.overlap = max((len(stop) for stop in self.stops), default=1) - 1
        self.plain = ""
        self.pieces: list[str] = []
        self.log_probabilities: list[np.ndarray] = []
        self.distributions: list[np.ndarray] = []
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    @property
    def _bytes(self) -> bool:
        return self.vocabulary.unit == "byte"

    def _plain(self, data: bytes) -> str:
        """Return bytes as one character each, so that places in the string are places in the text."""
        return data.decode("latin-1")

    def grow(
        self, symbols: np.ndarray, log_probabilities: np.ndarray, distributions: np.ndarray | None, last: bool
    ) -> str:
        """Take a block of symbols up to the first stop; return the text it adds."""
        before = len(self.plain)
        self.plain += (
            self._plain(symbols.astype(np.uint8).tobytes())
            if self._bytes
            else self.vocabulary.decode(symbols)
        )
        end = self._end(before)
        self.plain, taken = self.plain[:end], end - before
        self.log_probabilities.append(log_probabilities[:taken])
        if distributions is not None:
            self.distributions.append(distributions[:taken])
        piece = self.plain[before:]
        if self._bytes:
            piece = self._decoder.decode(piece.encode("latin-1"), last or bool(self.stopped))
        self.pieces.append(piece)
        return piece

    def _end(self, before: int) -> int:
        """Return where the text ends: behind the stop that begins first, or with its last symbol."""
        start = max(self.at_least, before - self.overlap)
        found = [(at, stop) for stop in self.stops if (at := self.plain.find(stop, start)) >= 0]
        if not found:
            return len(self.plain)
        at, stop = min(found)
        self.stopped = self.stops[stop]
        return at + len(stop)
