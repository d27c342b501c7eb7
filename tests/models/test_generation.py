"""Generation: the same text alone, in a batch and in blocks; stops, prompts, kernels."""

import numpy as np
import pytest
import torch
from model_cases import BYTES, LETTERS, made

from memspan.errors import ArgumentError, KernelRefusal
from memspan.kernels import trial
from memspan.models import writing
from memspan.models.generation import SENTENCE_ENDS
from memspan.models.sampling import Sampling
from memspan.text.vocabulary import UnknownCharacterError

PROMPTS = ["the right of", "t", "so be it; or not", "bear arms", "people"] * 3
LIVELY = Sampling(temperature=1.0, seed=11)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_text_does_not_depend_on_its_batch_blocks_threads_or_kernel(cell):
    model, texts = made(cell, 40), None
    for threads in (1, 2):
        torch.set_num_threads(threads)
        batch = [one.text for one in model.generate(PROMPTS, 700, LIVELY)]
        texts = texts or batch
        assert batch == texts
    for row in (0, 3, 14):
        seed = Sampling(temperature=1.0, seed=11 + row)
        assert model.generate(PROMPTS[row], 700, seed).text == texts[row]
    assert [
        "".join(parts) for parts in zip(*model.stream(PROMPTS, 700, LIVELY, block=61), strict=True)
    ] == texts
    steps = [one.text for one in model.generate(PROMPTS[:4], 60, LIVELY, kernel="steps")]
    assert steps == [text[:60] for text in texts[:4]]
    assert len(set(texts)) == len(texts)


def test_many_rows_share_threads_and_tiles():
    model = made("lstm", 40)
    texts = [one.text for one in model.generate(["the"] * 150, 80, LIVELY)]
    for row in (0, 70, 149):
        assert model.generate("the", 80, Sampling(temperature=1.0, seed=11 + row)).text == texts[row]


@pytest.mark.parametrize("temperature", [1e-9, 1e-30])
def test_no_temperature_equals_the_most_probable_character(temperature):
    model = made()
    greedy = model.generate(PROMPTS[:3], 300)
    cold = model.generate(PROMPTS[:3], 300, Sampling(temperature=temperature, seed=5))
    assert [one.text for one in cold] == [one.text for one in greedy]
    reading = model.read(LETTERS.encode(PROMPTS[0] + greedy[0].text))
    assert reading.correct[len(PROMPTS[0]) - 1 :].mean() > 0.99  # two characters may be equally probable


def test_distributions_and_surprisal_are_the_models_own():
    model = made(temperature=0.8)
    one = model.generate("the", 25, Sampling(temperature=1.3, top_k=3), distributions=True)
    chosen = one.distributions[np.arange(25), LETTERS.encode(one.text)]
    assert one.distributions.sum(1) == pytest.approx(np.ones(25), abs=1e-5)
    assert np.exp(one.log_probabilities) == pytest.approx(chosen, rel=1e-5)
    assert one.surprisal == pytest.approx(-np.log2(chosen), abs=1e-4)
    assert one.distributions[3] == pytest.approx(model.distribution("the" + one.text[:3]), abs=1e-6)
    same = model.generate(["the"], 25, Sampling(temperature=1.3, top_k=3), distributions=True, kernel="steps")
    assert same[0].distributions == pytest.approx(one.distributions, abs=1e-6)


@pytest.mark.parametrize("block", [1, 7, 256])
def test_a_text_ends_with_the_first_stop_after_so_many_characters(block):
    model = made()
    texts = [one.text for one in model.generate(PROMPTS, 400, LIVELY)]
    stops = ("th", *SENTENCE_ENDS)
    pieces = list(model.stream(PROMPTS, 400, LIVELY, stop=stops, at_least=20, block=block))
    for row, text in enumerate(texts):
        begins = [(text.find(stop, 20), stop) for stop in stops if stop in text[20:]]
        end = 400 if not begins else min(begins)[0] + len(min(begins)[1])
        assert "".join(piece[row] for piece in pieces) == text[:end]
    whole = model.generate(PROMPTS, 400, LIVELY, stop=stops, at_least=20)
    assert [one.text for one in whole] == ["".join(parts) for parts in zip(*pieces, strict=True)]
    assert all(one.text.endswith(one.stopped) for one in whole)
    assert all(len(one.log_probabilities) == len(one.text) for one in whole)
    assert len({len(one.text) for one in whole}) > 3


