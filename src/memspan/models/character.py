"""The character model: symbols, stacked recurrent cells, a read-out; reads, scores and writes text."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from memspan.config import Recipe, RunConfig
from memspan.errors import ArgumentError, ShapeError
from memspan.kernels import Choice
from memspan.layers.call import Call
from memspan.layers.recurrent import Recurrent
from memspan.models.form import TextState
from memspan.models.generation import (
    BLOCK,
    LONG,
    Generation,
    Kernel,
    choose_kernel,
    evaluating,
    prompt_symbols,
)
from memspan.models.pretrained import Pretrained
from memspan.models.sampling import Sampling
from memspan.models.sequence import cell_of
from memspan.models.weights import state_weights
from memspan.text.vocabulary import Unknown, Vocabulary

PIECE = 4096
"""Steps that are read at a time; the state goes on from piece to piece."""
REPORT = Recipe(layers=2, biases=2, coding="one_hot", dropout=0.5)
"""The report's network: two layers of 128 LSTM units with torch's two biases, one-hot characters."""


@dataclasses.dataclass(frozen=True)
class Reading:
    """What a model made of a text.

    Shapes:
        log_probability (N − 1,) or (N − 1, B): ln p of each symbol after the first, given those before it;
        correct: whether it was the most probable.
    """

    log_probability: np.ndarray
    correct: np.ndarray
    state: TextState


class CharacterModel(nn.Module, Pretrained):
    """A network that says which character comes next.

    Equations:
        p(next) = softmax((W_o h + b_o) / T), h the last layer's state after the text so far, T the training
        temperature, 1 if not told

    Args:
        vocabulary: its characters.
        recipe: cell, hidden, layers, dropout between layers, biases, temperature; what concerns training
            alone is not looked at. The report's network if None.
        embedding: numbers that stand for a character, learned; 0 enters it as a unit vector.
        run: the run that trained it, kept beside it.

    Raises:
        ArgumentError: a vocabulary without characters.

    Example:
        >>> from memspan.text.vocabulary import Vocabulary
        >>> _ = torch.manual_seed(0)
        >>> model = CharacterModel(Vocabulary.of(["to be or not to be"]))
        >>> model.generate("to be", 8).text == model.generate(["to", "to be"], 8)[1].text
        True
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        recipe: Recipe | None = None,
        *,
        embedding: int = 0,
        run: RunConfig | None = None,
    ) -> None:
        super().__init__()
        if not len(vocabulary):
            raise ArgumentError("the vocabulary has no characters; a model needs a text of at least one")
        self.vocabulary, self.run = vocabulary, run
        self.recipe = REPORT if recipe is None else recipe
        K, cell = len(vocabulary), cell_of(self.recipe, embedding or len(vocabulary))
        self.embedding = nn.Embedding(K, embedding) if embedding else None
        dropout = self.recipe.dropout if self.recipe.layers > 1 else 0.0
        self.recurrent = Recurrent(cell, self.recipe.layers, dropout=dropout)
        self.read_out = nn.Linear(cell.hidden_size, K)

    @classmethod
    def of_state(cls, run: RunConfig, state: bytes) -> CharacterModel:
        """Return the network of a run on a text, with the weights of a stored state.

        Raises:
            ArgumentError: the run does not read one-hot characters, or the state is damaged or another run's.
        """
        if not hasattr(run.task, "vocabulary") or run.recipe.coding != "one_hot":
            raise ArgumentError(
                f"run {run.id} does not read one-hot characters; its task is {run.task.name!r}"
            )
        model = cls(run.task.vocabulary, run.recipe, run=run)
        named = state_weights(run, state)
        model.load_state_dict({module_name(name): value for name, value in named.items()})
        return model.eval()

    @property
    def temperature(self) -> float:
        """T, which divides the energies."""
        return self.recipe.temperature

    def parameter_count(self) -> int:
        """Return the number of weights and biases."""
        return sum(parameter.numel() for parameter in self.parameters())

    def forward(self, symbols: Tensor, state: TextState | None = None) -> tuple[Tensor, TextState]:
        """Return the energies of every next character, divided by T, and the state after the last.

        Shapes:
            symbols (T, B), whole numbers in 0 … K − 1; energies (T, B, K).

        Raises:
            ShapeError: symbols of another rank, dtype or range, or a state of another batch.
        """
        outputs, state = self.outputs(symbols, state)
        return self.read_out(outputs) / self.temperature, state

    def outputs(
        self, symbols: Tensor, state: TextState | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, TextState]:
        """Return the last layer's outputs (T, B, H) and the state after each row's length."""
        if symbols.dim() != 2 or symbols.dtype.is_floating_point:
            raise ShapeError(
                f"symbols have shape {tuple(symbols.shape)} and dtype {symbols.dtype}; "
                "expected whole numbers (T, B)"
            )
        T, B = symbols.shape
        state = self.beginning(B) if state is None else state
        if state.position.shape != (B,):
            raise ShapeError(f"the state is of {len(state.position)} rows; the symbols are of {B}")
        x = symbols.long() if self.embedding is None else self.embedding(symbols)
        parts = tuple(part.unsqueeze(0) for part in state.parts)
        ends = None if lengths is None else lengths.unsqueeze(0)
        call = Call(x.unsqueeze(0), parts, ends, (None,), (self._times(T, state.position),), None)
        made, last, *_ = self.recurrent.run(call, False, False)
        position = state.position + (T if lengths is None else lengths)
        return made[0], TextState(tuple(part[0] for part in last), position)

    def beginning(self, B: int) -> TextState:
        """Return the state of B rows of which nothing is read yet."""
        shape = self.recipe.layers, B
        parts = self.recurrent.cell.initial_state(*shape, like=self.read_out.weight)
        return TextState(parts, torch.zeros(B, dtype=torch.int64))

    def _times(self, T: int, position: Tensor) -> Tensor | None:
        """Return the times of T steps for a clock: (T,) where all rows share them, else (1, T, B)."""
        if self.recurrent.cell.clock(None, 1, position.device) is None:
            return None
        steps = torch.arange(T, dtype=torch.float64)
        if len(position) == 0 or bool((position == position[0]).all()):
            return steps + (position[0] if len(position) else 0)
        return (steps.unsqueeze(1) + position).unsqueeze(0)

    @torch.no_grad()
    def read(self, symbols: np.ndarray, state: TextState | None = None) -> Reading:
        """Read a text as one stream, the state carried, and say how probable each symbol was.

        Shapes:
            symbols (N,), or (N, B) for B texts side by side.

        Args:
            state: what was read before; nothing if None.
        """
        lanes, last, told = _lanes(symbols), state, []
        for first, energies, after in self._pieces(lanes, state):
            last = after
            targets = lanes[first + 1 : first + 1 + len(energies)]
            energies = energies[: len(targets)].double() / self.temperature
            chosen = energies.gather(-1, targets.unsqueeze(-1)).squeeze(-1) - energies.logsumexp(-1)
            told.append((chosen, energies.argmax(-1) == targets))
        shape = (max(len(lanes) - 1, 0), *symbols.shape[1:])
        parts = [torch.cat(part).numpy().reshape(shape) for part in zip(*told, strict=True)]
        return Reading(parts[0], parts[1], last)  # type: ignore[arg-type]

    @torch.no_grad()
    def logits(self, symbols: np.ndarray, state: TextState | None = None) -> np.ndarray:
        """Return the energies (N, K) after each symbol of a text (N,), before they are divided by T."""
        pieces = [energies for _, energies, _ in self._pieces(_lanes(symbols), state)]
        return torch.cat(pieces)[:, 0].numpy()

    def _pieces(self, lanes: Tensor, state: TextState | None) -> Iterator[tuple[int, Tensor, TextState]]:
        """Read lanes (N, B) piece by piece, without dropout: where each begins, energies, state after."""
        for first in range(0, max(1, len(lanes)), PIECE):
            with evaluating(self):
                outputs, state = self.outputs(lanes[first : first + PIECE], state)
                energies = self.read_out(outputs)
            yield first, energies, state

    def distribution(self, text: str, unknown: Unknown = "error") -> np.ndarray:
        """Return the probability (K,) of every character after a text.

        Raises:
            ArgumentError: no character to go on from, or one the vocabulary does not have.
        """
        symbols = prompt_symbols(self.vocabulary, text, unknown)
        energies = self.logits(symbols)[-1].astype(np.float64) / self.temperature
        weights = np.exp(energies - energies.max())
        return (weights / weights.sum()).astype(np.float32)

    def choice(self, kernel: Kernel = "auto") -> Choice:
        """Return how this model writes, ``"fused"`` or ``"steps"``, and why.

        Raises:
            KernelRefusal: ``"fused"`` was asked for and cannot serve.
        """
        return choose_kernel(self, kernel)

    def generate(
        self,
        prompts: str | Sequence[str],
        length: int = 200,
        sampling: Sampling | None = None,
        *,
        stop: str | Sequence[str] = (),
        at_least: int = 0,
        unknown: Unknown = "error",
        distributions: bool = False,
        kernel: Kernel = "auto",
    ) -> Any:
        """Go on with a prompt, or with several at once.

        Args:
            prompts: each is read once; a list gives a list.
            length: characters to write at most.
            sampling: how characters are chosen; greedily if None.
            stop: a text ends with the first of these strings that begins after ``at_least`` written
                characters; ``SENTENCE_ENDS`` are the ends of a sentence.
            unknown: what to do with characters that the vocabulary does not have: ``"error"`` or ``"skip"``.
            distributions: keep every character's probability at every step.
            kernel: ``"fused"`` refuses what it cannot serve; ``"steps"`` calls the layers every time.

        Returns:
            A ``Generated``, or a list of them for a list of prompts.

        Raises:
            ArgumentError: a prompt without a known character, or a length below 0.
            KernelRefusal: see ``choice``.
        """
        one = isinstance(prompts, str)
        texts = [prompts] if isinstance(prompts, str) else list(prompts)
        session = Generation(
            self, texts, length, sampling or Sampling(), stop, at_least, unknown, distributions, kernel
        )
        for _ in session.blocks(BLOCK if stop else LONG):
            pass
        return session.result(0) if one else [session.result(row) for row in range(len(texts))]

    def stream(
        self,
        prompts: str | Sequence[str],
        length: int = 200,
        sampling: Sampling | None = None,
        *,
        block: int = BLOCK,
        stop: str | Sequence[str] = (),
        at_least: int = 0,
        unknown: Unknown = "error",
        kernel: Kernel = "auto",
    ) -> Iterator[Any]:
        """Go on with prompts as ``generate`` does, and yield what is written block by block.

        Args:
            block: characters of a block; what is written does not depend on it.

        Returns:
            Pieces of text; lists of them, one a prompt, for a list of prompts.
        """
        texts = [prompts] if isinstance(prompts, str) else list(prompts)
        session = Generation(
            self, texts, length, sampling or Sampling(), stop, at_least, unknown, False, kernel
        )
        for pieces in session.blocks(block):
            yield pieces[0] if isinstance(prompts, str) else pieces


def module_name(name: str) -> str:
    """Return what this model calls a parameter that ``SequenceModel`` names."""
    if name.startswith("read_out."):
        return name
    return f"recurrent.{name}" if name[-3:-1] == "_l" else f"recurrent.{name}_l0"


def _lanes(symbols: np.ndarray) -> Tensor:
    lanes = torch.from_numpy(np.asarray(symbols).astype(np.int64))
    if lanes.dim() not in (1, 2):
        raise ShapeError(f"symbols have shape {tuple(lanes.shape)}; expected (N,) or (N, B)")
    return lanes.unsqueeze(1) if lanes.dim() == 1 else lanes
