"""A kernel must give the reference's numbers on the machine at hand before it is used there."""

import contextlib
import random

import numpy as np
import pytest
import torch
from kernel_cases import SPARSE, VARIANTS, fused, make, name_of, params
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

from memspan.errors import KernelRefusal
from memspan.kernels import choose, proven, trial, unroll
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
    assert made.reason.index("memspan.cells.lstm.cpu") < made.reason.index("processor"), "the cell first"
    assert torch.equal(made.outputs, unroll(cell, p, x, state, kernel="reference").outputs)
    with pytest.raises(KernelRefusal, match="compiled code is wrong"):
        unroll(cell, p, x, state, kernel="cpu")
    assert not list(untried.iterdir())


SPARSE_GRU = next(variant for variant in SPARSE if variant[0] == "gru")


class Refusing(TorchDispatchMode):
    """A mode in which nothing can be computed."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        raise AssertionError(f"{function} was seen")


class RefusingFunctions(TorchFunctionMode):
    """The same, a level higher."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        raise AssertionError(f"{function} was seen")


def refuse(tensor):
    """Refuse to keep a tensor for backward."""
    raise AssertionError("a tensor of the trial was saved through the caller's hooks")


@contextlib.contextmanager
def process_wide(switch, on, off):
    """Set what torch knows for the whole process."""
    switch(on)
    try:
        yield
    finally:
        switch(off)


@contextlib.contextmanager
def transformed():
    """Be inside two levels of functorch."""
    with contextlib.ExitStack() as stack:
        torch._C._functorch._vmap_increment_nesting(3, "error")
        stack.callback(torch._C._functorch._vmap_decrement_nesting)
        torch._C._functorch._grad_increment_nesting()
        stack.callback(torch._C._functorch._grad_decrement_nesting)
        yield


CALLERS = {
    "no grad": torch.no_grad,
    "inference": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "device": lambda: torch.device("meta"),
    "hooks": lambda: saved_tensors_hooks(refuse, refuse),
    "no hooks": lambda: torch.autograd.graph.disable_saved_tensors_hooks("not here"),
    "dispatch mode": Refusing,
    "function mode": RefusingFunctions,
    "fake tensors": FakeTensorMode,
    "transforms": transformed,
    "forward derivatives": torch.autograd.forward_ad.dual_level,
    "anomalies": lambda: torch.autograd.set_detect_anomaly(True, check_nan=True),
    "deterministic": lambda: process_wide(torch.use_deterministic_algorithms, True, False),
    "float64": lambda: process_wide(torch.set_default_dtype, torch.float64, torch.float32),
    "bfloat16": lambda: process_wide(torch.set_default_dtype, torch.bfloat16, torch.float32),
    "numpy's errors": lambda: np.errstate(all="raise"),
    "kernel threads": lambda: call.engine.threads.kernel_threads(2),
}


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("variant", [("gru", {}), SPARSE_GRU], ids=name_of)
def test_a_trial_sees_nothing_of_its_caller(caller, variant, untried, monkeypatch):
    cell = make(variant)[0]
    sparse = fused(variant) == "sparse"
    asked = []
    error = trial.error
    monkeypatch.setattr(trial, "error", lambda *given: asked.append(error(*given)) or asked[-1])
    drawn = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    with CALLERS[caller]():
        assert trial.failure(cell, sparse) is None
    assert len(asked) == len(trial.SHAPES)
    assert list(untried.iterdir()), "it is noted"
    assert max(asked) < trial.ALLOWED / 100
    assert torch.equal(drawn[0], torch.get_rng_state())
    assert drawn[1:] == (np.random.get_state()[1].tolist(), random.getstate())


def test_a_wrong_kernel_is_found_inside_a_transform_and_a_mode(untried, monkeypatch):
    monkeypatch.setattr(call, "walk_forward", one_unit_wrong)
    cell = make(("gru", {}))[0]
    choice = choose(cell)
    assert choice.kernel == "cpu"
    for caller in ("transforms", "dispatch mode", "hooks", "anomalies"):
        trial._FOUND.clear()
        with CALLERS[caller]():
            assert proven(cell, choice, "auto").kernel == "reference"


def test_gradients_that_are_no_numbers_are_wrong_in_anomaly_mode_too(untried, monkeypatch):
    backward = call.walk_backward

    def spoilt(*given):
        return [None if grad is None else grad * float("nan") for grad in backward(*given)]

    monkeypatch.setattr(call, "walk_backward", spoilt)
    cell = make(("gru", {}))[0]
    for anomalies in (False, True):
        trial._FOUND.clear()
        with torch.autograd.set_detect_anomaly(anomalies):
            assert "off by inf" in trial.failure(cell, False)


@pytest.mark.parametrize("reentrant", [False, True])
def test_the_first_call_of_all_may_be_checkpointed(reentrant, untried):
    cell, p, x, state = make(("gru", {}))
    leaves = {name: value.clone().requires_grad_() for name, value in p.items()}

    def outputs(x):
        return unroll(cell, leaves, x, state).outputs

    given = x.clone().requires_grad_()
    checkpoint(outputs, given, use_reentrant=reentrant).sum().backward()
    assert list(untried.iterdir())
    got = [given.grad.clone(), *(leaf.grad.clone() for leaf in leaves.values())]
    for leaf in (given, *leaves.values()):
        leaf.grad = None
    outputs(given).sum().backward()
    for a, leaf in zip(got, (given, *leaves.values()), strict=True):
        assert torch.equal(a, leaf.grad)


def test_work_alone_raises_what_it_raised_to_the_caller():
    with pytest.raises(ZeroDivisionError):
        trial.alone(lambda: 1 // 0)


def test_numba_that_may_not_compile_leaves_the_reference(python):
    told = python(
        "import torch, memspan\n"
        "x = torch.randn(4, 2, 3)\n"
        "assert memspan.LSTM(3, 5)(x)[0].isfinite().all()\n"
        "print(memspan.LSTM(3, 5).choice())\n"
        "compiled = torch.compile(memspan.RNN(3, 5), fullgraph=True, backend='eager')\n"
        "assert compiled(x)[0].isfinite().all()\n"
        "for layer, kernel in ((memspan.RNN, 'cpu'), (memspan.PhasedLSTM, 'sparse')):\n"
        "    try: layer(3, 5, kernel=kernel)(x)\n"
        "    except memspan.errors.KernelRefusal as refusal: print(refusal)\n",
        NUMBA_DISABLE_JIT="1",
    )
    choice, *refusals = told.splitlines()
    assert "'reference'" in choice
    assert len(refusals) == 2
    assert all("NUMBA_DISABLE_JIT" in line for line in (choice, *refusals))
