"""Layers and one-step cells of every cell run in onnxruntime, by call and by command."""

import json

import pytest
import torch
from layer_cases import close
from minimal_gated import MinimalGatedUnit
from safetensors.torch import save_file

import memspan
from memspan.cells import CELLS
from memspan.cells.time_gate.equations import TimeGate
from memspan.cli import main
from memspan.errors import ArgumentError, KernelRefusal, OutputError
from memspan.layers.stored import layer_of, one_step_of

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra [export] is not installed")
pytest.importorskip("onnxscript", reason="the extra [export] is not installed")

from memspan.layers.onnx import to_onnx  # noqa: E402

EVERY = {name: CELLS.resolve(name)(3, 5) for name in CELLS}
EVERY |= {"relu": CELLS.resolve("rnn")(3, 5, nonlinearity="relu"), "own": MinimalGatedUnit(3, 5)}
EVERY |= {f"gated {name}": TimeGate(EVERY[name]) for name in ("rnn", "peephole_lstm")}


@pytest.mark.parametrize("name", EVERY)
def test_one_step_of_every_cell(name, tmp_path):
    made = to_onnx(memspan.OneStep(EVERY[name]), tmp_path / "step.onnx")
    states = EVERY[name].states
    assert made.outputs == tuple(f"{n}_n" for n in states)
    assert made.inputs[: 1 + len(states)] == ("input", *(f"{n}_0" for n in states))
    assert made.largest_difference <= 1e-5


def test_a_layer_with_open_axes(tmp_path):
    layer = memspan.LSTM(3, 5, 2, bidirectional=True, batch_first=True, dropout=0.5)
    to_onnx(layer, tmp_path / "layer.onnx", lengths=True)
    session = onnxruntime.InferenceSession(str(tmp_path / "layer.onnx"))
    x, hx, n = torch.randn(2, 30, 3), torch.randn(4, 2, 5), torch.tensor([30, 0])
    given = {"input": x, "h_0": hx, "c_0": -hx, "lengths": n}
    made = session.run(None, {name: value.numpy() for name, value in given.items()})
    assert layer.training  # the layer itself stays as it was
    with torch.no_grad():
        wanted, (h, c) = layer.eval()(x, (hx, -hx), lengths=n)
    for mine, other in zip(made, (wanted, h, c), strict=True):
        close(torch.from_numpy(mine), other, 5)


def test_a_gated_layer_takes_times(tmp_path):
    layer = memspan.Recurrent(TimeGate(CELLS.resolve("peephole_lstm")(3, 5)), bidirectional=True)
    assert to_onnx(layer, tmp_path / "layer.onnx").inputs == ("input", "h_0", "c_0", "times")


def test_refusals(tmp_path):
    path = tmp_path / "no.onnx"
    with pytest.raises(ArgumentError, match="export one replica's weights"):
        to_onnx(memspan.GRU(3, 5, replicas=2), path)
    with pytest.raises(ArgumentError, match="one step has no lengths"):
        to_onnx(memspan.GRUCell(3, 5), path, lengths=True)
    with pytest.raises(KernelRefusal, match="cannot hold the cpu kernel"):
        to_onnx(memspan.GRU(3, 5, kernel="cpu"), path)
    with pytest.raises(OutputError, match="cannot be written"):
        to_onnx(memspan.GRUCell(3, 5), tmp_path / "no folder" / "step.onnx")


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}, {"bias": False}])
def test_a_layer_is_read_off_its_weights(options):
    theirs, x = torch.nn.GRU(3, 5, **options), torch.randn(7, 4, 3)
    close(layer_of("gru", theirs.state_dict())(x)[0], theirs(x)[0])
    cell = torch.nn.LSTMCell(3, 5, bias=options.get("bias", True))
    close(one_step_of("lstm", cell.state_dict())(x[0])[0], cell(x[0])[0])


def test_the_command(tmp_path, capsys):
    weights, out = tmp_path / "gru.safetensors", tmp_path / "gru.onnx"
    save_file(torch.nn.GRU(3, 5).state_dict(), weights)
    words = ["export", "gru", "--weights", str(weights), "--out", str(out)]
    assert main([*words, "--step", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["inputs"] == ["input", "h_0"]
    assert out.exists()
    assert main(words) == 0
    assert "(input, h_0) → (output, h_n)" in capsys.readouterr().out
    assert main(["export", "lstm", *words[2:]]) == 2
    assert "these are not the weights of a lstm layer: size mismatch" in capsys.readouterr().err
    assert main(["export", "grue", *words[2:]]) == 2
    assert "did you mean 'gru'" in capsys.readouterr().err
    assert main(["export", "gru", "--weights", str(out)]) == 2
    assert "not a safetensors file" in capsys.readouterr().err
    save_file({"a": torch.zeros(1)}, weights)
    assert main(words) == 2
    assert "no matrix 'weight_ih_l0' among a" in capsys.readouterr().err
