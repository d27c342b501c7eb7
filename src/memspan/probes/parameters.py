"""How many parameters an LSTM has: the report's formulas against the network that is trained."""

from __future__ import annotations

import torch

from memspan.cells.lstm.equations import LSTM
from memspan.models.sequence import SequenceModel
from memspan.streams import stream


def parameters(cases: int, seed: int) -> dict[str, float]:
    """Return the numbers behind c11 over random sizes n, d and o.

    Returns:
        ``cell_error``: 4(nd + n² + n) against the cell, relative; ``torch_error``: the same plus 4n, for the
        second bias of ``torch.nn.LSTM``; ``read_out_error``: with on + n more, as printed, against the
        network; ``right_error``: with on + o. ``study, study_printed``: the network of the palindromes.
    """
    g = stream(seed, "probe parameters")
    sizes = [tuple(int(v) for v in g.integers(1, 200, 3)) for _ in range(max(1, cases // 10))]
    found = [_errors(*size) for size in sizes]
    numbers = {name: max(errors[name] for errors in found) for name in found[0]}
    return numbers | {"study": float(_network(128, 1, 10)), "study_printed": float(_printed(128, 1, 10))}


def _errors(n: int, d: int, o: int) -> dict[str, float]:
    cell, whole = LSTM(d, n, biases=1).parameter_count(), _network(n, d, o)
    theirs = sum(p.numel() for p in torch.nn.LSTM(d, n).parameters())
    return {
        "cell_error": abs(_formula(n, d) - cell) / cell,
        "torch_error": abs(_formula(n, d) + 4 * n - theirs) / theirs,
        "read_out_error": abs(_printed(n, d, o) - whole) / whole,
        "right_error": abs(_formula(n, d) + o * n + o - whole) / whole,
    }


def _formula(n: int, d: int) -> int:
    return 4 * (n * d + n * n + n)


def _printed(n: int, d: int, o: int) -> int:
    return _formula(n, d) + o * n + n


def _network(n: int, d: int, o: int) -> int:
    return SequenceModel((LSTM(d, n, biases=1),), 1, o).parameter_count()
