"""One trainer for every kind of task: what it computes equals plain torch, and no replica sees its pack."""

import numpy as np
import pytest
import torch
from torch.nn import functional
from training_cases import KINDS, run

from memspan.config import Recipe
from memspan.errors import ArgumentError
from memspan.ledger import Resume
from memspan.ledger.events import Checkpoint, Finished
from memspan.models.inputs import as_inputs
from memspan.models.sequence import SequenceModel
from memspan.streams import stream
from memspan.tasks.copy import Copy
from memspan.tasks.palindrome import Palindrome
from memspan.tasks.planted_period import PlantedPeriod
from memspan.tasks.sines import Sines
from memspan.tasks.task import Batch
from memspan.tasks.two_sensors import TwoSensors
from memspan.text.task import Text
from memspan.training.answers import Tally, loss_of
from memspan.training.batches import dropout_masks, fresh_batches, training_batch
from memspan.training.pack import Pack
from memspan.training.state import read_state
from memspan.training.train import train


def trained(runs, resume=None, **options):
    return list(train(runs, resume, kernel="reference", **options))


def end_of(events, one):
    return next(e for e in events if isinstance(e, Finished) and e.run_id == one.id)


def same(a, b):
    x, y = read_state(a.state, a.step), read_state(b.state, b.step)
    pairs = [(x.weights, y.weights), *zip(x.carried, y.carried, strict=True)]
    pairs += [(x.slots[k], y.slots[k]) for k in x.slots]
    return (
        all(torch.equal(p, q) for p, q in pairs)
        and all(np.array_equal(x.curves[k], y.curves[k], equal_nan=True) for k in x.curves)
        and a.metrics == b.metrics
    )


@pytest.mark.parametrize("kind", KINDS)
def test_alone_in_a_pack_and_resumed(kind):
    task, recipe = KINDS[kind]
    runs = [run(task, seed, **recipe) for seed in range(3)]
    packed = end_of(trained(runs), runs[1])
    assert same(end_of(trained([runs[1]]), runs[1]), packed)
    steps = iter(range(1, 10))
    saved = trained([runs[1]], should_stop=lambda: next(steps) == 2)[-1]
    assert isinstance(saved, Checkpoint)
    resumed = trained([runs[1]], {saved.run_id: Resume(saved.step, saved.state)})
    assert same(end_of(resumed, runs[1]), packed)


def test_two_layers_two_answers_ragged_rows_and_a_temperature_equal_plain_torch():
    class Ragged(TwoSensors):
        """Two sensors whose last events are cut off."""

        def sample(self, generator, n):
            full = super().sample(generator, n)
            lengths = generator.integers(1, self.steps + 1, size=n)
            inside = (np.arange(self.steps)[:, None] < lengths)[..., None]
            return Batch(np.where(inside, full.inputs, np.float32(0)), full.targets, full.times, lengths)

    config = run(Ragged(3), cell="lstm", layers=2, temperature=2.0, optimizer="sgd", clip=0.0, biases=2)
    pack = Pack([config], kernel="reference")
    before = {name: value[0].detach().clone() for name, value in pack.parameters.items()}
    layer, batch = torch.nn.LSTM(3, 6, 2).double(), training_batch(config, 1)
    with torch.no_grad():
        for k in range(2):
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                mine = before[name if k == 0 else f"{name}_l1"]
                getattr(layer, f"{name}_l{k}").copy_(mine.double())
    out = layer(torch.from_numpy(batch.inputs).double())[0]
    last = out[torch.from_numpy(batch.lengths) - 1, torch.arange(5)]
    energies = functional.linear(
        last, before["read_out.weight"].double(), before["read_out.bias"].double()
    ).view(5, 2, 2)
    targets = torch.from_numpy(batch.targets)
    loss = sum(functional.cross_entropy(energies[:, a] / 2.0, targets[:, a]) for a in range(2))
    loss.backward()
    assert pack.update(1)[0].loss == pytest.approx(loss.item(), rel=1e-5)
    for k, name in ((0, "weight_hh"), (1, "weight_ih_l1"), (1, "bias_hh_l1")):
        wanted = before[name] - 1e-3 * getattr(layer, f"{name.removesuffix('_l1')}_l{k}").grad.float()
        torch.testing.assert_close(pack.parameters[name][0].detach(), wanted, rtol=1e-4, atol=1e-8)


