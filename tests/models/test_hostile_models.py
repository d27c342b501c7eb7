"""A downloaded model is data: whatever its folder holds, it loads, or one error says why not."""

import contextlib
import hashlib
import json
import subprocess
import sys

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

import memspan.cells
from hostile_cases import CANARY, KINDS, NO_NAMES, NO_SIZES, PATHS, harmless, in_place_of, label
from memspan.cells import CELLS
from memspan.config import Recipe, RunConfig
from memspan.errors import ArgumentError, UntrustedNameError
from memspan.models.character import CharacterModel
from memspan.models.pretrained import CONFIG, FIELDS, WEIGHTS, PretrainedError
from memspan.models.weights import expected_shapes
from memspan.text.task import Text
from memspan.text.vocabulary import Vocabulary

VOCABULARY = Vocabulary.of(["canary"])
RECIPE = Recipe(hidden=3, layers=2, biases=2, coding="one_hot")


@pytest.fixture(scope="module")
def sound():
    """A model's config and weights, as they are saved."""
    return CharacterModel(VOCABULARY, RECIPE, embedding=4, run=RunConfig(Text(), RECIPE))


@pytest.fixture
def folder(sound, tmp_path):
    sound.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def page_of(folder):
    return json.loads((folder / CONFIG).read_text(encoding="utf-8"))


def forge(folder, text, tensors=None, **header):
    """Write a config, and weights whose header vouches for it."""
    data = text if isinstance(text, bytes) else text.encode()
    (folder / CONFIG).write_bytes(data)
    told = {"format": 1, "kind": "memspan.CharacterModel", "config_sha256": hashlib.sha256(data).hexdigest()}
    if tensors is None:
        tensors = CharacterModel(VOCABULARY, RECIPE, embedding=4).state_dict()
    save_file(tensors, folder / WEIGHTS, metadata={"memspan": json.dumps(told | header)})


def put(page, path, value):
    """Set one value of nested objects, named by ``a.b``."""
    *parents, last = path.split(".")
    for name in parents:
        page = page[name]
    page[last] = value


def refused(folder, tmp_path, monkeypatch, error=ArgumentError):
    with harmless(tmp_path, monkeypatch), pytest.raises(error) as caught:
        CharacterModel.from_pretrained(folder)
    assert len(str(caught.value)) < 1000
    return str(caught.value)


def test_the_sound_model_loads(folder):
    assert CharacterModel.from_pretrained(folder).recipe == RECIPE


@pytest.mark.parametrize("cell", [*CELLS, *sorted(CELLS._shipped)])
@pytest.mark.parametrize("embedding", [0, 5])
def test_the_expected_shapes_are_the_model_s(cell, embedding):
    recipe = Recipe(cell=cell, hidden=3, layers=2, biases=1)
    state = CharacterModel(VOCABULARY, recipe, embedding=embedding).state_dict()
    expected = dict(expected_shapes(recipe, len(VOCABULARY), embedding))
    assert expected == {name: tuple(value.shape) for name, value in state.items()}


@pytest.mark.parametrize("field", ["recipe.cell", "run.cell", "run.task"])
@pytest.mark.parametrize("name", PATHS)
def test_an_import_path_in_a_config_runs_nothing(folder, tmp_path, monkeypatch, field, name):
    page = page_of(folder)
    put(page, field, name)
    forge(folder, json.dumps(page))
    message = refused(folder, tmp_path, monkeypatch, UntrustedNameError)
    assert name in message
    assert "trust" in message


@pytest.mark.parametrize("field", ["recipe.cell", "run.cell", "run.task", "kind", "vocabulary.unit"])
@pytest.mark.parametrize("name", NO_NAMES, ids=label)
def test_what_is_no_name_is_refused(folder, tmp_path, monkeypatch, field, name):
    page = page_of(folder)
    put(page, field, name)
    forge(folder, json.dumps(page))
    refused(folder, tmp_path, monkeypatch)


