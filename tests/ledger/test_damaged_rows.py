"""One flipped bit in a stored row is met with a LedgerError that names the run; the others stay readable."""

import random
import sqlite3
import struct

import pytest
from ledger_stories import page, page_id, train

from memspan.errors import LedgerError
from memspan.ledger import Ledger, rows, seals
from memspan.ledger.events import Checkpoint, Finished, Piece, Started
from memspan.ledger.parquet import export_parquet

PAGES = [page(seed=seed) for seed in range(3)]
DAMAGED = PAGES[1].id


@pytest.fixture
def whole(path):
    """A ledger with two done runs, one of them damaged by each test, and a planned one."""
    with Ledger.open(path) as ledger:
        for run in PAGES[:2]:
            train(ledger, run, diverge=run.id == DAMAGED)
        ledger.register(PAGES)
    return path


def raw(path):
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA ignore_check_constraints = ON")
    return db


def columns(db):
    return [row[1] for row in db.execute("PRAGMA table_info(runs)")]


def flipped(value, draw):
    """The value with one of its stored bits turned over."""
    if isinstance(value, int):
        return value ^ 1 << draw.randrange(62)
    stored = bytearray(struct.pack("<d", value) if isinstance(value, float) else value.encode())
    if not stored:
        return "\0"
    stored[draw.randrange(len(stored))] ^= 1 << draw.randrange(8)
    return struct.unpack("<d", stored)[0] if isinstance(value, float) else bytes(stored)


def test_one_flipped_bit_in_any_column_is_always_found(whole):
    draw = random.Random(14)
    db = raw(whole)
    names = columns(db)
    before = dict(
        zip(names, db.execute("SELECT * FROM runs WHERE id = ?", (DAMAGED,)).fetchone(), strict=True)
    )
    number = db.execute("SELECT rowid FROM runs WHERE id = ?", (DAMAGED,)).fetchone()[0]
    with Ledger.open(whole) as ledger:
        sound = {run.id: ledger.get(run.id) for run in (PAGES[0], PAGES[2])}
        for tried in range(600):
            name = names[tried % len(names)]
            damaged = flipped(before[name], draw)
            if damaged != damaged:
                continue
            cast = "CAST(? AS TEXT)" if isinstance(damaged, bytes) else "?"
            db.execute(f"UPDATE runs SET {name} = {cast} WHERE rowid = ?", (damaged, number))
            assert len(ledger.damaged()) == 1, (name, damaged)
            with pytest.raises(
                LedgerError, match=r"^run '.*' of this ledger is damaged: .*memspan runs delete"
            ):
                ledger.select()
            if name != "id":
                with pytest.raises(LedgerError, match=DAMAGED):
                    ledger.get(DAMAGED)
                with pytest.raises(LedgerError, match=DAMAGED):
                    ledger.statuses([DAMAGED])
                with pytest.raises(LedgerError, match=DAMAGED):
                    ledger.append(Started(DAMAGED, 0))
            assert {r.id: r for r in ledger.intact()} == sound
            assert ledger.select(id=list(sound)) == list(map(sound.get, sorted(sound)))
            db.execute(f"UPDATE runs SET {name} = ? WHERE rowid = ?", (before[name], number))
        assert ledger.damaged() == {}
        assert len(ledger.select()) == 3
    db.close()


def test_a_flipped_bit_of_the_file_is_found_or_does_no_harm(whole):
    """Wherever it is: in a row's header, in an index, in the list of a page's cells."""
    sqlite3.connect(whole).execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = whole.read_bytes()
    with Ledger.open(whole) as ledger:
        before = view(ledger)
    draw = random.Random(3)
    found = 0
    for _ in range(150):
        changed = bytearray(content)
        changed[draw.randrange(100, len(content))] ^= 1 << draw.randrange(8)
        for kind in ("-wal", "-shm"):
            whole.with_name(whole.name + kind).unlink(missing_ok=True)
        whole.write_bytes(changed)
        try:
            with Ledger.open(whole, readonly=True) as ledger:
                assert view(ledger) == before
        except LedgerError:
            found += 1
    assert found > 20


def view(ledger):
    standings = ledger.standings()
    return [
        (standings[r.id], repr(r), [ledger.curve(r.id, name).mean.tobytes() for name in r.curve_names()])
        for r in ledger.select()
    ]


def change(path, statement, *values):
    db = raw(path)
    db.execute(statement, values)
    db.close()


def test_an_index_that_differs_from_its_table_is_made_anew(whole):
    """A sweep asks the index whether a run is done; it would be trained again, and its result be lost."""
    db = raw(whole)
    db.execute("PRAGMA writable_schema = ON")
    statement = "UPDATE sqlite_master SET sql = ? WHERE name = 'runs_standing'"
    db.execute(statement, ("CREATE INDEX runs_standing ON runs (id, reason, step)",))
    db.close()
    db = raw(whole)
    db.execute("REINDEX runs_standing")
    db.execute("PRAGMA writable_schema = ON")
    db.execute(statement, ("CREATE INDEX runs_standing ON runs (id, status, step)",))
    db.close()
    for readonly in (True, False, True):
        with Ledger.open(whole, readonly=readonly) as ledger:
            assert ledger.standings()[PAGES[0].id] == ("finished", 100)


