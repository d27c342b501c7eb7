import builtins
import json

import pytest
from ledger_stories import FACTS, page, page_id, story, train

from memspan.errors import ForeignLedgerError, LedgerError, MemspanError
from memspan.ledger import Ledger
from memspan.ledger.events import Started
from memspan.ledger.parquet import export_parquet, import_parquet

pq = pytest.importorskip("pyarrow.parquet")

PAGES = [page(seed=s) for s in range(4)] + [
    page(task="other", length=7, delay=0.5, noisy=True, final_size=64)  # named as if it were a final number
]


def fill(ledger, pages=PAGES):
    for run in pages:
        train(ledger, run, diverge=run.flat()["seed"] == 3)
    ledger.register([page(seed=99)])


@pytest.fixture
def exported(ledger, tmp_path):
    fill(ledger)
    assert export_parquet(ledger, tmp_path / "runs.parquet") == 5
    return tmp_path / "runs.parquet"


def without_wall(path):
    table = pq.read_table(path)
    table = table.drop_columns([n for n in table.column_names if n.startswith("wall_")])
    return str(table.schema), repr(table.to_pylist())  # as text, where NaN equals NaN


def test_an_export_has_a_row_a_run_with_typed_columns(exported):
    table = pq.read_table(exported)
    types = {f.name: str(f.type) for f in table.schema}
    assert types["length"] == types["seed"] == types["step"] == "int64"
    assert types["delay"] == types["final_accuracy"] == "double"
    assert types["noisy"] == "bool"
    assert types["curve_loss_mean"].startswith("list<")
    assert "float" in types["curve_loss_mean"]
    assert table.column_names[0] == "id"
    assert table.column_names[-1] == "wall_seconds"
    assert not {"attempt", "facts", "kernel_reason", "imported"} & set(table.column_names)
    rows = table.to_pylist()
    assert [r["id"] for r in rows] == sorted(p.id for p in PAGES)
    assert {r["delay"] for r in rows} == {None, 0.5}
    loss = next(r for r in rows if r["status"] == "finished")
    assert loss["curve_loss_step"] == [20, 40, 60, 80, 100]
    assert {r["status"]: r["reason"] for r in rows} == {"finished": "", "stopped": "diverged: loss nan"}


def test_imported_runs_count_as_finished_and_export_the_same_rows(exported, tmp_path):
    with Ledger.open(tmp_path / "other.ledger") as other:
        other.register(PAGES)
        report = import_parquet(other, exported, check_id=page_id)
        assert (report.added, report.already, report.refused) == (5, 0, ())
        record = other.get(PAGES[0].id)
        assert (record.status, record.imported, record.config) == ("finished", True, PAGES[0].flat())
        assert isinstance(record.config["learning_rate"], float)
        assert record.curve("loss").bin == 20
        assert not other.append(Started(PAGES[0].id, 0, FACTS))
        export_parquet(other, tmp_path / "again.parquet")
        again = import_parquet(other, exported, check_id=page_id)
        assert (again.added, again.already, again.refused) == (0, 5, ())
    assert (tmp_path / "again.parquet").read_bytes() == exported.read_bytes()


def test_packs_order_and_restarts_leave_no_trace(exported, tmp_path):
    with Ledger.open(tmp_path / "other.ledger") as other:
        for run in reversed(PAGES):
            other.register([run])
            diverge = run.flat()["seed"] == 3
            for event in list(story(run.id, every=10, diverge=diverge))[:4]:
                other.append(event)
            for event in story(run.id, begin=other.resume(run.id).step, every=33, diverge=diverge):
                other.append(event)
        export_parquet(other, tmp_path / "other.parquet")
    assert without_wall(tmp_path / "other.parquet") == without_wall(exported)


def test_only_the_wanted_runs_are_written_and_curves_may_be_whole(ledger, tmp_path):
    fill(ledger)
    path = tmp_path / "some.parquet"
    assert export_parquet(ledger, path, runs=[PAGES[1].id, page(seed=99).id, "unknown"], bin=1) == 1
    row = pq.read_table(path).to_pylist()[0]
    assert len(row["curve_loss_mean"]) == 100
    assert row["curve_bin"] == 1


def test_an_empty_ledger_exports_and_imports_nothing(ledger, tmp_path):
    export_parquet(ledger, tmp_path / "none.parquet")
    assert import_parquet(ledger, tmp_path / "none.parquet", check_id=page_id).added == 0


def rewrite(path, change):
    """Change the rows of an export, as someone with another tool might."""
    table = pq.read_table(path)
    rows = table.to_pylist()
    change(rows)
    pq.write_table(type(table).from_pylist(rows, schema=table.schema), path)


def change_config(rows):
    rows[-1]["config"] = json.dumps({**json.loads(rows[-1]["config"]), "length": 50})


def change_status(rows):
    rows[-1]["status"] = "running"


def spoil_config(rows):
    rows[-1]["config"] = "{"


