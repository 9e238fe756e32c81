"""Questions to the tables, answered on a connection of the caller's. Nothing here changes anything."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, Row, Select, Table, bindparam, func, literal_column, or_, select, text

from bgjobs.exceptions import InvalidParameters, JobNotFound
from bgjobs.limits import limits_of_row
from bgjobs.models import (
    NAME_LENGTH,
    PENDING,
    RUNNING,
    STATUSES,
    SUPERVISED,
    BackgroundJob,
    JobAttempt,
    JobLog,
    PausedQueue,
    Unreadable,
)
from bgjobs.parameters import checked_parameters
from bgjobs.prepared import Prepared
from bgjobs.redaction import shorten
from bgjobs.retry import RetryDelay, checked_retry_delay, checked_seconds
from bgjobs.runner.outcome import Execution

jobs = cast(Table, BackgroundJob.__table__)
logs = cast(Table, JobLog.__table__)
attempts = cast(Table, JobAttempt.__table__)
paused_queues = cast(Table, PausedQueue.__table__)

# Spelled out, not bound: SQLite uses a partial index only when it can see that its condition holds.
IS_PENDING = jobs.c.status == literal_column(f"'{PENDING}'")
IS_RUNNING = jobs.c.status == literal_column(f"'{RUNNING}'")


def job_row(connection: Connection, job_id: int, *, for_update: bool = False) -> Row[Any]:
    """The row of ``background_jobs``; ``for_update`` keeps others from changing it until the transaction ends.
    Raises :class:`JobNotFound`."""
    found = select(jobs).where(jobs.c.id == possible_id(job_id))
    row = connection.execute(found.with_for_update() if for_update else found).first()
    if row is None:
        raise JobNotFound(job_id)
    return row


def possible_id(job_id: int) -> int:
    """``job_id`` if a database could hold it: a larger number would be an error of its driver. Raises
    :class:`JobNotFound`."""
    if not isinstance(job_id, int) or not 0 < job_id < 2**63:
        raise JobNotFound(job_id)
    return job_id


def newest_id_ever(connection: Connection) -> int:
    """The highest id that a job has had, be it removed or not; as far as the database remembers."""
    if connection.dialect.name == "sqlite":
        found = connection.scalar(_SEQUENCE, {"name": jobs.name})
        return found if isinstance(found, int) else 0
    # A job that is gone can have been the newest; a sequence elsewhere may have another name.
    return connection.scalar(select(func.max(jobs.c.id))) or 0


def existing(connection: Connection, job_ids: Sequence[int]) -> list[int]:
    """Those of the ids that are in the database: after a rollback, none."""
    return list(connection.scalars(select(jobs.c.id).where(jobs.c.id.in_(job_ids)).order_by(jobs.c.id)))


def has_pending(connection: Connection) -> bool:
    """Whether any job waits, be it for next year."""
    return connection.scalar(_ANY_PENDING) is not None


def due(connection: Connection, most: int, now: datetime) -> list[Any]:
    """Pending jobs whose time has come, most urgent first, at most ``most``.

    One look into the index for each priority in use: jobs of the far future, however many and however
    urgent, are never walked over. Due jobs of a paused queue are, where they come before the others.
    """
    found = _DUE_FIRST.fetch(connection, {"now": now, "most": most})  # mostly, all have one priority
    return found if len(found) >= most else _most_urgent(_DUE, connection, most, now)


def ids_due(connection: Connection, most: int, now: datetime) -> list[int]:
    """The ids of the jobs that :func:`due` finds, for who only looks: nothing of them is read or locked."""
    return [row.id for row in _most_urgent(_IDS_DUE, connection, most, now)]


def claimable(connection: Connection, job_id: int, now: datetime) -> dict[str, bool]:
    """By the name of each condition of :data:`CLAIMABLE`, whether it holds for this job. Raises
    :class:`JobNotFound`."""
    conditions = [condition.label(name) for name, condition in CLAIMABLE.items()]
    found = connection.execute(select(*conditions).where(jobs.c.id == possible_id(job_id)), {"now": now}).first()
    if found is None:
        raise JobNotFound(job_id)
    return {name: bool(holds) for name, holds in found._mapping.items()}  # NULL is what the claim takes as false


def paused_queue(connection: Connection, queue: Any) -> Row[Any] | None:
    """Who paused a queue, and since when; None where it is open."""
    return connection.execute(select(paused_queues).where(paused_queues.c.queue == queue)).first()


def longest_running(connection: Connection, most: int) -> list[Row[Any]]:
    """The jobs that run in processes of a supervisor, the longest running first."""
    return list(connection.execute(_LONGEST_RUNNING, {"most": most}))


def _most_urgent(statement: Prepared, connection: Connection, most: int, now: datetime) -> list[Any]:
    found: list[Any] = []
    for priority in pending_priorities(connection):
        found += statement.fetch(connection, {"priority": priority, "now": now, "most": most - len(found)})
        if len(found) >= most:
            break
    return found


def pending(connection: Connection, job_ids: Sequence[int]) -> list[Row[Any]]:
    """Those of the jobs that are pending, due or not."""
    return list(connection.execute(_PENDING_OF, {"ids": list(job_ids)}))


def published(connection: Connection, messages: Collection[tuple[int, str]]) -> list[Row[Any]]:
    """The jobs that these messages, each a job's id and a token, were sent for and that still wait for them."""
    rows = connection.execute(_PUBLISHED_OF, {"ids": sorted({job_id for job_id, _ in messages})})
    return [row for row in rows if (row.id, row.execution_token) in messages]


