"""Holding up: a running job, or a whole queue. What is paused keeps its place; nothing is lost by it.

The row says what is wanted; the supervisor sends the signals. A queue that is paused is skipped by the claim
itself (``lookups.due``), so from the commit on no job of it starts.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import delete, insert, select, update

from bgjobs import custom_logger as wording
from bgjobs.deadlocks import outlasting_deadlocks
from bgjobs.exceptions import InvalidParameters
from bgjobs.lookups import execution_of, job_row, jobs, paused_queues, possible_id
from bgjobs.models import RUNNING
from bgjobs.notify import ring_at_commit
from bgjobs.options import checked_queue
from bgjobs.running_jobs import IN_ITS_OWN_PROCESS, not_running_so
from bgjobs.store import Changes, Store, who


@outlasting_deadlocks
def pause(store: Store, job_id: int, *, by: str | None = None) -> None:
    """Ask for a running job to be held up, with everything it started. Its timeout stands still meanwhile.

    Raises :class:`JobNotFound`, and :class:`InvalidTransition` for a job that does not run in a process of its
    own or is paused already.
    """
    with store.changing() as changes:
        pause_on(changes, job_id, by=by)


@outlasting_deadlocks
def resume(store: Store, job_id: int, *, by: str | None = None) -> None:
    """Let a paused job go on. Raises :class:`JobNotFound`, and :class:`InvalidTransition` for one that is not
    paused."""
    with store.changing() as changes:
        resume_on(changes, job_id, by=by)


def pause_on(changes: Changes, job_id: int, *, by: str | None = None, now: datetime | None = None) -> None:
    """As :func:`pause`, inside a transaction of the caller's."""
    now, by = now or datetime.now(UTC), who(by)
    done = changes.connection.execute(
        update(jobs)
        .where(jobs.c.id == possible_id(job_id), *IN_ITS_OWN_PROCESS, jobs.c.paused_at.is_(None))
        .values(paused_at=now, paused_by=by, updated_at=now)
    )
    row = job_row(changes.connection, job_id)
    if done.rowcount != 1:
        raise not_running_so(row, "paused")
    changes.note(wording.paused(execution_of(row, token="", attempt=0), by))
    ring_at_commit(changes.connection)


def resume_on(changes: Changes, job_id: int, *, by: str | None = None, now: datetime | None = None) -> None:
    """As :func:`resume`, inside a transaction of the caller's."""
    now, by = now or datetime.now(UTC), who(by)
    this_one = (jobs.c.id == possible_id(job_id), jobs.c.status == RUNNING, jobs.c.paused_at.is_not(None))
    row = changes.connection.execute(select(jobs).where(*this_one).with_for_update()).first()
    if row is None:
        raise not_running_so(job_row(changes.connection, job_id), "resumed")
    # Whoever adopts the job after the death of its supervisor has to know how long its clock stood still.
    before = row.paused_seconds if isinstance(row.paused_seconds, int | float) else 0.0
    seconds = 0.0 if row.paused_at is None else max(0.0, (now - row.paused_at).total_seconds())
    changes.connection.execute(
        update(jobs).where(*this_one).values(paused_at=None, paused_seconds=before + seconds, updated_at=now)
    )
    changes.note(wording.resumed(execution_of(row, token="", attempt=0), by))
    ring_at_commit(changes.connection)


def pause_queue(store: Store, queue: str, *, by: str | None = None) -> bool:
    """Start no more jobs of a queue; those that run go on. False when it was paused already. Raises
    :class:`InvalidParameters` for what is no name of a queue."""
    checked_queue(queue)
    with store.database.writing() as connection:
        if connection.scalar(select(paused_queues.c.queue).where(paused_queues.c.queue == queue)) is not None:
            return False
        connection.execute(
            insert(paused_queues).values(queue=queue, paused_at=datetime.now(UTC), paused_by=who(by))
        )
    return True


def resume_queue(store: Store, queue: str) -> None:
    """Start jobs of a paused queue again. Raises :class:`InvalidParameters` when it is not paused."""
    with store.database.writing() as connection:
        if connection.execute(delete(paused_queues).where(paused_queues.c.queue == queue)).rowcount == 0:
            raise InvalidParameters("this queue is not paused; see flask bgjobs status", path="queue")
        ring_at_commit(connection)
