"""Keeps the numbers of the past few: after some hours minutes become quarters of an hour, after a day those become
hours, and hours go after three months. So what a chart is drawn from is a few thousand rows, however far back.

A piece of it is one transaction, which adds to the longer span what it takes away from the shorter ones. So
whenever a supervisor is killed, nothing was counted twice and nothing is missing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, select

from bgjobs import clock
from bgjobs.database import Database
from bgjobs.metrics import HOUR, MINUTE, QUARTER, adding, metrics, minute_of
from bgjobs.supervisor.leisure import SECONDS_AT_A_TIME, Leisure


@dataclass(frozen=True, slots=True)
class Step:
    """Numbers of ``span`` minutes become such of ``into`` minutes when they are ``hours`` old.

    One span of ``into`` is one transaction, which keeps all others from writing meanwhile: some 8 ms for the
    minutes of ten classes.
    """

    span: int
    into: int
    hours: int


# A chart of 6 hours is drawn from minutes, one of a day from quarters; its first point can lie a while before it.
STEPS = (Step(MINUTE, QUARTER, hours=7), Step(QUARTER, HOUR, hours=25))
DAYS_OF_HOURS = 90
INTERVAL = 60.0


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
    """Put a few numbers together, or remove an hour that is too old; False where neither is to be done."""
    this_minute = minute_of(now)
    with database.reading() as connection:
        oldest = {step: _oldest(connection, step.span, _end_of(step, this_minute)) for step in STEPS}
        too_old = _oldest(connection, HOUR, this_minute - DAYS_OF_HOURS * 24 * 60)
    begins = {step: minute // step.into * step.into for step, minute in oldest.items() if minute is not None}
    if not begins and too_old is None:
        return False
    with database.writing() as connection:
        for step, begin in begins.items():
            _put_together(connection, step, begin)
        if too_old is not None:
            connection.execute(delete(metrics).where(metrics.c.span == HOUR, metrics.c.minute == too_old))
    return True


def _end_of(step: Step, this_minute: int) -> int:
    """Where what has to be put together ends: not within a span of what it becomes."""
    return (this_minute - step.hours * 60) // step.into * step.into


def _oldest(connection: Connection, span: int, before: int) -> int | None:
    """The oldest moment of which there are numbers, if it lies before that."""
    moments = select(func.min(metrics.c.minute)).where(metrics.c.span == span, metrics.c.minute < before)
    found = connection.scalar(moments)
    return found if isinstance(found, int) else None


def _put_together(connection: Connection, step: Step, begin: int) -> None:
    end = begin + step.into
    of_step = metrics.c.span == step.span, metrics.c.minute >= begin, metrics.c.minute < end
    # The supervisor of another host may be doing the same; whoever comes second waits here and finds nothing.
    locked = select(metrics.c.minute).where(*of_step).order_by(*metrics.primary_key).with_for_update()
    connection.execute(locked).all()
    # "WHERE true" tells SQLite that no join comes (sqlite.org, "UPSERT", 2.2).
    rows = (
        f"SELECT {step.into}, {begin}, class_name, method_name, kind, bucket, total, seconds FROM ("  # noqa: S608
        "SELECT class_name, method_name, kind, bucket, sum(number) AS total, sum(seconds) AS seconds "
        f"FROM bgjobs_metrics WHERE span = {step.span} AND minute >= {begin} AND minute < {end} "
        "GROUP BY class_name, method_name, kind, bucket) AS parts WHERE true"
    )
    connection.execute(adding(connection.dialect.name, rows))
    connection.execute(delete(metrics).where(*of_step))
