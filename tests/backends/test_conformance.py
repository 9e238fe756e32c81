"""What every backend does alike. Where one of them cannot, its docstring says so, and a test here does."""

from __future__ import annotations

import os
import platform
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from backend_site import WORK, BackendSite, NotApproved, Work, db

from bgjobs import JobHandle, run_background_job
from bgjobs.exceptions import (
    ClassNotApproved,
    InvalidParameters,
    InvalidTransition,
    JobNotFound,
    JobRunnerException,
    MethodNotApproved,
)
from bgjobs.options import Options, new_job

SUCCESSES, FAILURES = "background_jobs.log", "background_jobs_errors.log"
DISPATCHED = (
    "Background job initiated",
    f"Background job dispatched on {platform.system()} platform",
)


def as_lines(kind: str, method: str, *messages: str) -> list[str]:
    return [f"{kind}: {WORK}::{method} - {message}" for message in messages]


def without_times(lines: list[str]) -> list[str]:
    for line in lines:
        assert re.match(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] ", line)
    return [line[22:] for line in lines]


def in_an_hour(site: BackendSite) -> JobHandle:
    """A job of which no backend was told, so that it is pending with every one of them."""
    job = new_job(
        site.state.approval.call(Work, "double", [1]),
        0,
        Options(run_at=datetime.now(UTC) + timedelta(hours=1)),
        runner=site.state.runner_class,
        settings=site.state.settings,
        now=datetime.now(UTC),
    )
    with site.state.store.changing() as changes:
        (job_id,) = changes.enqueue_all([job])
    return JobHandle(site.state, job_id, "pending", 0)


@pytest.mark.parametrize(
    ("method", "parameters", "result"),
    [
        ("double", {"number": 21}, 42),
        ("double", [4], 8),
        ("total", [1, 2, 3], 6),
        ("greet", {"to": "ada"}, "hello ada"),
        ("greet", {"params": {"to": "bob"}}, "hello bob"),
        ("set_result", None, [1, {"two": None}]),
        ("talk", {}, None),
    ],
)
def test_a_job_is_completed_with_its_result(site: BackendSite, method: str, parameters: Any, result: Any) -> None:
    handle = site.run(method, parameters)
    row = site.row(handle.id)
    assert (handle.status, handle.error_message, row.result) == ("completed", None, result)
    assert (row.retry_count, row.attempt, row.backend) == (0, 1, site.backend)
    assert row.created_at <= row.started_at <= row.completed_at
    (attempt,) = site.attempts(handle.id)
    assert (attempt.number, attempt.outcome, attempt.pid) == (1, "completed", row.pid)
    assert (row.pid == os.getpid()) is (site.backend == "inline")


def test_a_job_runs_in_an_app_context_and_knows_itself(site: BackendSite) -> None:
    handle = site.run("where")
    assert site.row(handle.id).result == {"app": "shop", "job": handle.id, "retry": 0}


def test_a_job_that_fails_is_retried_in_the_same_row(site: BackendSite) -> None:
    handle = site.run("flaky", {"failures": 2}, retry_delay=0)
    row = site.row(handle.id)
    assert (row.status, row.retry_count, row.attempt, row.result) == ("completed", 2, 3, 2)
    assert row.error_message is None
    assert [(item.number, item.outcome) for item in site.attempts(handle.id)] == [
        (1, "failed"),
        (2, "failed"),
        (3, "completed"),
    ]


@pytest.mark.parametrize(
    ("method", "error"), [("fail", "ValueError: no such user"), ("exit", "SystemExit: enough")]
)
def test_a_job_fails_finally_when_its_retries_are_used_up(site: BackendSite, method: str, error: str) -> None:
    handle = site.run(method, max_retries=2, retry_delay=0)
    row = site.row(handle.id)
    assert (handle.status, handle.retry_count, handle.error_message) == ("failed", 2, error)
    assert (row.attempt, row.completed_at is not None) == (3, True)
    assert [item.outcome for item in site.attempts(handle.id)] == ["failed"] * 3
    assert f"{site.attempts(handle.id)[0].exception_type}: " == error[: error.index(":") + 2]


@pytest.mark.parametrize(("retry_count", "attempts"), [(0, 3), (1, 2), (2, 1)])
def test_the_retry_count_is_the_number_of_the_current_retry(
    site: BackendSite, retry_count: int, attempts: int
) -> None:
    handle = site.run("fail", retry_count=retry_count, max_retries=2, retry_delay=0)
    row = site.row(handle.id)
    assert (row.status, row.retry_count, row.attempt) == ("failed", 2, attempts)


def test_the_records_of_a_job_that_is_completed(site: BackendSite) -> None:
    handle = site.run("double", {"number": 1})
    scheduled = f"{site.row(handle.id).scheduled_at:%Y-%m-%dT%H:%M:%S.%fZ}"
    row = (
        f'{{"id":{handle.id},"class_name":"{WORK}","method_name":"double","parameters":{{"number":1}},'
        f'"status":"pending","retry_count":0,"scheduled_at":"{scheduled}"}}'
    )
    told = (*DISPATCHED, row, "Background job started", "Background job completed processing")
    assert without_times(site.new_lines(SUCCESSES, 5)) == as_lines("SUCCESS", "double", *told)
    assert site.new_lines(FAILURES, 0) == []
    assert [(log.type, log.message) for log in handle.logs()] == [("success", message) for message in told]


