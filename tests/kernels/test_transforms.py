"""What surrounds a call: transforms, modes, tracers, hooks. Each must give what plain torch layers give."""

import contextlib
import io
import logging

import pytest
import torch
from kernel_cases import VARIANTS, fused, make, params
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.functional import jacobian
from torch.func import functional_call, functionalize, grad, jacrev, stack_module_state, vjp, vmap
from torch.fx.experimental.proxy_tensor import make_fx

import memspan
from memspan.errors import KernelRefusal
from memspan.kernels import unroll
from memspan.kernels.cpu import call
from memspan.kernels.cpu.pointers import kept, pointer
from memspan.transforms import is_plain, wants_gradient

T, B, D, H = 6, 4, 3, 5
PLAIN = ("RNN", "GRU", "LSTM")
LAYERS = (*PLAIN, "PhasedLSTM", "PhasedGRU")
CLOCKS = {"periods": (2.0, 90.0), "open_ratio": 0.1, "leak": 0.0}  # open units only


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def layer_of(name, **options):
    return getattr(memspan, name)(D, H, **(CLOCKS if name.startswith("Phased") else {}), **options)


def twins(name):
    """Return a layer on its fused kernel and the same layer on the reference."""
    mine = layer_of(name)
    reference = layer_of(name, kernel="reference")
    reference.load_state_dict(mine.state_dict())
    return mine, reference


def total(layer, x):
    return layer(x)[0].square().sum()


def close(got, want):
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_derivatives_of_torch_func_and_batched_gradients(name):
    mine, reference = twins(name)
    x = torch.randn(T, B, D)

    def outputs(layer):
        return lambda y: layer(y)[0].sum((0, 1))

    for _ in range(3):  # what a wrong stride reads differs from call to call
        close(jacrev(outputs(mine))(x), jacrev(outputs(reference))(x))
    close(jacobian(outputs(mine), x, vectorize=True), jacobian(outputs(reference), x, vectorize=True))
    pull = vjp(outputs(mine), x)[1]
    directions = torch.randn(3, H)
    close(vmap(pull)(directions)[0], torch.stack([pull(d)[0] for d in directions]))
    few = x[:2, :1]
    second = [jacrev(grad(lambda y, layer=layer: total(layer, y)))(few) for layer in (mine, reference)]
    close(*second)
    close(functionalize(grad(lambda y: total(mine, y)))(x), grad(lambda y: total(reference, y))(x))


@pytest.mark.parametrize("name", LAYERS)
def test_autograd_outside_vmap_over_stacked_weights(name):
    layers, x = [layer_of(name) for _ in range(2)], torch.randn(T, B, D)
    stacked = {k: v.detach().requires_grad_() for k, v in stack_module_state(layers)[0].items()}
    mapped = vmap(lambda p: functional_call(layers[0], p, (x,))[0])(stacked)
    got = torch.autograd.grad(mapped.square().sum(), list(stacked.values()))
    want = [torch.autograd.grad(total(layer, x), list(layer.parameters())) for layer in layers]
    for k, value in enumerate(got):
        close(value, torch.stack([gradients[k] for gradients in want]))


@pytest.mark.parametrize("name", LAYERS)
def test_autograd_outside_vmap_over_inputs_of_frozen_weights(name):
    layer, x = layer_of(name).requires_grad_(False), torch.randn(3, T, B, D, requires_grad=True)
    got = torch.autograd.grad(vmap(lambda y: layer(y)[0])(x).square().sum(), x)[0]
    want = [torch.autograd.grad(total(layer, y), y)[0] for y in x.detach().requires_grad_().unbind(0)]
    close(got, torch.stack(want))


def test_what_is_kept_is_decided_below_every_level():
    leaf = torch.randn(2, 3, requires_grad=True)
    found = {}

    def ask(key):
        def inner(t):
            found[key] = wants_gradient(t)
            return t

        return inner

    vmap(ask("outside"))(leaf)
    vmap(ask("nothing"))(leaf.detach())
    with torch.no_grad():
        vmap(ask("no grad"))(leaf)
        grad(lambda t: ask("grad")(t).sum())(leaf)
    assert found == {"outside": True, "nothing": False, "no grad": False, "grad": True}


