"""Probes of networks: gradients, gates and clocks of runs, layers and files, and what is known of them."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import memspan
from memspan.cells.lstm.equations import LSTM
from memspan.cells.peephole_lstm.equations import PeepholeLSTM
from memspan.cells.rnn.equations import RNN
from memspan.cells.time_gate.equations import TimeGate
from memspan.cli import main
from memspan.config import Recipe, RunConfig
from memspan.errors import ArgumentError
from memspan.layers import Recurrent
from memspan.ledger import Ledger
from memspan.ledger.events import Finished, Started
from memspan.probes import RunProbe, clock, gates, gradients, measure_missing
from memspan.probes.specimen import Specimen
from memspan.tasks.palindrome import Palindrome
from memspan.training import train

RUN = RunConfig(Palindrome(6), Recipe(cell="lstm", hidden=8, batch=16, steps=20, final_size=64), seed=1)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    ledger = Ledger.open(tmp_path_factory.mktemp("probed") / "ledger.sqlite")
    ledger.register([RUN])
    for event in train([RUN]):
        ledger.append(event)
    yield ledger
    ledger.close()


@pytest.mark.parametrize("layer", [memspan.RNN(2, 5), memspan.GRU(2, 5), memspan.LSTM(2, 5)], ids=repr)
def test_gradients_are_autograds_through_the_layer(layer):
    specimen = Specimen.of_layer(layer)
    shown = specimen.sequences(7, batch=3)
    share = gradients.contributions(specimen, shown)
    weights = {name: value.clone().requires_grad_() for name, value in specimen.weights.items()}
    loss = specimen.loss(specimen.steps(shown, [weights] * 7)[-1][0], shown) / 3
    whole = torch.autograd.grad(loss, weights["weight_hh"])[0].norm()
    assert share[0] == 0
    assert share.max() <= whole + share.sum()
    norms = gradients.state_gradients(specimen, shown)
    assert set(norms) == set(specimen.cell.states)
    assert norms["h"][-1] == pytest.approx(1.0)


def test_the_shares_of_one_step_are_the_gradient():
    specimen = Specimen.of_layer(memspan.LSTM(2, 4))
    shown = specimen.sequences(2, batch=3)
    weight = specimen.weights["weight_hh"].clone().requires_grad_()
    states = specimen.steps(shown, [{**specimen.weights, "weight_hh": weight}] * 2)
    whole = torch.autograd.grad(specimen.loss(states[-1][0], shown) / 3, weight)[0]
    assert gradients.contributions(specimen, shown)[1] == pytest.approx(float(whole.norm()))


def test_products_of_a_linear_network_are_powers_of_its_matrix():
    layer = memspan.RNN(1, 4)
    specimen = Specimen.of_layer(layer)
    shown = specimen.sequences(6, batch=1)
    still = type(shown)(torch.zeros_like(shown.inputs), None, None)
    zero = {n: torch.zeros_like(v) if n.startswith("bias") else v for n, v in specimen.weights.items()}
    found = gradients.jacobian_products(Specimen(specimen.cell, zero), still, np.array([2, 6]))
    w = zero["weight_hh"]
    assert found["largest"][0] == pytest.approx(float(torch.linalg.svdvals(w.matrix_power(4))[0]))
    assert found["largest"][1] == found["bound"][1] == 1
    assert found["largest"][0] <= found["bound"][0]


def test_time_constants_are_those_of_a_held_gate():
    kept = {"f": torch.full((5, 2, 3), float(np.exp(-1 / 20)))}
    assert np.allclose(gates.time_constants({name: v.double() for name, v in kept.items()}), 20, rtol=1e-5)
    half = kept | {"k": torch.full((5, 2, 3), 0.0)}
    assert (gates.time_constants(half) == gates.LONGEST).all()


def test_gates_are_the_layers_own():
    layer = memspan.LSTM(2, 5).double()
    specimen = Specimen.of_layer(layer)
    shown = specimen.sequences(6, batch=3)
    *_, theirs = layer(shown.inputs, return_gates=True)
    ours = gates.gate_values(specimen, shown)
    for name in "ifgo":
        assert torch.allclose(ours[name], theirs[name][0], atol=1e-12)


def test_clocks_of_a_gate_are_its_parameters():
    layer = Recurrent(TimeGate(LSTM(2, 5)))
    found = clock.measure(Specimen.of_layer(layer), np.arange(100.0))
    assert np.allclose(found["period"], np.sort(layer.log_period_l0.detach().exp().numpy()), rtol=1e-4)
    assert 0 < found["mean_openness"] < found["open_share"] < 1


@pytest.mark.parametrize("probe", ["gates", "gradients"])
def test_a_run_is_asked_once_before_and_after(probe, ledger):
    questions = [RunProbe(probe, RUN), RunProbe(probe, RunConfig(Palindrome(7), RUN.recipe))]
    for _ in range(2):
        measure_missing(questions, ledger)
    (found,) = ledger.measurements(probe=probe)
    assert found.config == {"probe": probe, "run": RUN.id, "version": 1}
    assert {name.partition("_")[0] for name in found.values} - {"step"} == {"before", "after"}
    assert json.loads(json.dumps(found.values)) == found.values


def test_the_command_looks_at_runs_and_files(ledger, tmp_path, capsys):
    save_file(
        {f"core.{n}": v for n, v in torch.nn.GRU(2, 4).state_dict().items()}, tmp_path / "w.safetensors"
    )
    torch.save(memspan.LSTM(2, 4).state_dict(), tmp_path / "w.pt")
    out = ["--out", str(ledger.path.parent)]
    picture = tmp_path / "gates.svg"
    assert main(["probe", "gates", str(tmp_path / "w.safetensors"), "--steps", "5", "--json"]) == 0
    assert "z_mean" in json.loads(capsys.readouterr().out)
    assert main(["probe", "gradients", str(tmp_path / "w.pt"), "--steps", "5"]) == 0
    assert main(["probe", "gates", RUN.id[:6], *out, "--plot", str(picture)]) == 0
    assert main(["probe", "gates", RUN.id, "--before", *out]) == 0
    assert picture.read_text().startswith("<?xml")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["gates", "nothing"], "neither a file nor a run's id"),
        (["gates", "abc", "--out", "/nowhere"], "no ledger"),
        (["clock", "LSTM"], "no clock"),
        (["gates", "RNN"], "has no gates"),
        (["gradients", "LSTM", "--layer", "3"], "layer 3: expected 0 to 0"),
        (["gradients", "LSTM", "--plot", "x.txt"], "expected a name that ends in"),
        (["gradients", "LSTM", "--steps", "0"], "expected at least 1"),
        (["gates", "EMPTY"], "no recurrent layer"),
        (["gates", "TEXT"], "cannot be read"),
    ],
)
def test_what_cannot_be_probed_is_refused(words, complaint, tmp_path, capsys):
    save_file(memspan.LSTM(2, 4).state_dict(), tmp_path / "LSTM")
    save_file(memspan.RNN(2, 4).state_dict(), tmp_path / "RNN")
    save_file({"weight": torch.zeros(2)}, tmp_path / "EMPTY")
    (tmp_path / "TEXT").write_text("no weights")
    given = [str(tmp_path / word) if word.isupper() else word for word in words]
    assert main(["probe", *given]) == 2
    assert complaint in capsys.readouterr().err


LAYERS = {
    "rnn": memspan.RNN,
    "gru": memspan.GRU,
    "lstm": memspan.LSTM,
    "phased_rnn": memspan.PhasedRNN,
    "phased_gru": memspan.PhasedGRU,
    "phased_lstm": memspan.PhasedLSTM,
}


@pytest.mark.parametrize("cell", LAYERS)
def test_saved_weights_of_every_layer_are_told_by_names_and_shapes(cell, tmp_path, capsys):
    """A layer inside a model, with two layers and directions, beside a read-out under the same prefix."""
    layer = LAYERS[cell](3, 4, num_layers=2, bidirectional=True)
    state = {f"net.{name}": value for name, value in layer.state_dict().items()}
    save_file(state | {"net.head.weight": torch.zeros(2, 8)}, tmp_path / "w.safetensors")
    for number in range(4):
        saved = Specimen.of_file(tmp_path / "w.safetensors", number=number)
        whole = Specimen.of_layer(layer, number)
        assert repr(saved.cell) == repr(whole.cell)
        assert saved.weights.keys() == whole.weights.keys()
        assert all(torch.equal(saved.weights[name], value) for name, value in whole.weights.items())
    command = ["gradients", "clock"][cell.startswith("phased")]
    assert main(["probe", command, str(tmp_path / "w.safetensors"), "--steps", "4", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)


def test_a_registered_peephole_lstm_is_told_and_an_unregistered_mixture_refused(tmp_path):
    save_file(Recurrent(PeepholeLSTM(2, 4)).state_dict(), tmp_path / "peepholes")
    assert isinstance(Specimen.of_file(tmp_path / "peepholes").cell, PeepholeLSTM)
    save_file(Recurrent(TimeGate(LSTM(2, 4))).state_dict(), tmp_path / "mixture")
    with pytest.raises(ArgumentError, match="no registered cell has exactly these parameters"):
        Specimen.of_file(tmp_path / "mixture")


@pytest.mark.parametrize("before", [[], ["--before"]])
def test_a_run_of_a_layer_of_its_own_is_refused_with_a_sentence(before, tmp_path, capsys):
    run = RunConfig(Palindrome(5), Recipe(cell="torch.nn:LSTM", hidden=4), seed=0)
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        ledger.register([run])
        ledger.append(Started(run.id, 0))
        ledger.append(Finished(run.id, 5000, state=b"x"))
    assert main(["probe", "gradients", run.id, "--out", str(tmp_path), *before]) == 2
    said = capsys.readouterr().err
    assert "cannot be looked into" in said or "registered" in said
    assert len(said.splitlines()) == 1


def test_a_cell_without_recurrent_matrix_has_no_shares():
    specimen = Specimen(RNN(2, 3), {"weight_ih": torch.zeros(3, 2)})
    with pytest.raises(ArgumentError, match="no 'weight_hh'"):
        gradients.contributions(specimen, specimen.sequences(3, batch=1))


def test_replicas_and_gateless_cells_are_refused():
    with pytest.raises(ArgumentError, match="replicas"):
        Specimen.of_layer(memspan.LSTM(2, 4, replicas=2))
    with pytest.raises(ArgumentError, match="keeps the state"):
        gates.time_constants({"i": torch.ones(1, 1, 1)})
    assert Specimen.of_layer(Recurrent(RNN(2, 3))).cell.hidden_size == 3
