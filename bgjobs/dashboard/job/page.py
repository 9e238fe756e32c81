"""The page of one job as the template shows it: plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row

from bgjobs.app_state import AppState
from bgjobs.dashboard import formats
from bgjobs.dashboard.formats import Badge, Moment
from bgjobs.dashboard.job.attempts import ERROR_LENGTH, Attempt, attempt_of
from bgjobs.dashboard.job.facts import Fact, facts_of
from bgjobs.dashboard.job.queries import JobStory
from bgjobs.dashboard.job.transcript import size_of
from bgjobs.models import PENDING, RUNNING
from bgjobs.redaction import Redactor, shorten
from bgjobs.state_folder import StateFolder

_VALUE_LENGTH = 64 * 1024


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job says it is. ``percent`` is None where it does not say of how much."""

    percent: int | None
    words: str
    message: str


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
    is_being_killed: bool
    is_paused: bool
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
    attempts = [attempt_of(row, state.folder, redactor, secrets, now) for row in story.attempts]
    error = shorten(redactor.text(formats.line(job.error_message), secrets), ERROR_LENGTH)
    return JobPage(
        id=job.id,
        name=formats.short_name(job.class_name, job.method_name),
        full_name=f"{formats.line(job.class_name)}::{formats.line(job.method_name)}",
        badge=formats.job_badge(job.status, retry_count=job.retry_count, scheduled_at=job.scheduled_at, now=now),
        started_iso=_iso(job.started_at) if running else None,
        is_stopping=running and job.cancel_requested_at is not None,
        is_being_killed=running and job.kill_requested_at is not None,
        is_paused=running and job.paused_at is not None,
        error="" if attempts and attempts[0].error == error else error,  # once is enough
        progress=_progress(job, redactor, secrets),
        facts=facts_of(job, now),
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


def _progress(job: Row[Any], redactor: Redactor, secrets: set[str]) -> Progress | None:
    done, total = formats.number(job.progress_done), formats.number(job.progress_total)
    if done is None or job.status == PENDING:
        return None
    message = redactor.text(formats.line(job.progress_message), secrets)
    if total is None or total <= 0:
        return Progress(None, f"{done:,g}", message)
    percent = round(100 * min(max(done / total, 0.0), 1.0))
    return Progress(percent, f"{done:,g} of {total:,g}", message)


def _log(row: Row[Any], redactor: Redactor, secrets: set[str], now: datetime) -> JobLogRow:
    message = redactor.text(formats.line(row.message), secrets)
    return JobLogRow(
        id=row.id,
        badge=formats.log_badge(row.type),
        message=message,
        is_data=formats.is_data(message),
        created=formats.moment(row.created_at, now),
    )


def _masked(text: str | None, redactor: Redactor, secrets: set[str]) -> str | None:
    return None if text is None else redactor.text(text, secrets)


def _iso(value: Any) -> str | None:
    return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if isinstance(value, datetime) else None
