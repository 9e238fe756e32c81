"""``current_job``: what a running job can see and say of itself."""

import threading

import pytest
from flask import current_app

from bgjobs import ExampleJob, current_job, run_background_job
from bgjobs.exceptions import InvalidParameters, JobCancelled
from bgjobs.runner import current_job as module
from bgjobs.runner.current_job import CurrentJob, as_current, interrupt_current_job
from bgjobs.runner.outcome import Execution


class Job:
    site = None

    def see(self):
        return {"id": current_job.id, "retry_count": current_job.retry_count, "cancelled": current_job.cancelled}

    def fail_twice(self):
        if current_job.retry_count < 2:
            raise ValueError("not yet")
        return current_job.retry_count

    def progress(self, *steps):
        for step in steps:
            current_job.progress(*step)

    def log(self, message):
        current_job.log(message)
        current_job.log(f"and {message}")

    def assign(self, value, returned=None):
        current_job.result = value
        assert current_job.result == value
        return returned

    def assign_something_else(self):
        current_job.result = {1, 2}

    def give_back(self, what):
        return {"object": object(), "tuple": (1, 2), "huge": "x" * 100_000, "NaN": float("nan")}[what]

    def cancel_oneself(self, notice):
        Job.site.state.store.cancel(current_job.id)
        assert current_job.cancelled is True
        assert current_job.cancelled is True
        if notice == "raise":
            raise JobCancelled
        if notice == "fail":
            raise ValueError("interrupted in the middle")
        return "finished all the same"

    def which_app(self):
        return current_app.name

    def from_a_thread(self):
        found = []
        thread = threading.Thread(target=lambda: found.append(bool(module._of_context.get())))
        thread.start()
        thread.join()
        return found

    def nested(self):
        before = current_job.id
        inner = run_background_job(Job, "see").refresh()
        assert inner.status == "completed"
        return [before == current_job.id, inner.id == current_job.id + 1]


@pytest.fixture(scope="module")
def site(make_site):
    Job.site = make_site(Job)
    return Job.site


def run(site, method, *parameters, **options):
    handle = site.dispatch(Job, method, list(parameters), **options)
    return handle, site.row(handle.id)


@pytest.mark.parametrize(
    "use", [lambda: current_job.id, lambda: current_job.log("x"), lambda: current_job.progress(1)]
)
def test_outside_of_a_job_there_is_none(use):
    with pytest.raises(RuntimeError, match="Working outside of a job"):
        use()


def test_outside_of_a_job_it_can_be_asked_whether_there_is_one(site):
    assert not current_job
    run(site, "see")
    assert not current_job


def test_a_job_knows_its_id_and_its_retry(site):
    handle, row = run(site, "see", retry_count=2)
    assert row.result == {"id": handle.id, "retry_count": 2, "cancelled": False}


def test_each_attempt_sees_the_number_of_its_retry(site):
    handle, row = run(site, "fail_twice")
    assert (row.status, row.result, len(site.attempts(handle.id))) == ("completed", 2, 3)


def test_a_job_runs_in_the_context_of_its_application(site):
    assert run(site, "which_app")[1].result == "site_of_a_test"


def test_a_job_inside_a_job_leaves_the_outer_one_current(site):
    assert run(site, "nested")[1].result == [True, True]


# -- progress -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "kept"),
    [
        ([[1, 2, "half"]], (1, 2, "half")),
        ([[5]], (5, None, None)),
        ([[0.5, 1.0]], (0.5, 1.0, None)),
        ([[1, 3], [2, 3], [3, 3, "done"]], (3, 3, "done")),  # the last word stays, throttled or not
        ([[0, 0]], (0, 0, None)),
        ([[-1, -2]], (-1, -2, None)),
    ],
)
def test_progress_is_kept_with_the_job(site, steps, kept):
    row = run(site, "progress", *steps)[1]
    assert (row.progress_done, row.progress_total, row.progress_message) == kept


def test_the_progress_of_the_attempt_before_is_gone(site):
    handle, _ = run(site, "progress", [1, 2, "half"])
    site.query("UPDATE background_jobs SET status = 'failed' WHERE id = ?", handle.id)
    site.state.store.retry(handle.id)
    assert site.row(handle.id).progress_done is None


@pytest.mark.parametrize(
    "value", ["5", None, True, [], float("nan"), float("inf"), -float("inf"), 10**400, 2**70, 1j, object()]
)
@pytest.mark.parametrize("which", ["done", "total"])
def test_progress_is_in_numbers_that_can_be_stored(which, value):
    reporter = Listener()
    job = CurrentJob(an_execution(), reporter)
    if which == "total" and value is None:
        return
    with pytest.raises(InvalidParameters, match=f"progress {which}"):
        job.progress(**{"done": 1, which: value})
    assert reporter.heard == []


