"""Schema steps: our own Alembic environment with a version table of our own, under a lock.

Imported only when a step may be due, because Alembic takes a tenth of a second to load.
"""

from __future__ import annotations

import threading

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, text

# PostgreSQL's ends with the transaction. SQLite's own write lock is taken by the BEGIN.
_LOCKS = {
    "postgresql": "SELECT pg_advisory_xact_lock(4208317519)",
    "mysql": "SELECT GET_LOCK('bgjobs_upgrade', 25)",
    "mariadb": "SELECT GET_LOCK('bgjobs_upgrade', 25)",
}
# Else it would be held as long as the connection stays in the pool.
_UNLOCK = "SELECT RELEASE_LOCK('bgjobs_upgrade')"
# Alembic keeps what it is working on in global variables.
_one_at_a_time = threading.Lock()


def upgrade(engine: Engine, migrations: str) -> None:
    """Take every step that is missing, in one transaction that holds the database's write lock.

    Several web workers start at once: the second waits for the first and then finds nothing to do.
    """
    # IMMEDIATE: on SQLite the whole upgrade is one write transaction, so two processes never interleave.
    with engine.connect().execution_options(bgjobs_begin="IMMEDIATE") as connection, connection.begin():
        lock = _LOCKS.get(connection.dialect.name)
        if lock is not None:
            connection.execute(text(lock))
        try:
            upgrade_on(connection, migrations)
        finally:
            if connection.dialect.name in ("mysql", "mariadb"):
                connection.execute(text(_UNLOCK))


def upgrade_on(connection: Connection, migrations: str) -> None:
    """Take every step that is missing in the transaction that ``connection`` is in."""
    config = Config()
    config.set_main_option("script_location", migrations.replace("%", "%%"))
    config.attributes["connection"] = connection
    with _one_at_a_time:
        command.upgrade(config, "head")
