"""The state machine: each transition is true once, stale executions change nothing, the most urgent goes first."""

import os
import threading
from datetime import UTC, datetime, timedelta

import pytest
from databases import only_on_sqlite
from hypothesis import given, settings
from hypothesis import strategies as st

from bgjobs import lookups
from bgjobs.custom_logger import CustomLogger
from bgjobs.database import Database
from bgjobs.exceptions import InvalidTransition, JobNotFound, QueueFull
from bgjobs.models import STATUSES
from bgjobs.redaction import Redactor
from bgjobs.runner.outcome import Outcome
from bgjobs.store import _FINISH, NewJob, Store
from bgjobs.transition import JOB_COLUMNS

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
SEAT = {"host": "h", "boot_id": "b", "pid_namespace": "n", "pid": 4711, "process_started": "99"}


def a_job(**changes):
    values = {
        "class_name": "app.Job",
        "method_name": "run",
        "parameters": {"a": 1},
        "scheduled_at": NOW,
        "queue": "default",
        "priority": 0,
        "retry_count": 0,
        "max_retries": 3,
        "retry_delay": 5.0,
        "timeout": None,
    }
    return NewJob(**{**values, **changes})


def enqueue(store, max_pending=None, **changes):
    with store.changing() as changes_:
        return changes_.enqueue_all([a_job(**changes)], max_pending=max_pending, now=NOW)[0]


def claim(store, most=1, now=NOW, **options):
    seats = [{**SEAT, "pid": SEAT["pid"] + number} for number in range(most)]
    with store.changing() as changes:
        return changes.claim(seats, backend="local", now=now, **options)


def finish(store, execution, kind="completed", now=NOW, **values):
    with store.changing() as changes:
        return changes.finish([(execution, Outcome(kind, **values))], now=now)


def row(store, job_id):
    with store.database.reading() as connection:
        return lookups.job_row(connection, job_id)


def attempts_of(store, job_id):
    with store.database.reading() as connection:
        found = connection.execute(
            lookups.attempts.select().where(lookups.attempts.c.background_job_id == job_id).order_by("number")
        )
        return found.all()


def story(store, job_id):
    with store.database.reading() as connection:
        return list(
            connection.scalars(
                lookups.logs.select()
                .with_only_columns(lookups.logs.c.message)
                .where(lookups.logs.c.background_job_id == job_id)
                .order_by(lookups.logs.c.id)
            )
        )


# -- enqueue ------------------------------------------------------------------------------------------


def test_a_new_job_is_pending_with_what_was_given(store):
    job_id = enqueue(store, queue="mail", priority=4, retry_count=1, retry_delay=[1.0, 2.0], timeout=3.0)
    found = row(store, job_id)
    assert found.status == "pending"
    assert (found.queue, found.priority, found.retry_count, found.retry_delay) == ("mail", 4, 1, [1.0, 2.0])
    assert (found.timeout, found.parameters, found.attempt) == (3.0, {"a": 1}, 0)
    assert found.created_at == found.updated_at == found.scheduled_at == NOW
    assert found.started_at is found.completed_at is found.execution_token is found.pid is None


def test_ids_grow_and_are_never_used_again(store):
    first, second = enqueue(store), enqueue(store)
    with store.database.writing() as connection:
        connection.execute(lookups.jobs.delete())
    assert enqueue(store) > second > first


def test_nothing_is_stored_or_logged_when_the_transaction_fails(store, tmp_path):
    enqueue(store)
    before = (tmp_path / "logs" / "background_jobs.log").read_text()
    with pytest.raises(ZeroDivisionError), store.changing() as changes:
        changes.enqueue_all([a_job()])
        raise ZeroDivisionError
    with store.database.reading() as connection:
        assert lookups.counts(connection)["pending"] == 1
    assert (tmp_path / "logs" / "background_jobs.log").read_text() == before


def test_the_queue_is_full_at_its_limit_and_has_room_again_after_a_claim(store):
    for _ in range(3):
        enqueue(store, max_pending=3)
    with pytest.raises(QueueFull, match="BGJOBS_MAX_PENDING") as refused:
        enqueue(store, max_pending=3)
    assert refused.value.limit == 3
    claim(store)
    enqueue(store, max_pending=3)
    with pytest.raises(QueueFull):
        enqueue(store, max_pending=3)