def test_bytes_come_out_as_text_wherever_a_block_ends():
    model = made(vocabulary=BYTES, hidden=8, layers=1)
    with torch.no_grad():
        model.read_out.bias[[0xC3, 0xA9, 0x61]] += 30
    whole = model.generate("é", 200, LIVELY)
    assert "é" in whole.text
    assert len(whole.log_probabilities) == 200
    assert "".join(model.stream("é", 200, LIVELY, block=3)) == whole.text
    stopped = model.generate("é", 200, LIVELY, stop="éa")
    assert stopped.text.endswith("éa")
    assert whole.text.startswith(stopped.text)


def test_a_prompt_with_strange_characters():
    model = made()
    with pytest.raises(UnknownCharacterError, match="Ω"):
        model.generate("the Ω", 5)
    assert model.generate("thΩe", 5, unknown="skip").text == model.generate("the", 5).text
    for empty in ("", "Ω"):
        with pytest.raises(ArgumentError, match="at least one"):
            model.generate(empty, 5, unknown="skip")
    assert model.generate([], 5) == []
    assert model.generate("the", 0).text == ""


def test_what_the_fused_kernel_cannot_serve_is_said():
    phased, double = made("phased_lstm"), made().double()
    assert "log_period" in phased.choice().reason
    assert "float64" in double.choice().reason
    for model in (phased, double):
        with pytest.raises(KernelRefusal, match="steps"):
            model.generate("the", 5, kernel="fused")
    assert double.generate("the", 40, LIVELY).text == made().generate("the", 40, LIVELY).text
    with pytest.raises(ArgumentError, match="fused"):
        made().choice("gpu")


@pytest.mark.parametrize(("part", "value"), [("weight", np.nan), ("bias", np.inf), ("bias", -np.inf)])
def test_a_diverged_model_is_named(part, value):
    for kernel in ("fused", "steps"):
        model = made()
        with torch.no_grad():
            getattr(model.read_out, part)[0 if value != -np.inf else slice(None)] = value
        for sampling in (LIVELY, Sampling()):
            with pytest.raises(ArgumentError, match="diverged"):
                model.generate("the", 5, sampling, kernel=kernel)


@pytest.mark.parametrize("kernel", ["fused", "steps"])
def test_a_character_forbidden_by_minus_infinity_is_never_written(kernel):
    model = made()
    with torch.no_grad():
        model.read_out.bias[1:] = -torch.inf
    for sampling in (LIVELY, Sampling()):
        written = model.generate("the", 20, sampling, kernel=kernel, distributions=True)
        assert set(LETTERS.encode(written.text)) == {0}
        assert (written.distributions[:, 1:] == 0).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [("seed", 1.5), ("seed", "1"), ("seed", True), ("seed", 2.0), ("top_k", 1.5), ("temperature", "1"),
     ("temperature", None), ("top_p", True), ("min_p", 1j)],
)  # fmt: skip
def test_settings_of_another_kind_are_refused(name, value):
    with pytest.raises(ArgumentError, match=f"{name} .*: expected a (whole )?number, got"):
        Sampling(**{name: value})


def test_settings_may_be_numpys():
    assert Sampling(np.float32(0.5), np.int64(3), seed=np.uint32(7)) == Sampling(0.5, 3, seed=7)


@pytest.mark.parametrize(
    ("name", "value"),
    [("temperature", -1.0), ("temperature", float("nan")), ("top_k", -1), ("top_p", 0.0), ("top_p", 1.5),
     ("min_p", -0.1), ("min_p", 2.0), ("seed", -1)],
)  # fmt: skip
def test_settings_out_of_range_are_refused(name, value):
    with pytest.raises(ArgumentError, match=name):
        Sampling(**{name: value})


def test_lengths_and_stops_that_cannot_be_meant():
    model = made()
    for arguments in ({"length": -1}, {"at_least": -1}, {"stop": ["a", ""]}):
        with pytest.raises(ArgumentError):
            model.generate("the", **arguments)
    with pytest.raises(ArgumentError, match="block"):
        next(model.stream("the", 5, block=0))


def test_a_kernel_that_writes_wrongly_is_refused_before_its_first_text(monkeypatch, tmp_path):
    model = made()
    monkeypatch.setattr(trial, "note_of", lambda module: tmp_path / f"{module.__name__}.tried")
    kept = writing.Writer.write

    def spoilt(self, steps):
        made = kept(self, steps)
        made.distributions[..., 0] += 0.01
        return made

    monkeypatch.setattr(writing.Writer, "write", spoilt)
    with pytest.raises(KernelRefusal, match="compiled code is wrong"):
        model.generate("a", 3, kernel="fused")
    monkeypatch.setattr(writing.Writer, "write", kept)
    assert len(model.generate("a", 3, kernel="fused").text) == 3
    assert any(note.name.startswith("memspan_writer") for note in tmp_path.iterdir())
