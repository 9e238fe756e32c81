"""What running jobs used, moment by moment: the points that a page can draw.

Bounded: a job keeps so many points at the most. When it has them, every second one goes, and whoever takes them
doubles its interval; so a job of a second and one of a week are drawn alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, Row, Table, bindparam, delete, func, insert, select

from bgjobs.lookups import IS_RUNNING, jobs
from bgjobs.models import JobSample
from bgjobs.runner.outcome import Execution

MOST_POINTS = 300

samples = cast(Table, JobSample.__table__)


@dataclass(frozen=True, slots=True)
class Sample:
    """What a job and all that it started used at one moment. ``cpu`` is in percent of one CPU since the sample
    before; None in the first one of an attempt, because a share takes two looks."""

    job: Execution
    at: datetime
    cpu: float | None
    rss: int
    threads: int
    children: int


def add(connection: Connection, taken: Sequence[Sample]) -> set[int]:
    """Store samples of executions that still run; the ids of the jobs of which every second point was dropped."""
    connection.execute(
        _ADD,
        [
            {
                "job_id": sample.job.id,
                "token": sample.job.token,
                "number": sample.job.attempt,
                "now": sample.at,
                "cpu_percent": sample.cpu,
                "bytes": sample.rss,
                "of_threads": sample.threads,
                "of_children": sample.children,
            }
            for sample in taken
        ],
    )
    full = set(connection.scalars(_FULL, {"ids": [sample.job.id for sample in taken]}))
    for job_id in full:
        _thin(connection, job_id)
    return full


def of_job(connection: Connection, job_id: int) -> list[Row[Any]]:
    """The points of a job, the oldest first."""
    return list(
        connection.execute(select(samples).where(samples.c.background_job_id == job_id).order_by(*_IN_TIME))
    )


def _thin(connection: Connection, job_id: int) -> None:
    ids = connection.scalars(select(samples.c.id).where(samples.c.background_job_id == job_id).order_by(*_IN_TIME))
    connection.execute(delete(samples).where(samples.c.id.in_(ids.all()[1::2])))


_IN_TIME = (samples.c.at, samples.c.id)
_COLUMNS = ("background_job_id", "attempt", "at", "cpu", "rss", "threads", "children")
# Fenced like everything that is written of an execution; and a job that somebody deleted meanwhile breaks no
# foreign key.
_ADD = insert(samples).from_select(
    _COLUMNS,
    select(
        jobs.c.id,
        bindparam("number", type_=samples.c.attempt.type),
        bindparam("now", type_=samples.c.at.type),
        bindparam("cpu_percent", type_=samples.c.cpu.type),
        bindparam("bytes", type_=samples.c.rss.type),
        bindparam("of_threads", type_=samples.c.threads.type),
        bindparam("of_children", type_=samples.c.children.type),
    ).where(jobs.c.id == bindparam("job_id"), jobs.c.execution_token == bindparam("token"), IS_RUNNING),
)
_FULL = (
    select(samples.c.background_job_id)
    .where(samples.c.background_job_id.in_(bindparam("ids", expanding=True)))
    .group_by(samples.c.background_job_id)
    .having(func.count() >= MOST_POINTS)
)
