"""The numbers that a database gives to new rows: from where on, so that they are never those of another one."""

from __future__ import annotations

from sqlalchemy import Connection, Table, func, select, text

from bgjobs.database import Database


def next_numbers(database: Database, first: dict[Table, int]) -> None:
    """Let new rows of these tables be numbered from there on.

    In a transaction of its own, because on MariaDB each of these statements ends the one that it stands in.
    """
    with database.writing() as connection:
        for table, number in first.items():
            _set_next(connection, table, number)


def highest(connection: Connection, table: Table) -> int:
    """The highest number of a row; 0 where there is none."""
    found = connection.scalar(select(func.max(table.c.id)))
    return found if isinstance(found, int) else 0


def _set_next(connection: Connection, table: Table, number: int) -> None:
    if connection.dialect.name == "postgresql":
        sequence = "SELECT setval(pg_get_serial_sequence(:name, 'id'), :number, false)"
        connection.execute(text(sequence), {"name": table.name, "number": number})
    elif connection.dialect.name == "sqlite":
        values = {"name": table.name, "last": number - 1}
        if connection.execute(text("UPDATE sqlite_sequence SET seq = :last WHERE name = :name"), values).rowcount:
            return
        connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)"), values)
    else:
        connection.execute(text(f"ALTER TABLE {table.name} AUTO_INCREMENT = {int(number)}"))
