"""The page of one job as the template shows it: plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row

from bgjobs.app_state import AppState
from bgjobs.dashboard import formats
from bgjobs.dashboard.facts import Fact
from bgjobs.dashboard.formats import Badge, Moment
from bgjobs.dashboard.job.attempts import ERROR_LENGTH, Attempt, attempt_of
from bgjobs.dashboard.job.facts import facts_of
from bgjobs.dashboard.job.queries import JobStory
from bgjobs.dashboard.job.runs import Runs, runs_of
from bgjobs.dashboard.job.usage import Usage, usage_of
from bgjobs.dashboard.job.waterfall import Waterfall, waterfall_of
from bgjobs.dashboard.progress.words import Progress, progress_of
from bgjobs.lookups import whole_number
from bgjobs.models import CANCELLED, FAILED, RUNNING, UNFINISHED
from bgjobs.printed import printed_by
from bgjobs.redaction import Redactor, shorten

_VALUE_LENGTH = 64 * 1024


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
    waterfall: Waterfall | None
    usage: Usage | None
    runs: Runs | None
    command: str
    facts: list[Fact]
    parameters: str | None
    result: str | None
    attempts: list[Attempt]
    logs: list[JobLogRow]
    has_more_logs: bool


def job_page(
    story: JobStory, samples: Sequence[Row[Any]], state: AppState, now: datetime, *, with_output: bool
) -> JobPage:
    """``with_output``: else the page has it already, or its script asks for it."""
    job, redactor = story.job, state.redactor
    secrets = redactor.secrets(job.parameters)
    running = job.status == RUNNING
    numbers = [whole_number(row.number) for row in story.attempts]
    printed = printed_by(state.store.database, state.folder, job.id, numbers)
    attempts = [
        attempt_of(row, job, printed[number], redactor, secrets, now, with_output=with_output)
        for row, number in zip(story.attempts, numbers, strict=True)
    ]
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
        progress=progress_of(job, redactor, secrets),
        waterfall=waterfall_of(job, story.attempts, now),
        usage=usage_of(job, samples, redactor, secrets),
        runs=runs_of(story.runs, now),
        command=f"flask bgjobs {_command(job.status)} {job.id}",
        facts=facts_of(job, story.retries, now),
        parameters=formats.pretty(job.parameters, redactor, _VALUE_LENGTH),
        result=_masked(formats.pretty(job.result, redactor, _VALUE_LENGTH), redactor, secrets),
        attempts=attempts,
        logs=[_log(row, redactor, secrets, now) for row in story.logs],
        has_more_logs=story.has_more_logs,
    )


def _command(status: Any) -> str:
    """What one can do about it on the command line."""
    return "retry" if status in (FAILED, CANCELLED) else "cancel" if status in UNFINISHED else "show"


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
