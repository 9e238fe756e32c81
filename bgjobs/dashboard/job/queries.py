"""The questions of the page of one job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from bgjobs.lookups import attempts, job_row, jobs, logs

SHOWN_ATTEMPTS = 20
SHOWN_LOGS = 100
SHOWN_RUNS = 20
SHOWN_RETRIES = 5


@dataclass(frozen=True, slots=True)
class JobStory:
    """One job with its newest attempts and logs, the newest first."""

    job: Row[Any]
    attempts: Sequence[Row[Any]]
    logs: Sequence[Row[Any]]
    has_more_logs: bool
    runs: Sequence[Row[Any]]  # of the same method, before this one
    retries: Sequence[int]  # jobs that are this one again, with other parameters

    @property
    def version(self) -> tuple[Any, ...]:
        """What changes whenever the story does."""
        job = self.job
        newest_log = self.logs[0].id if self.logs else 0
        runs = tuple((run.id, run.status) for run in self.runs)
        return job.id, job.status, job.updated_at, job.attempt, newest_log, runs, tuple(self.retries)


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
    return JobStory(
        job,
        connection.execute(newest_attempts).all(),
        rows[:SHOWN_LOGS],
        len(rows) > SHOWN_LOGS,
        runs=_runs_before(connection, job),
        retries=_retries_of(connection, job_id),
    )


def is_running(connection: Connection, job_id: int, number: int) -> bool:
    """Whether this attempt of a job has not ended yet."""
    its_end = select(attempts.c.ended_at).where(
        attempts.c.background_job_id == job_id, attempts.c.number == number
    )
    return any(ended is None for ended in connection.scalars(its_end))


def _runs_before(connection: Connection, job: Row[Any]) -> Sequence[Row[Any]]:
    c = jobs.c
    before = (
        select(c.id, c.status, c.retry_count, c.scheduled_at, c.started_at, c.completed_at)
        .where(c.class_name == job.class_name, c.method_name == job.method_name, c.id < job.id)
        .order_by(c.id.desc())
        .limit(SHOWN_RUNS)
    )
    return list(connection.execute(before))


def _retries_of(connection: Connection, job_id: int) -> Sequence[int]:
    found = select(jobs.c.id).where(jobs.c.retry_of == job_id).order_by(jobs.c.id.desc()).limit(SHOWN_RETRIES)
    return list(connection.scalars(found))
