"""Drives the benchmark: equality first, then a race, then a row for every peer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from memspan.bench import ceiling, peers, sides
from memspan.bench.points import TRAINING, Point
from memspan.bench.sides import TOLERANCE, Problem
from memspan.bench.timing import QUICK, Effort, Side, Timed, Watch, race
from memspan.machine import code_version

Row = dict[str, Any]
OURS = "ours"
COLUMNS = (
    *("cell", "pass", "T", "B", "H", "R", "threads", "ragged", "ours_ms", "peer", "peer_ms", "ratio"),
    *("gflops", "ceiling_gflops", "ceiling_fraction", "equal"),
    *("error", "peer_threads", "calls", "foreign_cores", "note", "code"),
)
"""A row's keys. After the sixteen of the contract: our largest error, the peer's best thread count, calls
timed, cores that other processes used meanwhile, a note, and the version of the code."""
KEY = ("cell", "pass", "T", "B", "H", "R", "threads", "ragged", "peer")
"""The columns that name a row."""

CENTRAL = Effort(10.0, 5, 25)


_CEILINGS: dict[int, float] = {}


def best_ceiling(threads: int) -> float:
    """Return this run's ceiling in GFLOP/s for so many busy threads: the best so far, measured once more."""
    now = max(ceiling.ceilings(threads).values())
    _CEILINGS[threads] = max(now, _CEILINGS.get(threads, 0.0))
    return _CEILINGS[threads]


def bench(wanted: Iterable[Point], quick: bool = False) -> Iterator[list[Row]]:
    """Yield the rows of one point after the other."""
    for point in wanted:
        yield measure(point, QUICK if quick else CENTRAL if point.central else Effort())


def measure(point: Point, effort: Effort | None = None) -> list[Row]:
    """Return a point's rows, one a peer; a kernel that fails the check is not timed."""
    watch, problem = Watch(), Problem.at(point)
    error = sides.check(problem)
    facts = {"equal": error <= TOLERANCE, "error": error, "code": code_version()}
    if not facts["equal"]:
        note = f"not timed: differs from torch.nn by {error:.1e}, allowed {TOLERANCE:.0e}"
        return [_row(problem, peer, facts | {"note": note}) for peer in sides.peers_of(point)]
    ours = Side(OURS, point.threads, sides.ours(problem))
    timed = race([ours, *peers.torch_sides(problem)], effort)
    facts["foreign_cores"] = watch.foreign()
    mine = timed.pop(OURS)
    facts |= _speed(problem, mine)
    others, notes = peers.others(problem) if point.central else ([], {})
    timed |= race(others, effort)  # afterwards: jax's threads would disturb ours and torch's
    if replace(point, ragged=False).central:
        timed |= peers.as_it_comes(point, effort)
    met = [
        _against(problem, mine, peer, t, facts | {"note": notes.get(peer, "")}) for peer, t in timed.items()
    ]
    missing = [_row(problem, peer, facts | {"note": notes[peer]}) for peer in notes if peer not in timed]
    return met + missing


def _speed(problem: Problem, mine: Timed) -> Row:
    gflops = problem.point.operations(problem.steps) / mine.ms / 1e6
    top = best_ceiling(problem.point.threads)
    return {"ours_ms": mine.ms, "gflops": gflops, "ceiling_gflops": top, "ceiling_fraction": gflops / top}


def _against(problem: Problem, mine: Timed, peer: str, theirs: Timed, facts: Row) -> Row:
    raced = {
        "peer_ms": theirs.ms,
        "ratio": theirs.ms / mine.ms,
        "peer_threads": theirs.threads,
        "calls": min(mine.calls, theirs.calls),
    }
    return _row(problem, peer, facts | raced)


def _row(problem: Problem, peer: str, facts: Row) -> Row:
    known = problem.point.columns() | {"peer": peer} | facts
    return {name: _rounded(known.get(name)) for name in COLUMNS}


def _rounded(value: Any) -> Any:
    """Return a number with four digits: more would be noise."""
    return float(f"{value:.4g}") if isinstance(value, float) else value


def failed(rows: Sequence[Row]) -> bool:
    """Return whether any row's kernel was refused."""
    return not all(row["equal"] for row in rows)


def training_rows(rows: Iterable[Row]) -> list[Row]:
    """Return the timed rows of the training pass."""
    return [row for row in rows if row["pass"] == TRAINING and row["ratio"] is not None]
