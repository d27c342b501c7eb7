"""Runs forgotten, runs deleted, and states that workers leave for the ledger to fetch."""

import dataclasses

import pytest
from ledger_stories import assert_consistent, page, state, story, train

from memspan.errors import LedgerError
from memspan.ledger import Ledger
from memspan.ledger.events import Checkpoint, Finished, Started


def files(ledger):
    return sorted(p.name for p in ledger.files.path.rglob("*") if p.is_file())


def expect(ledger):
    """Register a run whose worker leaves its states for the ledger to fetch."""
    ledger.register([page()])
    ledger.files.staging.mkdir(parents=True)


def left_by_a_worker(ledger, event):
    """The event as it comes from another machine: without the bytes of its state."""
    return ledger.files.stage(event) if isinstance(event, Checkpoint | Finished) else event


def test_a_run_to_be_retried_is_as_new(ledger):
    for seed in range(2):
        train(ledger, page(seed=seed))
    run_id, kept = page(seed=0).id, page(seed=1).id
    ledger.retry([run_id])
    record = ledger.get(run_id)
    assert (record.status, record.step, record.metrics, record.curve_names()) == ("planned", 0, {}, [])
    assert ledger.final_state(run_id) is None
    assert files(ledger) == [f"{kept}.final.safetensors"]
    for event in story(run_id):
        assert ledger.append(event)
    assert ledger.get(run_id).metrics == ledger.get(kept).metrics
    assert_consistent(ledger, run_id)


def test_a_deleted_run_leaves_nothing(ledger):
    for seed in range(2):
        train(ledger, page(seed=seed))
    ledger.register([page(seed=2)])
    for event in list(story(page(seed=2).id))[:3]:
        ledger.append(event)
    ledger.delete([page(seed=0).id, page(seed=2).id])
    assert [r.id for r in ledger.select()] == [page(seed=1).id]
    assert files(ledger) == [f"{page(seed=1).id}.final.safetensors"]
    assert ledger._db.execute("SELECT DISTINCT run_id FROM curves").fetchall() == [(page(seed=1).id,)]
    assert ledger.checkpointed([page(seed=2).id]) == {}


def test_staged_states_end_where_the_others_do(ledger):
    run_id = page().id
    expect(ledger)
    for event in story(run_id):
        assert ledger.append(left_by_a_worker(ledger, event))
        if isinstance(event, Checkpoint):
            assert ledger.checkpointed([run_id]) == {run_id: event.step}
            assert ledger.files.read(ledger.files.current(run_id)) == event.state
    assert ledger.final_state(run_id) == state(run_id, 100)
    assert files(ledger) == [f"{run_id}.final.safetensors"]


def test_a_staged_state_that_nobody_fetched_is_removed_in_the_end(ledger):
    run_id = page().id
    expect(ledger)
    begun, lost, *_ = story(run_id)
    ledger.append(begun)
    ledger.files.stage(lost)  # the machine goes down before it can say so
    assert ledger.resume(run_id) is None
    for event in story(run_id):
        ledger.append(event)
    assert files(ledger) == [f"{run_id}.final.safetensors"]


def test_a_worker_may_be_ahead_of_its_events(ledger):
    """A small pack is done before the driver has read that it began."""
    run_id = page().id
    expect(ledger)
    staged = [left_by_a_worker(ledger, event) for event in story(run_id)]
    assert all(ledger.append(event) for event in staged)
    assert ledger.final_state(run_id) == state(run_id, 100)
    assert files(ledger) == [f"{run_id}.final.safetensors"]


def test_two_workers_at_one_run_stage_two_files(ledger):
    """A machine given up for lost may still train; what it says comes too late and leaves nothing."""
    run_id = page().id
    expect(ledger)
    *before, end = story(run_id)
    first, second = ledger.files.stage(end), ledger.files.stage(dataclasses.replace(end, state=b"other"))
    assert first.state.path.read_bytes() == end.state
    for event in before:
        ledger.append(event)
    assert ledger.append(first)
    late = ledger.files.stage(end)
    assert not ledger.append(second)
    assert not ledger.append(late)
    assert files(ledger) == [f"{run_id}.final.safetensors"]


def test_what_is_staged_for_a_done_run_is_gone_when_the_ledger_is_opened_next(ledger):
    run_id = page().id
    train(ledger, page())
    ledger.files.staging.mkdir(parents=True, exist_ok=True)
    *_, end = story(run_id)
    ledger.files.stage(end)
    with Ledger.open(ledger.path) as again:
        assert files(again) == [f"{run_id}.final.safetensors"]


def test_a_worker_that_does_not_see_the_folder_is_told_so(ledger):
    with pytest.raises(LedgerError, match="is not there on this machine"):
        ledger.files.stage(Checkpoint("a", 1, state=b"x"))


def test_a_folder_that_only_the_worker_sees_is_found_out(ledger):
    run_id = page().id
    expect(ledger)
    ledger.append(Started(run_id, 0))
    staged = ledger.files.stage(Checkpoint(run_id, 5, state=b"x"))
    staged.state.path.unlink()
    with pytest.raises(LedgerError, match="do all machines see"):
        ledger.append(dataclasses.replace(staged))
    assert ledger.resume(run_id) is None
