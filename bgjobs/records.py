"""Rows as they may be shown to people and programs: JSON values, secrets masked, times in ISO 8601 UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from bgjobs.lookups import attempts, job_row, jobs, logs
from bgjobs.redaction import Redactor

Record = dict[str, Any]

_MASKED_COLUMNS = ("parameters", "result")


def job_record(row: Row[Any], redactor: Redactor) -> Record:
    """One row of ``background_jobs``, its column names as keys."""
    record = _plain(row)
    for column in _MASKED_COLUMNS:
        record[column] = redactor.parameters(record[column])
    return record


def job_with_story(connection: Connection, job_id: int, redactor: Redactor) -> Record:
    """One job with its ``attempts`` and ``logs``, the oldest first. Raises
    :class:`~bgjobs.exceptions.JobNotFound`."""
    of_attempts = select(attempts).where(attempts.c.background_job_id == job_id).order_by(attempts.c.number)
    of_logs = select(logs).where(logs.c.background_job_id == job_id).order_by(logs.c.id)
    return {
        **job_record(job_row(connection, job_id), redactor),
        "attempts": [_plain(row) for row in connection.execute(of_attempts)],
        "logs": [_plain(row) for row in connection.execute(of_logs)],
    }


def newest_jobs(connection: Connection, most: int, status: str | None, redactor: Redactor) -> list[Record]:
    """The newest jobs, of one status or of all."""
    wanted = select(jobs).order_by(jobs.c.id.desc()).limit(most)
    if status is not None:
        wanted = wanted.where(jobs.c.status == status)
    return [job_record(row, redactor) for row in connection.execute(wanted)]


def running_record(row: Row[Any]) -> Record:
    """What ``status`` tells of a running job."""
    names = ("id", "pid", "class_name", "method_name", "started_at")
    record = _plain(row)
    return {name: record[name] for name in names}


def _plain(row: Row[Any]) -> Record:
    return {key: _json(value) for key, value in row._mapping.items()}


def _json(value: Any) -> Any:
    if isinstance(value, bytes):  # SQLite takes them in any column, from whoever can write to it
        return value.decode("utf-8", "backslashreplace")
    return value.isoformat() if isinstance(value, datetime) else value
