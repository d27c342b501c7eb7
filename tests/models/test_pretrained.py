"""A saved model: round trip, and every pair of files that must not be loaded."""

import json

import numpy as np
import pytest
from huggingface_hub import HfApi
from model_cases import BYTES, LETTERS, TEXT, made
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from memspan.config import Recipe, RunConfig
from memspan.models.character import CharacterModel
from memspan.models.pretrained import CONFIG, WEIGHTS, PretrainedError
from memspan.models.sampling import Sampling
from memspan.text.task import Text


@pytest.fixture
def saved(tmp_path):
    made(temperature=1.5).save_pretrained(tmp_path)
    return tmp_path


def test_a_model_comes_back_whole(tmp_path):
    run = RunConfig(Text(), Recipe(hidden=8, layers=2, coding="one_hot", biases=2, dropout=0.5), seed=3)
    models = [
        made("lstm", temperature=2.0), made("gru", 7, 1, embedding=5), made("phased_lstm", 6),
        made(vocabulary=BYTES),
        CharacterModel(run.task.vocabulary, run.recipe, run=run).eval(),
    ]  # fmt: skip
    for k, model in enumerate(models):
        folder = tmp_path / str(k)
        model.save_pretrained(folder)
        back = CharacterModel.from_pretrained(folder)
        assert (back.vocabulary, back.recipe, back.run) == (model.vocabulary, model.recipe, model.run)
        symbols = model.vocabulary.encode("the people")
        assert (back.logits(symbols) == model.logits(symbols)).all()
        settings = Sampling(temperature=1.0, seed=2)
        assert back.generate("the", 20, settings).text == model.generate("the", 20, settings).text
        assert sorted(path.name for path in folder.iterdir()) == [CONFIG, WEIGHTS]
        assert not back.training


def test_saving_again_replaces_both_files(saved):
    other = made("gru", 5)
    other.save_pretrained(saved)
    assert CharacterModel.from_pretrained(saved).recipe == other.recipe


def page_of(folder):
    return json.loads((folder / CONFIG).read_text(encoding="utf-8"))


def rewrite(folder, **changes):
    page = page_of(folder) | changes
    (folder / CONFIG).write_text(json.dumps(page), encoding="utf-8")


def matched(folder, tensors=None, **header):
    """Save the weights anew with the hash of the config that is there now, as a careful forger would."""
    import hashlib

    tensors = load_file(folder / WEIGHTS) if tensors is None else tensors
    told = {"format": 1, "kind": "memspan.CharacterModel"} | header
    told.setdefault("config_sha256", hashlib.sha256((folder / CONFIG).read_bytes()).hexdigest())
    save_file(tensors, folder / WEIGHTS, metadata={"memspan": json.dumps(told)})


def edited(folder):
    rewrite(folder, recipe={**page_of(folder)["recipe"], "temperature": 1.0})


def other_vocabulary(folder):
    rewrite(folder, vocabulary={"unit": "char", "symbols": "abc"})
    matched(folder)


def newer_config(folder):
    rewrite(folder, format=2)
    matched(folder)


def unknown_field(folder):
    rewrite(folder, recipe={"colour": "red"})
    matched(folder)


def further_field(folder):
    rewrite(folder, surprise=1)
    matched(folder)


def lost_tensor(folder):
    tensors = load_file(folder / WEIGHTS)
    del tensors["read_out.bias"]
    matched(folder, tensors)


def foreign_weights(folder):
    save_file({"weight": np.zeros(3, np.float32)}, folder / WEIGHTS)


def swapped(folder):
    theirs = folder / "theirs"
    made("lstm", 21).save_pretrained(theirs)
    (theirs / WEIGHTS).replace(folder / WEIGHTS)


MISMATCHES = [
    (edited, "another config.json"),
    (swapped, "another config.json"),
    (other_vocabulary, "do not fit"),
    (lost_tensor, "do not fit"),
    (newer_config, "update memspan"),
    (lambda folder: matched(folder, format=2), "update memspan"),
    (lambda folder: matched(folder, kind="other"), "not written by memspan"),
    (foreign_weights, "not written by memspan"),
    (unknown_field, "colour"),
    (further_field, "surprise"),
    (lambda folder: rewrite(folder, kind="bert"), "not the config"),
    (lambda folder: (folder / CONFIG).write_text("[1]"), "not the config"),
    (lambda folder: (folder / CONFIG).write_text("{"), "not JSON"),
    (lambda folder: (folder / CONFIG).write_bytes(b"\xff\xfe"), "not UTF-8"),
    (lambda folder: (folder / CONFIG).unlink(), "holds no config.json"),
    (lambda folder: (folder / WEIGHTS).unlink(), "holds no model.safetensors"),
    (lambda folder: (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-9]), "damaged"),
    (lambda folder: (folder / WEIGHTS).write_bytes(b"PK\x03\x04 a pickle"), "damaged"),
]


@pytest.mark.parametrize(("damage", "sentence"), MISMATCHES)
def test_files_that_do_not_belong_together_are_refused(saved, damage, sentence):
    damage(saved)
    with pytest.raises(PretrainedError, match=sentence):
        CharacterModel.from_pretrained(saved)


def test_a_folder_that_is_not_there(tmp_path, monkeypatch):
    with pytest.raises(PretrainedError, match="no such folder"):
        CharacterModel.from_pretrained(tmp_path / "nothing")
    with pytest.raises(PretrainedError, match="Hub did not give"):
        CharacterModel.from_pretrained("nobody/nothing", local_files_only=True, cache_dir=tmp_path)


def test_the_header_tells_whose_weights_these_are(saved):
    with safe_open(saved / WEIGHTS, framework="np") as file:
        told = json.loads(file.metadata()["memspan"])
    assert told["kind"] == page_of(saved)["kind"] == "memspan.CharacterModel"
    assert page_of(saved)["vocabulary"] == LETTERS.to_json()


def test_a_model_goes_to_the_hub_as_these_two_files(monkeypatch):
    sent = {}

    def upload(self, *, folder_path, repo_id, **more):
        sent[repo_id] = CharacterModel.from_pretrained(folder_path)
        sent["files"] = sorted(path.name for path in folder_path.iterdir())
        return "url"

    monkeypatch.setattr(
        HfApi, "create_repo", lambda self, repo_id, **more: type("Url", (), {"repo_id": repo_id})
    )
    monkeypatch.setattr(HfApi, "upload_folder", upload)
    model = made()
    assert model.push_to_hub("someone/model") == "url"
    assert sent["files"] == [CONFIG, WEIGHTS]
    symbols = LETTERS.encode(TEXT)
    assert (sent["someone/model"].logits(symbols) == model.logits(symbols)).all()
