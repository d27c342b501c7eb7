"""A real Ray cluster of two nodes on this machine; one of them is killed while it trains."""

import signal
import time
from collections import Counter

import pytest
from sweep_stories import content, runs

from memspan.ledger import Ledger
from memspan.ledger.events import Checkpoint, Finished, Started
from memspan.sweep.run import InterruptedSweepError, sweep

ray = pytest.importorskip("ray", reason="Ray is not installed; run: pip install 'memspan[ray]'")
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture
def cluster():
    from ray.cluster_utils import Cluster

    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    yield found
    ray.shutdown()
    found.shutdown()


class Witness:
    """Notes what happens, and does something once when told to."""

    def __init__(self, act, when):
        self.act, self.when, self.acted = act, when, False
        self.seen = []

    def __call__(self, event):
        self.seen.append(event)
        if not self.acted and self.when(self.seen):
            self.acted = True
            self.act()

    def count(self, kind):
        return Counter(event.run_id for event in self.seen if isinstance(event, kind))


def two_begun(seen):
    return len({event.run_id for event in seen if isinstance(event, Started)}) == 2


def two_saved_twice(seen):
    saved = Counter(event.run_id for event in seen if isinstance(event, Checkpoint))
    return sum(times >= 2 for times in saved.values()) == 2


def training_with_a_loss(node, lost):
    """What a task does where one node never comes to the end, and the others wait until it is lost."""

    def train(plan, files, sign, how):  # travels by value: it can name nothing of this file
        import ray

        from memspan.ledger.events import Finished
        from memspan.sweep.cluster import train_there

        doomed = ray.get_runtime_context().get_node_id() == node
        while not doomed and not lost.exists():
            time.sleep(0.05)
        for message in train_there(plan, files, sign, how):
            while doomed and isinstance(message, Finished):
                time.sleep(1.0)
            yield message

    return train


CASES = [
    pytest.param(1000.0, two_begun, id="before a checkpoint"),
    pytest.param(0.0, two_saved_twice, id="between checkpoints", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("every", "when"), CASES)
def test_a_killed_node_loses_nothing_and_nothing_runs_twice(
    cluster, tmp_path, monkeypatch, undisturbed, every, when
):
    from memspan.sweep import cluster as engines

    wanted, doomed, lost = runs(4), cluster.add_node(num_cpus=1), tmp_path / "lost"
    monkeypatch.setattr(engines, "train_there", training_with_a_loss(doomed.node_id, lost))

    def lose():
        cluster.remove_node(doomed, allow_graceful=False)
        lost.touch()

    with Ledger.open(tmp_path / "ray") as ledger:
        engine = engines.RayEngine(ledger.files, address=cluster.address, checkpoint_every=every)
        sweep(wanted, ledger, engine, witness := Witness(lose, when))
        assert list(ledger.files.staging.iterdir()) == []
    assert witness.count(Finished) == Counter(run.id for run in wanted)
    assert sorted(witness.count(Started).values()) == [1, 1, 2, 2]
    again = [event.step for event in witness.seen if isinstance(event, Started)][4:]
    assert all((step > 0) == (every == 0.0) for step in again)
    assert content(tmp_path / "ray") == undisturbed(wanted)


@pytest.mark.slow
def test_a_gentle_stop_reaches_every_machine(cluster, tmp_path):
    from memspan.sweep.cluster import RayEngine

    wanted, _ = runs(2, steps=1_000_000), cluster.add_node(num_cpus=1)
    witness = Witness(lambda: signal.raise_signal(signal.SIGINT), two_begun)
    with Ledger.open(tmp_path / "ray") as ledger:
        engine = RayEngine(ledger.files, address=cluster.address, workers=2)
        with pytest.raises(InterruptedSweepError, match="2 runs left"):
            sweep(wanted, ledger, engine, witness)
        assert all(0 < step < 1_000_000 for _, step in ledger.standings().values())
        assert all(ledger.resume(run.id).step > 0 for run in wanted)
