"""A kernel must give the reference's numbers on the machine at hand before it is used there."""

import pytest
import torch
from kernel_cases import VARIANTS, fused, make, params

from memspan.errors import KernelRefusal
from memspan.kernels import trial, unroll
from memspan.kernels.cpu import call


@pytest.fixture
def untried(monkeypatch, tmp_path):
    """Kernels whose trial is forgotten, and a place of its own for the notes of those that pass."""
    monkeypatch.setattr(trial, "_FOUND", {})
    monkeypatch.setattr(trial, "note_of", lambda module: tmp_path / f"{module.__name__}.tried")
    return tmp_path


@pytest.mark.parametrize("variant", params(VARIANTS))
def test_a_sound_kernel_stays_far_below_what_a_trial_allows(variant):
    cell = make(variant)[0]
    sparse = fused(variant) == "sparse"
    assert max(trial.error(cell, shape, sparse) for shape in trial.SHAPES) < trial.ALLOWED / 100


def test_a_trial_is_held_once_and_noted_beside_the_code(untried, monkeypatch):
    cell, p, x, state = make(("lstm", {}))
    assert unroll(cell, p, x, state).kernel == "cpu"
    assert [note.name for note in untried.iterdir()] == ["memspan_kernel_lstm.tried"]
    monkeypatch.setattr(trial, "_FOUND", {})
    monkeypatch.setattr(trial, "error", lambda *given: pytest.fail("tried again"))
    assert unroll(cell, p, x, state).kernel == "cpu"


SOUND = call.walk_forward


def one_unit_wrong(*given):
    """Compute as the kernel does, and spoil one unit a little, as a miscompiled kernel did."""
    outputs, *others = SOUND(*given)
    outputs[..., 0] *= 1.01
    return outputs, *others


def test_a_wrong_kernel_is_refused_and_auto_takes_the_reference(untried, monkeypatch):
    monkeypatch.setattr(call, "walk_forward", one_unit_wrong)
    cell, p, x, state = make(("lstm", {}))
    made = unroll(cell, p, x, state)
    assert made.kernel == "reference"
    assert "compiled code is wrong" in made.reason
    assert torch.equal(made.outputs, unroll(cell, p, x, state, kernel="reference").outputs)
    with pytest.raises(KernelRefusal, match="compiled code is wrong"):
        unroll(cell, p, x, state, kernel="cpu")
    assert not list(untried.iterdir())


def test_a_trial_is_held_whatever_mode_the_caller_is_in(untried):
    cell, p, x, state = make(("gru", {}))
    with torch.inference_mode(), torch.device("meta"):
        assert unroll(cell, p, x, state).kernel == "cpu"
    assert list(untried.iterdir())
