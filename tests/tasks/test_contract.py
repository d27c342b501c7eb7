"""Every registered task keeps the contract; a new one needs a line in EXAMPLES."""

import numpy as np
import pytest

from memspan.config import RunConfig
from memspan.ledger.events import Finished
from memspan.streams import stream
from memspan.tasks import TASKS
from memspan.training.answers import score_names
from memspan.training.train import train

EXAMPLES = {
    "palindrome": [{"length": 7}],
    "sines": [{"sampling": s} for s in ("standard", "fine", "asynchronous")],
    "two_sensors": [{"ratio": 10}, {"ratio": 100}],
    "planted_period": [{}, {"cycles": 3, "period": 7.5, "shift": -2.0}],
    "copy": [{"delay": 1}, {"delay": 6}],
    "adding": [{"length": 2}, {"length": 7}],
    "associative_recall": [{"pairs": 1}, {"pairs": 26}],
    "text": [{}, {"unit": "byte", "window": 9}, {"reading": "streams", "validation": 0.1}],
}
CASES = [(name, fields) for name in TASKS for fields in EXAMPLES[name]]


def task_of(name, fields):
    return TASKS.resolve(name)(**fields)


@pytest.mark.parametrize(("name", "fields"), CASES)
def test_shapes_and_kinds(name, fields):
    task, n = task_of(name, fields), 6
    batch = task.sample(stream(0, "test"), n)
    if task.symbols:
        assert batch.inputs.shape == (task.steps, n)
        assert batch.inputs.dtype == np.int64
        assert batch.inputs.max() < task.symbols
    else:
        assert batch.inputs.shape == (task.steps, n, task.features)
        assert batch.inputs.dtype == np.float32
    shape = (n,) if task.answers == 1 else (n, task.answers)
    assert batch.targets.shape == (shape if task.due == 1 else (task.due, *shape))
    assert batch.targets.dtype == (np.int64 if task.classes else np.float32)
    assert 0 <= task.chance() < task.solved_at <= 1
    assert task.axis in (*fields, "") or task.axis in vars(task)


@pytest.mark.parametrize(("name", "fields"), CASES)
def test_times_never_fall_and_lengths_fit(name, fields):
    task = task_of(name, fields)
    batch = task.sample(stream(1, "test"), 50)
    if batch.times is not None:
        assert batch.times.shape in ((task.steps,), (task.steps, 50))
        assert batch.times.dtype == np.float64
        assert np.all(np.diff(batch.times, axis=0) >= 0)
    if batch.lengths is not None:
        assert batch.lengths.dtype == np.int64
        assert batch.lengths.min() >= 1
        assert batch.lengths.max() <= task.steps
        past = np.arange(task.steps)[:, None] >= batch.lengths
        assert not batch.inputs[past].any()
        ends = np.take_along_axis(batch.times, batch.lengths[None] - 1, axis=0)
        assert np.array_equal(np.where(past, batch.times, ends), np.broadcast_to(ends, past.shape))


@pytest.mark.parametrize(("name", "fields"), CASES)
def test_a_batch_depends_on_its_stream_only(name, fields):
    a, b, other = (task_of(name, fields).sample(stream(s, "test", 7), 5) for s in (0, 0, 1))
    for field in ("inputs", "targets", "times", "lengths"):
        assert np.array_equal(getattr(a, field), getattr(b, field))
    assert not np.array_equal(a.inputs, other.inputs)


@pytest.mark.parametrize(("name", "fields"), CASES)
def test_a_run_of_it_has_a_page(name, fields):
    run = RunConfig.from_flat({"task": name, **fields, "cell": "gru", "seed": 3})
    assert RunConfig.from_flat(run.flat()) == run
    assert run.task.purpose("train") != run.task.purpose("evaluate")


@pytest.mark.parametrize(("name", "fields"), CASES)
def test_a_network_is_trained_and_judged_on_it(name, fields):
    small = {"cell": "rnn", "hidden": 4, "batch": 3, "steps": 1, "evaluate_every": 1, "evaluation_size": 5}
    run = RunConfig.from_flat({"task": name, **fields, **small, "final_size": 5})
    end = list(train([run], checkpoint_every=1e9, kernel="reference"))[-1]
    assert isinstance(end, Finished)
    assert end.metrics["accuracy"] <= 1
    assert set(score_names(run.task)) <= set(end.curves) & set(end.metrics)
