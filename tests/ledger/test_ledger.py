import numpy as np
import pytest
from ledger_stories import FACTS, assert_consistent, page, pieces, state, story, train

from memspan.errors import ArgumentError, LedgerError, UnknownNameError
from memspan.ledger import Ledger
from memspan.ledger.events import Checkpoint, Event, Finished, Piece, Progress, Started


def test_a_finished_run_is_read_back_as_it_was_told(path):
    run = page(seed=3)
    with Ledger.open(path) as ledger:
        train(ledger, run)
    with Ledger.open(path, readonly=True) as ledger:
        record = ledger.get(run.id)
        assert (record.status, record.step, record.reason) == ("finished", 100, "")
        assert record.config == run.flat()
        assert isinstance(record.config["learning_rate"], float)
        assert isinstance(record.config["seed"], int)
        assert record.metrics == {"accuracy": 0.1 + 0.2}
        assert record.facts == FACTS
        assert record.wall_seconds == 4.0
        assert not record.imported
        assert record.curve_names() == ["accuracy", "loss"]
        assert_consistent(ledger, run.id)
        assert ledger.final_state(run.id) == state(run.id, 100)


def test_a_stopped_run_keeps_its_reason_and_is_done(ledger):
    run = page()
    train(ledger, run, diverge=True)
    record = ledger.get(run.id)
    assert record.done
    assert (record.status, record.reason) == ("stopped", "diverged: loss nan")
    assert np.isnan(record.metrics["accuracy"])
    assert ledger.resume(run.id) is None


def test_a_checkpoint_is_resumed_and_gone_when_the_run_is_done(ledger):
    run = page()
    ledger.register([run])
    events = list(story(run.id))
    for event in events[:3]:
        ledger.append(event)
    assert ledger.get(run.id).status == "running"
    resumed = ledger.resume(run.id)
    assert (resumed.step, resumed.state) == (50, state(run.id, 50))
    for event in events[3:]:
        ledger.append(event)
    assert ledger.resume(run.id) is None
    folder = ledger.path.with_name("runs.checkpoints")
    assert [p.name for p in folder.iterdir()] == [f"{run.id}.final.safetensors"]


def test_starting_again_drops_what_came_after(ledger):
    run = page()
    ledger.register([run])
    for event in list(story(run.id))[:4]:
        ledger.append(event)
    ledger.append(Started(run.id, 33, FACTS))
    assert ledger.get(run.id).step == 33
    assert_consistent(ledger, run.id)
    ledger.append(Checkpoint(run.id, 60, pieces(run.id, 33, 60)))
    assert_consistent(ledger, run.id)


def test_starting_at_zero_forgets_the_old_checkpoint_without_a_word(ledger):
    run = page()
    ledger.register([run])
    for event in list(story(run.id))[:4]:
        ledger.append(event)
    ledger.append(Started(run.id, 0, FACTS))
    assert ledger.resume(run.id) is None
    assert ledger.get(run.id).curve_names() == []


def test_a_checkpoint_told_twice_or_too_late_changes_nothing(ledger):
    run = page()
    ledger.register([run])
    events = list(story(run.id))
    for event in [*events[:4], events[3], events[1]]:
        ledger.append(event)
    assert ledger.get(run.id).step == 75
    assert_consistent(ledger, run.id)
    assert ledger.resume(run.id).step == 75


def test_a_done_run_keeps_its_first_result(ledger):
    run = page()
    train(ledger, run)
    assert not ledger.append(Started(run.id, 0, FACTS))
    assert not ledger.append(Finished(run.id, 100, metrics={"accuracy": 0.9}))
    assert ledger.get(run.id).metrics == {"accuracy": 0.1 + 0.2}


def test_a_worker_whose_run_was_started_again_is_not_listened_to(path):
    run = page()
    old, new = Ledger.open(path), Ledger.open(path)
    with old, new:
        old.register([run])
        events = list(story(run.id))
        old.append(events[0])
        old.append(events[1])
        new.append(Started(run.id, 0, FACTS))
        assert not old.append(events[2])
        assert not old.append(events[-1])
        for event in events[1:]:
            assert new.append(event)
        assert_consistent(new, run.id)


def test_a_hole_in_a_curve_is_refused_and_nothing_is_kept_of_it(ledger):
    run = page()
    ledger.register([run])
    events = list(story(run.id))
    ledger.append(events[0])
    ledger.append(events[1])
    with pytest.raises(LedgerError, match="ends at step 25, the next piece begins at 51"):
        ledger.append(events[3])
    assert ledger.get(run.id).step == 25
    assert_consistent(ledger, run.id)