@pytest.mark.parametrize(
    ("table", "column"),
    [
        (t, c)
        for t, cs in {"curves": "first stride count bin", "checkpoints": "step wall_seconds"}.items()
        for c in cs.split()
    ],
)
def test_a_changed_number_of_a_curve_or_a_checkpoint_is_found(path, table, column):
    with Ledger.open(path) as ledger:
        ledger.register(PAGES[:1])
        ledger.append(Started(PAGES[0].id, 0))
        ledger.append(Checkpoint(PAGES[0].id, 9, {"loss": Piece(1, 1, [0.5] * 9)}, b"state"))
    change(path, f"UPDATE {table} SET {column} = {column} + 1")
    with Ledger.open(path) as ledger:
        if table == "curves":
            with pytest.raises(LedgerError, match=f"curve 'loss' of run '{PAGES[0].id}' is damaged"):
                ledger.curve(PAGES[0].id, "loss")
        else:
            with pytest.warns(UserWarning, match="starts again at step 0"):
                assert ledger.resume(PAGES[0].id) is None


def test_a_lost_block_of_a_done_run_is_found(whole):
    change(whole, "DELETE FROM curves WHERE metric = 'loss' AND first = 76")
    change(whole, "DELETE FROM curves WHERE metric = 'accuracy'")
    with Ledger.open(whole) as ledger:
        with pytest.raises(LedgerError, match="curve 'loss' of run"):
            ledger.curve(PAGES[0].id, "loss")
        with pytest.raises(LedgerError, match="curve 'accuracy' of run"):
            ledger.curve_names(PAGES[0].id)


def reseal(path, **changes):
    """Write columns of a row with the seal they should have, as anybody may who wants to deceive."""
    db = raw(path)
    row = rows.Row(*db.execute("SELECT * FROM runs WHERE id = ?", (DAMAGED,)).fetchone())
    rows.update(db, row, **changes)
    db.close()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"config": rows.text(page(seed=7).flat())}, "its config is that of run"),
        ({"config": "[1]"}, "its config is no JSON object"),
        ({"config": "[" * 100_000}, "its config is no JSON object"),
        ({"step": -5}, "step -5"),
        ({"wall_seconds": float("inf")}, "wall_seconds inf"),
        ({"metrics": '{"accuracy":"high"}'}, "metric 'accuracy' is 'high'"),
        ({"metrics": '{"accuracy":' + "9" * 5000 + "}"}, "its metrics is no JSON object"),
        ({"facts": '{"kernel":3}'}, "fact 'kernel'"),
        ({"attempt": -1}, "attempt -1"),
        ({"imported": 7}, "imported 7"),
    ],
)
def test_a_row_with_a_right_seal_must_hold_what_a_run_can_have(whole, changes, reason):
    reseal(whole, **changes)
    with Ledger.open(whole, check_id=page_id) as ledger:
        with pytest.raises(LedgerError, match=reason):
            ledger.get(DAMAGED)
        assert [r.id for r in ledger.intact()] == sorted({p.id for p in PAGES} - {DAMAGED})


def test_a_finished_run_ends_where_its_budget_does(path):
    run = page(steps=200)
    with Ledger.open(path) as ledger:
        train(ledger, run, steps=200)
    change(path, "UPDATE runs SET step = 100, seal = ''")
    db = raw(path)
    row = rows.Row(*db.execute("SELECT * FROM runs").fetchone())
    rows.update(db, row, step=100)
    db.close()
    with Ledger.open(path) as ledger, pytest.raises(LedgerError, match="finished at step 100 of 200"):
        ledger.get(run.id)


def test_damaged_runs_are_taken_out_and_trained_again(whole, tmp_path):
    change(whole, "UPDATE runs SET id = '../' || substr(id, 4) WHERE id = ?", DAMAGED)
    (tmp_path / "kept").touch()
    with Ledger.open(whole) as ledger:
        with pytest.raises(LedgerError, match="damaged"):
            export_parquet(ledger, tmp_path / "runs.parquet")
        assert len(ledger.remove_damaged()) == 1
        assert ledger.damaged() == {}
        train(ledger, PAGES[1])
        assert export_parquet(ledger, tmp_path / "runs.parquet") == 2
    assert (tmp_path / "kept").exists()


def test_a_run_with_a_hole_in_a_curve_does_not_finish(ledger):
    run = page()
    ledger.register([run])
    ledger.append(Started(run.id, 0))
    with pytest.raises(LedgerError, match="ends at step 0, the next piece begins at 5001"):
        ledger.append(Checkpoint(run.id, 5010, {"loss": Piece(5001, 1, [0.0] * 10)}))
    ledger.append(Checkpoint(run.id, 10, {"loss": Piece(1, 1, [0.0] * 10)}))
    with pytest.raises(LedgerError, match="is stored up to step 10, another piece begins at 5"):
        ledger.append(Checkpoint(run.id, 20, {"loss": Piece(5, 1, [1.0] * 16)}))
    with pytest.raises(LedgerError, match="ends at step 10, so the run is not finished"):
        ledger.append(Finished(run.id, 20))
    assert ledger.get(run.id).status == "running"
    assert ledger.append(Finished(run.id, 20, {"loss": Piece(11, 1, [0.0] * 10)}))


def test_seals_tell_types_apart_and_survive_text_that_is_no_text():
    assert len({seals.seal([value]) for value in (1, 1.0, "1", b"1", None, True)}) == 6
    assert seals.text_of(b"\xff") == "\udcff"
    assert seals.seal(["\udcff"]) != seals.seal(["\udcfe"])