def test_jobs_of_the_future_fill_the_queue_and_ended_ones_do_not(store):
    enqueue(store, scheduled_at=NOW + timedelta(days=1))
    with pytest.raises(QueueFull):
        enqueue(store, max_pending=1)
    finish(store, claim(store, now=NOW + timedelta(days=2))[0])
    enqueue(store, max_pending=1)


def test_many_threads_fill_the_queue_to_its_limit_and_not_beyond(store):
    enqueue(store)
    refused = []

    def fill():
        for _ in range(10):
            try:
                enqueue(store, max_pending=20)
            except QueueFull:
                refused.append(1)

    threads = [threading.Thread(target=fill) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.database.reading() as connection:
        assert lookups.counts(connection)["pending"] == 20
    assert len(refused) == 21


# -- claim --------------------------------------------------------------------------------------------


def test_the_claim_goes_by_priority_then_time_then_id(store):
    early, late = NOW - timedelta(hours=2), NOW - timedelta(hours=1)
    wanted = [
        enqueue(store, priority=-1, scheduled_at=late),
        enqueue(store, priority=0, scheduled_at=early),
        enqueue(store, priority=0, scheduled_at=late),
        enqueue(store, priority=0, scheduled_at=late),
        enqueue(store, priority=7, scheduled_at=early),
    ]
    first = enqueue(store, priority=-(2**31), scheduled_at=NOW)
    assert [execution.id for execution in claim(store, most=3)] == [first, *wanted[:2]]
    assert [execution.id for execution in claim(store, most=10)] == wanted[2:]
    assert claim(store, most=10) == []


@settings(max_examples=25)
@given(
    given_jobs=st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), max_size=15),
    most=st.integers(0, 5),
)
def test_claims_of_any_size_give_all_due_jobs_in_order_and_no_other(tmp_path_factory, given_jobs, most):
    folder = tmp_path_factory.mktemp("claims")
    database = Database(f"sqlite:///{folder / 'jobs.db'}")
    store = Store(database, CustomLogger(str(folder)), Redactor())
    expected = []
    for priority, minutes in given_jobs:
        when = NOW + timedelta(minutes=minutes)
        job_id = enqueue(store, priority=priority, scheduled_at=when)
        if when <= NOW:
            expected.append((priority, when, job_id))
    claimed = []
    while batch := claim(store, most=most):
        assert len(batch) <= most
        claimed += [execution.id for execution in batch]
    assert claimed == ([job_id for _, _, job_id in sorted(expected)] if most else [])
    database.dispose()


def test_a_job_of_the_future_is_claimed_at_its_time_and_not_a_microsecond_before(store):
    job_id = enqueue(store, scheduled_at=NOW + timedelta(seconds=5))
    assert claim(store, now=NOW + timedelta(seconds=5, microseconds=-1)) == []
    assert [execution.id for execution in claim(store, now=NOW + timedelta(seconds=5))] == [job_id]


def test_a_claim_writes_who_runs_the_job_before_it_runs(store):
    job_id = enqueue(store)
    (execution,) = claim(store, output_path=lambda job: f"{job.id}-{job.attempt}.log")
    found = row(store, job_id)
    assert (found.status, found.backend, found.started_at, found.attempt) == ("running", "local", NOW, 1)
    assert {column: getattr(found, column) for column in SEAT} == SEAT
    assert found.execution_token == execution.token
    (attempt,) = attempts_of(store, job_id)
    assert (attempt.number, attempt.execution_token, attempt.pid, attempt.host) == (1, execution.token, 4711, "h")
    assert (attempt.started_at, attempt.ended_at, attempt.output_path) == (NOW, None, f"{job_id}-1.log")
    assert story(store, job_id)[-1] == "Background job started"


def test_each_execution_has_a_token_of_its_own(store):
    job_id = enqueue(store)
    tokens = set()
    for _ in range(4):
        (execution,) = claim(store)
        tokens.add(execution.token)
        finish(store, execution, "released")
    assert len(tokens) == 4
    assert [attempt.number for attempt in attempts_of(store, job_id)] == [1, 2, 3, 4]