def next_due(connection: Connection) -> datetime | None:
    """When the first of the pending jobs is due, None where there is none."""
    priorities = pending_priorities(connection)
    times = [_only(_NEXT_DUE.fetch(connection, {"priority": priority})) for priority in priorities]
    return min((time for time in times if time is not None), default=None)


def pending_priorities(connection: Connection) -> Iterator[float]:
    """The priorities that pending jobs have, the most urgent first: one index look-up each."""
    priority = _only(_FIRST_PRIORITY.fetch(connection, {}))
    # A text or a blob that somebody wrote there comes after all numbers, and may come back as another value.
    while isinstance(priority, int | float):
        yield priority
        priority = _only(_NEXT_PRIORITY.fetch(connection, {"last": priority}))


def current_executions(connection: Connection, executions: Sequence[Execution]) -> dict[str, Any]:
    """Those of these that are still the running one of their job, by execution token: whether they were asked to
    stop (``cancel_requested_at``), since when they were due and since when they run."""
    found = {}
    if connection.dialect.name == "sqlite":
        for job in executions:
            for row in _CURRENT.fetch(connection, {"key": job.id, "token": job.token}):
                found[job.token] = row
        return found
    tokens = {job.token for job in executions}
    for row in connection.execute(_CURRENT_OF, {"keys": sorted({job.id for job in executions})}):
        if row.execution_token in tokens:
            found[row.execution_token] = row
    return found


def running(connection: Connection) -> list[Row[Any]]:
    """The rows of all running jobs, whoever runs them."""
    return list(connection.execute(_RUNNING))


def running_in(connection: Connection, process: Mapping[str, Any]) -> list[Row[Any]]:
    """The rows of the running jobs that are given to one process; ``process`` holds its columns."""
    is_its = [jobs.c[column] == value for column, value in process.items()]
    return list(connection.execute(select(jobs).where(IS_RUNNING, *is_its)))


def cancel_requests(connection: Connection) -> dict[int, str | None]:
    """The ids of the running jobs that somebody asked to stop, and who that was."""
    return {row.id: row.cancel_requested_by for row in connection.execute(_CANCEL_REQUESTS)}


def requests(connection: Connection) -> list[Row[Any]]:
    """What somebody asked of running jobs: those that are to stop, and those that are to be held up."""
    return list(connection.execute(_REQUESTS))


def queues_paused(connection: Connection) -> list[Row[Any]]:
    """The queues of which no job is started."""
    return list(connection.execute(_PAUSED_QUEUES))


def counts(connection: Connection) -> dict[str, int]:
    """How many jobs there are of each status."""
    rows = connection.execute(select(jobs.c.status, func.count()).group_by(jobs.c.status))
    found = {str(status): int(count) for status, count in rows}
    return {status: found.get(status, 0) for status in STATUSES}


def execution_of(row: Any, *, token: str, attempt: int) -> Execution:
    """The execution that a row stands for, whoever wrote to the row: what cannot be is replaced by something
    that is safe to pass on, and that the runner refuses."""
    return Execution(
        id=row.id,
        class_name=shorten(str(row.class_name), NAME_LENGTH),
        method_name=shorten(str(row.method_name), NAME_LENGTH),
        parameters=_parameters(row.parameters),
        retry_count=whole_number(row.retry_count),
        max_retries=whole_number(row.max_retries),
        retry_delay=_delay(row.retry_delay),
        timeout=_timeout(row.timeout),
        token=token,
        attempt=attempt,
        limits=limits_of_row(row.limits),
    )


def whole_number(value: Any) -> int:
    """A whole number of 32 bits from a row that somebody may have edited; -1, which no check lets pass, for
    any other."""
    return value if isinstance(value, int) and 0 <= value < 2**31 else -1


def _only(rows: Sequence[Any]) -> Any:
    return rows[0].found


def _parameters(value: Any) -> Any:
    if isinstance(value, Unreadable):
        return Unreadable("what is stored is not JSON")
    try:
        return checked_parameters(value)
    except InvalidParameters as refusal:
        return Unreadable(refusal.reason)


def _delay(value: Any) -> RetryDelay:
    try:
        return checked_retry_delay(value, 0)
    except InvalidParameters:
        return 5.0


def _timeout(value: Any) -> float | None:
    try:
        return checked_seconds(value, "timeout") or None
    except InvalidParameters:
        return None


