"""An older ledger is brought up to date beside a copy of what it was; a newer one is refused."""

import os
import signal
import sqlite3
import subprocess
import sys

import pytest
from ledger_stories import assert_consistent, page, story, train

from memspan.errors import LedgerError
from memspan.ledger import Ledger, database, seals
from memspan.ledger.events import Finished


def make_old(path):
    """Write a ledger as schema 1 had it, with a finished run and one in the middle."""
    with Ledger.open(path) as ledger:
        train(ledger, page(seed=0))
        ledger.register([page(seed=1)])
        for event in list(story(page(seed=1).id))[:3]:
            ledger.append(event)
    db = sqlite3.connect(path, isolation_level=None)
    rows = {table: db.execute(f"SELECT * FROM {table}").fetchall() for table in seals.TABLES}
    db.close()
    path.unlink()
    old = sqlite3.connect(path, isolation_level=None)
    for statement in (*database.SCHEMA, "PRAGMA user_version = 1", "PRAGMA journal_mode = WAL"):
        old.execute(statement)
    for table in seals.TABLES:
        width = len(old.execute(f"PRAGMA table_info({table})").fetchall())
        marks = ", ".join("?" * width)
        old.executemany(f"INSERT INTO {table} VALUES ({marks})", [row[:width] for row in rows[table]])
    old.close()
    return path.with_name(f"{path.name}.schema-1")


def tables(path):
    db = sqlite3.connect(path)
    try:
        return db.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall(), version(db)
    finally:
        db.close()


def version(db):
    return db.execute("PRAGMA user_version").fetchone()[0]


def test_an_old_ledger_goes_on_as_one_of_today(path, tmp_path, monkeypatch):
    copy = make_old(path)
    assert tables(path)[1] == 1
    with Ledger.open(path) as ledger:
        run_id = page(seed=1).id
        assert_consistent(ledger, page(seed=0).id)
        for event in story(run_id, begin=ledger.resume(run_id).step):
            ledger.append(event)
        assert_consistent(ledger, run_id)
    Ledger.open(tmp_path / "new").close()
    assert tables(path) == tables(tmp_path / "new")
    assert tables(copy)[1] == 1


def test_the_copy_is_the_ledger_as_it_was(path, monkeypatch):
    copy = make_old(path)
    before = page_of(path)
    Ledger.open(path).close()
    assert page_of(copy) == before == page_of(path)
    assert sorted(p.name for p in path.parent.glob("*.tmp")) == []


def page_of(path):
    with Ledger.open(path, readonly=True) as ledger:
        return [(r.id, r.status, r.step, r.metrics, r.curve("loss").mean.tobytes()) for r in ledger.select()]


def test_a_reader_takes_an_old_ledger_as_it_is(path, monkeypatch):
    copy = make_old(path)
    with Ledger.open(path, readonly=True) as ledger:
        assert sorted(ledger.standings().values()) == [("finished", 100), ("running", 50)]
    assert tables(path)[1] == 1
    assert not copy.exists()


def test_a_failing_step_changes_nothing(path, monkeypatch):
    copy = make_old(path)
    before = tables(path)
    with monkeypatch.context() as patch:
        patch.setattr(database, "STEPS", {2: (*database.STEPS[2], "CREATE TABLE runs (id)")})
        with pytest.raises(LedgerError, match="already exists"):
            Ledger.open(path)
    assert tables(path) == before
    Ledger.open(path).close()
    assert tables(copy) == before


def test_no_room_for_the_copy_changes_nothing(path, monkeypatch):
    copy = make_old(path)
    before = tables(path)
    copy.with_name(copy.name + ".tmp").mkdir()
    with pytest.raises(LedgerError, match="cannot be used"):
        Ledger.open(path)
    assert tables(path) == before
    assert not copy.exists()


KILLED = """
import os, signal, sys
from memspan.ledger import Ledger, database, seals
if sys.argv[2] == "copy":
    database.raise_schema = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
else:
    database.commit = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
Ledger.open(sys.argv[1])
"""


@pytest.mark.parametrize("moment", ["copy", "commit"])
def test_killed_on_the_way_it_is_done_again(path, monkeypatch, moment):
    copy = make_old(path)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path), moment], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert copy.exists()
    assert tables(path)[1] == 1
    os.truncate(copy, 0)  # whatever the copy became meanwhile, it is made anew
    Ledger.open(path).close()
    assert tables(path)[1] == database.SCHEMA_VERSION
    assert tables(copy)[1] == 1


def test_two_processes_open_an_old_ledger_at_once(path, monkeypatch):
    copy = make_old(path)
    code = "import sys; from memspan.ledger import Ledger; Ledger.open(sys.argv[1]).close()"
    both = [subprocess.Popen([sys.executable, "-c", code, str(path)]) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert tables(copy)[1] == 1
    with Ledger.open(path) as ledger:
        assert not ledger.append(Finished(page(seed=0).id, 100))
