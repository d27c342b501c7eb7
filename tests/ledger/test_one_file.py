"""A ledger is one file, whatever path leads to it, and only its own companions are replayed into it."""

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from ledger_stories import FACTS, page, pieces, state, story, train

from memspan.errors import ForeignLedgerError, LedgerError
from memspan.ledger import DamagedCheckpointWarning, Ledger
from memspan.ledger.events import Checkpoint, Started
from memspan.ledger.holds import Holds

RUN = page().id


def symbolic(path, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    other = tmp_path / "elsewhere" / "other.ledger"
    other.symlink_to(path)
    return other


def hard(path, tmp_path):
    other = tmp_path / "another.ledger"
    os.link(path, other)
    return other


def folder_link(path, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    return tmp_path / "link" / path.name


def roundabout(path, tmp_path):
    (tmp_path / "deep").mkdir()
    return Path(os.path.relpath(tmp_path / "deep" / ".." / path.name))


@pytest.mark.parametrize("way", [symbolic, hard, folder_link, roundabout])
@pytest.mark.parametrize("linked_first", [True, False])
def test_all_names_of_a_ledger_are_one_hold_and_one_folder_of_checkpoints(path, tmp_path, way, linked_first):
    if linked_first:
        Ledger.open(path).close()
    else:
        path.touch()
        keep = Ledger.open(path)
    other = way(path, tmp_path)
    with Ledger.open(path) as one, Ledger.open(other) as two:
        assert one.holds.take(RUN)
        assert not two.holds.take(RUN)
        assert two.holds.living([RUN]) == {RUN}
        assert two.files == one.files
        train(one, page())
        assert two.get(RUN).status == "finished"
        assert two.final_state(RUN) == one.final_state(RUN)
    if not linked_first:
        keep.close()
    with Ledger.open(other, readonly=True) as third:
        assert third.get(RUN).curve("loss").step.tolist() == list(range(1, 101))


def test_a_hard_link_in_another_folder_is_refused_while_the_ledger_is_in_use(path, tmp_path):
    """Its -wal would be another one: two names at once would damage the file."""
    (tmp_path / "elsewhere").mkdir()
    other = tmp_path / "elsewhere" / "runs.ledger"
    with Ledger.open(path) as ledger:
        train(ledger, page())
        os.link(path, other)
        for readonly in (True, False):
            with pytest.raises(LedgerError, match="in use under another name"):
                Ledger.open(other, readonly=readonly)
        code = "import sys; from memspan.ledger import Ledger; Ledger.open(sys.argv[1])"
        run = subprocess.run(
            [sys.executable, "-c", code, str(other)], capture_output=True, text=True, check=False
        )
        assert "in use under another name" in run.stderr
        assert ledger.holds.take(RUN)
        assert not Holds(other).take(RUN)
    with Ledger.open(other) as ledger:
        assert ledger.get(RUN).done


def test_a_second_ledger_of_a_process_leaves_the_first_its_locks(path):
    """To close any handle to the file would end SQLite's locks: another process took the -wal away."""
    code = "import sys; from memspan.ledger import Ledger; Ledger.open(sys.argv[1]).close()"
    with Ledger.open(path) as first:
        first.register([page()])
        Ledger.open(path).close()
        Ledger.open(path, readonly=True).close()
        Holds(path).living([RUN])
        subprocess.run([sys.executable, "-c", code, str(path)], check=True)
        assert path.with_name(path.name + "-wal").exists()
        for event in story(RUN):
            assert first.append(event)
    with Ledger.open(path) as again:
        assert again.get(RUN).status == "finished"


def hold_and_wait(path, connection):
    holds = Holds(path)
    connection.send((holds.take(RUN), holds.take("b")))
    connection.recv()
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_no_hold_of_its_parents_and_keeps_none_alive(path):
    with Ledger.open(path) as ledger:
        ledger.holds.take(RUN)
        ours, theirs = multiprocessing.Pipe()
        child = multiprocessing.get_context("fork").Process(target=hold_and_wait, args=(path, theirs))
        child.start()
        assert ours.recv() == (False, True)
        assert ledger.holds.living([RUN, "b"]) == {RUN, "b"}
        ledger.holds.release(RUN)
        assert ledger.holds.living([RUN, "b"]) == {"b"}
        ours.send("die")
        child.join()
        assert ledger.holds.take("b")


def test_a_forked_child_that_outlives_its_parent_lets_its_runs_go(path):
    code = """if True:
        import os, sys, time
        from memspan.ledger import Ledger
        ledger = Ledger.open(sys.argv[1])
        ledger.holds.take("a")
        ours, theirs = os.pipe()
        if os.fork() == 0:
            os.write(theirs, b"!")
            sys.stdin.read()
            os._exit(0)
        os.read(ours, 1)
        print("held", flush=True)
        os._exit(1)
        """
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout.readline() == "held\n"
    parent.wait()
    holds = Holds(path)
    assert holds.take("a")
    holds.release_all()
    parent.stdin.close()
    parent.stdout.close()


def special(kind, path):
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            here = Path.cwd()
            os.chdir(path.parent)  # the path of a socket may have 107 letters
            try:
                listener.bind(path.name)
            finally:
                os.chdir(here)
    elif kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
    else:
        path.symlink_to("/dev/zero")


@pytest.mark.parametrize("readonly", [True, False])
@pytest.mark.parametrize("kind", ["fifo", "socket", "folder", "loop", "device"])
def test_what_is_no_file_is_refused_at_once(path, kind, readonly):
    special(kind, path)
    with pytest.raises(LedgerError, match=r"pipe \(FIFO\)|socket|folder|[lL]ink|device|no ledger"):
        Ledger.open(path, readonly=readonly)


@pytest.mark.parametrize("kind", ["folder", "loop", "fifo"])
@pytest.mark.parametrize("name", ["-wal", "-journal", "-shm"])
def test_a_companion_that_is_no_file_is_refused(path, kind, name):
    Ledger.open(path).close()
    special(kind, path.with_name(path.name + name))
    with pytest.raises(LedgerError, match=f"{name}' is no regular file"):
        Ledger.open(path)


def killed(path, seed):
    """Leave a ledger as a killed process does: its last commits in a -wal beside it."""
    code = """if True:
        import os, sys
        sys.path.insert(0, sys.argv[3])
        from ledger_stories import page, train
        from memspan.ledger import Ledger
        ledger = Ledger.open(sys.argv[1])
        train(ledger, page(seed=int(sys.argv[2])))
        os._exit(1)
        """
    subprocess.run(
        [sys.executable, "-c", code, str(path), str(seed), str(Path(__file__).parent)], check=False
    )
    return path.with_name(path.name + "-wal")


def test_a_foreign_wal_is_refused_and_nothing_is_changed(path, tmp_path):
    with Ledger.open(path) as ledger:
        train(ledger, page(seed=1))
    foreign = killed(tmp_path / "foreign.ledger", 2)
    wal = path.with_name(path.name + "-wal")
    wal.write_bytes(foreign.read_bytes())
    before = path.read_bytes(), wal.read_bytes()
    for readonly in (True, False):
        with pytest.raises(LedgerError, match=r"runs.ledger-wal' lies beside the ledger and is not its own"):
            Ledger.open(path, readonly=readonly)
    assert (path.read_bytes(), wal.read_bytes()) == before
    wal.unlink()
    with Ledger.open(path) as ledger:
        assert [r.config["seed"] for r in ledger.select()] == [1]


def test_an_older_wal_of_the_ledger_itself_is_refused(path):
    """As a backup of one of the two files brings it back."""
    wal = killed(path, 5)
    old = wal.read_bytes()
    with Ledger.open(path) as ledger:
        train(ledger, page(seed=6))
    wal.write_bytes(old)
    with pytest.raises(LedgerError, match="has changed since it was written"):
        Ledger.open(path)
    wal.unlink()
    with Ledger.open(path) as ledger:
        assert sorted(r.config["seed"] for r in ledger.select()) == [5, 6]


def test_the_wal_of_a_killed_process_is_the_ledgers_own(path):
    assert killed(path, 5).stat().st_size
    with Ledger.open(path) as ledger:
        assert ledger.get(page(seed=5).id).status == "finished"


def test_a_wal_without_its_ledger_is_not_thrown_away(path):
    wal = killed(path, 5)
    path.unlink()
    with pytest.raises(LedgerError, match="the ledger itself is empty"):
        Ledger.open(path)
    assert wal.stat().st_size


def test_a_foreign_journal_is_refused(path):
    Ledger.open(path).close()
    journal = path.with_name(path.name + "-journal")
    journal.write_bytes(
        bytes.fromhex("d9d505f920a163d7") + bytes(4) + b"abcd" + bytes([0, 0, 0, 1]) + bytes(492)
    )
    before = path.read_bytes()
    with pytest.raises(LedgerError, match="-journal' lies beside the ledger"):
        Ledger.open(path)
    assert path.read_bytes() == before
    assert journal.exists()


@pytest.mark.parametrize("kind", ["folder", "loop", "fifo"])
def test_an_unusable_checkpoint_is_set_aside_as_a_damaged_one_is(ledger, kind):
    ledger.register([page()])
    ledger.append(Started(RUN, 0, FACTS))
    for again in range(2):
        ledger.append(Checkpoint(RUN, 25, pieces(RUN, 0, 25), state(RUN, 25)))
        file = ledger.files.current(RUN)
        file.unlink()
        special(kind, file)
        with pytest.warns(DamagedCheckpointWarning, match=r"moved to .*\.damaged"):
            assert ledger.resume(RUN) is None
        assert not os.path.lexists(file)
        assert len(list(ledger.files.path.glob(f"{RUN}.damaged*"))) == (again + 1 if kind == "folder" else 1)
        ledger.append(Started(RUN, 0, FACTS))
    for event in list(story(RUN))[1:]:
        assert ledger.append(event)
    assert ledger.final_state(RUN) == state(RUN, 100)
    ledger.delete([RUN])


@pytest.mark.parametrize("kind", ["folder", "loop", "fifo"])
def test_whatever_lies_where_a_checkpoint_is_written_is_out_of_the_way(ledger, kind):
    ledger.files.path.mkdir()
    special(kind, ledger.files.current(RUN))
    special("fifo", ledger.files.current(RUN).with_suffix(".safetensors.tmp"))
    train(ledger, page())
    assert ledger.final_state(RUN) == state(RUN, 100)


def test_a_foreign_file_is_refused_by_its_first_bytes(path):
    path.write_bytes(b"not a database, and longer than a header")
    with pytest.raises(ForeignLedgerError):
        Ledger.open(path)
    Holds(path).release_all()