# Built once: for the supervisor, which asks a thousand times a second, building costs more than asking.
# FOR UPDATE says nothing on SQLite, where a claim holds the write lock anyway.
_EXECUTION = select(
    jobs.c.id,
    jobs.c.class_name,
    jobs.c.method_name,
    jobs.c.parameters,
    jobs.c.retry_count,
    jobs.c.max_retries,
    jobs.c.retry_delay,
    jobs.c.timeout,
    jobs.c.attempt,
    jobs.c.limits,
)
# A look into an empty table, mostly: 0.1 µs a job (measured). With it a paused queue is never claimed from,
# from the commit on that paused it; no list in anybody's memory could promise that.
_OF_OPEN_QUEUE = jobs.c.queue.not_in(select(paused_queues.c.queue))
_OF_PRIORITY = jobs.c.priority == bindparam("priority")
_IS_DUE = jobs.c.scheduled_at <= bindparam("now", type_=jobs.c.scheduled_at.type)
CLAIMABLE = {"pending": IS_PENDING, "due": _IS_DUE, "open_queue": _OF_OPEN_QUEUE}
"""What has to be true of a job that is claimed, each condition by its name. The claim is made of these, and so is
the answer why a job does not run (why.py)."""
# Where all that is pending has a text there, that is the lowest.
_IS_NUMBER = jobs.c.priority <= literal_column(str(2**63 - 1))
_LOWEST = select(func.min(jobs.c.priority).label("found")).where(IS_PENDING)


def _first_of(found: Select[Any]) -> Select[Any]:
    claimable = found.where(*CLAIMABLE.values())
    return claimable.order_by(jobs.c.scheduled_at, jobs.c.id).limit(bindparam("most"))


def _to_claim(found: Select[Any]) -> Select[Any]:
    return _first_of(found).with_for_update(skip_locked=True)


_FIRST_PRIORITY = Prepared(_LOWEST)
_NEXT_PRIORITY = Prepared(_LOWEST.where(jobs.c.priority > bindparam("last")))
_NEXT_DUE = Prepared(
    select(func.min(jobs.c.scheduled_at).label("found")).where(IS_PENDING, _OF_PRIORITY, _OF_OPEN_QUEUE)
)
_DUE = Prepared(_to_claim(_EXECUTION.where(_OF_PRIORITY)))
_LOWEST_NUMBER = _LOWEST.where(_IS_NUMBER).scalar_subquery()
_DUE_FIRST = Prepared(_to_claim(_EXECUTION.where(jobs.c.priority == _LOWEST_NUMBER)))
_IDS_DUE = Prepared(_first_of(select(jobs.c.id).where(_OF_PRIORITY)))
_CURRENT = Prepared(
    select(jobs.c.cancel_requested_at, jobs.c.scheduled_at, jobs.c.started_at)
    .where(jobs.c.id == bindparam("key"), jobs.c.execution_token == bindparam("token"), jobs.c.status == RUNNING)
    .with_for_update()
)
# All in one question, where each takes the way to a server and back. In the order of their ids, as whoever changes
# several jobs has to lock them: else each of two waits for what the other has locked.
_CURRENT_OF = (
    select(jobs.c.execution_token, jobs.c.cancel_requested_at, jobs.c.scheduled_at, jobs.c.started_at)
    .where(jobs.c.id.in_(bindparam("keys", expanding=True)), jobs.c.status == RUNNING)
    .order_by(jobs.c.id)
    .with_for_update()
)
_ANY_PENDING = select(jobs.c.id).where(IS_PENDING).limit(1)
_PENDING_OF = _EXECUTION.where(
    jobs.c.id.in_(bindparam("ids", expanding=True)), jobs.c.status == PENDING
).with_for_update(skip_locked=True)
# Not SKIP LOCKED: what somebody else holds for a moment would be taken for a job that is gone.
_PUBLISHED_OF = (
    _EXECUTION.add_columns(jobs.c.execution_token)
    .where(jobs.c.id.in_(bindparam("ids", expanding=True)))
    .where(IS_PENDING, jobs.c.published_at.is_not(None), _OF_OPEN_QUEUE)
    .order_by(jobs.c.id)
    .with_for_update()
)
_SEQUENCE = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
_RUNNING = select(jobs).where(IS_RUNNING).order_by(jobs.c.id)
_LONGEST_RUNNING = (
    select(jobs.c.id, jobs.c.class_name, jobs.c.method_name, jobs.c.started_at)
    .where(IS_RUNNING, jobs.c.backend.in_(SUPERVISED))
    .order_by(jobs.c.started_at, jobs.c.id)
    .limit(bindparam("most"))
)
_REQUESTS = select(
    jobs.c.id,
    jobs.c.cancel_requested_at,
    jobs.c.cancel_requested_by,
    jobs.c.kill_requested_at,
    jobs.c.paused_at,
).where(IS_RUNNING, or_(jobs.c.cancel_requested_at.is_not(None), jobs.c.paused_at.is_not(None)))
_PAUSED_QUEUES = select(paused_queues).order_by(paused_queues.c.queue)
_CANCEL_REQUESTS = select(jobs.c.id, jobs.c.cancel_requested_by).where(
    IS_RUNNING, jobs.c.cancel_requested_at.is_not(None)
)
