"""The character model: its size, its equality with torch, stepping and unrolling, reading and scoring."""

import copy

import numpy as np
import pytest
import torch
from model_cases import LETTERS, TEXT, made
from safetensors.torch import save

from memspan.config import Recipe, RunConfig
from memspan.errors import ArgumentError, ShapeError
from memspan.kernels.cpu import engine
from memspan.models import character
from memspan.models.character import CharacterModel
from memspan.models.inputs import Inputs
from memspan.models.sampling import Sampling
from memspan.models.sequence import SequenceModel
from memspan.text.task import Text
from memspan.text.vocabulary import Vocabulary
from tolerances import TOLERANCES

CASES = [
    ("lstm", 1, 1, 0), ("lstm", 33, 3, 0), ("lstm", 100, 2, 5), ("gru", 7, 2, 0), ("gru", 64, 1, 3),
    ("rnn", 63, 2, 0), ("rnn", 16, 1, 0), ("phased_lstm", 12, 2, 0), ("phased_gru", 5, 1, 4),
]  # fmt: skip


def close(got, want):
    scale = max(1.0, float(np.abs(want).max()))
    assert np.abs(np.asarray(got) - want).max() <= TOLERANCES["float32"] * scale


def test_the_report_has_this_many_weights():
    assert CharacterModel(Vocabulary("char", "".join(map(chr, range(57))))).parameter_count() == 235_193


def test_energies_equal_those_of_torch():
    model = made("lstm", 33)
    theirs = torch.nn.LSTM(len(LETTERS), 33, 2)
    theirs.load_state_dict(model.recurrent.state_dict())
    x = torch.randint(len(LETTERS), (17, 3))
    with torch.no_grad():
        want = model.read_out(theirs(torch.nn.functional.one_hot(x, len(LETTERS)).float())[0])
        close(model(x)[0], want.numpy())


@pytest.mark.parametrize(("cell", "hidden", "layers", "embedding"), CASES)
def test_stepping_equals_unrolling(cell, hidden, layers, embedding):
    model = made(cell, hidden, layers, embedding=embedding)
    x = torch.from_numpy(LETTERS.encode(TEXT).astype(np.int64))[:40].view(20, 2)
    with torch.no_grad():
        whole, last = model(x)
        state, steps = None, []
        for now in x:
            energies, state = model(now[None], state)
            steps.append(energies)
    close(torch.cat(steps), whole.numpy())
    for got, want in zip(state.parts, last.parts, strict=True):
        close(got, want.numpy())
    assert state.position.tolist() == last.position.tolist() == [20, 20]


@pytest.mark.parametrize(("cell", "hidden", "layers", "embedding"), CASES)
def test_what_is_written_is_as_probable_as_when_it_is_read(cell, hidden, layers, embedding, monkeypatch):
    monkeypatch.setattr(engine, "poison", True)  # every buffer starts as NaN, and none shows
    model = made(cell, hidden, layers, embedding=embedding, temperature=1.5)
    assert model.choice().kernel == ("steps" if cell.startswith("phased") else "fused")
    prompts = ["the right", "t", "so be it; or"]
    for one in model.generate(prompts, 30, Sampling(temperature=1.2, seed=4)):
        symbols = LETTERS.encode(one.prompt + one.text)
        reading = model.read(symbols)
        close(one.log_probabilities, reading.log_probability[len(one.prompt) - 1 :])


def test_reading_in_pieces_equals_reading_at_once(monkeypatch):
    model, symbols = made("gru", 9), LETTERS.encode(TEXT)
    whole, energies = model.read(symbols), model.logits(symbols)
    monkeypatch.setattr(character, "PIECE", 7)
    parts = model.read(symbols)
    close(parts.log_probability, whole.log_probability)
    close(model.logits(symbols), energies)
    assert (parts.correct == whole.correct).all()
    first, second = model.read(symbols[:30]), None
    second = model.read(symbols[30:], first.state)
    close(np.append(first.log_probability, second.log_probability), np.delete(whole.log_probability, 29))


