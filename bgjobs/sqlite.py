"""SQLite as we use it: settings of a connection, and transactions that say at their beginning if they write."""

from __future__ import annotations

import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL

from bgjobs.exceptions import BackendUnavailable

# Execution options of a connection that begins a transaction. A deferred transaction that turns into a writer
# fails at once with SQLITE_BUSY_SNAPSHOT, however long the timeout is.
READING, WRITING = {"bgjobs_begin": "DEFERRED"}, {"bgjobs_begin": "IMMEDIATE"}

# Seconds between two tries to get the write lock.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.0002, 0.004


def sqlite_engine(url: URL, patience: float, **pool: Any) -> Engine:
    """An engine for a file, which is made when it is opened.

    ``patience`` is how many seconds a transaction waits for another writer. Raises :class:`BackendUnavailable`
    when there is no folder for the file and none can be made.
    """
    if "uri" not in url.query:
        _make_folder_of(Path(str(url.database)))
    engine = create_engine(url, connect_args={"timeout": patience, "check_same_thread": False}, **pool)

    def prepare(connection: Any, record: Any) -> None:
        _prepare(connection, patience)

    def begin(connection: Connection) -> None:
        kind = connection.get_execution_options().get("bgjobs_begin", "DEFERRED")
        if kind == "IMMEDIATE":
            _begin_immediate(connection.connection.dbapi_connection, patience)
        else:
            connection.exec_driver_sql(f"BEGIN {kind}")

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", begin)
    return engine


def is_locked(engine: Engine) -> bool:
    """Whether somebody holds the write lock of this file at the moment."""
    arguments, options = engine.dialect.create_connect_args(engine.url)
    # Not through the engine: the settings of a new connection may themselves have to wait for the lock.
    probe: Any = engine.dialect.connect(*arguments, **{**options, "timeout": 0, "isolation_level": None})
    with closing(probe):
        try:
            probe.execute("BEGIN IMMEDIATE").close()
            probe.execute("ROLLBACK").close()
        except sqlite3.OperationalError:
            return True
    return False


def is_memory(url: URL) -> bool:
    """Whether this SQLite URL names a database that lives in one process."""
    return ":memory:" in (url.database or ":memory:") or url.query.get("mode") == "memory"


def _prepare(connection: Any, patience: float) -> None:
    # The driver's own BEGIN comes late and deferred; ours is the one that the engine's event says.
    connection.isolation_level = None
    # SQLite takes texts that are no UTF-8; one such row would be an error in every question that meets it.
    connection.text_factory = _readable
    _switch_to_wal(connection, patience)
    for pragma in (
        "synchronous=FULL",  # a committed job survives a power cut
        "foreign_keys=ON",
        "journal_size_limit=67108864",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _switch_to_wal(connection: Any, patience: float) -> None:
    """The switch is made once in the life of a file. It does not wait for others as statements do: where
    several processes come first at the same time, it fails at once."""
    deadline = time.monotonic() + patience
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(0.01)


def _readable(text: bytes) -> str:
    return text.decode("utf-8", "backslashreplace")


def _begin_immediate(driver: Any, patience: float) -> None:
    """Take the write lock as soon as it comes free, waiting up to ``patience`` seconds.

    SQLite's own waiting sleeps longer each time, up to a tenth of a second. Beside somebody who writes a
    thousand times a second, who waits like that hardly ever finds the lock free.
    """
    deadline = time.monotonic() + patience
    pause = _FIRST_PAUSE
    driver.execute("PRAGMA busy_timeout=0").close()
    try:
        while True:
            try:
                driver.execute("BEGIN IMMEDIATE").close()
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                    raise
            time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - so that two do not wake at once each time
            pause = min(pause * 1.5, _LONGEST_PAUSE)
    finally:
        driver.execute(f"PRAGMA busy_timeout={int(patience * 1000)}").close()


def _make_folder_of(file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BackendUnavailable(
            f"There is no folder for the database {file}, and it cannot be made: {error}. Look at its path."
        ) from error
