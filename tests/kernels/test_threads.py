"""Worker threads of the kernels: every share is done, and nothing is left behind when one fails."""

import _thread
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numba as nb
import numpy as np
import pytest

from memspan.kernels.cpu import threads


def test_shares_are_done_side_by_side():
    here = threading.Barrier(3)  # passed only if three threads are in it at once
    done = []

    def work(first, last):
        here.wait(timeout=30)
        done.append((first, last))

    threads.run(work, [(0, 2), (2, 3), (3, 5)])
    assert sorted(done) == [(0, 2), (2, 3), (3, 5)]


@pytest.mark.parametrize("bad", [0, 1])
def test_what_goes_wrong_is_raised_after_every_share_ended(bad):
    ended = []

    def work(first, last):
        if first == bad:
            raise ValueError(f"share {first}")
        time.sleep(0.05)
        ended.append(first)

    with pytest.raises(ValueError, match=f"share {bad}"):
        threads.run(work, [(0, 1), (1, 2)])
    assert ended == [1 - bad]
    threads.run(work, [(5, 6), (6, 7)])  # the thread lives on
    assert sorted(ended) == [1 - bad, 5, 6]


@pytest.fixture
def interruptible():
    """Python's own handler of Ctrl-C: a shell starts what runs in its background without one."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_waits_for_the_threads_that_still_write():
    ended = []

    def work(first, last):
        if first:
            _thread.interrupt_main()
            time.sleep(0.2)
            ended.append(first)

    with pytest.raises(KeyboardInterrupt):
        threads.run(work, [(0, 1), (1, 2)])
    assert ended == [1]


FORKS = """
import os, threading
import numba as nb, numpy as np
from memspan.kernels.cpu import threads
nothing = lambda first, last: None
kernel = nb.njit("void(i8[::1], intp, intp)", nogil=True)(lambda jobs, first, last: None)
compiled = threads.Walk(kernel, np.zeros(2, np.int64))
for work in (nothing, compiled):
    threads.run(work, [(0, 1), (1, 2)])
child = os.fork()
threading.Timer(30, os._exit, (1,)).start()  # without threads of its own the child waits for ever
for work in (compiled, nothing):
    threads.run(work, [(0, 1), (1, 2)])
if child:
    os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_has_threads_of_its_own():
    subprocess.run([sys.executable, "-c", FORKS], check=True, timeout=60)


