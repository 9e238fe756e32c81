"""The runner: its hooks, what it makes of whatever leaves a job's method, and that it raises nothing itself."""

import contextlib
import json
import logging
import signal
import sys

import pytest

from bgjobs import CustomBackgroundJobRunner, current_job
from bgjobs.approval import Approval
from bgjobs.exceptions import BackendUnavailable, JobCancelled, JobTimedOut
from bgjobs.runner.current_job import interrupt_current_job
from bgjobs.runner.outcome import Execution, Outcome


class Leaving(BaseException):
    pass


class Boom(Exception):
    pass


RAISED = {
    "an exception": Boom("x"),
    "sys.exit()": SystemExit(),
    "sys.exit(0)": SystemExit(0),
    "sys.exit('text')": SystemExit("text"),
    "KeyboardInterrupt": KeyboardInterrupt(),
    "GeneratorExit": GeneratorExit(),
    "BaseException": Leaving("x"),
    "MemoryError": MemoryError(),
    "RecursionError": RecursionError("deep"),
    "StopIteration": StopIteration(5),
    "a group": BaseExceptionGroup("several", [KeyboardInterrupt(), Boom("x")]),
    "TypeError": TypeError("its own"),
    "our own error": BackendUnavailable("x"),
}


class Job:
    def __init__(self, dependency="none"):
        self.dependency = dependency

    def run(self):
        return self.dependency

    def fail(self, what="an exception"):
        raise RAISED[what]

    def bare_exit(self):
        sys.exit(3)

    def recurse(self):
        return self.recurse()

    def stop(self):
        raise JobCancelled

    def late(self):
        raise JobTimedOut(5)


class NeedsArguments:
    def __init__(self, mailer):
        self.mailer = mailer

    def run(self):
        return self.mailer


class FailsToStart:
    def __init__(self):
        raise Boom("in __init__")

    def run(self):
        pass


def execution(method="run", retry_count=0, max_retries=3, **changes):
    values = {"parameters": {}, "retry_delay": [1.0, 2.0, 3.0], "timeout": None, "token": "t", "attempt": 1}
    return Execution(
        1, "test_runner.Job", method, retry_count=retry_count, max_retries=max_retries, **{**values, **changes}
    )


class Reporter:
    def __init__(self):
        self.said = []

    def progress(self, *values):
        self.said.append(values)

    def log(self, message):
        self.said.append(message)

    def cancel_requested(self):
        return False


def run(job, runner=CustomBackgroundJobRunner, reporter=None, **options):
    approval = Approval()
    approval.add([Job, NeedsArguments, FailsToStart, Interrupted])
    return runner().run(job, approval, reporter or Reporter(), **options)


# -- what leaves a method -----------------------------------------------------------------------------


@pytest.mark.parametrize("what", RAISED)
def test_whatever_leaves_the_method_is_a_failed_attempt_that_is_repeated(what):
    outcome = run(execution("fail", parameters=[what]))
    assert (outcome.kind, outcome.retry_in) == ("failed", 1.0)
    assert outcome.exception_type == type(RAISED[what]).__name__
    assert "in fail" in outcome.traceback


@pytest.mark.parametrize("what", ["sys.exit()", "KeyboardInterrupt", "BaseException", "a group"])
def test_inline_the_caller_survives_it_and_the_job_fails(make_site, what):
    site = make_site(Job)
    handle = site.dispatch(Job, "fail", [what], max_retries=1)
    assert (handle.status, handle.retry_count) == ("failed", 1)
    assert handle.error_message.startswith(type(RAISED[what]).__name__)


@pytest.mark.parametrize("parameters", [{"that": "x"}, {"what": "x", "other": 1}, ["x", "y"]])
def test_parameters_that_fit_no_longer_are_a_failure_without_a_retry(parameters):
    outcome = run(execution("fail", parameters=parameters))
    assert (outcome.kind, outcome.retry_in) == ("failed", None)
    assert outcome.exception_type == "InvalidParameters"
    assert "test_runner.Job::fail" in outcome.exception_message


def test_a_type_error_of_the_method_itself_is_repeated():
    outcome = run(execution("fail", parameters=["TypeError"]))
    assert (outcome.kind, outcome.retry_in, outcome.exception_type) == ("failed", 1.0, "TypeError")


