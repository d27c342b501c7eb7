"""What a layer can do with each kernel, each ability proved by running it.

``python tests/layers/abilities.py`` writes docs/abilities.md from the proofs; a test fails where the page and
the proofs differ.
"""

import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from minimal_gated import MinimalGatedUnit
from torch.autograd import gradcheck, gradgradcheck
from torch.export import Dim, export
from torch.func import functional_call, grad, jacrev, jvp, vmap
from torch.fx.experimental.proxy_tensor import make_fx

import memspan
from memspan.errors import KernelRefusal

PAGE = Path(__file__).parents[2] / "docs" / "abilities.md"
T, B, D, H = 6, 4, 3, 5
FEW = 3  # steps where a graph is compiled: that of the reference holds each of them
LENGTHS = [6, 3, 0, 2]


def own(**options):
    return memspan.Recurrent(MinimalGatedUnit(D, H), **options)


def named(name):
    return lambda **options: getattr(memspan, name)(D, H, **options)


PLAIN = ("RNN", "GRU", "LSTM")
PHASED = ("PhasedRNN", "PhasedGRU", "PhasedLSTM")
CLOCKS = {"periods": (2.0, 9.0), "open_ratio": 0.5}  # so that units open and close within a few steps


def phased(name):
    return lambda **options: getattr(memspan, name)(D, H, **CLOCKS, **options)


LAYERS = {name: named(name) for name in PLAIN} | {name: phased(name) for name in PHASED} | {"own cell": own}
COLUMNS = [(layer, kernel) for layer in (*PLAIN, *PHASED) for kernel in ("cpu", "reference")]
COLUMNS += [("own cell", "reference")]
Make = Callable[..., memspan.Recurrent]


def near(a, b, room=1e-5):
    assert a.shape == b.shape
    assert torch.allclose(a, b, atol=room, rtol=room), (a - b).abs().max()


def inputs(dtype=torch.float32, grad=False):
    torch.manual_seed(1)
    return torch.randn(T, B, D, dtype=dtype, requires_grad=grad)


def first(hx):
    return hx[0] if isinstance(hx, tuple) else hx


def by_single_steps(layer, x):
    """The outputs of a one-layer, one-direction layer, by OneStep."""
    step = memspan.OneStep(layer.cell, dtype=x.dtype)
    step.load_state_dict({n.removesuffix("_l0"): v for n, v in layer.state_dict().items()})
    state, outputs = None, []
    for t, now in enumerate(x):
        state = step(now, state, time=t)
        outputs.append(first(state))
    return torch.stack(outputs)


def outputs_and_gradients(make: Make):
    layer, x = make(), inputs()
    output, _ = layer(x)
    near(output, by_single_steps(layer, x))
    step = memspan.Recurrent(layer.cell, kernel="reference", dtype=torch.float64)
    step.load_state_dict(layer.state_dict())
    mine = torch.autograd.grad(output.square().sum(), list(layer.parameters()))
    theirs = torch.autograd.grad(step(x.double())[0].square().sum(), list(step.parameters()))
    for a, b in zip(mine, theirs, strict=True):
        near(a, b.float(), 1e-4)


def layers_and_directions(make: Make):
    output, hx = make(num_layers=2, bidirectional=True, dropout=0.5)(inputs())
    assert output.shape == (T, B, 2 * H)
    assert first(hx).shape == (4, B, H)


def ragged_rows(make: Make):
    layer, x = make(), inputs()
    output, hx = layer(x, lengths=LENGTHS)
    for b, n in enumerate(LENGTHS):
        near(output[:n, b], layer(x[:n, b])[0])
        near(first(hx)[:, b], first(layer(x[:n, b])[1]))
        assert not output[n:, b].any()


def no_steps(make: Make):
    output, hx = make()(torch.zeros(0, B, D))
    assert output.shape == (0, B, H)
    assert not first(hx).any()


def resets(make: Make):
    layer, x = make(), inputs()
    cuts = torch.zeros(T, B, dtype=torch.bool)
    cuts[2] = True
    pieces = [layer(x[:2])[0], layer(x[2:], times=torch.arange(2, T))[0]]  # a reset turns back no clock
    near(layer(x, resets=cuts)[0], torch.cat(pieces))


def states_of_every_step(make: Make):
    layer, x = make(), inputs()
    output, _, states = layer(x, return_states=True)
    near(states["h"][0], output)
    assert set(states) == set(layer.cell.states)


def gates_of_every_step(make: Make):
    layer = make()
    gates = layer(inputs(), return_gates=True)[2]
    assert {name: tuple(v.shape) for name, v in gates.items()} == dict.fromkeys(
        layer.cell.gates, (1, T, B, H)
    )


def replicas(make: Make):
    pack, x = make(replicas=2), torch.stack([inputs(), -inputs()])
    output = pack(x)[0]
    for r in range(2):
        layer = make()
        layer.load_state_dict({name: value[r] for name, value in pack.state_dict().items()})
        near(output[r], layer(x[r])[0])


def float64(make: Make):
    layer = make(dtype=torch.float64)
    near(layer(inputs(torch.float64))[0], by_single_steps(layer, inputs(torch.float64)), 1e-10)


