"""``reset_parameters()`` draws every weight anew, parametrized ones too, or says why it cannot."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm

import memspan
from memspan.errors import ArgumentError

MODULES = {
    "LSTM": lambda: memspan.LSTM(3, 5, num_layers=2, bidirectional=True),
    "replicas": lambda: memspan.GRU(3, 4, replicas=2),
    "LSTMCell": lambda: memspan.LSTMCell(3, 5),
    "PhasedGRU": lambda: memspan.PhasedGRU(3, 5),
    "state": lambda: memspan.RNN(3, 5, trainable_state=True),
}


class Halved(nn.Module):
    """A parametrization that cannot be inverted."""

    def forward(self, x):
        return x / 2


def fixed_orthogonal(module, name):
    return orthogonal(module, name, orthogonal_map="matrix_exp", use_trivialization=False)


def names_of(module):
    return [name for name, _ in module.named_parameters() if "weight_hh" in name]


def drawn(made, seed=7):
    torch.manual_seed(seed)
    return made()


@pytest.mark.parametrize("wrap", [weight_norm, spectral_norm, orthogonal])
@pytest.mark.parametrize("kind", MODULES)
def test_a_parametrized_weight_becomes_what_a_new_layers_would(kind, wrap):
    module, fresh = drawn(MODULES[kind], 0), drawn(MODULES[kind])
    names = names_of(module)
    for name in names:
        wrap(module, name)
    before = {name: getattr(module, name).detach().clone() for name in names}
    drawn(module.reset_parameters)
    for name, value in fresh.named_parameters():
        if name not in names:
            assert torch.equal(getattr(module, name), value), name
    for name in names:
        wrap(fresh, name)
        made, value = (getattr(which, name).detach() for which in (module, fresh))
        assert not torch.equal(made, before[name])
        tolerance = {"atol": 1e-6} if wrap is not spectral_norm else {"rtol": 0.1, "atol": 0.02}
        if wrap is not orthogonal or value.shape[-1] == value.shape[-2]:
            assert torch.allclose(made, value, **tolerance)  # spectral_norm's estimate begins at random
        if wrap is orthogonal:
            assert torch.allclose(made.mT @ made, torch.eye(value.shape[-1]), atol=1e-5)


@pytest.mark.parametrize(
    "wrap", [fixed_orthogonal, lambda m, n: parametrize.register_parametrization(m, n, Halved())]
)
def test_one_that_cannot_be_set_is_refused_and_nothing_has_changed(wrap):
    layer = memspan.LSTM(3, 5, num_layers=2)
    weight_norm(layer, "weight_hh_l0")
    wrap(layer, "weight_hh_l1")
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    with pytest.raises(
        ArgumentError, match=r"weight_hh_l1 is parametrized by (Orthogonal|Halved), which takes no"
    ):
        layer.reset_parameters()
    after = layer.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("wrap", [nn.utils.weight_norm, nn.utils.spectral_norm])
@pytest.mark.parametrize("made", [MODULES["LSTM"], MODULES["LSTMCell"]])
def test_a_weight_that_a_hook_makes_is_refused(made, wrap):
    module = made()
    name = names_of(module)[0]
    wrap(module, name)
    with pytest.raises(ArgumentError, match=f"{name} is not a parameter of the layer: a hook makes it"):
        module.reset_parameters()
