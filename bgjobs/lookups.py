"""Questions to the tables, answered on a connection of the caller's. Nothing here changes anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, Row, Table, func, select

from bgjobs.exceptions import InvalidParameters, JobNotFound
from bgjobs.models import PENDING, RUNNING, STATUSES, BackgroundJob, JobAttempt, JobLog
from bgjobs.retry import RetryDelay, checked_retry_delay
from bgjobs.runner.outcome import Execution

jobs = cast(Table, BackgroundJob.__table__)
logs = cast(Table, JobLog.__table__)
attempts = cast(Table, JobAttempt.__table__)

_EXECUTION_COLUMNS = (
    jobs.c.id,
    jobs.c.class_name,
    jobs.c.method_name,
    jobs.c.parameters,
    jobs.c.retry_count,
    jobs.c.max_retries,
    jobs.c.retry_delay,
    jobs.c.timeout,
    jobs.c.attempt,
)


def job_row(connection: Connection, job_id: int) -> Row[Any]:
    """The row of ``background_jobs``. Raises :class:`JobNotFound`."""
    row = connection.execute(select(jobs).where(jobs.c.id == job_id)).first()
    if row is None:
        raise JobNotFound(job_id)
    return row


def existing(connection: Connection, job_ids: Sequence[int]) -> list[int]:
    """Those of the ids that are in the database: after a rollback, none."""
    return list(connection.scalars(select(jobs.c.id).where(jobs.c.id.in_(job_ids)).order_by(jobs.c.id)))


def has_pending(connection: Connection) -> bool:
    """Whether any job waits, be it for next year."""
    return connection.scalar(select(jobs.c.id).where(jobs.c.status == PENDING).limit(1)) is not None


def due(connection: Connection, most: int, now: datetime) -> list[Row[Any]]:
    """Pending jobs whose time has come, most urgent first, at most ``most``.

    One look into the index for each priority in use: jobs of the far future, however many and however
    urgent, are never walked over.
    """
    found: list[Row[Any]] = []
    for priority in pending_priorities(connection):
        found += connection.execute(
            select(*_EXECUTION_COLUMNS)
            .where(jobs.c.status == PENDING, jobs.c.priority == priority, jobs.c.scheduled_at <= now)
            .order_by(jobs.c.scheduled_at, jobs.c.id)
            .limit(most - len(found))
            .with_for_update(skip_locked=True)  # says nothing on SQLite, where we hold the write lock
        )
        if len(found) >= most:
            break
    return found


def pending(connection: Connection, job_ids: Sequence[int]) -> list[Row[Any]]:
    """Those of the jobs that are pending, due or not."""
    return list(
        connection.execute(
            select(*_EXECUTION_COLUMNS)
            .where(jobs.c.id.in_(job_ids), jobs.c.status == PENDING)
            .with_for_update(skip_locked=True)
        )
    )


def next_due(connection: Connection) -> datetime | None:
    """When the first of the pending jobs is due, None where there is none."""
    times = [
        connection.scalar(
            select(func.min(jobs.c.scheduled_at)).where(jobs.c.status == PENDING, jobs.c.priority == priority)
        )
        for priority in pending_priorities(connection)
    ]
    return min((time for time in times if time is not None), default=None)


def pending_priorities(connection: Connection) -> Iterator[int]:
    """The priorities that pending jobs have, the most urgent first: one index look-up each."""
    first = select(func.min(jobs.c.priority)).where(jobs.c.status == PENDING)
    priority = connection.scalar(first)
    while priority is not None:
        yield priority
        priority = connection.scalar(first.where(jobs.c.priority > priority))


def current_executions(connection: Connection, job_ids: Sequence[int]) -> dict[str, bool]:
    """By execution token, whether each running job of these was asked to stop."""
    rows = connection.execute(
        select(jobs.c.execution_token, jobs.c.cancel_requested_at)
        .where(jobs.c.id.in_(job_ids), jobs.c.status == RUNNING)
        .with_for_update()
    )
    return {row.execution_token: row.cancel_requested_at is not None for row in rows}


def running(connection: Connection) -> list[Row[Any]]:
    """The rows of all running jobs, whoever runs them."""
    return list(connection.execute(select(jobs).where(jobs.c.status == RUNNING).order_by(jobs.c.id)))


def cancel_requests(connection: Connection) -> list[int]:
    """The ids of the running jobs that somebody asked to stop."""
    return list(
        connection.scalars(
            select(jobs.c.id).where(jobs.c.status == RUNNING, jobs.c.cancel_requested_at.is_not(None))
        )
    )


def counts(connection: Connection) -> dict[str, int]:
    """How many jobs there are of each status."""
    rows = connection.execute(select(jobs.c.status, func.count()).group_by(jobs.c.status))
    found = {str(status): int(count) for status, count in rows}
    return {status: found.get(status, 0) for status in STATUSES}


def execution_of(row: Any, *, token: str, attempt: int) -> Execution:
    """The execution that a row stands for. The values are what the database holds: the runner checks them."""
    return Execution(
        id=row.id,
        class_name=row.class_name,
        method_name=row.method_name,
        parameters=row.parameters,
        retry_count=whole_number(row.retry_count),
        max_retries=whole_number(row.max_retries),
        retry_delay=_delay(row.retry_delay),
        timeout=row.timeout if isinstance(row.timeout, int | float) and row.timeout > 0 else None,
        token=token,
        attempt=attempt,
    )


def whole_number(value: Any) -> int:
    """A whole number from a row that somebody may have edited; -1, which no check lets pass, for any other."""
    return value if isinstance(value, int) and not isinstance(value, bool) else -1


def _delay(value: Any) -> RetryDelay:
    try:
        return checked_retry_delay(value, 0)
    except InvalidParameters:
        return 5.0
