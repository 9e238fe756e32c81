"""What is moved besides the jobs: the numbers of the charts, and which queues are paused."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, insert, select

from bgjobs import clock
from bgjobs.database import Database
from bgjobs.lookups import paused_queues, queues_paused
from bgjobs.metrics import adding, metrics, minute_of
from bgjobs.moving.ticket import Ticket, hold, renew
from bgjobs.moving.values import fitting

_ADDED = "VALUES (:span, :minute, :class_name, :method_name, :kind, :bucket, :number, :seconds)"
_ROWS = 2000


def bring_charts(source: Database, destination: Database, *, nothing_runs: bool) -> None:
    """Add the numbers of the minutes since the last time; of this minute only where it will not grow any more."""
    with destination.writing() as there, source.reading() as here:
        ticket = hold(there)
        up_to = minute_of(clock.now()) - (0 if nothing_runs else 1)
        found = select(metrics).where(metrics.c.minute > ticket.minute, metrics.c.minute <= up_to)
        statement, fit = adding(there.dialect.name, _ADDED), fitting(metrics)
        for part in here.execute(found).mappings().partitions(_ROWS):
            there.execute(statement, [fit(row) for row in part])
        renew(there, replace(ticket, minute=max(ticket.minute, up_to)))


def bring_pauses(source: Database, destination: Database) -> None:
    """Pause the queues that were paused since the last time. One that was resumed in the new database stays so."""
    with destination.writing() as there, source.reading() as here:
        ticket = hold(there)
        _add_pauses(here, there, ticket)


def _add_pauses(here: Connection, there: Connection, ticket: Ticket) -> None:
    known = {row.queue for row in queues_paused(there)}
    fit = fitting(paused_queues)
    rows = [fit(row._mapping) for row in queues_paused(here)]
    new = [row for row in rows if _when(row["paused_at"]) > ticket.paused]
    if new:
        missing = [row for row in new if row["queue"] not in known]
        if missing:
            there.execute(insert(paused_queues), missing)
        renew(there, replace(ticket, paused=max(_when(row["paused_at"]) for row in new)))


def _when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}"
