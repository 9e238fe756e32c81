"""F16: somebody sets the wall clock. What was promised in seconds is kept in seconds."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from databases import only_on_sqlite

from bgjobs import clock, lookups
from bgjobs.clock import ClockWatch, Step
from bgjobs.clock_steps import follow
from bgjobs.processes.identity import ProcessIdentity, own_identity
from bgjobs.runner.outcome import Outcome
from bgjobs.store import NewJob
from bgjobs.supervisor.recovery import seconds_run

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
BACK, FORWARD = Step(NOW, NOW - HOUR), Step(NOW, NOW + HOUR)
SEAT = {"host": "here", "boot_id": "b", "pid_namespace": "n", "pid": 4711, "process_started": "99"}


# -- how a step is noticed -------------------------------------------------------------------------------


class Clocks:
    """Both clocks, as a test sets them."""

    def __init__(self):
        self.wall, self.seconds, self.held_up = NOW, 1000.0, []

    def now(self):
        if self.held_up:
            self.pass_(self.held_up.pop())
        return self.wall

    def steady(self):
        return self.seconds

    def pass_(self, seconds):
        self.wall += timedelta(seconds=seconds)
        self.seconds += seconds


@pytest.fixture
def clocks(monkeypatch):
    clocks = Clocks()
    monkeypatch.setattr(clock, "now", clocks.now)
    monkeypatch.setattr(clock, "steady", clocks.steady)
    return clocks


def test_time_that_passes_is_no_step(clocks):
    watch = ClockWatch()
    for seconds in (0.0, 0.001, 1, 3600, 10**7):
        clocks.pass_(seconds)
        assert watch.step() is None


@pytest.mark.parametrize(
    "by", [HOUR, -HOUR, timedelta(seconds=0.6), timedelta(seconds=-0.6), timedelta(days=9999)]
)
def test_a_step_is_told_until_it_was_followed(clocks, by):
    watch = ClockWatch()
    clocks.pass_(5)
    clocks.wall += by
    for _ in range(2):
        assert watch.step() == Step(NOW + 5 * SECOND, NOW + 5 * SECOND + by)
    watch.followed(watch.step())
    clocks.pass_(60)
    assert watch.step() is None
    clocks.wall -= by
    assert watch.step().by == -by


def test_steps_too_small_to_be_told_add_up(clocks):
    watch = ClockWatch()
    clocks.wall += 0.4 * SECOND
    assert watch.step() is None
    clocks.wall += 0.4 * SECOND
    assert watch.step().by == 0.8 * SECOND


def test_a_process_that_is_held_up_between_two_looks_sees_no_step(clocks):
    watch = ClockWatch()
    clocks.held_up = [30.0]
    assert watch.step() is None


def test_the_steady_clock_of_this_machine_goes_on():
    before = clock.steady()
    assert clock.steady() >= before > 0
    assert ClockWatch().step() is None


# -- what becomes of waiting jobs ------------------------------------------------------------------------


def a_job(store, when=NOW, created=NOW - timedelta(days=1), retry_count=0):
    new = NewJob("app.Job", "run", {}, when, "default", 0, retry_count, 3, 5.0, None)
    with store.changing() as changes:
        return changes.enqueue_all([new], now=created)[0]


def a_retry(store, failed=NOW, seconds=5.0, host="here"):
    job_id = a_job(store, when=failed - HOUR, created=failed - 2 * HOUR)
    with store.changing() as changes:
        (execution,) = changes.claim([{**SEAT, "host": host}], backend="local", job_ids=[job_id], now=failed)
        changes.finish([(execution, Outcome("failed", exception_type="E", retry_in=seconds))], now=failed)
    return job_id


def due_after(store, job_id, step):
    """For when the job is scheduled after the step."""
    with store.database.writing() as connection:
        follow(connection, step, "here")
        row = lookups.job_row(connection, job_id)
    assert (row.status, row.updated_at) != ("running", None)
    return row.scheduled_at


@pytest.mark.parametrize("step", [BACK, FORWARD])
@pytest.mark.parametrize("seconds", [5.0, 90.0, 7200.0])
def test_a_retry_waits_as_long_as_it_was_told(store, step, seconds):
    job_id = a_retry(store, failed=NOW - 2 * SECOND, seconds=seconds)
    assert due_after(store, job_id, step) == step.after + timedelta(seconds=seconds - 2)


@pytest.mark.parametrize("step", [BACK, FORWARD])
def test_what_was_due_is_due(store, step):
    for when in (NOW, NOW - SECOND, NOW - HOUR, NOW - 2 * HOUR):
        assert due_after(store, a_job(store, when), step) <= step.after
    assert due_after(store, a_retry(store, failed=NOW - 30 * SECOND), step) <= step.after


@pytest.mark.parametrize("step", [BACK, FORWARD])
def test_what_was_put_to_a_moment_stays_there(store, step):
    for when in (NOW + SECOND, NOW + 2 * HOUR):
        assert due_after(store, a_job(store, when), step) == when
        assert due_after(store, a_job(store, when, retry_count=2), step) == when  # dispatched so, no retry of ours


@pytest.mark.parametrize("step", [BACK, FORWARD])
def test_what_was_written_by_the_new_clock_stays(store, step):
    """Between the step and the look at the clock."""
    soon = step.after + 5 * SECOND
    assert due_after(store, a_retry(store, failed=step.after), step) == soon
    assert due_after(store, a_job(store, when=soon, created=step.after - SECOND), step) == soon


def test_retries_of_another_host_are_left_to_it(store):
    assert due_after(store, a_retry(store, host="elsewhere"), FORWARD) == NOW + 5 * SECOND


@only_on_sqlite
@pytest.mark.parametrize("when", ["9999-12-31 23:59:59", "no time", "", "2030-01-01 12:00:05"])
def test_a_row_that_somebody_edited_stops_nobody(store, when):
    job_id, other = a_retry(store), a_retry(store)
    with store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE background_jobs SET scheduled_at = ? WHERE id = ?", (when, job_id))
    assert due_after(store, other, FORWARD) == NOW + HOUR + 5 * SECOND


# -- running jobs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("step", "ran"), [(timedelta(0), 100.0), (HOUR, 130.0), (-HOUR, 0.0)])
def test_an_adopted_job_has_not_run_longer_than_its_process_lives(step, ran):
    found = SimpleNamespace(started_at=NOW, paused_at=None, paused_seconds=None)
    assert seconds_run(found, NOW + 100 * SECOND + step, age=130.0) == ran


def test_how_old_a_process_is():
    age = own_identity().age()
    assert age is None or 0 <= age < 86400
    if os.path.exists("/proc/self/stat"):
        assert age <= clock.steady()
        assert ProcessIdentity("h", "b", "n", 1, "not ticks").age() is None
        assert ProcessIdentity("h", "b", "n", 1, "9" * 30).age() == 0.0
