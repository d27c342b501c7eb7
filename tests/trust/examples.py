"""What an example is, and how its number draws its sizes, options and layouts."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from memspan.streams import stream

SEED = 11
PLAIN = ("rnn", "rnn-relu", "gru", "lstm", "peephole_lstm")
GATED = tuple(
    f"{gate} {name}" for gate in ("gated", "open") for name in ("rnn", "gru", "lstm", "peephole_lstm")
)
OWN = "own"
CELLS = (*PLAIN, *GATED, OWN)
"""Cells' names; ``gated`` has a leak, ``open`` has none, so that the sparse kernel serves it too."""
LAYOUTS = (
    "contiguous", "transposed", "expanded", "offset", "strided", "negative", "zero", "subclass", "parameter",
)  # fmt: skip
GUARDS = ("after", "before", "canary")
LARGE = {"T": 40, "B": 70, "D": 33, "H": 65}


def kernels_of(cell: str) -> tuple[str, ...]:
    """Return the kernels that can be asked for by name with a cell."""
    if cell == OWN:
        return ("auto", "reference")
    return ("auto", "reference", "cpu", "sparse") if cell.startswith("open") else ("auto", "reference", "cpu")


@dataclasses.dataclass(frozen=True)
class Example:
    """Everything that an example's number decides; random values come from streams of the same number."""

    number: int
    transform: str
    cell: str
    kernel: str
    face: str  # "unroll" or "layer"
    R: int
    T: int
    B: int
    D: int
    H: int
    biases: int
    layers: int
    bidirectional: bool
    replicas: bool
    batch_first: bool
    batched: bool
    training: bool
    every: bool  # outputs of all steps, or the last
    states: bool
    symbols: bool
    lengths: bool
    resets: bool
    times: str  # "none", "shared" or "rows"
    hx: bool
    trainable: bool
    chunk: int | None
    threads: bool  # two threads even for little work
    frozen: float  # share of the tensors without gradient
    layouts: tuple[str, ...]  # one is drawn from these for every tensor
    guard: str

    def __str__(self) -> str:
        usual = {"number", "transform", "cell", "kernel", "face"}
        rest = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name not in usual}
        shown = " ".join(
            f"{name}={value}" for name, value in rest.items() if value not in (False, None, "none")
        )
        return f"#{self.number} {self.transform} | {self.cell} | {self.kernel} | {self.face} | {shown}"


def draws(number: int, purpose: str) -> np.random.Generator:
    """Return the random numbers of an example for a purpose."""
    return stream(SEED, f"trust {purpose}", number)


def example(number: int, stratum: tuple[str, str, str], small: bool = False, layer: bool = False) -> Example:
    """Return the example of a number within a stratum (transform, cell, kernel).

    Args:
        small: few steps and layers, for what compiles every step of the reference.
        layer: always a layer, never ``unroll`` alone.
    """
    transform, cell, kernel = stratum
    g = draws(number, "example")

    def chance(share: float) -> bool:
        return bool(g.random() < share)

    def one(*values: Any) -> Any:
        return values[g.integers(len(values))]

    sizes = {name: int(g.integers(0, 10)) for name in ("T", "B")}
    sizes |= {name: int(g.integers(1, 10)) for name in ("D", "H")}
    for name, value in LARGE.items():
        if chance(0.03):
            sizes[name] = value
    if small:
        sizes = {name: min(size, 9) for name, size in sizes.items()} | {"T": sizes["T"] % 4}
    layer, gated = chance(0.5) or layer, " " in cell
    sparse = cell.startswith("open") and kernel == "sparse"
    resets = chance(0.3)
    times = one("none", "shared", "rows") if gated else "none"
    if sparse:  # what the sparse kernel refuses is drawn for the others: rows with times of their own
        resets = False
        times = "shared" if times == "rows" else times
    batched = not layer or chance(0.9)
    both = layer and chance(0.3)
    return Example(
        number=number, transform=transform, cell=cell, kernel=kernel, face="layer" if layer else "unroll",
        R=int(g.integers(1, 3 if small else 4)) if chance(0.5) else 1, **sizes,
        biases=one(0, 2) if layer else one(0, 1, 2),
        layers=one(1, 1, 2, 2 if small else 3) if layer else 1,
        bidirectional=both, replicas=layer and chance(0.3),
        batch_first=layer and chance(0.3), batched=batched,
        training=chance(0.5), every=layer or chance(0.7), states=chance(0.3),
        symbols=not layer and chance(0.25),
        lengths=batched and not (sparse and both) and chance(0.35), resets=resets, times=times,
        hx=chance(0.5), trainable=layer and chance(0.2),
        chunk=None if layer else one(None, None, 0, 1, 2, 5), threads=chance(0.2),
        frozen=one(0.0, 0.0, 0.4, 0.8), layouts=_layouts(g, chance), guard=one(*GUARDS),
    )  # fmt: skip


def _layouts(g: np.random.Generator, chance: Any) -> tuple[str, ...]:
    """Return the layouts of an example: mostly contiguous ones and one other kind, sometimes any."""
    if chance(0.3):
        return ("contiguous",)
    if chance(0.2):
        return LAYOUTS
    return ("contiguous", LAYOUTS[1 + int(g.integers(len(LAYOUTS) - 1))])
