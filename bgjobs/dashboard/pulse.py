"""What is going on, in a few look-ups into indexes."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from bgjobs.dashboard.counts import Count, counted
from bgjobs.lookups import jobs, logs
from bgjobs.models import PENDING, RUNNING
from bgjobs.removal import last_removal


@dataclass(frozen=True, slots=True)
class Pulse:
    """Each transition of a job writes a log, so as long as this stays the same, no list changes."""

    pending: Count
    running: Count
    oldest_log: int
    newest_log: int
    last_removal: str  # a removal leaves no log


def pulse(connection: Connection) -> Pulse:
    return Pulse(
        pending=counted(connection, select(jobs.c.id).where(jobs.c.status == PENDING)),
        running=counted(connection, select(jobs.c.id).where(jobs.c.status == RUNNING)),
        oldest_log=connection.scalar(select(func.min(logs.c.id))) or 0,
        newest_log=connection.scalar(select(func.max(logs.c.id))) or 0,
        last_removal=last_removal(connection),
    )
