"""Laws every cell and kernel must pass: equality with the float64 reference, and of parts with the whole."""

import pytest
import torch
from kernel_cases import DENSE, GATED, PLAIN, SPARSE, VARIANTS, error, fused, make, params, run

from memspan.errors import KernelRefusal
from memspan.kernels import unroll
from memspan.kernels.cpu import engine
from tolerances import TOLERANCES

SHAPES = [  # R, T, B, D, H
    (1, 3, 4, 1, 16),
    (2, 5, 3, 2, 1),
    (1, 7, 17, 3, 33),
    (2, 4, 70, 40, 63),
    (1, 1, 1, 1, 100),
    (1, 0, 2, 1, 4),
    (1, 1, 5, 130, 64),
    (1, 9, 100, 1, 128),
    (3, 6, 2, 5, 3),
    (1, 2, 130, 3, 32),
]
MODES = ["dense", "ragged", "resets", "symbols", "chunk", "all"]
CASES = [
    pytest.param(*case.values, mode, id=f"{case.id}-{mode}", marks=case.marks)
    for variants, modes in (
        (PLAIN, MODES),
        (GATED, [*MODES, "times", "row times"]),
        (SPARSE, ["dense", "ragged", "symbols", "chunk", "times"]),
    )
    for case in params(variants)
    for mode in modes
]


@pytest.fixture(autouse=True)
def poisoned(monkeypatch):
    """Start every buffer as NaN: what is read before it is written shows."""
    monkeypatch.setattr(engine, "poison", True)


def options_for(mode, R, T, B):
    g = torch.Generator().manual_seed(5)
    options = {}
    if mode in ("ragged", "all"):
        options["lengths"] = torch.randint(0, T + 1, (R, B), generator=g)
    if mode in ("resets", "all"):
        options["resets"] = torch.rand(R, T, B, generator=g) < 0.3
    if mode in ("times", "row times"):
        shape = (T,) if mode == "times" else (R, T, B)
        options["times"] = (40 * torch.rand(*shape, generator=g, dtype=torch.float64) - 20).cumsum(-1)
    if mode == "all":
        options["times"] = 40 * torch.rand(R, T, B, generator=g) - 20
    return options


@pytest.mark.parametrize(("variant", "mode"), CASES)
def test_equals_the_reference_in_float64(variant, mode):
    for number, (R, T, B, D, H) in enumerate(SHAPES):
        case = make(variant, R, T, B, D, H, biases=number % 3, symbols=mode in ("symbols", "all"))
        options = options_for(mode, R, T, B)
        want = run(case, "reference", torch.float64, **options)
        if mode in ("chunk", "all"):
            options["chunk"] = 2
        worst, where = error(run(case, fused(variant), **options), want)
        assert worst <= TOLERANCES["float32"], (R, T, B, D, H, where)


