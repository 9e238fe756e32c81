"""``current_job``: the job's view of itself, found like ``flask.current_app``."""

from __future__ import annotations

import time
from contextvars import ContextVar, Token
from typing import Any, Protocol

from werkzeug.local import LocalProxy

from bgjobs.exceptions import InvalidParameters, JobCancelled, JobTimedOut
from bgjobs.redaction import shorten
from bgjobs.runner.outcome import Execution
from bgjobs.runner.results import checked_result

# A job in a tight loop may report a million times a second; nobody looks more often than this.
PROGRESS_INTERVAL = 0.2
MESSAGE_LIMIT = 1000


class Reporter(Protocol):
    """Where a running job's words go: the supervisor, or the database where there is none."""

    def progress(self, done: float, total: float | None, message: str | None) -> None: ...
    def log(self, message: str) -> None: ...
    def cancel_requested(self) -> bool: ...


class CurrentJob:
    """The running job. Reached as ``current_job``, from the job's method and what it calls."""

    def __init__(self, execution: Execution, reporter: Reporter) -> None:
        self._execution = execution
        self._reporter = reporter
        self._result: Any = None
        self._next_report = 0.0
        self._unsent_progress: tuple[float, float | None, str | None] | None = None
        self.interrupted = False
        self._looks_at_cancelled = False
        self._deadline = _deadline(execution.timeout)

    @property
    def id(self) -> int:
        """The id of the job, the same in every retry."""
        return self._execution.id

    @property
    def retry_count(self) -> int:
        """The number of the current retry; 0 in the first attempt."""
        return self._execution.retry_count

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked the job to stop.

        A job that looks here is left to stop by itself (until the grace period ends); one that never
        looks is interrupted by :class:`~bgjobs.exceptions.JobCancelled`.
        """
        self._looks_at_cancelled = True
        self.interrupted = self.interrupted or self._reporter.cancel_requested()
        return self.interrupted

    def interrupt(self) -> None:
        """What SIGTERM does: raise :class:`JobCancelled` or :class:`JobTimedOut` in the job, unless it
        looks at ``cancelled``. Called from the signal handler, so in the main thread."""
        self.interrupted = True
        if not self._looks_at_cancelled:
            raise JobTimedOut(self._execution.timeout) if self.timed_out else JobCancelled

    @property
    def timed_out(self) -> bool:
        """Whether the job has run as long as its timeout."""
        return self._deadline is not None and time.monotonic() >= self._deadline

    def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Say how far the job is: ``done`` of ``total`` (None: unknown), with a message of up to 1,000
        characters. Call it as often as you like: it is passed on five times a second at the most."""
        for name, value in (("done", done), ("total", 0 if total is None else total)):
            # NaN compares false, and what is beyond 64 bits no database takes.
            if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 2**63:
                raise InvalidParameters("must be a number of up to 64 bits", path=f"progress {name}")
        text = None if message is None else shorten(str(message), MESSAGE_LIMIT)
        self._unsent_progress = (done, total, text)
        if time.monotonic() >= self._next_report:
            self.send_last_progress()
            self._next_report = time.monotonic() + PROGRESS_INTERVAL

    def send_last_progress(self) -> None:
        """Pass on what was held back, at the end if not before: the last word is the one that stays."""
        if self._unsent_progress is not None:
            self._reporter.progress(*self._unsent_progress)
            self._unsent_progress = None

    def log(self, message: str) -> None:
        """Write an INFO line to the story of this job: ``job_logs`` and ``background_jobs.log``."""
        self._reporter.log(shorten(str(message)))

    @property
    def result(self) -> Any:
        """What the job is to leave as its result: a JSON value of up to 64 KiB. What the method returns
        takes its place where that is not None."""
        return self._result

    @result.setter
    def result(self, value: Any) -> None:
        self._result = checked_result(value)


def _deadline(timeout: float | None) -> float | None:
    """When SIGTERM means "too long". A little early, because the supervisor's clock started before ours;
    a cancellation in that moment is told from it by the row."""
    return None if timeout is None else time.monotonic() + timeout - min(1.0, timeout / 2)


_of_context: ContextVar[CurrentJob | None] = ContextVar("bgjobs.current_job", default=None)
# A process of its own has one job at a time, so threads that the job starts find it here.
_of_process: CurrentJob | None = None


def interrupt_current_job() -> None:
    """Interrupt the job of this process, if one is being run."""
    if _of_process is not None:
        _of_process.interrupt()


def _find() -> CurrentJob:
    job = _of_context.get() or _of_process
    if job is None:
        raise RuntimeError(
            "Working outside of a job.\n\ncurrent_job stands for the job that is being run. "
            "Read it in the method that run_background_job() was given, or in what that calls."
        )
    return job


current_job: CurrentJob = LocalProxy(_find)  # type: ignore[assignment]


class as_current:  # noqa: N801 - used like a function
    """Make ``job`` the current one in the block, for every thread where the process is the job's own."""

    __slots__ = ("_job", "_token", "_whole_process")
    _token: Token[CurrentJob | None]

    def __init__(self, job: CurrentJob, *, whole_process: bool) -> None:
        self._job = job
        self._whole_process = whole_process

    def __enter__(self) -> CurrentJob:
        global _of_process
        self._token = _of_context.set(self._job)
        if self._whole_process:
            _of_process = self._job
        return self._job

    def __exit__(self, *raised: object) -> None:
        global _of_process
        _of_context.reset(self._token)
        if self._whole_process:
            _of_process = None
