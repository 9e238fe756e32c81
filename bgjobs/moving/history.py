"""Copies the jobs that have ended, oldest first. Once more, it copies what has changed since."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import func, select

from bgjobs.database import Database
from bgjobs.lookups import jobs
from bgjobs.models import CANCELLED, UNFINISHED
from bgjobs.moving.transfer import Step, Transfer
from bgjobs.moving.values import Values

MOVING, MOVED = "moving", "moved"
"""Instead of a backend, for a job that was taken out of its database: on its way, and arrived."""


def number_of_jobs(source: Database) -> int:
    with source.reading() as connection:
        return connection.scalar(select(func.count()).select_from(jobs)) or 0


def copy_history(source: Database, transfer: Transfer, batch: int) -> Iterator[Step]:
    """Bring all jobs that have ended, ``batch`` of them in a transaction."""
    last = 0
    while ids := _next_ids(source, last, batch):
        last = ids[-1]
        yield transfer.bring(ids, wanted=has_ended)


def has_ended(row: Values) -> bool:
    """Whether it is history: neither waiting nor running, nor handed over."""
    return row["status"] not in UNFINISHED and not is_handed_over(row)


def is_handed_over(row: Values) -> bool:
    return row["status"] == CANCELLED and row["backend"] in (MOVING, MOVED)


def _next_ids(source: Database, last: int, most: int) -> list[int]:
    with source.reading() as connection:
        found = select(jobs.c.id).where(jobs.c.id > last).order_by(jobs.c.id).limit(most)
        return list(connection.scalars(found))