def autocast(make: Make):
    layer, x = make(), inputs()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = layer(x.bfloat16())[0]
    near(inside, layer(x.bfloat16().float())[0], 0)


def compile_without_break(make: Make, backend="aot_eager"):
    torch._dynamo.reset()
    layer, lengths = make(bidirectional=True), torch.tensor(LENGTHS).clamp(max=FEW)
    x = inputs()[:FEW].requires_grad_()
    compiled = torch.compile(layer, fullgraph=True, backend=backend)
    output = compiled(x, lengths=lengths)[0]
    near(output, layer(x, lengths=lengths)[0])
    near(*(torch.autograd.grad(m(x, lengths=lengths)[0].square().sum(), x)[0] for m in (compiled, layer)))


def vmap_over_inputs(make: Make):
    layer, x = make(), inputs()
    near(vmap(lambda row: layer(row)[0], 1)(x), layer(x)[0].transpose(0, 1))


def vmap_over_weights(make: Make):
    layers, x = [make(), make()], inputs()
    stacked, _ = torch.func.stack_module_state(layers)
    output = vmap(lambda p: functional_call(layers[0], p, (x,))[0])(stacked)
    near(output, torch.stack([layer(x)[0] for layer in layers]))


def autograd_outside_vmap(make: Make):
    """The gradient of an ensemble's loss by its stacked weights, and by an input that is shared."""
    layers, x = [make(), make()], inputs(grad=True)
    stacked = {n: v.detach().requires_grad_() for n, v in torch.func.stack_module_state(layers)[0].items()}
    output = vmap(lambda p: functional_call(layers[0], p, (x,))[0])(stacked)
    mine = torch.autograd.grad(output.square().sum(), [*stacked.values(), x])
    each = [torch.autograd.grad(layer(x)[0].square().sum(), [*layer.parameters(), x]) for layer in layers]
    for found, parts in zip(mine[:-1], list(zip(*each, strict=True))[:-1], strict=True):
        near(found, torch.stack(parts), 1e-4)
    near(mine[-1], each[0][-1] + each[1][-1], 1e-4)


def jacobian_by_reverse_mode(make: Make):
    layer, x = make(), inputs()
    found = jacrev(lambda x: layer(x)[0].sum((0, 1)))(x)
    leaf = x.clone().requires_grad_()
    numbers = layer(leaf)[0].sum((0, 1))
    near(found, torch.stack([torch.autograd.grad(n, leaf, retain_graph=True)[0] for n in numbers]), 1e-4)


def repeated_backward(make: Make):
    """Two losses through one graph, with resets, give what each gives through a graph of its own."""
    layer, x = make(), inputs()
    cuts = torch.zeros(T, B, dtype=torch.bool)
    cuts[2] = True
    p = list(layer.parameters())

    def losses():
        output, hx = layer(x, resets=cuts)
        return output.square().sum(), first(hx).sum()

    together = losses()
    for k in (0, 1, 0):
        mine = torch.autograd.grad(together[k], p, retain_graph=True)
        for a, b in zip(mine, torch.autograd.grad(losses()[k], p), strict=True):
            near(a, b, 1e-4)


def compile_with_two_batch_sizes(make: Make):
    torch._dynamo.reset()
    layer = make()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    for rows in (4, 3, 1):
        x = torch.randn(FEW, rows, D, requires_grad=True)
        near(compiled(x)[0], layer(x)[0])
        near(*(torch.autograd.grad(m(x)[0].square().sum(), x)[0] for m in (compiled, layer)), 1e-4)


def tracing(make: Make):
    """make_fx and torch.jit.trace: the traced program serves other inputs."""
    layer, x = make(), inputs()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # of every comparison of sizes
        warnings.simplefilter("ignore", DeprecationWarning)  # torch.jit's own
        program = make_fx(lambda x: layer(x)[0])(x)
        traced = torch.jit.trace(layer, (x,), check_trace=False)
        near(program(x - 1), layer(x - 1)[0])
        near(traced(x - 1)[0], layer(x - 1)[0])


def per_sample_gradients(make: Make):
    layer, x = make(), inputs()

    def loss(p, row):
        return functional_call(layer, p, (row,))[0].square().sum()

    p = dict(layer.named_parameters())
    found = vmap(grad(loss), (None, 1))(p, x)
    for b in range(B):
        alone = torch.autograd.grad(loss(p, x[:, b]), list(p.values()))
        for mine, theirs in zip(found.values(), alone, strict=True):
            near(mine[b], theirs, 1e-4)


def gradients_of_gradients(make: Make):
    """In float32 there is no numerical check, so the reference in float64 is asked."""
    layer, x = make(), inputs(grad=True)
    twin = memspan.Recurrent(layer.cell, kernel="reference", dtype=torch.float64)
    twin.load_state_dict(layer.state_dict())
    found = []
    for module, given in ((layer, x), (twin, x.double())):
        (slope,) = torch.autograd.grad(module(given)[0].square().sum(), given, create_graph=True)
        found.append(torch.autograd.grad(slope.square().sum(), list(module.parameters())))
    for mine, theirs in zip(*found, strict=True):
        near(mine, theirs.float(), 1e-3)


