"""The state machine: the only writer of ``status``. Each transition is one guarded statement.

A :class:`Changes` is a set of transitions in one transaction, with the log records that tell of them. The
records are written to ``job_logs`` in that transaction and to the log files after it.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    bindparam,
    case,
    func,
    insert,
    literal,
    null,
    select,
    update,
)

from bgjobs import clock, metrics
from bgjobs import custom_logger as wording
from bgjobs.custom_logger import CustomLogger, LogEntry
from bgjobs.database import Database
from bgjobs.deadlocks import outlasting_deadlocks
from bgjobs.exceptions import InvalidTransition, QueueFull
from bgjobs.limits import Limits
from bgjobs.lookups import (
    attempts,
    current_executions,
    due,
    execution_of,
    job_row,
    jobs,
    logs,
    pending,
    possible_id,
    published,
    whole_number,
)
from bgjobs.models import (
    CANCELLED,
    ENQUEUE_LOCK,
    FAILED,
    PENDING,
    RUNNING,
    Meta,
)
from bgjobs.notify import ring_at_commit
from bgjobs.prepared import Prepared, together
from bgjobs.redaction import Redactor, escape
from bgjobs.retry import RetryDelay
from bgjobs.runner.outcome import Execution, Outcome
from bgjobs.transition import ATTEMPT_COLUMNS, JOB_COLUMNS, Transition, transition

_LONGEST_WHO = 200

ProcessColumns = Mapping[str, Any]
"""Who runs a job, by the names of its columns: host, boot_id, pid_namespace, pid, process_started."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job that was checked and is about to be stored."""

    class_name: str
    method_name: str
    parameters: Any
    scheduled_at: datetime
    queue: str
    priority: int
    retry_count: int
    max_retries: int
    retry_delay: RetryDelay
    timeout: float | None
    limits: Limits | None = None
    retry_of: int | None = None  # the job of which it is a retry with other parameters


class Store:
    """The jobs of one database."""

    def __init__(self, database: Database, logger: CustomLogger, redactor: Redactor) -> None:
        self.database = database
        self.logger = logger
        self.redactor = redactor

    @contextmanager
    def changing(self) -> Iterator[Changes]:
        """Transitions in a transaction of their own, and their log records after its commit."""
        with self.database.writing() as connection:
            changes = Changes(connection, self.redactor)
            yield changes
            changes.write_logs()
        self.logger.write(changes.entries)

    @outlasting_deadlocks
    def cancel(self, job_id: int, *, by: str | None = None) -> str:
        """Cancel a pending job, or ask a running one to stop. Returns its status then. ``by`` says who does it.

        Raises :class:`JobNotFound`, and :class:`InvalidTransition` when it has ended already.
        """
        with self.changing() as changes:
            return changes.cancel(job_id, by=by)

    @outlasting_deadlocks
    def retry(self, job_id: int) -> None:
        """Put a failed or cancelled job back to pending, with all its retries.

        Raises :class:`JobNotFound`, and :class:`InvalidTransition` for any other status.
        """
        with self.changing() as changes:
            changes.retry(job_id)


