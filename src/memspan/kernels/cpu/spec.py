"""What the CPU kernel must know of a cell, and the sizes of every buffer that follow from it."""

from __future__ import annotations

import dataclasses
import importlib
from types import ModuleType
from typing import Any

from memspan.cells import room_of
from memspan.cells.time_gate.equations import TimeGate

LAYOUT = {  # lanes → rows of the register tiles, largest first
    16: {"gates": {4: (6, 4, 2, 1), 3: (8, 4, 2, 1), 2: (8, 4, 2, 1), 1: (8, 4, 2, 1)}, "rows": (8, 4, 2, 1)},
    8: {"gates": {4: (2, 1), 3: (4, 2, 1), 2: (4, 2, 1), 1: (4, 2, 1)}, "rows": (4, 2, 1)},
    4: {"gates": {4: (2, 1), 3: (4, 2, 1), 2: (4, 2, 1), 1: (4, 2, 1)}, "rows": (4, 2, 1)},
}


def round_up(value: int, multiple: int) -> int:
    """Return the smallest multiple that is not below value."""
    return -(-value // multiple) * multiple


@dataclasses.dataclass(frozen=True)
class Spec:
    """A cell's pointwise part, and how the kernel lays out its vectors.

    A *slot* is one pre-activation z of a unit. Slots[:from_h] take the recurrent product and
    slots[-from_x:] the input product; a *panel* is ``blocks`` vectors of units with all their slots.
    """

    variant: str
    room: str
    forward: str
    backward: str
    slots: int
    gate: tuple[int, ...]
    from_h: int
    from_x: int
    saved: int
    carried: tuple[int, ...]
    direct: bool
    own: int
    lanes: int
    gated: bool = False
    again: bool = False
    made: tuple[int, ...] | None = None

    @property
    def twice(self) -> bool:
        """Whether forward walks the rows of a panel twice, beginning and finishing them.

        Where one long operation waits for another, too few rows fit into what a processor looks ahead.
        """
        return self.made is not None and not self.gated

    @property
    def record(self) -> int:
        """Vectors a unit keeps for backward.

        Under a time gate the carried parts of ``saved`` hold the blended states, and ``again`` computes the
        candidates; a cell without it keeps its candidates beside them.
        """
        return self.saved + (1 + len(self.carried) if self.gated and not self.again else 0)

    @property
    def places(self) -> tuple[int, ...]:
        """Where the states beside h lie in the record."""
        first = self.saved + 1
        return tuple(range(first, self.record)) if self.record > self.saved else self.carried

    @property
    def blocks(self) -> int:
        """Vectors of units per panel: enough to fill the register tile."""
        return 1 if self.slots > 1 else 2

    @property
    def gate_rows(self) -> tuple[int, ...]:
        """Row counts of the forward register tiles."""
        return LAYOUT[self.lanes]["gates"][self.slots]  # type: ignore[index]

    @property
    def rows(self) -> tuple[int, ...]:
        """Row counts of the backward register tiles."""
        return LAYOUT[self.lanes]["rows"]  # type: ignore[return-value]

    def units(self, H: int) -> int:
        """Return H rounded up to whole panels."""
        return round_up(H, self.blocks * self.lanes)

    def wide(self, H: int) -> int:
        """Return H rounded up to whole column panels of the backward products."""
        return round_up(H, 2 * self.lanes)

    def input_row(self, H: int, D: int) -> int:
        """Return the floats of one row [h | 1 | x], padded so that rows do not share cache sets."""
        return round_up(max(self.wide(H), self.units(H), H + 1 + D), 16)

    def gradient_columns(self, H: int) -> int:
        """Return the columns of dz, a multiple of four vectors."""
        return round_up(self.slots * self.units(H), 4 * self.lanes)


def spec_for(cell: Any, lanes: int) -> Spec:
    """Return the kernel's view of a cell; raises ImportError without a ``cpu.py`` beside its equations."""
    if isinstance(cell, TimeGate):
        return under_gate(spec_for(cell.cell, lanes))
    room = f"{room_of(cell.name)}.cpu"
    module: ModuleType = importlib.import_module(room)
    suffix = f"_{cell.nonlinearity}" if hasattr(cell, "nonlinearity") else ""
    return Spec(
        variant=cell.name + suffix,
        room=room,
        forward="forward" + suffix,
        backward="backward" + suffix,
        slots=len(module.SLOTS),
        gate=module.GATE,
        from_h=module.FROM_H,
        from_x=module.FROM_X,
        saved=len(module.SAVED),
        carried=module.CARRIED,
        direct=module.DIRECT,
        own=sum(getattr(module, "OWN", {}).values()),
        lanes=lanes,
        again=hasattr(module, "again"),
        made=getattr(module, "MADE", None),
    )


def under_gate(spec: Spec) -> Spec:
    """Return a cell's spec under a time gate."""
    return dataclasses.replace(spec, variant=f"time_gate_{spec.variant}", gated=True)
