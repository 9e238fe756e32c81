"""The tables. Columns only: what may happen to a row is decided in ``store.py``.

They stand in a metadata of their own, so that they fit any host whatever its declarative base is.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    TypeDecorator,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeEngine

PENDING, RUNNING, COMPLETED, FAILED, CANCELLED = STATUSES = (
    "pending",
    "running",
    "completed",
    "failed",
    "cancelled",
)
UNFINISHED = (PENDING, RUNNING)
ENDED = (COMPLETED, FAILED, CANCELLED)
SUPERVISED = ("local", "celery")
"""The backends whose jobs a supervisor runs, each in a process of its own."""
SUCCESS, FAILURE, INFO = LOG_TYPES = ("success", "failure", "info")

NAME_LENGTH = 255

# SQLite gives AUTOINCREMENT (ids that are never used again) to INTEGER PRIMARY KEY alone.
_Id = BigInteger().with_variant(Integer, "sqlite")


# Made once: json.dumps() makes an encoder each time it is told anything but the defaults.
_compact_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC datetimes in Python, naive UTC in the database: SQLite keeps no offset.

    On SQLite a value that somebody made unreadable is None instead of an error in every list.
    """

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(String(32) if dialect.name == "sqlite" else DateTime())

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        naive = value.astimezone(UTC).replace(tzinfo=None)
        return naive.isoformat(" ", "microseconds") if dialect.name == "sqlite" else naive

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value)
            except ValueError:
                return None
        return value.replace(tzinfo=UTC) if isinstance(value, datetime) else None


class Unreadable(str):
    """The text of a JSON column that is not JSON: somebody wrote to the row by hand."""

    __slots__ = ()


