"""The jobs and what belongs to them, our own facts, and the full-text index over the logs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None

_id = sa.BigInteger().with_variant(sa.Integer, "sqlite")
# To the microsecond, as the others keep it by themselves.
_time = (
    sa.DateTime()
    .with_variant(sa.String(32), "sqlite")
    .with_variant(mysql.DATETIME(fsp=6), "mysql")
    .with_variant(mysql.DATETIME(fsp=6), "mariadb")
)
# Elsewhere a text has no end; there it would be 64 KiB of bytes.
_text = sa.Text().with_variant(mysql.LONGTEXT(), "mysql").with_variant(mysql.LONGTEXT(), "mariadb")
_name = sa.String(255)


def upgrade() -> None:
    op.create_table(
        "background_jobs",
        sa.Column("id", _id, primary_key=True),
        sa.Column("class_name", _name, nullable=False),
        sa.Column("method_name", _name, nullable=False),
        sa.Column("parameters", _text),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("queue", _name, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("retry_count", sa.Integer, nullable=False),
        sa.Column("max_retries", sa.Integer, nullable=False),
        sa.Column("retry_delay", _text, nullable=False),
        sa.Column("timeout", sa.Double),
        sa.Column("limits", _text),
        sa.Column("scheduled_at", _time, nullable=False),
        sa.Column("started_at", _time),
        sa.Column("completed_at", _time),
        sa.Column("error_message", _text),
        sa.Column("created_at", _time, nullable=False),
        sa.Column("updated_at", _time, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("execution_token", sa.String(32)),
        sa.Column("backend", sa.String(16)),
        sa.Column("pid", sa.Integer),
        sa.Column("process_started", sa.String(32)),
        sa.Column("boot_id", sa.String(64)),
        sa.Column("host", _name),
        sa.Column("pid_namespace", sa.String(64)),
        sa.Column("cancel_requested_at", _time),
        sa.Column("cancel_requested_by", _name),
        sa.Column("kill_requested_at", _time),
        sa.Column("paused_at", _time),
        sa.Column("paused_by", _name),
        sa.Column("paused_seconds", sa.Double),
        sa.Column("exit_status", sa.Integer),
        sa.Column("peak_rss", sa.BigInteger),
        sa.Column("cpu_seconds", sa.Double),
        sa.Column("progress_done", sa.Double),
        sa.Column("progress_total", sa.Double),
        sa.Column("progress_message", _text),
        sa.Column("result", _text),
        sa.Column("retry_of", _id),
        sa.Column("published_at", _time),
        sqlite_autoincrement=True,
    )
    for name, columns, status in (
        ("ix_background_jobs_due", ["status", "priority", "scheduled_at", "id"], "pending"),
        ("ix_background_jobs_running", ["id"], "running"),
        ("ix_background_jobs_queue", ["status", "queue", "scheduled_at"], "pending"),
    ):
        where = sa.text(f"status = '{status}'")
        op.create_index(name, "background_jobs", columns, sqlite_where=where, postgresql_where=where)
    op.create_index("ix_background_jobs_status", "background_jobs", ["status", "id"])
    op.create_index("ix_background_jobs_class", "background_jobs", ["class_name", "method_name", "id"])
    for name, columns in (  # hardly any has one
        ("ix_background_jobs_retry_of", ["retry_of", "id"]),
        ("ix_background_jobs_published", ["published_at", "queue"]),
    ):
        where = sa.text(f"{columns[0]} IS NOT NULL")
        op.create_index(name, "background_jobs", columns, sqlite_where=where, postgresql_where=where)

    op.create_table(
        "job_logs",
        sa.Column("id", _id, primary_key=True),
        sa.Column("background_job_id", _id, _of_a_job(), nullable=False),
        sa.Column("type", sa.String(16), nullable=False),
        sa.Column("message", _text, nullable=False),
        sa.Column("created_at", _time, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_job_logs_job", "job_logs", ["background_job_id", "id"])
    op.create_index("ix_job_logs_type", "job_logs", ["type", "id"])

    op.create_table(
        "job_attempts",
        sa.Column("id", _id, primary_key=True),
        sa.Column("background_job_id", _id, _of_a_job(), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("execution_token", sa.String(32), nullable=False),
        sa.Column("pid", sa.Integer),
        sa.Column("host", _name),
        sa.Column("started_at", _time, nullable=False),
        sa.Column("ended_at", _time),
        sa.Column("outcome", sa.String(16)),
        sa.Column("exit_status", sa.Integer),
        sa.Column("exception_type", _name),
        sa.Column("exception_message", _text),
        sa.Column("traceback", _text),
        sa.Column("peak_rss", sa.BigInteger),
        sa.Column("cpu_seconds", sa.Double),
        sa.Column("output_path", _text),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_job_attempts_job", "job_attempts", ["background_job_id", "number"])

    op.create_table(
        "job_samples",
        sa.Column("id", _id, primary_key=True),
        sa.Column("background_job_id", _id, _of_a_job(), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("at", _time, nullable=False),
        sa.Column("cpu", sa.Double),
        sa.Column("rss", sa.BigInteger, nullable=False),
        sa.Column("threads", sa.Integer, nullable=False),
        sa.Column("children", sa.Integer, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_job_samples_job", "job_samples", ["background_job_id", "at"])

    op.create_table(
        "job_outputs",
        sa.Column("id", _id, primary_key=True),
        sa.Column("background_job_id", _id, _of_a_job(), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("content", _text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_job_outputs_job", "job_outputs", ["background_job_id", "attempt", "position"])

    op.create_table(
        "bgjobs_metrics",
        sa.Column("span", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("minute", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("class_name", _name, primary_key=True),
        sa.Column("method_name", _name, primary_key=True),
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("bucket", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "bgjobs_paused_queues",
        sa.Column("queue", _name, primary_key=True),
        sa.Column("paused_at", _time, nullable=False),
        sa.Column("paused_by", _name),
    )
    op.create_table(
        "bgjobs_leases",
        sa.Column("name", sa.String(400), primary_key=True),
        sa.Column("holder", sa.String(32), nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("about", _text),
    )
    meta = op.create_table(
        "bgjobs_meta",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("value", _text, nullable=False),
    )
    op.bulk_insert(meta, [{"key": "enqueue_lock", "value": ""}])
    _create_log_search()


def _of_a_job() -> sa.ForeignKey:
    return sa.ForeignKey("background_jobs.id", ondelete="CASCADE")


def _create_log_search() -> None:
    """Trigrams find a part of a word. Without content: the index holds no second copy of the messages.

    An SQLite without FTS5 or its trigram tokenizer (before 3.34) goes without; the search then reads the
    newest logs instead.
    """
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        return
    try:
        connection.exec_driver_sql(
            "CREATE VIRTUAL TABLE job_logs_search USING fts5("
            "message, content='', tokenize='trigram', detail=none, columnsize=0)"
        )
    except sa.exc.OperationalError as error:
        if "no such module" not in str(error.orig) and "no such tokenizer" not in str(error.orig):
            raise


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE IF EXISTS job_logs_search")
    for table in (
        "bgjobs_meta",
        "bgjobs_leases",
        "bgjobs_metrics",
        "bgjobs_paused_queues",
        "job_outputs",
        "job_samples",
        "job_attempts",
        "job_logs",
        "background_jobs",
    ):
        op.drop_table(table)