class Changes:
    """Transitions on one connection, inside a transaction that the caller commits."""

    def __init__(self, connection: Connection, redactor: Redactor) -> None:
        self.connection = connection
        self.redactor = redactor
        self.entries: list[LogEntry] = []
        self._unwritten: list[LogEntry] = []

    def enqueue_all(
        self, new: Sequence[NewJob], *, max_pending: int | None = None, now: datetime | None = None
    ) -> list[int]:
        """Insert pending jobs and return their ids. Raises :class:`QueueFull`."""
        if max_pending is not None:
            self._refuse_when_full(max_pending, len(new))
        now = now or clock.now()
        job_ids = _INSERT_JOB.insert(self.connection, [_row_of(job, now) for job in new])
        for job_id, job in zip(job_ids, new, strict=True):
            self._tell_of_dispatch(job_id, job)
        ring_at_commit(self.connection)
        return job_ids

    def _tell_of_dispatch(self, job_id: int, job: NewJob) -> None:
        shown = {
            "id": job_id,
            "class_name": job.class_name,
            "method_name": job.method_name,
            "parameters": self.redactor.parameters(job.parameters),
            "status": PENDING,
            "retry_count": job.retry_count,
            "scheduled_at": f"{job.scheduled_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
        }
        self._tell(*wording.dispatched(_Named(job_id, job.class_name, job.method_name), shown))

    def claim(
        self,
        seats: Sequence[ProcessColumns],
        *,
        backend: str,
        output_path: Any = None,
        job_ids: Sequence[int] | None = None,
        messages: Collection[tuple[int, str]] | None = None,
        now: datetime | None = None,
    ) -> list[Execution]:
        """Give due jobs to waiting processes, one each, most urgent first, and make them running.

        Returns the executions in the order of ``seats``; there are fewer where fewer are due.
        ``job_ids`` claims these jobs and no others, due or not; ``messages``, each a job's id and its token,
        those that were published so and still wait for it. ``output_path`` says, for an execution, where its
        output will lie.
        """
        now = now or clock.now()
        if messages is not None:
            rows = published(self.connection, messages)
        elif job_ids is not None:
            rows = pending(self.connection, job_ids)
        else:
            rows = due(self.connection, len(seats), now)
        executions = [
            execution_of(
                row,
                token=uuid.uuid4().hex if messages is None else row.execution_token,
                attempt=whole_number(row.attempt) + 1,
            )
            for row in rows[: len(seats)]
        ]
        if not executions:
            return []
        seated = list(zip(executions, seats, strict=False))
        claims = [
            {
                "key": job.id,
                "token": job.token,
                "attempt_number": job.attempt,
                "by_backend": backend,
                "now": now,
                **{f"new_{column}": value for column, value in seat.items()},
            }
            for job, seat in seated
        ]
        begun = [
            {
                "background_job_id": job.id,
                "number": job.attempt,
                "execution_token": job.token,
                "pid": seat["pid"],
                "host": seat["host"],
                "started_at": now,
                "output_path": None if output_path is None else output_path(job),
            }
            for job, seat in seated
        ]
        with together(self.connection):
            _CLAIM.execute(self.connection, claims)
            _INSERT_ATTEMPT.execute(self.connection, begun)
        self._tell(*(wording.started(job) for job in executions))
        return executions

    def finish(
        self, outcomes: Iterable[tuple[Execution, Outcome]], *, now: datetime | None = None
    ) -> dict[str, str]:
        """Write outcomes. Returns the new status by execution token; an execution that is not the
        current one of its job (it was fenced out) changes nothing and is not in the result. Of several
        outcomes of one execution the first counts."""
        now = now or clock.now()
        first: dict[str, tuple[Execution, Outcome]] = {}
        for job, outcome in outcomes:
            first.setdefault(job.token, (job, outcome))
        ended = list(first.values())
        current = current_executions(self.connection, [job for job, _ in ended])
        changes = [
            (
                job,
                transition(
                    job,
                    outcome,
                    cancel_requested=row.cancel_requested_at is not None,
                    now=now,
                    redactor=self.redactor,
                ),
            )
            for job, outcome in ended
            if (row := current.get(job.token)) is not None
        ]
        if not changes:
            return {}
        with together(self.connection):
            for statement, part in ((_FINISH, "job"), (_END_ATTEMPT, "attempt")):
                statement.execute(
                    self.connection,
                    [
                        {"key": job.id, "token": job.token, **_new(getattr(change, part))}
                        for job, change in changes
                    ],
                )
            metrics.count(self.connection, _counted(changes, current, now), now)
        for _, change in changes:
            self._tell(*change.entries)
        return {job.token: change.status for job, change in changes}

    def cancel(self, job_id: int, *, by: str | None = None, now: datetime | None = None) -> str:
        """Cancel a pending job, or note that a running one is to stop; the status then."""
        if self.cancel_pending(job_id, by=by, now=now):
            return CANCELLED
        row = job_row(self.connection, job_id)
        if row.status != RUNNING:
            raise InvalidTransition(job_id, str(row.status), "cancelled", ended_at=row.completed_at)
        now = now or clock.now()
        self.connection.execute(
            update(jobs)
            .where(jobs.c.id == job_id, jobs.c.status == RUNNING, jobs.c.cancel_requested_at.is_(None))
            .values(cancel_requested_at=now, cancel_requested_by=who(by), updated_at=now)
        )
        ring_at_commit(self.connection)
        return RUNNING

    def cancel_pending(self, job_id: int, *, by: str | None = None, now: datetime | None = None) -> bool:
        """Cancel a pending job. False, and nothing is changed, for one that is not pending any more."""
        now, by = now or clock.now(), who(by)
        # First of all: two that change a job at a time would else each wait for the other.
        row = job_row(self.connection, job_id, for_update=True)
        stopped = self.connection.execute(
            update(jobs)
            .where(jobs.c.id == possible_id(job_id), jobs.c.status == PENDING)
            .values(
                status=CANCELLED,
                completed_at=_not_before(jobs.c.started_at, literal(now, _TIME)),
                updated_at=now,
                cancel_requested_at=now,
                cancel_requested_by=by,
            )
        )
        if stopped.rowcount != 1:
            return False
        self._tell(wording.cancelled(_named(row)))
        return True

    def retry(self, job_id: int, *, now: datetime | None = None) -> None:
        """Put a failed or cancelled job back to pending with a fresh count of retries."""
        now = now or clock.now()
        again = self.connection.execute(
            update(jobs)
            .where(jobs.c.id == possible_id(job_id), jobs.c.status.in_((FAILED, CANCELLED)))
            .values(
                status=PENDING,
                retry_count=0,
                scheduled_at=now,
                updated_at=now,
                completed_at=None,
                cancel_requested_at=None,
                cancel_requested_by=None,
                kill_requested_at=None,
                progress_done=None,
                progress_total=None,
                progress_message=None,
                published_at=None,
            )
        )
        row = job_row(self.connection, job_id)
        if again.rowcount != 1:
            raise InvalidTransition(job_id, str(row.status), "retried")
        self._tell(wording.retried_by_hand(_named(row)))
        ring_at_commit(self.connection)

    def progress(
        self,
        job: Execution,
        done: float,
        total: float | None,
        message: str | None,
        *,
        now: datetime | None = None,
    ) -> None:
        """Note how far a running execution is."""
        self.connection.execute(
            update(jobs)
            .where(jobs.c.id == job.id, jobs.c.execution_token == job.token, jobs.c.status == RUNNING)
            .values(
                progress_done=done,
                progress_total=total,
                progress_message=None if message is None else escape(self._masked(job, message)),
                updated_at=now or clock.now(),
            )
        )

    def log(self, job: Execution, message: str) -> None:
        """Note what a job says of itself."""
        self._tell(wording.entry("info", job, self._masked(job, message)))

    def stopping(self, job: Execution, grace: float, by: str | None = None) -> None:
        """Note that a running job is now being stopped because somebody asked for it."""
        self._tell(wording.cancel_requested(job, grace, by))

    def note(self, entry: LogEntry) -> None:
        """Add a record of what somebody did beside the transitions here."""
        self._tell(entry)

    def write_logs(self) -> None:
        """Insert the records that are not in ``job_logs`` yet. Call it before the commit."""
        unwritten, self._unwritten = self._unwritten, []
        if unwritten:
            _INSERT_LOG.execute(
                self.connection,
                [
                    {
                        "background_job_id": item.job_id,
                        "type": item.type,
                        "message": item.message,
                        "created_at": item.created_at,
                    }
                    for item in unwritten
                ],
            )

    def _tell(self, *entries: LogEntry) -> None:
        self.entries.extend(entries)
        self._unwritten.extend(entries)

    def _masked(self, job: Execution, text: str) -> str:
        return self.redactor.text(text, self.redactor.secrets(job.parameters))

    def _refuse_when_full(self, limit: int, coming: int) -> None:
        if self.connection.dialect.name != "sqlite":  # where who writes is alone
            self.connection.execute(_LOCK_ENQUEUING)
        most = limit - coming  # that may be pending already
        full = select(jobs.c.id).where(jobs.c.status == PENDING).offset(max(0, most)).limit(1)
        if most < 0 or self.connection.scalar(full) is not None:
            raise QueueFull(limit)


