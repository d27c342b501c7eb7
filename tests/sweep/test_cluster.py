"""A real Ray cluster of two nodes on this machine; one of them is killed while it trains."""

import signal
from collections import Counter

import pytest
from sweep_stories import content, runs

from memspan.ledger import Ledger
from memspan.ledger.events import Checkpoint, Finished, Started
from memspan.sweep.local import LocalEngine
from memspan.sweep.run import InterruptedSweepError, sweep

ray = pytest.importorskip("ray", reason="Ray is not installed; run: pip install 'memspan[ray]'")
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture(scope="module")
def cluster():
    from ray.cluster_utils import Cluster

    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    yield found
    ray.shutdown()
    found.shutdown()


class Witness:
    """Notes what happens, and kills a machine once when told to."""

    def __init__(self, kill, when):
        self.kill, self.when, self.killed = kill, when, False
        self.seen = []

    def __call__(self, event):
        self.seen.append(event)
        if not self.killed and self.when(self.seen):
            self.killed = True
            self.kill()

    def count(self, kind):
        return Counter(event.run_id for event in self.seen if isinstance(event, kind))


def all_begun(seen, n):
    return len({event.run_id for event in seen if isinstance(event, Started)}) == n


def one_saved_twice(seen):
    saved = Counter(event.run_id for event in seen if isinstance(event, Checkpoint))
    return saved.most_common(1) and saved.most_common(1)[0][1] >= 2


CASES = [
    pytest.param(
        {"n": 4, "steps": 20_000}, 1000.0, lambda seen: all_begun(seen, 4), id="before a checkpoint"
    ),
    pytest.param(
        {"n": 4, "steps": 150_000}, 1.0, one_saved_twice, id="between checkpoints", marks=pytest.mark.slow
    ),
]


@pytest.mark.parametrize(("size", "every", "when"), CASES)
def test_a_killed_node_loses_nothing_and_nothing_runs_twice(cluster, tmp_path, size, every, when):
    from memspan.sweep.cluster import RayEngine

    wanted, doomed = runs(**size), cluster.add_node(num_cpus=1)
    witness = Witness(lambda: cluster.remove_node(doomed, allow_graceful=False), when)
    with Ledger.open(tmp_path / "ray") as ledger:
        engine = RayEngine(ledger.files, address=cluster.address, checkpoint_every=every)
        sweep(wanted, ledger, engine, witness)
        assert list(ledger.files.staging.iterdir()) == []
    assert witness.killed
    assert witness.count(Finished) == Counter(run.id for run in wanted)
    assert 0 < (witness.count(Started) - Counter(run.id for run in wanted)).total() <= len(wanted) // 2
    with Ledger.open(tmp_path / "here") as ledger:
        sweep(wanted, ledger, LocalEngine(workers=2))
    assert content(tmp_path / "ray") == content(tmp_path / "here")


@pytest.mark.slow
def test_a_gentle_stop_reaches_every_machine(cluster, tmp_path):
    from memspan.sweep.cluster import RayEngine

    wanted, _ = runs(2, steps=100_000), cluster.add_node(num_cpus=1)
    witness = Witness(lambda: signal.raise_signal(signal.SIGINT), lambda seen: all_begun(seen, 2))
    with Ledger.open(tmp_path / "ray") as ledger:
        engine = RayEngine(ledger.files, address=cluster.address, workers=2)
        with pytest.raises(InterruptedSweepError, match="2 runs left"):
            sweep(wanted, ledger, engine, witness)
        assert all(0 < step < 100_000 for _, step in ledger.standings().values())
        assert all(ledger.resume(run.id).step > 0 for run in wanted)
