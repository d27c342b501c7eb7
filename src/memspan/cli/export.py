"""``memspan export``: a layer, or one step of a cell, as an ONNX file with open time and batch."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from memspan.cli.names import check_cell
from memspan.errors import ArgumentError

if TYPE_CHECKING:
    from memspan.layers import OneStep, Recurrent


@dataclass(frozen=True)
class Export:
    """Write a layer, or one step of a cell, as an ONNX file and compare it in onnxruntime."""

    cell: tyro.conf.Positional[str]
    """The cell: rnn, gru or lstm."""
    weights: Path
    """Its state_dict as safetensors, under the names of torch.nn; sizes and layers are read off it."""
    out: Path = Path("layer.onnx")
    """The file to write."""
    step: bool = False
    """One step, state in and state out, instead of the whole layer."""
    batch_first: bool = False
    """Batch before time in input and output."""
    lengths: bool = False
    """The layer takes the rows' lengths as a further input."""
    json: bool = False
    """Print JSON."""

    def run(self) -> int:
        """Write the file and say what it takes and returns."""
        from memspan.layers.onnx import to_onnx

        made = to_onnx(self._module(), self.out, lengths=self.lengths)
        if self.json:
            print(json.dumps(dataclasses.asdict(made)))
        else:
            print(f"{made.path}: ({', '.join(made.inputs)}) → ({', '.join(made.outputs)})")
            print(f"onnxruntime differs by at most {made.largest_difference:.1e}")
        return 0

    def _module(self) -> Recurrent | OneStep:
        from memspan.layers.stored import layer_of, one_step_of

        check_cell(self.cell)
        if self.step:
            return one_step_of(self.cell, self._read())
        return layer_of(self.cell, self._read(), batch_first=self.batch_first)

    def _read(self) -> dict[str, Any]:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(self.weights)
        except (OSError, SafetensorError) as error:
            raise ArgumentError(f"--weights {self.weights}: not a safetensors file ({error})") from None