def _counted(
    changes: Iterable[tuple[Execution, Transition]], current: Mapping[str, Any], now: datetime
) -> Iterator[metrics.Ended]:
    """The attempts that ended with these changes, as charts count them."""
    for job, change in changes:
        kind = metrics.kind_of(change.status, change.attempt["outcome"])
        if kind is not None:
            row = current[job.token]
            waited = metrics.seconds_between(row.scheduled_at, row.started_at)
            ran = metrics.seconds_between(row.started_at, now)
            yield metrics.Ended(job.class_name, job.method_name, kind, waited, ran)


@dataclass(frozen=True, slots=True)
class _Named:
    id: int
    class_name: str
    method_name: str


def _named(row: Row[Any]) -> _Named:
    return _Named(row.id, str(row.class_name), str(row.method_name))


def _row_of(job: NewJob, now: datetime) -> dict[str, Any]:
    return {
        "class_name": job.class_name,
        "method_name": job.method_name,
        "parameters": job.parameters,
        "status": PENDING,
        "queue": job.queue,
        "priority": job.priority,
        "retry_count": job.retry_count,
        "max_retries": job.max_retries,
        "retry_delay": job.retry_delay,
        "timeout": job.timeout,
        "limits": job.limits,
        "scheduled_at": job.scheduled_at,
        "created_at": now,
        "updated_at": now,
        "attempt": 0,
        "retry_of": job.retry_of,
    }


