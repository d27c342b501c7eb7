"""tanh, exp and sigmoid of the vector type: where their coefficients come from, and their float32 error."""

import inspect
import re

import numba as nb
import numpy as np
import pytest

from memspan import simd
from memspan.simd import vload, vstore


@nb.njit
def _tanh(source, target, count):
    for k in range(0, 4 * count, simd.VECTOR_BYTES):
        vstore(target + k, simd.tanh(vload(source + k)))


@nb.njit
def _sigmoid(source, target, count):
    for k in range(0, 4 * count, simd.VECTOR_BYTES):
        vstore(target + k, simd.sigmoid(vload(source + k)))


@nb.njit
def _exp(source, target, count):
    for k in range(0, 4 * count, simd.VECTOR_BYTES):
        vstore(target + k, simd.exp(vload(source + k)))


@nb.njit
def _relu(source, target, count):
    for k in range(0, 4 * count, simd.VECTOR_BYTES):
        vstore(target + k, simd.relu(vload(source + k)))


@nb.njit
def _transpose(target, target_row, source, source_row):
    simd.transpose(target, target_row, source, source_row)


def apply(function, x):
    x = np.ascontiguousarray(x, np.float32)
    padded = np.zeros(-(-x.size // simd.LANES) * simd.LANES, np.float32)
    padded[: x.size] = x
    out = np.empty_like(padded)
    function(padded.ctypes.data, out.ctypes.data, padded.size)
    return out[: x.size]


def every(low, high, step):
    """Every step-th float32 between two positive numbers."""
    first, last = np.float32(low).view(np.uint32), np.float32(high).view(np.uint32)
    return np.arange(first, last, step, dtype=np.uint32).view(np.float32)


def ulps(got, want):
    return np.abs(got.astype(np.float64) - want) / np.spacing(np.abs(want).astype(np.float32))


def test_tanh_is_right_within_a_few_ulps_everywhere():
    x = every(1e-30, 1e30, 257)
    x = np.concatenate([-x, x])
    got, want = apply(_tanh, x), np.tanh(x.astype(np.float64))
    assert ulps(got, want).max() <= 7
    assert np.abs(got).max() <= 1 + 2**-23


def test_sigmoid_is_right_within_a_few_ulps_everywhere():
    x = every(1e-30, 87, 257)
    x = np.concatenate([-x, x])
    got, want = apply(_sigmoid, x), 1 / (1 + np.exp(-x.astype(np.float64)))
    assert ulps(got, want).max() <= 4
    assert ((got > 0) & (got <= 1)).all()
    assert apply(_sigmoid, [-1e30, -100, 0, 100, 1e30]).tolist() == pytest.approx(
        [0, 0, 0.5, 1, 1], abs=2e-38
    )


def test_exp_is_right_within_a_few_ulps_everywhere():
    x = every(1e-30, 87, 257)
    x = np.concatenate([-x, x])
    assert ulps(apply(_exp, x), np.exp(x.astype(np.float64))).max() <= 4
    assert apply(_exp, [0.0]) == 1
    assert np.isnan(apply(_exp, [np.nan])).all()


def test_a_block_is_turned():
    wide = simd.LANES + 5
    source = np.arange(simd.LANES * wide, dtype=np.float32).reshape(simd.LANES, wide)
    target = np.full((simd.LANES, 2 * wide), np.nan, np.float32)
    _transpose(target.ctypes.data, target.strides[0], source.ctypes.data, source.strides[0])
    assert (target[:, : simd.LANES] == source[:, : simd.LANES].T).all()
    assert np.isnan(target[:, simd.LANES :]).all()


def test_special_values():
    special = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0], np.float32)
    tanh, sigmoid, relu = (apply(f, special) for f in (_tanh, _sigmoid, _relu))
    assert np.isnan([tanh[0], sigmoid[0], relu[0]]).all()
    assert tanh[1:].tolist() == pytest.approx([1, -1, 0, 0], abs=2**-23)
    assert sigmoid[1] == 1
    assert sigmoid[2] < 2e-38
    assert sigmoid[3] == 0.5
    assert relu[1:].tolist() == [np.inf, 0, 0, 0]


def lawson(columns, target, weight, refine=None, rounds=2000):
    """Return the linear coefficients whose largest weighted error is least, by reweighted least squares."""
    w, scale, best = np.ones_like(target), np.ones_like(target), (np.inf, None)
    for _ in range(rounds):
        rows = np.sqrt(w) * weight / scale
        found = np.linalg.lstsq(columns * rows[:, None], target * rows, rcond=None)[0]
        scale = refine(found) if refine else scale
        error = np.abs(columns @ found - target) * weight / scale
        best = min(best, (error.max(), tuple(found)))
        w = w * (error / error.max() + 1e-3)
        w /= w.max()
    return best


def coefficients(function):
    """Return the float32 constants of a function's source, in the order they are written."""
    return [float(v) for v in re.findall(r"F\((-?[\d.e+-]+)\)", inspect.getsource(function.py_func))]


@pytest.mark.slow
def test_the_coefficients_of_tanh_are_the_best_of_their_degree():
    x = 9 * (1 - np.cos(np.pi * (np.arange(4000) + 0.5) / 4000)) / 2
    x = x[x > 1e-3]
    u, t = (x / 9) ** 2, np.tanh(x)
    powers = np.stack([u**k for k in range(5)], 1)
    columns = np.concatenate([x[:, None] * powers, -t[:, None] * powers[:, 1:]], 1)
    error, found = lawson(columns, t, 1 / t, lambda c: 1 + powers[:, 1:] @ np.array(c[5:]))
    assert error < 2.2e-8
    p = np.array(found[:5]) / 81.0 ** np.arange(5)
    q = np.array([1, *found[5:]]) / 81.0 ** np.arange(5)
    written = [v for v in coefficients(simd.tanh) if abs(v) != 9]
    assert written == pytest.approx([*p[::-1], *q[::-1]], rel=2e-2)
    f = np.array([1, 3, 5, 7.5])
    p, q = np.array(written[4::-1]), np.array(written[:4:-1])
    exact = f * np.polyval(p[::-1], f * f) / np.polyval(q[::-1], f * f)
    assert exact == pytest.approx(np.tanh(f), rel=1e-7)


def test_the_coefficients_of_the_exponential_are_the_best_of_their_degree():
    f = np.cos(np.pi * (np.arange(2000) + 0.5) / 2000) / 2
    columns = np.stack([f**k for k in range(1, 6)], 1)
    error, found = lawson(columns, 2.0**f - 1, 2.0**-f)
    assert error < 1e-7
    written = coefficients(simd.exp)
    ours = [v for v in written if 1e-3 < v < 1]
    assert ours == pytest.approx(list(found)[::-1], rel=1e-4)
    assert sum({v for v in written if 1 < v < 2 or 0 < v < 1e-7}) == pytest.approx(np.log2(np.e), rel=1e-12)


def test_vector_length_follows_the_host():
    assert simd.lanes_for(frozenset({"avx512f", "avx512vl", "avx2", "avx"})) == 16
    assert simd.lanes_for(frozenset({"avx2", "avx"})) == 8
    assert simd.lanes_for(frozenset({"sse2"})) == 4
