"""Statements that are executed a thousand times a second: compiled once, and given to the driver as they are.

Measured on SQLite, the way through SQLAlchemy's ``execute()`` takes five to ten times as long as the statement
itself; what is asked once a page or once an hour goes that way all the same. The statements are written with
SQLAlchemy in any case, and so are their types: here they are only taken apart in advance.

With a server it is the way there and back that takes long: :func:`together` makes several statements one.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Dialect, Executable
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

Values = Mapping[str, Any]
_Processor = Callable[[Any], Any] | None


class Prepared:
    """One statement. ``keys`` are the parameters that an INSERT is given; the others name theirs themselves.

    The drivers of SQLite and PostgreSQL are spoken to directly, others through SQLAlchemy.
    """

    def __init__(self, statement: Executable, keys: Sequence[str] | None = None) -> None:
        self._statement = statement
        self._keys = keys
        self._taken_apart: dict[str, _TakenApart] = {}  # by the name of the dialect

    def execute(self, connection: Connection, rows: Sequence[Values]) -> None:
        """Execute it once for each of ``rows``."""
        if not _is_spoken_to_directly(connection):
            connection.execute(self._statement, list(rows))
            return
        parts = self._parts(connection.dialect)
        with _errors_of_sqlalchemy(connection):
            cursor = _driver(connection).cursor()
            cursor.executemany(parts.sql, [parts.bound(row) for row in rows])
            cursor.close()

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
        if not _is_spoken_to_directly(connection):
            return list(connection.execute(self._statement, dict(values)))
        parts = self._parts(connection.dialect)
        with _errors_of_sqlalchemy(connection):
            cursor = _driver(connection).execute(parts.sql, parts.bound(values), **parts.options)
            found = parts.rows(cursor)
            cursor.close()
        return found

    def _parts(self, dialect: Dialect) -> _TakenApart:
        parts = self._taken_apart.get(dialect.name)
        if parts is None:
            compiled: Any = self._statement.compile(  # type: ignore[attr-defined]
                dialect=dialect, column_keys=None if self._keys is None else list(self._keys)
            )
            parts = self._taken_apart[dialect.name] = _TakenApart(compiled, dialect, _selected(self._statement))
        return parts


@contextmanager
def together(connection: Connection) -> Iterator[None]:
    """Prepared statements that are executed in this block go to the server one after the other without waiting for
    each answer, where its driver can do that. Nothing may be fetched meanwhile; an error comes at the end."""
    pipeline = getattr(_driver(connection), "pipeline", None)
    if pipeline is None:
        yield
        return
    with _errors_of_sqlalchemy(connection), pipeline():
        yield


class _TakenApart:
    """What a compiled statement consists of, for a driver."""

    def __init__(self, compiled: SQLCompiler, dialect: Dialect, columns: Iterable[Any]) -> None:
        self.sql = str(compiled)
        fixed = compiled.params
        # PostgreSQL keeps the plan of a statement that was prepared there, be it one that was good for an empty
        # table and reads a million rows now. (An INSERT or an UPDATE of one row has but one plan.)
        self.options = {"prepare": False} if dialect.driver == "psycopg" else {}
        self._is_positional = compiled.positional
        self._parameters = [
            (name, fixed.get(name), _bind_processor(compiled.binds[name].type, dialect))
            for name in (compiled.positiontup or () if compiled.positional else compiled.binds)
        ]
        self._names = [name for name, _, _ in self._parameters]
        self._columns = list(columns)
        self._dialect = dialect
        self._results: list[_Processor] | None = None
        self._row: Any = namedtuple("Row", [column.key for column in self._columns])  # type: ignore[misc]

    def bound(self, values: Values) -> list[Any] | dict[str, Any]:
        """``values`` as the driver takes them: in the order of the placeholders, or by their names."""
        found = []
        for name, fixed, process in self._parameters:
            value = values.get(name, fixed)
            found.append(value if process is None else process(value))
        return found if self._is_positional else dict(zip(self._names, found, strict=True))

    def rows(self, cursor: Any) -> list[Any]:
        """What was found, with the types of the columns."""
        if self._results is None:  # a server tells with the first answer how it writes each column
            self._results = [
                column.type.dialect_impl(self._dialect).result_processor(self._dialect, described[1])
                for column, described in zip(self._columns, cursor.description, strict=True)
            ]
        return [
            self._row._make(
                value if process is None else process(value)
                for value, process in zip(row, self._results, strict=True)
            )
            for row in cursor
        ]


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


def _is_spoken_to_directly(connection: Connection) -> bool:
    return connection.dialect.driver in ("pysqlite", "psycopg")


@contextmanager
def _errors_of_sqlalchemy(connection: Connection) -> Iterator[None]:
    """The errors of a server's driver as they come through SQLAlchemy, so that nobody has to know the driver."""
    dialect: Any = connection.dialect
    if dialect.name == "sqlite":
        yield
        return
    driver = dialect.loaded_dbapi
    try:
        yield
    except driver.Error as error:
        raise DBAPIError.instance(None, None, error, driver.Error, dialect=dialect) from error
