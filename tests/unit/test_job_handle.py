"""``run_background_job`` returns a handle: what it shows, how it waits, and what it needs around it."""

import inspect
import threading
import time
from datetime import UTC, datetime

import pytest
from flask import Flask

from bgjobs import ExampleJob, JobHandle, run_background_job
from bgjobs.exceptions import ConfigurationError, InvalidTransition, JobNotFound, JobWaitTimeout
from bgjobs.models import JobLog
from bgjobs.runner.outcome import Outcome

SEAT = {"host": "h", "boot_id": "b", "pid_namespace": "n", "pid": 4711, "process_started": "99"}


class Job:
    def run(self):
        return "done"

    def fail(self):
        raise ValueError("no such user")


@pytest.fixture(scope="module")
def site(make_site):
    """Jobs run at once."""
    return make_site(Job)


@pytest.fixture(scope="module")
def waiting(make_site):
    """Jobs stay pending."""
    return make_site(Job, backend="local")


def test_the_helper_has_the_names_and_the_order_of_the_contract():
    parameters = inspect.signature(run_background_job).parameters
    assert list(parameters) == [
        "class_name",
        "method_name",
        "parameters",
        "retry_count",
        "delay",
        "run_at",
        "queue",
        "priority",
        "max_retries",
        "retry_delay",
        "timeout",
        "session",
        "memory",
        "nice",
        "output_max",
    ]
    positional = [name for name, item in parameters.items() if item.kind is item.POSITIONAL_OR_KEYWORD]
    assert positional == ["class_name", "method_name", "parameters", "retry_count"]
    assert {name: item.default for name, item in parameters.items() if name not in positional} == dict.fromkeys(
        list(parameters)[4:]
    )
    assert parameters["retry_count"].default == 0


def test_the_call_of_the_seeds_works_by_position_and_by_name(site):
    for arguments, named in [
        ((ExampleJob, "run", {"key": "value"}, 3), {}),
        ((), {"class_name": ExampleJob, "method_name": "run", "parameters": {"key": "value"}, "retry_count": 3}),
    ]:
        handle = site.dispatch(*arguments, **named)
        assert (handle.status, handle.retry_count) == ("completed", 3)


def test_a_new_handle_shows_a_pending_job(waiting):
    with waiting.app.app_context():
        handle = run_background_job(Job, "run", retry_count=1)
    assert isinstance(handle, JobHandle)
    assert (handle.status, handle.retry_count, handle.error_message) == ("pending", 1, None)
    assert handle.id == waiting.query("SELECT max(id) FROM background_jobs")[0][0]
    assert str(handle) == f"{handle}" == str(handle.id)
    assert repr(handle) == f"<JobHandle {handle.id} pending>"


def test_a_handle_shows_how_a_failed_job_ended(site):
    handle = site.dispatch(Job, "fail", max_retries=2)
    assert (handle.status, handle.retry_count) == ("failed", 2)
    assert handle.error_message == "ValueError: no such user"


def test_a_handle_keeps_what_it_read_until_it_is_refreshed(waiting):
    handle = waiting.dispatch(Job, "run")
    waiting.query("UPDATE background_jobs SET status = 'completed' WHERE id = ?", handle.id)
    assert handle.status == "pending"
    assert handle.refresh() is handle
    assert handle.status == "completed"


def test_a_handle_works_outside_of_the_application_context(site):
    handle = site.dispatch(Job, "run")
    assert handle.refresh().wait(1).logs()


def test_the_logs_are_records_the_oldest_first(site):
    handle = site.dispatch(Job, "run")
    records = handle.logs()
    assert all(isinstance(record, JobLog) for record in records)
    assert [record.message for record in records][:2] == ["Background job initiated", records[1].message]
    assert records[-1].message == "Background job completed processing"
    assert [record.type for record in records] == ["success"] * 5
    assert records[0].background_job_id == handle.id
    assert abs((datetime.now(UTC) - records[0].created_at).total_seconds()) < 60


def test_a_handle_of_a_job_that_was_removed_says_so(site):
    handle = site.dispatch(Job, "run")
    site.query("DELETE FROM background_jobs WHERE id = ?", handle.id)
    for action in (handle.refresh, handle.wait, handle.cancel):
        with pytest.raises(JobNotFound) as refused:
            action()
        assert refused.value.job_id == handle.id


