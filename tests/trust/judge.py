"""Runs an example and says what came out."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import re
import traceback
import warnings
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch._dynamo.exc import TorchDynamoException

from memspan.errors import MemspanError
from memspan.kernels.cpu import engine
from tolerances import TOLERANCES
from trust import by_autograd, by_functions, by_graphs, by_processes  # noqa: F401  (they register themselves)
from trust.cases import Case
from trust.examples import Example, example
from trust.guard import guarded
from trust.transform import TRANSFORMS, Transform

CONDITION = 5.0
"""How many times the reference's own error in float32 a kernel's may be, where it exceeds the tolerance."""
RIGHT = ("right", "refused", "nothing")
"""Outcomes that are no finding; ``nothing``: the example has nothing to try."""


class Outcome(NamedTuple):
    """What an example gave; ``error`` is the largest one, over the largest true value."""

    kind: str
    text: str = ""
    error: float = 0.0


def example_of(number: int, stratum: tuple[str, str, str]) -> Example:
    """Return the example of a number, small where its transform compiles and only in layouts it serves."""
    t = TRANSFORMS[stratum[0]]
    e = example(number, stratum, small=t.dear, layer=t.layer)
    return dataclasses.replace(e, layouts=tuple(kind for kind in e.layouts if kind not in t.without))


def judge(number: int, stratum: tuple[str, str, str]) -> Outcome:
    """Run an example: ``right``, ``refused``, ``nothing``, ``wrong`` or ``raised``."""
    t, e = TRANSFORMS[stratum[0]], example_of(number, stratum)
    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)
    with _settings(e), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        case = Case(e)
        proof = t.prove(case)
        if proof is None:
            return Outcome("nothing")
        run, meaning = proof
        try:
            got = run(case.mine)
        except Exception as error:
            expected = t.refusals.get(e.kernel)
            own = isinstance(error, (MemspanError, TorchDynamoException))  # which may hold one of ours
            found = re.search(f"[^\n]*({expected})[^\n]*", str(error)) if own and expected else None
            return Outcome("refused", found[0]) if found else Outcome("raised", _shown(error))
        want = meaning(case.true)
    found = compared(got, want, allowed(t))
    return found if found.kind == "right" else _as_conditioned(number, t, e, want, found)


def _as_conditioned(number: int, t: Transform, e: Example, want: list[Tensor], found: Outcome) -> Outcome:
    """Judge an error beside that of the reference in float32, which shows how far rounding goes here.

    A few steps of a growing state multiply a rounding many times, in whatever order sums are taken.
    """
    if e.kernel == "reference" or not np.isfinite(found.error):
        return found
    torch.manual_seed(number)
    with _settings(e), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        case = Case(dataclasses.replace(e, kernel="reference"))
        proof = t.prove(case)
        rounding = compared(proof[0](case.mine), want, 0.0).error if proof else 0.0
    return found._replace(kind="right") if found.error <= CONDITION * rounding else found


def allowed(t: Transform) -> float:
    """Return the largest error of a transform's results over their largest true value."""
    return TOLERANCES["second derivatives"] if t.order > 1 else TOLERANCES["transforms"]


@contextlib.contextmanager
def _settings(e: Example) -> Iterator[None]:
    """Poison and guard the kernels' buffers; share even little work where an example wants it."""
    before = engine.poison, engine.SHARED_WORK
    engine.poison, engine.SHARED_WORK = True, 0.0 if e.threads else before[1]
    try:
        with guarded(e.guard):
            yield
    finally:
        engine.poison, engine.SHARED_WORK = before


def compared(got: list[Tensor], want: list[Tensor], most: float) -> Outcome:
    """Compare results with the true ones.

    A small gradient is what is left of larger terms, so an error counts over a tenth of the largest result at
    least.
    """
    if len(got) != len(want):
        return Outcome("wrong", f"{len(got)} results, not {len(want)}", float("inf"))
    worst, text = 0.0, ""
    sizes = [float(w.detach().abs().max()) if w.numel() else 0.0 for w in want]
    largest = max(sizes, default=0.0)
    for k, (a, b) in enumerate(zip(got, want, strict=True)):
        if a.shape != b.shape or a.dtype != torch.float32:
            return Outcome(
                "wrong", f"result {k}: {tuple(a.shape)} {a.dtype}, not {tuple(b.shape)}", float("inf")
            )
        if not b.numel():
            continue
        size = max(sizes[k], 0.1 * largest) or 1.0
        error = float((a.detach().double() - b.detach()).abs().max()) / size
        if not error <= worst:
            worst = error
            text = f"result {k} of {len(got)}, shape {tuple(b.shape)}: off by {error:.2g} of the largest"
            if error != error:
                return Outcome("wrong", text + f", {int(a.isnan().sum())} of {a.numel()} NaN", float("inf"))
    return Outcome("right" if worst <= most else "wrong", text, worst)


def _shown(error: BaseException) -> str:
    """Return the kind and message of an error and where in this package it rose."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "memspan" in f.filename]
    where = " ← ".join(f"{f.filename.rsplit('/memspan/', 1)[-1]}:{f.lineno}" for f in frames[:-4:-1])
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message[:300]} [{where}]"
