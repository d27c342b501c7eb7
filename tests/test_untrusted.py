"""What a file may say, and what only a person may: one strict reader, and no way around it."""

import ast
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import memspan
from hostile_cases import CANARY, KINDS, NO_NAMES, NO_SIZES, PATHS, harmless, in_place_of, label
from memspan.cells import CELLS
from memspan.config import Recipe, RunConfig
from memspan.errors import ArgumentError, MemspanError, UnknownNameError, UntrustedNameError
from memspan.tasks import TASKS
from memspan.tasks.palindrome import Palindrome
from memspan.text.task import Text
from memspan.untrusted import read_file, read_json

SOUND = RunConfig(Text(), Recipe()).flat()
TYPED = {"cli/grid.py", "cli/train.py", "config.py"}
"""Where a person's words become a run."""


@pytest.mark.parametrize("cell", [*CELLS, *sorted(CELLS._shipped)])
def test_every_run_of_ours_is_read_back(cell):
    run = RunConfig(Palindrome(5), Recipe(cell=cell), seed=3)
    assert RunConfig.from_stored(json.loads(json.dumps(run.flat()))) == run
    assert RunConfig.from_stored(json.loads(run.canonical())) == run


@pytest.mark.parametrize("name", TASKS)
def test_every_task_of_ours_is_read_back(name):
    task = TASKS.resolve(name)
    run = RunConfig(task(**({task.axis: task.span_range[0]} if task.axis else {})))
    assert RunConfig.from_stored(run.flat()) == run


@pytest.mark.parametrize("field", ["cell", "task"])
@pytest.mark.parametrize("name", PATHS)
def test_a_path_counts_where_a_person_names_it(tmp_path, monkeypatch, field, name):
    with harmless(tmp_path, monkeypatch):
        with pytest.raises(UntrustedNameError, match="--trust"):
            RunConfig.from_stored(SOUND | {field: name})
        with pytest.raises(UntrustedNameError):
            RunConfig.from_stored(SOUND | {field: name}, trust=[name + "s"])
    if field == "cell":  # to name a cell does not yet import it
        assert RunConfig.from_stored(SOUND | {field: name}, trust=[name]).recipe.cell == name
        assert RunConfig.from_flat(SOUND | {field: name}).recipe.cell == name


@pytest.mark.parametrize("field", SOUND)
@pytest.mark.parametrize(
    "value",
    [None, [], [1], {}, {"a": 1}, "", "nothing", -1, -0.5, True, 10**400, float("nan"), float("inf")],
    ids=label,
)
def test_any_value_in_any_field_is_read_or_refused(tmp_path, monkeypatch, field, value):
    with harmless(tmp_path, monkeypatch):
        try:
            read = RunConfig.from_stored(SOUND | {field: value})
        except MemspanError:
            return
    assert read.flat()[field] == value
    assert RunConfig.from_stored(json.loads(read.canonical())) == read


@pytest.mark.parametrize("values", [None, [], "text", 5, [["cell", "lstm"]], {5: 6}], ids=label)
def test_what_is_no_object_is_refused(values):
    for read in (RunConfig.from_stored, Recipe.from_stored):
        with pytest.raises(ArgumentError, match="object of names and values"):
            read(values)


@pytest.mark.parametrize("name", NO_NAMES, ids=label)
def test_no_table_knows_what_is_no_name(name):
    for table in (CELLS, TASKS):
        assert name not in table
        for look in (table.__getitem__, table.resolve, table.check_stored):
            with pytest.raises(UnknownNameError) as caught:
                look(name)
            assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "path", ["os:_exit", "os:path", "collections:Counter", "builtins:int", "memspan:LSTM"]
)
def test_a_task_is_a_task_s_class(path):
    with pytest.raises(ArgumentError, match="no class derived from"):
        TASKS.resolve(path)


@pytest.mark.parametrize("path", ["os:_exit", "os:path", "collections:Counter", "builtins:int", "os:environ"])
def test_a_cell_is_a_cell_s_class_or_a_function(path):
    with pytest.raises(ArgumentError, match="no class derived from"):
        CELLS.resolve(path)


@pytest.mark.parametrize("size", [2**63, 10**400, -(10**5000)], ids=label)
def test_a_whole_number_has_64_bits(size):
    with pytest.raises(ArgumentError, match="at most 64 bits"):
        Recipe(hidden=size)
    with pytest.raises(ArgumentError, match="at most 64 bits"):
        Recipe(learning_rate=size)


@pytest.mark.parametrize("kind", KINDS)
def test_only_a_regular_file_is_read(tmp_path, monkeypatch, kind):
    in_place_of(tmp_path / "canary", kind)
    with harmless(tmp_path, monkeypatch), pytest.raises((ArgumentError, OSError)):
        read_file(tmp_path / "canary", 1000)


def test_a_file_is_read_whole_or_not_at_all(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"x" * 1000)
    assert read_file(file, 1000) == b"x" * 1000
    with pytest.raises(ArgumentError, match=r"1,000 bytes; expected at most 999"):
        read_file(file, 999)
    with pytest.raises(ArgumentError, match="not a path"):
        read_file("a\0b", 1000)
    for path in ("/proc/self/maps", "/proc/kmsg"):  # their size is said to be 0
        if Path(path).exists():
            with pytest.raises((ArgumentError, OSError)):
                read_file(path, 1000)


JSON = [
    "",
    "{",
    "[1,]",
    "NaN",
    "-Infinity",
    "1e999",
    "1" * 10**6,
    str(2**63),
    '{"a":1,"a":2}',
    '"\\ud800"',
    "[" * 10**6,
]
JSON += [
    "[" * 30 + "]" * 30,
    '{"a":' * 30 + "1" + "}" * 30,
    '{"\\udfff":1}',
    "\0",
    "'a'",
    "[" * 900 + "]" * 900,
]


@pytest.mark.parametrize("text", JSON, ids=label)
def test_json_is_small_and_plain(text):
    with pytest.raises(ArgumentError, match=r"^the file "):
        read_json(text, "the file")


texts = st.text(st.characters(exclude_categories=["Cs"]))
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=20,
)
wild = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([f"{CANARY}:Cell", *TASKS]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=200, deadline=None)
@given(plain)
def test_plain_json_is_read_as_it_is(value):
    assert read_json(json.dumps(value), "the file") == value


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from([*SOUND, "more"]), wild))
def test_any_config_is_read_or_refused(tmp_path, monkeypatch, values):
    with harmless(tmp_path, monkeypatch):
        for config in (values, SOUND | values):
            try:
                read = RunConfig.from_stored(config)
            except MemspanError:
                continue
            assert RunConfig.from_stored(json.loads(read.canonical())).id == read.id


@pytest.mark.parametrize("size", NO_SIZES, ids=label)
def test_no_size_of_a_recipe(size):
    if type(size) is int and 0 < size < 2**63:
        assert Recipe.from_stored({"hidden": size}).hidden == size  # who has weights for it must show them
        return
    with pytest.raises(ArgumentError):
        Recipe.from_stored({"hidden": size})


def calls(name):
    """Return the files of the package that call a method of this name."""
    root = Path(memspan.__file__).parent
    for file in sorted(root.rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.Attribute) and node.attr == name for node in ast.walk(tree)):
            yield file.relative_to(root).as_posix()


def test_what_a_file_says_goes_through_the_strict_reader():
    assert set(calls("from_flat")) == TYPED
