"""Our own engine: settings of each database, short transactions, the schema brought up at first use.

The application's engine is never touched: pragmas and events belong to this one alone.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError

from bgjobs.exceptions import BackendUnavailable, ConfigurationError
from bgjobs.locations import migrations_folder

SCHEMA_REVISION = "0001"
"""The newest revision in ``migrations/versions``; a test holds the two together."""

# Seconds to wait for another writer. A request must not hang; the supervisor has nothing better to do.
PATIENCE_OF_CALLER = 5.0
PATIENCE_OF_SUPERVISOR = 30.0

# An SQLite connection must not be used, nor closed, on the other side of a fork (sqlite.org, "How To
# Corrupt", 2.6). The pools of the parent are kept here for ever, so that nothing closes them.
_left_behind_by_fork: list[Any] = []


class Database:
    """One database, reached through transactions that are short and never span a job.

    ``url`` is an SQLAlchemy URL. ``patience`` is how many seconds a transaction waits for another writer.
    ``pooled=False`` is for processes that come and go: no connection outlives its transaction.
    """

    def __init__(self, url: str | URL, *, patience: float = PATIENCE_OF_CALLER, pooled: bool = True) -> None:
        self.url = make_url(url)
        self.patience = patience
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.is_sqlite and is_memory(self.url):
            raise ConfigurationError(
                "An SQLite database in memory exists in one process only, and a job runs in another. "
                "Set SQLALCHEMY_DATABASE_URI or BGJOBS_DATABASE_URI to a file.",
                setting="BGJOBS_DATABASE_URI",
            )
        self._pooled = pooled
        self._engine: Engine | None = None
        self._lock = threading.Lock()
        self._migrated = False
        _open_databases.add(self)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A write transaction: committed at the end of the block, rolled back if it raises.

        On SQLite it takes the write lock at its beginning: a deferred transaction that turns into a
        writer fails at once with SQLITE_BUSY_SNAPSHOT, however long the timeout is.
        Raises :class:`BackendUnavailable` when the database does not answer.
        """
        with self._transaction({"bgjobs_begin": "IMMEDIATE"}) as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read transaction: one consistent view of the database for the length of the block."""
        with self._transaction({"bgjobs_begin": "DEFERRED"}) as connection:
            yield connection

    @contextmanager
    def writing_at_once(self) -> Iterator[Connection]:
        """A write transaction that does not wait: raises the driver's ``OperationalError`` when the lock is
        held (SQLite)."""
        with self.engine.connect() as connection:
            waiting = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
            connection.exec_driver_sql("PRAGMA busy_timeout=0")
            connection.rollback()
            try:
                with connection.execution_options(bgjobs_begin="IMMEDIATE").begin():
                    yield connection
            finally:
                connection.exec_driver_sql(f"PRAGMA busy_timeout={int(waiting)}")
                connection.rollback()

    def ensure_schema_on(self, connection: Connection) -> None:
        """Bring up the tables on somebody else's connection, as part of its transaction.

        A rollback takes them away again, so nothing is remembered of it.
        """
        if not self._migrated and self._revision_on(connection) != SCHEMA_REVISION:
            from bgjobs.schema import upgrade_on

            self._check_migratable(self._revision_on(connection))
            upgrade_on(connection, migrations_folder())

    def migrate(self) -> None:
        """Bring the tables to this version. Several processes may call it at once; one does the work."""
        # Alembic takes a tenth of a second to load, so it is loaded only when there is a step to take.
        from bgjobs.schema import upgrade

        upgrade(self.engine, migrations_folder())
        self._migrated = True

    def schema_revision(self) -> str | None:
        """The revision that the tables are at, None where there are none."""
        with self.engine.connect() as connection:
            return self._revision_on(connection)

    @staticmethod
    def _revision_on(connection: Connection) -> str | None:
        if not inspect(connection).has_table("bgjobs_version"):
            return None
        return connection.execute(text("SELECT version_num FROM bgjobs_version")).scalar()

    @property
    def engine(self) -> Engine:
        """The engine, made at first use: before that no file is opened and no server is asked."""
        with self._lock:
            if self._engine is None:
                self._engine = self._make_engine()
            return self._engine

    def dispose(self) -> None:
        """Close every connection."""
        if self._engine is not None:
            self._engine.dispose()

    @contextmanager
    def _transaction(self, options: dict[str, Any]) -> Iterator[Connection]:
        with answering(self.url):
            self._ensure_schema()
            with self.engine.connect().execution_options(**options) as connection, connection.begin():
                yield connection

    def _ensure_schema(self) -> None:
        if self._migrated:
            return
        revision = self.schema_revision()
        if revision != SCHEMA_REVISION:
            self._check_migratable(revision)
            self.migrate()
        self._migrated = True

    def _check_migratable(self, revision: str | None) -> None:
        if revision is not None and revision > SCHEMA_REVISION:
            raise ConfigurationError(
                f"The tables of bgjobs are at revision {revision}, made by a newer version; this one knows "
                f"{SCHEMA_REVISION}. Update flask-bgjobs."
            )
        if not self.is_sqlite:
            raise ConfigurationError(
                f"The tables of bgjobs are at revision {revision}, this version needs {SCHEMA_REVISION}. "
                "Run: flask bgjobs upgrade"
            )

    def _make_engine(self) -> Engine:
        if not self.is_sqlite:
            return create_engine(self.url, **({} if self._pooled else {"poolclass": NullPool}))
        file = Path(str(self.url.database))
        file.parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(
            self.url,
            connect_args={"timeout": self.patience, "check_same_thread": False},
            **({} if self._pooled else {"poolclass": NullPool}),
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine

    def forget_connections(self) -> None:
        """In the child of a fork: open new connections, and leave the parent's alone."""
        self._lock = threading.Lock()
        if self._engine is not None:
            _left_behind_by_fork.append(self._engine)
            self._engine = None


_open_databases: weakref.WeakSet[Database] = weakref.WeakSet()


def _after_fork() -> None:
    for database in list(_open_databases):
        database.forget_connections()


os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def answering(url: URL) -> Iterator[None]:
    """Driver errors of the block as :class:`BackendUnavailable`, which says what to look at.

    A value that the database does not take is another thing, and comes through as it is.
    """
    try:
        yield
    except (DataError, IntegrityError, ProgrammingError):
        raise
    except DBAPIError as error:
        raise BackendUnavailable(
            f"The database {url.render_as_string()} did not do as asked: {error.orig}. "
            "Nothing was changed. Look whether it is there, writable and not locked by another program."
        ) from error


def is_memory(url: URL) -> bool:
    """Whether this SQLite URL names a database that lives in one process."""
    return url.database in (None, "", ":memory:") or "mode=memory" in str(url)


def _prepare_sqlite(connection: Any, record: Any) -> None:
    # The driver's own BEGIN comes late and deferred; ours is the one in _begin_sqlite.
    connection.isolation_level = None
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",  # a committed job survives a power cut
        "foreign_keys=ON",
        "journal_size_limit=67108864",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    kind = connection.get_execution_options().get("bgjobs_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {kind}")
