"""What anybody may write into a file that we read, and what must not happen then."""

import contextlib
import os
import signal
import socket
import sys
from pathlib import Path

from memspan.errors import shown

CANARY = "memspan_canary"
"""A module that says where it was imported; no file may have it imported."""
CODE = "import os\nopen(os.environ['MEMSPAN_CANARY'], 'w').close()\n\n\nclass Cell:\n    pass\n"

PATHS = [
    f"{CANARY}:Cell",
    "os:_exit",
    "os:abort",
    "builtins:exec",
    "subprocess:call",
    "memspan.cells.lstm.equations:LSTM",
    "torch.nn:LSTM",
]
"""Import paths: a person may type them, a file may not."""
NO_NAMES = [
    "",
    ":",
    "..:x",
    "a:",
    ":b",
    "a.b:c:d",
    "nothing",
    "x" * 1_000_000,
    "é\0",
    5,
    0.5,
    True,
    [],
    ["lstm"],
    {},
]
"""What stands for no cell and no task."""
NO_SIZES = [-1, 0, 2**31, 2**63, 10**30, 1.5, 1e300, True, "8", None, [], [8], {}]
"""What is no number of layers or units, or one that no file of a few bytes can have."""


class Watch:
    """Remembers what is opened while it looks; an audit hook stays as long as its process."""

    def __init__(self):
        self.opened, self.looks = [], False
        sys.addaudithook(self._hear)

    def _hear(self, event, arguments):
        if self.looks and event == "open":
            self.opened.append(str(arguments[0]))


_WATCH = Watch()


@contextlib.contextmanager
def harmless(folder, monkeypatch, *, seconds=120):
    """Whatever runs inside imports no canary, opens no path with ``canary`` in its name, and ends.

    The alarm is no measurement: what is waited for here is waited for without end.
    """
    mark = Path(folder) / "imported"
    (Path(folder) / f"{CANARY}.py").write_text(CODE)
    monkeypatch.setenv("MEMSPAN_CANARY", str(mark))
    monkeypatch.syspath_prepend(str(folder))

    def late(number, frame):
        raise TimeoutError("still at it: something is waited for, or far too much is done")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    _WATCH.opened.clear()
    _WATCH.looks = True
    try:
        yield
    finally:
        _WATCH.looks = False
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert CANARY not in sys.modules
    assert not mark.exists()
    assert not [path for path in _WATCH.opened if "canary" in path]


def in_place_of(path, kind):
    """Put something else where a file is expected."""
    path.unlink(missing_ok=True)
    match kind:
        case "folder":
            path.mkdir()
        case "FIFO":
            os.mkfifo(path)
        case "socket":
            here = Path.cwd()
            os.chdir(path.parent)  # a socket's path may have 107 characters
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(path.name)
            os.chdir(here)
        case "device":
            path.symlink_to("/dev/zero")
        case "loop":
            path.symlink_to(path.name)
        case "dangling link":
            path.symlink_to(path.name + ".nowhere")
        case "10 GB":
            with path.open("wb") as file:
                file.truncate(10 * 2**30)  # sparse: it takes no room


KINDS = ["folder", "FIFO", "socket", "device", "loop", "dangling link", "10 GB"]


def label(value):
    """Return a short name of a case."""
    return f"{type(value).__name__} {shown(value)}"[:40].replace("\0", "0")
