"""Killing a running job: what is stored, who may be killed, and what the supervisor does about it."""

from types import SimpleNamespace

import pytest
from test_pausing import NOW, claim, enqueue, row, running, sent  # noqa: F401 - a fixture among them

from bgjobs import killing
from bgjobs.exceptions import InvalidTransition, JobNotFound
from bgjobs.runner.lost import Traces
from bgjobs.runner.outcome import Outcome
from bgjobs.supervisor.requests import requested


def test_the_row_tells_that_it_is_to_be_killed_and_by_whom(store):
    job_id = enqueue(store)
    claim(store)
    assert killing.kill(store, job_id, by="ada\n")
    found = row(store, job_id)
    assert (found.status, found.cancel_requested_by) == ("running", "ada\\x0a")
    assert found.kill_requested_at == found.cancel_requested_at != None  # noqa: E711
    assert not killing.kill(store, job_id, by="bob")  # somebody did already
    assert row(store, job_id).cancel_requested_by == "ada\\x0a"


def test_who_was_asked_to_stop_before_can_be_killed(store):
    job_id = enqueue(store)
    claim(store)
    store.cancel(job_id, by="ada")
    asked_at = row(store, job_id).cancel_requested_at
    assert killing.kill(store, job_id, by="bob")
    found = row(store, job_id)
    assert (found.cancel_requested_at, found.cancel_requested_by) == (asked_at, "bob")
    assert found.kill_requested_at > asked_at


def test_a_killed_job_is_cancelled_and_a_retry_knows_nothing_of_it(store):
    job_id = enqueue(store)
    (job,) = claim(store)
    killing.kill(store, job_id)
    with store.changing() as changes:
        assert changes.finish([(job, Outcome("stopped", exit_status=-9))]) == {job.token: "cancelled"}
    with pytest.raises(InvalidTransition) as refusal:
        killing.kill(store, job_id)
    assert (refusal.value.status, refusal.value.ended_at) == ("cancelled", row(store, job_id).completed_at)
    store.retry(job_id)
    assert (row(store, job_id).kill_requested_at, row(store, job_id).cancel_requested_by) == (None, None)


def test_only_a_process_that_a_supervisor_started_can_be_killed(store):
    with pytest.raises(JobNotFound):
        killing.kill(store, 12)
    job_id = enqueue(store)
    with pytest.raises(InvalidTransition, match="is pending, so it cannot be killed"):
        killing.kill(store, job_id)
    claim(store, backend="inline")
    with pytest.raises(InvalidTransition, match="in a process of the application"):
        killing.kill(store, job_id)
    assert row(store, job_id).kill_requested_at is None


def asked(**values):
    nothing = {
        "cancel_requested_at": NOW,
        "cancel_requested_by": "ada",
        "kill_requested_at": None,
        "paused_at": None,
    }
    return SimpleNamespace(id=7, **{**nothing, **values})


@pytest.mark.parametrize(
    ("row_of_job", "state", "killed", "stopped"),
    [
        (asked(kill_requested_at=NOW), {}, 1, 0),
        (asked(kill_requested_at=NOW), {"stop_reason": "cancel", "kill_at": 1e9}, 1, 0),
        (asked(kill_requested_at=NOW), {"stop_reason": "timeout"}, 1, 0),
        (asked(kill_requested_at=NOW, paused_at=NOW), {"paused_at": 1.0}, 1, 0),
        (asked(kill_requested_at=NOW), {"stop_reason": "kill", "killed": True}, 0, 0),
        (asked(kill_requested_at=NOW), {"has_begun": False}, 0, 1),  # the process runs another job
        (asked(kill_requested_at=NOW), {"has_begun": False, "stop_reason": "cancel"}, 0, 0),
        (asked(), {"stop_reason": "cancel"}, 0, 0),
    ],
)
def test_what_is_asked_and_what_is_done_about_it(row_of_job, state, killed, stopped):
    job = running(7)
    for name, value in state.items():
        setattr(job, name, value)
    found = requested([row_of_job], [job])
    assert (len(found.to_kill), len(found.to_stop)) == (killed, stopped)
    assert found.to_pause == found.to_resume == []


def test_it_is_killed_at_once_whatever_it_was_being_stopped_for(sent):  # noqa: F811
    job = running(7)
    job.stop("timeout", 5.0)
    requested([asked(kill_requested_at=NOW)], [job]).carry_out(5.0)
    assert sent == ["terminate", "kill"]
    assert job.next_step_at is None  # the ladder has no further step
    outcome = job.ended(Traces(-9), Outcome("lost"))
    assert (outcome.kind, outcome.exception_type) == ("stopped", "JobCancelled")
    assert outcome.exception_message == "Killed by ada: killed by signal 9 (SIGKILL), by bgjobs"
    assert job.reported(Outcome("completed")).kind == "completed"  # it was done before
