"""The log table as the template shows it: plain values, so that a template only puts them in their places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from bgjobs.dashboard import formats
from bgjobs.dashboard.counts import COUNTED, Count, count_words
from bgjobs.dashboard.formats import Badge, Moment, Part
from bgjobs.dashboard.logs.queries import LogPage
from bgjobs.dashboard.logs.query import LogQuery
from bgjobs.redaction import Redactor

_PARAMETERS_LENGTH = 2_000

Address = Mapping[str, Any]
"""The query string of a view."""


@dataclass(frozen=True, slots=True)
class JobDetails:
    """What the table tells of the job of a log."""

    name: str
    full_name: str
    badge: Badge
    retries: str
    parameters: str | None


@dataclass(frozen=True, slots=True)
class LogRow:
    id: int
    job_number: int
    badge: Badge
    message: list[Part]
    is_data: bool
    full_message: list[Part] | None  # where ``message`` is only a part of it
    job: JobDetails | None
    created: Moment | None


@dataclass(frozen=True, slots=True)
class LogTable:
    """One page of the table and its surroundings."""

    rows: list[LogRow]
    summary: str
    left_out: str | None
    arrived: str | None
    newest: Address
    newer: Address | None
    older: Address | None
    without_filter: Address | None  # where there is a filter
    term: str
    newest_id: int


def log_table(page: LogPage, redactor: Redactor, now: datetime) -> LogTable:
    query = page.query
    ids = [row.id for row in page.rows]
    newest = query.at()
    return LogTable(
        rows=[_row(row, query.term, redactor, now) for row in page.rows],
        summary=summary(page),
        left_out=page.left_out,
        arrived=f"{count_words(page.arrived)} new {_logs(page.arrived)}" if page.arrived.number else None,
        newest=newest.address,
        newer=(newest if not ids else query.at(after=ids[0])).address if page.has_newer else None,
        older=query.at(before=ids[-1]).address if page.has_older and ids else None,
        without_filter=LogQuery(per_page=query.per_page).address if query.term or query.type else None,
        term=query.term,
        newest_id=ids[0] if ids else 0,
    )


def summary(page: LogPage) -> str:
    """How many there are and which of them these are."""
    shown = len(page.rows)
    if page.total is None or page.position is None:
        if page.query.is_first_page:
            return f"The newest {shown} results" if page.has_older else _plural(shown, "result")
        return f"{shown} further results"
    if not shown:
        return "No logs"
    if page.position.is_capped:
        return f"{shown} logs, older than the newest {COUNTED:,}"
    first = page.position.number + 1
    return f"{first:,}–{first + shown - 1:,} of {count_words(page.total)} {_logs(page.total)}"


def _logs(value: Count) -> str:
    return "log" if value.number == 1 and not value.is_capped else "logs"


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _row(row: Row[Any], term: str, redactor: Redactor, now: datetime) -> LogRow:
    message = formats.line(row.message)
    short = formats.excerpt(message, term)
    return LogRow(
        id=row.id,
        job_number=row.background_job_id,
        badge=formats.log_badge(row.type),
        message=formats.parts(short, term),
        is_data=formats.is_data(message),
        full_message=formats.parts(message, term) if short != message else None,
        job=None if row.class_name is None else _details(row, redactor, now),
        created=formats.moment(row.created_at, now),
    )


def _details(row: Row[Any], redactor: Redactor, now: datetime) -> JobDetails:
    return JobDetails(
        name=formats.short_name(row.class_name, row.method_name),
        full_name=f"{formats.line(row.class_name)}::{formats.line(row.method_name)}",
        badge=formats.job_badge(row.status, retry_count=row.retry_count, scheduled_at=row.scheduled_at, now=now),
        retries=formats.retries(row.retry_count, row.max_retries),
        parameters=formats.pretty(row.parameters, redactor, _PARAMETERS_LENGTH),
    )
