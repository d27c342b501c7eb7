"""Fair clocks: sides take turns, medians are kept, and what others do on this machine is told."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import itertools
import math
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from memspan.errors import MemspanError

BUSY = 0.15
"""Cores that others may use before a machine counts as busy."""
_TURN = 0.02
_LONG = 0.3
_TRIM_ABOVE, _MMAP_MAX = -1, -4  # of glibc's malloc.h


@dataclass(frozen=True, eq=False)
class Side:
    """One way to do the work, under one number of torch threads.

    Args:
        name: sides of one name compete, and the fastest of them counts.
        threads: torch threads while it runs.
        call: does the work once.
    """

    name: str
    threads: int
    call: Callable[[], object]


@dataclass(frozen=True)
class Timed:
    """The best of a name's sides: median milliseconds, its threads, how many calls, every turn's median."""

    ms: float
    threads: int
    calls: int
    turns: tuple[float, ...] = ()


@dataclass(frozen=True)
class Effort:
    """How long a race lasts: at least ``least`` turns, then until ``seconds`` or ``most`` turns are over."""

    seconds: float = 5.0
    least: int = 3
    most: int = 15


QUICK = Effort(0.5, 2, 3)


def race(sides: Sequence[Side], effort: Effort | None = None) -> dict[str, Timed]:
    """Let sides run in turn, forwards and backwards, and return each name's best.

    A side 1.5 times slower than its name's best after two turns is dropped: its threads do not suit it.
    """
    effort = effort or Effort()
    taken: dict[Side, list[list[float]]] = {side: [] for side in sides}
    began = time.perf_counter()
    with _quiet():
        for turn in range(effort.most):
            for side in list(taken)[:: -1 if turn % 2 else 1]:
                taken[side].append(_turn(side))
            if turn == 1:
                taken = _suited(taken)
            if turn + 1 >= effort.least and time.perf_counter() - began > effort.seconds:
                break
    best: dict[str, Timed] = {}
    for side, turns in taken.items():
        medians = tuple(1e3 * statistics.median(turn) for turn in turns)
        one = Timed(1e3 * _median(turns), side.threads, sum(map(len, turns)), medians)
        best[side.name] = min(one, best.get(side.name, one), key=lambda timed: timed.ms)
    return best


def ratio_interval(theirs: Sequence[float], mine: Sequence[float]) -> tuple[float, float] | None:
    """Return a 95% interval of the median of ratios, a ratio a turn; None where turns are fewer than six.

    Turns of one race stand side by side, so what slows both cancels. The ends are order statistics, whose
    place asks nothing of how times are distributed.
    """
    ratios = sorted(their / my for their, my in zip(theirs, mine, strict=True))
    n, place, outside = len(ratios), 0, 1 / 2 ** len(ratios)
    while 2 * outside <= 0.05:
        place += 1
        outside += math.comb(n, place) / 2**n
    return (ratios[place - 1], ratios[n - place]) if place else None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No garbage collection, and denormals flushed for every side, as training does; restored afterwards."""
    import torch  # here: the command line imports this module for its sentences, and must start at once

    collecting, threads = gc.isenabled(), torch.get_num_threads()
    gc.disable()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)
        if collecting:
            gc.enable()


def _turn(side: Side) -> list[float]:
    """Return the seconds of a few calls in a row; the first, which wakes caches and pools, does not count."""
    import torch

    torch.set_num_threads(side.threads)
    first = _clock(side.call)
    if first > _LONG:
        return [first]
    return [_clock(side.call) for _ in range(min(10, max(1, int(_TURN / first))))]


def _clock(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _median(turns: list[list[float]]) -> float:
    return statistics.median(itertools.chain(*turns))


def _suited(taken: dict[Side, list[list[float]]]) -> dict[Side, list[list[float]]]:
    medians = {side: _median(turns) for side, turns in taken.items()}
    fastest: dict[str, float] = {}
    for side, median in medians.items():
        fastest[side.name] = min(median, fastest.get(side.name, float("inf")))
    return {side: turns for side, turns in taken.items() if medians[side] <= 1.5 * fastest[side.name]}


def keep_memory() -> bool:
    """Have the C library keep what this process frees, for good; return whether it can.

    glibc gives large blocks back to the system, and the page faults of fresh ones are a good part of the time
    of ``nn.LSTM``. Whether it does depends on the sizes freed before, so that without this a side's time
    would depend on what was measured earlier.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    return mallopt is not None and bool(mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_ABOVE, 2**31 - 1))


class Watch:
    """Watches, from its making on, how many cores other processes use."""

    def __init__(self) -> None:
        self.began, self.busy, self.own = time.monotonic(), _machine_seconds(), _own_seconds()

    def foreign(self) -> float | None:
        """Return the cores used by others since the watch began; None where the system does not tell."""
        busy, wall = _machine_seconds(), time.monotonic() - self.began
        if busy is None or self.busy is None:
            return None
        others = (busy - self.busy) - (_own_seconds() - self.own)
        return round(max(0.0, others) / max(wall, 0.05), 2)


def _machine_seconds() -> float | None:
    """Return the processor seconds all processes of this machine have used, and those taken from it."""
    try:
        words = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()
    except OSError:
        return None
    user, nice, system, _, _, irq, soft, steal = map(int, words[1:9])
    return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    return sum(os.times()[:4])


def refuse_if_busy(seconds: float = 1.0) -> None:
    """Look for a while, and refuse to measure beside other work.

    Raises:
        MemspanError: others use this machine's cores.
    """
    watch = Watch()
    time.sleep(seconds)
    foreign = watch.foreign()
    if foreign is not None and foreign > BUSY:
        raise MemspanError(
            f"other processes use {foreign:.2f} cores: a time measured now would be theirs too; "
            "wait until the machine is quiet, or measure all the same with --busy"
        )
