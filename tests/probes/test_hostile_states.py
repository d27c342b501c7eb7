"""A state that ``memspan probe`` is given is data: a run's header in it names no code and is not believed."""

import json

import pytest
import torch
from safetensors.torch import save, save_file

from hostile_cases import KINDS, PATHS, harmless, in_place_of, label
from memspan.config import Recipe, RunConfig
from memspan.errors import ArgumentError, UntrustedNameError
from memspan.models.character import CharacterModel
from memspan.models.sequence import SequenceModel
from memspan.probes.specimen import Specimen
from memspan.tasks.palindrome import Palindrome

RUN = RunConfig(Palindrome(5), Recipe(cell="rnn", hidden=3))
COUNT = SequenceModel.of(RUN).parameter_count()


def forge(path, config, weights=None):
    text = config if isinstance(config, str) else json.dumps(config)
    told = json.dumps({"run": "0", "step": 1, "config": text})
    save_file(
        {"weights": torch.zeros(COUNT) if weights is None else weights}, path, metadata={"memspan": told}
    )
    return path


def refused(path, tmp_path, monkeypatch, error=ArgumentError):
    with harmless(tmp_path, monkeypatch), pytest.raises(error) as caught:
        Specimen.of_file(path)
    assert len(str(caught.value)) < 1000


def test_the_sound_state_is_read(tmp_path):
    assert Specimen.of_file(forge(tmp_path / "state", RUN.canonical())).run == RUN


@pytest.mark.parametrize("field", ["cell", "task"])
@pytest.mark.parametrize("name", PATHS)
def test_an_import_path_runs_nothing(tmp_path, monkeypatch, field, name):
    path = forge(tmp_path / "state", RUN.flat() | {field: name})
    refused(path, tmp_path, monkeypatch, UntrustedNameError)


@pytest.mark.parametrize("config", ["", "[]", "{", "[" * 10**5, '{"task": 5}', '{"length": NaN}'], ids=label)
def test_a_header_without_a_config_is_refused(tmp_path, monkeypatch, config):
    refused(forge(tmp_path / "state", config), tmp_path, monkeypatch)


@pytest.mark.parametrize("field", ["hidden", "layers"])
@pytest.mark.parametrize("size", [2, 10**7, 10**9, 2**62])
def test_a_size_is_not_believed(tmp_path, monkeypatch, field, size):
    refused(forge(tmp_path / "state", RUN.flat() | {field: size}), tmp_path, monkeypatch)


WEIGHTS = [torch.zeros(COUNT + 1), torch.zeros(1, COUNT), torch.zeros(0)]
WEIGHTS += [torch.zeros(COUNT).to(t) for t in (torch.float64, torch.int32, torch.bool, torch.float8_e4m3fn)]


@pytest.mark.parametrize("weights", WEIGHTS, ids=lambda w: f"{tuple(w.shape)} {w.dtype}")
def test_weights_of_another_size_or_dtype_are_refused(tmp_path, monkeypatch, weights):
    refused(forge(tmp_path / "state", RUN.canonical(), weights), tmp_path, monkeypatch)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_is_not_waited_for(tmp_path, monkeypatch, kind):
    in_place_of(tmp_path / "state", kind)
    refused(tmp_path / "state", tmp_path, monkeypatch)


@pytest.mark.parametrize("weights", WEIGHTS, ids=lambda w: f"{tuple(w.shape)} {w.dtype}")
def test_a_model_is_not_made_of_such_a_state(weights):
    run = RunConfig.from_stored({"task": "palindrome", "length": 5, "cell": "rnn", "hidden": 3})
    with pytest.raises(ArgumentError):
        CharacterModel.of_state(run, save({"weights": weights}))