def numerical_gradients(make: Make):
    """gradcheck and gradgradcheck, float64."""
    layer = make(dtype=torch.float64)
    x = torch.randn(3, 2, D, dtype=torch.float64, requires_grad=True)
    names, weights = zip(*layer.named_parameters(), strict=True)

    def call(x, *weights):
        return functional_call(layer, dict(zip(names, weights, strict=True)), (x,))[0]

    assert gradcheck(call, (x, *weights), fast_mode=True)
    assert gradgradcheck(call, (x, *weights), fast_mode=True)


def forward_mode(make: Make):
    layer, x = make(), inputs()
    _, slope = jvp(lambda x: layer(x)[0], (x,), (torch.ones_like(x),))
    output = layer(x.requires_grad_())[0]
    (pulled,) = torch.autograd.grad(output.sum(), x)
    near(slope.sum(), pulled.sum(), 1e-4)


def export_with_open_axes(make: Make):
    layer = make(num_layers=2, bidirectional=True)
    program = export(layer, (inputs(),), dynamic_shapes=({0: Dim("T"), 1: Dim("B")},)).module()
    for steps, rows in ((9, 2), (1, 1)):
        x = torch.randn(steps, rows, D)
        near(program(x)[0], layer(x)[0])


def onnx_with_open_axes(make: Make):
    from memspan.layers.onnx import to_onnx

    with tempfile.TemporaryDirectory() as folder:
        made = to_onnx(make(bidirectional=True), Path(folder) / "layer.onnx", lengths=True)
    assert made.largest_difference <= 1e-5


ABILITIES: dict[str, Callable[[Make], None]] = {
    "outputs and gradients of the equations": outputs_and_gradients,
    "several layers, dropout between them, both directions": layers_and_directions,
    "`lengths`, also 0": ragged_rows,
    "T = 0": no_steps,
    "`resets`": resets,
    "`return_states`": states_of_every_step,
    "`return_gates`": gates_of_every_step,
    "`replicas`": replicas,
    "float64": float64,
    "autocast (computes in float32)": autocast,
    "`torch.compile`, one graph": compile_without_break,
    "`torch.compile`, several batch sizes": compile_with_two_batch_sizes,
    "tracing (`make_fx`, `torch.jit.trace`)": tracing,
    "`vmap` over inputs": vmap_over_inputs,
    "`vmap` over weights (`functional_call`)": vmap_over_weights,
    "autograd outside `vmap` over weights": autograd_outside_vmap,
    "per-sample gradients": per_sample_gradients,
    "`jacrev`": jacobian_by_reverse_mode,
    "repeated backward, with `resets`": repeated_backward,
    "gradients of gradients": gradients_of_gradients,
    "`gradcheck`, `gradgradcheck` (float64)": numerical_gradients,
    "forward mode (`jvp`)": forward_mode,
    "`torch.export`, T and B open": export_with_open_axes,
    "ONNX with `lengths`, T and B open": onnx_with_open_axes,
}


def proved(ability: str, layer: str, kernel: str) -> tuple[str, str]:
    """Run one proof; return "yes", or "no" and the sentence with which the kernel refuses."""
    torch.manual_seed(0)
    try:
        ABILITIES[ability](lambda **options: LAYERS[layer](kernel=kernel, **options))
    except KernelRefusal as refusal:
        return "no", str(refusal)
    return "yes", ""


def page(cells: dict[tuple[str, str, str], tuple[str, str]]) -> str:
    """Return docs/abilities.md for the outcome of every proof."""
    sentences = list(dict.fromkeys(said for word, said in cells.values() if said))
    lines = [
        "# What a layer can do with each kernel",
        "",
        "Written by `python tests/layers/abilities.py`, which runs a proof for every field;",
        "`tests/layers/test_abilities.py` fails where page and proofs differ. A number is the sentence with",
        'which a kernel refuses when asked for by name; `kernel="auto"` then takes the reference.',
        "The own cell is the minimal gated unit of [own-cells.md](own-cells.md).",
        "",
        "| ability | " + " | ".join(f"{layer}, {kernel}" for layer, kernel in COLUMNS) + " |",
        "|---" * (1 + len(COLUMNS)) + "|",
    ]
    for ability in ABILITIES:
        row = [cells[ability, layer, kernel] for layer, kernel in COLUMNS]
        told = ["yes" if word == "yes" else f"no ({1 + sentences.index(said)})" for word, said in row]
        lines.append(f"| {ability} | " + " | ".join(told) + " |")
    lines += ["", *(f"{k}. {sentence}" for k, sentence in enumerate(sentences, 1)), ""]
    return "\n".join(lines)


if __name__ == "__main__":
    found = {(a, layer, kernel): proved(a, layer, kernel) for a in ABILITIES for layer, kernel in COLUMNS}
    PAGE.write_text(page(found), encoding="utf-8")
    print(f"{PAGE.name}: {len(found)} proofs", file=sys.stderr)
