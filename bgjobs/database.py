"""Our own engine: short transactions, and the schema brought up at first use.

The application's engine is never touched: pragmas and events belong to this one alone.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, inspect, text
from sqlalchemy.engine import URL, make_url

from bgjobs.database_errors import answering
from bgjobs.exceptions import BackendUnavailable, ConfigurationError
from bgjobs.locations import migrations_folder
from bgjobs.servers import LIMITED, connect_arguments, limit_waiting
from bgjobs.sqlite import READING, WRITING, is_locked, is_memory, sqlite_engine

SCHEMA_REVISION = "0001"
"""The newest revision in ``migrations/versions``; a test holds the two together."""

# Seconds to wait for another writer. A request must not hang; the supervisor has timeouts to keep meanwhile, so it
# tries again and again.
PATIENCE_OF_CALLER = 5.0
PATIENCE_OF_SUPERVISOR = 1.0

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
        self._turn = threading.Lock()
        self._migrated = False
        _open_databases.add(self)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A write transaction: committed at the end of the block, rolled back if it raises.

        On SQLite it takes the write lock at its beginning. Raises :class:`BackendUnavailable` when the database
        does not answer.
        """
        with self._in_turn(), self._transaction(WRITING | {LIMITED: True}) as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read transaction: one consistent view of the database for the length of the block."""
        with self._transaction(READING) as connection:
            yield connection

    def is_locked(self) -> bool:
        """Whether somebody holds the write lock of this SQLite file at the moment."""
        return is_locked(self.engine)

    def ensure_schema_on(self, connection: Connection) -> None:
        """Bring up the tables, on somebody else's connection if that is already writing, because nobody else
        can then. A rollback takes them away again, so nothing is remembered of it."""
        if self._migrated or self._revision_on(connection) == SCHEMA_REVISION:
            return
        driver = connection.connection.dbapi_connection
        # Python's driver begins no transaction before CREATE TABLE. Each one would be a commit of its own,
        # and whoever comes at the same time would find half of the tables.
        if self.is_sqlite and not getattr(driver, "in_transaction", False):
            self._ensure_schema()
            return
        from bgjobs.schema import upgrade_on

        self._check_migratable(self._revision_on(connection))
        upgrade_on(connection, migrations_folder())

    def migrate(self) -> None:
        """Bring the tables to this version. Several processes may call it at once; one does the work.

        Raises :class:`ConfigurationError` when a newer version made them.
        """
        self._refuse_newer(self.schema_revision())
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
    def _in_turn(self) -> Iterator[None]:
        """On SQLite one thread of this process writes after the other. Who waits for the lock of the file has to
        try again and again, and wins by chance: of eight that try, some lose for a tenth of a second."""
        if not self.is_sqlite:
            yield
            return
        if not self._turn.acquire(timeout=self.patience):
            raise BackendUnavailable(
                f"The database {self.url.render_as_string()} did not do as asked: another thread of this process "
                f"has been writing for {self.patience:g} s. Nothing was changed. Look what it waits for."
            )
        try:
            yield
        finally:
            self._turn.release()

    @contextmanager
    def _transaction(self, options: dict[str, Any]) -> Iterator[Connection]:
        try:
            with answering(self.url):
                self._ensure_schema()
                with self.engine.connect().execution_options(**options) as connection, connection.begin():
                    yield connection
        except BackendUnavailable:
            self._migrated = False  # it may be another file by the next time, without our tables
            raise

    def _ensure_schema(self) -> None:
        if self._migrated:
            return
        revision = self.schema_revision()
        if revision != SCHEMA_REVISION:
            self._check_migratable(revision)
            self.migrate()
        self._migrated = True

    @staticmethod
    def _refuse_newer(revision: str | None) -> None:
        if revision is not None and revision > SCHEMA_REVISION:
            raise ConfigurationError(
                f"The tables of bgjobs are at revision {revision}, made by a newer version; this one knows "
                f"{SCHEMA_REVISION}. Update flask-bgjobs."
            )

    def _check_migratable(self, revision: str | None) -> None:
        self._refuse_newer(revision)
        if not self.is_sqlite:
            raise ConfigurationError(
                f"The tables of bgjobs are at revision {revision}, this version needs {SCHEMA_REVISION}. "
                "Run: flask bgjobs upgrade"
            )

    def _make_engine(self) -> Engine:
        # Every transaction here ends by a commit or a rollback, so there is nothing to roll back once more.
        pool: dict[str, Any] = {"pool_timeout": self.patience} if self._pooled else {"poolclass": NullPool}
        pool["pool_reset_on_return"] = None
        if not self.is_sqlite:
            # MariaDB's own default locks gaps between rows, over which those who insert and claim would stumble.
            # A server may have been started anew since the last time; who dispatches then should not notice.
            pool |= {"pool_pre_ping": True, "connect_args": connect_arguments(self.url)}
            server = create_engine(self.url, isolation_level="READ COMMITTED", **pool)
            limit_waiting(server, self.patience)
            return server
        return sqlite_engine(self.url, self.patience, **pool)

    def forget_connections(self) -> None:
        """In the child of a fork: open new connections, and leave the parent's alone."""
        self._lock, self._turn = threading.Lock(), threading.Lock()
        if self._engine is not None:
            _left_behind_by_fork.append(self._engine)
            self._engine = None


_open_databases: weakref.WeakSet[Database] = weakref.WeakSet()


def _after_fork() -> None:
    for database in list(_open_databases):
        database.forget_connections()


os.register_at_fork(after_in_child=_after_fork)


def same_database(one: URL, other: URL) -> bool:
    """Whether two URLs lead to one database, however they are written."""
    if one == other:
        return True
    if one.get_backend_name() != other.get_backend_name():
        return False
    if one.get_backend_name() == "sqlite":
        return _sqlite_file(one) == _sqlite_file(other)
    return (one.host, one.port, one.database) == (other.host, other.port, other.database)


def _sqlite_file(url: URL) -> str:
    return os.path.realpath(str(url.database).removeprefix("file:"))
