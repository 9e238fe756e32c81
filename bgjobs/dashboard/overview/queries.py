"""The questions of the overview. Each looks into an index, and each answer is bounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select

from bgjobs.dashboard.causes import beginning_of_error
from bgjobs.dashboard.overview.numbers import Numbers, by_point
from bgjobs.dashboard.overview.past import Past
from bgjobs.dashboard.overview.range import Range
from bgjobs.lookups import IS_RUNNING, jobs, next_due
from bgjobs.metrics import MINUTE, SPANS, WAIT, metrics, minute_of
from bgjobs.models import FAILED

FAILED_READ = 1_000
RUNNING_SHOWN = 6
RECENT_MINUTES = 30
_CLASSES_READ = 50_000  # rows: there are as many classes as somebody wrote into the table of jobs


@dataclass(frozen=True, slots=True)
class Found:
    """What the tables say."""

    points: Sequence[Numbers]
    recent: Sequence[Any]  # minute, kind, number
    failed: Sequence[Any]
    due: datetime | None


def find(connection: Connection, looked_at: Range, now: datetime, past: Past) -> Found:
    minute = minute_of(now)
    points = past.points(looked_at, minute, lambda first: _points(connection, looked_at, first, minute))
    return Found(points, _recent(connection, minute), _failed(connection), next_due(connection))


def running(connection: Connection) -> Sequence[Any]:
    """The newest jobs that run."""
    columns = (
        jobs.c.id,
        jobs.c.class_name,
        jobs.c.method_name,
        jobs.c.started_at,
        jobs.c.progress_done,
        jobs.c.progress_total,
    )
    return connection.execute(
        select(*columns).where(IS_RUNNING).order_by(jobs.c.id.desc()).limit(RUNNING_SHOWN)
    ).all()


def _points(connection: Connection, looked_at: Range, first: int, minute: int) -> list[Numbers]:
    """The numbers from the point on that begins at minute ``first``."""
    point = ((metrics.c.minute - first) // looked_at.step).label("point")
    within = metrics.c.span.in_(SPANS), metrics.c.minute >= first, metrics.c.minute <= minute
    by_kind = point, metrics.c.kind, metrics.c.bucket
    by_class = point, metrics.c.class_name, metrics.c.method_name, metrics.c.bucket
    of_class = select(*by_class, _NUMBER).where(*within, metrics.c.kind != WAIT).group_by(*by_class)
    return by_point(
        connection.execute(select(*by_kind, _NUMBER).where(*within).group_by(*by_kind)),
        connection.execute(of_class.limit(_CLASSES_READ)),
        (minute - first) // looked_at.step + 1,
    )


def _recent(connection: Connection, minute: int) -> Sequence[Any]:
    return connection.execute(
        select(metrics.c.minute, metrics.c.kind, _NUMBER)
        .where(metrics.c.span == MINUTE, metrics.c.minute > minute - RECENT_MINUTES, metrics.c.minute <= minute)
        .group_by(metrics.c.minute, metrics.c.kind)
    ).all()


def _failed(connection: Connection) -> Sequence[Any]:
    return connection.execute(
        select(jobs.c.id, jobs.c.class_name, jobs.c.method_name, jobs.c.completed_at, beginning_of_error())
        .where(jobs.c.status == FAILED)
        .order_by(jobs.c.id.desc())
        .limit(FAILED_READ)
    ).all()


_NUMBER = func.sum(metrics.c.number).label("number")
