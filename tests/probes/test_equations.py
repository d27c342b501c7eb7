"""The probes of the equations: what the report prints, beside what autograd and torch say."""

import numpy as np
import pytest
import torch

from memspan.probes import Probe
from memspan.probes.bptt import _network, autograd_gradients, exact_gradients, printed_gradient
from memspan.probes.updates import _adam


@pytest.fixture(scope="module")
def bptt():
    return Probe("bptt", cases=60).answer()


def test_exact_gradients_are_autograds_and_finite_differences(bptt):
    assert bptt["read_out_error"] < 1e-12
    assert bptt["exact_error"] < 1e-11
    assert bptt["difference_error"] < 1e-5


def test_the_printed_recursion_is_exact_for_one_unit_only(bptt):
    by_width = dict(zip(bptt["width"], bptt["printed_by_width"], strict=True))
    assert bptt["one_unit_error"] < 1e-11
    assert all(by_width[n] > 0.1 for n in by_width if n > 1)


def test_the_printed_gradient_lacks_the_sums():
    """With W_hh diagonal no unit hears another, and the printed form is right on the diagonal."""
    net = _network(0, 3, 0)
    net = type(net)(net.w_xh, torch.diag(net.w_hh.diag()), net.w_ph, net.x, net.y)
    exact, printed = exact_gradients(net)[1], printed_gradient(net)
    assert torch.allclose(exact.diag(), printed.diag(), atol=1e-14)
    assert torch.allclose(exact, autograd_gradients(net)[1], atol=1e-14)


def test_elements_of_one_size_shrink_and_grow_a_gradient():
    found = Probe("jacobians", cases=100).answer()
    assert found["alike"] == 0
    assert found["largest_element"] < 1
    assert found["pair_shrinks"] < 1e-6 < 1e6 < found["pair_grows"]
    assert found["over_bound"] <= 1 + 1e-9
    assert found["radius_correlation"] > 0.95 > found["element_correlation"]


def test_rmsprop_is_torchs_and_its_mean_square_no_variance():
    found = Probe("rmsprop", cases=50).answer()
    assert found["update_error"] < 1e-9
    assert found["moment_error"] < 1e-12
    assert found["variance_error"] > 0.1
    assert found["scale_spread"] < 1.01


def test_adam_as_printed_is_not_torchs():
    found = Probe("adam", cases=20).answer()
    assert found["corrected_error"] < 1e-7
    assert found["printed_error"] > 0.3
    assert (found["first_ratio"], found["peak_at"]) == (pytest.approx(1), 12)
    assert found["last_ratio"] == pytest.approx(np.sqrt(1e-3) / 0.1, rel=1e-3)
    assert found["constant"] > 10 * found["alternating"]


def test_adams_ratio_in_closed_form():
    t, ones = np.arange(1, 50), np.ones((49, 1))
    ratio = (_adam(ones, printed=True) / _adam(ones, printed=False))[:, 0]
    closed = (1 - 0.9**t) / 0.1 * np.sqrt(0.001 / (1 - 0.999**t))
    assert np.allclose(ratio, closed, rtol=1e-6)


def test_parameters_are_counted_and_the_read_outs_bias_is_o():
    found = Probe("parameters", cases=50).answer()
    assert (found["cell_error"], found["torch_error"], found["right_error"]) == (0, 0, 0)
    assert found["read_out_error"] > 0
    assert (found["study"], found["study_printed"]) == (67850, 67968)
