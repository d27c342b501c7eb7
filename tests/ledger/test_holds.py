"""A run is held by a living process, and by nothing else."""

import os
import signal
import subprocess
import sys

import pytest

from memspan.errors import LedgerError
from memspan.ledger import Ledger
from memspan.ledger.holds import Holds

HOLDER = """
import sys
from pathlib import Path
from memspan.ledger.holds import Holds
holds = Holds(Path(sys.argv[1]))
print([holds.take(run) for run in sys.argv[2:]], flush=True)
sys.stdin.read()
"""


@pytest.fixture
def holder(path):
    """Start another process that holds runs until its stdin closes, or it is killed."""
    started = []

    def hold(*runs):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(path), *runs],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        return process, process.stdout.readline().strip()

    yield hold
    for process in started:
        process.kill()
        process.communicate()


def test_what_another_process_holds_is_free_the_moment_it_is_killed(path, holder):
    other, said = holder("a", "b")
    assert said == "[True, True]"
    mine = Holds(path)
    assert [mine.take(run) for run in "abc"] == [False, False, True]
    assert mine.living("abcd") == {"a", "b", "c"}
    assert holder("c", "d")[1] == "[False, True]"
    other.send_signal(signal.SIGKILL)
    other.wait()
    assert mine.living("ab") == set()
    assert [mine.take(run) for run in "ab"] == [True, True]
    mine.release_all()


def test_two_ledgers_of_one_process_do_not_hold_the_same_run(path):
    with Ledger.open(path) as one, Ledger.open(path) as two:
        assert one.holds.take("a")
        assert not two.holds.take("a")
        assert not one.holds.take("a")
        two.holds.release("a")
        assert two.holds.living("ab") == {"a"}
    with Ledger.open(path) as three:
        assert three.holds.take("a")


def test_looking_on_lets_go_of_nothing(path, holder):
    """A second handle to the file, once closed, would end every POSIX lock of this process."""
    mine = Holds(path)
    assert mine.take("a")
    assert Holds(path).living("ab") == {"a"}
    assert not Holds(path).take("a")
    other = Holds(path)
    assert other.take("b")
    other.release("b")
    assert holder("a", "b")[1] == "[False, True]"
    mine.release("a")
    assert holder("a")[1] == "[True]"


def test_the_end_of_a_child_lets_go_of_nothing(path):
    mine = Holds(path)
    assert mine.take("a")
    child = os.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-c", "pass"])
    os.waitpid(child, 0)
    assert Holds(path).living("a") == {"a"}
    mine.release_all()


def test_nothing_is_held_where_nobody_has_begun(path):
    assert Holds(path).living("a") == set()
    assert not path.with_name(path.name + "-holds").exists()


def test_a_folder_that_is_not_there_is_named(path):
    with pytest.raises(LedgerError, match="cannot be opened"):
        Holds(path / "below").take("a")
