"""A process that trains runs into a ledger and is killed: run by the tests, never imported by them.

python ledger_crash.py windows FOLDER   one forked child for each moment at which a kill could matter
python ledger_crash.py work LEDGER      train RUNS, resuming each, until done or killed
"""

import itertools
import os
import signal
import sys
from pathlib import Path

from ledger_stories import Page, page, story

from memspan.ledger import Ledger, database

RUNS = [page(seed=s) for s in range(2)]


def work(path: Path, runs: list[Page], **how: int) -> None:
    with Ledger.open(path) as ledger:
        ledger.register(runs)
        for run in runs:
            resumed = ledger.resume(run.id)
            if ledger.statuses([run.id])[run.id] != "finished":
                for event in story(run.id, begin=resumed.step if resumed else 0, **how):
                    ledger.append(event)


def die_at(moment: int) -> None:
    """Kill this process at the given moment: before or after anything that reaches the disk."""
    clock = itertools.count()

    def deadly(action):
        def wrapped(*args, **kwargs):
            if next(clock) == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            result = action(*args, **kwargs)
            if next(clock) == moment:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return wrapped

    os.replace, os.fsync = deadly(os.replace), deadly(os.fsync)
    os.mkdir, Path.unlink = deadly(os.mkdir), deadly(Path.unlink)
    database.commit = deadly(database.commit)


def windows(folder: Path) -> None:
    """Make FOLDER/<moment>/runs.ledger for every moment, and end with the first that nobody died at."""
    for moment in itertools.count():
        place = folder / str(moment)
        place.mkdir()
        child = os.fork()
        if child == 0:
            die_at(moment)
            work(place / "runs.ledger", RUNS[:1], every=40)
            os._exit(0)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
            return


if __name__ == "__main__":
    if sys.argv[1] == "windows":
        windows(Path(sys.argv[2]))
    else:
        work(Path(sys.argv[2]), RUNS, every=3, steps=1500)
