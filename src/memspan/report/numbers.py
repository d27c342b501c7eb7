"""How numbers are written, the same in prose, tables and files."""

from __future__ import annotations

from collections.abc import Mapping

from memspan.errors import LedgerError
from memspan.statistics import Interval

MINUS = "\N{MINUS SIGN}"


def number(value: float | None, digits: int = 2) -> str:
    """Return a number with a true minus sign; a dash where there is none."""
    if value is None or value != value:
        return "–"
    text = f"{value:.{digits}f}"
    return text.replace("-", MINUS) if float(text) else text.lstrip("-")


def scientific(value: float | None) -> str:
    """Return a number of any size with two digits, such as 3.1e−7, 2 or 1,500."""
    if value is None or value != value:
        return "–"
    if 100 <= abs(value) < 10_000:
        return f"{float(f'{value:.2g}'):,.0f}".replace("-", MINUS)
    return f"{value:.2g}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e").replace("-", MINUS)


def between(low: float | None, high: float | None, digits: int = 2) -> str:
    """Return an interval in brackets; a dash where there is none."""
    return "–" if low is None or high is None else f"[{number(low, digits)}, {number(high, digits)}]"


def estimate(interval: Interval | None, digits: int = 2) -> str:
    """Return a value with its interval."""
    if interval is None:
        return "–"
    if interval.low is None:
        return f"{number(interval.value, digits)} (n = 1, no interval)"
    return f"{number(interval.value, digits)} {between(interval.low, interval.high, digits)}"


def tied(text: str) -> str:
    """Return a text in which "T = 5" does not break over two lines."""
    return text.replace("T = ", "T\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}")


def share(interval: Interval) -> str:
    """Return a share of seeds as a count, with its interval."""
    count = round(interval.value * interval.n) if interval.n else 0
    return f"{count} of {interval.n} {between(interval.low, interval.high)}"


def cell_text(value: object) -> str:
    """Return a value for a CSV cell: numbers in full, nothing where there is none."""
    if value is None or (isinstance(value, float) and value != value):
        return ""
    return f"{value:.9g}" if isinstance(value, float) else str(value)


class Shown(float):
    """A number that writes itself with two digits where a sentence names no other way."""

    def __format__(self, spec: str) -> str:
        return super().__format__(spec) if spec else scientific(self)


def filled(sentence: str, values: Mapping[str, object]) -> str:
    """Return a sentence with the numbers that it names in braces.

    Raises:
        LedgerError: a number it names is not among them.
    """
    numbers = {name: Shown(value) for name, value in values.items() if isinstance(value, int | float)}
    try:
        return sentence.format(**numbers)
    except KeyError as error:
        raise LedgerError(f"the sentence {sentence[:40]!r} … names {error}, which nothing measures") from None
