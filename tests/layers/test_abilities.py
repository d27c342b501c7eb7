"""docs/abilities.md says what the proofs of abilities.py find, field by field."""

import importlib.util
import shutil

import pytest
from abilities import ABILITIES, COLUMNS, LAYERS, PAGE, compile_without_break, page, proved

FOUND = {}


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # torch's own jvp and scan still use it
@pytest.mark.parametrize("ability", ABILITIES)
@pytest.mark.parametrize(("layer", "kernel"), COLUMNS)
def test_the_page_is_proved(ability, layer, kernel):
    if ability.startswith("ONNX") and not importlib.util.find_spec("onnxruntime"):
        pytest.skip("the extra [export] is not installed")
    word, _ = FOUND[ability, layer, kernel] = proved(ability, layer, kernel)
    written = next(line for line in PAGE.read_text().splitlines() if line.startswith(f"| {ability} |"))
    assert written.split(" | ")[1 + COLUMNS.index((layer, kernel))].split()[0] == word


def test_the_page_is_fresh():
    if len(FOUND) < len(ABILITIES) * len(COLUMNS):
        pytest.skip("needs every proof of this file in one run")
    assert PAGE.read_text(encoding="utf-8") == page(FOUND), "run: python tests/layers/abilities.py"


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="torch's inductor needs g++")
def test_the_inductor_compiles_a_layer():
    compile_without_break(lambda **options: LAYERS["LSTM"](kernel="cpu", **options), "inductor")
