"""Our own engine: settings of each database, short transactions, the schema brought up at first use.

The application's engine is never touched: pragmas and events belong to this one alone.
"""

from __future__ import annotations

import os
import random
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, NullPool, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from bgjobs.exceptions import BackendUnavailable, ConfigurationError, DatabaseDamaged, Deadlock
from bgjobs.locations import migrations_folder

SCHEMA_REVISION = "0001"
"""The newest revision in ``migrations/versions``; a test holds the two together."""

# Seconds to wait for another writer. A request must not hang; the supervisor has timeouts to keep meanwhile, so it
# tries again and again.
PATIENCE_OF_CALLER = 5.0
PATIENCE_OF_SUPERVISOR = 1.0

# Seconds between two tries to get the write lock.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.0002, 0.004

# Seconds between two tries of who met a deadlock, and how often each has to give way until the caller is told.
_PAUSE_AFTER_DEADLOCK = 0.01
_DEADLOCKS_IN_A_ROW = 20

P = ParamSpec("P")
T = TypeVar("T")

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

        On SQLite it takes the write lock at its beginning: a deferred transaction that turns into a
        writer fails at once with SQLITE_BUSY_SNAPSHOT, however long the timeout is.
        Raises :class:`BackendUnavailable` when the database does not answer.
        """
        with self._in_turn(), self._transaction({"bgjobs_begin": "IMMEDIATE"}) as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read transaction: one consistent view of the database for the length of the block."""
        with self._transaction({"bgjobs_begin": "DEFERRED"}) as connection:
            yield connection

    def is_locked(self) -> bool:
        """Whether somebody holds the write lock of this SQLite file at the moment."""
        arguments, options = self.engine.dialect.create_connect_args(self.url)
        # Not through the engine: the settings of a new connection may themselves have to wait for the lock.
        probe: Any = self.engine.dialect.connect(*arguments, **{**options, "timeout": 0, "isolation_level": None})
        with closing(probe):
            try:
                probe.execute("BEGIN IMMEDIATE").close()
                probe.execute("ROLLBACK").close()
            except sqlite3.OperationalError:
                return True
        return False

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
            engine = create_engine(self.url, isolation_level="READ COMMITTED", pool_pre_ping=True, **pool)
            if engine.driver == "psycopg":
                event.listen(engine, "connect", _prepare_nothing_behind_a_proxy)
            return engine
        if "uri" not in self.url.query:
            self._make_folder_of(Path(str(self.url.database)))
        engine = create_engine(
            self.url, connect_args={"timeout": self.patience, "check_same_thread": False}, **pool
        )
        event.listen(engine, "connect", self._prepare_sqlite)
        event.listen(engine, "begin", self._begin_sqlite)
        return engine

    def _prepare_sqlite(self, connection: Any, record: Any) -> None:
        # The driver's own BEGIN comes late and deferred; ours is the one in _begin_sqlite.
        connection.isolation_level = None
        # SQLite takes texts that are no UTF-8; one such row would be an error in every question that meets it.
        connection.text_factory = _readable
        _switch_to_wal(connection, self.patience)
        for pragma in (
            "synchronous=FULL",  # a committed job survives a power cut
            "foreign_keys=ON",
            "journal_size_limit=67108864",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    def _begin_sqlite(self, connection: Connection) -> None:
        kind = connection.get_execution_options().get("bgjobs_begin", "DEFERRED")
        if kind == "IMMEDIATE":
            _begin_immediate(connection.connection.dbapi_connection, self.patience)
        else:
            connection.exec_driver_sql(f"BEGIN {kind}")

    @staticmethod
    def _make_folder_of(file: Path) -> None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BackendUnavailable(
                f"There is no folder for the database {file}, and it cannot be made: {error}. Look at its path."
            ) from error

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


def outlasting_deadlocks(change: Callable[P, T]) -> Callable[P, T]:
    """Do ``change``, which is one transaction, again when the database ended it in favour of another.

    To lock rows in one order makes that rare, and not impossible: a claim comes to a row from an index, and
    MariaDB locks the entry there, then the row, while who cancels the job locks the row, then the entry.
    """

    @wraps(change)
    def until_done(*args: P.args, **kwargs: P.kwargs) -> T:
        for _ in range(_DEADLOCKS_IN_A_ROW):
            try:
                return change(*args, **kwargs)
            except Deadlock:
                # So that the two do not meet again.
                time.sleep(random.uniform(0, _PAUSE_AFTER_DEADLOCK))  # noqa: S311
        return change(*args, **kwargs)

    return until_done


@contextmanager
def answering(url: URL) -> Iterator[None]:
    """Driver errors of the block as :class:`BackendUnavailable`, which says what to look at.

    A value that the database does not take is another thing, and comes through as it is.
    """
    try:
        yield
    except (DataError, IntegrityError, ProgrammingError):
        raise
    except (sqlite3.DataError, sqlite3.IntegrityError, sqlite3.ProgrammingError):
        raise
    except (DBAPIError, PoolTimeout, sqlite3.DatabaseError) as error:
        reason = error.orig if isinstance(error, DBAPIError) else error
        if _tells_of_damage(reason):
            raise DatabaseDamaged(
                f"The database {url.render_as_string()} is damaged: {reason}. Nothing was changed. Stop what uses "
                "it, then restore a backup, or save what can be read with the .recover command of sqlite3."
            ) from error
        kind = Deadlock if _tells_of_deadlock(reason) else BackendUnavailable
        raise kind(
            f"The database {url.render_as_string()} did not do as asked: {reason}. "
            "Nothing was changed. Look whether it is there, writable and not locked by another program."
        ) from error


def _tells_of_damage(reason: BaseException | None) -> bool:
    # The low byte is the kind of error, the others say more of it (sqlite.org/rescode.html).
    kind = getattr(reason, "sqlite_errorcode", 0) & 0xFF
    return kind in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _tells_of_deadlock(reason: BaseException | None) -> bool:
    if getattr(reason, "sqlstate", None) == "40P01":
        return True
    # MariaDB: a deadlock, and a lock that was waited for too long, as where it does not look for deadlocks.
    return bool(reason and reason.args and reason.args[0] in (1213, 1205))


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


def is_memory(url: URL) -> bool:
    """Whether this SQLite URL names a database that lives in one process."""
    return ":memory:" in (url.database or ":memory:") or url.query.get("mode") == "memory"


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


def _prepare_nothing_behind_a_proxy(connection: Any, record: Any) -> None:
    """A proxy that pools transactions gives each to another server process, which does not know what was prepared
    in the last one. Such a proxy answers with a process number of its own."""
    (pid,) = connection.execute("SELECT pg_backend_pid()").fetchone()
    connection.rollback()
    if pid != connection.info.backend_pid:
        connection.prepare_threshold = None


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
