"""A Parquet file of runs is data: its rows are taken over as they should be, or one error says why not."""

import json
import math

import pytest
from ledger_stories import train

from hostile_cases import KINDS, NO_NAMES, NO_SIZES, PATHS, harmless, in_place_of, label
from memspan.config import Recipe, RunConfig
from memspan.errors import LedgerError, MemspanError, UntrustedNameError
from memspan.ledger import Ledger
from memspan.ledger.parquet import export_parquet, import_parquet
from memspan.ledger.parquet.format import SEAL, seal
from memspan.tasks.palindrome import Palindrome
from memspan.text.task import Text

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed; pip install memspan[lab]")
pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed; pip install memspan[lab]")

RUNS = [RunConfig(Palindrome(5), Recipe(steps=100), seed) for seed in range(2)]
RUNS.append(RunConfig(Text(), Recipe(steps=100)))


def stored_id(config):
    return RunConfig.from_stored(config).id


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """The rows of an export, and its schema."""
    folder = tmp_path_factory.mktemp("sound")
    with Ledger.open(folder / "runs.ledger") as ledger:
        for run in RUNS:
            train(ledger, run)
        export_parquet(ledger, folder / "runs.parquet")
    table = pq.read_table(folder / "runs.parquet")
    return table.to_pylist(), table.schema


def forge(path, rows, schema, **kinds):
    """Write rows as an export would, with a seal that fits; columns may have another type."""
    for name, kind in kinds.items():
        schema = schema.set(schema.get_field_index(name), pa.field(name, kind))
    schema = schema.with_metadata({**schema.metadata, SEAL: seal(schema)})
    arrays = [pa.array([row[field.name] for row in rows], field.type) for field in schema]
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), path)
    return path


def refused(path, tmp_path, monkeypatch, error=LedgerError):
    with Ledger.open(tmp_path / "other.ledger") as ledger:
        with harmless(tmp_path, monkeypatch), pytest.raises(error) as caught:
            import_parquet(ledger, path, check_id=stored_id)
        assert ledger.select() == []
    assert len(str(caught.value)) < 1000
    return str(caught.value)


def test_the_sound_rows_are_taken_over(sound, tmp_path):
    path = forge(tmp_path / "runs.parquet", *sound)
    with Ledger.open(tmp_path / "other.ledger") as ledger:
        assert import_parquet(ledger, path, check_id=stored_id).added == len(RUNS)
        assert export_parquet(ledger, tmp_path / "again.parquet") == len(RUNS)


def with_value(rows, name, value):
    first, *others = rows
    return [first | {name: value}, *others]


def with_config(rows, **changes):
    return with_value(rows, "config", json.dumps(json.loads(rows[0]["config"]) | changes))


@pytest.mark.parametrize("field", ["cell", "task"])
@pytest.mark.parametrize("name", PATHS)
def test_an_import_path_in_a_row_runs_nothing(sound, tmp_path, monkeypatch, field, name):
    rows, schema = sound
    path = forge(tmp_path / "runs.parquet", with_config(rows, **{field: name}), schema)
    assert name in refused(path, tmp_path, monkeypatch, UntrustedNameError)


@pytest.mark.parametrize("field", ["cell", "task", "init", "unit"])
@pytest.mark.parametrize("name", NO_NAMES, ids=label)
def test_what_is_no_name_is_refused(sound, tmp_path, monkeypatch, field, name):
    rows, schema = sound
    path = forge(tmp_path / "runs.parquet", with_config(rows, **{field: name}), schema)
    refused(path, tmp_path, monkeypatch)


@pytest.mark.parametrize("field", ["hidden", "length", "steps"])
@pytest.mark.parametrize("size", NO_SIZES, ids=label)
def test_what_is_no_size_is_refused(sound, tmp_path, monkeypatch, field, size):
    rows, schema = sound
    path = forge(tmp_path / "runs.parquet", with_config(rows, **{field: size}), schema)
    refused(path, tmp_path, monkeypatch)


