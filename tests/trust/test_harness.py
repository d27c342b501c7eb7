"""The suite would see what it looks for: a dead or silent process, a broken buffer, a wrong number."""

import ctypes
import signal
import sys

import numpy as np
import pytest
import torch

from memspan.kernels.cpu import call, engine
from trust.examples import example
from trust.guard import PAGE, BrokenBufferError, Guard, guarded
from trust.judge import compared, judge
from trust.pool import Child
from trust.strata import short_set, stratum

PAGED = pytest.mark.skipif(sys.platform != "linux", reason="pages are protected on Linux only")
NUMBER = short_set()[0]


def test_an_example_is_the_same_every_time():
    for number in short_set()[::50]:
        assert example(number, stratum(number)) == example(number, stratum(number))


def test_a_process_that_dies_is_a_finding_with_its_number():
    child = Child({"TRUST_DIE": str(NUMBER)})
    result = child.run(NUMBER)
    assert (result.number, result.kind) == (NUMBER, "died")
    assert str(-signal.SIGABRT) in result.text
    assert not child.alive
    child.close()


def test_a_silent_process_is_a_finding():
    child = Child()
    result = child.run(NUMBER, limit=0.0)
    assert (result.number, result.kind) == (NUMBER, "hung")
    child.close()


def test_a_wrong_number_is_a_finding(monkeypatch):
    number = next(n for n in short_set() if stratum(n)[0] == "backward" and stratum(n)[2] == "cpu")
    assert judge(number, stratum(number)).kind == "right"
    true = call.walk_forward

    def wrong(*args):
        every, last, *rest = true(*args)
        return every, last + 1e-3, *rest

    monkeypatch.setattr(call, "walk_forward", wrong)
    assert judge(number, stratum(number)).kind == "wrong"


@pytest.mark.parametrize(
    ("got", "kind"),
    [
        (torch.tensor([1.0, 2.0]), "right"),
        (torch.tensor([1.0, 2.001]), "wrong"),
        (torch.tensor([1.0, float("nan")]), "wrong"),
        (torch.tensor([[1.0, 2.0]]), "wrong"),
        (torch.tensor([1.0, 2.0], dtype=torch.float64), "wrong"),
    ],
)
def test_what_counts_as_equal(got, kind):
    assert compared([got], [torch.tensor([1.0, 2.0], dtype=torch.float64)], 1e-5).kind == kind


@pytest.mark.parametrize("offset", [-4, 12])
def test_a_canary_shows_what_was_written_beside_a_buffer(offset):
    guard = Guard("canary")
    address = guard.lend("dx", np.zeros(3, np.float32), written=True)
    guard.after_phase()
    ctypes.c_float.from_address(address + offset).value = 1.0
    with pytest.raises(BrokenBufferError, match="dx was written"):
        guard.after_phase()


def test_what_is_read_only_must_not_change():
    guard = Guard("canary")
    address = guard.lend("saved", np.zeros(3, np.float32), written=False)
    ctypes.c_float.from_address(address).value = 1.0
    with pytest.raises(BrokenBufferError, match="saved is read only"):
        guard.after_phase()


@PAGED
@pytest.mark.parametrize(("kind", "offset"), [("after", 12), ("before", -4), ("after", 0), ("after", -PAGE)])
def test_a_page_ends_the_process(python, kind, offset):
    """Beyond either edge, and in what may only be read."""
    code = f"""
import ctypes, os, numpy as np
from trust.guard import Guard
address = Guard({kind!r}).lend("x", np.zeros(3, np.float32), written=False)
if not os.fork():
    ctypes.c_float.from_address(address + {offset}).value = 1.0
    os._exit(0)
print(os.WTERMSIG(os.wait()[1]))
"""
    assert int(python(code, PYTHONPATH=":".join(sys.path))) == signal.SIGSEGV


@pytest.mark.parametrize("kind", ["after", "before", "canary"])
def test_the_kernels_run_between_guards(kind):
    x, w, v = torch.randn(1, 4, 3, 2), torch.randn(1, 5, 2), torch.randn(1, 5, 5)
    given = (x, None, w, v, *[None] * 7)
    plain = call.walk_forward(given, "rnn:tanh", True, False, True, 0)
    with guarded(kind) as guard:
        watched = call.walk_forward(given, "rnn:tanh", True, False, True, 0)
    assert guard.passes == 1
    assert torch.equal(plain[0], watched[0])
    assert engine.pointer.__module__ == "memspan.kernels.cpu.pointers"
