"""What an outcome makes of a job: pure, the clock an argument. The store writes what stands here."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bgjobs import custom_logger as wording
from bgjobs.custom_logger import LogEntry
from bgjobs.models import CANCELLED, COMPLETED, FAILED, NAME_LENGTH, PENDING
from bgjobs.redaction import Redactor, escape, escape_lines
from bgjobs.runner.lost import Traces, lost
from bgjobs.runner.outcome import Execution, Outcome

JOB_COLUMNS = (
    "status",
    "updated_at",
    "scheduled_at",
    "retry_count",
    "completed_at",
    "error_message",
    "result",
    "exit_status",
    "peak_rss",
    "cpu_seconds",
)
ATTEMPT_COLUMNS = (
    "ended_at",
    "outcome",
    "exit_status",
    "exception_type",
    "exception_message",
    "traceback",
    "peak_rss",
    "cpu_seconds",
)


@dataclass(frozen=True, slots=True)
class Transition:
    """New values of the columns of ``background_jobs`` and ``job_attempts``, and the records to write."""

    job: dict[str, Any]
    attempt: dict[str, Any]
    entries: list[LogEntry]

    @property
    def status(self) -> str:
        return str(self.job["status"])


def transition(
    job: Execution, outcome: Outcome, *, cancel_requested: bool, now: datetime, redactor: Redactor
) -> Transition:
    """What becomes of ``job``, which is running, by ``outcome``.

    A job that was asked to stop is not run again, however its attempt ended; one that completed all the
    same is completed.
    """
    if outcome.kind == "stopped" and not cancel_requested:
        outcome = lost(job, Traces(-signal.SIGTERM), outcome)  # nobody of ours sent it
    shown = _shown_outcome(outcome, redactor, redactor.secrets(job.parameters))
    kind = shown.kind
    if cancel_requested and kind != "completed":
        kind = "cancelled"
    changes = _on[kind](job, shown, now)
    row = {
        "updated_at": now,
        "scheduled_at": None,  # as it was, but for a retry
        "retry_count": job.retry_count,
        "completed_at": None,
        "error_message": None,
        "result": None,
        "exit_status": shown.exit_status,
        "peak_rss": shown.peak_rss,
        "cpu_seconds": shown.cpu_seconds,
        **changes.job,
    }
    attempt = {
        "ended_at": now,
        "outcome": kind,
        "exit_status": shown.exit_status,
        "exception_type": shown.exception_type,
        "exception_message": shown.exception_message,
        "traceback": shown.traceback,
        "peak_rss": shown.peak_rss,
        "cpu_seconds": shown.cpu_seconds,
    }
    return Transition(row, attempt, changes.entries)


@dataclass(frozen=True, slots=True)
class _Changes:
    job: dict[str, Any]
    entries: list[LogEntry]


def _completed(job: Execution, outcome: Outcome, now: datetime) -> _Changes:
    return _Changes({"status": COMPLETED, "completed_at": now, "result": outcome.result}, [wording.completed(job)])


def _cancelled(job: Execution, outcome: Outcome, now: datetime) -> _Changes:
    return _Changes(
        {"status": CANCELLED, "completed_at": now, "error_message": outcome.error}, [wording.cancelled(job)]
    )


def _released(job: Execution, outcome: Outcome, now: datetime) -> _Changes:
    return _Changes({"status": PENDING}, [wording.released(job)])


def _failed(job: Execution, outcome: Outcome, now: datetime) -> _Changes:
    error = outcome.error or "the attempt failed"
    entries = [wording.failed(job, error, job.retry_count + 1, job.max_retries + 1, outcome.traceback)]
    if outcome.retry_in is None or not job.policy.allows(job.retry_count):
        return _Changes({"status": FAILED, "completed_at": now, "error_message": error}, entries)
    retry = job.retry_count + 1
    entries.append(wording.retry_scheduled(job, retry, job.max_retries, outcome.retry_in))
    return _Changes(
        {
            "status": PENDING,
            "retry_count": retry,
            "scheduled_at": now + timedelta(seconds=outcome.retry_in),
            "error_message": error,
        },
        entries,
    )


_on = {
    "completed": _completed,
    "cancelled": _cancelled,
    "stopped": _cancelled,
    "released": _released,
    "failed": _failed,
    "timed_out": _failed,
    "lost": _failed,
}


def _shown_outcome(outcome: Outcome, redactor: Redactor, secrets: set[str]) -> Outcome:
    """The outcome as it may be stored: secrets masked, texts printable. The job's process wrote it."""

    def line(text: str | None) -> str | None:
        return None if text is None else escape(redactor.text(text, secrets))

    exception_type = line(outcome.exception_type)
    return outcome._replace(
        exception_type=None if exception_type is None else exception_type[:NAME_LENGTH],
        exception_message=line(outcome.exception_message),
        traceback=None if outcome.traceback is None else escape_lines(redactor.text(outcome.traceback, secrets)),
    )
