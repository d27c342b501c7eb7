import os
import sqlite3

import pytest
from ledger_stories import page, train

from memspan.errors import ForeignLedgerError, LedgerError
from memspan.ledger import Ledger, database


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(ForeignLedgerError, match="is a folder"):
        Ledger.open(tmp_path)


@pytest.mark.parametrize("content", [b"step,loss\n1,2\n", b"SQLite", b"\0" * 4096])
def test_a_file_that_is_no_database_is_refused_and_left_alone(path, content):
    path.write_bytes(content)
    with pytest.raises(ForeignLedgerError, match="not a memspan ledger"):
        Ledger.open(path)
    assert path.read_bytes() == content


def test_a_foreign_database_is_refused_and_left_alone(path):
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE runs (id)")
    db.close()
    before = path.read_bytes()
    with pytest.raises(ForeignLedgerError, match="not a memspan ledger"):
        Ledger.open(path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_newer_schema_is_refused(path):
    Ledger.open(path).close()
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {database.SCHEMA_VERSION + 1}")
    db.close()
    with pytest.raises(LedgerError, match="update memspan"):
        Ledger.open(path)


def test_an_empty_file_becomes_a_ledger_but_not_for_a_reader(path):
    path.touch()
    with pytest.raises(ForeignLedgerError):
        Ledger.open(path, readonly=True)
    Ledger.open(path).close()
    Ledger.open(path, readonly=True).close()


def test_a_reader_makes_nothing(path):
    with pytest.raises(LedgerError, match="no ledger at"):
        Ledger.open(path, readonly=True)
    assert not path.exists()


def test_a_place_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError, match="cannot be used"):
        Ledger.open(tmp_path / "file" / "runs.ledger")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_is_refused_and_still_read(path):
    with Ledger.open(path) as ledger:
        train(ledger, page())
    path.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        with Ledger.open(path, readonly=True) as ledger:
            assert ledger.get(page().id).status == "finished"
        with pytest.raises(LedgerError, match="writable"):
            Ledger.open(path)
    finally:
        path.parent.chmod(0o700)


def test_a_damaged_file_is_found_at_open(path):
    with Ledger.open(path) as ledger:
        ledger.register(page(seed=s) for s in range(500))
    content = bytearray(path.read_bytes())
    content[8192 : 8192 + 4096 * 4] = b"\xa5" * 4096 * 4
    path.write_bytes(content)
    with pytest.raises(LedgerError, match=r"damaged|malformed"):
        Ledger.open(path)


def test_the_whole_file_is_checked_on_request(ledger):
    train(ledger, page())
    ledger.check()


def test_a_busy_ledger_names_the_reason(path, monkeypatch):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.01)
    with Ledger.open(path) as first, Ledger.open(path) as second, first._writer.transaction():
        refusal = pytest.raises(LedgerError, match="another process is writing")
        with refusal:
            second.register([page()])