def test_a_tight_loop_is_passed_on_five_times_a_second_and_the_last_word_too(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    reporter = Listener()
    job = CurrentJob(an_execution(), reporter)
    for step in range(1000):
        job.progress(step, 1000)
        clock[0] += 0.001
    job.send_last_progress()
    job.send_last_progress()
    assert len(reporter.heard) == 6
    assert reporter.heard[0] == ("progress", 0, 1000, None)
    assert reporter.heard[-1] == ("progress", 999, 1000, None)


def test_a_long_message_is_shortened():
    reporter = Listener()
    CurrentJob(an_execution(), reporter).progress(1, 2, "x" * 5000)
    assert len(reporter.heard[0][3]) < 1100


# -- log ----------------------------------------------------------------------------------------------


def test_what_a_job_logs_is_in_its_story_and_in_the_file(site):
    handle, _ = run(site, "log", "half way")
    assert site.story(handle.id)[4:6] == [("info", "half way"), ("info", "and half way")]
    assert "INFO: test_current_job.Job::log - half way\n" in site.log()


# -- result -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0, False, "", [], {}, "text", 1.5, {"a": [None]}])
def test_what_a_job_assigns_is_its_result(site, value):
    assert run(site, "assign", value)[1].result == value


def test_what_a_job_returns_goes_before_what_it_assigned(site):
    assert run(site, "assign", "assigned", "returned")[1].result == "returned"
    assert run(site, "assign", "assigned", False)[1].result is False


def test_what_cannot_be_a_result_is_refused_where_it_is_assigned(site):
    _, row = run(site, "assign_something_else", max_retries=0)
    assert row.status == "failed"
    assert row.error_message.startswith("InvalidParameters: result: a set is not JSON")


@pytest.mark.parametrize(
    ("value", "path"),
    [({1}, "result"), ([{1}], "result[0]"), ({"a": [float("nan")]}, "result.a[0]"), ("x" * 70_000, "result")],
)
def test_the_refusal_of_a_result_names_the_place(value, path):
    job = CurrentJob(an_execution(), Listener())
    with pytest.raises(InvalidParameters) as refused:
        job.result = value
    assert refused.value.path == path


@pytest.mark.parametrize("what", ["object", "tuple", "huge", "NaN"])
def test_a_return_value_that_is_no_json_is_no_error_and_no_result(site, what):
    _, row = run(site, "give_back", what)
    assert (row.status, row.result) == ("completed", None)


# -- cancelled ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("notice", ["raise", "return", "fail"])
def test_a_job_that_sees_that_it_was_cancelled_ends_cancelled(site, notice):
    handle, row = run(site, "cancel_oneself", notice)
    assert (row.status, row.retry_count) == ("cancelled", 0)
    assert [attempt["outcome"] for attempt in site.attempts(handle.id)] == ["cancelled"]
    assert site.story(handle.id)[-1] == ("info", "Background job cancelled")


def test_an_interrupted_job_that_never_looks_is_raised_out_of():
    job = CurrentJob(an_execution(), Listener())
    with as_current(job, whole_process=True), pytest.raises(JobCancelled):
        interrupt_current_job()
    interrupt_current_job()  # nobody is there any more


def test_an_interrupted_job_that_looks_is_left_to_end_by_itself():
    job = CurrentJob(an_execution(), Listener())
    with as_current(job, whole_process=True):
        assert current_job.cancelled is False
        interrupt_current_job()
        assert current_job.cancelled is True


def test_in_a_process_of_its_own_a_job_is_found_from_its_threads():
    job, found = CurrentJob(an_execution(), Listener()), []
    for whole_process in (True, False):
        with as_current(job, whole_process=whole_process):
            thread = threading.Thread(target=lambda: found.append(bool(current_job)))
            thread.start()
            thread.join()
    assert found == [True, False]


class Listener:
    def __init__(self):
        self.heard = []

    def progress(self, *values):
        self.heard.append(("progress", *values))

    def log(self, message):
        self.heard.append(("log", message))

    def cancel_requested(self):
        return False


def an_execution():
    return Execution(1, "app.Job", "run", {}, 0, 3, 5.0, None, "t", 1)


# -- the example job ----------------------------------------------------------------------------------

HARMLESS = [
    ("run", {"anything": "\x1b[2J"}, "completed"),
    ("run", [1, [2]], "completed"),
    ("slow", {"seconds": 0, "steps": 3}, "completed"),
    ("slow", {"seconds": -5, "steps": 0}, "completed"),
    ("flaky", {"failures": 2}, "completed"),
    ("flaky", {"failures": 9}, "failed"),
    ("fail", {"message": "{} %s"}, "failed"),
    ("crash", {}, "failed"),  # inline it must not take the caller with it
]


@pytest.mark.parametrize(("method", "parameters", "status"), HARMLESS)
def test_the_example_job_shows_each_way_a_job_can_go(site, method, parameters, status):
    assert site.dispatch(ExampleJob, method, parameters).status == status