# -- wait ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [0, 0.05, -1])
def test_waiting_ends_with_its_timeout_and_the_job_goes_on(waiting, timeout):
    handle = waiting.dispatch(Job, "run")
    started = time.monotonic()
    with pytest.raises(JobWaitTimeout, match=f"still pending after {timeout:g} s") as over:
        handle.wait(timeout)
    assert time.monotonic() - started < max(timeout, 0) + 0.5
    assert (over.value.job_id, over.value.status, over.value.timeout) == (handle.id, "pending", timeout)
    assert handle.refresh().status == "pending"


@pytest.mark.parametrize("kind", ["completed", "failed", "cancelled"])
def test_waiting_ends_when_the_job_ends(waiting, kind):
    handle = waiting.dispatch(Job, "run")

    def end():
        with waiting.state.store.changing() as changes:
            (execution,) = changes.claim([SEAT], backend="local", job_ids=[handle.id])
        with waiting.state.store.changing() as changes:
            changes.finish([(execution, Outcome(kind, exception_type="E" if kind == "failed" else None))])

    timer = threading.Timer(0.2, end)
    timer.start()
    assert handle.wait(20) is handle
    timer.join()
    assert handle.status == kind
    assert handle.error_message == ("E" if kind == "failed" else None)


def test_waiting_goes_on_over_a_retry(waiting):
    handle = waiting.dispatch(Job, "run", max_retries=1, retry_delay=0)

    def fail_once():
        with waiting.state.store.changing() as changes:
            (execution,) = changes.claim([SEAT], backend="local", job_ids=[handle.id])
            changes.finish([(execution, Outcome("failed", exception_type="E", retry_in=0.0))])

    fail_once()
    with pytest.raises(JobWaitTimeout):
        handle.wait(0.05)
    assert (handle.retry_count, handle.error_message) == (1, "E")
    fail_once()
    assert handle.wait(0.05).status == "failed"


def test_waiting_for_what_has_ended_returns_at_once(site):
    handle = site.dispatch(Job, "run")
    started = time.monotonic()
    handle.wait()
    handle.wait(0)
    assert time.monotonic() - started < 0.5


# -- cancel -------------------------------------------------------------------------------------------


def test_cancelling_a_pending_job(waiting):
    handle = waiting.dispatch(Job, "run")
    assert handle.cancel() is handle
    assert handle.status == "cancelled"
    assert handle.wait(0).status == "cancelled"
    with pytest.raises(InvalidTransition):
        handle.cancel()


def test_cancelling_what_has_ended_changes_nothing(site):
    handle = site.dispatch(Job, "run")
    with pytest.raises(InvalidTransition, match="is completed, so it cannot be cancelled"):
        handle.cancel()
    assert handle.refresh().status == "completed"


# -- what is around a dispatch ------------------------------------------------------------------------


def test_outside_of_an_application_context_flasks_own_error_says_so():
    with pytest.raises(RuntimeError, match="outside of application context"):
        run_background_job(ExampleJob, "run")


def test_in_a_request_the_application_is_there(site):
    site.app.add_url_rule("/", "index", lambda: str(run_background_job(Job, "run")))
    response = site.app.test_client().get("/")
    assert site.row(int(response.text)).status == "completed"


def test_an_application_without_the_extension_says_what_to_call():
    with Flask("a_site").app_context(), pytest.raises(ConfigurationError, match=r"jobs\.init_app\(app, db\)"):
        run_background_job(ExampleJob, "run")


def test_nothing_is_started_where_autostart_is_off(waiting):
    waiting.dispatch(Job, "run")
    folder = waiting.folder / "bgjobs"
    assert not list(folder.rglob("supervisor.*"))
    assert not list(folder.rglob("doorbell*"))


def test_two_applications_keep_their_jobs_apart(make_site):
    one, other = make_site(Job), make_site(Job)
    one.dispatch(Job, "run")
    one.dispatch(Job, "run")
    other.dispatch(Job, "run")
    assert (one.count(), other.count()) == (2, 1)
    assert other.log().count("initiated") == 1


def test_the_caller_may_be_in_a_transaction_that_reads(site):
    with site.app.app_context():
        site.db.session.execute(site.db.text("SELECT 1"))
        assert run_background_job(Job, "run").refresh().status == "completed"
