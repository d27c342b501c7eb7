"""Threads, processes, copies, and what callers have set."""

from __future__ import annotations

import contextlib
import copy
import io
import multiprocessing
import os
import pickle
import selectors
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from trust.cases import Case, Side, flattened
from trust.transform import Proof, Results, detached, gradients, plain_layer, transform, value_and_gradients

THREADS = 4
PATIENCE = 120.0
"""Seconds after which another process counts as hanging."""


@transform("several Python threads", weight=1)
def _(case: Case) -> Proof:
    def run(side: Side) -> Results:
        if side.module is not None:
            side.loaded()
        with ThreadPoolExecutor(THREADS) as threads:
            rounds = list(threads.map(lambda _: plain_layer(side), range(2 * THREADS)))
        return [result for results in rounds for result in results]

    return run, lambda side: 2 * THREADS * value_and_gradients(side)


@transform("backward in another thread", weight=1)
def _(case: Case) -> Proof:
    """One graph, gone back through by several threads at once."""

    def run(side: Side) -> Results:
        values = side.values()
        total = side.loss(side.call(values))
        with ThreadPoolExecutor(THREADS) as threads:
            rounds = threads.map(
                lambda _: gradients(total, values, side.live, retain_graph=True), range(THREADS)
            )
        return [grad for grads in rounds for grad in grads]

    def meaning(side: Side) -> Results:
        values = side.values()
        return THREADS * gradients(side.loss(side.call(values)), values, side.live)

    return run, meaning


@transform("fork", weight=0.2)
def _(case: Case) -> Proof:
    def run(side: Side) -> Results:
        here = value_and_gradients(side)
        return [*here, *_forked(lambda: value_and_gradients(side))]

    return run, lambda side: 2 * value_and_gradients(side)


def _forked(work: Any) -> Results:
    """Return what work gives in a forked process."""
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            with os.fdopen(writes, "wb") as pipe:
                pipe.write(pickle.dumps([result.detach().contiguous().numpy() for result in work()]))
            status = 0
        finally:
            os._exit(status)
    os.close(writes)
    data = b""
    with os.fdopen(reads, "rb") as pipe, selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            if not selector.select(PATIENCE):
                os.kill(child, 9)
                os.waitpid(child, 0)
                raise TimeoutError(f"the forked process was silent for {PATIENCE:g} s")
            part = os.read(pipe.fileno(), 2**16)
            data += part
            if not part:
                break
    status = os.waitpid(child, 0)[1]
    if status:
        raise ChildProcessError(f"the forked process ended with status {status}")
    return [torch.from_numpy(value) for value in pickle.loads(data)]


def _in_spawned(number: int, pipe: Any) -> None:
    """Run an example's plain call in a process of its own."""
    from trust.judge import example_of
    from trust.strata import stratum

    results = value_and_gradients(Case(example_of(number, stratum(number))).mine)
    pipe.send([result.contiguous().numpy() for result in results])


@transform("spawn", weight=0.01)
def _(case: Case) -> Proof:
    def run(side: Side) -> Results:
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=_in_spawned, args=(side.e.number, there))
        process.start()
        there.close()
        if not here.poll(PATIENCE):
            process.kill()
            raise TimeoutError(f"the spawned process was silent for {PATIENCE:g} s")
        try:
            results = here.recv()
        except EOFError:
            raise ChildProcessError("the spawned process ended without a result") from None
        finally:
            process.join()
        return [torch.from_numpy(value) for value in results]

    return run, value_and_gradients


@transform("copies", weight=1)
def _(case: Case) -> Proof:
    """A deep copy, a pickle, a file of weights: the copy does what the layer does."""
    kind = int(case.draw().integers(3))

    def copied(side: Side) -> Any:
        subject = side.cell if side.module is None else side.loaded()
        if kind == 0:
            return copy.deepcopy(subject)
        if kind == 1 or side.module is None:
            return pickle.loads(pickle.dumps(subject))
        file = io.BytesIO()
        torch.save(side.module.state_dict(), file)
        file.seek(0)
        twin = Side(side.e, side.raw, side.live, side.dtype, side.kernel)
        assert twin.module is not None
        twin.module.load_state_dict(torch.load(file))
        return twin.module

    def run(side: Side) -> Results:
        subject, values = copied(side), side.values()
        if side.module is None:
            twin = Side(side.e, side.raw, side.live, side.dtype, side.kernel)
            twin.cell, twin.weights = subject, side.weights
            return value_and_gradients(twin)
        given, options = side.arguments(values)
        results = flattened(*subject(*given, **options))
        everything = values | {n: p.requires_grad_(n in side.live) for n, p in subject.named_parameters()}
        results = flattened(*subject(*given, **options))
        return [*detached(results), *gradients(side.loss(results), everything, side.live)]

    return run, value_and_gradients


class _Watching(TorchDispatchMode):
    """A mode that sees every operator and changes nothing."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return function(*args, **(kwargs or {}))


SETTINGS = (
    "dispatch mode",
    "default float64",
    "default meta",
    "anomaly",
    "deterministic",
    "autocast",
    "grad off",
)


@transform("what the caller has set", weight=1)
def _(case: Case) -> Proof:
    """Modes and defaults around a call change nothing."""
    setting = str(case.draw().choice(SETTINGS))
    if setting == "autocast" and case.mine.module is None:  # only layers promise anything there
        setting = "anomaly"

    def run(side: Side) -> Results:
        values = side.values()
        with contextlib.ExitStack() as stack:
            _enter(stack, setting)
            results = side.call(values)
        total = side.loss(results)
        with contextlib.ExitStack() as stack:
            _enter(stack, setting if setting in ("anomaly", "dispatch mode") else "")
            grads = gradients(total, values, side.live)
        return [*detached(results), *grads]

    def meaning(side: Side) -> Results:
        if setting != "grad off":
            return value_and_gradients(side)
        results = side.call(side.values())
        return [*detached(results), *(torch.zeros_like(side.raw[n]) for n in side.live)]

    return run, meaning


def _enter(stack: contextlib.ExitStack, setting: str) -> None:
    """Set what a caller may have set, until the stack closes."""
    if setting == "dispatch mode":
        stack.enter_context(_Watching())
    elif setting == "default float64":
        stack.callback(torch.set_default_dtype, torch.get_default_dtype())
        torch.set_default_dtype(torch.float64)
    elif setting == "default meta":
        stack.enter_context(torch.device("meta"))
    elif setting == "anomaly":
        stack.enter_context(torch.autograd.detect_anomaly(check_nan=False))
    elif setting == "deterministic":
        stack.callback(torch.use_deterministic_algorithms, torch.are_deterministic_algorithms_enabled())
        torch.use_deterministic_algorithms(True)
    elif setting == "autocast":
        stack.enter_context(torch.autocast("cpu", dtype=torch.bfloat16))
    elif setting == "grad off":
        stack.enter_context(torch.no_grad())
