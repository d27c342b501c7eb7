"""From a ``PackedSequence`` to padded rows and back."""

from __future__ import annotations

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from memspan.errors import ArgumentError
from memspan.layers.form import Form


def padded(layer: Form, given: PackedSequence, lengths: object) -> tuple[Tensor, Tensor]:
    """Return rows in the layer's layout and lengths (B,), in the order in which they were packed."""
    if lengths is not None:
        raise ArgumentError("lengths were given beside a PackedSequence, which has its own; leave them out")
    if layer.replicas is not None:
        raise ArgumentError("a PackedSequence has no axis for replicas; give input (R, T, B, D) and lengths")
    x, ends = pad_packed_sequence(given, layer.batch_first)
    return x, ends


def repacked(layer: Form, output: Tensor, ends: Tensor, given: PackedSequence) -> PackedSequence:
    """Pack an output in the very order of the input."""
    order = given.sorted_indices
    if order is not None:
        output = output.index_select(0 if layer.batch_first else 1, order)
        ends = ends.index_select(0, order.to(ends.device))
    data = pack_padded_sequence(output, ends, layer.batch_first).data
    return PackedSequence(data, given.batch_sizes, given.sorted_indices, given.unsorted_indices)
