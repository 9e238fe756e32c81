"""Removes ended jobs that are too old or too many, a few at a time, with all that belongs to them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection, desc, select, union_all

from bgjobs.lookups import jobs
from bgjobs.models import ENDED, FAILED
from bgjobs.removal import CHUNK, Removed, belongings, remove_chunk
from bgjobs.settings import Settings
from bgjobs.state_folder import StateFolder
from bgjobs.store import Store

_WALKED = 200
# A walk through the old jobs begins so often, and takes so much of each second while nothing else is to be done.
WALK_INTERVAL = 60.0
SECONDS_AT_A_TIME = 0.1
# A supervisor that is never calm must remove something all the same, a chunk a second.
LONGEST_WAIT = 600.0


@dataclass(frozen=True, slots=True)
class Retention:
    """How many days ended jobs are kept, and how many of them. None: for ever, and any number."""

    completed: float | None = None
    failed: float | None = None
    count: int | None = None

    @property
    def is_limited(self) -> bool:
        return not (self.completed is None and self.failed is None and self.count is None)

    def cutoff(self, status: str, now: datetime) -> datetime | None:
        """Jobs of this status that ended before are too old; None where none ever is. A cancelled job is kept as
        long as a completed one."""
        days = self.failed if status == FAILED else self.completed
        return None if days is None else now - timedelta(days=days)


def retention_of(settings: Settings) -> Retention:
    return Retention(settings.retention_completed, settings.retention_failed, settings.retention_count)


class Pruner:
    """One walk over the ended jobs, the oldest first."""

    def __init__(
        self, store: Store, folder: StateFolder, retention: Retention, now: datetime | None = None
    ) -> None:
        self._store = store
        self._folder = folder
        self._retention = retention
        self._now = now or datetime.now(UTC)
        self._walked = dict.fromkeys(ENDED, 0)  # by status, the id up to which the walk has come
        self._surplus: int | None = None  # the newest job that is one too many

    def prune_some(self, *, dry_run: bool = False) -> Removed | None:
        """Remove up to a chunk of jobs, or only count them. None when the walk is over."""
        with self._store.database.reading() as connection:
            found = self._next(connection)
            if dry_run and found:
                return belongings(connection, found, self._folder)[0]
        if not found:
            return None if found is None else Removed()
        return remove_chunk(self._store, self._folder, found)

    def _next(self, connection: Connection) -> list[int] | None:
        """The next jobs to remove; an empty list where the walk has come on without finding any."""
        if self._surplus is None:
            self._surplus = _newest_surplus(connection, self._retention.count)
        for status in ENDED:
            cutoff = self._retention.cutoff(status, self._now)
            if cutoff is None and self._surplus == 0:
                continue
            found, more = self._walk(connection, status, cutoff, self._surplus)
            if found or more:
                return found
        return None

    def _walk(
        self, connection: Connection, status: str, cutoff: datetime | None, surplus: int
    ) -> tuple[list[int], bool]:
        """What is to be removed on the next stretch, and whether there is a stretch after it.

        It ends at the first job that was dispatched after the cutoff: those that follow were dispatched later
        still, and none has ended before it was dispatched. So it needs no index by the end of a job, which every
        job would have to pay for.
        """
        stretch = connection.execute(
            select(jobs.c.id, jobs.c.created_at, jobs.c.completed_at)
            .where(jobs.c.status == status, jobs.c.id > self._walked[status])
            .order_by(jobs.c.id)
            .limit(_WALKED)
        ).all()
        found: list[int] = []
        for row in stretch:
            is_surplus = row.id <= surplus
            if not is_surplus and (cutoff is None or (row.created_at is not None and row.created_at >= cutoff)):
                return found, False
            self._walked[status] = row.id
            if is_surplus or _ended_before(row, cutoff):
                found.append(row.id)
                if len(found) == CHUNK:
                    return found, True
        return found, len(stretch) == _WALKED


class Caretaker:
    """Prunes for a supervisor: while it is calm, and if it never is, a little all the same."""

    def __init__(self, store: Store, folder: StateFolder, retention: Retention) -> None:
        self._new_walk = partial(Pruner, store, folder, retention)
        self._has_work = retention.is_limited
        self._walk: Pruner | None = None
        self._begin_at = self._calm_at = time.monotonic()

    def work(self, *, is_busy: bool) -> None:
        """Call it about once a second."""
        if not self._has_work:
            return
        now = time.monotonic()
        if not is_busy:
            self._calm_at = now
        elif now < self._calm_at + LONGEST_WAIT:
            return
        if self._walk is None:
            if now < self._begin_at:
                return
            self._walk = self._new_walk()
        while self._walk is not None:
            if self._walk.prune_some() is None:
                self._walk, self._begin_at = None, now + WALK_INTERVAL
            if is_busy or time.monotonic() >= now + SECONDS_AT_A_TIME:
                return


def _newest_surplus(connection: Connection, most: int | None) -> int:
    """The id of the newest job that is one too many; 0 where there is none."""
    if most is None:
        return 0
    # Each part comes in order from the index by status, and the database merges them.
    parts = [select(jobs.c.id.label("id")).where(jobs.c.status == status) for status in ENDED]
    return connection.scalar(union_all(*parts).order_by(desc("id")).limit(1).offset(most)) or 0


def _ended_before(row: Any, cutoff: datetime | None) -> bool:
    """A row whose times cannot be read is kept: nobody knows how old it is."""
    ended = row.completed_at or row.created_at
    return cutoff is not None and ended is not None and ended < cutoff
