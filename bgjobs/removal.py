"""Removes ended jobs with all that belongs to them, by hand or because they are too old (supervisor/retention).

Never a job that waits or runs: the statement that deletes looks at the status itself. Attempts, logs and samples
go by their foreign keys, the entries of the log search in the same transaction, the files of output after it.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Table, delete, func, insert, select, update

from bgjobs import custom_logger as wording
from bgjobs import log_search
from bgjobs.app_state import AppState
from bgjobs.deadlocks import outlasting_deadlocks
from bgjobs.lookups import attempts, jobs, logs, whole_number
from bgjobs.models import ENDED, Meta
from bgjobs.samples import samples
from bgjobs.state_folder import StateFolder
from bgjobs.store import Store, who

# Jobs in one transaction, which keeps all others from writing meanwhile: some 50 ms (measured beside other work).
CHUNK = 50
_LAST_REMOVAL = "last_removal"


@dataclass(slots=True)
class Removed:
    """What was removed, or would be. ``jobs`` by status."""

    jobs: Counter[str] = field(default_factory=Counter)
    logs: int = 0
    attempts: int = 0
    samples: int = 0
    files: int = 0

    def __iadd__(self, other: Removed) -> Removed:
        for item in fields(self):
            setattr(self, item.name, getattr(self, item.name) + getattr(other, item.name))
        return self

    def to_json(self) -> dict[str, Any]:
        found = {item.name: getattr(self, item.name) for item in fields(self)}
        return {**found, "jobs": {status: self.jobs[status] for status in ENDED}}


def remove(state: AppState, job_ids: Iterable[int], by: str | None) -> Removed:
    """Remove those of the jobs that have ended, because ``by`` wants it; the others stay as they are.

    Each leaves a record in the log file: its own logs go with it.
    """
    removed = Removed()
    possible = (number for number in job_ids if isinstance(number, int) and 0 < number < 2**63)
    for chunk in _chunks(possible):
        rows, some, files = _remove_by_hand(state, chunk)
        _unlink(files)
        state.store.logger.write(wording.removed(row, who(by)) for row in rows)
        removed += some
    return removed


@outlasting_deadlocks
def remove_chunk(store: Store, folder: StateFolder, job_ids: Sequence[int]) -> Removed:
    """Remove those of a few jobs that have ended, without a word about each."""
    with store.database.writing() as connection:
        # Somebody may have pressed Retry since they were found.
        still = list(
            connection.scalars(select(jobs.c.id).where(*_ended(job_ids)).order_by(jobs.c.id).with_for_update())
        )
        removed, files = _remove(connection, still, folder)
    _unlink(files)
    return removed


def belongings(connection: Connection, job_ids: Sequence[int], folder: StateFolder) -> tuple[Removed, list[str]]:
    """How many rows there are of these jobs, and which files."""

    def count(table: Table) -> int:
        found = select(func.count()).select_from(table).where(table.c.background_job_id.in_(job_ids))
        return int(connection.scalar(found) or 0)

    by_status = select(jobs.c.status, func.count()).where(*_ended(job_ids)).group_by(jobs.c.status)
    of_attempts = select(attempts.c.background_job_id, attempts.c.number)
    # Made of two numbers: never of the path that a row holds, which somebody may have edited.
    files = [
        folder.output_file(row.background_job_id, whole_number(row.number))
        for row in connection.execute(of_attempts.where(attempts.c.background_job_id.in_(job_ids)))
    ]
    files = [file for file in files if os.path.lexists(file)]
    found = Removed(
        jobs=Counter({str(status): int(number) for status, number in connection.execute(by_status)}),
        logs=count(logs),
        attempts=count(attempts),
        samples=count(samples),
        files=len(files),
    )
    return found, files


def last_removal(connection: Connection) -> str:
    """Another text after each removal by hand, which nothing else in the tables would tell of."""
    return connection.scalar(select(Meta.value).where(Meta.key == _LAST_REMOVAL)) or ""


@outlasting_deadlocks
def _remove_by_hand(state: AppState, job_ids: Sequence[int]) -> tuple[Sequence[Any], Removed, list[str]]:
    still = select(jobs.c.id, jobs.c.class_name, jobs.c.method_name).where(*_ended(job_ids))
    with state.store.database.writing() as connection:
        rows = connection.execute(still.order_by(jobs.c.id).with_for_update()).all()
        removed, files = _remove(connection, [row.id for row in rows], state.folder)
        if rows:
            _note_removal(connection)
    return rows, removed, files


def _remove(connection: Connection, ended: Sequence[int], folder: StateFolder) -> tuple[Removed, list[str]]:
    """Remove jobs that have ended; what that was, and the files that are left of it."""
    removed, files = belongings(connection, ended, folder)
    of_logs = select(logs.c.id, logs.c.message).where(logs.c.background_job_id.in_(ended))
    log_search.remove(connection, connection.execute(of_logs).all())
    connection.execute(delete(jobs).where(*_ended(ended)))
    return removed, files


def _chunks(job_ids: Iterable[int]) -> Iterator[list[int]]:
    waiting = iter(job_ids)
    while chunk := list(islice(waiting, CHUNK)):
        yield chunk


def _unlink(files: Iterable[str]) -> None:
    """After the commit: a file without its job is found by nobody, a job without its file is."""
    for file in files:
        with contextlib.suppress(OSError):
            os.unlink(file)


def _note_removal(connection: Connection) -> None:
    value = uuid.uuid4().hex
    # Not deleted and inserted: two who do that at once would both find nothing to delete, and one the other's.
    if connection.execute(update(Meta).where(Meta.key == _LAST_REMOVAL).values(value=value)).rowcount == 0:
        connection.execute(insert(Meta).values(key=_LAST_REMOVAL, value=value))


def _ended(job_ids: Sequence[int]) -> tuple[Any, ...]:
    return jobs.c.id.in_(job_ids), jobs.c.status.in_(ENDED)
