"""What gated layers and one-step cells share: how clocks start, which parts are learned, what they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from torch import nn

from memspan.cells.cell import Cell
from memspan.cells.time_gate.equations import LEAK, TimeGate
from memspan.cells.time_gate.initial import LogUniform, Scheme
from memspan.errors import ArgumentError, UnknownNameError

Periods = tuple[float, float] | None
PARAMETERS = {"period": "log_period", "shift": "shift", "open_ratio": "open_logit"}
"""What a clock is set by, and the parameter that stands for it."""
EVERY = tuple(PARAMETERS)


def gated(
    cell: Cell, periods: Periods, open_ratio: float | None, initial: Scheme | None, leak: float
) -> TimeGate:
    """Return a cell under a time gate whose clocks start as told."""
    return TimeGate(cell, leak, scheme_of(periods, open_ratio, initial))


def scheme_of(periods: Periods, open_ratio: float | None, initial: Scheme | None) -> Scheme:
    """Return how the clocks start: as ``initial`` says, or log-uniform."""
    if initial is not None:
        if periods is not None or open_ratio is not None:
            raise ArgumentError(f"initial={initial!r} sets every clock; leave periods and open_ratio out")
        return initial
    usual = LogUniform()
    low, high = (usual.low, usual.high) if periods is None else _pair(periods)
    return LogUniform(low, high, usual.open_ratio if open_ratio is None else open_ratio)


def _pair(periods: Any) -> tuple[float, float]:
    if not isinstance(periods, (tuple, list)) or len(periods) != 2:
        raise ArgumentError(f"periods={periods!r}: expected the shortest and the longest, (low, high)")
    return periods[0], periods[1]


def names_of(learned: Iterable[str]) -> tuple[str, ...]:
    """Return the names of what is learned, in the order of ``PARAMETERS``."""
    if not isinstance(learned, Iterable):
        raise ArgumentError(f"learned={learned!r}: expected names among {', '.join(EVERY)}, or () for none")
    given = {learned} if isinstance(learned, str) else set(learned)
    for name in given - set(EVERY):
        raise UnknownNameError("part of a clock", name, EVERY)
    return tuple(name for name in EVERY if name in given)


def freeze(module: nn.Module, learned: tuple[str, ...]) -> None:
    """Take the clocks' parameters that are not learned out of training."""
    frozen = tuple(parameter for name, parameter in PARAMETERS.items() if name not in learned)
    for name, parameter in module.named_parameters():
        if frozen and name.startswith(frozen):
            parameter.requires_grad_(False)


def clocks_of(module: Any, names: Mapping[str, str]) -> list[np.ndarray]:
    """Return periods, shifts and open ratios of one gate; ``names`` are its parameters' full names."""
    p = {name: getattr(module, names[name]).detach() for name in PARAMETERS.values()}
    return [value.cpu().numpy() for value in module.cell.clocks_of(p)]


def told(module: Any) -> str:
    """Return the gate's arguments that are not at their default, as a layer prints them."""
    usual = {"initial": LogUniform(), "leak": LEAK, "learned": EVERY}
    given = {"initial": module.cell.initial, "leak": module.cell.leak, "learned": module.learned}
    return "".join(f", {name}={value!r}" for name, value in given.items() if value != usual[name])
