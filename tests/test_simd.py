"""tanh, exp and sigmoid of the vector type: where their coefficients come from, and their float32 error."""

import inspect
import re

import numba as nb
import numpy as np
import pytest

from memspan import simd
from memspan.simd import functions, vload, vstore


@nb.njit
def _tanh(source, target, count, modes):
    if modes:
        simd.flush_denormals(modes)
    for k in range(0, 4 * count, simd.VECTOR_BYTES):
        vstore(target + k, simd.tanh(vload(source + k)))
    if modes:
        simd.restore_modes(modes)


@nb.njit
def _sigmoid(source, target, count, modes):
    if modes:
        simd.flush_denormals(modes)
    for k in range(0, 4 * count, simd.VECTOR_BYTES):
        vstore(target + k, simd.sigmoid(vload(source + k)))
    if modes:
        simd.restore_modes(modes)


@nb.njit
def _exp(source, target, count, modes):
    if modes:
        simd.flush_denormals(modes)
    for k in range(0, 4 * count, simd.VECTOR_BYTES):
        vstore(target + k, simd.exp(vload(source + k)))
    if modes:
        simd.restore_modes(modes)


@nb.njit
def _relu(source, target, count, modes):
    if modes:
        simd.flush_denormals(modes)
    for k in range(0, 4 * count, simd.VECTOR_BYTES):
        vstore(target + k, simd.relu(vload(source + k)))
    if modes:
        simd.restore_modes(modes)


@nb.njit
def _transpose(target, target_row, source, source_row):
    simd.transpose(target, target_row, source, source_row)


def apply(function, x, flush=False):
    """Apply a function of vectors; flush: with denormals counting as zero, as in a kernel."""
    modes = np.zeros(1, np.int64)
    x = np.ascontiguousarray(x, np.float32)
    padded = np.zeros(-(-x.size // simd.LANES) * simd.LANES, np.float32)
    padded[: x.size] = x
    out = np.empty_like(padded)
    function(padded.ctypes.data, out.ctypes.data, padded.size, modes.ctypes.data if flush else 0)
    return out[: x.size]


def every(low, high, step):
    """Every step-th float32 between two positive numbers."""
    first, last = np.float32(low).view(np.uint32), np.float32(high).view(np.uint32)
    return np.arange(first, last, step, dtype=np.uint32).view(np.float32)


def ulps(got, want):
    return np.abs(got.astype(np.float64) - want) / np.spacing(np.abs(want).astype(np.float32))


def all_magnitudes():
    """Every 997th float32 of either sign, from 0 over the denormals to the largest, and those infinite."""
    x = np.arange(0, 0x7F800000, 997, dtype=np.uint32).view(np.float32)
    return np.concatenate([-x, x, np.array([-np.inf, np.inf], np.float32)])


@pytest.fixture(params=[False, True], ids=["denormals", "flushed"])
def flush(request):
    """Return an apply as a kernel's walk calls functions, or with denormals kept."""
    return lambda function, x: apply(function, x, request.param)


def test_tanh_is_right_and_never_past_one_over_the_whole_range(flush):
    x = all_magnitudes()
    got, want = flush(_tanh, x), np.tanh(x.astype(np.float64))
    counts = np.abs(want) > 1.2e-38
    assert ulps(got[counts], want[counts]).max() <= 5  # 4.2 at most; 2.6e-7 in all
    assert np.abs(got - want).max() <= 2.6e-7
    assert np.abs(got).max() == 1  # so that 1 − tanh² is never negative
    assert (np.abs(got[np.abs(x) >= 9]) == 1).all()  # and 0 where the unit is saturated
    assert (got * x >= 0).all()


def test_sigmoid_is_right_and_never_past_its_ends_over_the_whole_range(flush):
    x = all_magnitudes()
    with np.errstate(over="ignore"):
        got, want = flush(_sigmoid, x), 1 / (1 + np.exp(-x.astype(np.float64)))
    counts = want > 1.2e-38
    assert ulps(got[counts], want[counts]).max() <= 4  # 2.9 at most; 9e-8 in all
    assert np.abs(got - want).max() <= 9e-8
    assert (got.min() >= 0) & (got.max() == 1)
    assert (got[x >= 18] == 1).all()
    least = 0 if simd.LANES != 16 else 4.5e-39  # an estimate of 1/x may not meet infinity
    assert got[x <= -89].max() <= least


@pytest.mark.skipif(not simd.IS_X86, reason="denormals are flushed on x86 only")
def test_a_sigmoid_closed_by_a_large_input_is_zero_in_a_kernel():
    assert (apply(_sigmoid, [-87.4, -1e3, -1e38, -np.inf], flush=True) == 0).all()


@pytest.mark.parametrize("bits", [0x7FC00000, 0xFFC00000, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FC00001, 0x7FC001FF])
def test_every_nan_stays_nan(bits, flush):
    """Its low bits, which add to an exponent in exp, are those that a buffer filled with bytes may hold."""
    nan = np.full(simd.LANES, bits, np.uint32).view(np.float32)
    for function in (_tanh, _sigmoid, _exp, _relu):
        assert np.isnan(flush(function, nan)).all()


@nb.njit
def _first_lanes(target, source, count):
    vstore(target, simd.first_lanes(vload(source), count))


@nb.njit
def _where_live(target, live, x, other):
    vstore(target, simd.where_live(vload(live), vload(x), vload(other)))


def test_lanes_that_do_not_count_are_left_out_whatever_they_hold():
    x, live, out = (np.full(simd.LANES, v, np.float32) for v in (np.nan, 1, 7))
    for count in (-3, 0, 1, simd.LANES - 1, simd.LANES, simd.LANES + 5):
        _first_lanes(out.ctypes.data, x.ctypes.data, count)
        kept = max(0, min(count, simd.LANES))
        assert np.isnan(out[:kept]).all()
        assert (out[kept:] == 0).all()
    live[1:] = 0
    other = np.arange(simd.LANES, dtype=np.float32)
    _where_live(out.ctypes.data, live.ctypes.data, x.ctypes.data, other.ctypes.data)
    assert np.isnan(out[0])
    assert (out[1:] == other[1:]).all()


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
    written = [v for v in coefficients(simd.tanh) if v not in (81, -1)][:-1]  # without the ends of its range
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
    written = coefficients(functions._exp_parts)
    ours = [v for v in written if 1e-3 < v < 1]
    assert ours == pytest.approx(list(found)[::-1], rel=1e-4)
    assert sum({v for v in written if 1 < v < 2 or 0 < v < 1e-7}) == pytest.approx(np.log2(np.e), rel=1e-12)


def test_vector_length_follows_the_host():
    assert simd.lanes_for(frozenset({"avx512f", "avx512vl", "avx2", "avx"})) == 16
    assert simd.lanes_for(frozenset({"avx2", "avx"})) == 8
    assert simd.lanes_for(frozenset({"sse2"})) == 4
