"""The runner: checks a job once more, calls its method, decides about a retry, reports the outcome.

It knows neither the database nor who called it: the same code runs in a job process, inline in a request
and in the worker of a distributed backend.
"""

from __future__ import annotations

import resource
import sys
import traceback
from typing import Any

from bgjobs.approval import Approval, Approved, JobCall
from bgjobs.custom_logger import console
from bgjobs.exceptions import InvalidParameters, JobCancelled, JobRunnerException, JobTimedOut
from bgjobs.models import NAME_LENGTH
from bgjobs.retry import MOST_RETRIES, checked_seconds
from bgjobs.runner.current_job import CurrentJob, Reporter, as_current
from bgjobs.runner.failure import message_of, traceback_of
from bgjobs.runner.outcome import Execution, Kind, Outcome
from bgjobs.runner.results import kept_result

# getrusage counts kilobytes, on macOS bytes (getrusage(2)).
RSS_UNIT = 1 if sys.platform == "darwin" else 1024


class CustomBackgroundJobRunner:
    """Runs one job. Extend it to set other defaults or another retry logic, and name your class in
    ``BackgroundJobs(app, db, runner=…)`` or ``BGJOBS_RUNNER``."""

    MAX_RETRIES: int = 3
    """Retries after the first attempt."""
    RETRY_DELAY: Any = 5
    """Seconds before a retry; or a list with one value a retry; or a callable that gets the retry's number."""
    approved_classes: Approved = ("bgjobs.example_job.ExampleJob",)
    """The classes that may run: a list of classes or dotted names, or a dict of class to method names."""

    def instantiate(self, job_class: type) -> Any:
        """The object whose method is called. Override it to inject dependencies."""
        return job_class()

    def should_retry(self, job: Execution, exception: BaseException) -> bool:
        """Whether a failed attempt is repeated, while retries are left. The default: always."""
        return True

    def retry_delay_for(self, job: Execution, exception: BaseException) -> float:
        """Seconds until the next attempt. The default: the job's own ``retry_delay``."""
        return job.policy.delay_after(job.retry_count)

    def run(
        self, job: Execution, approval: Approval, reporter: Reporter, *, whole_process: bool = False
    ) -> Outcome:
        """Run ``job`` and say how it went. Raises nothing: whatever the job does is an outcome.

        ``whole_process`` says that the process is the job's own.
        """
        try:
            call = self.validated(job, approval)
        except JobRunnerException as refusal:
            # The row was changed after its dispatch, or the approval withdrawn: no retry would help.
            return _failure("failed", refusal)
        current = CurrentJob(job, reporter)
        try:
            with as_current(current, whole_process=whole_process):
                outcome = self._attempt(job, call, current)
        except (JobCancelled, JobTimedOut) as late:
            # SIGTERM in the instant between the end of the method and here.
            outcome = self._interrupted(job, current) or self._failed(job, late)
        try:
            current.send_last_progress()
        except JobRunnerException as error:  # the outcome matters more
            console.warning("The last progress of job %s is lost: %s", job.id, error)
        return outcome

    def validated(self, job: Execution, approval: Approval) -> JobCall:
        """The call behind a row. The row is not trusted: everything is checked as at the dispatch."""
        if not 0 <= job.retry_count <= job.max_retries <= MOST_RETRIES:
            raise InvalidParameters(f"{job.retry_count} of {job.max_retries}", path="retry_count")
        if isinstance(job.parameters, str):  # the reason why they could not be read
            raise InvalidParameters(job.parameters)
        return approval.call_of_row(job.class_name, job.method_name, job.parameters)

    def _attempt(self, job: Execution, call: JobCall, current: CurrentJob) -> Outcome:
        try:
            returned = call.on(self.instantiate(call.job_class))
        # The edge of the attempt: sys.exit() and KeyboardInterrupt are failures of the job, too.
        except BaseException as exception:  # noqa: BLE001
            return self._interrupted(job, current) or _misfit(call, exception) or self._failed(job, exception)
        result = kept_result(returned, current.result)
        return self._interrupted(job, current) or Outcome("completed", result=result)

    def _interrupted(self, job: Execution, current: CurrentJob) -> Outcome | None:
        """The outcome of a job that was told to stop and did, whatever it made of that."""
        if not current.interrupted:
            return None
        if current.timed_out:
            error = JobTimedOut(job.timeout)
            return _failure("timed_out", error, retry_in=self._retry_in(job, error))
        return Outcome("stopped")

    def _failed(self, job: Execution, exception: BaseException) -> Outcome:
        if isinstance(exception, JobCancelled):
            return Outcome("cancelled")
        return _failure("failed", exception, retry_in=self._retry_in(job, exception))

    def _retry_in(self, job: Execution, exception: BaseException) -> float | None:
        if not job.policy.allows(job.retry_count):
            return None
        try:
            if not self.should_retry(job, exception):
                return None
            return checked_seconds(self.retry_delay_for(job, exception), "retry_delay_for()")
        # A fault in the host's retry logic must not lose the job. No exception texts: that of the job hangs on
        # this one, and it may hold what was masked everywhere else.
        except BaseException as error:  # noqa: BLE001
            console.error(
                "The retry logic of %s failed with %s; the job's retry_delay is used.\n%s",
                type(self).__name__,
                type(error).__name__,
                "".join(traceback.format_tb(error.__traceback__)),
            )
            return job.policy.delay_after(job.retry_count)


def _misfit(call: JobCall, exception: BaseException) -> Outcome | None:
    """The failure of a call that could not begin, because the row or the method was changed since the dispatch.
    No retry would help. Looked at only afterwards: to bind each call twice would cost every job."""
    if isinstance(exception, TypeError):
        try:
            call.check_binding()
        except InvalidParameters as refusal:
            return _failure("failed", refusal)
    return None


def _failure(kind: Kind, exception: BaseException, retry_in: float | None = None) -> Outcome:
    return Outcome(
        kind,
        exception_type=type(exception).__name__[:NAME_LENGTH],
        exception_message=message_of(exception),
        traceback=traceback_of(exception),
        retry_in=retry_in,
    )


def resource_usage() -> tuple[int, float]:
    """Peak memory in bytes and CPU seconds of this process and the children it has waited for."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
    return max(own.ru_maxrss, children.ru_maxrss) * RSS_UNIT, cpu