@pytest.mark.parametrize("kernel", ["reference", "fused"], indirect=True)
@pytest.mark.parametrize("variant", params(VARIANTS))
class TestParts:
    def test_halves_equal_the_whole(self, variant, kernel):
        cell, p, x, state = make(variant, 2, 9, 5, 3, 20)
        times = torch.arange(9)  # halves continue with times that continue
        whole = unroll(cell, p, x, state, kernel=kernel)
        first = unroll(cell, p, x[:, :4], state, times=times[:4], kernel=kernel)
        second = unroll(cell, p, x[:, 4:], first.state, times=times[4:], kernel=kernel)
        assert torch.equal(torch.cat([first.outputs, second.outputs], 1), whole.outputs)
        assert all(torch.equal(a, b) for a, b in zip(second.state, whole.state, strict=True))

    def test_stepping_equals_unrolling(self, variant, kernel):
        cell, p, x, state = make(variant, 1, 6, 3, 2, 17)
        whole = unroll(cell, p, x, state, kernel=kernel)
        for t in range(x.shape[1]):
            one = unroll(cell, p, x[:, t : t + 1], state, times=torch.tensor([t]), kernel=kernel)
            state = one.state
            assert torch.equal(one.outputs[:, 0], whole.outputs[:, t])

    def test_the_order_of_the_batch_does_not_matter(self, variant, kernel):
        cell, p, x, state = make(variant, 1, 5, 23, 2, 12)
        order = torch.randperm(23, generator=torch.Generator().manual_seed(1))
        a = run((cell, p, x, state), kernel)
        b = run((cell, p, x[:, :, order], tuple(s[:, order] for s in state)), kernel)
        assert torch.allclose(a["outputs"][:, :, order], b["outputs"], atol=TOLERANCES["reordered"])

    def test_last_is_the_last_of_all(self, variant, kernel):
        cell, p, x, state = make(variant, 2, 5, 4, 2, 6)
        lengths = torch.tensor([[0, 1, 5, 3], [5, 5, 2, 0]])
        every = unroll(cell, p, x, state, lengths=lengths, kernel=kernel)
        last = unroll(cell, p, x, state, lengths=lengths, outputs="last", kernel=kernel)
        assert torch.equal(last.outputs, every.state[0])
        for r in range(2):
            for b in range(4):
                end = int(lengths[r, b])
                want = state[0][r, b] if end == 0 else every.outputs[r, end - 1, b]
                assert torch.equal(last.outputs[r, b], want)
                assert not every.outputs[r, end:, b].any()

    def test_padding_is_never_looked_at(self, variant, kernel):
        cell, p, x, state = make(variant, 1, 5, 3, 2, 6)
        lengths = torch.tensor([[2, 5, 0]])
        dirty = x.clone()
        dirty[0, 2:, 0] = float("nan")
        dirty[0, :, 2] = float("inf")
        a = run((cell, p, x, state), kernel, lengths=lengths)
        b = run((cell, p, dirty, state), kernel, lengths=lengths)
        assert all(torch.equal(a[name], b[name]) for name in a)

    def test_a_reset_starts_a_new_sequence(self, variant, kernel):
        cell, p, x, state = make(variant, 1, 7, 2, 2, 5)
        resets = torch.zeros(1, 7, 2, dtype=torch.bool)
        resets[:, 3] = True
        if kernel == "sparse":
            with pytest.raises(KernelRefusal, match="reset"):
                unroll(cell, p, x, state, resets=resets, kernel=kernel)
            return
        cut = unroll(cell, p, x, state, resets=resets, kernel=kernel)
        fresh = unroll(cell, p, x[:, 3:], times=torch.arange(3, 7), kernel=kernel)
        assert torch.equal(cut.outputs[:, 3:], fresh.outputs)

    def test_no_state_is_the_zero_state(self, variant, kernel):
        cell, p, x, state = make(variant, 1, 4, 2, 2, 5)
        zero = tuple(torch.zeros_like(s) for s in state)
        a, b = unroll(cell, p, x, kernel=kernel), unroll(cell, p, x, zero, kernel=kernel)
        assert torch.equal(a.outputs, b.outputs)

    def test_non_contiguous_inputs(self, variant, kernel):
        cell, p, x, state = make(variant, 2, 4, 3, 5, 6)
        twisted = x.transpose(1, 2).contiguous().transpose(1, 2)
        q = {name: value.unsqueeze(-1).expand(*value.shape, 2)[..., 0] for name, value in p.items()}
        a, b = run((cell, p, x, state), kernel), run((cell, q, twisted, state), kernel)
        if kernel == "reference":  # torch's products add in another order where strides differ, on some hosts
            assert all(torch.allclose(a[name], b[name], atol=TOLERANCES["reordered"]) for name in a)
            return
        assert all(torch.equal(a[name], b[name]) for name in a)

    def test_without_gradients(self, variant, kernel):
        cell, p, x, state = make(variant, 1, 21, 5, 2, 9)
        with torch.no_grad():
            quiet = unroll(cell, p, x, state, kernel=kernel)
        kept = run((cell, p, x, state), kernel)
        if kernel == "sparse":  # few rows that keep nothing go one by one, sums in another order
            assert torch.allclose(quiet.outputs, kept["outputs"], atol=TOLERANCES["reordered"])
            return
        assert torch.equal(quiet.outputs, kept["outputs"])


@pytest.mark.parametrize("variant", params(VARIANTS))
def test_symbols_are_one_hot_columns(variant):
    cell, p, x, state = make(variant, 2, 6, 3, 5, 7, symbols=True)
    hot = torch.nn.functional.one_hot(x, 5).float()
    for kind in (torch.int64, torch.int32, torch.uint8):
        a = unroll(cell, p, x.to(kind), state, kernel=fused(variant))
        b = unroll(cell, p, hot, state, kernel=fused(variant))
        assert torch.allclose(a.outputs, b.outputs, atol=TOLERANCES["reordered"])


@pytest.mark.parametrize("variant", params(DENSE))
def test_chunks_equal_no_chunks(variant):
    case = make(variant, 1, 37, 40, 2, 32)
    options = options_for("all", 1, 37, 40)
    for given in ({}, {"lengths": options["lengths"]}, options):
        whole = run(case, "cpu", chunk=0, **given)
        for chunk in (1, 6, 100):
            got = run(case, "cpu", chunk=chunk, **given)
            worst, where = error(got, whole)
            assert worst <= TOLERANCES["reordered"], where
            assert torch.equal(got["outputs"], whole["outputs"])


def test_denormals_are_flushed_and_the_mode_restored():
    cell, p, x, state = make(("lstm", {}), 1, 3, 2, 1, 4)
    tiny = torch.tensor([1e-40])
    unroll(cell, p, x * 0, tuple(s * 0 + 1e-39 for s in state), kernel="cpu")
    assert float(tiny * 1.0) > 0
