"""Holding up a job or a queue: what is stored, who may be held up, what the claim leaves out."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from databases import only_on_sqlite

from bgjobs import lookups, pausing
from bgjobs.exceptions import InvalidParameters, InvalidTransition, JobNotFound
from bgjobs.processes.identity import own_identity
from bgjobs.runner.outcome import Execution, Outcome
from bgjobs.store import NewJob
from bgjobs.supervisor import running as running_module
from bgjobs.supervisor.recovery import seconds_run
from bgjobs.supervisor.requests import requested
from bgjobs.supervisor.running import RunningJob

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
SEAT = {"host": "h", "boot_id": "b", "pid_namespace": "n", "pid": 4711, "process_started": "99"}


def enqueue(store, queue="default", priority=0, when=NOW):
    new = NewJob("app.Job", "run", {}, when, queue, priority, 0, 3, 5.0, None)
    with store.changing() as changes:
        return changes.enqueue_all([new], now=NOW)[0]


def claim(store, most=1, backend="local", now=NOW):
    seats = [{**SEAT, "pid": SEAT["pid"] + number} for number in range(most)]
    with store.changing() as changes:
        return changes.claim(seats, backend=backend, now=now)


def row(store, job_id):
    with store.database.reading() as connection:
        return lookups.job_row(connection, job_id)


def last_message(store, job_id):
    with store.database.reading() as connection:
        found = lookups.logs.select().where(lookups.logs.c.background_job_id == job_id).order_by(lookups.logs.c.id)
        return connection.execute(found).all()[-1].message


# -- a job ------------------------------------------------------------------------------------------------


def test_a_running_job_is_paused_and_resumed_and_its_row_tells_who_and_how_long(store):
    job_id = enqueue(store)
    claim(store)
    with store.changing() as changes:
        pausing.pause_on(changes, job_id, by="ada\n", now=NOW)
    found = row(store, job_id)
    assert (found.status, found.paused_at, found.paused_by) == ("running", NOW, "ada\\x0a")
    assert last_message(store, job_id).startswith("Background job paused by ada\\x0a; its timeout stands still")
    for start, seconds in ((0, 30), (60, 15)):
        if start:
            with store.changing() as changes:
                pausing.pause_on(changes, job_id, now=NOW + timedelta(seconds=start))
        with store.changing() as changes:
            pausing.resume_on(changes, job_id, by="bob", now=NOW + timedelta(seconds=start + seconds))
    found = row(store, job_id)
    assert (found.paused_at, found.paused_seconds) == (None, 45.0)
    assert last_message(store, job_id) == "Background job resumed by bob"


def test_the_next_execution_knows_nothing_of_the_pauses_of_this_one(store):
    job_id = enqueue(store)
    (execution,) = claim(store)
    pausing.pause(store, job_id, by="ada")
    with store.changing() as changes:
        changes.finish([(execution, Outcome("lost", retry_in=0.0))], now=NOW)
    claim(store)
    found = row(store, job_id)
    assert (found.paused_at, found.paused_by, found.paused_seconds) == (None, None, None)


@pytest.mark.parametrize("status", ["pending", "completed", "failed", "cancelled"])
@pytest.mark.parametrize("act", [pausing.pause, pausing.resume])
def test_what_does_not_run_is_neither_paused_nor_resumed(store, status, act):
    job_id = enqueue(store)
    if status != "pending":
        (execution,) = claim(store)
        with store.changing() as changes:
            changes.finish([(execution, Outcome(status))])
    with pytest.raises(InvalidTransition, match=f"is {status}, so it cannot be"):
        act(store, job_id)


def test_a_second_pause_and_a_resume_without_one_are_refused(store):
    job_id = enqueue(store)
    claim(store)
    with pytest.raises(InvalidTransition, match="is running, so it cannot be resumed"):
        pausing.resume(store, job_id)
    pausing.pause(store, job_id)
    with pytest.raises(InvalidTransition, match="is paused, so it cannot be paused"):
        pausing.pause(store, job_id)


def test_an_inline_job_is_not_paused_because_that_would_hold_up_the_application(store):
    job_id = enqueue(store)
    claim(store, backend="inline")
    with pytest.raises(InvalidTransition, match="in a process of the application"):
        pausing.pause(store, job_id)


@pytest.mark.parametrize("job_id", [0, -1, 999, 2**63, 10**30])
def test_a_job_that_does_not_exist_is_said_to_be_none(store, job_id):
    for act in (pausing.pause, pausing.resume):
        with pytest.raises(JobNotFound):
            act(store, job_id)


@only_on_sqlite
def test_a_row_whose_time_somebody_made_unreadable_can_be_resumed(store):
    job_id = enqueue(store)
    claim(store)
    with store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE background_jobs SET paused_at = 'x', paused_seconds = 'y'")
    pausing.resume(store, job_id)
    assert row(store, job_id).paused_seconds == 0.0


SECONDS_RUN = [
    # seconds since the start at which it is paused now, seconds of earlier pauses, seconds run after 100
    (None, None, 100.0),
    (None, 30.0, 70.0),
    (60, None, 60.0),
    (60, 30.0, 30.0),
    (None, "x", 100.0),
]


@pytest.mark.parametrize(("paused", "earlier", "ran"), SECONDS_RUN)
def test_how_long_a_job_ran_is_told_by_its_row(paused, earlier, ran):
    paused_at = None if paused is None else NOW + timedelta(seconds=paused)
    found = SimpleNamespace(started_at=NOW, paused_at=paused_at, paused_seconds=earlier)
    assert seconds_run(found, NOW + timedelta(seconds=100)) == ran


# -- what the supervisor does about it -----------------------------------------------------------------------


class Clock:
    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(running_module, "time", clock)
    return clock


@pytest.fixture
def sent(monkeypatch):
    sent = []
    names = ("terminate", "kill", "hold", "go_on")
    stand_in = SimpleNamespace(**{name: lambda identity, name=name: sent.append(name) for name in names})
    monkeypatch.setattr(running_module, "signals", stand_in)
    return sent


def running(job_id=1, deadline=None, **limits):
    job = Execution(job_id, "app.Job", "run", {}, 0, 3, 5.0, 10.0, f"t{job_id}", 1, limits or None)
    return RunningJob(job, own_identity(), None, deadline)


def test_the_clock_of_the_timeout_stands_still_while_the_job_does(clock, sent):
    job = running(deadline=1010.0)
    clock.now = 1004.0
    job.pause()
    assert job.next_step_at is None
    clock.now = 1100.0
    job.climb(5.0)
    job.resume()
    assert (job.deadline, job.next_step_at, sent) == (1106.0, 1106.0, ["hold", "go_on"])
    clock.now = 1106.0
    job.climb(5.0)
    assert (job.stop_reason, sent[-1]) == ("timeout", "terminate")


def test_a_paused_job_that_is_to_stop_is_let_go_so_that_it_hears_of_it(clock, sent):
    job = running()
    job.pause()
    job.stop("cancel", 5.0)
    assert sent == ["hold", "terminate", "go_on"]
    job.pause()
    assert sent == ["hold", "terminate", "go_on"]


def test_its_own_clock_went_on_so_it_may_take_a_cancellation_for_its_timeout(clock, sent):
    told = Outcome("timed_out", exception_type="JobTimedOut", exception_message="m", traceback="t", peak_rss=5)
    job = running(deadline=1010.0)
    assert job.reported(told) == Outcome("stopped", peak_rss=5)
    job.stop("timeout", 5.0)
    assert job.reported(told).kind == "timed_out"


def test_who_was_stopped_for_its_memory_failed_and_says_how_much_it_used(clock, sent):
    job = running(memory=2**20)
    job.memory_used = 5 * 2**20
    job.stop("memory", 5.0)
    for told in (Outcome("stopped"), Outcome("timed_out")):
        outcome = job.reported(told)
        assert (outcome.kind, outcome.exception_type, outcome.retry_in) == ("failed", "JobMemoryExceeded", 5.0)
        assert "used 5 MiB of memory, and its limit is 1 MiB" in outcome.exception_message
    assert job.reported(Outcome("completed")).kind == "completed"


ASKED = [
    # of the row: asked to stop, paused; of the job: being stopped, paused | stop, pause, resume
    (None, (None, False), (0, 0, 0)),
    (None, (None, True), (0, 0, 1)),
    ((False, True), (None, False), (0, 1, 0)),
    ((False, True), (None, True), (0, 0, 0)),
    ((True, False), (None, False), (1, 0, 0)),
    ((True, True), (None, True), (1, 0, 0)),
    ((True, False), ("cancel", False), (0, 0, 0)),
    ((False, True), ("timeout", False), (0, 0, 0)),
]


@pytest.mark.parametrize(("of_row", "of_job", "done"), ASKED)
def test_what_is_asked_and_what_is_done_about_it(of_row, of_job, done):
    job = running(7)
    job.stop_reason, job.paused_at = of_job[0], 1.0 if of_job[1] else None
    unasked = {"cancel_requested_by": "ada", "kill_requested_at": None, "paused_at": None}
    rows = [SimpleNamespace(id=8, cancel_requested_at=NOW, **unasked)]
    if of_row is not None:
        stop, pause = (NOW if asked else None for asked in of_row)
        rows.append(SimpleNamespace(id=7, cancel_requested_at=stop, **{**unasked, "paused_at": pause}))
    found = requested(rows, [job])
    assert (len(found.to_stop), len(found.to_pause), len(found.to_resume)) == done


# -- a queue ------------------------------------------------------------------------------------------------


def test_no_job_of_a_paused_queue_is_claimed_and_all_are_when_it_goes_on(store):
    held = [enqueue(store, "mail", priority=priority) for priority in (-5, 0)]
    free = [enqueue(store), enqueue(store, priority=3)]
    assert pausing.pause_queue(store, "mail", by="ada")
    assert not pausing.pause_queue(store, "mail")
    assert [job.id for job in claim(store, most=9)] == free
    assert claim(store, most=9) == []
    with store.database.reading() as connection:
        assert [(found.queue, found.paused_by) for found in lookups.queues_paused(connection)] == [("mail", "ada")]
        assert lookups.has_pending(connection)
    pausing.resume_queue(store, "mail")
    assert [job.id for job in claim(store, most=9)] == held


def test_what_waits_in_a_paused_queue_is_not_due(store):
    """Otherwise a supervisor would look for it again and again."""
    later = NOW + timedelta(hours=1)
    enqueue(store, "mail")
    enqueue(store, when=later)
    pausing.pause_queue(store, "mail")
    with store.database.reading() as connection:
        assert lookups.next_due(connection) == later


@only_on_sqlite
def test_a_full_table_of_paused_queues_is_looked_up_not_read(store):
    for number in range(30):
        enqueue(store, f"q{number}")
        pausing.pause_queue(store, f"q{number}")
    enqueue(store, "open")
    asked = []
    with store.database.writing() as connection:
        driver = connection.connection.dbapi_connection
        driver.set_trace_callback(asked.append)
        assert len(lookups.due(connection, 9, NOW)) == 1
        driver.set_trace_callback(None)
        for statement in asked:
            steps = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}").all()
            assert "SCAN" not in " / ".join(step.detail for step in steps)


@pytest.mark.parametrize("queue", ["", "a b", "x" * 101, "é", "a\n", None, 7])
def test_what_is_no_name_of_a_queue_is_refused(store, queue):
    with pytest.raises(InvalidParameters, match="queue"):
        pausing.pause_queue(store, queue)


def test_a_queue_that_is_not_paused_cannot_go_on(store):
    with pytest.raises(InvalidParameters, match="not paused"):
        pausing.resume_queue(store, "mail")
