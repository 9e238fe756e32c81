"""The questions of the page of processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from bgjobs.dashboard.counts import Count, counted
from bgjobs.lookups import IS_RUNNING, jobs
from bgjobs.samples import samples

SHOWN = 100

_COLUMNS = (
    jobs.c.id,
    jobs.c.class_name,
    jobs.c.method_name,
    jobs.c.parameters,
    jobs.c.status,
    jobs.c.attempt,
    jobs.c.backend,
    jobs.c.host,
    jobs.c.boot_id,
    jobs.c.pid_namespace,
    jobs.c.pid,
    jobs.c.process_started,
    jobs.c.started_at,
    jobs.c.updated_at,
    jobs.c.cancel_requested_at,
    jobs.c.paused_at,
    jobs.c.progress_done,
    jobs.c.progress_total,
    jobs.c.progress_message,
)
# One look into the index for each job: a job may have 300 points.
_newest = (
    select(samples.c.id)
    .where(samples.c.background_job_id == jobs.c.id)
    .order_by(samples.c.at.desc(), samples.c.id.desc())
    .limit(1)
    .correlate(jobs)
    .scalar_subquery()
)


@dataclass(frozen=True, slots=True)
class RunningJobs:
    """The running jobs, those that run longest first, and the newest sample of each that has one."""

    rows: Sequence[Row[Any]]
    samples: Mapping[int, Row[Any]]
    number: Count


def running_jobs(connection: Connection) -> RunningJobs:
    rows: list[Any] = list(
        connection.execute(select(*_COLUMNS).where(IS_RUNNING).order_by(jobs.c.id).limit(SHOWN))
    )
    shown = [row.id for row in rows]
    newest = connection.execute(
        select(samples).select_from(jobs).join(samples, samples.c.id == _newest).where(jobs.c.id.in_(shown))
    )
    return RunningJobs(
        rows,
        {row.background_job_id: row for row in newest},
        counted(connection, select(jobs.c.id).where(IS_RUNNING)),
    )
