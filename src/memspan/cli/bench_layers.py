"""``memspan bench layers``: whole layers against torch.nn's, equality first."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from memspan.errors import UnknownNameError

CELLS = ("lstm", "gru")


@dataclass(frozen=True)
class BenchLayers:
    """Time two-layer bidirectional layers, dense and ragged, in turns with torch.nn; about a minute."""

    cell: tuple[str, ...] = CELLS
    """Only these cells: lstm, gru."""
    ragged: Literal["both", "yes", "no"] = "both"
    """Only ragged points (yes), or only dense ones (no)."""
    threads: int = 2
    """Cores that either side may use."""
    length: int = 100
    """T."""
    batch: int = 128
    """B."""
    inputs: int = 128
    """D."""
    hidden: int = 128
    """H."""
    quick: bool = False
    """Few repeats: a look."""
    busy: bool = False
    """Measure although other processes use this machine; the rows say how much."""
    json: bool = False
    """Print the rows as JSON."""

    def run(self) -> int:
        """Measure and print; the exit code is 1 when a layer failed its check."""
        for name in self.cell:
            if name not in CELLS:
                raise UnknownNameError("cell", name, CELLS)
        from memspan.bench.layers import LayerPoint, measure
        from memspan.bench.timing import QUICK, keep_memory, refuse_if_busy

        if not self.busy:
            refuse_if_busy()
        keep_memory()
        sizes = (self.threads, self.length, self.batch, self.inputs, self.hidden)
        wanted = {"both": (False, True), "yes": (True,), "no": (False,)}[self.ragged]
        points = [LayerPoint(cell, ragged, *sizes) for cell in self.cell for ragged in wanted]
        rows = [row for point in points for row in measure(point, QUICK if self.quick else None)]
        print(json.dumps(rows, indent=1) if self.json else "\n".join(map(_told, rows)))
        return 0 if all(row["equal"] for row in rows) else 1


def _told(row: dict[str, Any]) -> str:
    kind = f"{row['cell']:5} {'ragged' if row['ragged'] else 'dense':6} {row['peer']:15}"
    if not row["equal"]:
        return f"{kind} not timed: differs from torch.nn by {row['error']:.1e}"
    return f"{kind} ours {row['ours_ms']:8.1f} ms  theirs {row['peer_ms']:8.1f} ms  ratio {row['ratio']:5.2f}"
