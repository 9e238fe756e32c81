"""The questions of the page of queues: look-ups into an index, a few for each queue, however many jobs wait."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, ScalarSelect, func, select

from bgjobs.dashboard.counts import COUNTED
from bgjobs.lookups import IS_PENDING, IS_RUNNING, jobs, queues_paused

SHOWN = 50
"""Queues with pending jobs. Each costs up to 0.7 ms, when more wait in it than are counted."""


@dataclass(frozen=True, slots=True)
class QueuesFound:
    """The queues of which there is something to say. The names are what somebody may have written there."""

    waiting: Sequence[Row[Any]]  # queue, due, later, oldest
    has_more: bool
    running: Mapping[Any, int]
    paused: Sequence[Row[Any]]


def queues_found(connection: Connection, now: datetime) -> QueuesFound:
    waiting = connection.execute(_waiting(now)).all()
    return QueuesFound(
        waiting=waiting[:SHOWN],
        has_more=len(waiting) > SHOWN,
        running=_running(connection),
        paused=queues_paused(connection)[:SHOWN],
    )


def _waiting(now: datetime) -> Any:
    """Each queue that has pending jobs, found by a walk from one to the next in the index. The walk is made in
    the database, which compares what is really stored there, be it no text at all."""
    first = select(func.min(jobs.c.queue).label("queue")).where(IS_PENDING)
    walk = first.cte("walk", recursive=True)
    following = select(func.min(jobs.c.queue)).where(IS_PENDING, jobs.c.queue > walk.c.queue).scalar_subquery()
    walk = walk.union_all(select(following).where(walk.c.queue.is_not(None)))
    of_queue = (IS_PENDING, jobs.c.queue == walk.c.queue)

    def count(*wanted: Any) -> ScalarSelect[Any]:
        rows = select(jobs.c.id).where(*of_queue, *wanted).limit(COUNTED + 1).correlate(walk).subquery()
        return select(func.count()).select_from(rows).scalar_subquery()

    return (
        select(
            walk.c.queue,
            count(jobs.c.scheduled_at <= now).label("due"),
            count(jobs.c.scheduled_at > now).label("later"),
            select(func.min(jobs.c.scheduled_at)).where(*of_queue).scalar_subquery().label("oldest"),
        )
        .where(walk.c.queue.is_not(None))
        .limit(SHOWN + 1)
    )


def _running(connection: Connection) -> Counter[Any]:
    return Counter(connection.scalars(select(jobs.c.queue).where(IS_RUNNING).limit(COUNTED)))
