"""The questions of the page of queues: look-ups into an index, a few for each queue, however many jobs wait."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import CTE, ColumnElement, Connection, Row, ScalarSelect, Select, func, literal, select

from bgjobs.dashboard.counts import COUNTED
from bgjobs.lookups import IS_PENDING, IS_RUNNING, jobs, queues_paused

SHOWN = 50
"""Queues with pending jobs."""
_ENTRIES = 100_000
"""Jobs that all counts of the table together go over, twice: due ones and later ones. 70 ns each (measured)."""


@dataclass(frozen=True, slots=True)
class QueuesFound:
    """The queues of which there is something to say. The names are what somebody may have written there."""

    waiting: Sequence[Row[Any]]  # queue, due, later, oldest
    has_more: bool
    counted: int  # no count went further
    running: Mapping[Any, int]
    paused: Sequence[Row[Any]]


def queues_found(connection: Connection, now: datetime) -> QueuesFound:
    names = list(connection.scalars(select(_walk.c.queue).where(_is_name).limit(SHOWN + 1)))
    number, most = len(names), min(COUNTED, _ENTRIES // max(1, len(names)))
    waiting: Sequence[Row[Any]]
    if connection.dialect.name in ("mysql", "mariadb"):  # no subquery in a FROM knows the row that it is for
        found = [connection.execute(_of(literal(name), now, most)) for name in names[:SHOWN]]
        waiting = [row for rows in found for row in rows]
    else:
        waiting = connection.execute(_of(_walk.c.queue, now, most).where(_is_name).limit(SHOWN)).all()
    return QueuesFound(
        waiting=waiting,
        has_more=number > SHOWN,
        counted=most,
        running=_running(connection),
        paused=queues_paused(connection)[:SHOWN],
    )


def _walk_of_names() -> CTE:
    """Each queue that has pending jobs, found by a walk from one to the next in the index. The walk is made in
    the database, which compares what is really stored there, be it no text at all."""
    first = select(func.min(jobs.c.queue).label("queue")).where(IS_PENDING)
    walk = first.cte("walk", recursive=True)
    following = select(func.min(jobs.c.queue)).where(IS_PENDING, jobs.c.queue > walk.c.queue).scalar_subquery()
    return walk.union_all(select(following).where(walk.c.queue.is_not(None)))


_walk = _walk_of_names()
_is_name = _walk.c.queue.is_not(None)


def _of(queue: ColumnElement[Any], now: datetime, most: int) -> Select[Any]:
    """How many jobs of a queue are due and will be, up to one more than ``most``, and the oldest."""
    of_queue = (IS_PENDING, jobs.c.queue == queue)

    def count(*wanted: Any) -> ScalarSelect[Any]:
        rows = select(jobs.c.id).where(*of_queue, *wanted).limit(most + 1).correlate(_walk).subquery()
        return select(func.count()).select_from(rows).scalar_subquery()

    return select(
        queue.label("queue"),
        count(jobs.c.scheduled_at <= now).label("due"),
        count(jobs.c.scheduled_at > now).label("later"),
        select(func.min(jobs.c.scheduled_at)).where(*of_queue).scalar_subquery().label("oldest"),
    )


def _running(connection: Connection) -> Counter[Any]:
    return Counter(connection.scalars(select(jobs.c.queue).where(IS_RUNNING).limit(COUNTED)))
