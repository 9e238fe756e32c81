"""What becomes of waiting jobs when somebody sets the clock of this host."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection, bindparam, not_, select, update

from bgjobs.clock import Step
from bgjobs.lookups import IS_PENDING, jobs
from bgjobs.retry import LONGEST_DELAY

# The supervisor looks at the clock once a second, so what was written in that time was written by the new clock.
_LOOKED_WITHIN = timedelta(seconds=1.5)


def follow(connection: Connection, step: Step, host: str) -> None:
    """Keep what was promised in seconds: what was due stays due, and a retry waits as long as it was told.

    A job for a moment, be it given as ``run_at`` or as ``delay``, stays where it was put: callers and their
    clocks are elsewhere. Retries are those of ``host``, because each host's clock is set on its own.
    """
    by_the_old_clock = not_(jobs.c.updated_at.between(step.after - _LOOKED_WITHIN, step.after))
    connection.execute(
        update(jobs)
        .where(IS_PENDING, by_the_old_clock, jobs.c.scheduled_at > step.after, jobs.c.scheduled_at <= step.before)
        .values(scheduled_at=step.after)
    )
    # A row that somebody edited may be for the end of all time, to which nothing can be added.
    last = step.before + timedelta(seconds=LONGEST_DELAY)
    waiting = connection.execute(
        select(jobs.c.id, jobs.c.scheduled_at).where(
            IS_PENDING,
            by_the_old_clock,
            jobs.c.retry_count > 0,
            jobs.c.attempt > 0,
            jobs.c.host == host,
            jobs.c.scheduled_at > step.before,
            jobs.c.scheduled_at <= last,
        )
    ).all()
    moved = [
        {"key": row.id, "moved": row.scheduled_at + step.by} for row in waiting if row.scheduled_at is not None
    ]
    if moved:
        moving = update(jobs).where(jobs.c.id == bindparam("key"), IS_PENDING)
        connection.execute(moving.values(scheduled_at=bindparam("moved")), moved)