CONFIGS = {
    "empty": "",
    "null": "null",
    "a list": "[]",
    "a text": '"text"',
    "an empty object": "{}",
    "a name twice": '{"task": "palindrome", "length": 5, "length": 6}',
    "NaN": '{"task": "palindrome", "length": NaN}',
    "infinity": '{"task": "palindrome", "length": 5, "learning_rate": 1e999}',
    "10^6 digits": '{"task": "palindrome", "length": %s}' % ("1" * 10**6),
    "lists, 100,000 deep": "[" * 10**5,
    "objects, 100,000 deep": '{"a":' * 10**5 + "1" + "}" * 10**5,
    "half a surrogate pair": '{"task": "text", "corpus": "\\ud800", "sha256": "0"}',
    "no hash of the text": '{"task": "text", "corpus": "canary.txt"}',
    "an empty hash": '{"task": "text", "corpus": "canary.txt", "sha256": ""}',
    "10^14 steps": '{"task": "planted_period", "cycles": 1000000000000, "period": 100.0}',
    "a period of 1e300 steps": '{"task": "planted_period", "cycles": 1, "period": 1e300}',
    "no field": '{"task": "palindrome", "length": 5, "colour": "red"}',
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_text_that_is_no_config_is_refused(sound, tmp_path, monkeypatch, name):
    rows, schema = sound
    path = forge(tmp_path / "runs.parquet", with_value(rows, "config", CONFIGS[name]), schema)
    refused(path, tmp_path, monkeypatch)


VALUES = [
    ("id", None), ("id", ""), ("id", "../../canary"), ("id", "x" * 10**5),
    ("status", None), ("status", "running"), ("status", "x" * 10**5), ("reason", None),
    ("step", None), ("step", -1), ("step", 101), ("step", 2**62),
    ("wall_seconds", None), ("wall_seconds", -1.0), ("wall_seconds", math.nan), ("wall_seconds", math.inf),
    ("final_accuracy", math.nan), ("final_accuracy", math.inf), ("final_accuracy", -math.inf),
    ("curve_bin", None), ("curve_bin", 0), ("curve_bin", -5),
    ("curve_loss_step", [1, 2, 3, 3, 4]), ("curve_loss_step", [5, 4, 3, 2, 1]),
    ("curve_loss_step", [-20, 40, 60, 80, 100]), ("curve_loss_step", [0, 40, 60, 80, 100]),
    ("curve_loss_step", [20, 40, 60, 80, 101]), ("curve_loss_step", [20, 40]), ("curve_loss_step", []),
    ("curve_loss_step", [20, 40, None, 80, 100]), ("curve_loss_mean", None), ("curve_loss_low", [1.0]),
    ("curve_loss_mean", []), ("config", None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), VALUES, ids=[f"{n} {label(v)}" for n, v in VALUES])
def test_a_value_out_of_its_range_is_refused(sound, tmp_path, monkeypatch, name, value):
    rows, schema = sound
    refused(forge(tmp_path / "runs.parquet", with_value(rows, name, value), schema), tmp_path, monkeypatch)


TYPES = [
    ("id", pa.int64(), 5), ("id", pa.binary(), b"\xff"), ("status", pa.int64(), 5),
    ("reason", pa.float64(), 0.5),
    ("step", pa.string(), "100"), ("step", pa.float64(), 100.0), ("step", pa.bool_(), True),
    ("wall_seconds", pa.string(), "1"), ("wall_seconds", pa.bool_(), True), ("kernel", pa.int64(), 5),
    ("machine", pa.list_(pa.string()), ["m"]), ("final_accuracy", pa.string(), "0.5"),
    ("final_accuracy", pa.bool_(), True), ("final_accuracy", pa.list_(pa.float64()), [0.5]),
    ("curve_bin", pa.float64(), 20.0), ("curve_loss_step", pa.list_(pa.float64()), [20.0, 40.0, 60.0]),
    ("curve_loss_step", pa.int64(), 20), ("curve_loss_mean", pa.list_(pa.string()), ["1"] * 5),
    ("curve_loss_mean", pa.list_(pa.int64()), [1] * 5),
    ("curve_loss_mean", pa.list_(pa.list_(pa.float32())), [[1.0]] * 5),
    ("curve_loss_step", pa.struct([("a", pa.int64())]), {"a": 1}), ("curve_loss_step", pa.string(), "20"),
    ("step", pa.struct([("a", pa.int64())]), {"a": 1}), ("step", pa.uint64(), 2**64 - 1),
    ("config", pa.int64(), 5), ("config", pa.binary(), b"{}"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "kind", "value"), TYPES, ids=[f"{n} {k}" for n, k, _ in TYPES])
def test_a_column_of_another_type_is_refused(sound, tmp_path, monkeypatch, name, kind, value):
    rows, schema = sound
    path = forge(tmp_path / "runs.parquet", [row | {name: value} for row in rows], schema, **{name: kind})
    refused(path, tmp_path, monkeypatch)


def test_text_that_is_not_utf_8_is_refused(sound, tmp_path, monkeypatch):
    rows, schema = sound
    table = pa.Table.from_pylist(rows, schema=schema)
    spoilt = pa.array([b"\xff\xfe"] * len(rows), pa.binary()).view(pa.string())
    place = schema.get_field_index("reason")
    pq.write_table(table.set_column(place, schema.field(place), spoilt), tmp_path / "runs.parquet")
    refused(tmp_path / "runs.parquet", tmp_path, monkeypatch)


@pytest.mark.parametrize("name", ["id", "config", "status", "step", "kernel", "curve_bin", "curve_loss_mean"])
def test_a_missing_column_is_refused_though_the_seal_fits(sound, tmp_path, monkeypatch, name):
    rows, schema = sound
    schema = schema.remove(schema.get_field_index(name))
    assert name in refused(forge(tmp_path / "runs.parquet", rows, schema), tmp_path, monkeypatch)


def test_two_columns_of_one_name_are_refused(sound, tmp_path, monkeypatch):
    rows, schema = sound
    schema = schema.append(pa.field("final_accuracy", pa.float64()))
    assert "two columns" in refused(forge(tmp_path / "r.parquet", rows, schema), tmp_path, monkeypatch)


def test_a_run_that_is_there_twice_is_refused(sound, tmp_path, monkeypatch):
    rows, schema = sound
    path = forge(tmp_path / "runs.parquet", [*rows, rows[0]], schema)
    assert "twice" in refused(path, tmp_path, monkeypatch)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_is_not_waited_for(tmp_path, monkeypatch, kind):
    in_place_of(tmp_path / "runs.parquet", kind)
    refused(tmp_path / "runs.parquet", tmp_path, monkeypatch)


def test_a_stopped_run_may_have_diverged(sound, tmp_path):
    rows, schema = sound
    rows = with_value(rows, "final_accuracy", math.nan)
    rows[0] |= {"status": "stopped", "reason": "diverged: loss nan"}
    with Ledger.open(tmp_path / "other.ledger") as ledger:
        assert (
            import_parquet(ledger, forge(tmp_path / "r.parquet", rows, schema), check_id=stored_id).added == 3
        )
        assert math.isnan(ledger.get(rows[0]["id"]).metrics["accuracy"])
        assert export_parquet(ledger, tmp_path / "again.parquet") == 3


def test_a_layer_of_one_s_own_is_taken_over_where_it_is_trusted(tmp_path):
    run = RunConfig(Palindrome(5), Recipe(cell="own_layers:Leaky", steps=100))
    with Ledger.open(tmp_path / "runs.ledger") as ledger:
        train(ledger, run)
        export_parquet(ledger, tmp_path / "runs.parquet")
    with Ledger.open(tmp_path / "other.ledger") as other:
        with pytest.raises(MemspanError, match="own_layers:Leaky"):
            import_parquet(other, tmp_path / "runs.parquet", check_id=stored_id)
        trusting = import_parquet(
            other,
            tmp_path / "runs.parquet",
            check_id=lambda config: RunConfig.from_stored(config, ["own_layers:Leaky"]).id,
        )
        assert trusting.added == 1
        assert other.get(run.id).config == run.flat()
