"""The minimal gated unit of docs/own-cells.md, run from the page itself."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "own-cells.md"


def blocks() -> list[str]:
    """Return the page's Python examples in order."""
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def minimal_gated_unit() -> type:
    """Return the cell that the page's first example defines."""
    names: dict = {"__name__": "own_cells"}
    exec(compile(blocks()[0], str(PAGE), "exec"), names)
    return names["MinimalGatedUnit"]


MinimalGatedUnit = minimal_gated_unit()
MinimalGatedUnit.__module__ = __name__  # where pickle finds it