def test_answers_due_at_the_end_of_ragged_rows():
    model = SequenceModel.of(run(Copy(1), cell="rnn", coding="one_hot"))
    p = {name: torch.randn(1, *shape) for name, shape in model.parameter_shapes().items()}
    x, lengths, coded = np.arange(36).reshape(9, 4) % 10, np.array([9, 3, 5, 4]), Recipe(coding="one_hot")
    given = as_inputs([Batch(x, np.empty(0), lengths=lengths)], Copy(1), coded)
    features = model.read(p, given, due=3, kernel="reference").features
    for b, n in enumerate(lengths):
        whole = as_inputs([Batch(x[:n, b : b + 1], np.empty(0))], Copy(1), coded)
        torch.testing.assert_close(
            features[:, :, b], model.read(p, whole, due=3, kernel="reference").features[:, :, 0]
        )
    with pytest.raises(ArgumentError, match="a row has 3 steps"):
        model.read(p, given, due=4, kernel="reference")
    with pytest.raises(ArgumentError, match="sequences of 9 steps"):
        model.read(p, given, due=10, kernel="reference")


def test_scores_of_several_and_of_real_answers():
    two, real = TwoSensors(3), PlantedPeriod()
    energies = torch.tensor([[[[1.0, 0], [0, 1]], [[1, 0], [0, 1]], [[0, 1], [0, 1]], [[0, 1], [1, 0]]]])
    targets = torch.tensor([[[0, 1], [0, 0], [0, 1], [0, 1]]])
    assert Tally(two).add(energies, targets).scores() == {
        "accuracy": 0.25,
        "accuracy_1": 0.5,
        "accuracy_2": 0.5,
    }
    y = torch.randn(1, 4000, 1) * real.blind_error() ** 0.5
    assert Tally(real).add(y.unsqueeze(-1), y).scores()["accuracy"] == 1
    assert Tally(real).add(torch.zeros_like(y).unsqueeze(-1), y).scores()["accuracy"] == pytest.approx(
        0, abs=0.1
    )
    assert float(loss_of(torch.zeros_like(y).unsqueeze(-1), y, real)) == pytest.approx(
        float(y.square().mean())
    )


def test_time_as_a_further_input():
    batch = Sines("standard").sample(stream(0, "test"), 3)
    plain = as_inputs([batch], Sines("standard"), Recipe()).x
    made = {
        k: as_inputs([batch], Sines("standard"), Recipe(time_input=k)).x for k in ("time", "delta", "first")
    }
    times = torch.from_numpy(batch.times)
    for column in made.values():
        assert torch.equal(column[..., :1], plain)
    torch.testing.assert_close(made["time"][0, ..., 1].double(), times / 125)
    assert not made["delta"][0, 0, :, 1].any()
    assert torch.allclose(made["delta"][0, 1:10, :, 1], torch.ones(9, 3))
    assert made["first"][0, 0, :, 1].all()
    assert not made["first"][0, 1:, :, 1].any()
    digits = Palindrome(4).sample(stream(0, "test"), 2)
    coded = as_inputs([digits], Palindrome(4), Recipe(coding="one_hot", time_input="time")).x
    assert coded.shape == (1, 3, 2, 11)
    assert torch.equal(coded[0, ..., :10].argmax(-1), torch.from_numpy(digits.inputs))
    torch.testing.assert_close(coded[0, :, 0, 10], torch.arange(3) / 3)