def test_named_jobs_are_claimed_due_or_not_and_no_others(store):
    enqueue(store)
    future = enqueue(store, scheduled_at=NOW + timedelta(days=1))
    assert [execution.id for execution in claim(store, job_ids=[future])] == [future]
    assert claim(store, job_ids=[future, 999]) == []


def test_no_more_named_jobs_are_claimed_than_there_are_seats(store):
    ids = [enqueue(store) for _ in range(3)]
    claimed = claim(store, most=2, job_ids=ids)
    assert len(claimed) == 2
    with store.database.reading() as connection:
        assert lookups.counts(connection) == {**dict.fromkeys(STATUSES, 0), "pending": 1, "running": 2}
    assert sum(story(store, job_id)[-1] == "Background job started" for job_id in ids) == 2


def test_two_claimers_never_get_the_same_job(store):
    ids = [enqueue(store) for _ in range(40)]
    claimed, start = [], threading.Barrier(4)

    def take():
        start.wait()
        while executions := claim(store, most=3):
            claimed.extend(execution.id for execution in executions)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(claimed) == ids


def plans(store, question):
    """The query plans of every SELECT that ``question`` makes."""
    asked = []
    with store.database.writing() as connection:
        driver = connection.connection.dbapi_connection
        driver.set_trace_callback(asked.append)
        question(connection)
        driver.set_trace_callback(None)
    with store.database.reading() as connection:
        explained = [
            connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")
            for statement in asked
            if statement.lstrip().startswith("SELECT")
        ]
        assert explained
        return [" / ".join(step.detail for step in steps) for steps in explained]


@only_on_sqlite
@pytest.mark.parametrize(
    ("question", "index"),
    [
        (lambda connection: lookups.due(connection, 4, NOW), "ix_background_jobs_due"),
        (lookups.next_due, "ix_background_jobs_due"),
        (lambda connection: list(lookups.pending_priorities(connection)), "ix_background_jobs_due"),
        (lookups.has_pending, "ix_background_jobs_"),
        (lookups.running, "ix_background_jobs_"),
        (lookups.cancel_requests, "ix_background_jobs_"),
    ],
)
def test_the_questions_of_every_moment_are_answered_by_an_index(store, question, index):
    for number in range(50):
        enqueue(store, priority=number % 3)
    claim(store, most=10)
    for plan in plans(store, question):
        assert index in plan
        assert "SCAN" not in plan.replace(
            "SCAN background_jobs USING COVERING INDEX ix_background_jobs_running", ""
        )
        assert "TEMP B-TREE" not in plan


# -- finish -------------------------------------------------------------------------------------------


def test_an_outcome_ends_the_job_and_its_attempt(store):
    job_id = enqueue(store)
    (execution,) = claim(store)
    later = NOW + timedelta(seconds=3)
    assert finish(store, execution, now=later, result=[1, None], peak_rss=2**40, cpu_seconds=0.5) == {
        execution.token: "completed"
    }
    found, (attempt,) = row(store, job_id), attempts_of(store, job_id)
    assert (found.status, found.completed_at, found.result, found.peak_rss) == (
        "completed",
        later,
        [1, None],
        2**40,
    )
    assert (attempt.outcome, attempt.ended_at, attempt.cpu_seconds) == ("completed", later, 0.5)


@pytest.mark.parametrize("result", [None, False, 0, "", [], {}, "text", 1.5, {"a": [None]}])
def test_a_result_comes_back_as_it_was(store, result):
    job_id = enqueue(store)
    finish(store, claim(store)[0], result=result)
    assert repr(row(store, job_id).result) == repr(result)


def test_the_time_a_job_was_scheduled_for_stays_when_it_ends(store):
    job_id = enqueue(store)
    finish(store, claim(store)[0], now=NOW + timedelta(hours=1))
    assert row(store, job_id).scheduled_at == NOW


def test_a_retry_is_the_same_row_at_a_later_time(store):
    job_id = enqueue(store)
    finish(store, claim(store)[0], "failed", retry_in=5.0, exception_type="E")
    found = row(store, job_id)
    assert (found.status, found.retry_count, found.scheduled_at) == ("pending", 1, NOW + timedelta(seconds=5))
    assert claim(store, now=NOW + timedelta(seconds=4)) == []
    (again,) = claim(store, now=NOW + timedelta(seconds=5))
    assert (again.id, again.retry_count, again.attempt) == (job_id, 1, 2)