LOCKED = """
import os, threading, time
import numba as nb
from numba.core.compiler_lock import global_compiler_lock
from memspan import forks
from memspan.cells.rnn.equations import RNN
from memspan.kernels import trial
from memspan.kernels.cpu import cache
from memspan.kernels.cpu.plan import Plan
from memspan.kernels.cpu.spec import spec_for
from memspan.kernels.cpu.threads import _WORKERS

TEXT = "import numba as nb\\nfrom memspan.linked import entry\\n" \
    "@entry(nb.int64(nb.int64))\\ndef triple(n): return 3 * n\\n"
plan = Plan(spec_for(RNN(1, 4), 4), 1, 2, 3, 1, 4, 0, True, 0, False, False)
property_lock = getattr(vars(Plan)["order"], "lock", threading.Lock())  # Python 3.12 has none
holding, begun = threading.Event(), threading.Event()

def slow_text():
    begun.set()
    time.sleep(0.5)
    return TEXT

def hold():
    with global_compiler_lock, property_lock, _WORKERS.lock:
        holding.set()
        time.sleep(60)

def compiling():
    with trial._LOCK:  # as a first call does
        cache.module("memspan_slow", slow_text)

def use():
    assert cache.module("memspan_slow", slow_text).triple(2) == 6
    assert cache.module("memspan_other", lambda: TEXT).triple(3) == 9
    assert plan.order.shape[0] == 1
    for lock in forks._LOCKS:
        assert lock.acquire(1.0)
        lock.release()
    with _WORKERS.lock:
        pass

def end_of(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def in_child():
    threading.Timer(30, os._exit, (2,)).start()  # a child that waits for a lost thread does so for ever
    try:
        use()
    except BaseException as wrong:
        print(repr(wrong), flush=True)
        os._exit(3)
    os._exit(0)

threading.Timer(60, os._exit, (1,)).start()
thread = threading.Thread(target=compiling)
thread.start()
begun.wait()
if (child := os.fork()) == 0:
    in_child()
assert end_of(child) == 0, "forked while another thread compiled"
thread.join()
with cache._LOCK:
    if (child := os.fork()) == 0:
        in_child()
    assert end_of(child) == 0, "forked by the holder of a lock"
threading.Thread(target=hold, daemon=True).start()
holding.wait()
if (child := os.fork()) == 0:
    in_child()
assert end_of(child) == 0, "forked while another thread held what no fork waits for"
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_waits_for_no_lock_of_its_parent(python):
    python(LOCKED)


@nb.njit(nb.void(nb.int64[::1], nb.intp, nb.intp), nogil=True)
def count_up(jobs, first, last):
    for unit in range(first, last):
        jobs[unit] += 1


@pytest.mark.parametrize("rest", [0.0, 0.02], ids=["while-threads-watch", "while-they-sleep"])
@pytest.mark.parametrize("by", ["torchs-threads", "ours"])
def test_compiled_work_is_done_by_either_kind_of_thread(rest, by, monkeypatch):
    if by == "ours":
        monkeypatch.setattr(threads, "team", lambda: None)
    jobs = np.zeros(7, np.int64)
    work = threads.Walk(count_up, jobs)
    for turn in range(1, 41):
        threads.run(work, [(0, 2), (2, 3), (3, 7)])
        assert jobs.tolist() == [turn] * 7
        time.sleep(rest)


def test_no_share_is_left_where_fewer_threads_come_than_were_asked_for(python):
    python(
        "import numpy as np, numba as nb\n"
        "from memspan.kernels.cpu import threads\n"
        "@nb.njit(nb.void(nb.int64[::1], nb.intp, nb.intp), nogil=True)\n"
        "def count_up(jobs, first, last):\n"
        "    for unit in range(first, last): jobs[unit] += 1\n"
        "jobs = np.zeros(6, np.int64)\n"
        "threads.run(threads.Walk(count_up, jobs), [(k, k + 1) for k in range(6)])\n"
        "assert jobs.tolist() == [1] * 6",
        OMP_THREAD_LIMIT="2",
    )


def test_compiled_work_and_others_take_turns():
    jobs, seen = np.zeros(4, np.int64), []
    for turn in range(1, 31):
        threads.run(threads.Walk(count_up, jobs), [(0, 2), (2, 4)])
        threads.run(lambda first, last: seen.append((first, last)), [(0, 2), (2, 4)])
        assert jobs.tolist() == [turn] * 4
    assert sorted(seen) == [(0, 2)] * 30 + [(2, 4)] * 30


def test_several_callers_do_compiled_work_at_once():
    mine = [np.zeros(6, np.int64) for _ in range(4)]

    def call(jobs):
        for _ in range(200):
            threads.run(threads.Walk(count_up, jobs), [(0, 2), (2, 4), (4, 6)])

    callers = [threading.Thread(target=call, args=(jobs,)) for jobs in mine]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(timeout=60)
    assert [jobs.tolist() for jobs in mine] == [[200] * 6] * 4


@nb.njit(nb.void(nb.int64[::1], nb.intp, nb.intp), nogil=True)
def double(jobs, first, last):
    for unit in range(first, last):
        jobs[unit] *= 2


@nb.njit(nb.void(nb.int64[::1], nb.intp, nb.intp), nogil=True)
def count_from_the_last(jobs, first, last):
    for unit in range(first, last):
        jobs[unit] = jobs[last - 1] + last - 1 - unit


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("by", ["torchs-threads", "ours"])
def test_a_program_does_its_phases_in_turn(count, by, monkeypatch):
    """The second phase reads what other threads wrote in the first; a relay takes unit after unit through."""
    if by == "ours":
        monkeypatch.setattr(threads, "team", lambda: None)
    jobs, other = np.zeros(6, np.int64), np.zeros(6, np.int64)
    shares = threads.share(6, count)
    program = threads.Program([
        (threads.Walk(count_up, jobs), shares),
        (threads.Walk(count_from_the_last, jobs), [(0, 6)]),
        (threads.Relay((threads.Walk(count_up, other), threads.Walk(double, other))), shares),
        (threads.Walk(count_up, jobs), shares),
    ])  # fmt: skip
    wanted, relayed = np.zeros(6, np.int64), np.zeros(6, np.int64)
    for _ in range(30):
        program()
        wanted, relayed = wanted[-1] + 2 + np.arange(6)[::-1], 2 * (relayed + 1)
        assert np.array_equal(jobs, wanted)
        assert np.array_equal(other, relayed)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_torch_computes_in_parallel_in_a_child_of_a_process_that_used_its_threads(python):
    python(
        textwrap.dedent("""
        import os, torch, memspan
        torch.set_num_threads(2)
        with torch.no_grad():
            memspan.LSTM(64, 128)(torch.randn(50, 64, 64))
        x = torch.randn(2**20)
        want = x.exp().sum()
        child = os.fork()
        if not child:
            os._exit(0 if torch.allclose(x.exp().sum(), want) else 1)  # a wait for ever, once
        import signal
        signal.alarm(60)
        assert os.waitpid(child, 0)[1] == 0
        assert torch.allclose(x.exp().sum(), want)  # and the parent's threads come again
    """)
    )
