"""The outbox: due jobs become messages, and the table says which of them have.

A job is published when its row says so and a message with its execution token is on its way. The row comes first:
a message that arrived before its commit would find nothing, while one that was never sent is noticed.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, case, func, select, update

from bgjobs import lookups
from bgjobs.lookups import CLAIMABLE, IS_PENDING, jobs, paused_queues
from bgjobs.models import PENDING

_IS_PUBLISHED = jobs.c.published_at.is_not(None)
_MOST_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Letter:
    """One message: a job, the token under which it may be claimed, and the queue it goes to."""

    job_id: int
    token: str
    queue: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """The published jobs of one queue that nobody has claimed yet."""

    number: int = 0
    overdue: int = 0  # published before the moment that was asked for
    oldest: datetime | None = None


def publish(connection: Connection, queue: str, most: int, now: datetime) -> list[Letter]:
    """Take due jobs of an open queue for publishing, the most urgent first; their letters are to be sent after the
    commit."""
    letters: list[Letter] = []
    for priority in lookups.pending_priorities(connection):
        if len(letters) >= most:
            break
        values = {"queue": queue, "priority": priority, "now": now, "most": most - len(letters)}
        rows = connection.execute(_TO_PUBLISH, values)
        letters += [Letter(row.id, uuid.uuid4().hex, str(row.queue)) for row in rows]
    if letters:
        connection.execute(
            _PUBLISH, [{"key": letter.job_id, "token": letter.token, "now": now} for letter in letters]
        )
    return letters


def take_back(connection: Connection, letters: Iterable[Letter]) -> None:
    """These were not sent, or did not lead to a process. They are published anew, with another token."""
    values = [{"key": letter.job_id, "token": letter.token} for letter in letters]
    if values:
        connection.execute(_TAKE_BACK, values)


def take_back_overdue(connection: Connection, queue: str, before: datetime) -> int:
    """Take back what was published before that moment; how many. What still arrives of it finds nothing."""
    is_overdue = (jobs.c.queue == queue, jobs.c.published_at < before)
    return _take_back(connection, select(jobs.c.id).where(_IS_PUBLISHED, IS_PENDING, *is_overdue))


def let_overtake(connection: Connection, queue: str, now: datetime) -> int:
    """Let the most urgent of the due jobs go before those that were published earlier and are less urgent: these
    are taken back, to be published behind it; how many."""
    first = connection.execute(_MOST_URGENT, {"queue": queue, "now": now}).first()
    if first is None:
        return 0
    before_it = jobs.c.published_at < (first.published_at or now)
    overtaken = (jobs.c.queue == queue, jobs.c.priority > first.priority, before_it)
    return _take_back(connection, select(jobs.c.id).where(_IS_PUBLISHED, IS_PENDING, *overtaken))


def take_back_paused(connection: Connection) -> int:
    """Take back what waits in queues that were paused meanwhile; how many."""
    in_paused = jobs.c.queue.in_(select(paused_queues.c.queue))
    return _take_back(connection, select(jobs.c.id).where(_IS_PUBLISHED, IS_PENDING, in_paused))


def unwanted(connection: Connection) -> list[Letter]:
    """The letters of jobs that were cancelled after they were published. They are told once."""
    found = select(jobs.c.id, jobs.c.execution_token, jobs.c.queue).where(_IS_PUBLISHED, jobs.c.status != PENDING)
    rows = connection.execute(found.limit(_MOST_AT_ONCE).with_for_update(skip_locked=True)).all()
    if rows:
        gone = jobs.c.id.in_([row.id for row in rows])
        connection.execute(update(jobs).where(gone, jobs.c.status != PENDING).values(published_at=None))
    return [Letter(row.id, str(row.execution_token), str(row.queue)) for row in rows]


def waiting(connection: Connection, before: datetime) -> dict[str, Waiting]:
    """By queue, what was published and not claimed yet; overdue is what was published before that moment."""
    overdue = func.sum(case((jobs.c.published_at < before, 1), else_=0))
    found = select(jobs.c.queue, func.count(), overdue, func.min(jobs.c.published_at))
    rows = connection.execute(found.where(_IS_PUBLISHED, IS_PENDING).group_by(jobs.c.queue))
    return {str(queue): Waiting(number, int(late or 0), oldest) for queue, number, late, oldest in rows}


def queues_with_pending(connection: Connection) -> list[str]:
    """The queues in which jobs wait, be it for next year: one index look-up each."""
    found: list[str] = []
    queue = connection.scalar(_FIRST_QUEUE)
    while queue is not None and queue not in found:
        found.append(str(queue))
        queue = connection.scalar(_NEXT_QUEUE, {"last": queue})
    return found


def has_unpublished(connection: Connection, now: datetime) -> bool:
    """Whether a job is due that is to be published."""
    return connection.scalar(_ANY_UNPUBLISHED, {"now": now}) is not None


def _take_back(connection: Connection, chosen: Any) -> int:
    """First they are locked, passing over those that are being claimed: two that change many rows at a time, each
    in its order, would else wait for each other."""
    ids: Collection[int] = list(connection.scalars(chosen.limit(_MOST_AT_ONCE).with_for_update(skip_locked=True)))
    if ids:
        connection.execute(update(jobs).where(jobs.c.id.in_(ids), IS_PENDING).values(published_at=None))
    return len(ids)


_OF_QUEUE = jobs.c.queue == bindparam("queue")
_UNPUBLISHED = jobs.c.published_at.is_(None)
_TO_PUBLISH = (
    select(jobs.c.id, jobs.c.queue)
    .where(*CLAIMABLE.values(), _UNPUBLISHED, _OF_QUEUE, jobs.c.priority == bindparam("priority"))
    .order_by(jobs.c.scheduled_at, jobs.c.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_MOST_URGENT = (
    select(jobs.c.priority, jobs.c.published_at)
    .where(*CLAIMABLE.values(), _OF_QUEUE)
    .order_by(jobs.c.priority, jobs.c.scheduled_at, jobs.c.id)
    .limit(1)
)
_PUBLISH = (
    update(jobs)
    .where(jobs.c.id == bindparam("key"), IS_PENDING)
    .values(execution_token=bindparam("token"), published_at=bindparam("now"))
)
_TAKE_BACK = (
    update(jobs)
    .where(jobs.c.id == bindparam("key"), jobs.c.execution_token == bindparam("token"), IS_PENDING)
    .values(published_at=None)
)
_FIRST_QUEUE = select(func.min(jobs.c.queue)).where(IS_PENDING)
_NEXT_QUEUE = _FIRST_QUEUE.where(jobs.c.queue > bindparam("last"))
_ANY_UNPUBLISHED = select(jobs.c.id).where(*CLAIMABLE.values(), _UNPUBLISHED).limit(1)