STALE_OUTCOMES = ["completed", "failed", "timed_out", "cancelled", "stopped", "lost", "released"]


@pytest.mark.parametrize("kind", STALE_OUTCOMES)
@pytest.mark.parametrize(
    "meanwhile", ["released", "claimed again", "completed", "cancelled", "retried by hand", "deleted"]
)
def test_an_execution_that_was_fenced_out_changes_nothing(store, kind, meanwhile):
    job_id = enqueue(store)
    (stale,) = claim(store)
    match meanwhile:
        case "completed":
            finish(store, stale)
        case "cancelled":
            store.cancel(job_id)
            finish(store, stale, "stopped")
        case "retried by hand":
            finish(store, stale, "failed")
            store.retry(job_id)
        case "deleted":
            with store.database.writing() as connection:
                connection.execute(lookups.jobs.delete())
        case _:
            finish(store, stale, "released")
    if meanwhile == "claimed again":
        claim(store)
    before = everything(store)
    assert (
        finish(store, stale, kind, retry_in=1.0, result=7, exception_type="E", now=NOW + timedelta(days=1)) == {}
    )
    with store.changing() as changes:
        changes.progress(stale, 1, 2, "stale")
    assert everything(store) == before


def everything(store):
    with store.database.reading() as connection:
        return [
            connection.execute(table.select()).all() for table in (lookups.jobs, lookups.attempts, lookups.logs)
        ]


@pytest.mark.parametrize("stale", ["token", "status"])
def test_the_statement_that_writes_an_outcome_is_itself_guarded(store, stale):
    """Whatever was looked up before it."""
    job_id = enqueue(store)
    (execution,) = claim(store)
    with store.database.writing() as connection:
        if stale == "status":
            connection.execute(lookups.jobs.update().values(status="pending"))
        values = {f"new_{column}": None for column in JOB_COLUMNS}
        token = "another" if stale == "token" else execution.token
        before = connection.execute(lookups.jobs.select()).all()
        _FINISH.execute(connection, [{**values, "new_status": "failed", "key": job_id, "token": token}])
        assert connection.execute(lookups.jobs.select()).all() == before


def test_an_outcome_that_comes_twice_counts_once(store):
    job_id = enqueue(store)
    (execution,) = claim(store)
    with store.changing() as changes:
        first = Outcome("failed", retry_in=1.0, exception_type="E")
        assert changes.finish([(execution, first), (execution, first)]) == {execution.token: "pending"}
    assert row(store, job_id).retry_count == 1
    assert finish(store, execution) == {}


def test_of_two_outcomes_in_one_change_the_first_is_written_and_told(store):
    job_id = enqueue(store)
    (execution,) = claim(store)
    with store.changing() as changes:
        outcomes = [(execution, Outcome("completed")), (execution, Outcome("failed", exception_type="E"))]
        assert changes.finish(outcomes) == {execution.token: "completed"}
    assert [attempt.outcome for attempt in attempts_of(store, job_id)] == ["completed"]
    assert story(store, job_id)[-2:] == ["Background job started", "Background job completed processing"]


def test_many_outcomes_are_one_change(store):
    ids = [enqueue(store) for _ in range(5)]
    executions = claim(store, most=5)
    kinds = ["completed", "failed", "released", "lost", "cancelled"]
    with store.changing() as changes:
        changes.finish([(execution, Outcome(kind)) for execution, kind in zip(executions, kinds, strict=True)])
    assert [row(store, job_id).status for job_id in ids] == [
        "completed",
        "failed",
        "pending",
        "failed",
        "cancelled",
    ]


def test_finishing_nothing_is_nothing(store):
    with store.changing() as changes:
        assert changes.finish([]) == {}


@pytest.mark.parametrize("kind", ["completed", "failed", "cancelled"])
def test_no_duration_is_negative_where_the_clock_was_set_back(store, kind):
    job_id = enqueue(store)
    finish(store, claim(store)[0], kind, now=NOW - timedelta(hours=1))
    found, (attempt,) = row(store, job_id), attempts_of(store, job_id)
    assert found.completed_at == found.started_at == NOW
    assert attempt.ended_at == attempt.started_at == NOW