class JsonText(TypeDecorator[Any]):
    """A JSON value kept as text. What cannot be read comes back as :class:`Unreadable`, never as an error."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else _compact_json(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        if value is None:
            return None
        try:
            return json.loads(value)
        except (ValueError, TypeError, RecursionError):
            return Unreadable(value)


class Base(DeclarativeBase):
    metadata = MetaData()
    type_annotation_map = {datetime: UtcDateTime(), int: Integer(), float: Double()}  # noqa: RUF012


class BackgroundJob(Base):
    """One job, from its dispatch to its end. A retry is the same row with ``retry_count`` one higher."""

    __tablename__ = "background_jobs"

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    class_name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    method_name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    parameters: Mapped[Any] = mapped_column(JsonText, nullable=True)
    status: Mapped[str] = mapped_column(String(16), default=PENDING)
    queue: Mapped[str] = mapped_column(String(NAME_LENGTH), default="default")
    priority: Mapped[int] = mapped_column(default=0)
    retry_count: Mapped[int] = mapped_column(default=0)
    max_retries: Mapped[int] = mapped_column(default=3)
    retry_delay: Mapped[Any] = mapped_column(JsonText, default=5.0)  # seconds, or a list of them
    timeout: Mapped[float | None]  # seconds
    limits: Mapped[Any] = mapped_column(JsonText, nullable=True)  # limits.py: memory, nice, output_max
    scheduled_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    error_message: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]

    # The machine room. An execution is one claim of the row; its token fences every later change.
    attempt: Mapped[int] = mapped_column(default=0)  # executions begun so far
    execution_token: Mapped[str | None] = mapped_column(String(32))
    backend: Mapped[str | None] = mapped_column(String(16))
    pid: Mapped[int | None]
    process_started: Mapped[str | None] = mapped_column(String(32))
    boot_id: Mapped[str | None] = mapped_column(String(64))
    host: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    pid_namespace: Mapped[str | None] = mapped_column(String(64))
    cancel_requested_at: Mapped[datetime | None]
    cancel_requested_by: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    kill_requested_at: Mapped[datetime | None]  # asked to stop without a chance to end by itself
    paused_at: Mapped[datetime | None]  # these three: of this execution, and while it runs
    paused_by: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    paused_seconds: Mapped[float | None]  # of the pauses that are over
    exit_status: Mapped[int | None]  # of the last attempt; negative: the signal that ended it
    peak_rss: Mapped[int | None] = mapped_column(BigInteger)  # bytes
    cpu_seconds: Mapped[float | None]
    progress_done: Mapped[float | None]
    progress_total: Mapped[float | None]
    progress_message: Mapped[str | None] = mapped_column(Text)
    result: Mapped[Any] = mapped_column(JsonText, nullable=True)
    retry_of: Mapped[int | None] = mapped_column(_Id)  # the job of which this is a retry with other parameters
    # Backend celery: a message with the execution token is on its way to a worker. One of a job that is not
    # pending any more is not wanted any more.
    published_at: Mapped[datetime | None]

    logs: Mapped[list[JobLog]] = relationship(back_populates="job", passive_deletes=True)
    attempts: Mapped[list[JobAttempt]] = relationship(back_populates="job", passive_deletes=True)

    __table_args__ = (
        # On PostgreSQL the migration makes them partial, too. To say so here would load that dialect into every
        # process, two megabytes that each fork has to map.
        # The claim walks one priority after the other (store.due_jobs), so a million jobs of next
        # week are never looked at. The status comes first, though it is the same in every entry: otherwise
        # SQLite takes ix_background_jobs_status to find the most urgent priority, and reads all pending jobs.
        Index(
            "ix_background_jobs_due",
            "status",
            "priority",
            "scheduled_at",
            "id",
            sqlite_where=text("status = 'pending'"),
        ),
        Index(
            "ix_background_jobs_running",
            "id",
            sqlite_where=text("status = 'running'"),
        ),
        # Which queues have pending jobs, and how many each: a look-up a queue. The status comes first here, too.
        Index(
            "ix_background_jobs_queue",
            "status",
            "queue",
            "scheduled_at",
            sqlite_where=text("status = 'pending'"),
        ),
        Index("ix_background_jobs_status", "status", "id"),
        Index("ix_background_jobs_class", "class_name", "method_name", "id"),
        Index("ix_background_jobs_retry_of", "retry_of", "id", sqlite_where=text("retry_of IS NOT NULL")),
        Index(
            "ix_background_jobs_published", "published_at", "queue", sqlite_where=text("published_at IS NOT NULL")
        ),
        {"sqlite_autoincrement": True},
    )


class JobLog(Base):
    """One line of the story of a job, in the words of the log files."""

    __tablename__ = "job_logs"

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    background_job_id: Mapped[int] = mapped_column(_Id, ForeignKey("background_jobs.id", ondelete="CASCADE"))
    type: Mapped[str] = mapped_column(String(16))
    message: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]

    job: Mapped[BackgroundJob] = relationship(back_populates="logs")

    __table_args__ = (
        Index("ix_job_logs_job", "background_job_id", "id"),
        Index("ix_job_logs_type", "type", "id"),
        {"sqlite_autoincrement": True},
    )


class JobAttempt(Base):
    """One execution of a job: which process, how long, how it ended."""

    __tablename__ = "job_attempts"

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    background_job_id: Mapped[int] = mapped_column(_Id, ForeignKey("background_jobs.id", ondelete="CASCADE"))
    number: Mapped[int]  # 1 for the first execution of the row
    execution_token: Mapped[str] = mapped_column(String(32))
    pid: Mapped[int | None]
    host: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(String(16))  # completed failed timed_out cancelled lost released
    exit_status: Mapped[int | None]
    exception_type: Mapped[str | None] = mapped_column(String(NAME_LENGTH))
    exception_message: Mapped[str | None] = mapped_column(Text)
    traceback: Mapped[str | None] = mapped_column(Text)
    peak_rss: Mapped[int | None] = mapped_column(BigInteger)
    cpu_seconds: Mapped[float | None]
    output_path: Mapped[str | None] = mapped_column(Text)

    job: Mapped[BackgroundJob] = relationship(back_populates="attempts")

    __table_args__ = (
        Index("ix_job_attempts_job", "background_job_id", "number"),
        {"sqlite_autoincrement": True},
    )


class JobSample(Base):
    """What a running job used at one moment. Bounded in number for each job: samples.py."""

    __tablename__ = "job_samples"

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    background_job_id: Mapped[int] = mapped_column(_Id, ForeignKey("background_jobs.id", ondelete="CASCADE"))
    attempt: Mapped[int]
    at: Mapped[datetime]
    cpu: Mapped[float | None]  # percent of one CPU
    rss: Mapped[int] = mapped_column(BigInteger)  # bytes
    threads: Mapped[int]
    children: Mapped[int]

    __table_args__ = (Index("ix_job_samples_job", "background_job_id", "at"), {"sqlite_autoincrement": True})


class JobOutput(Base):
    """A piece of what an attempt printed, for dashboards on other hosts than the one where its file lies.

    Bounded in number for each attempt; the newest pieces stay.
    """

    __tablename__ = "job_outputs"

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    background_job_id: Mapped[int] = mapped_column(_Id, ForeignKey("background_jobs.id", ondelete="CASCADE"))
    attempt: Mapped[int]
    position: Mapped[int] = mapped_column(BigInteger)  # of its first byte in all that was printed
    content: Mapped[str] = mapped_column(Text)

    __table_args__ = (
        Index("ix_job_outputs_job", "background_job_id", "attempt", "position"),
        {"sqlite_autoincrement": True},
    )


class JobMetric(Base):
    """How many attempts ended in a minute, or in a quarter of an hour or an hour that is past: what charts are
    drawn from.

    One row for each class, method, kind and bucket of durations in which there was any: metrics.py.
    """

    __tablename__ = "bgjobs_metrics"
    # Nothing but its key: half the space, and one tree to write.
    __table_args__ = ({"sqlite_with_rowid": False},)

    span: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # minutes: 1, 15 or 60
    minute: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # since 1970, UTC
    class_name: Mapped[str] = mapped_column(String(NAME_LENGTH), primary_key=True)
    method_name: Mapped[str] = mapped_column(String(NAME_LENGTH), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)  # completed failed retried cancelled wait
    bucket: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # of seconds, see metrics.py
    number: Mapped[int]
    seconds: Mapped[float]  # all of them together


class PausedQueue(Base):
    """A queue of which no job is started. Mostly there is none, and the claim looks into an empty table."""

    __tablename__ = "bgjobs_paused_queues"

    queue: Mapped[str] = mapped_column(String(NAME_LENGTH), primary_key=True)
    paused_at: Mapped[datetime]
    paused_by: Mapped[str | None] = mapped_column(String(NAME_LENGTH))


class Lease(Base):
    """Who may rely on what until when, by the clock of the database: a host that runs jobs, or the one that
    publishes messages. It is renewed long before it ends, so whoever let it end is gone or cut off."""

    __tablename__ = "bgjobs_leases"

    name: Mapped[str] = mapped_column(String(400), primary_key=True)
    holder: Mapped[str] = mapped_column(String(32))  # a token of the process that renews it
    expires_at: Mapped[float]  # seconds since 1970
    about: Mapped[Any] = mapped_column(JsonText, nullable=True)  # what others show of the holder


class Meta(Base):
    """Small facts of our own about this database, such as how far the log search has indexed."""

    __tablename__ = "bgjobs_meta"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(Text)


LOG_SEARCH = "job_logs_search"
"""The full-text index over ``job_logs`` (SQLite): a virtual table beside the mapped ones."""

ENQUEUE_LOCK = "enqueue_lock"
"""A row of :class:`Meta` that whoever counts the waiting jobs locks, so that two do not count the same room."""

VERSION_TABLE = "bgjobs_version"
"""Where our migrations note how far they are: beside the host's own version table, not in it."""
