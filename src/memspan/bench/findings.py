"""What was measured, kept as one JSON file: a run in several parts adds to it, the page is drawn from it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from memspan.bench.kernels import KEY, Row
from memspan.bench.points import Point
from memspan.errors import ArgumentError, OutputError
from memspan.machine import machine

FILE = "kernels.json"


@dataclass
class Findings:
    """Rows, and what is no row, of one machine.

    Args:
        machine: where it was measured.
        rows: see ``kernels.COLUMNS``.
        others: name → numbers of ``pack``, ``avx2``, ``compile``, ``memory`` and ``study``.
    """

    machine: Mapping[str, Any] = field(default_factory=machine)
    rows: list[Row] = field(default_factory=list)
    others: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path, *, drawing: bool = False) -> Findings:
        """Return a folder's findings, empty ones if there are none yet.

        Args:
            folder: where the file lies.
            drawing: nothing will be added, so the file must be there and may be another machine's.

        Raises:
            ArgumentError: no file to draw, no findings in it, or those of another machine.
        """
        path = folder / FILE
        if not path.exists():
            if drawing:
                raise ArgumentError(f"--out {folder}: there is no {FILE} in it to draw; measure first")
            return cls()
        try:
            found = cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            raise ArgumentError(f"{path}: memspan bench kernels did not write this; move it away") from None
        if not drawing:
            refuse_another_machine(path, found.machine)
        return found

    def holds(self, point: Point) -> bool:
        """Return whether a point's rows are there, and its kernel passed."""
        wanted = point.columns().items()
        return any(row["equal"] and wanted <= row.items() for row in self.rows)

    def add(self, rows: Iterable[Row]) -> None:
        """Add rows; a row measured again takes the place of the old one."""
        known = {tuple(row[name] for name in KEY): row for row in self.rows}
        known |= {tuple(row[name] for name in KEY): row for row in rows}
        self.rows = list(known.values())

    def write(self, folder: Path) -> None:
        """Write the file, whole or not at all.

        Raises:
            OutputError: the folder cannot be made or written.
        """
        page = {"machine": dict(self.machine), "others": self.others, "rows": self.rows}
        write_whole(folder, FILE, as_text(page))


def write_whole(folder: Path, name: str, text: str) -> None:
    """Write a file whole or not at all.

    Raises:
        OutputError: the folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        new = folder / f"{name}.new"
        new.write_text(text, encoding="utf-8")
        os.replace(new, folder / name)
    except OSError as error:
        raise OutputError(
            f"--out {folder}: cannot be written ({error.strerror}); choose another folder"
        ) from None


def refuse_another_machine(path: Path, measured: Mapping[str, Any]) -> None:
    """Refuse to add to what was not measured here.

    Raises:
        ArgumentError: the machine that measured it is another than this, or its versions are.
    """
    if dict(measured) != machine():
        raise ArgumentError(
            f"{path} was measured on another machine or with other versions; times do not mix: "
            "move it away, or choose another --out"
        )


def as_text(page: Mapping[str, Any]) -> str:
    """Return JSON with one row a line, so that a change shows where it is."""
    head = json.dumps({k: v for k, v in page.items() if k != "rows"}, indent=1, ensure_ascii=False)
    rows = ",\n".join(f"  {json.dumps(row, ensure_ascii=False)}" for row in page["rows"])
    return head.removesuffix("\n}") + f',\n "rows": [\n{rows}\n ]\n}}\n'
