"""Runs forgotten, runs deleted, and states that workers leave for the ledger to fetch."""

import dataclasses

import pytest
from ledger_stories import assert_consistent, page, state, story, train

from memspan.errors import LedgerError
from memspan.ledger.events import Checkpoint, Finished, Started


def files(ledger):
    return sorted(p.name for p in ledger.files.path.rglob("*") if p.is_file())


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
    ledger.register([page()])
    ledger.files.staging.mkdir(parents=True)
    for event in story(run_id):
        staged = ledger.files.stage(event) if isinstance(event, Checkpoint | Finished) else event
        assert ledger.append(staged)
        if isinstance(event, Checkpoint):
            assert ledger.checkpointed([run_id]) == {run_id: event.step}
            assert ledger.files.read(ledger.files.current(run_id)) == event.state
    assert ledger.final_state(run_id) == state(run_id, 100)
    assert files(ledger) == [f"{run_id}.final.safetensors"]


def test_a_staged_state_that_nobody_fetched_is_removed_in_the_end(ledger):
    run_id = page().id
    ledger.register([page()])
    ledger.files.staging.mkdir(parents=True)
    begun, lost, *_ = story(run_id)
    ledger.append(begun)
    ledger.files.stage(lost)  # the machine goes down before it can say so
    assert ledger.resume(run_id) is None
    for event in story(run_id):
        ledger.append(event)
    assert files(ledger) == [f"{run_id}.final.safetensors"]


def test_a_worker_that_does_not_see_the_folder_is_told_so(ledger):
    with pytest.raises(LedgerError, match="is not there on this machine"):
        ledger.files.stage(Checkpoint("a", 1, state=b"x"))


def test_a_folder_that_only_the_worker_sees_is_found_out(ledger):
    run_id = page().id
    ledger.register([page()])
    ledger.files.staging.mkdir(parents=True)
    ledger.append(Started(run_id, 0))
    staged = ledger.files.stage(Checkpoint(run_id, 5, state=b"x"))
    staged.state.path.unlink()
    with pytest.raises(LedgerError, match="do all machines see"):
        ledger.append(dataclasses.replace(staged))
    assert ledger.resume(run_id) is None
