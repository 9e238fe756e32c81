"""What an outcome makes of a job: one table of outcome, request to stop and retries left."""

import signal
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgjobs.redaction import MASK, Redactor
from bgjobs.runner.outcome import Execution, Outcome
from bgjobs.transition import ATTEMPT_COLUMNS, JOB_COLUMNS, transition

NOW = datetime(2024, 12, 4, 14, 31, 53, tzinfo=UTC)


def execution(retry_count=0, max_retries=3, **changes):
    values = {
        "id": 12,
        "class_name": "app.jobs.Mail",
        "method_name": "send",
        "parameters": {},
        "retry_delay": 5.0,
        "timeout": 2.0,
        "token": "t",
        "attempt": 1,
    }
    return Execution(retry_count=retry_count, max_retries=max_retries, **{**values, **changes})


def outcome(kind, retry_in=None, **values):
    if kind in ("failed", "timed_out", "lost"):
        values = {"exception_type": "ValueError", "exception_message": "no", "traceback": "Traceback\n", **values}
    return Outcome(kind, retry_in=retry_in, **values)


def after(job, outcome, asked=False):
    return transition(job, outcome, cancel_requested=asked, now=NOW, redactor=Redactor())


FAILED_1 = "ValueError: no (attempt 1 of 4)"
FAILED_4 = "ValueError: no (attempt 4 of 4)"
RETRY_1 = "Scheduled retry attempt 1 of 3 in 5 s"
DONE, CANCELLED, PUT_BACK = (
    "Background job completed processing",
    "Background job cancelled",
    "Put back to pending before the job was done; that uses no retry",
)
SIGTERM = "JobProcessLost: killed by signal 15 (SIGTERM) from outside (attempt 1 of 4)"

# kind, asked to stop, retry number, seconds until the retry | status, retry number, attempt's outcome, records
TABLE = [
    ("completed", False, 0, None, "completed", 0, "completed", [DONE]),
    ("completed", False, 3, None, "completed", 3, "completed", [DONE]),
    ("completed", True, 0, None, "completed", 0, "completed", [DONE]),
    ("failed", False, 0, 5.0, "pending", 1, "failed", [FAILED_1, RETRY_1]),
    ("failed", False, 0, None, "failed", 0, "failed", [FAILED_1]),
    ("failed", False, 3, 5.0, "failed", 3, "failed", [FAILED_4]),
    ("failed", False, 3, None, "failed", 3, "failed", [FAILED_4]),
    ("failed", True, 0, 5.0, "cancelled", 0, "cancelled", [CANCELLED]),
    ("failed", True, 3, None, "cancelled", 3, "cancelled", [CANCELLED]),
    ("timed_out", False, 0, 5.0, "pending", 1, "timed_out", [FAILED_1, RETRY_1]),
    ("timed_out", False, 3, None, "failed", 3, "timed_out", [FAILED_4]),
    ("timed_out", True, 0, 5.0, "cancelled", 0, "cancelled", [CANCELLED]),
    ("lost", False, 0, 5.0, "pending", 1, "lost", [FAILED_1, RETRY_1]),
    ("lost", False, 3, None, "failed", 3, "lost", [FAILED_4]),
    ("lost", True, 0, 5.0, "cancelled", 0, "cancelled", [CANCELLED]),
    ("cancelled", False, 0, None, "cancelled", 0, "cancelled", [CANCELLED]),
    ("cancelled", True, 0, None, "cancelled", 0, "cancelled", [CANCELLED]),
    ("stopped", True, 0, None, "cancelled", 0, "cancelled", [CANCELLED]),
    ("stopped", True, 3, None, "cancelled", 3, "cancelled", [CANCELLED]),
    ("stopped", False, 0, None, "pending", 1, "lost", [SIGTERM, RETRY_1]),
    ("stopped", False, 3, None, "failed", 3, "lost", [SIGTERM.replace("1 of", "4 of")]),
    ("released", False, 0, None, "pending", 0, "released", [PUT_BACK]),
    ("released", False, 3, None, "pending", 3, "released", [PUT_BACK]),
    ("released", True, 1, None, "cancelled", 1, "cancelled", [CANCELLED]),
]


@pytest.mark.parametrize(
    ("kind", "asked", "retry", "retry_in", "status", "next_retry", "attempt", "messages"), TABLE
)
def test_the_table(kind, asked, retry, retry_in, status, next_retry, attempt, messages):
    change = after(execution(retry), outcome(kind, retry_in), asked)
    assert change.status == change.job["status"] == status
    assert change.job["retry_count"] == next_retry
    assert change.attempt["outcome"] == attempt
    assert [record.message for record in change.entries] == messages


