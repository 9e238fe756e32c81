"""Schema steps: our own Alembic environment with a version table of our own, under a lock.

Imported only when a step may be due, because Alembic takes a tenth of a second to load.
"""

from __future__ import annotations

import threading

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine

# Alembic keeps what it is working on in global variables.
_one_at_a_time = threading.Lock()


def upgrade(engine: Engine, migrations: str) -> None:
    """Take every step that is missing, in one transaction that holds the database's write lock.

    Several web workers start at once: the second waits for the first and then finds nothing to do.
    """
    # IMMEDIATE: on SQLite the whole upgrade is one write transaction, so two processes never interleave.
    with engine.connect().execution_options(bgjobs_begin="IMMEDIATE") as connection, connection.begin():
        upgrade_on(connection, migrations)


def upgrade_on(connection: Connection, migrations: str) -> None:
    """Take every step that is missing in the transaction that ``connection`` is in."""
    config = Config()
    config.set_main_option("script_location", migrations.replace("%", "%%"))
    config.attributes["connection"] = connection
    with _one_at_a_time:
        command.upgrade(config, "head")