def test_texts_side_by_side_are_read_alike():
    model, symbols = made(), LETTERS.encode(TEXT)[:80].reshape(40, 2)
    both = model.read(symbols)
    assert both.log_probability.shape == both.correct.shape == (39, 2)
    close(both.log_probability[:, 1], model.read(symbols[:, 1]).log_probability)


def test_the_score_is_the_softmax_of_the_energies():
    model, symbols = made(temperature=0.7), LETTERS.encode(TEXT)
    energies = torch.from_numpy(model.logits(symbols)).double() / 0.7
    want = energies.log_softmax(-1)[:-1].gather(-1, torch.from_numpy(symbols[1:].astype(np.int64))[:, None])
    close(model.read(symbols).log_probability, want[:, 0].numpy())
    close(np.log(model.distribution(TEXT)), energies.log_softmax(-1)[-1].numpy())


def test_short_texts():
    model = made()
    assert model.read(np.array([3])).log_probability.shape == (0,)
    assert model.read(np.zeros(0, np.uint8)).correct.shape == (0,)
    assert model.logits(np.array([3])).shape == (1, len(LETTERS))


def test_dropout_acts_in_training_only():
    model, x = made(dropout=0.5), torch.zeros(5, 2, dtype=torch.int64)
    with torch.no_grad():
        assert torch.equal(model(x)[0], model(x)[0])
        model.train()
        assert not torch.equal(model(x)[0], model(x)[0])
    symbols = LETTERS.encode(TEXT)
    assert (model.read(symbols).log_probability == model.read(symbols).log_probability).all()
    assert model.generate("the", 9).text == model.eval().generate("the", 9).text


def test_it_trains_with_plain_torch():
    model = made(hidden=32).train()
    symbols = torch.from_numpy(LETTERS.encode(TEXT).astype(np.int64))[:, None]
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    losses = []
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(model(symbols[:-1])[0].flatten(0, 1), symbols[1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_a_stored_state_becomes_a_model():
    run = RunConfig(Text(), Recipe(hidden=12, layers=2, biases=2, coding="one_hot", temperature=2.0))
    network = SequenceModel.of(run)
    p = {name: torch.from_numpy(value) for name, value in network.initial(run).items()}
    flat = torch.cat([p[name].flatten() for name in network.parameter_shapes()])
    model = CharacterModel.of_state(run, save({"weights": flat}))
    symbols = torch.arange(50)[:, None]
    lead = {name: value[None] for name, value in p.items()}
    reading = network.read(lead, Inputs(symbols[None]), due=50)
    want = network.logits(p, reading.features[0], 2.0)[:, :, 0]
    close(model(symbols)[0].detach(), want.numpy())
    assert model.run == run
    with pytest.raises(ArgumentError, match="stored state"):
        CharacterModel.of_state(run, save({"weights": flat[:-1]}))
    with pytest.raises(ArgumentError, match="one-hot"):
        CharacterModel.of_state(RunConfig.from_flat({"length": 5}), b"")


def test_a_unit_can_be_deleted():
    model = made("lstm", 8, 1)
    without = copy.deepcopy(model)
    with torch.no_grad():
        without.read_out.weight[:, 3] = 0
        without.recurrent.weight_hh_l0[:, 3] = 0
    symbols = LETTERS.encode(TEXT)
    assert not np.allclose(without.read(symbols).log_probability, model.read(symbols).log_probability)


def test_wrong_input_is_refused():
    model = made()
    with pytest.raises(ShapeError, match="whole numbers"):
        model(torch.zeros(3, 2))
    with pytest.raises(ShapeError, match="rows"):
        model(torch.zeros(3, 2, dtype=torch.int64), model.beginning(3))
    with pytest.raises(ShapeError, match="symbols"):
        model(torch.full((3, 2), len(LETTERS)))
    with pytest.raises(ShapeError, match=r"\(N,\)"):
        model.read(np.zeros((2, 2, 2), np.uint8))
    with pytest.raises(ArgumentError, match="no characters"):
        CharacterModel(Vocabulary("char", ""))