def test_a_retry_that_is_cancelled_after_the_clock_was_set_back_did_not_end_before_it_started(store):
    job_id = enqueue(store)
    finish(store, claim(store)[0], "failed", retry_in=5.0)
    with store.changing() as changes:
        changes.cancel(job_id, now=NOW - timedelta(hours=1))
    assert row(store, job_id).completed_at == NOW


# -- cancel and retry ---------------------------------------------------------------------------------


def in_status(store, status):
    job_id = enqueue(store)
    if status == "pending":
        return job_id
    (execution,) = claim(store)
    if status != "running":
        finish(store, execution, status)
    return job_id


CANCEL = {"pending": "cancelled", "running": "running", "completed": None, "failed": None, "cancelled": None}
RETRY = {"pending": None, "running": None, "completed": None, "failed": "pending", "cancelled": "pending"}


@pytest.mark.parametrize("status", STATUSES)
def test_cancelling_in_each_status(store, status):
    job_id = in_status(store, status)
    before = everything(store)
    if CANCEL[status] is None:
        with pytest.raises(InvalidTransition, match=f"is {status}, so it cannot be cancelled") as refused:
            store.cancel(job_id)
        assert (refused.value.job_id, refused.value.status, refused.value.action) == (job_id, status, "cancelled")
        assert everything(store) == before
    else:
        assert store.cancel(job_id) == CANCEL[status]
        assert row(store, job_id).status == CANCEL[status]
        assert row(store, job_id).cancel_requested_at is not None


@pytest.mark.parametrize("status", STATUSES)
def test_retrying_in_each_status(store, status):
    job_id = in_status(store, status)
    before = everything(store)
    if RETRY[status] is None:
        with pytest.raises(InvalidTransition, match=f"is {status}, so it cannot be retried"):
            store.retry(job_id)
        assert everything(store) == before
    else:
        store.retry(job_id)
        found = row(store, job_id)
        assert (found.status, found.retry_count, found.completed_at) == ("pending", 0, None)
        assert found.cancel_requested_at is None


@pytest.mark.parametrize(
    ("by", "stored"),
    [(None, None), ("", None), ("ada", "ada"), ("a\nd\x1ba", "a\\x0ad\\x1ba"), ("x" * 999, "x" * 200)],
)
@pytest.mark.parametrize("status", ["pending", "running"])
def test_who_cancelled_a_job_is_noted_until_it_is_retried(store, status, by, stored):
    job_id = in_status(store, status)
    store.cancel(job_id, by=by)
    store.cancel(job_id, by="the second") if status == "running" else None
    assert row(store, job_id).cancel_requested_by == stored
    with store.database.reading() as connection:
        assert lookups.cancel_requests(connection) == ({job_id: stored} if status == "running" else {})
    if status == "pending":
        store.retry(job_id)
        assert row(store, job_id).cancel_requested_by is None


def test_a_cancelled_pending_job_is_never_claimed(store):
    store.cancel(enqueue(store))
    assert claim(store) == []


def test_asking_twice_to_stop_keeps_the_first_moment(store):
    job_id = in_status(store, "running")
    store.cancel(job_id)
    first = row(store, job_id).cancel_requested_at
    assert store.cancel(job_id) == "running"
    assert row(store, job_id).cancel_requested_at == first


def test_a_job_that_was_asked_to_stop_is_cancelled_however_it_ends_but_completed(store):
    for kind, status in [
        ("failed", "cancelled"),
        ("lost", "cancelled"),
        ("stopped", "cancelled"),
        ("completed", "completed"),
    ]:
        job_id = enqueue(store)
        (execution,) = claim(store)
        store.cancel(job_id)
        assert finish(store, execution, kind, retry_in=1.0) == {execution.token: status}


def test_a_job_retried_by_hand_runs_like_a_new_one(store):
    job_id = enqueue(store, max_retries=1)
    for _ in range(2):
        finish(store, claim(store, now=NOW + timedelta(hours=1))[0], "failed", retry_in=1.0, now=NOW)
    assert row(store, job_id).status == "failed"
    with store.changing() as changes:
        changes.retry(job_id, now=NOW)
    (execution,) = claim(store)
    assert (execution.retry_count, execution.attempt) == (0, 3)
    finish(store, execution, "failed", retry_in=1.0)
    assert row(store, job_id).status == "pending"


