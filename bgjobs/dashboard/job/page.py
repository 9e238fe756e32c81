"""The page of one job as the template shows it: plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row

from bgjobs.app_state import AppState
from bgjobs.dashboard import formats
from bgjobs.dashboard.facts import Fact
from bgjobs.dashboard.formats import Badge, Moment
from bgjobs.dashboard.job.queries import JobStory
from bgjobs.dashboard.job.transcript import Transcript, size_of, tail
from bgjobs.dashboard.progress.words import Progress, progress_of
from bgjobs.models import CANCELLED, FAILED, PENDING, RUNNING
from bgjobs.redaction import Redactor, escape_lines, shorten
from bgjobs.runner.lost import describe_exit
from bgjobs.state_folder import StateFolder

_VALUE_LENGTH = 64 * 1024
_TRACEBACK_LENGTH = 64 * 1024
_ERROR_LENGTH = 4 * 1024


@dataclass(frozen=True, slots=True)
class Attempt:
    number: int
    badge: Badge
    is_running: bool
    started: Moment | None
    duration: str
    usage: str
    ending: str
    error: str
    traceback: str | None
    output: Transcript | None


@dataclass(frozen=True, slots=True)
class JobLogRow:
    id: int
    badge: Badge
    message: str
    is_data: bool
    created: Moment | None


@dataclass(frozen=True, slots=True)
class JobPage:
    id: int
    name: str
    full_name: str
    badge: Badge
    started_iso: str | None  # while it runs: bgjobs.js counts on from here
    is_stopping: bool
    can_retry: bool
    can_cancel: bool
    cancel_question: str
    error: str
    progress: Progress | None
    facts: list[Fact]
    parameters: str | None
    result: str | None
    attempts: list[Attempt]
    logs: list[JobLogRow]
    has_more_logs: bool


def job_page(story: JobStory, state: AppState, now: datetime) -> JobPage:
    job, redactor = story.job, state.redactor
    secrets = redactor.secrets(job.parameters)
    running = job.status == RUNNING
    attempts = [_attempt(row, state.folder, redactor, secrets, now) for row in story.attempts]
    error = shorten(redactor.text(formats.line(job.error_message), secrets), _ERROR_LENGTH)
    return JobPage(
        id=job.id,
        name=formats.short_name(job.class_name, job.method_name),
        full_name=f"{formats.line(job.class_name)}::{formats.line(job.method_name)}",
        badge=formats.job_badge(job.status, retry_count=job.retry_count, scheduled_at=job.scheduled_at, now=now),
        started_iso=_iso(job.started_at) if running else None,
        is_stopping=running and job.cancel_requested_at is not None,
        can_retry=job.status in (FAILED, CANCELLED),
        can_cancel=job.status == PENDING or (running and job.cancel_requested_at is None),
        cancel_question=_cancel_question(job, state.settings.kill_grace),
        error="" if attempts and attempts[0].error == error else error,  # once is enough
        progress=progress_of(job, redactor, secrets),
        facts=_facts(job, now),
        parameters=formats.pretty(job.parameters, redactor, _VALUE_LENGTH),
        result=_masked(formats.pretty(job.result, redactor, _VALUE_LENGTH), redactor, secrets),
        attempts=attempts,
        logs=[_log(row, redactor, secrets, now) for row in story.logs],
        has_more_logs=story.has_more_logs,
    )


def newest_output(story: JobStory, folder: StateFolder) -> int:
    """How much the newest attempt has printed: it grows while nothing else of the job changes."""
    if not story.attempts or not isinstance(story.attempts[0].number, int):
        return 0
    return size_of(folder.output_file(story.job.id, story.attempts[0].number))


def _cancel_question(job: Row[Any], kill_grace: float) -> str:
    if job.status == RUNNING:
        return f"Ask job #{job.id} to stop? It gets SIGTERM, then SIGKILL if it still runs after {kill_grace:g} s."
    return f"Cancel job #{job.id}? It will not start."


def _facts(job: Row[Any], now: datetime) -> list[Fact]:
    created, started = formats.moment(job.created_at, now), formats.moment(job.started_at, now)
    finished, scheduled = formats.moment(job.completed_at, now), formats.moment(job.scheduled_at, now)
    facts = [Fact("Created", moment=created)]
    if job.status == PENDING:
        facts.append(Fact("Due", moment=scheduled))
    if started is not None:
        facts += [Fact("Started", moment=started)]
    if finished is not None:
        facts += [Fact("Ended", moment=finished), Fact("Took", formats.between(job.started_at, job.completed_at))]
    facts += [
        Fact("Retries", formats.retries(job.retry_count, job.max_retries)),
        Fact("Queue", formats.line(job.queue)),
        Fact("Priority", formats.line(job.priority)),
    ]
    if job.timeout is not None:
        facts.append(Fact("Timeout", formats.duration(job.timeout)))
    if job.status == RUNNING:
        facts.append(Fact("Process", f"{formats.line(job.pid)} on {formats.line(job.host)}"))
    return facts


def _attempt(row: Row[Any], folder: StateFolder, redactor: Redactor, secrets: set[str], now: datetime) -> Attempt:
    number = row.number if isinstance(row.number, int) else 0
    error = ": ".join(
        text for text in (formats.line(row.exception_type), formats.line(row.exception_message)) if text
    )
    usage = [
        f"pid {row.pid}" if isinstance(row.pid, int) else "",
        f"{formats.size(row.peak_rss)} peak" if formats.number(row.peak_rss) else "",
        f"{formats.duration(row.cpu_seconds)} CPU" if formats.number(row.cpu_seconds) else "",
    ]
    return Attempt(
        number=number,
        badge=formats.outcome_badge(row.outcome),
        is_running=row.ended_at is None,
        started=formats.moment(row.started_at, now),
        duration=formats.between(row.started_at, row.ended_at),
        usage=" · ".join(filter(None, usage)),
        ending=_ending(row, error),
        error=shorten(redactor.text(error, secrets), _ERROR_LENGTH),
        traceback=_masked(_block(row.traceback), redactor, secrets),
        output=tail(folder.output_file(row.background_job_id, number), redactor, secrets),
    )


def _ending(row: Row[Any], error: str) -> str:
    """How the process ended, where that is worth a word and the error does not say it already."""
    if row.ended_at is None or not isinstance(row.exit_status, int) or row.exit_status == 0:
        return ""
    words = describe_exit(row.exit_status)
    return "" if words in error else f"{words[0].upper()}{words[1:]}."


def _log(row: Row[Any], redactor: Redactor, secrets: set[str], now: datetime) -> JobLogRow:
    message = redactor.text(formats.line(row.message), secrets)
    return JobLogRow(
        id=row.id,
        badge=formats.log_badge(row.type),
        message=message,
        is_data=formats.is_data(message),
        created=formats.moment(row.created_at, now),
    )


def _block(text: Any) -> str | None:
    return shorten(escape_lines(str(text)).strip("\n"), _TRACEBACK_LENGTH) if text else None


def _masked(text: str | None, redactor: Redactor, secrets: set[str]) -> str | None:
    return None if text is None else redactor.text(text, secrets)


def _iso(value: Any) -> str | None:
    return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if isinstance(value, datetime) else None