def cut_curve(rows):
    rows[-1]["curve_loss_low"] = rows[-1]["curve_loss_low"][:-1]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (change_config, "the file was changed"),
        (change_status, "has status 'running'"),
        (spoil_config, "is not understood"),
        (cut_curve, "is cut"),
    ],
)
def test_a_changed_row_is_refused_and_nothing_is_imported(exported, tmp_path, change, sentence):
    rewrite(exported, change)
    with Ledger.open(tmp_path / "other.ledger") as other:
        with pytest.raises(LedgerError, match=sentence):
            import_parquet(other, exported, check_id=page_id)
        assert other.select() == []


def test_a_config_that_the_check_cannot_read_is_refused(exported, ledger):
    def check(config):
        raise MemspanError("unknown field 'delay'")

    with pytest.raises(LedgerError, match="is not understood: unknown field"):
        import_parquet(ledger, exported, check_id=check)


def test_files_that_are_no_export_are_refused(ledger, tmp_path):
    foreign = tmp_path / "foreign.parquet"
    foreign.write_bytes(b"no parquet at all")
    with pytest.raises(ForeignLedgerError, match="not a file of runs"):
        import_parquet(ledger, foreign)
    pq.write_table(pytest.importorskip("pyarrow").table({"id": ["a"]}), foreign)
    with pytest.raises(ForeignLedgerError, match="not a file of runs"):
        import_parquet(ledger, foreign)
    for place in (tmp_path, tmp_path / "absent"):
        with pytest.raises(LedgerError, match="is not a file"):
            import_parquet(ledger, place)


def test_a_newer_format_is_refused(exported, ledger):
    table = pq.read_table(exported)
    pq.write_table(table.replace_schema_metadata({b"memspan.runs": b"2"}), exported)
    with pytest.raises(LedgerError, match="has format 2"):
        import_parquet(ledger, exported)


def test_a_dropped_column_is_refused(exported, ledger):
    pq.write_table(pq.read_table(exported).drop_columns(["final_accuracy"]), exported)
    with pytest.raises(LedgerError, match="other columns"):
        import_parquet(ledger, exported)


def test_any_flipped_byte_is_met_with_an_error_or_does_no_harm(exported, tmp_path):
    whole = exported.read_bytes()
    original = without_wall(exported)
    for n, at in enumerate(range(0, len(whole), len(whole) // 25)):
        content = bytearray(whole)
        content[at] ^= 0x10
        exported.write_bytes(content)
        with Ledger.open(tmp_path / f"{n}.ledger") as other:
            try:
                import_parquet(other, exported, check_id=page_id)
            except LedgerError:
                assert other.select() == []
                continue
            export_parquet(other, tmp_path / "again.parquet")
        assert without_wall(tmp_path / "again.parquet") == original


def test_an_import_never_changes_what_is_done(exported, ledger, tmp_path):
    run = PAGES[0]
    differing = tmp_path / "differing.parquet"
    differing.write_bytes(exported.read_bytes())
    rewrite(differing, lambda rows: next(r for r in rows if r["id"] == run.id).update(final_accuracy=0.5))
    with Ledger.open(tmp_path / "other.ledger") as other:
        import_parquet(other, differing, check_id=page_id)
        report = import_parquet(other, exported, check_id=page_id)
        assert (report.added, report.already, report.refused) == (0, 4, (run.id,))
        assert other.get(run.id).metrics == {"accuracy": 0.5}
        export_parquet(other, tmp_path / "other.parquet")
    report = import_parquet(ledger, tmp_path / "other.parquet", check_id=page_id)
    assert (report.added, report.already) == (0, 5)
    assert not ledger.get(run.id).imported


def test_an_import_ends_a_run_that_was_under_way(exported, tmp_path):
    run = PAGES[0]
    with Ledger.open(tmp_path / "other.ledger") as other:
        other.register([run])
        events = list(story(run.id))
        other.append(events[0])
        other.append(events[1])
        import_parquet(other, exported, check_id=page_id)
        assert other.get(run.id).status == "finished"
        assert other.get(run.id).curve("loss").bin == 20
        assert not other.append(events[2])
        assert list(tmp_path.glob("other.checkpoints/*")) == []


def test_two_columns_of_one_name_are_refused(ledger, tmp_path):
    train(ledger, page(status="odd"))
    with pytest.raises(LedgerError, match="two columns"):
        export_parquet(ledger, tmp_path / "runs.parquet")


def test_a_place_that_cannot_be_written_leaves_nothing(ledger, tmp_path):
    fill(ledger, PAGES[:1])
    with pytest.raises(LedgerError, match="cannot be written"):
        export_parquet(ledger, tmp_path)
    with pytest.raises(LedgerError, match="cannot be written"):
        export_parquet(ledger, tmp_path / "absent" / "runs.parquet")
    assert not list(tmp_path.parent.glob("*.tmp"))


def test_without_pyarrow_the_extra_is_named(ledger, tmp_path, monkeypatch):
    real = builtins.__import__

    def absent(name, *args, **kwargs):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(MemspanError, match=r"memspan\[lab\]"):
        export_parquet(ledger, tmp_path / "runs.parquet")
