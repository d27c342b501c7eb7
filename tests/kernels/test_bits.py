"""A replica's bits know nothing of its pack or of threads."""

import pytest
import torch
from kernel_cases import VARIANTS, fused, make, params, run, same_bits

from memspan.kernels.cpu import engine


@pytest.fixture
def threads(monkeypatch):
    """Set torch's threads, and let the smallest work be shared; restore both."""
    before = torch.get_num_threads()
    monkeypatch.setattr(engine, "SHARED_WORK", 0.0)
    yield torch.set_num_threads
    torch.set_num_threads(before)


def options(R, T, B):
    g = torch.Generator().manual_seed(2)
    return {"lengths": torch.randint(0, T + 1, (R, B), generator=g)}


def of_replica(result, r):
    """Return one replica's slice of every result."""
    return {name: value[r : r + 1] for name, value in result.items()}


@pytest.mark.parametrize("kernel", ["reference", "fused"], indirect=True)
@pytest.mark.parametrize("ragged", [False, True], ids=["dense", "ragged"])
@pytest.mark.parametrize("variant", params(VARIANTS))
def test_a_pack_equals_a_loop_over_its_replicas(variant, ragged, kernel):
    R, T, B = 3, 6, 37
    cell, p, x, state = make(variant, R, T, B, 3, 20)
    given = options(R, T, B) if ragged else {}
    pack = run((cell, p, x, state), kernel, **given)
    for r in range(R):
        one = {name: value[r : r + 1] for name, value in p.items()}
        alone = (cell, one, x[r : r + 1], tuple(s[r : r + 1] for s in state))
        lengths = {name: value[r : r + 1] for name, value in given.items()}
        got = run(alone, kernel, pack=(r, R), **lengths)
        assert same_bits(got, of_replica(pack, r)), r


@pytest.mark.parametrize("B", [5, 40, 130])
@pytest.mark.parametrize("variant", params(VARIANTS))
def test_one_thread_equals_two(variant, B, threads):
    case = make(variant, 2, 5, B, 3, 33)
    for given in ({}, options(2, 5, B)):
        threads(1)
        one = run(case, fused(variant), **given)
        threads(2)
        two = run(case, fused(variant), **given)
        assert torch.get_num_threads() == 2
        assert same_bits(one, two)


@pytest.mark.parametrize("kernel", ["reference", "fused"], indirect=True)
@pytest.mark.parametrize("variant", params(VARIANTS))
def test_nan_in_one_replica_stays_there_and_shows(variant, kernel):
    cell, p, x, state = make(variant, 3, 4, 20, 2, 9)
    clean = run((cell, p, x, state), kernel)
    dirty = {name: value.clone() for name, value in p.items()}
    dirty["weight_hh"][1] = float("nan")
    got = run((cell, dirty, x, state), kernel)
    for r in (0, 2):
        assert same_bits(of_replica(got, r), of_replica(clean, r))
    shown = got["outputs"][1].isnan()
    assert shown.any() if kernel == "sparse" else shown.all()  # a unit that never opens never sees it