def test_the_records_of_a_job_that_fails(site: BackendSite) -> None:
    handle = site.run("fail", max_retries=1, retry_delay=0.25)
    first = "ValueError: no such user (attempt 1 of 2)"
    second = "ValueError: no such user (attempt 2 of 2)"
    retry = "Scheduled retry attempt 1 of 1 in 0.25 s"
    lines = without_times(site.new_lines(SUCCESSES, 6))
    assert [*lines[:2], *lines[3:]] == [
        *as_lines("SUCCESS", "fail", *DISPATCHED, "Background job started"),
        *as_lines("INFO", "fail", retry),
        *as_lines("SUCCESS", "fail", "Background job started"),
    ]
    failures = without_times(site.new_lines(FAILURES, 2 * len(_TRACEBACK) + 2))
    head = f"FAILURE: {WORK}::fail"
    traceback = [f"{head} |   {line}" for line in _TRACEBACK]
    shown = [re.sub(r'File ".*", line \d+', "File …", line) for line in failures]
    assert shown == [f"{head} - {first}", *traceback, f"{head} - {second}", *traceback]
    told = [(log.type, log.message) for log in handle.logs()]
    assert told[3:] == [
        ("success", "Background job started"),
        ("failure", first),
        ("info", retry),
        ("success", "Background job started"),
        ("failure", second),
    ]


_TRACEBACK = [
    "Traceback (most recent call last):",
    "  File …, in fail",
    '    raise ValueError("no such user")',
    "ValueError: no such user",
]


def test_what_a_job_says_of_itself(site: BackendSite) -> None:
    handle = site.run("talk")
    row = site.row(handle.id)
    assert (row.progress_done, row.progress_total, row.progress_message) == (2, 4, "two of four")
    assert ("info", "half way") in [(log.type, log.message) for log in handle.logs()]
    assert as_lines("INFO", "talk", "half way")[0] in without_times(site.new_lines(SUCCESSES, 6))


def test_a_pending_job_is_cancelled_and_comes_back_by_hand(site: BackendSite) -> None:
    handle = in_an_hour(site)
    assert handle.cancel().status == "cancelled"
    assert handle.logs()[-1].message == "Background job cancelled"
    with pytest.raises(InvalidTransition):
        handle.cancel()
    site.state.store.retry(handle.id)
    site.state.backend.dispatched([handle.id])
    assert handle.wait(30).status == "completed"
    assert site.row(handle.id).attempt == 1


def test_a_failed_job_that_is_retried_by_hand_has_all_its_retries(site: BackendSite) -> None:
    handle = site.run("fail", max_retries=1, retry_delay=0)
    site.state.store.retry(handle.id)
    site.state.backend.dispatched([handle.id])
    handle.wait(30)
    row = site.row(handle.id)
    assert (row.status, row.retry_count, row.attempt) == ("failed", 1, 4)


def test_a_job_that_has_ended_is_neither_cancelled_nor_retried(site: BackendSite) -> None:
    handle = site.run("double", [1])
    with pytest.raises(InvalidTransition):
        handle.cancel()
    with pytest.raises(InvalidTransition):
        site.state.store.retry(handle.id)
    assert handle.refresh().status == "completed"


def test_a_job_in_the_callers_transaction_runs_after_its_commit(site: BackendSite) -> None:
    with site.app.app_context():
        handle = run_background_job(Work, "double", [3], session=db.session)
        with pytest.raises(JobNotFound):
            handle.refresh()
        db.session.commit()
        assert handle.wait(30).status == "completed"


def test_a_job_in_a_transaction_that_is_rolled_back_never_was(site: BackendSite) -> None:
    before = site.count()
    with site.app.app_context():
        handle = run_background_job(Work, "double", [3], session=db.session)
        db.session.rollback()
        with pytest.raises(JobNotFound):
            handle.refresh()
    assert site.run("double", [1]).status == "completed"
    assert site.count() == before + 1


@pytest.mark.parametrize(
    ("class_name", "method", "parameters", "options", "error"),
    [
        (NotApproved, "work", None, {}, ClassNotApproved),
        ("os", "system", ["true"], {}, ClassNotApproved),
        (WORK, "_private", None, {}, MethodNotApproved),
        (WORK, "__init__", None, {}, MethodNotApproved),
        (WORK, "double", {"wrong": 1}, {}, InvalidParameters),
        (WORK, "double", [1, 2], {}, InvalidParameters),
        (WORK, "double", {"number": float("nan")}, {}, InvalidParameters),
        (WORK, "double", [1], {"retry_count": -1}, InvalidParameters),
        (WORK, "double", [1], {"retry_count": 3, "max_retries": 2}, InvalidParameters),
        (WORK, "double", [1], {"delay": -1}, InvalidParameters),
    ],
)
def test_what_is_refused_leaves_nothing(
    site: BackendSite,
    class_name: Any,
    method: str,
    parameters: Any,
    options: dict[str, Any],
    error: type[JobRunnerException],
) -> None:
    before = site.count()
    with site.app.app_context(), pytest.raises(error):
        run_background_job(class_name, method, parameters, **options)
    assert site.count() == before
    assert site.new_lines(SUCCESSES, 0) == site.new_lines(FAILURES, 0) == []


def test_a_delay_is_waited_for_by_a_supervisor_and_by_nobody_else(site: BackendSite) -> None:
    handle = site.dispatch("double", [1], delay=3600)
    expected = "completed" if site.backend == "inline" else "pending"
    assert handle.refresh().status == expected
    if expected == "pending":
        assert handle.cancel().status == "cancelled"
