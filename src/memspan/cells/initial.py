"""Initial weights by name. Every number comes from a named stream, so two cells share none by accident."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from memspan.cells.cell import Cell
from memspan.errors import ArgumentError, UnknownNameError
from memspan.streams import stream

Matrix = Callable[[np.random.Generator, int, int], np.ndarray]


def xavier_normal(g: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Normal with standard deviation √(2 / (rows + columns)) (Glorot & Bengio 2010)."""
    return g.normal(0.0, math.sqrt(2.0 / (rows + columns)), size=(rows, columns))


def xavier_uniform(g: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Uniform on ±√(6 / (rows + columns)) (Glorot & Bengio 2010)."""
    bound = math.sqrt(6.0 / (rows + columns))
    return g.uniform(-bound, bound, size=(rows, columns))


def orthogonal(g: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Orthonormal rows or columns, uniform over the Stiefel manifold (Saxe et al. 2014)."""
    tall = g.normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(tall)
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
    return q if rows >= columns else q.T


def identity(g: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Ones on the diagonal of a square matrix (Le, Jaitly & Hinton 2015); others are Xavier-normal."""
    return np.eye(rows) if rows == columns else xavier_normal(g, rows, columns)


def _torch_bound(hidden: int) -> Matrix:
    bound = 1.0 / math.sqrt(hidden)
    return lambda g, rows, columns: g.uniform(-bound, bound, size=(rows, columns))


_MATRICES: dict[str, Matrix] = {
    "xavier_normal": xavier_normal,
    "xavier_uniform": xavier_uniform,
    "orthogonal": orthogonal,
    "identity": identity,
}


STACKED = "stacked_"
"""Before a name: all gates' matrices are drawn as one, as torch stacks them; their spread is smaller."""


def matrix(init: str, hidden: int) -> Matrix:
    """Return the initialisation of one gate's matrix by name; ``"torch"`` is uniform on ±1/√H."""
    if init == "torch":
        return _torch_bound(hidden)
    if init not in _MATRICES:
        raise UnknownNameError("init", init, [*_MATRICES, "torch"])
    return _MATRICES[init]


def initial_parameters(
    cell: Cell, *, seed: int, init: str = "xavier_normal", bias: str = "zero", longest: int = 0
) -> dict[str, np.ndarray]:
    """Draw a cell's parameters, each gate's matrix by itself.

    Args:
        cell: says names and shapes.
        seed: of the stream; purpose and name of the parameter are mixed in.
        init: xavier_normal, xavier_uniform, orthogonal, identity or torch; stacked_xavier_normal and the like
            draw all gates' matrices as one.
        bias: zero; forget_one (forget gate 1, Gers et al. 2000); chrono (forget gate log U(1, T − 1),
            input gate its negative, Tallec & Ollivier 2018); torch (uniform on ±1/√H).
        longest: T, the longest dependency; chrono needs it, at least 3.

    Returns:
        Name → float32 array in the cell's shapes.

    Raises:
        UnknownNameError: unknown init or bias.
        ArgumentError: forget_one or chrono on a cell without input and forget gates.
    """
    draw = matrix(init.removeprefix(STACKED), cell.hidden_size)
    gates = 1 if init.startswith(STACKED) else max(1, len(cell.gates))
    values = cell.own_initial(seed)
    for name, shape in cell.parameter_shapes().items():
        if name in values:
            continue
        g = stream(seed, f"initial {name}")
        if len(shape) == 2:
            rows = shape[0] // gates
            values[name] = np.concatenate([draw(g, rows, shape[1]) for _ in range(gates)])
        else:
            values[name] = initial_bias(cell, name, g, bias, longest)
    return {name: value.astype(np.float32) for name, value in values.items()}


def initial_bias(cell: Cell, name: str, g: np.random.Generator, bias: str, longest: int) -> np.ndarray:
    """Draw one vector by scheme; all but ``bias_ih`` (G·H,) stay zero unless torch's."""
    rows, hidden = cell.parameter_shapes()[name][0], cell.hidden_size
    if bias == "torch":
        return _torch_bound(hidden)(g, rows, 1)[:, 0]
    value = np.zeros(rows)
    if bias == "zero" or name != "bias_ih":
        return value
    if bias not in ("forget_one", "chrono"):
        raise UnknownNameError("bias", bias, ["zero", "forget_one", "chrono", "torch"])
    if "f" not in cell.gates or "i" not in cell.gates:
        raise ArgumentError(f"bias {bias!r} sets a forget gate, and cell {cell.name!r} has none")
    block = {gate: slice(k * hidden, (k + 1) * hidden) for k, gate in enumerate(cell.gates)}
    value[block["f"]] = 1.0 if bias == "forget_one" else _chrono(g, hidden, longest)
    if bias == "chrono":
        value[block["i"]] = -value[block["f"]]
    return value


def _chrono(g: np.random.Generator, hidden: int, longest: int) -> np.ndarray:
    if longest < 3:
        raise ArgumentError(f"chrono needs the longest dependency T ≥ 3, got {longest}")
    return np.log(g.uniform(1.0, longest - 1.0, size=hidden))
