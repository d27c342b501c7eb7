"""Limits on what is typed, checked before anything is computed, allocated or opened with it."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import stat
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memspan.errors import ArgumentError

if TYPE_CHECKING:
    from memspan.config import RunConfig

LARGEST = 2**63 - 1
"""Largest integer anywhere: what a ledger, a Parquet file and torch can hold."""
MOST_VALUES = 10_000
"""Values of one flag."""
MOST_RUNS = 100_000
"""Runs of one command, and seeds of one flag."""
MOST_LAYERS = 1_000
MOST_PROCESSES = 1_024
"""Processes, and threads in each."""
LIMITS = {
    "layers": MOST_LAYERS,
    "workers": MOST_PROCESSES,
    "threads": MOST_PROCESSES,
    "number": 10_000,
    "length": 10_000_000,
    "hidden": 1_000_000,
    "batch": 10_000_000,
    "inputs": 1_000_000,
    "runs": MOST_RUNS,
}
"""Largest integers by field; of others 2⁶³ − 1."""
LONGEST_NUMBER = 40
"""Characters of a number; patterns and conversions take quadratic time in them."""
LONGEST_NAME, LONGEST_PATH = 255, 4_095
"""Bytes of a name in a path and of a whole path, on the file systems in use."""
NAMED_FILES = ("corpus", "model", "what")
"""Fields of type str that may name a file or folder."""
OVERCOMMIT = 4
"""A run is refused if it needs so many times the memory that is free: the estimate is on the safe side."""

_NUMBER = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_RANGE = re.compile(rf"({_NUMBER}):({_NUMBER})(?::({_NUMBER}))?")


def shortened(value: object) -> str:
    """Return a value as a message shows it: its ends, where it is long."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 80 else f"{text[:40]}…{text[-10:]} ({len(text):,} characters)"


def value_of(flag: str, text: str) -> int | float | bool | str:
    """Return what a word on the command line stands for: a number, true or false, or itself.

    Raises:
        ArgumentError: a number that no run, file or ledger could hold.
    """
    if len(text) > LONGEST_NUMBER:
        if re.fullmatch(r"[-+0-9.eE]+", text):
            raise ArgumentError(f"{flag} {shortened(text)}: expected at most {LONGEST_NUMBER} characters")
        return text
    if not re.fullmatch(rf"{_NUMBER}|true|false|-?Infinity|NaN", text):
        return text
    try:
        value = json.loads(text)
    except ValueError:  # 007 or +1, which JSON does not know
        return text
    if not abs(value) <= LARGEST:  # infinite, too, or not a number
        raise ArgumentError(f"{flag} {text}: expected a number below 2⁶³")
    result: int | float | bool = value
    return result


def values_of(flag: str, text: str) -> list[Any]:
    """Read ``a,b,c`` and ranges ``start:stop:step``, the end included where a step lands on it.

    Raises:
        ArgumentError: an empty place, a range that holds nothing, or more than ``MOST_VALUES`` values.

    Example:
        >>> values_of("--length", "5,10:40:10")
        [5, 10, 20, 30, 40]
        >>> values_of("--lr", "1e-3,1e-2"), values_of("--cell", "lstm,gru")
        ([0.001, 0.01], ['lstm', 'gru'])
    """
    found: list[Any] = []
    for part in map(str.strip, text.split(",")):
        if not part:
            raise ArgumentError(f"{flag} {shortened(text)!r}: expected values such as 1,2,3 or 10:100:10")
        match = _RANGE.fullmatch(part) if len(part) <= 3 * LONGEST_NUMBER else None
        found += _range(flag, part, match.groups()) if match else [value_of(flag, part)]
        if len(found) > MOST_VALUES:
            raise ArgumentError(f"{flag} {shortened(text)}: expected at most {MOST_VALUES:,} values")
    return list(dict.fromkeys(found))


def _range(flag: str, part: str, bounds: Sequence[str | None]) -> Iterator[Any]:
    """Count in decimals: 0.1:0.3:0.1 has three values, and the third is 0.3."""
    start, stop, step = (_decimal(flag, bound or "1") for bound in bounds)
    if step <= 0 or stop < start:
        raise ArgumentError(f"{flag} {part}: expected start:stop:step with start ≤ stop and step > 0")
    count = (stop - start) / step
    if count >= MOST_VALUES:
        raise ArgumentError(
            f"{flag} {part} has {float(count) + 1:,.0f} values; expected at most {MOST_VALUES:,}; "
            "take a longer step"
        )
    whole = all(bound == bound.to_integral_value() for bound in (start, step))
    for k in range(int(count) + 1):
        yield int(start + k * step) if whole else float(start + k * step)