@pytest.mark.parametrize("options", ["plain", "ragged", "resets", "chunk", "resets and chunk"])
@pytest.mark.parametrize("variant", params(VARIANTS))
def test_every_backward_runs_twice(variant, options):
    kernel = fused(variant)
    if kernel == "sparse" and "resets" in options:
        pytest.skip("open units alone serve no resets")
    cell, p, x, state = make(variant, 1, 9, 3, 2, 7)
    p = {name: value.requires_grad_() for name, value in p.items()}
    more = {}
    if options == "ragged":
        more["lengths"] = torch.tensor([[9, 0, 4]])
    if "resets" in options:
        more["resets"] = torch.rand(1, 9, 3) < 0.3
    if "chunk" in options:
        more["chunk"] = 3
    made = unroll(cell, p, x, state, kernel=kernel, **more)
    loss = made.outputs.square().sum() + made.state[-1].sum()
    first = torch.autograd.grad(loss, list(p.values()), retain_graph=True)
    other = torch.autograd.grad(made.outputs.sum(), list(p.values()), retain_graph=True)
    again = torch.autograd.grad(loss, list(p.values()))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("name", ["PhasedGRU", "PhasedLSTM"])
def test_clocks_of_their_own_for_every_member_of_a_vmap(name):
    layer, x = layer_of(name), torch.randn(T, B, D)
    times = torch.rand(3, T, dtype=torch.float64).cumsum(1) * 20
    assert layer.choice().kernel == "sparse"
    close(vmap(lambda t: layer(x, times=t)[0])(times), torch.stack([layer(x, times=t)[0] for t in times]))
    got = torch.autograd.grad(
        vmap(lambda t: layer(x, times=t)[0])(times).square().sum(), list(layer.parameters())
    )
    want = torch.autograd.grad(
        sum(layer(x, times=t)[0].square().sum() for t in times), list(layer.parameters())
    )
    close(got, want)


def test_lengths_of_their_own_for_every_member_of_a_vmap():
    layer, x, lengths = layer_of("LSTM"), torch.randn(T, B, D), torch.tensor([[6, 0, 3, 1], [2, 2, 5, 6]])
    got = vmap(lambda n: layer(x, lengths=n)[0])(lengths)
    close(got, torch.stack([layer(x, lengths=n)[0] for n in lengths]))


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("mode", ["real", "fake", "symbolic"])
def test_a_traced_graph_computes(name, mode):
    layer, x, y = layer_of(name), torch.randn(3, B, D), torch.randn(3, B, D)
    graph = make_fx(lambda a: layer(a)[0], tracing_mode=mode, _allow_non_fake_inputs=True)(x)
    close(graph(y), layer(y)[0])
    assert not [n for n in graph.graph.nodes if "empty" in str(n.target)]
    if mode == "real":
        backward = make_fx(grad(lambda a: total(layer, a)))(x)
        close(backward(y), grad(lambda a: total(layer, a))(y))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", LAYERS)
def test_a_jit_trace_computes_and_differentiates(name):
    layer, x, y = layer_of(name), torch.randn(T, B, D), torch.randn(T, B, D)
    with torch.no_grad():
        traced = torch.jit.trace(layer, (x,), check_trace=False)
    close(traced(y)[0], layer(y)[0])
    close(
        torch.autograd.grad(traced(y)[0].square().sum(), layer.weight_hh_l0),
        torch.autograd.grad(total(layer, y), layer.weight_hh_l0),
    )


@contextlib.contextmanager
def _compiling():
    torch._dynamo.reset()
    logging.disable(logging.CRITICAL)
    try:
        yield lambda f, **more: torch.compile(f, backend="aot_eager", **more)
    finally:
        logging.disable(logging.NOTSET)
        torch._dynamo.reset()