@pytest.mark.parametrize(("kind", "asked", "retry", "retry_in"), [row[:4] for row in TABLE])
def test_a_job_has_ended_exactly_when_it_has_an_end(kind, asked, retry, retry_in):
    change = after(execution(retry), outcome(kind, retry_in), asked)
    assert change.job["completed_at"] == (None if change.status == "pending" else NOW)
    assert change.attempt["ended_at"] == NOW
    assert change.job["updated_at"] == NOW
    assert set(change.job) == set(JOB_COLUMNS)
    assert set(change.attempt) == set(ATTEMPT_COLUMNS)


@pytest.mark.parametrize("retry_in", [0.0, 0.5, 5.0, 3600.0])
def test_a_retry_starts_after_its_delay_and_only_a_retry_is_scheduled_anew(retry_in):
    assert after(execution(), outcome("failed", retry_in)).job["scheduled_at"] == NOW + timedelta(seconds=retry_in)
    for kind in ("completed", "cancelled", "released"):
        assert after(execution(), outcome(kind)).job["scheduled_at"] is None  # stays as it was
    assert after(execution(3), outcome("failed")).job["scheduled_at"] is None


def test_the_error_is_kept_while_the_job_waits_for_its_retry_and_goes_when_it_completes():
    assert after(execution(), outcome("failed", 5.0)).job["error_message"] == "ValueError: no"
    assert after(execution(), outcome("failed", 5.0), asked=True).job["error_message"] == "ValueError: no"
    assert after(execution(1), outcome("completed", result=7)).job["error_message"] is None


def test_result_exit_status_and_usage_are_written_down():
    change = after(execution(), outcome("completed", result={"a": 1}, peak_rss=5, cpu_seconds=0.1, exit_status=0))
    assert (change.job["result"], change.job["peak_rss"], change.job["cpu_seconds"]) == ({"a": 1}, 5, 0.1)
    assert (change.attempt["peak_rss"], change.attempt["exit_status"]) == (5, 0)
    killed = after(execution(), outcome("lost", 5.0, exit_status=-9, peak_rss=5))
    assert (killed.job["exit_status"], killed.attempt["exit_status"], killed.job["result"]) == (-9, -9, None)


def test_a_stop_that_nobody_asked_for_names_the_signal():
    change = after(execution(), outcome("stopped"))
    assert change.attempt["exit_status"] == -signal.SIGTERM
    assert "SIGTERM" in change.job["error_message"]


def test_an_attempt_that_failed_without_a_word_says_at_least_that():
    assert after(execution(3), Outcome("failed")).job["error_message"] == "the attempt failed"
    assert after(execution(3), Outcome("failed", exception_type="Boom")).job["error_message"] == "Boom"


def test_secrets_of_the_parameters_are_masked_and_control_characters_escaped():
    job = execution(parameters={"password": "hunter2!"})
    change = after(
        job,
        outcome(
            "failed", exception_message="not hunter2!\n", traceback="x\n  hunter2!\x1b\n", exception_type="E\n"
        ),
    )
    assert change.job["error_message"] == f"E\\x0a: not {MASK}\\x0a"
    assert change.attempt["exception_message"] == f"not {MASK}\\x0a"
    assert change.attempt["traceback"] == f"x\n  {MASK}\\x1b\n"
    assert "hunter2!" not in change.entries[0].lines()


def test_the_traceback_goes_to_the_file_only():
    record = after(execution(), outcome("failed", traceback="Traceback\n  line\n")).entries[0]
    assert record.message == "ValueError: no (attempt 1 of 4)"
    assert record.details == ["Traceback", "  line"]


KINDS = st.sampled_from(["completed", "failed", "timed_out", "lost", "cancelled", "stopped", "released"])


@given(
    steps=st.lists(st.tuples(KINDS, st.none() | st.floats(0, 100), st.booleans()), max_size=30),
    max_retries=st.integers(0, 5),
)
def test_whatever_happens_retries_never_exceed_their_limit_and_an_asked_job_is_never_pending(steps, max_retries):
    retry, failures = 0, 0
    for kind, retry_in, asked in steps:
        change = after(execution(retry, max_retries), outcome(kind, retry_in), asked)
        retry = change.job["retry_count"]
        assert 0 <= retry <= max_retries
        assert not (asked and change.status == "pending")
        failures += change.attempt["outcome"] in ("failed", "timed_out", "lost")
        assert failures <= max_retries + 1
        if change.status != "pending":
            break