@pytest.mark.parametrize(
    "piece",
    [
        Piece(1, 0, np.ones(2, np.float32)),
        Piece(-1, 1, np.ones(2, np.float32)),
        Piece(1, 1, np.ones((2, 2), np.float32)),
        Piece(1, 1, np.ones(11, np.float32)),
    ],
)
def test_a_piece_off_the_grid_is_refused(ledger, piece):
    run = page()
    ledger.register([run])
    with pytest.raises(ArgumentError):
        ledger.append(Checkpoint(run.id, 10, {"loss": piece}))


def test_an_event_of_an_unknown_run_is_refused(ledger):
    with pytest.raises(LedgerError, match="register it"):
        ledger.append(Started("0" * 16, 0))
    assert ledger.resume("0" * 16) is None
    assert ledger.get("0" * 16) is None
    assert ledger.final_state("0" * 16) is None


def test_progress_is_never_stored(ledger):
    run = page()
    ledger.register([run])
    assert not ledger.append(Progress(run.id, 5, {"accuracy": 0.5}))
    assert not ledger.append(Event(run.id, 5))
    assert ledger.get(run.id).status == "planned"


def test_registering_again_keeps_what_is_known(ledger):
    run = page()
    train(ledger, run)
    ledger.register([run, page(seed=1)])
    assert ledger.statuses([run.id, page(seed=1).id, "unknown"]) == {
        run.id: "finished",
        page(seed=1).id: "planned",
    }


def test_an_id_that_is_a_path_is_refused(ledger):
    class Page:
        id = "../evil"

        def flat(self):
            return {}

    with pytest.raises(ArgumentError, match="run id"):
        ledger.register([Page()])


def test_select_matches_values_and_lists_and_refuses_unknown_fields(ledger):
    assert ledger.select(anything=1) == []
    pages = [page(length=n, seed=s) for n in (5, 10, 15) for s in (0, 1)] + [page(task="other", delay=4)]
    ledger.register(pages)
    train(ledger, pages[0])
    assert [r.id for r in ledger.select(status="finished")] == [pages[0].id]
    assert {r.config["seed"] for r in ledger.select(length=[5, 10], seed=1)} == {1}
    assert len(ledger.select(length=range(5, 11), task="palindrome")) == 4
    assert len(ledger.select(delay=None)) == 6
    assert len(ledger.select(id={pages[1].id, pages[2].id})) == 2
    ids = [r.id for r in ledger.select()]
    assert ids == sorted(ids)
    with pytest.raises(UnknownNameError, match="did you mean 'length'"):
        ledger.select(lenght=5)


def test_an_unknown_curve_names_the_nearest(ledger):
    train(ledger, page())
    with pytest.raises(UnknownNameError, match="did you mean 'loss'"):
        ledger.get(page().id).curve("los")


def test_measurements_repeat_and_are_found_by_config(ledger):
    for milliseconds in (1.5, 1.25):
        ledger.measure({"cell": "lstm", "hidden": 64}, {"ms": milliseconds}, {"cpu": "x"})
    ledger.measure({"cell": "gru", "hidden": 64}, {"ms": 1.0}, {"cpu": "x"})
    assert [m.values["ms"] for m in ledger.measurements(cell="lstm")] == [1.5, 1.25]
    assert len(ledger.measurements()) == 3
    with pytest.raises(UnknownNameError):
        ledger.measurements(cel="lstm")


def test_a_reader_sees_what_a_writer_commits(path):
    run = page()
    with Ledger.open(path) as writer, Ledger.open(path, readonly=True) as reader:
        writer.register([run])
        assert reader.get(run.id).status == "planned"
        for event in story(run.id):
            writer.append(event)
        assert reader.get(run.id).status == "finished"
        with pytest.raises(LedgerError, match="readonly"):
            reader.register([page(seed=1)])


def test_a_closed_ledger_says_so(path):
    with Ledger.open(path) as ledger:
        pass
    with pytest.raises(LedgerError, match="closed"):
        ledger.select()


def test_a_thousand_runs_are_selected_by_a_handful_of_statements(ledger):
    ledger.register(page(seed=s, **{f"field_{i}": i for i in range(18)}) for s in range(1000))
    asked = []
    ledger._db.set_trace_callback(asked.append)
    assert len(ledger.select(length=5)) == 1000
    assert len(asked) <= 3