def _decimal(flag: str, text: str) -> Decimal:
    """Return a bound of a range; beyond these sizes counting would never end, or not be exact."""
    try:
        value = Decimal(text)
    except InvalidOperation:  # an exponent of more digits than decimals have
        value = Decimal("Infinity")
    # Exponents first: arithmetic with huge ones overflows.
    if not value.is_finite() or (value and not -18 <= value.adjusted() <= 18) or abs(value) > LARGEST:
        raise ArgumentError(f"{flag} {shortened(text)}: expected a range of numbers from 1e-18 to below 2⁶³")
    return value


def seeds_of(text: str) -> list[int]:
    """Read seeds such as ``0-4`` or ``1,3,7-9``.

    Raises:
        ArgumentError: anything else, seeds from 2⁶³ on, or more than ``MOST_RUNS`` of them.
    """
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch("([0-9]+)(?:-([0-9]+))?", part.strip())
        if match is None:
            raise _no_seeds(text)
        first, last = (_seed(number) for number in (match[1], match[2] or match[1]))
        if last < first:
            raise _no_seeds(text)
        if len(seeds) + last - first >= MOST_RUNS:
            raise ArgumentError(f"--seeds {shortened(text)}: expected at most {MOST_RUNS:,} seeds")
        seeds += range(first, last + 1)
    return list(dict.fromkeys(seeds))


def _no_seeds(text: str) -> ArgumentError:
    return ArgumentError(f"--seeds {shortened(text)!r}: expected numbers and ranges such as 0-4 or 1,3,7-9")


def _seed(digits: str) -> int:
    # Python itself refuses to read numbers of thousands of digits.
    if len(digits) > 19 or int(digits) > LARGEST:
        raise ArgumentError(f"--seeds {shortened(digits)}: expected seeds in 0 … 2⁶³ − 1")
    return int(digits)


def check_count(product: int) -> None:
    """Refuse a grid of too many runs before the first of them is made."""
    if product > MOST_RUNS:
        raise ArgumentError(f"{product:,} runs; expected at most {MOST_RUNS:,}, take fewer values or seeds")


def check_memory(runs: Sequence[RunConfig], engine: str = "local") -> None:
    """Refuse runs of which a single one cannot fit here; how much a cluster has is not known.

    Raises:
        ArgumentError: too many layers, or far more memory than is free.
    """
    from memspan.machine import free_memory
    from memspan.sweep.cost import memory, worker_memory

    room = math.inf if engine == "ray" else free_memory()
    for task, recipe in dict.fromkeys((run.task, run.recipe) for run in runs):
        if recipe.layers > MOST_LAYERS:
            raise ArgumentError(f"layers {recipe.layers:,}: expected at most {MOST_LAYERS:,}")
        run = dataclasses.replace(runs[0], task=task, recipe=recipe)
        needed = memory(run) + worker_memory(run)
        if needed > OVERCOMMIT * room:
            raise ArgumentError(
                f"a run with hidden {recipe.hidden:,}, layers {recipe.layers:,}, batch {recipe.batch:,}, "
                f"steps {recipe.steps:,} on {task.steps:,} inputs needs about {needed / 2**30:,.0f} GiB; "
                f"this machine has {room / 2**30:.1f} GiB free; take smaller sizes"
            )


def check_values(verb: object) -> None:
    """Refuse values that no verb could use: integers beyond their limit, and names of no ordinary file."""
    for field in dataclasses.fields(verb):  # type: ignore[arg-type]
        value = getattr(verb, field.name)
        if dataclasses.is_dataclass(value):
            check_values(value)
        for single in value if isinstance(value, tuple) else (value,):
            _check_value(field.name, single)


def _check_value(name: str, value: object) -> None:
    flag = "--" + name.replace("_", "-")
    most = LIMITS.get(name, LARGEST)
    if isinstance(value, int) and abs(value) > most:
        expected = "an integer below 2⁶³" if most == LARGEST else f"at most {most:,}"
        raise ArgumentError(f"{flag} {shortened(str(value))}: expected {expected}")
    if isinstance(value, Path) or (name in NAMED_FILES and isinstance(value, str)):
        check_path(flag, Path(value))


def check_path(flag: str, path: Path) -> None:
    """Refuse names that no file system takes, and what is neither a file nor a folder.

    Opening a FIFO waits for whoever writes into it, and a device may never end.
    """
    longest = max((len(name.encode(errors="surrogateescape")) for name in path.parts), default=0)
    whole = len(str(path).encode(errors="surrogateescape"))
    if longest > LONGEST_NAME or whole > LONGEST_PATH:
        raise ArgumentError(
            f"{flag} {shortened(str(path))}: too long a name; expected at most {LONGEST_NAME} bytes for each"
            f" part and {LONGEST_PATH:,} for all of it"
        )
    try:
        mode = path.stat().st_mode
    except OSError:  # missing, or not to be looked at: whoever opens it says so
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise ArgumentError(f"{flag} {path}: neither a file nor a folder (a FIFO, socket or device)")