@pytest.mark.parametrize("job_id", [0, -1, 999, 2**62, 2**63, -(2**63) - 1, 10**30])
def test_a_job_that_does_not_exist_is_said_to_be_none(store, job_id):
    enqueue(store)
    for action in (store.cancel, store.retry):
        with pytest.raises(JobNotFound) as refused:
            action(job_id)
        assert refused.value.job_id == job_id
    with pytest.raises(JobNotFound):
        row(store, job_id)


RACES = int(os.environ.get("BGJOBS_RACES", "100"))
"""A thousand of each kind in ``make faults``."""

ENDS_OF_A_RACE = {
    # What the process reports, and how job and attempt end: where the outcome was first, and where the wish was.
    "completed": (Outcome("completed"), ("completed", "completed"), ("completed", "completed")),
    "failed": (Outcome("failed", exception_type="E"), ("failed", "failed"), ("cancelled", "cancelled")),
    "retried": (
        Outcome("failed", exception_type="E", retry_in=5.0),
        ("cancelled", "failed"),
        ("cancelled", "cancelled"),
    ),
}
LAST_RECORD = {
    "completed": "Background job completed processing",
    "failed": "E (attempt 1 of 4)",
    "cancelled": "Background job cancelled",
}


@pytest.mark.parametrize("how", ENDS_OF_A_RACE)
def test_cancel_and_finish_at_the_same_time_end_in_one_of_the_two(store, tmp_path, how):
    """F33. Each side has connections of its own."""
    other = Store(Database(store.database.url), store.logger, store.redactor)
    outcome, outcome_first, wish_first = ENDS_OF_A_RACE[how]
    seen = set()

    def cancel(job_id, start, answers):
        start.wait()
        try:
            answers.append(other.cancel(job_id))
        except InvalidTransition as refusal:
            answers.append(refusal.status)

    for _ in range(RACES):
        job_id, start, answers = enqueue(store), threading.Barrier(2), []
        (execution,) = claim(store)
        thread = threading.Thread(target=cancel, args=[job_id, start, answers])
        thread.start()
        start.wait()
        with store.changing() as changes:
            changes.finish([(execution, outcome)], now=NOW)
        thread.join()
        expected = wish_first if answers == ["running"] else outcome_first
        found, (attempt,), told = row(store, job_id), attempts_of(store, job_id), story(store, job_id)
        assert (found.status, attempt.outcome) == expected
        assert told[-1] == LAST_RECORD[found.status]
        assert sum(message in LAST_RECORD.values() for message in told) == (2 if expected[0] != expected[1] else 1)
        seen.add(answers[0])
    other.database.dispose()
    assert seen <= {"running", outcome_first[0]}


# -- lookups ------------------------------------------------------------------------------------------


def test_when_the_next_job_is_due(store):
    def next_due():
        with store.database.reading() as connection:
            return lookups.next_due(connection)

    assert next_due() is None
    enqueue(store, priority=-5, scheduled_at=NOW + timedelta(hours=2))
    assert next_due() == NOW + timedelta(hours=2)
    enqueue(store, priority=5, scheduled_at=NOW + timedelta(hours=1))
    assert next_due() == NOW + timedelta(hours=1)
    (execution,) = claim(store, now=NOW + timedelta(hours=1))
    assert next_due() == NOW + timedelta(hours=2)
    finish(store, execution)
    assert next_due() == NOW + timedelta(hours=2)


def test_jobs_are_counted_by_status(store):
    for status in STATUSES:
        in_status(store, status)
    with store.database.reading() as connection:
        counts = lookups.counts(connection)
    assert list(counts) == list(STATUSES)
    assert sum(counts.values()) == 5


def test_progress_of_a_running_execution_is_kept_and_masked(store):
    job_id = enqueue(store, parameters={"token": "s3cr3t!"})
    (execution,) = claim(store)
    with store.changing() as changes:
        changes.progress(execution, 3, 10, "at s3cr3t!\n")
    found = row(store, job_id)
    assert (found.progress_done, found.progress_total, found.progress_message) == (3, 10, "at ••••••\\x0a")


def test_deleting_a_job_deletes_its_logs_and_attempts(store):
    in_status(store, "completed")
    with store.database.writing() as connection:
        connection.execute(lookups.jobs.delete())
    assert everything(store) == [[], [], []]
