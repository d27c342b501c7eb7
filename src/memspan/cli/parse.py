"""From arguments to a verb: tyro on the verbs' dataclasses, and every mistake in one line."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Protocol, Union, get_args, get_origin, get_type_hints

import tyro

from memspan.cli.app import App
from memspan.cli.bench import BenchKernels
from memspan.cli.bench_app import BenchApp
from memspan.cli.bench_gate import BenchGate
from memspan.cli.bench_layers import BenchLayers
from memspan.cli.bench_study import BenchStudy
from memspan.cli.bench_sweep import BenchSweep
from memspan.cli.bench_text import BenchText
from memspan.cli.bounds import check_path, check_values
from memspan.cli.doctor import Doctor
from memspan.cli.export import Export
from memspan.cli.gate import Gate
from memspan.cli.leaderboard import Leaderboard
from memspan.cli.probe import ProbeClock, ProbeGates, ProbeGradients
from memspan.cli.reproduce import Reproduce
from memspan.cli.runs import RunsExport, RunsImport, RunsList
from memspan.cli.runs_change import RunsDelete, RunsRetry
from memspan.cli.runs_status import RunsStatus
from memspan.cli.span import SpanCommand
from memspan.cli.sweep import Sweep
from memspan.cli.text_evaluate import TextEvaluate
from memspan.cli.text_train import TextTrain
from memspan.cli.text_write import TextComplete, TextSample
from memspan.cli.train import Train
from memspan.errors import ArgumentError, UnknownNameError


class Verb(Protocol):
    """A command: a frozen dataclass whose fields are its flags."""

    def run(self) -> int:
        """Do it and return the exit code."""


@dataclasses.dataclass(frozen=True)
class Group:
    """Verbs under one name, ``memspan NAME VERB``."""

    about: str
    verbs: dict[str, type]


VERBS: dict[str, type | Group] = {
    "reproduce": Reproduce,
    "train": Train,
    "span": SpanCommand,
    "leaderboard": Leaderboard,
    "sweep": Sweep,
    "runs": Group(
        "Look into the ledger; take runs out or in; have some trained again.",
        {
            "status": RunsStatus,
            "list": RunsList,
            "export": RunsExport,
            "import": RunsImport,
            "retry": RunsRetry,
            "delete": RunsDelete,
        },
    ),
    "text": Group(
        "Character models: train one, let it write, say how well it foretells.",
        {"train": TextTrain, "sample": TextSample, "complete": TextComplete, "evaluate": TextEvaluate},
    ),
    "export": Export,
    "gate": Gate,
    "probe": Group(
        "Look into a trained network: where gradients go, what gates do, when clocks are open.",
        {"gradients": ProbeGradients, "gates": ProbeGates, "clock": ProbeClock},
    ),
    "bench": Group(
        "Measure speed, equality first; write docs/benchmarks.",
        {
            "app": BenchApp,
            "gate": BenchGate,
            "kernels": BenchKernels,
            "layers": BenchLayers,
            "study": BenchStudy,
            "sweep": BenchSweep,
            "text": BenchText,
        },
    ),
    "app": App,
    "doctor": Doctor,
}


def parse(arguments: Sequence[str]) -> Verb:
    """Return the verb the arguments name, its fields filled.

    Raises:
        ArgumentError: unknown verb or flag (with the nearest known), a value missing or of the wrong kind.
        SystemExit: after ``--help``.
    """
    given = list(arguments) or ["--help"]
    verb, depth = _find(given)
    if verb is not None:
        _check_flags(given[depth:], verb)
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            if verb is None:
                return tyro.cli(_union(VERBS), prog="memspan", args=given, description=DESCRIPTION)
            # A verb by itself: tyro need not look at the flags of all others.
            found: Verb = tyro.cli(verb, prog=" ".join(["memspan", *given[:depth]]), args=given[depth:])
            check_values(found)
            return found
    except SystemExit as stop:
        if stop.code:
            raise ArgumentError(_one_line(complaint.getvalue())) from None
        raise


DESCRIPTION = "How long does a recurrent network remember? Train, measure, reproduce."


def _union(verbs: dict[str, Any]) -> Any:
    branches = []
    for name, verb in verbs.items():
        inner, about = (_union(verb.verbs), verb.about) if isinstance(verb, Group) else (verb, None)
        branches.append(Annotated[inner, tyro.conf.subcommand(name, description=about)])
    return Union[tuple(branches)]  # noqa: UP007


def _find(given: Sequence[str]) -> tuple[type | None, int]:
    """Return the verb's dataclass, None when help comes before it, and how many words name it."""
    table: dict[str, Any] = VERBS
    for depth, word in enumerate(given):
        if word in ("-h", "--help"):
            return None, depth
        if word not in table:
            raise UnknownNameError("command" if depth == 0 else f"command of {given[0]!r}", word, table)
        found = table[word]
        if not isinstance(found, Group):
            return found, depth + 1
        table = found.verbs
    raise ArgumentError(f"memspan {' '.join(given)} needs a command: {', '.join(table)}")


def _check_flags(given: Sequence[str], verb: type) -> None:
    known = set(_flags(verb)) | {"--help"}
    for word, following in itertools.zip_longest(given, given[1:], fillvalue=""):
        flag, equals, value = word.partition("=")
        if flag == "--corpus":  # a text is read while its flags are, so that its path is checked before
            check_path(flag, Path(value if equals else following))
        if flag.startswith("--") and flag.replace("_", "-") not in known:
            raise UnknownNameError("flag", flag, known)


def _flags(verb: type) -> Iterator[str]:
    hints, named = get_type_hints(verb), get_type_hints(verb, include_extras=True)
    for f in dataclasses.fields(verb):
        kind, name = hints[f.name], _flag_name(f.name, named[f.name])
        if dataclasses.is_dataclass(kind):
            yield from _flags(kind)  # type: ignore[arg-type]
        elif kind is bool:
            yield from (f"--{name}", f"--no-{name}")
        elif bool not in get_args(kind) or get_origin(kind) is not Union:
            yield from (f"--{name}", *_aliases(named[f.name]))


def _flag_name(field: str, kind: Any) -> str:
    """Return what a field is called on the command line: its own name, or the one tyro.conf.arg gives it."""
    given = (getattr(mark, "name", None) for mark in getattr(kind, "__metadata__", ()))
    return next((name for name in given if isinstance(name, str)), field).replace("_", "-")


def _aliases(kind: Any) -> Iterator[str]:
    for mark in getattr(kind, "__metadata__", ()):
        yield from getattr(mark, "aliases", None) or ()


def _one_line(box: str) -> str:
    """Return the message of tyro's framed complaint without its frame."""
    lines = [line.strip("│╭╮╰╯─|+ ") for line in box.splitlines()]
    lines = [line for line in lines if not re.fullmatch("-+", line)]  # the frame, where only ASCII is printed
    words: list[str] = []
    for line in lines if lines and lines[0].startswith("Error") else lines[1:]:
        if not line and words:
            break
        words.append(line)
    return re.sub(r"\s+", " ", " ".join(words)).strip() or "the arguments could not be read; try --help"
