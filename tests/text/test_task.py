"""The task of going on with a text: windows, lanes, parts, and its own evaluation."""

import itertools
import math

import numpy as np
import pytest

from memspan.config import RunConfig
from memspan.errors import ArgumentError
from memspan.streams import stream
from memspan.text import Text, load_corpus
from memspan.text import task as text_task


@pytest.fixture
def alphabet(tmp_path):
    file = tmp_path / "alphabet.txt"
    file.write_text("".join(chr(33 + i) for i in range(90)))
    return str(file)


def test_every_window_begins_somewhere_and_targets_come_one_later(alphabet):
    batch = Text(alphabet, window=5).sample(stream(0, "test"), 4000)
    assert np.array_equal(batch.inputs[1:], batch.targets[:-1])
    assert np.array_equal(batch.inputs + 1, batch.targets)
    assert set(batch.inputs[0]) == set(range(90 - 5))


@pytest.mark.parametrize(("validation", "test"), [(0.0, 0.0), (0.1, 0.0), (0.25, 0.25)])
def test_parts_are_cut_by_position_and_training_never_sees_the_others(alphabet, validation, test):
    task = Text(alphabet, window=5, validation=validation, test=test)
    parts = [task.part(name) for name in ("train", "validation", "test")]
    assert np.array_equal(np.concatenate(parts), task.part("all"))
    assert [len(part) for part in parts[1:]] == [round(validation * 90), round(test * 90)]
    assert task.sample(stream(0, "test"), 2000).targets.max() < len(parts[0])


def test_lanes_go_on_where_the_batch_before_ended(alphabet):
    task = Text(alphabet, window=4, reading="streams")
    assert task.carries
    batches = [task.batch(0, "train", step, 3) for step in range(20)]
    lane = (90 - 4) // 3 // 4
    for step, (now, then) in enumerate(itertools.pairwise(batches)):
        goes_on = np.array_equal(now.targets[-1], then.inputs[0])
        assert goes_on == (not then.resets[0].any()) == ((step + 1) % lane != 0)
        assert not then.resets[1:].any()
    assert batches[0].resets[0].all()
    starts = {tuple(batch.inputs[0]) for batch in batches if batch.resets[0].all()}
    assert len(starts) > 1, "each pass begins at another offset"


def test_a_text_too_short_for_its_lanes_or_window_is_refused(alphabet):
    with pytest.raises(ArgumentError, match="90 characters to train on; a window of 90 needs at least 91"):
        Text(alphabet, window=90).sample(stream(0, "test"), 1)
    with pytest.raises(ArgumentError, match="no 30 lanes of 4"):
        Text(alphabet, window=4, reading="streams").batch(0, "train", 0, 30)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"window": 1}, "window 1"),
        ({"validation": -0.1}, "validation -0.1"),
        ({"validation": 0.5, "test": 0.5}, "together below 1"),
        ({"corpus": "none.txt"}, "no such file"),
    ],
)
def test_wrong_fields_are_refused(fields, word):
    with pytest.raises(ArgumentError, match=word):
        Text(**fields)


def test_a_run_is_pinned_to_the_content(tmp_path):
    file = tmp_path / "text.txt"
    file.write_text("one text " * 9)
    run = RunConfig.from_flat({"task": "text", "corpus": str(file), "window": 5})
    again = RunConfig.from_flat(run.flat())
    assert again == run
    assert run.task.sha256 == load_corpus(str(file)).sha256
    file.write_text("another text " * 9)
    assert RunConfig.from_flat({"task": "text", "corpus": str(file), "window": 5}).id != run.id
    with pytest.raises(ArgumentError, match="another content"):
        again.task.part("train")


def test_the_same_content_elsewhere_gives_the_same_batches(tmp_path):
    for name in "ab":
        (tmp_path / name).write_text("some text to read " * 5)
    a, b = (Text(str(tmp_path / name), window=5).batch(0, "train", 3, 4) for name in "ab")
    assert np.array_equal(a.inputs, b.inputs)


def test_the_evaluation_reads_the_held_out_part_as_one_stream(alphabet, monkeypatch):
    monkeypatch.setattr(text_task, "PIECE", 4)
    task = Text(alphabet, window=5, validation=0.2)
    read_so_far = []

    def read(inputs, state=None):
        assert state == (len(read_so_far) or None)
        read_so_far.extend(inputs[:, 0].tolist())
        logits = np.zeros((*inputs.shape, 90), np.float32)
        np.put_along_axis(logits, inputs[..., None] + 1, np.log(89), axis=-1)  # half the mass on the truth
        return logits, len(read_so_far)

    found = task.measure(read, "evaluate", 0, 0)
    assert read_so_far == task.part("validation")[:-1].tolist()
    assert found["accuracy"] == 1
    assert found["bits_per_character"] == pytest.approx(1)


def test_an_evaluation_while_training_reads_only_the_beginning(alphabet, monkeypatch):
    monkeypatch.setattr(text_task, "EVALUATED", 10)
    lengths = {}
    for use in ("evaluate", "final"):
        seen = []
        Text(alphabet, window=5).measure(
            lambda inputs, state, seen=seen: (seen.append(len(inputs)) or np.zeros((len(inputs), 1, 90)), 0),
            use, 0, 0,
        )  # fmt: skip
        lengths[use] = sum(seen)
    assert lengths == {"evaluate": 10, "final": 89}


def test_log_softmax_does_not_underflow():
    scores = np.array([[0.0, -2000.0], [3.0, 3.0]])
    assert text_task.log_softmax(scores).tolist() == [[0.0, -2000.0], [-math.log(2), -math.log(2)]]