def test_an_exit_with_a_code_says_the_code():
    outcome = run(execution("bare_exit"))
    assert (outcome.kind, outcome.exception_type, outcome.exception_message) == ("failed", "SystemExit", "3")


def test_an_endless_recursion_is_a_failed_attempt():
    outcome = run(execution("recurse"))
    assert outcome.exception_type == "RecursionError"
    assert len(outcome.traceback) < 10_000


def test_a_job_may_cancel_itself():
    assert run(execution("stop")) == Outcome("cancelled")


def test_a_timeout_error_of_the_jobs_own_is_a_failure_like_any_other():
    assert run(execution("late")).kind == "failed"


def test_no_retry_is_left_after_the_last():
    assert run(execution("fail", retry_count=3)).retry_in is None


# -- the hooks ----------------------------------------------------------------------------------------


class Injecting(CustomBackgroundJobRunner):
    def instantiate(self, job_class):
        return job_class("a mailer")


def test_instantiate_makes_the_object_and_may_inject_what_it_needs():
    assert run(execution("run"), Injecting).result == "a mailer"
    assert run(execution("run")).result == "none"
    needy = Execution(1, "test_runner.NeedsArguments", "run", {}, 0, 3, 5.0, None, "t", 1)
    assert run(needy, Injecting).result == "a mailer"
    assert run(needy).exception_type == "TypeError"


def test_a_class_that_fails_to_start_is_a_failed_attempt():
    job = Execution(1, "test_runner.FailsToStart", "run", {}, 0, 3, 5.0, None, "t", 1)
    outcome = run(job)
    assert (outcome.kind, outcome.exception_message, outcome.retry_in) == ("failed", "in __init__", 5.0)


class Choosy(CustomBackgroundJobRunner):
    asked = []

    def should_retry(self, job, exception):
        self.asked.append((job.retry_count, type(exception).__name__))
        return not isinstance(exception, Boom)

    def retry_delay_for(self, job, exception):
        return 10 * (job.retry_count + 1)


def test_the_hooks_decide_about_the_retry():
    Choosy.asked.clear()
    assert run(execution("fail", parameters=["an exception"]), Choosy).retry_in is None
    assert run(execution("fail", parameters=["MemoryError"], retry_count=2), Choosy).retry_in == 30
    assert Choosy.asked == [(0, "Boom"), (2, "MemoryError")]


def test_the_hooks_are_not_asked_when_no_retry_is_left():
    Choosy.asked.clear()
    assert run(execution("fail", retry_count=3), Choosy).retry_in is None
    assert Choosy.asked == []


def test_the_hooks_work_through_a_whole_dispatch(make_site):
    site = make_site(Job, runner_class=Choosy)
    refused = site.dispatch(Job, "fail", ["an exception"])
    repeated = site.dispatch(Job, "fail", ["MemoryError"], max_retries=2)
    assert (refused.status, refused.retry_count, len(site.attempts(refused.id))) == ("failed", 0, 1)
    assert (repeated.status, repeated.retry_count, len(site.attempts(repeated.id))) == ("failed", 2, 3)
    assert ("info", "Scheduled retry attempt 2 of 2 in 20 s") in site.story(repeated.id)


@pytest.mark.parametrize("hook", ["should_retry", "retry_delay_for"])
@pytest.mark.parametrize("error", [Boom("in the hook"), SystemExit(1), KeyboardInterrupt(), Leaving()], ids=repr)
def test_a_hook_that_raises_does_not_lose_the_job(hook, error, caplog):
    def broken(self, job, exception):
        raise error

    with caplog.at_level(logging.ERROR, "bgjobs"):
        outcome = run(
            execution("fail", retry_count=1), type("Broken", (CustomBackgroundJobRunner,), {hook: broken})
        )
    assert (outcome.kind, outcome.exception_type, outcome.retry_in) == ("failed", "Boom", 2.0)
    assert f"The retry logic of Broken failed with {type(error).__name__}" in caplog.text


@pytest.mark.parametrize("value", [None, "5", -1, float("nan"), float("inf"), True, 10**400, [5]])
def test_a_delay_that_cannot_be_is_replaced_by_the_jobs_own(value, caplog):
    runner = type("Broken", (CustomBackgroundJobRunner,), {"retry_delay_for": lambda self, job, exception: value})
    assert run(execution("fail"), runner).retry_in == 1.0
    assert "retry logic" in caplog.text


