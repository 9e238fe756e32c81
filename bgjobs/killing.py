"""Ending a running job at once: no SIGTERM, no time to tidy up. The row says who wants it; the supervisor sends
the signal.

A kill is a cancellation without a grace period: the job ends as cancelled and is not run again.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import func, literal, update

from bgjobs.deadlocks import outlasting_deadlocks
from bgjobs.lookups import job_row, jobs, possible_id
from bgjobs.models import RUNNING
from bgjobs.notify import ring_at_commit
from bgjobs.running_jobs import IN_ITS_OWN_PROCESS, not_running_so
from bgjobs.store import Changes, Store, who


@outlasting_deadlocks
def kill(store: Store, job_id: int, *, by: str | None = None) -> bool:
    """Ask for a running job to be killed, with everything it started, also one that was asked to stop before.
    False when somebody did already.

    Raises :class:`JobNotFound`, and :class:`InvalidTransition` for a job that does not run in a process of its
    own.
    """
    with store.changing() as changes:
        return kill_on(changes, job_id, by=by)


def kill_on(changes: Changes, job_id: int, *, by: str | None = None, now: datetime | None = None) -> bool:
    """As :func:`kill`, inside a transaction of the caller's."""
    now, by = now or datetime.now(UTC), who(by)
    this_one = (jobs.c.id == possible_id(job_id), *IN_ITS_OWN_PROCESS, jobs.c.kill_requested_at.is_(None))
    asked_before = jobs.c.cancel_requested_at
    asked = changes.connection.execute(
        update(jobs)
        .where(*this_one)
        .values(
            kill_requested_at=now,
            cancel_requested_at=func.coalesce(asked_before, literal(now, asked_before.type)),
            cancel_requested_by=by,
            updated_at=now,
        )
    )
    if asked.rowcount == 1:
        ring_at_commit(changes.connection)
        return True
    row = job_row(changes.connection, job_id)
    if row.status == RUNNING and row.kill_requested_at is not None:
        return False
    raise not_running_so(row, "killed")
