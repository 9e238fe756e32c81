"""How long we wait for a database server that does not answer, and how long it waits for us.

A host can be cut off in the middle of a transaction. Without limits it would wait for hours, and the server would
keep its locks as long, before those who want to recover its jobs.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL

# Seconds until a server that cannot be reached is given up, and until one that does not answer is.
_REACHED_WITHIN, _ANSWERS_WITHIN = 5, 30
# Seconds for which one of our transactions may stand still; they are short, so then somebody is cut off or asleep.
_IDLE_WITHIN = 5

_POSTGRESQL = {
    "connect_timeout": _REACHED_WITHIN,
    # Both ends of a connection that is cut find out by what they send: a question, or a sign of life.
    "tcp_user_timeout": _REACHED_WITHIN * 1000,  # milliseconds
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
_MYSQL = {
    "connect_timeout": _REACHED_WITHIN,
    "read_timeout": _ANSWERS_WITHIN,
    "write_timeout": _REACHED_WITHIN,
}
# By driver; another one may have other names for it.
_ARGUMENTS: dict[str, dict[str, int]] = {"psycopg": _POSTGRESQL, "psycopg2": _POSTGRESQL, "pymysql": _MYSQL}

LIMITED = "bgjobs_limited"
"""The execution option of a transaction that must not stand still, nor wait for long."""


def connect_arguments(url: URL) -> dict[str, Any]:
    """What our connections are opened with, where the URL does not say otherwise."""
    found = _ARGUMENTS.get(url.get_driver_name(), {})
    return {name: value for name, value in found.items() if name not in url.query}


def limit_waiting(engine: Engine, patience: float) -> None:
    """Let no transaction of ours stand still for long, nor wait for another one longer than ``patience``."""
    wait, idle = max(1, round(patience)), _IDLE_WITHIN
    if engine.dialect.name == "postgresql":
        # For one transaction each time: behind a proxy the session is also that of others.
        limits = f"SET LOCAL lock_timeout = '{wait}s'; SET LOCAL idle_in_transaction_session_timeout = '{idle}s'"
        event.listen(engine, "begin", lambda connection: _begin(connection, limits))
        if engine.driver == "psycopg":
            event.listen(engine, "connect", _prepare_nothing_behind_a_proxy)
    else:
        event.listen(engine, "connect", lambda driver, record: _limit_session(driver, wait, idle))


def _begin(connection: Connection, limits: str) -> None:
    if connection.get_execution_options().get(LIMITED):
        connection.exec_driver_sql(limits)


def _limit_session(driver: Any, wait: int, idle: int) -> None:
    with driver.cursor() as cursor:
        cursor.execute(f"SET SESSION innodb_lock_wait_timeout = {wait}")
        cursor.execute("SELECT version()")
        if "MariaDB" in cursor.fetchone()[0]:
            cursor.execute(f"SET SESSION idle_write_transaction_timeout = {idle}")


def _prepare_nothing_behind_a_proxy(connection: Any, record: Any) -> None:
    """A proxy that pools transactions gives each to another server process, which does not know what was prepared
    in the last one. Such a proxy answers with a process number of its own."""
    (pid,) = connection.execute("SELECT pg_backend_pid()").fetchone()
    connection.rollback()
    if pid != connection.info.backend_pid:
        connection.prepare_threshold = None
