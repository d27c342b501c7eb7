"""One damaged run of many: it is shown and can be taken out, and the others are listed as ever."""

import json
import sqlite3

import pytest

from memspan.cli import main
from memspan.config import RunConfig
from memspan.ledger import Ledger
from memspan.ledger.events import Finished, Started

RUNS = [RunConfig.from_flat({"length": 5, "steps": 100, "seed": seed}) for seed in range(3)]
DAMAGED = RUNS[1].id


@pytest.fixture
def out(tmp_path):
    """A folder whose ledger has three finished runs, one with a flipped bit in its step."""
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        ledger.register(RUNS)
        for run in RUNS:
            ledger.append(Started(run.id, 0))
            ledger.append(Finished(run.id, 100, metrics={"accuracy": 0.5}))
    change(tmp_path, "UPDATE runs SET step = step + 16 WHERE id = ?", DAMAGED)
    return tmp_path


def change(folder, statement, *values):
    db = sqlite3.connect(folder / "ledger.sqlite", isolation_level=None)
    db.execute(statement, values)
    db.close()


def test_status_and_list_show_the_damaged_run_beside_the_others(out, capsys):
    assert main(["runs", "status", "--once", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert f"run '{DAMAGED}' of this ledger is damaged" in said
    assert "memspan runs delete" in said
    assert main(["runs", "status", "--json", "--out", str(out)]) == 0
    assert json.loads(capsys.readouterr().out)["damaged"] == 1
    assert main(["runs", "list", "--json", "--out", str(out)]) == 1
    said = capsys.readouterr()
    assert {row["id"] for row in json.loads(said.out)} == {RUNS[0].id, RUNS[2].id}
    assert DAMAGED in said.err


def test_a_config_that_is_not_its_ids_is_damage_too(out, capsys):
    """Written with the seal it should have: checksums alone would believe it."""
    from memspan.ledger import rows

    db = sqlite3.connect(out / "ledger.sqlite", isolation_level=None)
    row = rows.Row(*db.execute("SELECT * FROM runs WHERE id = ?", (RUNS[0].id,)).fetchone())
    rows.update(db, row, config=rows.text({**RUNS[0].flat(), "hidden": 129}))
    db.close()
    assert main(["runs", "status", "--once", "--out", str(out)]) == 0
    assert (
        f"run '{RUNS[0].id}' of this ledger is damaged: its config is that of run" in capsys.readouterr().out
    )


@pytest.mark.parametrize("which", [["--where", "status=damaged"], [DAMAGED]])
def test_damaged_runs_are_deleted_by_condition_or_by_id(out, capsys, which):
    assert main(["runs", "delete", *which, "--out", str(out), "--yes"]) == 0
    assert "1 runs deleted" in capsys.readouterr().out
    assert main(["runs", "list", "--out", str(out)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_an_export_is_refused_rather_than_short_of_a_run(out, capsys):
    assert main(["runs", "export", str(out / "runs.csv"), "--out", str(out)]) == 1
    assert DAMAGED in capsys.readouterr().err
    assert not (out / "runs.csv").exists()


def test_the_id_of_a_stored_config_is_that_of_its_run():
    for fields in (
        {"cell": "gru", "length": 7},
        {"length": 5, "clip": 0.0, "steps": 10},
        {"task": "two_sensors", "ratio": 10},
    ):
        run = RunConfig.from_flat(fields)
        assert RunConfig.stored_id(json.loads(json.dumps(run.flat()))) == run.id
    assert RunConfig.stored_id({"task": "os:path", "cell": "no:cell"})
