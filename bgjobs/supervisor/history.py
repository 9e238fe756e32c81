"""Keeps the numbers of the past few: minutes become hours after a day, and hours go after three months.

A piece of it is one transaction, which adds to an hour what it takes away from its minutes. So whenever a
supervisor is killed, nothing was counted twice and nothing is missing.
"""

from __future__ import annotations

import time
from datetime import datetime

from sqlalchemy import Connection, delete, func, select

from bgjobs import clock
from bgjobs.database import Database
from bgjobs.metrics import adding, metrics, minute_of
from bgjobs.supervisor.leisure import SECONDS_AT_A_TIME, Leisure

HOURS_OF_MINUTES = 25
"""A chart of a day is drawn from minutes, and its first point can lie a while before it."""
DAYS_OF_HOURS = 90
INTERVAL = 60.0
_MINUTE, _HOUR = 1, 60
# Minutes in one transaction, which keeps all others from writing meanwhile: some 5 ms for ten classes.
_STRETCH = 10


class History:
    """Works for a supervisor, as long as there is something to be done."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._begin_at = time.monotonic()
        self._leisure = Leisure(self._begin_at)

    def work(self, *, is_busy: bool) -> None:
        """Call it about once a second."""
        now = time.monotonic()
        if not self._leisure.has_come(now, is_busy=is_busy) or now < self._begin_at:
            return
        while tidy_some(self._database, clock.now()):
            if is_busy or time.monotonic() >= now + SECONDS_AT_A_TIME:
                return
        self._begin_at = now + INTERVAL


def tidy_some(database: Database, now: datetime) -> bool:
    """Roll up a few minutes, or remove an hour that is too old; False where neither is to be done."""
    this_minute = minute_of(now)
    whole_hours = (this_minute - HOURS_OF_MINUTES * 60) // _HOUR * _HOUR
    too_old = this_minute - DAYS_OF_HOURS * 24 * 60
    with database.reading() as connection:
        minute = _oldest(connection, _MINUTE, whole_hours)
        hour = _oldest(connection, _HOUR, too_old)
    if minute is None and hour is None:
        return False
    with database.writing() as connection:
        if minute is not None:
            _roll_up(connection, minute // _STRETCH * _STRETCH)
        if hour is not None:
            connection.execute(delete(metrics).where(metrics.c.span == _HOUR, metrics.c.minute == hour))
    return True


def _oldest(connection: Connection, span: int, before: int) -> int | None:
    """The oldest moment of which there are numbers, if it lies before that."""
    moments = select(func.min(metrics.c.minute)).where(metrics.c.span == span, metrics.c.minute < before)
    found = connection.scalar(moments)
    return found if isinstance(found, int) else None


def _roll_up(connection: Connection, first: int) -> None:
    end = first + _STRETCH
    minutes = (metrics.c.span == _MINUTE, metrics.c.minute >= first, metrics.c.minute < end)
    # The supervisor of another host may be doing the same; whoever comes second waits here and finds nothing.
    connection.execute(
        select(metrics.c.minute).where(*minutes).order_by(*metrics.primary_key).with_for_update()
    ).all()
    connection.execute(adding(connection.dialect.name, _HOUR_OF_MINUTES), {"first": first, "end": end})
    connection.execute(delete(metrics).where(*minutes))


# "WHERE true" tells SQLite that no join comes (sqlite.org, "UPSERT", 2.2).
_HOUR_OF_MINUTES = (
    "SELECT 60, hour, class_name, method_name, kind, bucket, total, seconds FROM ("
    "SELECT min(minute) - min(minute) % 60 AS hour, class_name, method_name, kind, bucket, sum(number) AS total, "
    "sum(seconds) AS seconds FROM bgjobs_metrics WHERE span = 1 AND minute >= :first AND minute < :end "
    "GROUP BY class_name, method_name, kind, bucket) AS minutes WHERE true"
)