@pytest.mark.parametrize("name", ["LSTM", "PhasedGRU"])
def test_compiled_for_several_batch_sizes_and_lengths(name):
    layer = layer_of(name)
    with _compiling() as compiled:
        mine = compiled(layer)
        for steps, rows in ((6, 4), (6, 3), (6, 1), (9, 3)):
            x = torch.randn(steps, rows, D)
            close(mine(x)[0], layer(x)[0])
            close(
                torch.autograd.grad(total(mine, x), layer.weight_hh_l0),
                torch.autograd.grad(total(layer, x), layer.weight_hh_l0),
            )


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_derivatives_of_torch_func_inside_compile():
    layer, x = layer_of("LSTM"), torch.randn(2, 3, 2, D)

    def each(y):
        return vmap(grad(lambda z: total(layer, z)))(y)

    def jacobian_of(y):
        return jacrev(lambda z: layer(z)[0].sum((0, 1)))(y)

    with _compiling() as compiled:
        close(compiled(each)(x), each(x))
        close(compiled(jacobian_of)(x[0]), jacobian_of(x[0]))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_compiled_autograd():
    layer, x = layer_of("LSTM"), torch.randn(T, B, D)
    want = torch.autograd.grad(total(layer, x), layer.weight_hh_l0)[0]
    with _compiling() as compiled, torch._dynamo.compiled_autograd._enable(compiled):
        total(layer, x).backward()
    close(layer.weight_hh_l0.grad, want)


class _Model(torch.nn.Module):
    """A model that holds a layer."""

    def __init__(self, layer):
        super().__init__()
        self.layer, self.out = layer, torch.nn.Linear(H, 2)

    def forward(self, x):
        return self.out(self.layer(x)[0])


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")  # torch's own
@pytest.mark.parametrize(("name", "strict"), [("GRU", True), ("PhasedLSTM", False)])
def test_exported_programs_keep_sizes_open_and_gradients(name, strict):
    model, x = _Model(layer_of(name)), torch.randn(T, B, D)
    axes = {0: torch.export.Dim("T"), 1: torch.export.Dim("B")}
    program = torch.export.export(model, (x,), dynamic_shapes=(axes,), strict=strict).module()
    y = torch.randn(9, 7, D)
    close(program(y), model(y))
    weight = dict(program.named_parameters())["layer.weight_hh_l0"]
    close(
        torch.autograd.grad(program(x).square().sum(), weight),
        torch.autograd.grad(model(x).square().sum(), model.layer.weight_hh_l0),
    )


@pytest.mark.filterwarnings("ignore")  # torch.onnx speaks of itself
@pytest.mark.parametrize("held", [False, True], ids=["layer", "model"])
def test_onnx_of_trainable_weights_with_an_open_batch(held, tmp_path):
    pytest.importorskip("onnxscript", reason="the extra [export] is not installed")
    import onnxruntime

    layer = layer_of("LSTM")
    model = _Model(layer) if held else layer
    path, x = tmp_path / "model.onnx", torch.randn(T, 7, D)
    with contextlib.redirect_stdout(io.StringIO()):
        torch.onnx.export(
            model, (torch.randn(T, B, D),), path, dynamo=True, verbose=False,
            dynamic_shapes=({1: torch.export.Dim("B")},), input_names=["x"],
        )  # fmt: skip
    made = onnxruntime.InferenceSession(str(path)).run(None, {"x": x.numpy()})[0]
    want = model(x) if held else model(x)[0]
    close(torch.from_numpy(made), want.detach())


@pytest.mark.parametrize("name", LAYERS)
def test_tensors_without_numbers_give_shapes(name):
    clocks = {"times": torch.arange(float(T))} if name.startswith("Phased") else {}
    more = {"lengths": torch.tensor([6, 0, 3, 1]), **clocks}
    meta = layer_of(name, device="meta")
    assert meta(torch.empty(T, B, D, device="meta"), **more)[0].shape == (T, B, H)
    with FakeTensorMode() as mode:
        layer, x = layer_of(name), torch.randn(T, B, D)
        lengths = {key: mode.from_tensor(value) for key, value in more.items()}
        total(layer, x).backward()
        assert layer.weight_hh_l0.grad.shape == layer.weight_hh_l0.shape
        assert layer(x, **lengths)[0].shape == (T, B, H)


def _as_is(t):
    return t


def _strided(t):
    return t.repeat_interleave(2, -1)[..., ::2] if t.dim() else t


def _negated(t):
    return torch.complex(torch.zeros_like(t), -t).conj().imag if t.dtype == torch.float32 else t


@pytest.mark.parametrize("unpack", [_strided, _negated])
@pytest.mark.parametrize("name", LAYERS)
def test_hooks_for_saved_tensors_may_bring_other_layouts(name, unpack):
    layer, x = layer_of(name), torch.randn(T, B, D)
    want = torch.autograd.grad(total(layer, x), layer.weight_hh_l0)[0]
    with torch.autograd.graph.saved_tensors_hooks(_as_is, unpack):
        loss = total(layer, x)
    close(torch.autograd.grad(loss, layer.weight_hh_l0)[0], want)