# -- the check before the run -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"retry_count": -1},
        {"retry_count": 4},
        {"max_retries": 10**9},
        {"parameters": "text"},
        {"parameters": None},
        {"parameters": {"a": float("nan")}},
        {"method": "_private"},
        {"method": "missing"},
    ],
    ids=str,
)
def test_a_row_that_is_refused_fails_without_a_retry_and_without_a_call(changes):
    outcome = run(execution(**changes), Injecting)
    assert (outcome.kind, outcome.retry_in, outcome.result) == ("failed", None, None)
    assert outcome.exception_type in ("InvalidParameters", "MethodNotApproved")


# -- interruption -------------------------------------------------------------------------------------


class Interrupted:
    def unaware(self):
        interrupt_current_job()

    def aware(self):
        assert not current_job.cancelled
        interrupt_current_job()
        return "wound up"

    def stubborn(self):
        with contextlib.suppress(JobCancelled):
            interrupt_current_job()
        return "finished all the same"

    def cleans_up(self):
        try:
            interrupt_current_job()
        finally:
            current_job.log("cleaned up")


@pytest.mark.parametrize("method", ["unaware", "aware", "stubborn", "cleans_up"])
def test_a_job_that_is_told_to_stop_reports_that_it_was(method):
    reporter = Reporter()
    job = Execution(1, "test_runner.Interrupted", method, {}, 0, 3, 5.0, None, "t", 1)
    assert run(job, reporter=reporter, whole_process=True).kind == "stopped"
    assert reporter.said == (["cleaned up"] if method == "cleans_up" else [])


def test_a_job_that_ran_as_long_as_its_timeout_has_timed_out_and_is_repeated():
    job = Execution(1, "test_runner.Interrupted", "unaware", {}, 0, 3, 5.0, 1e-9, "t", 1)
    outcome = run(job, whole_process=True)
    assert (outcome.kind, outcome.exception_type, outcome.retry_in) == ("timed_out", "JobTimedOut", 5.0)


def test_a_signal_that_comes_when_the_method_is_over_still_counts(monkeypatch):
    from bgjobs.runner import custom_background_job_runner as module

    real = module.kept_result

    def just_then(*values):
        interrupt_current_job()
        return real(*values)

    monkeypatch.setattr(module, "kept_result", just_then)
    assert run(execution("run"), whole_process=True).kind == "stopped"


# -- reporting ----------------------------------------------------------------------------------------


class Progressing:
    def run(self):
        current_job.progress(1, 3)
        current_job.progress(2, 3)
        return "done"


def test_a_last_word_that_cannot_be_passed_on_does_not_change_how_the_job_ended(caplog):
    class Deaf(Reporter):
        def progress(self, *values):
            if self.said:
                raise BackendUnavailable("locked")
            super().progress(*values)

    approval = Approval()
    approval.add([Progressing])
    job = Execution(1, "test_runner.Progressing", "run", {}, 0, 3, 5.0, None, "t", 1)
    assert CustomBackgroundJobRunner().run(job, approval, Deaf()) == Outcome("completed", result="done")
    assert "last progress of job 1 is lost" in caplog.text


def test_an_outcome_crosses_a_channel_and_comes_back_the_same():
    for outcome in (
        Outcome("completed", result={"a": [1, None]}),
        Outcome("completed", result=False),
        Outcome("failed", exception_type="E", exception_message="", traceback="t", retry_in=0.0),
        Outcome("lost", exit_status=-signal.SIGKILL, peak_rss=1, cpu_seconds=0.0),
    ):
        assert Outcome.from_json(json.loads(json.dumps(outcome.to_json()))) == outcome


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"kind": "exploded"},
        {"kind": None},
        {"kind": ["failed"]},
        {"kind": "completed", "more": 1},
        {"x": 1},
        [],
        "text",
        5,
    ],
)
def test_what_is_no_outcome_is_a_failure(data):
    outcome = Outcome.from_json(data)
    assert (outcome.kind, outcome.retry_in) == ("failed", None)
    assert "no outcome" in outcome.exception_message


def test_a_runner_that_cannot_be_made_leaves_the_job_pending(make_site):
    class Broken(CustomBackgroundJobRunner):
        def __init__(self):
            raise Boom("no runner")

    site = make_site(Job, runner_class=Broken)
    with pytest.raises(Boom):
        site.dispatch(Job, "run")
    assert site.query("SELECT status FROM background_jobs") == [("pending",)]
