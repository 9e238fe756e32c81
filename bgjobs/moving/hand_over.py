"""Hands over the jobs that wait: each is taken out of the old database, then put into the new one.

A crash in between leaves it marked in the old one, where nobody claims it, and the next run goes on with it. So it
can never be claimed in both.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import bindparam, func, select, update

from bgjobs import clock
from bgjobs import custom_logger as wording
from bgjobs.database import Database
from bgjobs.lookups import IS_RUNNING, jobs
from bgjobs.models import CANCELLED, PENDING
from bgjobs.moving.history import MOVED, MOVING
from bgjobs.moving.transfer import Step, Transfer
from bgjobs.moving.values import Values
from bgjobs.runner.lost import Traces, lost
from bgjobs.runner.outcome import Outcome
from bgjobs.store import Store
from bgjobs.supervisor.recovery import survey

_BY = "flask bgjobs move"


def hand_over(source: Store, transfer: Transfer, destination: str, batch: int) -> Iterator[Step]:
    """Hand over all jobs that wait, ``batch`` at a time, and those that an earlier run left halfway.

    ``destination`` is the new database as it may be shown.
    """
    halfway = _on_their_way(source.database)
    for start in range(0, len(halfway), batch):
        yield _brought(source.database, transfer, halfway[start : start + batch])
    while ids := _taken_out(source, destination, batch):
        yield _brought(source.database, transfer, ids)


def recover_lost(source: Store) -> None:
    """See to running jobs whose process on this host is gone: perhaps no supervisor does that any more."""
    with source.changing() as changes:
        gone = survey(changes.connection, (), lambda connection: None).gone
        changes.finish([(job, lost(job, Traces(), Outcome("lost"))) for job, _, _ in gone])


def unfinished(source: Database) -> tuple[int, int]:
    """How many jobs wait or are on their way, and how many run."""
    counted = select(func.count()).select_from(jobs)
    with source.reading() as connection:
        waiting = connection.scalar(counted.where((jobs.c.status == PENDING) | _IS_ON_ITS_WAY)) or 0
        return waiting, connection.scalar(counted.where(IS_RUNNING)) or 0


def _taken_out(source: Store, destination: str, most: int) -> list[int]:
    """Mark the next jobs that wait, so that they are claimed here no more."""
    now = clock.now()
    with source.changing() as changes:
        rows = changes.connection.execute(_WAITING, {"most": most}).all()
        if rows:
            changes.connection.execute(_MARK, [{"key": row.id, "now": now} for row in rows])
        for row in rows:
            changes.note(wording.moved(_Named(row), destination))
    return [row.id for row in rows]


def _brought(source: Database, transfer: Transfer, ids: list[int]) -> Step:
    step = transfer.bring(ids, wanted=_is_on_its_way, changed=_waiting_again)
    arrived = [job_id for job_id in ids if job_id not in step.refused]
    with source.writing() as connection:
        connection.execute(update(jobs).where(jobs.c.id.in_(arrived), _IS_ON_ITS_WAY).values(backend=MOVED))
    return step


def _on_their_way(source: Database) -> list[int]:
    with source.reading() as connection:
        return list(connection.scalars(select(jobs.c.id).where(_IS_ON_ITS_WAY).order_by(jobs.c.id)))


def _is_on_its_way(row: Values) -> bool:
    return bool(row["status"] == CANCELLED and row["backend"] == MOVING)


def _waiting_again(row: Values) -> Values:
    """As it was before it was taken out. No message is on its way to a worker that knows the new database."""
    nothing = ("completed_at", "cancel_requested_at", "cancel_requested_by", "backend", "published_at")
    return {**row, "status": PENDING, "execution_token": None, **dict.fromkeys(nothing)}


class _Named:
    def __init__(self, row: Any) -> None:
        self.id, self.class_name, self.method_name = row.id, str(row.class_name), str(row.method_name)


_IS_ON_ITS_WAY = (jobs.c.status == CANCELLED) & (jobs.c.backend == MOVING)
_WAITING = (
    select(jobs.c.id, jobs.c.class_name, jobs.c.method_name)
    .where(jobs.c.status == PENDING)
    .order_by(jobs.c.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_MARK = (
    update(jobs)
    .where(jobs.c.id == bindparam("key"), jobs.c.status == PENDING)
    .values(
        status=CANCELLED,
        backend=MOVING,
        completed_at=bindparam("now"),
        updated_at=bindparam("now"),
        cancel_requested_at=bindparam("now"),
        cancel_requested_by=_BY,
    )
)