def _new(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values under names that do not collide with the columns of a bound UPDATE."""
    return {f"new_{column}": value for column, value in values.items()}


def who(by: str | None) -> str | None:
    """A name as it may be stored: it comes from whoever is logged in somewhere."""
    return escape(by)[:_LONGEST_WHO] or None if by else None


_LOCK_ENQUEUING = select(Meta.value).where(Meta.key == ENQUEUE_LOCK).with_for_update()
_INSERT_JOB = Prepared(
    insert(jobs),
    (
        "class_name",
        "method_name",
        "parameters",
        "status",
        "queue",
        "priority",
        "retry_count",
        "max_retries",
        "retry_delay",
        "timeout",
        "limits",
        "scheduled_at",
        "created_at",
        "updated_at",
        "attempt",
        "retry_of",
    ),
)
_INSERT_LOG = Prepared(insert(logs), ("background_job_id", "type", "message", "created_at"))
_INSERT_ATTEMPT = Prepared(
    insert(attempts),
    ("background_job_id", "number", "execution_token", "pid", "host", "started_at", "output_path"),
)

_TIME = jobs.c.scheduled_at.type


def _not_before(start: ColumnElement[Any], end: ColumnElement[Any]) -> ColumnElement[Any]:
    """``end``, or ``start`` where that is later: somebody set the clock back in between."""
    return case((start > end, start), else_=end)


def _guarded_update(columns: Sequence[str]) -> Any:
    """The fence: nothing is changed unless this execution is still the running one of its job."""
    return (
        update(jobs)
        .where(
            jobs.c.id == bindparam("key"),
            jobs.c.execution_token == bindparam("token"),
            jobs.c.status == RUNNING,
        )
        .values({column: bindparam(f"new_{column}") for column in columns})
        .values(
            scheduled_at=func.coalesce(bindparam("new_scheduled_at", type_=_TIME), jobs.c.scheduled_at),
            completed_at=_not_before(jobs.c.started_at, bindparam("new_completed_at", type_=_TIME)),
        )
    )


_PROCESS_COLUMNS = ("host", "boot_id", "pid_namespace", "pid", "process_started")

_CLAIM = Prepared(
    update(jobs)
    .where(jobs.c.id == bindparam("key"), jobs.c.status == PENDING)
    .values(
        status=RUNNING,
        execution_token=bindparam("token"),
        attempt=bindparam("attempt_number"),
        backend=bindparam("by_backend"),
        started_at=bindparam("now"),
        updated_at=bindparam("now"),
        progress_done=None,
        progress_total=None,
        progress_message=None,
        paused_at=null(),
        paused_by=null(),
        paused_seconds=null(),
        published_at=null(),
        **{column: bindparam(f"new_{column}") for column in _PROCESS_COLUMNS},
    )
)

_FINISH = Prepared(_guarded_update(JOB_COLUMNS))

_END_ATTEMPT = Prepared(
    update(attempts)
    .where(attempts.c.background_job_id == bindparam("key"), attempts.c.execution_token == bindparam("token"))
    .values({column: bindparam(f"new_{column}") for column in ATTEMPT_COLUMNS})
    .values(ended_at=_not_before(attempts.c.started_at, bindparam("new_ended_at", type_=_TIME)))
)