def test_a_random_origin_moves_times_and_nothing_else():
    plain, moved = (run(Palindrome(9), time_origin=origin) for origin in ("zero", "random"))
    for draw in (lambda r: training_batch(r, 3), lambda r: next(fresh_batches(r, "final", 3, 200))):
        a, b = draw(plain), draw(moved)
        assert np.array_equal(a.inputs, b.inputs)
        assert a.times is None
        assert np.allclose(np.diff(b.times, axis=0), 1)
        assert 0 <= b.times[0].min() < b.times[0].max() <= 32
    assert b.times[0].min() < 2 < 30 < b.times[0].max()
    assert not np.array_equal(training_batch(moved, 1).times, training_batch(moved, 2).times)


def test_an_evaluation_in_pieces_counts_every_sequence_once(monkeypatch):
    one = run(Palindrome(5))
    monkeypatch.setattr("memspan.training.batches.PIECE", 4 * 3)
    pieces = [batch.inputs.shape[1] for batch in fresh_batches(one, "final", 7, 10)]
    assert pieces == [3, 3, 3, 1]


def test_dropout_belongs_to_seed_layer_and_update():
    some = [run(Text(), seed, layers=3, dropout=rate) for seed, rate in ((0, 0.5), (1, 0.25), (2, 0.0))]
    first, second = dropout_masks(some, 40, 30, 5)
    assert not torch.equal(first, second)
    assert torch.equal(first[1], dropout_masks(some[1:2], 40, 30, 5)[0][0])
    assert not torch.equal(first, dropout_masks(some, 40, 30, 6)[0])
    for mask, rate in zip(first, (0.5, 0.25, 0.0), strict=True):
        kept = mask != 0
        assert float(kept.float().mean()) == pytest.approx(1 - rate, abs=0.02)
        torch.testing.assert_close(mask[kept], torch.full_like(mask[kept], 1 / (1 - rate)))
    assert dropout_masks([run(Text(), layers=2)], 4, 3, 1) == [None]


@pytest.mark.parametrize("learned", ["all", "none", "period", "open_ratio"])
def test_clocks_that_are_not_learned_stay_as_they_were(learned):
    config = run(TwoSensors(3), cell="phased_lstm", clock_learned=learned, leak=0.1, clock_ratio=0.5)
    pack = Pack([config], kernel="reference")
    before = {name: value[0].detach().clone() for name, value in pack.parameters.items()}
    for t in range(1, 4):
        pack.update(t)
    for part, name in (("period", "log_period"), ("shift", "shift"), ("open_ratio", "open_logit")):
        moved = not torch.equal(before[name], pack.parameters[name][0].detach())
        assert moved == (learned in ("all", part))
    assert set(pack.clocks(0)) >= {"period_p50_start", "period_p50_end", "open_ratio_p90_end"}


def test_replicas_with_other_clocks_share_a_pack():
    runs = [run(TwoSensors(3), cell="phased_lstm", clock_high=high) for high in (30.0, 300.0)]
    periods = Pack(runs).parameters["log_period"].detach()
    assert float(periods[0].max()) < 3.5 < float(periods[1].max())


def test_layers_do_not_share_their_numbers_and_stacked_matrices_are_drawn_as_one():
    config = run(Text(), hidden=64, layers=2, coding="one_hot", init="stacked_xavier_normal")
    values = SequenceModel.of(config).initial(config)
    assert not np.array_equal(values["weight_hh"], values["weight_hh_l1"])
    assert values["weight_hh"].std() == pytest.approx(np.sqrt(2 / (5 * 64)), rel=0.02)


def test_a_task_that_measures_itself_reads_the_network_in_evaluation():
    task = Text(window=4)
    config = run(task, cell="phased_lstm", coding="one_hot", layers=2, dropout=0.5)
    found = Pack([config], kernel="reference").evaluate("evaluate", 1, 8)[0]
    assert set(found) == {"accuracy", "bits_per_character"}
    read = Pack([config], kernel="reference").reader(0)
    text = np.arange(6)[:, None] % 3
    whole, _ = read(text)
    assert whole.shape == (6, 1, task.symbols)
    assert np.array_equal(whole, read(text)[0])  # no dropout
