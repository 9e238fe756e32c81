"""Statements that are executed a thousand times a second: compiled once, and given to the driver as they are.

Measured on SQLite, the way through SQLAlchemy's ``execute()`` takes five to ten times as long as the statement
itself; what is asked once a page or once an hour goes that way all the same. The statements are written with
SQLAlchemy in any case, and so are their types: here they are only taken apart in advance.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Dialect, Executable
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

Values = Mapping[str, Any]
_Processor = Callable[[Any], Any] | None


class Prepared:
    """One statement. ``keys`` are the parameters that an INSERT is given; the others name theirs themselves.

    Only the driver of SQLite is spoken to directly: with a server, the way there and back is what takes long.
    """

    def __init__(self, statement: Executable, keys: Sequence[str] | None = None) -> None:
        self._statement = statement
        self._keys = keys
        self._taken_apart: _TakenApart | None = None

    def execute(self, connection: Connection, rows: Sequence[Values]) -> None:
        """Execute it once for each of ``rows``."""
        if connection.dialect.name != "sqlite":
            connection.execute(self._statement, list(rows))
            return
        parts = self._parts(connection.dialect)
        _driver(connection).executemany(parts.sql, [parts.bound(row) for row in rows]).close()

    def insert(self, connection: Connection, rows: Sequence[Values]) -> list[int]:
        """Insert ``rows``; their new ids, in the same order."""
        if connection.dialect.name != "sqlite":
            return _inserted(connection, self._statement, rows)
        parts = self._parts(connection.dialect)
        driver, found = _driver(connection), []
        for row in rows:
            cursor = driver.execute(parts.sql, parts.bound(row))
            cursor.close()
            found.append(int(cursor.lastrowid))
        return found

    def fetch(self, connection: Connection, values: Values) -> list[Any]:
        """The rows, with the columns as attributes."""
        if connection.dialect.name != "sqlite":
            return list(connection.execute(self._statement, dict(values)))
        parts = self._parts(connection.dialect)
        cursor = _driver(connection).execute(parts.sql, parts.bound(values))
        found = [parts.row(row) for row in cursor]
        cursor.close()
        return found

    def _parts(self, dialect: Dialect) -> _TakenApart:
        if self._taken_apart is None:
            compiled: Any = self._statement.compile(  # type: ignore[attr-defined]
                dialect=dialect, column_keys=None if self._keys is None else list(self._keys)
            )
            self._taken_apart = _TakenApart(compiled, dialect, _selected(self._statement))
        return self._taken_apart


class _TakenApart:
    """What a compiled statement consists of, for the driver of SQLite."""

    def __init__(self, compiled: SQLCompiler, dialect: Dialect, columns: Iterable[Any]) -> None:
        self.sql = str(compiled)
        fixed = compiled.params
        self._parameters = [
            (name, fixed.get(name), _bind_processor(compiled.binds[name].type, dialect))
            for name in compiled.positiontup or ()
        ]
        columns = list(columns)
        self._results = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]
        self._row: Any = namedtuple("Row", [column.key for column in columns])  # type: ignore[misc]

    def bound(self, values: Values) -> list[Any]:
        """``values`` as the driver takes them, in the order of the placeholders."""
        found = []
        for name, fixed, process in self._parameters:
            value = values.get(name, fixed)
            found.append(value if process is None else process(value))
        return found

    def row(self, values: Iterable[Any]) -> Any:
        """A row of the driver with the types of the columns."""
        return self._row._make(
            value if process is None else process(value)
            for value, process in zip(values, self._results, strict=True)
        )


def _inserted(connection: Connection, statement: Any, rows: Sequence[Values]) -> list[int]:
    """Many at once where the server returns the ids of many: else each takes the way there and back."""
    if len(rows) > 1 and connection.dialect.insert_executemany_returning_sort_by_parameter_order:
        returning = statement.returning(*statement.table.primary_key, sort_by_parameter_order=True)
        return [int(number) for number in connection.scalars(returning, [dict(row) for row in rows])]
    found = []
    for row in rows:
        inserted = connection.execute(statement, dict(row)).inserted_primary_key
        assert inserted is not None
        found.append(int(inserted[0]))
    return found


def _bind_processor(kind: TypeEngine[Any], dialect: Dialect) -> _Processor:
    return kind.dialect_impl(dialect).bind_processor(dialect)


def _selected(statement: Any) -> Iterable[Any]:
    return statement.selected_columns if statement.is_select else ()


def _driver(connection: Connection) -> Any:
    return connection.connection.dbapi_connection
