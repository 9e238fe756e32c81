"""The dashboard's questions to the tables. Each is one short read transaction, ended before anything is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, Select, func, select

from bgjobs.dashboard.log_query import LogQuery
from bgjobs.dashboard.matching import matching
from bgjobs.lookups import attempts, job_row, jobs, logs
from bgjobs.models import PENDING, RUNNING

COUNTED = 10_000
"""No count goes further: counting millions of rows is what makes a dashboard hang."""
ARRIVALS_COUNTED = 99
SHOWN_ATTEMPTS = 20
SHOWN_LOGS = 100


@dataclass(frozen=True, slots=True)
class Count:
    """A number of rows, or "more than that"."""

    number: int
    is_capped: bool = False


@dataclass(frozen=True, slots=True)
class Pulse:
    """What is going on, in a few look-ups into indexes. Each transition of a job writes a log, so as long
    as this stays the same, no list changes."""

    pending: Count
    running: Count
    oldest_log: int
    newest_log: int


@dataclass(frozen=True, slots=True)
class LogPage:
    """The rows of one page of logs, each with its job, and where they stand among the others."""

    query: LogQuery
    rows: Sequence[Row[Any]]
    has_newer: bool
    has_older: bool
    left_out: str | None
    arrived: Count  # since the reader began to read
    position: Count | None  # how many are newer than the first row; not known for a search
    total: Count | None  # not known for a search


@dataclass(frozen=True, slots=True)
class JobStory:
    """One job with its newest attempts and logs, the newest first."""

    job: Row[Any]
    attempts: Sequence[Row[Any]]
    logs: Sequence[Row[Any]]
    has_more_logs: bool

    @property
    def version(self) -> tuple[Any, ...]:
        """What changes whenever the story does."""
        job = self.job
        return job.id, job.status, job.updated_at, job.attempt, self.logs[0].id if self.logs else 0


def pulse(connection: Connection) -> Pulse:
    return Pulse(
        pending=_count(connection, select(jobs.c.id).where(jobs.c.status == PENDING)),
        running=_count(connection, select(jobs.c.id).where(jobs.c.status == RUNNING)),
        oldest_log=connection.scalar(select(func.min(logs.c.id))) or 0,
        newest_log=connection.scalar(select(func.max(logs.c.id))) or 0,
    )


def log_page(connection: Connection, query: LogQuery) -> LogPage:
    """The logs that ``query`` asks for."""
    held = replace(query, before=query.top + 1) if query.top and query.is_first_page else query
    found = matching(connection, held)
    if query.after is not None and not found.more:
        return log_page(connection, query.at())  # less than a page is newer than that: the newest page
    of_type = select(logs.c.id).where(logs.c.type == query.type) if query.type else select(logs.c.id)
    searching = bool(query.term)
    return LogPage(
        query=query,
        rows=_with_jobs(connection, found.ids),
        has_newer=not query.is_first_page,
        has_older=query.after is not None or found.more,
        left_out=found.left_out,
        arrived=_arrived(connection, query),
        position=None if searching else _position(connection, query, of_type, found.ids),
        total=None if searching else _count(connection, of_type),
    )


def job_story(connection: Connection, job_id: int) -> JobStory:
    """One job. Raises :class:`~bgjobs.exceptions.JobNotFound`."""
    of_job = logs.c.background_job_id == job_id
    newest_logs = select(logs).where(of_job).order_by(logs.c.id.desc()).limit(SHOWN_LOGS + 1)
    newest_attempts = (
        select(attempts)
        .where(attempts.c.background_job_id == job_id)
        .order_by(attempts.c.number.desc(), attempts.c.id.desc())
        .limit(SHOWN_ATTEMPTS)
    )
    job = job_row(connection, job_id)
    rows = connection.execute(newest_logs).all()
    return JobStory(job, connection.execute(newest_attempts).all(), rows[:SHOWN_LOGS], len(rows) > SHOWN_LOGS)


def _arrived(connection: Connection, query: LogQuery) -> Count:
    if not query.top or not query.is_first_page:
        return Count(0)
    newer = matching(connection, replace(query, after=query.top, per_page=ARRIVALS_COUNTED))
    return Count(len(newer.ids), newer.more)


def _position(connection: Connection, query: LogQuery, of_type: Select[Any], ids: list[int]) -> Count:
    if query.is_first_page or not ids:
        return Count(0)
    return _count(connection, of_type.where(logs.c.id > ids[0]))


def _count(connection: Connection, rows: Select[Any]) -> Count:
    number = connection.scalar(select(func.count()).select_from(rows.limit(COUNTED + 1).subquery())) or 0
    return Count(min(number, COUNTED), number > COUNTED)


def _with_jobs(connection: Connection, ids: list[int]) -> list[Row[Any]]:
    """Each log with the columns of its job that are shown beside it, in the order of ``ids``."""
    rows = connection.execute(
        select(
            logs,
            jobs.c.class_name,
            jobs.c.method_name,
            jobs.c.parameters,
            jobs.c.status,
            jobs.c.retry_count,
            jobs.c.max_retries,
            jobs.c.scheduled_at,
        )
        .outerjoin(jobs, jobs.c.id == logs.c.background_job_id)
        .where(logs.c.id.in_(ids))
    )
    by_id = {row.id: row for row in rows}
    return [by_id[number] for number in ids if number in by_id]
