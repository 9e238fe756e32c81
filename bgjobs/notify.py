"""The doorbell that goes through the database: on PostgreSQL a transaction rings at its commit.

So supervisors on other hosts hear at once of what concerns them. A hint only, like the other doorbell: behind a
proxy that pools transactions nobody hears it, and the supervisors look by themselves.
"""

from __future__ import annotations

from sqlalchemy import Connection, TwoPhaseTransaction, text

CHANNEL = "bgjobs"
_NOTIFY = text(f"SELECT pg_notify('{CHANNEL}', '')")


def ring_at_commit(connection: Connection) -> None:
    """Wake the supervisors of all hosts when this transaction is committed. Does nothing on other databases."""
    # PostgreSQL refuses to prepare a transaction that has rung; it may be one of the application.
    if connection.dialect.name == "postgresql" and not isinstance(
        connection.get_transaction(), TwoPhaseTransaction
    ):
        connection.execute(_NOTIFY)
