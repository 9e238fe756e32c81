"""A span of time as a span of ids: jobs are numbered as they are dispatched, so no index by time is needed."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from bgjobs.lookups import jobs

# Two that are dispatched at once may be numbered the other way round, and a clock is put right by seconds. What is
# found so is compared with the time itself.
_SLACK = timedelta(minutes=1)


def ids_of_times(
    connection: Connection, since: datetime | None, until: datetime | None
) -> tuple[int | None, int | None]:
    """Between which ids, exclusive, the jobs are that were dispatched in this time; None: no bound."""
    first = last = None
    if since is not None:
        first = _first_since(connection, _moved(since, -_SLACK)) - 1
    if until is not None:
        last = _first_since(connection, _moved(until, _SLACK))
    return first, last


def _first_since(connection: Connection, time: datetime) -> int:
    """The id of the first job dispatched at this time or later; beyond the newest where there is none."""
    # Two questions: each is a look at an end of the table, and both in one would read all of it.
    low, newest = (connection.scalar(select(end(jobs.c.id))) for end in (func.min, func.max))
    if low is None or newest is None:
        return 1
    high = newest + 1
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(
            select(jobs.c.id, jobs.c.created_at)
            .where(jobs.c.id >= middle, jobs.c.id < high)
            .order_by(jobs.c.id)
            .limit(1)
        ).first()
        if row is None:  # a gap up to ``high``
            high = middle
        elif row.created_at is not None and row.created_at < time:
            low = row.id + 1
        else:
            high = middle
    return int(low)


def _moved(time: datetime, by: timedelta) -> datetime:
    try:
        return time + by
    except OverflowError:
        return time
