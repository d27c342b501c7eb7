"""Rows of text that go on: their last symbols, seeds and place, and how the next symbol is chosen."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from memspan import simd
from memspan.kernels.cpu import cache, engine
from memspan.kernels.cpu.spec import round_up

PANEL = 4  # vectors of energies in a panel of the read-out

SIZES = ("rows", "room", "layers", "H", "K", "padded", "lh", "position", "top_k")
TOLD = ("chosen", "log_probabilities", "distributions")
OF_ROWS = ("symbols", "seeds", "energies", *TOLD)  # addresses of a unit's first row
SHARED = ("weights", "starts", "z", "chances", "modes", "broken")
SETTINGS = ("scale", "own_scale", "top_p", "min_p")
WRITING = np.dtype(
    [(name, np.int64) for name in (*SIZES, *OF_ROWS, *SHARED)] + [(name, np.float64) for name in SETTINGS]
)


def writings_type() -> object:
    """Return Numba's type of an array of writings."""
    from numba import from_dtype, types

    return types.Array(from_dtype(WRITING), 1, "C", aligned=True)


@dataclasses.dataclass(frozen=True)
class Choosing:
    """How symbols are chosen, and what is told of each.

    Args:
        own_scale: what the energies are multiplied by in the model's own distribution.
        scale: the same for choosing; 0 takes the largest energy.
        top_k, top_p, min_p: filters, in this order; 0, 1 and 0 turn them off.
        log_probabilities, distributions: tell ln p of each symbol, and p of all, in the model's own
            distribution.
    """

    own_scale: float = 1.0
    scale: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    log_probabilities: bool = False
    distributions: bool = False


@dataclasses.dataclass(frozen=True)
class Written:
    """Symbols (steps, B) and, where asked for, ln p of each (steps, B) and p of all (steps, B, K)."""

    symbols: np.ndarray
    log_probabilities: np.ndarray | None
    distributions: np.ndarray | None

    def row(self, column: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return the three of one row, (steps,) each; the log-probabilities must have been asked for."""
        assert self.log_probabilities is not None
        spread = None if self.distributions is None else self.distributions[:, column]
        return self.symbols[:, column], self.log_probabilities[:, column], spread


class Rows:
    """B rows over K symbols.

    Args:
        symbols: (B,), the last symbol of every row, which is read next.
        seeds: (B,), unsigned 64-bit; the n-th number of a row belongs to its seed and n alone.
        K: symbols there are.
        choosing: the settings.
    """

    def __init__(self, symbols: np.ndarray, seeds: np.ndarray, K: int, choosing: Choosing) -> None:
        self.symbols, self.seeds = symbols.astype(np.int64), seeds.astype(np.uint64)
        self.room = self.count = len(symbols)
        self.K, self.padded, self.choosing = K, round_up(K, PANEL * simd.LANES), choosing
        self.position = 0
        self.energies = engine.buffer(self.room, self.padded)
        self._broken = np.zeros(1, np.int64)

    @property
    def broken(self) -> bool:
        """Whether a row was met whose energies hold NaN or +∞, or nothing but −∞."""
        return bool(self._broken[0])

    def results(self, steps: int) -> Written:
        """Return room for so many steps of every row."""
        shape, told = (steps, self.room), self.choosing
        return Written(
            np.empty(shape, np.int64),
            np.empty(shape, np.float32) if told.log_probabilities else None,
            np.empty((*shape, self.K), np.float32) if told.distributions else None,
        )

    def writings(self, shares: Sequence[tuple[int, int]], made: Written) -> tuple[np.ndarray, np.ndarray]:
        """Return one record a share of rows (first, last), and the scratch they point into."""
        records = np.zeros(len(shares), WRITING)
        scratch = np.empty((len(shares), 16 + self.padded), np.float32)  # modes and chances of each
        first = np.array([share[0] for share in shares])
        records["rows"] = [last - start for start, last in shares]
        records["room"], records["K"], records["padded"] = self.room, self.K, self.padded
        records["position"], records["broken"] = self.position, self._broken.ctypes.data
        for name in ("symbols", "seeds"):
            records[name] = getattr(self, name).ctypes.data + 8 * first
        records["energies"] = self.energies.data_ptr() + 4 * self.padded * first
        told = zip(TOLD, (made.symbols, made.log_probabilities, made.distributions), strict=True)
        for name, array in told:
            if array is not None:
                records[name] = array.ctypes.data + array.strides[1] * first
        records["modes"] = scratch.ctypes.data + scratch.strides[0] * np.arange(len(shares))
        records["chances"] = records["modes"] + 64
        for name in ("top_k", *SETTINGS):
            records[name] = getattr(self.choosing, name)
        return records, scratch

    def choose(self, energies: Tensor) -> Written:
        """Choose the next symbol of every row from its energies (B, K); they become the last symbols."""
        self.energies[: self.count, : self.K] = energies
        self.energies[:, self.K :] = -np.inf
        made = self.results(1)
        records, scratch = self.writings([(0, self.count)], made)
        cache.module("memspan_chooser", lambda: CHOOSER).choose_rows(records)
        del scratch
        self.position += 1
        return self.told(made)

    def told(self, made: Written) -> Written:
        """Return the part of the results that belongs to living rows."""
        parts = (made.symbols, made.log_probabilities, made.distributions)
        return Written(*(None if part is None else part[:, : self.count] for part in parts))  # type: ignore[arg-type]

    def keep(self, rows: np.ndarray) -> None:
        """Drop every other row; those that stay move up."""
        self.count = len(rows)
        for array in (self.symbols, self.seeds):
            array[: self.count] = array[rows]


CHOOSER = '''"""The choice of a symbol, generated; do not edit."""

import numba as nb

from memspan.kernels.cpu.rows import writings_type
from memspan.kernels.cpu.sampling import write_symbols
from memspan.linked import entry


@entry(nb.void(writings_type()))
def choose_rows(writings):
    """Choose the next symbol of every row."""
    for u in range(len(writings)):
        write_symbols(writings[u], nb.intp(0))
'''