def test_hooks_that_bring_something_else_are_refused():
    layer, x = layer_of("LSTM"), torch.randn(T, B, D)
    for unpack in (lambda t: t.double(), lambda t: t.flatten()[: t.numel() // 2]):
        with torch.autograd.graph.saved_tensors_hooks(_as_is, unpack):
            loss = total(layer, x)
        with pytest.raises((KernelRefusal, RuntimeError)):
            loss.backward()


@pytest.mark.parametrize("kernel", ["cpu", "sparse"])
def test_lazy_tensors_are_read_as_what_they_stand_for(kernel):
    layer = layer_of("LSTM") if kernel == "cpu" else layer_of("PhasedLSTM")
    x = torch.randn(T, B, D)
    lazy = torch.complex(torch.zeros_like(x), -x).conj().imag
    assert lazy.is_neg()
    assert not is_plain(lazy)
    close(layer(lazy)[0], layer(x)[0])
    zero = torch._efficientzerotensor((T, B, D))
    close(layer(zero)[0], layer(torch.zeros(T, B, D))[0])
    output = layer(x)[0]
    back = torch.autograd.grad(
        output, layer.weight_hh_l0, lazy.mT.mT[..., :1].expand_as(output), retain_graph=True
    )
    close(back, torch.autograd.grad(output, layer.weight_hh_l0, x[..., :1].expand_as(output)))


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # torch's own
def test_tangents_that_come_in_backward_go_on():
    layer, reference = twins("LSTM")
    x, direction = torch.randn(T, B, D), torch.randn(T, B, H)
    found = []
    for one in (layer, reference):
        leaf = x.clone().requires_grad_()
        output = one(leaf)[0]
        with torch.autograd.forward_ad.dual_level():
            above = torch.autograd.forward_ad.make_dual(torch.ones_like(output), direction)
            below = torch.autograd.grad(output, leaf, above)[0]
            found.append(tuple(torch.autograd.forward_ad.unpack_dual(below)))
    close(*found)


@pytest.mark.parametrize("variant", [v for v in VARIANTS if v[0] == "lstm"])
def test_nothing_is_read_that_was_not_kept(variant):
    case = make(variant, 1, 4, 3, 2, 5)
    cell, p, x, state = case
    name = call.variant_of(cell, fused(variant) == "sparse")
    given = (x, torch.stack(state), *call.operands(cell, p), cell.clock(None, 4, x.device), None, None)
    above = call.Above(torch.ones(1, 4, 3, 5), None, None, None)
    wants = [t is not None for t in given[: len(call.GRADIENTS)]]
    assert call.walk_forward(given, name, True, False, False, -1)[3] is None
    with pytest.raises(KernelRefusal, match="not asked to keep"):
        call.walk_backward(above, torch.empty(0), given, name, -1, wants)
    saved = call.walk_forward(given, name, True, False, True, -1)[3]
    for wrong in (saved.double(), saved[..., :-8].contiguous(), saved.repeat(2, 1, 1)):
        with pytest.raises(KernelRefusal, match="saved"):
            call.walk_backward(above, wrong, given, name, -1, wants)
    strided = torch.empty(*saved.shape[:2], saved.shape[2] * 2)[..., ::2].copy_(saved)
    a = call.walk_backward(above, saved, given, name, -1, wants)
    b = call.walk_backward(above, strided, given, name, -1, wants)
    assert all(u is None or torch.equal(u, v) for u, v in zip(a, b, strict=True))


def test_a_data_pointer_is_taken_of_what_the_plan_expects_only():
    expected = (torch.float32, 6)
    right = torch.zeros(2, 3)
    assert pointer("x", right, expected) == right.data_ptr()
    assert pointer("x", None, expected) == 0
    for wrong in (
        right.double(),
        torch.zeros(2, 4),
        right.mT.contiguous().mT,
        torch.zeros(1, 3).expand(2, 3),
    ):
        with pytest.raises(KernelRefusal, match="x has dtype"):
            pointer("x", wrong, expected)
    with pytest.raises(KernelRefusal, match="no memory"):
        pointer("x", torch._efficientzerotensor((2, 3)), expected)
    assert kept(right.view(1, 2, 3), (1, 2, 3)).data_ptr() == right.data_ptr()
