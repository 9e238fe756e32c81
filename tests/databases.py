"""The databases that the store is tested on: SQLite, and each server that answers on this computer.

A server is where ``BGJOBS_TEST_POSTGRESQL`` or ``BGJOBS_TEST_MARIADB`` says, as an SQLAlchemy URL of a database in
which others may be made. The tests make one of their own there, and remove it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, create_engine, false, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError

from bgjobs.database import Database
from bgjobs.models import ENQUEUE_LOCK, VERSION_TABLE, Base

SERVERS = {
    "postgresql": os.environ.get(
        "BGJOBS_TEST_POSTGRESQL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
    ),
    "mariadb": os.environ.get("BGJOBS_TEST_MARIADB", "mariadb+pymysql://root@127.0.0.1:3306/test"),
}
DATABASES = ("sqlite", *SERVERS)

only_on_sqlite = pytest.mark.parametrize("store", ["sqlite"], indirect=True)
"""For what only SQLite does, such as to keep a text in a column of numbers."""


def answers(url: str) -> bool:
    """Whether there is a server, and a driver for it."""
    try:
        engine = create_engine(url, connect_args={"connect_timeout": 2})
    except ImportError:
        return False
    try:
        with engine.connect():
            return True
    except DBAPIError:
        return False
    finally:
        engine.dispose()


@contextmanager
def own_database(server: str, purpose: str) -> Iterator[URL]:
    """A database on a server with our tables, for as long as the block lasts."""
    name = f"bgjobs_test_{os.getpid()}_{purpose}"
    with administering(server) as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {name}"))
        connection.execute(text(f"CREATE DATABASE {name}"))
    url = make_url(SERVERS[server]).set(database=name)
    database = Database(url)
    database.migrate()
    database.dispose()
    yield url
    with administering(server) as connection:
        connection.execute(text(f"DROP DATABASE {name}{' WITH (FORCE)' if server == 'postgresql' else ''}"))


def empty(database: Database) -> None:
    """Remove every row that a test left."""
    with database.writing() as connection:
        for table in reversed(Base.metadata.sorted_tables):
            if table.name != VERSION_TABLE:
                keep = table.c.key == ENQUEUE_LOCK if table.name == "bgjobs_meta" else false()
                connection.execute(table.delete().where(~keep))


@contextmanager
def administering(server: str) -> Iterator[Connection]:
    """A connection to a server, outside of the databases of the tests."""
    engine = create_engine(SERVERS[server], isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
    engine.dispose()
