"""The questions of the page of one job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from bgjobs.lookups import attempts, job_row, logs

SHOWN_ATTEMPTS = 20
SHOWN_LOGS = 100


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


def is_running(connection: Connection, job_id: int, number: int) -> bool:
    """Whether this attempt of a job has not ended yet."""
    its_end = select(attempts.c.ended_at).where(
        attempts.c.background_job_id == job_id, attempts.c.number == number
    )
    return any(ended is None for ended in connection.scalars(its_end))
