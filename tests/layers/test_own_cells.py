"""docs/own-cells.md does what it says, on the reference and on the fused path."""

import sys

import pytest
import torch
from layer_cases import close
from minimal_gated import MinimalGatedUnit, blocks

import memspan
from memspan.cells import CELLS


def test_the_page_runs(capsys):
    names: dict = {"__name__": "own_cells"}
    for block in blocks()[:3]:
        exec(block, names)
    assert "is not a cell of the registry" in capsys.readouterr().out


def test_the_unit_is_the_papers():
    cell = MinimalGatedUnit(3, 5)
    step = memspan.OneStep(cell, dtype=torch.float64)
    x, h = torch.randn(4, 3, dtype=torch.float64), torch.randn(4, 5, dtype=torch.float64)
    (wf, wn), (uf, un) = step.weight_ih.chunk(2), step.weight_hh.chunk(2)
    (bf, bn), (df, dn) = step.bias_ih.chunk(2), step.bias_hh.chunk(2)
    f = torch.sigmoid(x @ wf.T + bf + h @ uf.T + df)
    n = torch.tanh(x @ wn.T + bn + (f * h) @ un.T + dn)
    close(step(x, h), (1 - f) * h + f * n)


def test_a_layer_of_layers_is_its_cells_in_a_row():
    torch.manual_seed(0)
    layer = memspan.Recurrent(MinimalGatedUnit(3, 5), 2, bidirectional=True, dtype=torch.float64)
    x = torch.randn(6, 4, 3, dtype=torch.float64)
    output, h = layer(x)
    for k in range(2):
        halves = []
        for d, suffix in enumerate(("", "_reverse")):
            step = memspan.OneStep(MinimalGatedUnit(x.shape[-1], 5), dtype=torch.float64)
            own = f"_l{k}{suffix}"
            step.load_state_dict(
                {n.removesuffix(own): v for n, v in layer.state_dict().items() if n.endswith(own)}
            )
            state, steps = torch.zeros(4, 5, dtype=torch.float64), []
            for now in x.flip(0) if d else x:
                state = step(now, state)
                steps.append(state)
            halves.append(torch.stack(steps[::-1] if d else steps))
            close(h[2 * k + d], state)
        x = torch.cat(halves, -1)
    close(output, x)


def test_step_alone_is_enough():
    """No name, no gates, no gate_values."""

    class Leaky(memspan.Cell):
        def step(self, p, x, state, time=None):
            return (0.9 * state[0] + 0.1 * (x @ p["weight_ih"].mT).tanh(),)

    layer = memspan.Recurrent(Leaky(3, 5), num_layers=2)
    assert layer(torch.randn(6, 4, 3))[0].shape == (6, 4, 5)
    assert layer.choice().reason == "Leaky is not a cell of the registry"
    with pytest.raises(memspan.errors.KernelRefusal, match="define gate_values"):
        layer(torch.randn(6, 4, 3), return_gates=True)


@pytest.fixture
def fused_room(tmp_path, monkeypatch):
    """The page's fourth and fifth example as a package of one's own, registered as the page says."""
    room = tmp_path / "mypackage" / "minimal_gated"
    room.mkdir(parents=True)
    for folder in (room.parent, room):
        (folder / "__init__.py").write_text("")
    (room / "equations.py").write_text(blocks()[3])
    (room / "cpu.py").write_text(blocks()[4])
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(CELLS, "_table", dict(CELLS._table))
    CELLS.register("minimal_gated", "mypackage.minimal_gated.equations:MinimalGatedUnitAfter")
    yield CELLS.resolve("minimal_gated")
    for name in [n for n in sys.modules if n.startswith("mypackage")]:
        del sys.modules[name]


def test_a_taken_name_is_refused():
    CELLS.register("lstm", CELLS["lstm"])
    with pytest.raises(memspan.errors.ArgumentError, match="already"):
        CELLS.register("lstm", "mypackage.mine:LSTM")


def test_the_pair_brings_the_fused_path(fused_room):
    torch.manual_seed(0)
    layer = memspan.Recurrent(fused_room(3, 17), 2, bidirectional=True, kernel="cpu")
    plain = memspan.Recurrent(fused_room(3, 17), 2, bidirectional=True, kernel="reference")
    plain.load_state_dict(layer.state_dict())
    x, lengths = torch.randn(9, 5, 3), [9, 1, 0, 4, 7]
    results = [module(x, lengths=lengths) for module in (layer, plain)]
    for mine, other in zip(*results, strict=True):
        close(mine, other)
    grads = [
        torch.autograd.grad(output.square().sum() + h.sum(), list(module.parameters()))
        for module, (output, h) in zip((layer, plain), results, strict=True)
    ]
    for mine, other in zip(*grads, strict=True):
        close(mine, other, 10)