@pytest.mark.parametrize("field", ["recipe.hidden", "recipe.layers", "embedding", "format"])
@pytest.mark.parametrize("size", [*NO_SIZES, 10**7, 10**9], ids=label)
def test_a_size_is_not_believed(folder, tmp_path, monkeypatch, field, size):
    page = page_of(folder)
    put(page, field, size)
    forge(folder, json.dumps(page))
    refused(folder, tmp_path, monkeypatch)


@pytest.mark.parametrize("field", [name for name in FIELDS if name != "code_version"])
@pytest.mark.parametrize("value", [[], [[]], "text", 5, True, {"a": {"b": 1}}, [None] * 50], ids=label)
def test_a_field_of_another_type_is_refused(folder, tmp_path, monkeypatch, field, value):
    page = page_of(folder)
    put(page, field, value)
    forge(folder, json.dumps(page))
    refused(folder, tmp_path, monkeypatch, PretrainedError)


WHOLE = '{{"code_version": "", "embedding": 4, "kind": "memspan.CharacterModel", "format": 1, {}}}'
REST = '"vocabulary": {"unit": "char", "symbols": "acnry"}, "recipe": {"hidden": 3}, "run": null'
TEXTS = {
    "empty": b"",
    "NUL bytes": b"\0" * 1000,
    "byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"kind": 1}'.encode("utf-16"),
    "no JSON": b"kind: memspan",
    "a list": b"[]",
    "a number": b"5",
    "null": b"null",
    "NaN": WHOLE.format('"vocabulary": NaN').encode(),
    "infinity": WHOLE.format(REST.replace("3", "1e999")).encode(),
    "10^6 digits": WHOLE.format(REST.replace("3", "1" * 10**6)).encode(),
    "10^6 digits, real": WHOLE.format(REST.replace("3", "1" * 10**6 + ".5")).encode(),
    "lists, 100,000 deep": WHOLE.format('"recipe": ' + "[" * 10**5 + "]" * 10**5).encode(),
    "objects, 100,000 deep": (b'{"a":' * 10**5) + b"1" + b"}" * 10**5,
    "lists, 900 deep": WHOLE.format('"recipe": ' + "[" * 900 + "]" * 900).encode(),
    "never closed": b"[" * 10**6,
    "a name twice": WHOLE.format(REST + ', "run": null').encode(),
    "a name twice, inside": WHOLE.format(REST.replace('"hidden"', '"hidden": 3, "hidden"')).encode(),
    "half a surrogate pair": WHOLE.format(REST.replace("acnry", "acn\\ud800")).encode(),
    "unsorted characters": WHOLE.format(REST.replace("acnry", "yrnca")).encode(),
    "a character twice": WHOLE.format(REST.replace("acnry", "acnnry")).encode(),
    "no character": WHOLE.format(REST.replace("acnry", "")).encode(),
    "100,000 names": b"{" + b",".join(b'"%d":1' % k for k in range(10**5)) + b"}",
    "unfinished text": b'{"kind": "memspan',
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_that_is_no_config_is_refused(folder, tmp_path, monkeypatch, name):
    forge(folder, TEXTS[name])
    refused(folder, tmp_path, monkeypatch, PretrainedError)


@pytest.mark.parametrize("file", [CONFIG, WEIGHTS])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_is_neither_opened_nor_waited_for(folder, tmp_path, monkeypatch, file, kind):
    in_place_of(folder / file, kind)
    refused(folder, tmp_path, monkeypatch, PretrainedError)


DTYPES = [
    torch.float64, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2, torch.int8,
    torch.int32, torch.int64, torch.uint8, torch.bool, torch.complex64,
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_weights_of_another_dtype_are_refused(sound, folder, tmp_path, monkeypatch, dtype):
    tensors = sound.state_dict()
    tensors["read_out.bias"] = tensors["read_out.bias"].to(dtype)
    forge(folder, (folder / CONFIG).read_bytes(), tensors)
    assert "float32" in refused(folder, tmp_path, monkeypatch, PretrainedError)


SHAPES = {
    "transposed": lambda w: w.mT.contiguous(),
    "one axis more": lambda w: w.unsqueeze(0),
    "flat": lambda w: w.flatten(),
    "a row less": lambda w: w[1:].contiguous(),
    "empty": lambda w: w[:0],
    "a number": lambda w: w.sum(),
}


@pytest.mark.parametrize("name", SHAPES)
def test_weights_of_another_shape_are_refused(sound, folder, tmp_path, monkeypatch, name):
    tensors = sound.state_dict()
    tensors["recurrent.weight_ih_l0"] = SHAPES[name](tensors["recurrent.weight_ih_l0"])
    forge(folder, (folder / CONFIG).read_bytes(), tensors)
    assert "do not fit" in refused(folder, tmp_path, monkeypatch, PretrainedError)


def test_a_weight_too_many_is_refused(sound, folder, tmp_path, monkeypatch):
    forge(folder, (folder / CONFIG).read_bytes(), sound.state_dict() | {"more": torch.zeros(1)})
    assert "do not fit" in refused(folder, tmp_path, monkeypatch, PretrainedError)


def header(length, text):
    return length.to_bytes(8, "little") + text


def one_weight(shape, offsets):
    about = json.dumps({"a": {"dtype": "F32", "shape": shape, "data_offsets": offsets}}).encode()
    return header(len(about), about)


HEADERS = {
    "empty": b"",
    "seven bytes": b"1234567",
    "a header of 2^60 bytes": header(2**60, b"{}"),
    "a header beyond the file": header(1000, b"{}"),
    "no header": header(0, b""),
    "no JSON": header(3, b"abc"),
    "nested": header(200_000, b"[" * 200_000),
    "a shape beyond its data": one_weight([9999999999], [0, 4]),
    "offsets beyond the file": one_weight([1], [0, 40000]),
    "negative sizes": one_weight([-1], [0, -4]),
    "sizes of 128 bits": one_weight([2**64, 2**64], [0, 4]),
    "a pickle": b"\x80\x04cos\n_exit\n(K\x07tR.",
    "a zip": b"PK\x03\x04" + b"\0" * 100,
}  # fmt: skip


@pytest.mark.parametrize("name", HEADERS)
def test_a_file_that_is_no_safetensors_file_is_refused(folder, tmp_path, monkeypatch, name):
    (folder / WEIGHTS).write_bytes(HEADERS[name])
    refused(folder, tmp_path, monkeypatch, PretrainedError)


@pytest.mark.parametrize(
    "about",
    [
        "",
        "[]",
        "5",
        "null",
        '"text"',
        "{",
        "[" * 10**5,
        '{"kind": 1}',
        "NaN",
        '{"a": 1, "a": 2}',
        "1" * 10**6,
    ],
    ids=label,
)
def test_a_header_that_vouches_for_nothing_is_refused(sound, folder, tmp_path, monkeypatch, about):
    save_file(sound.state_dict(), folder / WEIGHTS, metadata={"memspan": about})
    refused(folder, tmp_path, monkeypatch, PretrainedError)


@pytest.mark.parametrize("sha256", ["", None, 0, [], False], ids=label)
@pytest.mark.parametrize("kind", ["canary", "FIFO", "device"])
def test_a_corpus_is_not_opened_to_find_its_hash(folder, tmp_path, monkeypatch, sha256, kind):
    corpus = tmp_path / "canary.txt"
    corpus.write_text("canary")
    in_place_of(corpus, kind)
    page = page_of(folder)
    page["run"] |= {"corpus": str(corpus), "sha256": sha256}
    forge(folder, json.dumps(page))
    assert "sha256" in refused(folder, tmp_path, monkeypatch, PretrainedError)


@pytest.mark.parametrize("kind", ["nothing", "canary", "FIFO", "device", "10 GB"])
def test_a_model_loads_without_its_corpus(folder, tmp_path, monkeypatch, kind):
    corpus = tmp_path / "canary.txt"
    if kind != "nothing":
        corpus.write_text("canary")
        in_place_of(corpus, kind)
    page = page_of(folder)
    page["run"]["corpus"] = str(corpus)
    forge(folder, json.dumps(page))
    with harmless(tmp_path, monkeypatch):
        model = CharacterModel.from_pretrained(folder)
        model.recurrent.kernel = "reference"  # which is not compiled first
        assert model.logits(VOCABULARY.encode("can")).shape == (3, 5)
    assert model.run.task.corpus == str(corpus)


OWN = (
    "import torch\nfrom memspan.cells.lstm.equations import LSTM\n\n\nclass Mine(LSTM):\n    name = 'mine'\n"
)


def test_a_cell_of_one_s_own_is_trusted_by_name(tmp_path, monkeypatch):
    (tmp_path / "own_cells_here.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    path = "own_cells_here:Mine"
    recipe = Recipe(cell=path, hidden=3, coding="one_hot")
    model = CharacterModel(VOCABULARY, recipe)
    model.save_pretrained(tmp_path / "mine")
    with pytest.raises(UntrustedNameError, match="trust=") as caught:
        CharacterModel.from_pretrained(tmp_path / "mine")
    assert caught.value.path == path
    with pytest.raises(UntrustedNameError):
        CharacterModel.from_pretrained(tmp_path / "mine", trust=["own_cells_here:Other", path + "s"])
    for trust in ([path], {path}, path):
        assert CharacterModel.from_pretrained(tmp_path / "mine", trust=trust).recipe == recipe
    monkeypatch.setattr(memspan.cells.CELLS, "_table", dict(CELLS._table))
    CELLS.register(path, path)
    assert CharacterModel.from_pretrained(tmp_path / "mine").recipe == recipe


def test_a_layer_of_one_s_own_is_no_character_model():
    with pytest.raises(ArgumentError, match="expected a subclass"):
        CharacterModel(VOCABULARY, Recipe(cell="torch.nn:LSTM", hidden=3))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_what_could_not_be_loaded_is_not_saved(tmp_path, dtype):
    model = CharacterModel(VOCABULARY, Recipe(hidden=3)).to(dtype)
    with pytest.raises(ArgumentError, match="float32"):
        model.save_pretrained(tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_weights_that_do_not_fit_into_memory_are_refused(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("memspan.models.weights.free_memory", lambda: 1000)
    assert "1,000 are free" in refused(folder, tmp_path, monkeypatch, PretrainedError)


def test_memory_stays_bounded(sound, tmp_path):
    """A million times too large in every size, under a limit of 1 GB beside what is loaded."""
    for k, (field, size) in enumerate(
        (field, size)
        for field in ("recipe.hidden", "recipe.layers", "embedding")
        for size in (10**6, 10**7, 10**9, 10**12)
    ):
        folder = tmp_path / str(k)
        sound.save_pretrained(folder)
        page = page_of(folder)
        put(page, field, size)
        forge(folder, json.dumps(page))
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["PretrainedError"] * 12


CHILD = """
import resource, sys
from pathlib import Path
from memspan.models.character import CharacterModel
from memspan.text.shipped import shipped_model
CharacterModel.from_pretrained(shipped_model())
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**30,) * 2)
for folder in sorted(Path(sys.argv[1]).iterdir()):
    try:
        CharacterModel.from_pretrained(folder)
    except Exception as error:
        print(type(error).__name__)
"""

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(f"{CANARY}:Cell"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
PLACES = [
    *FIELDS, "vocabulary.symbols", "recipe.hidden", "recipe.cell", "recipe.layers", "recipe.temperature",
    "run.task", "run.cell", "run.corpus", "run.unit", "run.window", "run.validation", "run.seed",
    "run.sha256", "run.more",
]  # fmt: skip


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(place=st.sampled_from(PLACES), value=values)
def test_any_value_anywhere_loads_or_is_refused(sound, tmp_path, monkeypatch, place, value):
    folder = tmp_path / "model"
    sound.save_pretrained(folder)
    page = page_of(folder)
    put(page, place, value)
    forge(folder, json.dumps(page))
    with harmless(tmp_path, monkeypatch), contextlib.suppress(ArgumentError):
        CharacterModel.from_pretrained(folder)
